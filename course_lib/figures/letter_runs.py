"""The figures of notebook 08 that show students of names: how they learn."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from matplotlib.figure import Figure

from course_lib.figures.style import BEHIND, COLOURS, DASHES, MARKERS, styled

PANELS = {"own": "on the names it learns from", "held out": "on names it never saw"}


class Bits(NamedTuple):
    """A student's bits per letter, measured while it trains: lists that grow."""

    epochs: list[int]
    own: list[float]
    held_out: list[float]


@styled
def live_bits(students: Mapping[str, Bits], epochs: int, teacher: float) -> tuple[Figure, Callable]:
    """Show students that train: (figure, update(until)). It draws what `students` holds when it is called.

    students: key of COLOURS and MARKERS -> Bits; teacher: its bits per letter on held-out names. until: the last epoch drawn.
    """
    figure = Figure(figsize=(8.8, 3.3), layout="constrained")
    lines, numbers = {}, {}
    for panel, axes in zip(PANELS, figure.subplots(1, 2), strict=True):
        for name in students:
            style = {"color": COLOURS[name], "marker": MARKERS[name], "gid": f"{name}, {panel}"}
            lines[name, panel] = axes.plot([], [], DASHES[name], markersize=5, **style)[0]
            numbers[name, panel] = axes.text(
                0, 0, "words", fontsize=12, fontweight="bold", clip_on=True, gid=f"{name}, {panel}, number"
            )
        axes.set_title(PANELS[panel], fontsize=12)
        axes.set(xlim=(0, 1.17 * epochs), ylim=(2.6, 4.1), xlabel="epoch", ylabel="bits per letter (down is better)")
        axes.grid(axis="y")
        if panel == "held out":
            axes.axhline(teacher, color=COLOURS["teacher"], linewidth=1.5, linestyle=":")
            axes.text(0.5, teacher - 0.02, f"teacher {teacher:.2f}", color=COLOURS["teacher"], va="top", bbox=BEHIND)
        else:
            axes.legend([lines[name, panel] for name in students], students, loc="upper right")

    def update(until: int = epochs) -> str:
        said, last = [], {"own": [], "held out": []}
        for name, bits in students.items():
            count = sum(epoch <= until for epoch in bits.epochs)
            for panel, values in zip(PANELS, (bits.own, bits.held_out), strict=True):
                last[panel] += [values[count - 1]] if count else []
                lines[name, panel].set_data(bits.epochs[:count], values[:count])
                numbers[name, panel].set_text(f" {values[count - 1]:.2f}" if count else "")
                numbers[name, panel].set_position((bits.epochs[count - 1], values[count - 1]) if count else (0, 0))
            if count:
                own, held_out = bits.own[count - 1], bits.held_out[count - 1]
                said.append(
                    f"{name} after epoch {bits.epochs[count - 1]}: {own:.2f} on its own names, {held_out:.2f} on others"
                )
        for (_, panel), number in numbers.items():  # the lowest below its mark, others above: clear of each other
            number.set_va("top" if number.get_position()[1] == min(last[panel], default=0) else "bottom")
        return f"Bits per letter until epoch {until} of {epochs}. " + ("; ".join(said) or "Nothing measured yet")

    return figure, update
