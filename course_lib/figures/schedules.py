"""The figures of notebook 06. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.figures.parts import class_bars, draw_runs, set_bars, temperature_axis
from course_lib.figures.style import COLOURS, StaticFigure, percent, styled
from course_lib.losses import soft_targets
from course_lib.metrics import entropy_bits
from course_lib.soft_gradients import shares_by_rank

PROGRESS = [k / 100 for k in range(101)]
HIGHEST = 20
# A line for each kind of schedule: told apart by dashes, since none of them is one of the models that colours stand for.
LINES = ("-", "--", "-.", ":")
PARTS = ("the first class", "the second", "all others")
PART_COLOURS = (COLOURS["teacher"], COLOURS["highlight"], COLOURS["quiet"])
NOW = {"marker": "o", "linestyle": "none", "color": COLOURS["highlight"], "markersize": 11, "markeredgecolor": "white"}
GREY_POINTS = {"color": "#B0B0B0", "marker": "o", "s": 16, "linewidths": 1, "alpha": 1}
PART_LINES = (("-", "s"), ("--", "o"), (":", "v"))


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
def live_schedules(kinds: dict[str, Callable], logits: Tensor, classes: Sequence[str]) -> tuple[Figure, Callable]:
    """Draw schedules from `start` to `end`, and a teacher's output at the temperature that one of them has now.

    kinds: name -> a function of start and end that gives a schedule. logits: (num_classes,), of one image. Gives
    (figure, update(start, end, progress, kind)).
    """
    v, order = logits.sort(descending=True)
    names = [classes[int(k)] for k in order]
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    curves = {
        name: left.plot(PROGRESS, [1] * len(PROGRESS), line, color=COLOURS["truth"], linewidth=1.8, label=name)[0]
        for name, line in zip(kinds, LINES, strict=False)
    }
    here = left.axvline(0, gid="progress", color=COLOURS["quiet"], linewidth=1, zorder=1)
    (point,) = left.plot([0], [1], gid="T now", **NOW)
    temperature_axis(left.yaxis, 1 / 2, HIGHEST, margin=1.2)
    left.set(xlim=(-0.02, 1.02), xlabel="progress", xticks=[0, 0.25, 0.5, 0.75, 1])
    left.grid(axis="y")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(kinds), handlelength=2.2, columnspacing=1)
    bars, numbers = class_bars(right, names, numbers=3)
    right.set(xlim=(0, 1.22), xlabel="teacher's probability at this T", xticks=[0, 0.5, 1])

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
def live_weights(students: dict[str, tuple[Tensor, Tensor]], kinds: dict[str, Callable]) -> tuple[Figure, Callable]:
    """Draw what a schedule makes the student listen to: (figure, update(progress, kind, student)).

    students: name -> (v, z), logits (n, num_classes) of teacher and student. kinds: name -> a schedule.
    """
    temperatures = torch.logspace(0, math.log10(8), 60).tolist()
    along = {name: torch.stack([shares_by_rank(z, v, T) for T in temperatures]) for name, (v, z) in students.items()}
    figure = Figure(figsize=(8.8, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    curves, marks = [], []
    for name, colour, (line, marker) in zip(PARTS, PART_COLOURS, PART_LINES, strict=True):
        curves += left.plot(temperatures, [0] * len(temperatures), line, color=colour, label=name)
        marks += left.plot([1], [0], marker, color=colour, markersize=10, markeredgecolor="white", gid=f"{name} now")
    here = left.axvline(1, color=COLOURS["quiet"], linewidth=1, zorder=1, gid="T now")
    temperature_axis(left.xaxis, 1, 8, margin=1.075)
    left.set(ylim=(0, 0.85), ylabel="share of the gradient's size")
    left.grid(axis="y")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1.2)
    paths = {
        name: right.plot(PROGRESS, [make(step) for step in PROGRESS], line, color=COLOURS["truth"], linewidth=1.4, gid=name)[0]
        for (name, make), line in zip(kinds.items(), LINES, strict=False)
    }
    right.legend(paths.values(), paths, loc="upper right", fontsize=10)
    for path in paths.values():
        path.set_linewidth(0)  # else the first update would leave some as they are, and a later one draw the figure in full
    (point,) = right.plot([0], [1], gid="schedule now", **NOW)
    temperature_axis(right.yaxis, 1, 8, margin=1.1, label="T")
    right.set(xlim=(-0.03, 1.03), xlabel="progress", xticks=[0, 0.5, 1])
    right.grid(axis="y")

    def update(progress: float = 0.0, kind: str = next(iter(kinds)), student: str = next(iter(students))) -> str:
        T = kinds[kind](progress)
        v, z = students[student]
        shares = shares_by_rank(z, v, T).tolist()
        for part, (curve, mark, share) in enumerate(zip(curves, marks, shares, strict=True)):
            curve.set_ydata(along[student][:, part])
            mark.set_data([T], [share])
        here.set_xdata([T, T])
        for name, path in paths.items():
            path.set_linewidth(3 if name == kind else 1.4)
        point.set_data([progress], [T])
        shown = ", ".join(f"{name} {percent(share)}" for name, share in zip(PARTS, shares, strict=True))
        return f"{kind}, progress {progress:.2f}: T = {T:.3f}; {student}: the gradient pulls at {shown}"

    return figure, update


@styled
def plot_candidates(
    results: dict[str, dict[str, Sequence[float]]], references: dict[str, str], ylabels: dict[str, str]
) -> StaticFigure:
    """Draw a panel for each data set: every run as its difference from the run of the same seed under its reference.

    results: data set -> candidate -> values, one a seed, in the same order; references: data set -> the candidate at zero;
    ylabels: data set -> what is drawn, and where it is better.
    """
    figure = Figure(figsize=(8.8, 4.0), layout="constrained")
    panels, texts = figure.subplots(1, len(results), squeeze=False)[0], []
    for axes, (data, by_name) in zip(panels, results.items(), strict=True):
        reference = references[data]
        pairs = {name: differences(values, by_name[reference]) for name, values in by_name.items() if name != reference}
        axes.axhline(0, color=COLOURS["truth"], linewidth=1)
        intervals = draw_runs(
            axes, [i + 0.12 for i in range(len(pairs))], pairs.values(), "distilled", points_at=-0.26, spread=0.14,
            points=GREY_POINTS, markeredgecolor="black", markeredgewidth=0.6, ecolor=COLOURS["teacher"],
        )  # fmt: skip
        axes.set_xticks(range(len(pairs)), pairs, rotation=30, ha="right")
        axes.set(xlim=(-0.5, len(pairs) - 0.5), ylabel=ylabels[data])
        axes.set_title(f"{data}, against {reference}")
        axes.grid(axis="y")
        named = ", ".join(f"{name} {interval}" for name, interval in zip(pairs, intervals, strict=True))
        texts.append(f"{data}, {' '.join(ylabels[data].split())}, against {reference}, mean and 95 % interval: {named}")
    return StaticFigure(figure, ". ".join(texts))


def differences(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return value minus other, seed by seed."""
    return [value - other for value, other in zip(values, others, strict=True)]
