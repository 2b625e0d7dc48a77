"""The figures of notebook 03. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it.

v are the teacher's logits, z the student's, (rows, num_classes). With T² is the light blue of the distilled student, solid;
without it is the highlight, dashed; what holds in the limit of high T is grey and dotted.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
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
KINDS = ("with", "without")
TEMPERATURES = (1, 100)  # the ends of every axis on which T stands
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


@styled
def live_gradient(v: Sequence[float], z: Sequence[float]) -> tuple[Figure, Callable]:
    """Draw one row of logits as probabilities, and its gradient with and without T²: (figure, update(T))."""
    v, z = (torch.as_tensor(logits, dtype=torch.float64) for logits in (v, z))
    classes, limit = range(len(v)), soft_gradients.soft_gradient_limit(z, v).tolist()
    figure = Figure(figsize=(8.8, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.75])
    styles = {"teacher p": parts.filled("teacher"), "student q": parts.outlined("distilled")}
    probabilities = parts.paired_bars(left, len(v), styles, width=0.33)
    left.set(ylim=(0, 1.05), ylabel="probability at T")
    styles = {"with T²": parts.filled("distilled"), "without T²": parts.outlined("highlight")}
    gradients = parts.paired_bars(right, len(v), styles, distance=0.46, width=0.4)
    right.plot([k - 0.5 for k in classes], limit, ">", color=LIMIT["color"], label="limit of T → ∞")
    at = [(f"{label} at class {k + 1}", k + shift) for label, shift in zip(styles, (-0.23, 0.23), strict=True) for k in classes]
    numbers = [right.text(0, 0, "", ha="center", fontsize=11, clip_on=True, gid=name) for name, _ in at]
    top = 1.5 * max(map(abs, limit))
    right.axhline(0, color="#444444", linewidth=1)
    right.set(ylim=(-top, top), ylabel="gradient with respect to z")
    right.spines["bottom"].set_visible(False)
    for axes in (left, right):
        axes.set_xticks(classes, [f"class {k + 1}" for k in classes])
        axes.tick_params(bottom=False)
        axes.set_xlim(-0.65, len(v) - 0.4)
        axes.legend(ncols=2 if axes is left else 3, handlelength=1.4, **LEGEND_ABOVE)

    def update(T: float = 1.0) -> str:
        shown = gradient_numbers(v, z, T)
        for bars, values in zip((*probabilities, *gradients), shown, strict=True):
            parts.set_bars(bars, values)
        for number, (_, x), value in zip(numbers, at, shown.with_t2 + shown.without_t2, strict=True):
            number.set_text(signed(value))
            number.set_position((x, value + 0.03 * top if value >= 0 else value - 0.04 * top))
            number.set_va("bottom" if value >= 0 else "top")
        with_t2, without, ends = (", ".join(map(signed, row)) for row in (shown.with_t2, shown.without_t2, limit))
        return f"{temperature_text(T)}. Gradient with T²: {with_t2}; without: {without}; limit: {ends}"

    return figure, update


# ---- size and slope ----


@styled
def live_slope(pairs: Callable[[int, float], tuple[Tensor, Tensor]]) -> tuple[Figure, Callable]:
    """Draw the size of the gradient against T, and its slope: (figure, update(T, scale, num_classes, distance)).

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

    figure = Figure(figsize=(8.9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    (line_with,) = left.plot([1], [1], label="with T²", **WITH)
    (line_without,) = left.plot([1], [1], label="without T²", **WITHOUT)
    limits = [
        left.plot(TEMPERATURES, [1, 1], zorder=1, label=label, gid=f"limit {kind} T²", **LIMIT)[0]
        for kind, label in (("with", "limit of T → ∞"), ("without", None))
    ]
    (tangent,) = left.plot([1], [1], color=COLOURS["truth"], linewidth=1.2, label="slope at T")
    points = _points(left, 11)
    _temperature_axis(left)
    left.set(yscale="log", ylim=(1e-7, 30), ylabel="size of the gradient")
    left.yaxis.set_minor_locator(NullLocator())
    left.legend(ncols=2, handlelength=2.2, **LEGEND_ABOVE)

    right.axhline(-2, **LIMIT)
    right.set_title("dotted: −2, the limit", color="#555555", fontsize=11)
    (line_slope,) = right.plot([1], [1], gid="slopes", **WITHOUT)
    point_slope = _point(right, "highlight", 11, "slope now")
    where = {"transform": right.transAxes, "ha": "right", "va": "top", "clip_on": True}
    reading = right.text(0.97, 0.97, "", fontsize=14, gid="reading", **where)
    _temperature_axis(right)
    right.set(ylim=(-4.1, -0.4), ylabel="slope without T²")

    def update(T: float = 1.0, scale: float = 1.0, num_classes: int = 10, distance: float = 0.5) -> str:
        temperatures, sizes, slopes, limit = curve(num_classes, distance).scaled(scale)
        v, z = (scale * logits for logits in pairs(num_classes, distance))
        line_with.set_data(temperatures, sizes)
        line_without.set_data(temperatures, sizes / temperatures**2)
        line_slope.set_data(temperatures, slopes)
        limits[0].set_ydata([limit, limit])
        limits[1].set_ydata([limit / at**2 for at in TEMPERATURES])
        size, slope = mean_norm(soft_gradient(z, v, T)), gradient_slope(z, v, T)
        points[0].set_data([T], [size])
        points[1].set_data([T], [size / T**2])
        point_slope.set_data([T], [slope])
        around = [T / 2.5, T * 2.5]
        tangent.set_data(around, [size / T**2 * (at / T) ** slope for at in around])
        reading.set_text(f"slope {signed(slope, 2)} at {temperature_text(T)}")
        return (
            f"{temperature_text(T)}, scale {scale:.3g}, {num_classes} classes, distance {distance:.2f}. Size of the gradient "
            f"with T²: {size:.3g} (limit {limit:.3g}); without: {size / T**2:.3g}; slope without T²: {signed(slope, 2)}"
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
    """Draw the soft term's share of the gradient against T, with and without T²: (figure, update(T, alpha, student)).

    v, and the logits of each student: (rows, num_classes); labels: (rows,).
    """
    grid = _temperatures(61)
    soft = {name: [mean_norm(soft_gradient(z, v, T)) for T in grid] for name, z in students.items()}
    hard = {name: mean_norm(hard_gradient(z, labels)) for name, z in students.items()}
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    lines = [axes.plot([1], [0], label=label, **style)[0] for label, style in (("with T²", WITH), ("without T²", WITHOUT))]
    (line_alpha,) = axes.plot(TEMPERATURES, [0, 0], label="α", zorder=1, **LIMIT)
    (line_T,) = axes.plot([1, 1], [0, 1], color=COLOURS["quiet"], linewidth=1, zorder=1, gid="T")
    points = _points(axes, 12)
    numbers = [axes.text(1, 0, "", fontsize=13, bbox=BEHIND, clip_on=True, gid=f"share {kind} T²") for kind in KINDS]
    _temperature_axis(axes)
    axes.set(ylim=(-0.04, 1.08), ylabel="soft term's share of the gradient")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.grid(axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

    def update(T: float = 1.0, alpha: float = 0.5, student: str = next(iter(students))) -> str:
        now = soft_shares(mean_norm(soft_gradient(students[student], v, T)), hard[student], T, alpha)
        along = [soft_shares(size, hard[student], at, alpha) for at, size in zip(grid, soft[student], strict=True)]
        for line, shares in zip(lines, zip(*along, strict=True), strict=True):
            line.set_data(grid, shares)
        line_alpha.set_ydata([alpha, alpha])
        line_T.set_xdata([T, T])
        leftwards = T > 40
        for point, number, share, above in zip(points, numbers, now, (True, now[1] < 0.12), strict=True):
            point.set_data([T], [share])
            number.set_text(percent(share))
            number.set_position((T / 1.1 if leftwards else T * 1.1, share + (0.03 if above else -0.03)))
            number.set_va("bottom" if above else "top")
            number.set_ha("right" if leftwards else "left")
        return (
            f"{student}, {temperature_text(T)}, α = {alpha:.2f}. The soft term's share of the gradient: "
            f"{percent(now[0])} with T², {percent(now[1])} without"
        )

    return figure, update


def _points(axes: Axes, size: float) -> list[Line2D]:
    """Draw the points of the present T, with T² and without, named "now with T²" and "now without T²"."""
    return [_point(axes, key, size, f"now {kind} T²") for key, kind in (("distilled", "with"), ("highlight", "without"))]


def _point(axes: Axes, key: str, size: float, gid: str) -> Line2D:
    return axes.plot([1], [1], MARKERS[key], color=COLOURS[key], markeredgecolor="white", markersize=size, gid=gid)[0]


def _temperatures(n: int) -> list[float]:
    return torch.logspace(*map(math.log10, TEMPERATURES), n, dtype=torch.float64).tolist()


def _temperature_axis(axes: Axes) -> None:
    parts.temperature_axis(axes.xaxis, *TEMPERATURES, ticks=[1, 2, 4, 8, 20, 50, 100])
