"""Pairs of teacher and data that do not fit, by their symptoms. A figure of notebook 10."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from course_lib.figures.parts import SHADES
from course_lib.figures.style import COLOURS, MARKERS, log_axis, styled


class Symptoms(NamedTuple):
    """What can be seen of a pair. pixels: (height, width, 3) in [0, 1], an image as the teacher gets it, read as pixels.

    confusion: (num_classes, num_classes), row k the fractions of the images with label k that the teacher names each class.
    loss: the soft loss after each epoch of a student. teacher, student: how often they are right, in [0, 1].
    """

    pixels: np.ndarray
    confusion: np.ndarray
    loss: Sequence[float]
    teacher: float
    student: float


@styled
def live_mismatches(
    pairs: Mapping[str, Symptoms], classes: Sequence[str], labels_alone: float, pair: str | None = None
) -> tuple[Figure, Callable]:
    """Show the symptoms of one pair at a time: (figure, update(pair)). labels_alone: how often a student of labels is right."""
    first = pairs[pair or next(iter(pairs))]
    epochs, n = len(first.loss), len(classes)
    figure = Figure(figsize=(8.9, 3.2), layout="constrained")
    image_axes, table, curve, bars_axes = figure.subplots(1, 4, width_ratios=[0.8, 1.35, 1.1, 1.0])
    image = image_axes.imshow(first.pixels, extent=(0, 1, 1, 0), interpolation="nearest", gid="image")
    image_axes.set(xticks=[], yticks=[])
    image_axes.set_xlabel("what is shown", fontsize=11)
    name = image_axes.text(0.5, -0.06, "", ha="center", fontsize=14, weight="bold", gid="pair")
    cells = table.imshow(first.confusion, cmap=SHADES, vmin=0, vmax=1, interpolation="nearest", gid="confusion")
    table.set_yticks(range(n), classes, fontsize=9)
    table.set_xticks(range(n), classes, fontsize=9, rotation=90)
    table.set_xlabel("the teacher names", fontsize=11)
    table.set_ylabel("label", fontsize=11)
    table.set_title("of each label's images:\nwhite 0 %, dark 100 %", fontsize=11)
    (line,) = curve.plot([], [], MARKERS["distilled"] + "-", color=COLOURS["distilled"], markersize=5, gid="soft loss")
    lowest, highest = (pick(value for each in pairs.values() for value in each.loss) for pick in (min, max))
    curve.set(xlim=(0.5, epochs + 0.5), xlabel="epoch")
    log_axis(curve.yaxis, [0.1, 0.2, 0.5, 1, 2, 5, 10])
    curve.set_ylim(lowest / 1.3, highest * 1.3)
    curve.set_title("student: soft loss\n(nats, logarithmic)", fontsize=11)
    bars = bars_axes.bar([0, 1], [0, 0], 0.6, color=[COLOURS["teacher"], COLOURS["distilled"]])
    bars.set_label("right")
    numbers = [bars_axes.text(k, 0, "", ha="center", va="bottom", fontsize=11, clip_on=True, gid=f"right {k}") for k in (0, 1)]
    bars_axes.axhline(100 * labels_alone, color=COLOURS["labels"], linestyle="--", linewidth=1.5, gid="labels alone")
    bars_axes.set_title("right (%); dashed:\na student on labels", fontsize=11)
    bars_axes.set(ylim=(0, 100), yticks=[0, 50, 100], xlim=(-0.6, 1.6))
    bars_axes.set_xticks([0, 1], ["teacher", "student"], fontsize=11)

    def update(pair: str) -> str:
        now = pairs[pair]
        image.set_data(now.pixels)
        name.set_text(f"pair {pair}")
        cells.set_data(now.confusion)
        line.set_data(range(1, epochs + 1), now.loss)
        for bar, number, share in zip(bars, numbers, (now.teacher, now.student), strict=True):
            bar.set_height(100 * share)
            high = share > 0.3  # then the number stands within its bar, where the dashed line crosses no digit
            number.set_position((bar.get_x() + bar.get_width() / 2, 50 * share - 5 if high else 100 * share + 2))
            number.set_color("white" if high and bar is bars[0] else "black")  # the teacher's bar is dark
            number.set_text(f"{100 * share:.0f}")
        sure = ", ".join(f"{classes[k]}: {classes[int(row.argmax())]} {row.max():.0%}" for k, row in enumerate(now.confusion))
        return (
            f"pair {pair}: right: teacher {now.teacher:.1%}, student {now.student:.1%}, a student on labels "
            f"{labels_alone:.1%}; soft loss {now.loss[0]:.3g} after the first epoch, {now.loss[-1]:.3g} after the last; "
            f"what the teacher mostly names, by label: {sure}"
        )

    return figure, update
