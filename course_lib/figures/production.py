"""The figures of notebook 07. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import offset_copy
from torch import Tensor

from course_lib.budget import Candidate, best_within
from course_lib.calibration import reliability
from course_lib.figures.parts import draw_runs
from course_lib.figures.style import BEHIND, COLOURS, MARKERS, StaticFigure, log_axis, styled
from course_lib.losses import soft_targets
from course_lib.metrics import Interval, mean_interval
from course_lib.sweeps import calibration_errors

LINES = {"teacher": "-.", "labels": "--", "distilled": "-"}
NAMES = {"labels": "student, labels", "distilled": "student, distilled"}
TEACHER = "the teacher"
ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # where a logarithmic axis has its ticks
HEADROOM = 1.32  # of the axes of calibration errors, for the legend

Means = Mapping[str, Mapping[int, Interval]]  # kind of student -> width -> accuracy in percent


@styled
def live_reliability(
    models: Mapping[str, Tensor], labels: Tensor, colours: Mapping[str, str], temperatures: Sequence[float], bins: int = 15
) -> tuple[Figure, Callable]:
    """Show the reliability diagram of one of several models at T, and the calibration error of all: (figure, update(model, T)).

    models: name -> logits (n, num_classes) for the same images with `labels`; colours: name -> a key of COLOURS;
    temperatures: where the curves on the right are computed.
    """
    figure = Figure(figsize=(8.8, 4.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1], height_ratios=[2.6, 1])
    left, below, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[:, 1])
    bars, gaps, shares = _draw_bins(left, below, bins)
    figure.align_ylabels([left, below])
    errors = {name: calibration_errors(logits, labels, temperatures, bins) for name, logits in models.items()}
    mark, line = _draw_errors(right, temperatures, errors, colours)

    def update(model: str = next(iter(models)), T: float = 1.0) -> str:
        found = reliability(soft_targets(models[model], T), labels, bins)
        error = 100 * found.expected_calibration_error
        confidences, accuracies = found.confidence.nan_to_num(0).tolist(), found.accuracy.nan_to_num(0).tolist()
        bars.set_facecolor(COLOURS[colours[model]])
        bars.set_data(accuracies)
        gaps.set_data(confidences, baseline=accuracies)
        shares.set_data(found.share.tolist())
        mark.set_data([T], [error])
        line.set_xdata([T, T])
        sure, right = (100 * (found.share * row).nansum().item() for row in (found.confidence, found.accuracy))
        return f"{model}, T = {T:.2f}: calibration error {error:.1f} %; mean confidence {sure:.1f} %, right on {right:.1f} %"

    return figure, update


def _draw_bins(upper: Axes, lower: Axes, bins: int) -> tuple:
    """Draw empty bins: return the artists of the accuracies, of the gaps to the confidence, and of the shares of images."""
    # One artist for all bars of a kind, and not one each: a frame takes a third of the time.
    edges, none = [k / bins for k in range(bins + 1)], [0.0] * bins
    bars = upper.stairs(none, edges, fill=True, facecolor=COLOURS["distilled"], gid="accuracies")
    gaps = upper.stairs(
        none, edges, fill=True, baseline=none, facecolor="none", edgecolor=COLOURS["highlight"], linewidth=1.2, hatch="////",
        gid="gaps",
    )  # fmt: skip
    upper.plot([0, 1], [0, 1], "--", color=COLOURS["truth"], linewidth=1.2)
    upper.set_title("hatched: the gap to the confidence", fontsize=12)
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), yticks=[0, 0.5, 1])
    upper.tick_params(labelbottom=False)
    shares = lower.stairs(none, edges, fill=True, facecolor=COLOURS["quiet"], gid="shares")
    lower.set(xlabel="largest probability at $T$", ylabel="images", xlim=(0, 1), ylim=(0, 1), yticks=[0, 1])
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    return bars, gaps, shares


def _draw_errors(
    axes: Axes, temperatures: Sequence[float], errors: Mapping[str, Sequence[float]], colours: Mapping[str, str]
) -> tuple[Line2D, Line2D]:
    """Draw calibration errors, in [0, 1], in percent against T: return the mark on a curve, and the line at T."""
    for name, values in errors.items():
        key = colours[name]
        axes.plot(temperatures, [100 * error for error in values], LINES[key], color=COLOURS[key], label=name)
    style = {"color": COLOURS["highlight"], "markersize": 11, "markeredgecolor": "white"}
    (mark,) = axes.plot([1], [0], "o", zorder=3, gid="error at T", **style)
    line = axes.axvline(1, ymax=1 / HEADROOM, color=COLOURS["quiet"], linewidth=1, zorder=1, gid="T")
    low, high, top = min(temperatures), max(temperatures), max(map(max, errors.values()))
    _round_ticks(axes.xaxis, low, high)
    axes.set(xlabel="temperature $T$", ylim=(0, 100 * HEADROOM * top), xlim=(low / 1.08, high * 1.08))
    axes.set_title("expected calibration error (%)", fontsize=12)
    axes.grid(axis="y")
    axes.legend(loc="upper center", frameon=True, framealpha=1, edgecolor="none")  # over the lines of the grid
    return mark, line


def candidates(times: Mapping[int | str, float], means: Means, teacher: float) -> list[Candidate]:
    """Return what could be shipped: the teacher, then the students, with microseconds an image and percents.

    times: a student's width, or "teacher" -> microseconds; teacher: its accuracy in percent.
    """
    students = [Candidate(f"{NAMES[kind]}, width {w}", times[w], by[w].mean) for kind, by in means.items() for w in by]
    return [Candidate(TEACHER, times["teacher"], teacher), *students]


@styled
def live_frontier(
    times: Mapping[str, Mapping[int | str, float]], accuracies: Mapping[str, Mapping[int, Sequence[float]]], teacher: float
) -> tuple[Figure, Callable]:
    """Show which model to ship within a budget: (figure, update(budget, how)), the budget in microseconds an image.

    times: how the models are run -> a student's width, or "teacher" -> microseconds an image; accuracies: "labels" or
    "distilled" -> width -> percents, one a seed; teacher: its accuracy in percent.
    """
    means = {kind: {width: mean_interval(values) for width, values in by.items()} for kind, by in accuracies.items()}
    figure = Figure(figsize=(8.8, 4.6), layout="constrained")
    upper, lower = panels = figure.subplots(2, 1, sharex=True, height_ratios=[1, 3])
    edges = [axes.axvline(1, color=COLOURS["highlight"], linewidth=1.5, gid=f"budget {i}") for i, axes in enumerate(panels)]
    _frontier_axes(upper, lower, times, means, teacher)
    drawn = _draw_students(lower, means)
    (master,) = upper.plot([1], [teacher], MARKERS["teacher"], color=COLOURS["teacher"], markersize=10, gid="teacher")
    rings = [
        axes.plot([1], [1], "o", markersize=21, markerfacecolor="none", markeredgecolor=COLOURS["highlight"], gid=gid)[0]
        for axes, gid in ((upper, "ring of the teacher"), (lower, "ring of a student"))
    ]
    corner = {"ha": "right", "va": "bottom", "transform": lower.transAxes}
    words = lower.text(0.985, 0.05, "", bbox=BEHIND, fontsize=13, gid="choice", **corner)
    names = ["teacher", *(NAMES[kind] for kind in means)]
    lower.legend([master, *drawn.curves.values()], names, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)

    def update(budget: float = 100.0, how: str = next(iter(times))) -> str:
        drawn.move_to(times[how])
        master.set_xdata([times[how]["teacher"]])
        for edge in edges:
            edge.set_xdata([budget, budget])
        best = best_within(candidates(times[how], means, teacher), budget)
        for of_teacher, ring in zip((True, False), rings, strict=True):
            ring.set_visible(best is not None and (best.name == TEACHER) == of_teacher)
            ring.set_data([best.time if best else 0], [best.accuracy if best else 0])
        choice = f"ship {best.name}" if best else "nothing is fast enough"
        words.set_text(choice)
        detail = f": {best.accuracy:.1f} % in {_short(best.time)} µs an image" if best else ""
        return f"{how}, budget {_short(budget)} µs an image: {choice}{detail}"

    return figure, update


def _frontier_axes(upper: Axes, lower: Axes, times: Mapping, means: Means, teacher: float) -> None:
    every = [time for by in times.values() for time in by.values()]
    low, high = min(every) / 1.5, max(every) * 1.7
    ends = [end for by in means.values() for interval in by.values() for end in (interval.low, interval.high)]
    _round_ticks(lower.xaxis, low, high)
    lower.set(xlim=(low, high), ylim=(min(ends) - 0.5, max(ends) + 1))
    lower.set_xlabel("time an image (microseconds), median, this machine")
    lower.set_ylabel("test accuracy (%)", loc="top")
    upper.set(ylim=(teacher - 1.5, teacher + 1.5), yticks=[round(teacher)])
    upper.spines["bottom"].set_visible(False)
    upper.tick_params(bottom=False, labelbottom=False)
    for axes in (upper, lower):
        axes.grid(axis="y")


class _Students(NamedTuple):
    """The artists of the students, which stand at their times: kind -> curve, kind -> intervals, width -> its number."""

    curves: dict[str, Line2D]
    whiskers: dict[str, Line2D]
    tags: dict[int, Text]

    def move_to(self, times: Mapping[int | str, float]) -> None:
        """Move all artists to the times of the widths."""
        xs = [times[width] for width in self.tags]
        for kind, curve in self.curves.items():
            curve.set_xdata(xs)
            self.whiskers[kind].set_xdata([x for x in xs for _ in range(3)])
        for tag, x in zip(self.tags.values(), xs, strict=True):
            if tag.get_position()[0] != x:  # else it need not be drawn again
                tag.set_x(x)


def _draw_students(axes: Axes, means: Means) -> _Students:
    widths, curves, whiskers = list(next(iter(means.values()))), {}, {}
    for kind, by in means.items():
        curves[kind] = axes.plot(
            widths, [by[width].mean for width in widths], MARKERS[kind] + LINES[kind], color=COLOURS[kind], label=NAMES[kind],
            markersize=9, markeredgecolor="white",
        )[0]  # fmt: skip
        # One line with gaps, not one each: a frame takes less time.
        ends = [end for width in widths for end in (by[width].low, by[width].high, math.nan)]
        # Both kinds take the same time, so their whiskers lie on each other: the one behind is broad and pale.
        style = {"linewidth": 1.5} if kind == "distilled" else {"linewidth": 6, "alpha": 0.4}
        whiskers[kind] = axes.plot(
            [1] * len(ends), ends, color=COLOURS[kind], zorder=1.9, gid=f"intervals: {NAMES[kind]}", **style
        )[0]
    # Widths left of their points, outside of the ring; that of the widest right of it, since it may be no better than the next.
    tags = {
        width: axes.text(
            1, means["distilled"][width].mean, str(width), ha="right" if side < 0 else "left", va="center", clip_on=True,
            transform=offset_copy(axes.transData, axes.figure, 13 * side, units="points"), gid=f"width {width}",
        )
        for width, side in zip(widths, [-1] * (len(widths) - 1) + [1], strict=True)
    }  # fmt: skip
    return _Students(curves, whiskers, tags)


@styled
def plot_sizes(variants: Mapping[str, tuple[float, Sequence[float], str, str]], xlabel: str, ylabel: str) -> StaticFigure:
    """Draw accuracy against size, each variant with its mean and 95 % interval.

    variants: name -> (size in kB, percents one a seed, a key of COLOURS, a marker); filled if the name has no "8 bits".
    """
    figure = Figure(figsize=(8.8, 4.4), layout="constrained")
    axes, lines = figure.subplots(), []
    for name, (size, values, key, marker) in variants.items():
        fill = "white" if "8 bits" in name else COLOURS[key]
        (interval,) = draw_runs(
            axes, [size], [values], key, fmt=marker, markersize=10, capsize=4, markerfacecolor=fill, markeredgewidth=2,
            zorder=2, label=name,
        )  # fmt: skip
        # Beneath or above its interval where it would lie on that of another: one of two that are about as large.
        height, offset, side = interval.mean, (9, 5), "bottom"
        if "pruned" in name:
            height, offset, side = interval.low, (-22, -6), "top"
        elif "8 bits" in name:
            height, offset, side = interval.high, (-22, 6), "bottom"
        axes.annotate(name, (size, height), offset, textcoords="offset points", va=side, fontsize=11, bbox=BEHIND)
        lines.append(f"{name}: {size:.1f} kB, {interval} (n = {len(values)})")
    low, high = min(v[0] for v in variants.values()) / 1.3, max(v[0] for v in variants.values()) * 2.6
    _round_ticks(axes.xaxis, low, high)
    axes.set(xlim=(low, high), xlabel=xlabel, ylabel=ylabel)
    axes.grid(axis="y")
    return StaticFigure(figure, f"{ylabel} against {xlabel}, mean and 95 % interval. " + "; ".join(lines))


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _round_ticks(axis: Axis, low: float, high: float) -> None:
    log_axis(axis, [tick for tick in ROUND if low <= tick <= high])
    axis.set_tick_params(labelsize=11)  # named, since a live figure makes its ticks when it is drawn, outside of the style
