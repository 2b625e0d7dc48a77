"""The figures of notebook 03. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it.

v are the teacher's logits, z the student's, (rows, num_classes). With T² is the light blue of the distilled student, solid or
wide; without it is the highlight, dashed or narrow; what holds in the limit of high T is grey and dotted.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from torch import Tensor

from course_lib import soft_gradients
from course_lib.figures import parts
from course_lib.figures.parts import signed, temperature_text
from course_lib.figures.style import BEHIND, COLOURS, MARKERS, StaticFigure, log_axis, percent, styled
from course_lib.losses import soft_targets
from course_lib.soft_gradients import gradient_slope, hard_gradient, mean_norm, size_curve, soft_gradient, soft_shares

WITH = {"color": COLOURS["distilled"], "linestyle": "-"}
WITHOUT = {"color": COLOURS["highlight"], "linestyle": "--"}
LIMIT = {"color": COLOURS["quiet"], "linestyle": ":", "linewidth": 2}
TEMPERATURES = (1, 100)  # the ends of every axis on which T stands
SIZES = (0.1, 0.2, 0.5, 1, 2, 5, 10)  # on the axis of the gradient against its limit
LEGEND_ABOVE = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1), "columnspacing": 1.2}  # nothing moves beneath it there


# ---- one row of logits ----


class GradientNumbers(NamedTuple):
    """One row at T: the probabilities of teacher and student, and the gradient with T² and without it, class by class."""

    p: list[float]
    q: list[float]
    with_t2: list[float]
    without_t2: list[float]


def gradient_numbers(v: Tensor, z: Tensor, T: float) -> GradientNumbers:
    """Return what `live_gradient` shows of v and z, (num_classes,), at T."""
    with_t2 = soft_gradient(z, v, T).tolist()
    p, q = (soft_targets(logits, T).tolist() for logits in (v, z))
    return GradientNumbers(p, q, with_t2, [entry / T**2 for entry in with_t2])


def short(number: float) -> str:
    """Write a number with three digits after the point, or with as many as it takes to see that it is not 0."""
    return signed(number, 3 if abs(number) >= 0.0005 or number == 0 else math.ceil(-math.log10(abs(number))))


@styled
def live_gradient(v: Sequence[float], z: Sequence[float]) -> tuple[Figure, Callable]:
    """Draw one row of logits as probabilities, and its gradient with and without T²: (figure, update(T))."""
    v, z = (torch.as_tensor(logits, dtype=torch.float64) for logits in (v, z))
    classes, limit = range(len(v)), soft_gradients.soft_gradient_limit(z, v).tolist()
    figure = Figure(figsize=(8.8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.75])
    styles = {"teacher p": parts.filled("teacher"), "student q": parts.outlined("distilled")}
    probabilities = parts.paired_bars(left, len(v), styles, width=0.33)
    left.set(ylim=(0, 1), ylabel="probability at T")
    at_1 = gradient_numbers(v, z, 1).with_t2
    gradients, at = [], []
    for label, key, shift, width in (("with T²", "distilled", -0.2, 0.36), ("without T²", "highlight", 0.22, 0.2)):
        where = [k + shift for k in classes]
        ghosts = right.bar(where, at_1, width, facecolor="none", edgecolor="#777777", linewidth=1, linestyle=(0, (3, 2)))
        ghosts.set_label(f"{label} at T = 1")
        gradients.append(right.bar(where, [0] * len(v), width, color=COLOURS[key], label=label))
        at += [(f"{label} at class {k + 1}", x) for k, x in enumerate(where)]
    limits = right.plot([k - 0.45 for k in classes], limit, ">", color=LIMIT["color"], label="limit of T → ∞")
    numbers = [right.text(0, 0, "", ha="center", fontsize=11, clip_on=True, gid=name) for name, _ in at]
    top = 1.4 * max(map(abs, [*limit, *at_1]))
    right.axhline(0, color="#444444", linewidth=1)
    right.set(ylim=(-top, top), ylabel="gradient with respect to z")
    right.spines["bottom"].set_visible(False)
    for axes in (left, right):
        axes.set_xticks(classes, [f"class {k + 1}" for k in classes])
        axes.tick_params(bottom=False)
        axes.set_xlim(-0.6, len(v) - 0.4)
    state = left.text(0.97, 0.97, "", ha="right", va="top", fontsize=14, transform=left.transAxes, gid="T", clip_on=True)
    left.legend(ncols=2, handlelength=1.4, **LEGEND_ABOVE)
    right.legend(handles=[*gradients, ghosts, *limits], labels=["with T²", "without", "at T = 1", "limit"], ncols=4,
                 handlelength=1.4, **LEGEND_ABOVE)  # fmt: skip

    def update(T: float = 1.0) -> str:
        shown = gradient_numbers(v, z, T)
        state.set_text(temperature_text(T))
        for bars, values in zip((*probabilities, *gradients), shown, strict=True):
            parts.set_bars(bars, values)
        values = shown.with_t2 + shown.without_t2
        for number, (_, x), value, ghost in zip(numbers, at, values, at_1 + at_1, strict=True):
            number.set_text(signed(value) if abs(value) >= 0.0005 else "≈ 0")
            end = max(abs(value), abs(ghost)) + 0.04 * top  # beyond the dashed line, too
            number.set_position((x, math.copysign(end, value)))
            number.set_va("bottom" if value >= 0 else "top")
        with_t2, without, ends = (", ".join(map(short, row)) for row in (shown.with_t2, shown.without_t2, limit))
        return f"{temperature_text(T)}. Gradient with T²: {with_t2}; without: {without}; limit: {ends}"

    return figure, update


# ---- size and slope ----


@styled
def live_slope(pairs: Callable[[int, float], tuple[Tensor, Tensor]]) -> tuple[Figure, Callable]:
    """Draw the gradient's size against its limit, and its slope, along T: (figure, update(T, scale, num_classes, distance)).

    pairs(num_classes, distance): (v, z), each (rows, num_classes), at scale 1, the student that far from the teacher. The
    curve is computed once for each pair of arguments.
    """
    # For scales from 0.4 to 12 it runs from one end of the axis to the other.
    ends = math.log10(TEMPERATURES[0] / 12), math.log10(TEMPERATURES[1] / 0.4)
    relative = torch.logspace(*ends, 90, dtype=torch.float64)

    @functools.cache
    def curve(num_classes: int, distance: float) -> soft_gradients.SizeCurve:
        v, z = pairs(num_classes, distance)
        return size_curve(z, v, relative)

    figure = Figure(figsize=(8.9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set_title("size of the gradient with T², against its limit", fontsize=12)
    left.axhline(1, **LIMIT)
    (line_with,) = left.plot([1], [1], gid="with T²", **WITH)
    point_size = _point(left, "distilled", 11, "size now")
    log_axis(left.yaxis, SIZES, words=lambda size: f"{size:g} ×")
    left.set(ylim=(SIZES[0], SIZES[-1]))
    right.set_title("slope without T²: −2 if the argument holds", fontsize=12)
    right.axhline(-2, **LIMIT)
    (line_slope,) = right.plot([1], [1], gid="slopes", **WITHOUT)
    point_slope = _point(right, "highlight", 11, "slope now")
    right.set(ylim=(-4, -0.5), yticks=[-4, -3, -2, -1])
    readings = [
        axes.text(0.97, height, "", fontsize=14, gid=gid, transform=axes.transAxes, ha="right", va="center", clip_on=True)
        for axes, height, gid in ((left, 0.08, "size in words"), (right, 0.08, "slope in words"))
    ]
    state = left.text(0.97, 0.93, "", fontsize=12, gid="state", transform=left.transAxes, ha="right", va="center", clip_on=True)
    for axes in (left, right):
        _temperature_axis(axes)
        axes.grid(axis="y")

    def update(T: float = 1.0, scale: float = 3.0, num_classes: int = 10, distance: float = 0.5) -> str:
        temperatures, sizes, slopes, limit = curve(num_classes, distance).scaled(scale)
        v, z = (scale * logits for logits in pairs(num_classes, distance))
        line_with.set_data(temperatures, sizes / limit)
        line_slope.set_data(temperatures, slopes)
        relative, slope = mean_norm(soft_gradient(z, v, T)) / limit, gradient_slope(z, v, T)
        point_size.set_data([T], [relative])
        point_slope.set_data([T], [slope])
        shown = f"{relative:.2f} × the limit", f"slope {signed(slope, 2)}"
        for reading, words in zip(readings, shown, strict=True):
            reading.set_text(words)
        state.set_text(f"{num_classes:,} classes, scale {scale:.3g}")
        return (
            f"{temperature_text(T)}, scale {scale:.3g}, {num_classes} classes, distance {distance:.2f}. "
            f"Size of the gradient with T²: {shown[0]}; without T²: {shown[1]}"
        )

    return figure, update


@styled
def plot_gradient_sizes(v: Tensor, students: dict[str, Tensor]) -> StaticFigure:
    """Draw the size of the gradient with T² against T, for the logits (rows, num_classes) of each of up to three students."""
    figure = Figure(figsize=(8.6, 4.4), layout="constrained")
    axes, lines, marked = figure.subplots(), [], [1, 4, 20, 100]
    grid = _temperatures(41)
    for (name, z), dashes, marker in zip(students.items(), ("-", "--", "-."), ("^", "v", "P"), strict=False):
        sizes = {T: mean_norm(soft_gradient(z, v, T)) for T in (*grid, 4, 20)}
        limit = mean_norm(soft_gradients.soft_gradient_limit(z, v))
        axes.plot(grid, [sizes[T] for T in grid], color=COLOURS["distilled"], linestyle=dashes)
        axes.axhline(limit, zorder=1, **LIMIT)
        axes.plot(marked, [sizes[T] for T in marked], marker, color=COLOURS["distilled"], markersize=9)
        for T in (1, 4, 20):
            axes.text(T * 1.04, sizes[T] * 0.93, f"{sizes[T]:.2f}", va="top", fontsize=11, bbox=BEHIND)
        axes.text(116, sizes[100.0], name, va="center", clip_on=False)
        shown = ", ".join(f"{sizes[T]:.2f} at T = {T}" for T in (1, 4, 20))
        lines.append(f"{name}: {shown}, limit {limit:.2f}")
    _temperature_axis(axes)
    log_axis(axes.yaxis, [0.1, 0.2, 0.5, 1, 2, 4])
    axes.set(ylim=(0.1, 4), ylabel="size of T (q − p)")
    axes.grid(axis="y")
    axes.set_title("dotted: the limit of T → ∞", color="#555555", fontsize=11)
    return StaticFigure(figure, "Size of the gradient with T². " + "; ".join(lines))


# ---- soft against hard ----


@styled
def live_balance(v: Tensor, students: dict[str, Tensor], labels: Tensor) -> tuple[Figure, Callable]:
    """Draw the soft term's fraction of the gradient against T, with and without T²: (figure, update(T, alpha, student)).

    The curves end at T: what lies ahead can be guessed.
    v, and the logits of each student: (rows, num_classes); labels: (rows,).
    """
    grid = _temperatures(61)
    soft = {name: [mean_norm(soft_gradient(z, v, T)) for T in grid] for name, z in students.items()}
    hard = {name: mean_norm(hard_gradient(z, labels)) for name, z in students.items()}
    figure = Figure(figsize=(8.2, 3.8), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=[1, 0.24])
    beside.axis("off")
    lines = [axes.plot([1], [0], gid=gid, **style)[0] for gid, style in (("with T²", WITH), ("without T²", WITHOUT))]
    (line_alpha,) = axes.plot(TEMPERATURES, [0, 0], gid="α", zorder=1, **LIMIT)
    (line_T,) = axes.plot([1, 1], [0, 1], color=COLOURS["quiet"], linewidth=1, zorder=1, gid="T")
    points = [_point(axes, key, 12, f"now {kind} T²") for key, kind in (("distilled", "with"), ("highlight", "without"))]
    numbers = []
    for kind, dashes, marker, height, key in (
        ("with", "solid", "▲", 0.76, "teacher"),
        ("without", "dashed", "✖", 0.36, "highlight"),
    ):
        beside.text(0, height + 0.1, f"{marker} {kind} T²\n({dashes})", va="bottom", linespacing=1.3, color=COLOURS[key])
        numbers.append(beside.text(0, height, "", fontsize=17, va="center", clip_on=True, gid=f"share {kind} T²"))
    beside.text(0, 0.1, "α (dotted)", color="#555555")
    _temperature_axis(axes)
    axes.set(ylim=(-0.03, 1), ylabel="soft term's fraction of the gradient")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.grid(axis="y")

    def update(T: float = 1.0, alpha: float = 0.5, student: str = next(iter(students))) -> str:
        now = soft_shares(mean_norm(soft_gradient(students[student], v, T)), hard[student], T, alpha)
        along = [soft_shares(size, hard[student], at, alpha) for at, size in zip(grid, soft[student], strict=True)]
        for line, shares, last in zip(lines, zip(*along, strict=True), now, strict=True):
            line.set_data(*parts.up_to(T, grid, shares, last))
        line_alpha.set_ydata([alpha, alpha])
        line_T.set_xdata([T, T])
        for point, number, share in zip(points, numbers, now, strict=True):
            point.set_data([T], [share])
            number.set_text(percent(share))
        return (
            f"{student}, {temperature_text(T)}, α = {alpha:.2f}. The soft term's fraction of the gradient: "
            f"{percent(now[0])} with T², {percent(now[1])} without"
        )

    return figure, update


def _point(axes: Axes, key: str, size: float, gid: str) -> Line2D:
    return axes.plot([1], [1], MARKERS[key], color=COLOURS[key], markeredgecolor="white", markersize=size, gid=gid)[0]


def _temperatures(n: int) -> list[float]:
    return torch.logspace(*map(math.log10, TEMPERATURES), n, dtype=torch.float64).tolist()


def _temperature_axis(axes: Axes) -> None:
    parts.temperature_axis(axes.xaxis, *TEMPERATURES, ticks=[1, 2, 4, 8, 20, 50, 100])
