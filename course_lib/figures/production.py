"""The figures of notebook 07. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MultipleLocator
from torch import Tensor

from course_lib.budget import Candidate, best_within
from course_lib.calibration import reliability
from course_lib.figures.style import COLOURS, MARKERS, StaticFigure, log_axis, styled
from course_lib.losses import soft_targets
from course_lib.metrics import Interval, mean_interval
from course_lib.sweeps import calibration_errors

LINES = {"teacher": "-.", "labels": "--", "distilled": "-"}
NAMES = {"labels": "student, labels", "distilled": "student, distilled"}
TEACHER = "the teacher"
ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # where a logarithmic axis has its ticks

Means = Mapping[str, Mapping[int, Interval]]  # kind of student -> width -> accuracy in percent


@styled
def live_reliability(
    models: Mapping[str, Tensor], labels: Tensor, colours: Mapping[str, str], temperatures: Sequence[float], bins: int = 15
) -> tuple[Figure, Callable]:
    """Show the reliability diagram of one of several models at T, and the calibration error of all: (figure, update(model, T)).

    models: name -> logits (n, num_classes) for the same images with `labels`; colours: name -> a key of COLOURS;
    temperatures: where the curves on the right are computed.
    """
    figure = Figure(figsize=(8.8, 4.8), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1], height_ratios=[2.6, 1])
    left, below, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[:, 1])
    bars, gaps, shares = _draw_bins(left, below, bins)
    figure.align_ylabels([left, below])
    words = left.text(0.03, 0.94, "", transform=left.transAxes, va="top", fontsize=12, clip_on=True, gid="model and T")
    errors = {name: calibration_errors(logits, labels, temperatures, bins) for name, logits in models.items()}
    mark, line = _draw_errors(right, temperatures, errors, colours)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=len(models), frameon=False)

    def update(model: str = next(iter(models)), T: float = 1.0) -> str:
        found = reliability(soft_targets(models[model], T), labels, bins)
        error = 100 * found.expected_calibration_error
        confidences, accuracies = found.confidence.nan_to_num(0).tolist(), found.accuracy.nan_to_num(0).tolist()
        bars.set_facecolor(COLOURS[colours[model]])
        bars.set_data(accuracies)
        gaps.set_data(confidences, baseline=accuracies)
        shares.set_data(found.share.tolist())
        words.set_text(f"{model}\nT = {T:.2f}")
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
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), yticks=[0, 0.5, 1])
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
    line = axes.axvline(1, color=COLOURS["quiet"], linewidth=1, zorder=1, gid="T")
    low, high, top = min(temperatures), max(temperatures), max(map(max, errors.values()))
    log_axis(axes.xaxis, [tick for tick in (0.25, 0.5, 1, 2, 4) if low <= tick <= high])
    axes.set(xlabel="temperature $T$", ylim=(0, 105 * top), xlim=(low / 1.08, high * 1.08))
    axes.set_title("expected calibration error (%)", fontsize=12)
    axes.grid(axis="y")
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
    "distilled" -> width -> percents, one a seed; teacher: its accuracy in percent. A row a width: accuracies left, times right.
    """
    means = {kind: {width: mean_interval(values) for width, values in by.items()} for kind, by in accuracies.items()}
    rows = [*next(iter(means.values())), "teacher"]
    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.25, 1])
    heights = _draw_accuracies(left, means, rows, teacher)
    clock = _draw_times(right, times, rows)
    ring_style = {"markersize": 19, "markerfacecolor": "none", "markeredgecolor": COLOURS["highlight"], "markeredgewidth": 2}
    (ring,) = left.plot([teacher], [0], "o", gid="ring", **ring_style)
    words = left.text(
        0.02, -0.95, "", transform=left.get_yaxis_transform(), va="center", clip_on=True, fontsize=13, gid="choice"
    )

    def update(budget: float = 100.0, how: str = next(iter(times))) -> str:
        clock.move_to([times[how][row] for row in rows], budget)
        best = best_within(candidates(times[how], means, teacher), budget)
        ring.set_visible(best is not None)
        if best:
            ring.set_data([best.accuracy], [heights[best.name]])
        choice = f"ship {best.name}" if best else "nothing is fast enough"
        words.set_text(f"{how}, budget {_short(budget)} µs:\n{choice}")
        detail = f": {best.accuracy:.1f} % in {_short(best.time)} µs an image" if best else ""
        return f"{how}, budget {_short(budget)} µs an image: {choice}{detail}"

    return figure, update


