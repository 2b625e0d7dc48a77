"""The symptoms of training loops that run without an error and are wrong. A figure of notebook 05."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from course_lib.figures.parts import class_bars, set_bars, show_image
from course_lib.figures.style import COLOURS, MARKERS, clip_to, log_axis, percent, styled


class Recording(NamedTuple):
    """A run of a training loop, step by step.

    soft_targets: (steps, num_classes), of one image at each step. loss: of each step. marks: the steps (counted from 1,
    in order, the first being 1) after which the accuracies `student` and `teacher`, in [0, 1], were measured. kept: the
    bytes that one step keeps for the backward pass.
    """

    soft_targets: Tensor
    loss: list[float]
    marks: list[int]
    student: list[float]
    teacher: list[float]
    kept: int


class Observation(NamedTuple):
    """The numbers of one step of a `Recording`. mark: the last step at which the accuracies were measured."""

    soft_target: list[float]
    loss: float
    mark: int
    student: float
    teacher: float


def observe(recording: Recording, step: int) -> Observation:
    """Return what was recorded of a step, counted from 1."""
    last = bisect_right(recording.marks, step) - 1
    accuracies = recording.student[last], recording.teacher[last]
    return Observation(recording.soft_targets[step - 1].tolist(), recording.loss[step - 1], recording.marks[last], *accuracies)


@styled
def live_symptoms(pixels, label: int, loops: dict[str, Recording], classes: Sequence[str]) -> tuple[Figure, Callable]:
    """Show what can be observed of training loops, one at a time: (figure, update(loop, step)).

    pixels: (28, 28), the image whose soft target is shown; label: its class; loops: name -> what was recorded.
    """
    steps, most = len(next(iter(loops.values())).loss), max(recording.kept for recording in loops.values()) / 1e6
    figure = Figure(figsize=(8.9, 4.2), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[0.62, 1.25, 1.9])
    image_axes, meter, bars_axes = (figure.add_subplot(cell) for cell in (grid[0, 0], grid[1, 0], grid[:, 1]))
    upper, lower = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    show_image(image_axes, np.asarray(pixels)).set_gid("image")
    image_axes.set_xlabel(f"label:\n{classes[label]}", fontsize=12)
    letter = image_axes.text(
        0.5, 1.05, "loop", ha="center", fontsize=15, weight="bold", transform=image_axes.transAxes, gid="loop"
    )
    clip_to(letter, (-0.2, 1.01, 1.2, 1.35))
    level, reading = _draw_meter(meter, most)
    bars, numbers = class_bars(bars_axes, classes, numbers=len(classes), height=0.7, label="soft target")
    bars_axes.set(xlim=(0, 1.42), xticks=[0, 0.5, 1], xlabel="probability (orange: range so far)")
    bars_axes.spines["bottom"].set_bounds(0, 1)  # the room beyond is for the numbers
    bars_axes.set_title("soft target of the image", fontsize=12)
    (ranges,) = bars_axes.plot([], [], "|-", color=COLOURS["highlight"], linewidth=1.5, markersize=6, gid="range so far")
    accuracies = _draw_accuracies(upper)
    (curve,) = lower.plot([], [], color=COLOURS["truth"], linewidth=1.5, gid="loss")
    (point,) = lower.plot([], [], MARKERS["truth"], color=COLOURS["truth"], gid="loss now")
    log_axis(lower.yaxis, [0.001, 0.01, 0.1, 1, 10, 100])
    lower.set(ylim=(1e-3, 100), xlabel="step", ylabel="soft loss")
    times = []
    for axes, gid in ((upper, "accuracies"), (lower, "loss")):
        times.append(axes.axvline(1, color=COLOURS["highlight"], linewidth=1.2, zorder=1, gid=f"step in {gid}"))
        axes.set_xlim(0, steps * 1.03)
        axes.grid(axis="y")

    def update(loop: str = next(iter(loops)), step: int = 1) -> str:
        recording, now, megabytes = loops[loop], observe(loops[loop], step), loops[loop].kept / 1e6
        letter.set_text(f"loop {loop}")
        set_bars(bars, now.soft_target)
        least, most_so_far = (
            each.values.tolist() for each in (recording.soft_targets[:step].min(0), recording.soft_targets[:step].max(0))
        )
        ranges.set_data(*_segments(least, most_so_far))
        for number, p, end in zip(numbers, now.soft_target, most_so_far, strict=True):
            number.set(text=f" {percent(p)}" if p >= 0.02 else "", x=end)
        varied = max(high - low for low, high in zip(least, most_so_far, strict=True))
        level.set_height(megabytes)
        reading.set(text=f"{megabytes:.1f} MB", y=megabytes)
        for name, line in accuracies.items():
            line.set_data(recording.marks, [100 * share for share in getattr(recording, name)])
        loss = np.maximum(recording.loss, 1e-9)  # a logarithmic axis has no 0
        curve.set_data(range(1, steps + 1), loss)
        point.set_data([step], [loss[step - 1]])
        for line in times:
            line.set_xdata([step, step])
        first = sorted(range(len(classes)), key=lambda k: -now.soft_target[k])[:3]
        told = ", ".join(f"{classes[k]} {percent(now.soft_target[k])}" for k in first)
        return (
            f"loop {loop}, step {step}: soft target of the image ({classes[label]}): {told}; "
            f"it varied by up to {percent(varied)} so far; soft loss {now.loss:.3g}; "
            f"right after step {now.mark}: student {percent(now.student)}, teacher {percent(now.teacher)}; "
            f"{megabytes:.1f} MB kept for the backward pass"
        )

    return figure, update


def _segments(lows: Sequence[float], highs: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the points of one line, broken between the rows, that goes from low to high in row 0, 1, 2, ..."""
    xs = [x for low, high in zip(lows, highs, strict=True) for x in (low, high, np.nan)]
    return xs, [y for row in range(len(lows)) for y in (row, row, np.nan)]


def _draw_meter(axes: Axes, most: float) -> tuple:
    """Draw a bar for megabytes, `most` at most: return it and its text."""
    (level,) = axes.bar([0], [0], 0.5, color=COLOURS["quiet"])
    level.set_gid("megabytes")
    reading = axes.text(0, 0, "", ha="center", va="bottom", fontsize=12, clip_on=True, gid="megabytes in words")
    axes.set(xlim=(-0.7, 0.7), ylim=(0, 1.2 * most), xticks=[], yticks=[], gid="meter")
    axes.set_xlabel("kept for the\nbackward pass", fontsize=11)
    axes.spines["left"].set_visible(False)
    return level, reading


def _draw_accuracies(axes: Axes) -> dict[str, Line2D]:
    lines = {
        name: axes.plot([], [], MARKERS[key] + dashes, color=COLOURS[key], markersize=6, label=name)[0]
        for name, key, dashes in (("teacher", "teacher", "-"), ("student", "distilled", "--"))
    }
    axes.set(ylim=(-3, 104), ylabel="right (%)")
    axes.tick_params(labelbottom=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncols=2)
    return lines
