"""What notebook 06 draws. Data in, a `Picture` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.figures.experiments import apart
from course_lib.figures.style import COLOURS, MARKERS, Picture, percent, styled
from course_lib.figures.temperature import log2_axis
from course_lib.losses import soft_targets
from course_lib.metrics import entropy_bits, mean_interval

PROGRESS = [k / 100 for k in range(101)]
HIGHEST = 20
# A line for each kind of schedule: told apart by dashes, since none of them is one of the models that colours stand for.
LINES = ("-", "--", "-.", ":")
PARTS = ("the first class", "the second", "all others")
PART_COLOURS = (COLOURS["teacher"], COLOURS["highlight"], COLOURS["quiet"])
PART_LINES = (("-", "s"), ("--", "o"), (":", "v"))


@styled
def schedules_live(kinds: dict[str, Callable], logits: Tensor, classes: Sequence[str]) -> tuple[Figure, Callable]:
    """Schedules from `start` to `end`, and a teacher's output at the temperature that one of them has now.

    kinds: name -> a function of start and end that gives a schedule. logits: (num_classes,), of one image. Gives
    (figure, update(start, end, progress, kind)).
    """
    v, order = logits.sort(descending=True)
    names, num_classes = [classes[int(k)] for k in order], len(logits)
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    curves = {
        name: left.plot(PROGRESS, [1] * len(PROGRESS), line, color=COLOURS["truth"], linewidth=1.8, label=name)[0]
        for name, line in zip(kinds, LINES, strict=False)
    }
    here = left.axvline(0, color=COLOURS["quiet"], linewidth=1, zorder=1)
    (point,) = left.plot([0], [1], "o", color=COLOURS["highlight"], markersize=11, markeredgecolor="white")
    log2_axis(left.yaxis, 1 / 2, HIGHEST)
    left.set(
        xlim=(-0.02, 1.02),
        ylim=(0.42, HIGHEST * 1.2),
        xlabel="progress",
        ylabel="temperature $T$",
        xticks=[0, 0.25, 0.5, 0.75, 1],
    )
    left.grid(axis="y")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(kinds), handlelength=2.2, columnspacing=1)
    bars = right.barh(range(num_classes), [0] * num_classes, height=0.72, color=COLOURS["teacher"])
    # At the first three bars only: to draw words is the dearest part of a frame.
    numbers = [right.text(0, k, "", va="center", fontsize=11, clip_on=True) for k in range(3)]
    right.set(xlim=(0, 1.22), ylim=(num_classes - 0.5, -0.5), xlabel="teacher's probability at this $T$", xticks=[0, 0.5, 1])
    right.set_yticks(range(num_classes), names)
    right.spines["left"].set_visible(False)
    right.tick_params(left=False, labelsize=11)

    def update(start: float = 5.0, end: float = 1.0, progress: float = 0.0, kind: str = next(iter(kinds))) -> str:
        made = {name: make(start, end) for name, make in kinds.items()}
        for name, curve in curves.items():
            curve.set_ydata([made[name](step) for step in PROGRESS])
            curve.set_linewidth(3 if name == kind else 1.4)
        T = made[kind](progress)
        here.set_xdata([progress, progress])
        point.set_data([progress], [T])
        p = soft_targets(v, T)
        row = p.tolist()
        for bar, value in zip(bars, row, strict=True):
            bar.set_width(value)
        for number, value in zip(numbers, row, strict=False):
            number.set(x=value, text=f" {percent(value)}")
        temperatures = ", ".join(f"{name} {made[name](progress):.3f}" for name in made)
        return (
            f"From {start:.3g} to {end:.3g}, at progress {progress:.2f}: {temperatures}. With the {kind} one T = {T:.3f}, "
            f"the teacher says {names[0]} {percent(p[0].item())}, {names[1]} {percent(p[1].item())}, "
            f"{entropy_bits(p).item():.2f} bits"
        )

    return figure, update


def gradient_parts(v: Tensor, z: Tensor, T: float) -> Tensor:
    """Of the soft term's gradient T (q - p), the share that pulls at each part: (3,), adding up to 1.

    v, z: logits (n, num_classes). The parts are the teacher's first class of each row, its second, and all others; sizes
    are absolute values, summed over the rows.
    """
    order = v.argsort(dim=1, descending=True)
    size = (soft_targets(z, T) - soft_targets(v, T)).abs().gather(1, order).sum(0)
    return torch.stack([size[0], size[1], size[2:].sum()]) / size.sum()


@styled
def weights_live(students: dict[str, tuple[Tensor, Tensor]], kinds: dict[str, Callable]) -> tuple[Figure, Callable]:
    """What a schedule makes the student listen to: (figure, update(progress, kind, student)).

    students: name -> (v, z), logits (n, num_classes) of teacher and student. kinds: name -> a schedule.
    """
    temperatures = torch.logspace(0, math.log10(8), 60).tolist()
    along = {name: torch.stack([gradient_parts(v, z, T) for T in temperatures]) for name, (v, z) in students.items()}
    figure = Figure(figsize=(8.8, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    curves, marks = [], []
    for name, colour, (line, marker) in zip(PARTS, PART_COLOURS, PART_LINES, strict=True):
        curves += left.plot(temperatures, [0] * len(temperatures), line, color=colour, label=name)
        marks += left.plot([1], [0], marker, color=colour, markersize=10, markeredgecolor="white")
    here = left.axvline(1, color=COLOURS["quiet"], linewidth=1, zorder=1)
    log2_axis(left.xaxis, 1, 8)
    left.set(ylim=(0, 0.85), xlim=(0.93, 8.6), xlabel="temperature $T$", ylabel="share of the gradient's size")
    left.grid(axis="y")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1.2)
    paths = {
        name: right.plot(PROGRESS, [make(step) for step in PROGRESS], line, color=COLOURS["truth"], linewidth=1.4)[0]
        for (name, make), line in zip(kinds.items(), LINES, strict=False)
    }
    right.legend(paths.values(), paths, loc="upper right", fontsize=10)
    (point,) = right.plot([0], [1], "o", color=COLOURS["highlight"], markersize=11, markeredgecolor="white")
    log2_axis(right.yaxis, 1, 8)
    right.set(xlim=(-0.03, 1.03), ylim=(0.9, 8.8), xlabel="progress", ylabel="$T$", xticks=[0, 0.5, 1])
    right.grid(axis="y")

    def update(progress: float = 0.0, kind: str = next(iter(kinds)), student: str = next(iter(students))) -> str:
        T = kinds[kind](progress)
        shares = gradient_parts(*students[student], T).tolist()
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
def candidates(results: dict[str, dict[str, Sequence[float]]], references: dict[str, str], ylabels: dict[str, str]) -> Picture:
    """A panel for each data set: every run as its difference from the run of the same seed under its reference.

    results: data set -> candidate -> values, one a seed, in the same order; references: data set -> the candidate at zero;
    ylabels: data set -> what is drawn, and where it is better.
    """
    figure = Figure(figsize=(8.8, 4.0), layout="constrained")
    panels, texts = figure.subplots(1, len(results), squeeze=False)[0], []
    for axes, (data, by_name) in zip(panels, results.items(), strict=True):
        lines, reference = [], references[data]
        others = [name for name in by_name if name != reference]
        axes.axhline(0, color=COLOURS["truth"], linewidth=1)
        for i, name in enumerate(others):
            differences = [a - b for a, b in zip(by_name[name], by_name[reference], strict=True)]
            interval = mean_interval(differences)
            axes.plot([i - 0.14 + dx for dx in apart(len(differences))], differences, "o", color="#B0B0B0", markersize=4)
            axes.errorbar(
                i + 0.12, interval.mean, interval.half_width, fmt=MARKERS["distilled"], color=COLOURS["distilled"],
                markersize=9, capsize=5, markeredgecolor="black", markeredgewidth=0.6, ecolor=COLOURS["teacher"],
            )  # fmt: skip
            lines.append(f"{name} {interval}")
        axes.set_xticks(range(len(others)), others, rotation=30, ha="right")
        axes.set(xlim=(-0.5, len(others) - 0.5), ylabel=ylabels[data])
        axes.set_title(f"{data}, against {reference}")
        axes.grid(axis="y")
        texts.append(
            f"{data}, {' '.join(ylabels[data].split())}, against {reference}, mean and 95 % interval: " + ", ".join(lines)
        )
    return Picture(figure, ". ".join(texts))