def _draw_accuracies(axes: Axes, means: Means, rows: Sequence[int | str], teacher: float) -> dict[str, float]:
    """Draw means and intervals, one row a width and the teacher's last: return at which height each candidate stands."""
    heights, shifts = {TEACHER: len(rows) - 1}, dict(zip(means, (-0.17, 0.17), strict=True))
    for kind, by in means.items():
        ys = [row + shifts[kind] for row in range(len(by))]
        heights |= {f"{NAMES[kind]}, width {width}": y for width, y in zip(by, ys, strict=True)}
        style = {"fmt": MARKERS[kind], "color": COLOURS[kind], "markersize": 9, "capsize": 3, "label": NAMES[kind]}
        axes.errorbar([i.mean for i in by.values()], ys, xerr=[i.half_width for i in by.values()], **style)
    axes.plot([teacher], [len(rows) - 1], MARKERS["teacher"], color=COLOURS["teacher"], markersize=10, label="teacher")
    low = min(interval.low for by in means.values() for interval in by.values())
    axes.set(xlim=(low - 1, teacher + 2), ylim=(len(rows) - 0.5, -1.5), xlabel="test accuracy (%), 95 % intervals")
    axes.set_yticks(range(len(rows)), [row if row == "teacher" else f"width {row}" for row in rows])
    axes.xaxis.set_major_locator(MultipleLocator(4))
    axes.grid(axis="x")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.72), frameon=True, framealpha=1, edgecolor="none")
    return heights


class _Times(NamedTuple):
    """The artists of the times: points within the budget and beyond it, and the budget."""

    within: Line2D
    beyond: Line2D
    edge: Line2D

    def move_to(self, times: Sequence[float], budget: float) -> None:
        """Move the points to their times, those beyond the budget as open ones, and the line to the budget."""
        for line, fits in ((self.within, True), (self.beyond, False)):
            line.set_xdata([time if (time <= budget) == fits else math.nan for time in times])
        self.edge.set_xdata([budget, budget])


def _draw_times(axes: Axes, times: Mapping, rows: Sequence[int | str]) -> _Times:
    every = [time for by in times.values() for time in by.values()]
    low, high = min(every) / 1.6, max(every) * 1.6
    style = {"linestyle": "", "marker": "D", "color": COLOURS["truth"], "markersize": 8}
    (within,) = axes.plot([low] * len(rows), range(len(rows)), gid="within the budget", **style)
    style["markerfacecolor"] = "white"
    (beyond,) = axes.plot([low] * len(rows), range(len(rows)), gid="beyond the budget", **style)
    edge = axes.axvline(high, color=COLOURS["highlight"], linewidth=1.8, gid="budget")
    log_axis(axes.xaxis, [tick for tick in (1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if low <= tick <= high])
    axes.set(xlim=(low, high), xlabel="microseconds an image, quickest calls")
    axes.set_title("line: the budget; open: beyond it", fontsize=12)
    axes.tick_params(left=False)
    axes.grid(axis="both")
    return _Times(within, beyond, edge)


@styled
def plot_sizes(
    variants: Mapping[str, Mapping[str, tuple[float, Sequence[float]]]], colours: Mapping[str, str], xlabel: str, ylabel: str
) -> StaticFigure:
    """Draw a row for each model, in 32 bits (filled) and in 8 (open): its accuracy on the left, its size on the right.

    variants: model -> "32 bits" and "8 bits" -> (size in kB, percents, one a seed); colours: model -> a key of COLOURS.
    """
    figure = Figure(figsize=(8.8, 0.62 * len(variants) + 1.6), layout="constrained")
    (left, right), lines = figure.subplots(1, 2, sharey=True, width_ratios=[1.2, 1]), []
    for row, (name, by_bits) in enumerate(variants.items()):
        key = colours[name]
        for (bits, (size, values)), fill, shift in zip(by_bits.items(), (COLOURS[key], "white"), (-0.15, 0.15), strict=True):
            interval = mean_interval(values) if len(values) > 1 else Interval(values[0], 0.0)
            style = {"color": COLOURS[key], "markersize": 10, "markerfacecolor": fill, "markeredgewidth": 2}
            xerr = [interval.half_width] if len(values) > 1 else None
            at, label = [row + shift], f"{name}, {bits}"
            left.errorbar([interval.mean], at, xerr=xerr, fmt=MARKERS[key], capsize=4, label=label, **style)
            right.plot([size], at, MARKERS[key], gid=f"size: {label}", **style)
            shown = f"{interval} (n = {len(values)})" if len(values) > 1 else f"{interval.mean:.2f}"
            lines.append(f"{label}: {size:.1f} kB, {shown}")
    left.set_yticks(range(len(variants)), variants)
    left.set(ylim=(len(variants) - 0.5, -0.5), xlabel=ylabel)
    sizes = [size for by_bits in variants.values() for size, _ in by_bits.values()]
    _round_ticks(right.xaxis, min(sizes) / 1.4, max(sizes) * 1.4)
    right.set(xlim=(min(sizes) / 1.4, max(sizes) * 1.4), xlabel=xlabel)
    right.tick_params(left=False)
    for axes in (left, right):
        axes.grid(axis="x")
    figure.suptitle("filled: 32 bits; open: 8 bits", fontsize=12)
    return StaticFigure(figure, f"{ylabel} and {xlabel}, mean and 95 % interval. " + "; ".join(lines))


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _round_ticks(axis: Axis, low: float, high: float) -> None:
    ticks = [tick for tick in ROUND if low <= tick <= high]
    if len(ticks) > 6:  # their numbers would touch
        ticks = [tick for tick in ROUND[::3] if low <= tick <= high]  # the powers of ten
    log_axis(axis, ticks)
    axis.set_tick_params(labelsize=11)  # named, since a live figure makes its ticks when it is drawn, outside of the style
