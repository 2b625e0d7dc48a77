"""The figures of notebook 06. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.figures.parts import class_bars, draw_runs, set_bars, show_image, temperature_axis
from course_lib.figures.style import COLOURS, StaticFigure, percent, styled
from course_lib.losses import soft_targets
from course_lib.metrics import entropy_bits

PROGRESS = [k / 100 for k in range(101)]
HIGHEST = 8
# A line for each kind of schedule: told apart by dashes, since none of them is one of the models that colours stand for.
LINES = ("-", "--", "-.", ":")
NOW = {"marker": "o", "linestyle": "none", "color": COLOURS["highlight"], "markersize": 11, "markeredgecolor": "white"}
GREY_POINTS = {"color": "#B0B0B0", "marker": "o", "s": 16, "linewidths": 1, "alpha": 1}


class ScheduleNumbers(NamedTuple):
    """The temperatures of all kinds of schedules at one progress, and the teacher's output at that of one of them."""

    temperatures: dict[str, float]
    T: float
    p: list[float]  # (num_classes,), in the order of the logits
    bits: float  # the entropy of p


def schedule_numbers(schedules: dict[str, Callable], v: Tensor, progress: float, kind: str) -> ScheduleNumbers:
    """Return the numbers of `live_schedules` at this progress; schedules: kind -> a function of progress."""
    temperatures = {name: schedule(progress) for name, schedule in schedules.items()}
    p = soft_targets(v, temperatures[kind])
    return ScheduleNumbers(temperatures, temperatures[kind], p.tolist(), entropy_bits(p).item())


@styled
def live_schedules(
    kinds: dict[str, Callable], logits: Tensor, classes: Sequence[str], pixels, label: int
) -> tuple[Figure, Callable]:
    """Draw schedules from `start` to `end`, and a teacher's output at the temperature that one of them has now.

    kinds: name -> a function of start and end, both up to HIGHEST, that gives a schedule. logits: (num_classes,), of one
    image; pixels: that image, (28, 28) in [0, 1]; label: its class. Gives (figure, update(start, end, progress, kind)).
    """
    v, order = logits.sort(descending=True)
    names = [classes[int(k)] for k in order]
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.4, 0.42, 1])
    show_image(middle, np.asarray(pixels)).set_gid("image")
    middle.set_xlabel(f"label:\n{classes[label]}", fontsize=12)
    curves = {
        name: left.plot(PROGRESS, [1] * len(PROGRESS), line, color=COLOURS["truth"], linewidth=1.8, label=name)[0]
        for name, line in zip(kinds, LINES, strict=False)
    }
    here = left.axvline(0, gid="progress", color=COLOURS["quiet"], linewidth=1, zorder=1)
    (point,) = left.plot([0], [1], gid="T now", **NOW)
    temperature_axis(left.yaxis, 1 / 2, HIGHEST, margin=1.2)
    left.set(xlim=(-0.02, 1.02), xlabel="progress (thick, with the dot: your choice)", xticks=[0, 0.25, 0.5, 0.75, 1])
    left.grid(axis="y")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handlelength=2.6)
    bars, numbers = class_bars(right, names, numbers=3)
    right.set(xlim=(0, 1.4), xticks=[0, 0.5, 1])
    right.set_xlabel("probability at the dot's T", x=0.5 / 1.4)  # below the numbers of the axis, not below all of its room
    right.spines["bottom"].set_bounds(0, 1)  # the room beyond is for the numbers
    right.set_title("the teacher's output", fontsize=12)

    def update(start: float = 5.0, end: float = 1.0, progress: float = 0.0, kind: str = next(iter(kinds))) -> str:
        schedules = {name: make(start, end) for name, make in kinds.items()}
        now = schedule_numbers(schedules, v, progress, kind)
        for name, curve in curves.items():
            curve.set_ydata([schedules[name](step) for step in PROGRESS])
            curve.set_linewidth(3 if name == kind else 1.4)
        here.set_xdata([progress, progress])
        point.set_data([progress], [now.T])
        set_bars(bars, now.p)
        for number, value in zip(numbers, now.p, strict=False):
            number.set(x=value, text=f" {percent(value)}")
        temperatures = ", ".join(f"{name} {T:.3f}" for name, T in now.temperatures.items())
        return (
            f"From {start:.3g} to {end:.3g}, at progress {progress:.2f}: {temperatures}. With the {kind} one T = {now.T:.3f}, "
            f"the teacher says {names[0]} {percent(now.p[0])}, {names[1]} {percent(now.p[1])}, {now.bits:.2f} bits"
        )

    return figure, update


@styled
def plot_candidates(results: dict[str, dict[str, Sequence[float]]], references: dict[str, str], ylabel: str) -> StaticFigure:
    """Draw a panel for each setting: every run as its difference from the run of the same seed under its reference.

    results: setting -> candidate -> values, one a seed, in the same order; references: setting -> the candidate at zero;
    ylabel: what is drawn, and where it is better. The panels share their y axis.
    """
    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    widths = [len(by_name) for by_name in results.values()]
    panels, texts = figure.subplots(1, len(results), squeeze=False, sharey=True, width_ratios=widths)[0], []
    for axes, (setting, by_name) in zip(panels, results.items(), strict=True):
        reference = references[setting]
        pairs = {name: differences(values, by_name[reference]) for name, values in by_name.items() if name != reference}
        axes.axhline(0, color=COLOURS["truth"], linewidth=1)
        intervals = draw_runs(
            axes, [i + 0.12 for i in range(len(pairs))], pairs.values(), "distilled", points_at=-0.26, spread=0.14,
            points=GREY_POINTS, markeredgecolor="black", markeredgewidth=0.6, ecolor=COLOURS["teacher"],
        )  # fmt: skip
        axes.set_xticks(range(len(pairs)), pairs)
        axes.set_xlim(-0.5, len(pairs) - 0.5)
        axes.set_title(f"{setting}; 0 is {reference}")
        axes.grid(axis="y")
        named = ", ".join(f"{name} {interval}" for name, interval in zip(pairs, intervals, strict=True))
        texts.append(f"{setting}, {ylabel}, against {reference}, mean and 95 % interval: {named}")
    panels[0].set_ylabel(ylabel)
    drawn = [panels[0].collections[0], panels[0].containers[0]]
    figure.legend(drawn, ["one seed", "mean and 95 % interval"], loc="outside lower center", ncols=2)
    return StaticFigure(figure, ". ".join(texts))


def differences(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return value minus other, seed by seed."""
    return [value - other for value, other in zip(values, others, strict=True)]
