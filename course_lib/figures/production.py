"""What notebook 07 draws. Data in, a `Picture` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import offset_copy
from torch import Tensor

from course_lib.figures.style import BEHIND, COLOURS, MARKERS, Picture, log_axis, styled
from course_lib.losses import soft_targets
from course_lib.metrics import mean_interval, reliability

LINES = {"teacher": "-.", "labels": "--", "distilled": "-"}
ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # where a logarithmic axis has its ticks
HEADROOM = 1.32  # of the axes of calibration errors, for the legend


@styled
def reliability_live(
    models: Mapping[str, Tensor], labels: Tensor, colours: Mapping[str, str], temperatures: Sequence[float], bins: int = 15
) -> tuple[Figure, Callable]:
    """The reliability diagram of one of several models at T, and the calibration error of all: (figure, update(model, T)).

    models: name -> logits (n, num_classes) for the same images with `labels`; colours: name -> a key of COLOURS;
    temperatures: where the curves on the right are computed.
    """
    names = list(models)
    errors = {
        name: [100 * reliability(soft_targets(z, float(T)), labels, bins).expected_calibration_error for T in temperatures]
        for name, z in models.items()
    }
    figure = Figure(figsize=(8.8, 4.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1], height_ratios=[2.6, 1])
    left, below, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[:, 1])

    # One artist for all bars of a kind, and not one each: a frame takes a third of the time.
    edges, none = [k / bins for k in range(bins + 1)], [0.0] * bins
    bars = left.stairs(none, edges, fill=True, facecolor=COLOURS["distilled"])
    gaps = left.stairs(
        none, edges, fill=True, baseline=none, facecolor="none", edgecolor=COLOURS["highlight"], linewidth=1.2, hatch="////"
    )
    left.plot([0, 1], [0, 1], "--", color=COLOURS["truth"], linewidth=1.2)
    left.set_title("hatched: the gap to the confidence", fontsize=12)
    left.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), yticks=[0, 0.5, 1])
    left.tick_params(labelbottom=False)
    shares = below.stairs(none, edges, fill=True, facecolor=COLOURS["quiet"])
    below.set(xlabel="largest probability at $T$", ylabel="images", xlim=(0, 1), ylim=(0, 1), yticks=[0, 1])
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))

    figure.align_ylabels([left, below])

    for name in names:
        key = colours[name]
        right.plot(temperatures, errors[name], LINES[key], color=COLOURS[key], label=name)
    mark = right.plot([1], [0], "o", color=COLOURS["highlight"], markersize=11, markeredgecolor="white", zorder=3)[0]
    line = right.axvline(1, ymax=1 / HEADROOM, color=COLOURS["quiet"], linewidth=1, zorder=1)
    _round_ticks(right.xaxis, min(temperatures), max(temperatures))
    top = max(max(values) for values in errors.values())
    right.set(xlabel="temperature $T$", ylim=(0, HEADROOM * top), xlim=(min(temperatures) / 1.08, max(temperatures) * 1.08))
    right.set_title("expected calibration error (%)", fontsize=12)
    right.grid(axis="y")
    right.legend(loc="upper center", frameon=True, framealpha=1, edgecolor="none")  # over the lines of the grid

    def update(model: str = names[0], T: float = 1.0) -> str:
        found = reliability(soft_targets(models[model], T), labels, bins)
        colour, error = COLOURS[colours[model]], 100 * found.expected_calibration_error
        confidences, rights = found.confidence.nan_to_num(0).tolist(), found.accuracy.nan_to_num(0).tolist()
        bars.set_facecolor(colour)
        bars.set_data(rights)
        gaps.set_data(confidences, baseline=rights)
        shares.set_data(found.share.tolist())
        mark.set_data([T], [error])
        line.set_xdata([T, T])
        sure, right_share = (100 * (found.share * row).nansum().item() for row in (found.confidence, found.accuracy))
        return (
            f"{model}, T = {T:.2f}: calibration error {error:.1f} %; mean confidence {sure:.1f} %, right on {right_share:.1f} %"
        )

    return figure, update


@styled
def frontier_live(
    times: Mapping[str, Mapping[int | str, float]], accuracies: Mapping[str, Mapping[int, Sequence[float]]], teacher: float
) -> tuple[Figure, Callable]:
    """Which model to ship within a budget: (figure, update(budget, how)), the budget in microseconds an image.

    times: how the models are run -> a student's width, or "teacher" -> microseconds an image; accuracies: "labels" or
    "distilled" -> width -> percents, one a seed; teacher: its accuracy in percent.
    """
    ways = list(times)
    means = {kind: {width: mean_interval(values) for width, values in by.items()} for kind, by in accuracies.items()}
    widths = list(next(iter(means.values())))
    figure = Figure(figsize=(8.8, 4.6), layout="constrained")
    upper, lower = panels = figure.subplots(2, 1, sharex=True, height_ratios=[1, 3])
    every = [time for by in times.values() for time in by.values()]
    low, high = min(every) / 1.5, max(every) * 1.7
    edges = [axes.axvline(1, color=COLOURS["highlight"], linewidth=1.5) for axes in panels]
    _round_ticks(lower.xaxis, low, high)
    ends = [end for by in means.values() for interval in by.values() for end in (interval.low, interval.high)]
    lower.set(
        xlim=(low, high), ylim=(min(ends) - 0.5, max(ends) + 1), xlabel="time an image (microseconds), median, this machine"
    )
    lower.set_ylabel("test accuracy (%)", loc="top")
    upper.set(ylim=(teacher - 1.5, teacher + 1.5), yticks=[round(teacher)])
    upper.spines["bottom"].set_visible(False)
    upper.tick_params(bottom=False, labelbottom=False)
    for axes in panels:
        axes.grid(axis="y")
        axes.set_axisbelow(True)

    names = {"labels": "student, labels", "distilled": "student, distilled"}
    curves, whiskers = {}, {}
    for kind, by in means.items():
        colour = COLOURS[kind]
        curves[kind] = lower.plot(
            widths, [by[width].mean for width in widths], MARKERS[kind] + LINES[kind], color=colour, label=names[kind],
            markersize=9, markeredgecolor="white",
        )[0]  # fmt: skip
        # One line with gaps, not one each: a frame takes less time.
        ends = [end for w in widths for end in (by[w].low, by[w].high, math.nan)]
        # Both kinds take the same time, so their whiskers lie on each other: the one behind is broad and pale.
        width, alpha = (1.5, 1) if kind == "distilled" else (6, 0.4)
        whiskers[kind] = lower.plot([1] * len(ends), ends, color=colour, linewidth=width, alpha=alpha, zorder=1.9)[0]
    # Widths left of their points, outside of the ring; that of the widest right of it, since it may be no better than the next.
    tags = [
        lower.text(
            1, means["distilled"][width].mean, str(width), ha="right" if side < 0 else "left", va="center", clip_on=True,
            transform=offset_copy(lower.transData, figure, 13 * side, units="points"),
        )
        for width, side in zip(widths, [-1] * (len(widths) - 1) + [1], strict=True)
    ]  # fmt: skip
    master = upper.plot([1], [teacher], MARKERS["teacher"], color=COLOURS["teacher"], markersize=10, linestyle="none")[0]
    rings = [
        axes.plot([1], [1], "o", markersize=21, markerfacecolor="none", markeredgecolor=COLOURS["highlight"])[0]
        for axes in panels
    ]
    words = lower.text(0.985, 0.05, "", ha="right", va="bottom", transform=lower.transAxes, bbox=BEHIND, fontsize=13)
    lower.legend(
        [master, *curves.values()], ["teacher", *(names[kind] for kind in curves)], loc="lower center",
        bbox_to_anchor=(0.5, 1), ncols=3, frameon=False,
    )  # fmt: skip

    def update(budget: float = 100.0, how: str = ways[0]) -> str:
        now = times[how]
        for kind, curve in curves.items():
            curve.set_xdata([now[width] for width in widths])
            whiskers[kind].set_xdata([now[width] for width in widths for _ in range(3)])
        for tag, width in zip(tags, widths, strict=True):
            if tag.get_position()[0] != now[width]:  # else it need not be drawn again
                tag.set_x(now[width])
        master.set_xdata([now["teacher"]])
        for edge in edges:
            edge.set_xdata([budget, budget])
        models = [("the teacher", now["teacher"], teacher, 0)]
        models += [(f"{names[k]}, width {w}", now[w], by[w].mean, 1) for k, by in means.items() for w in widths]
        fits = [model for model in models if model[1] <= budget]
        name, time, accuracy, panel = max(fits, key=lambda model: model[2], default=(None, 0, 0, None))
        for number, ring in enumerate(rings):
            ring.set_visible(number == panel)
            ring.set_data([time], [accuracy])
        words.set_text(f"ship {name}" if fits else "nothing is fast enough")
        told = f"ship {name}: {accuracy:.1f} % in {_short(time)} µs an image" if fits else "nothing is fast enough"
        return f"{how}, budget {_short(budget)} µs an image: {told}"

    return figure, update


@styled
def sizes(variants: Mapping[str, tuple[float, Sequence[float], str, str]], xlabel: str, ylabel: str) -> Picture:
    """Accuracy against size, each variant with its mean and 95 % interval.

    variants: name -> (size in kB, percents one a seed, a key of COLOURS, a marker); filled if the name has no "8 bits".
    """
    figure = Figure(figsize=(8.8, 4.4), layout="constrained")
    axes, lines = figure.subplots(), []
    for name, (size, values, key, marker) in variants.items():
        interval = mean_interval(values)
        axes.errorbar(
            size, interval.mean, interval.half_width, fmt=marker, color=COLOURS[key], markersize=10, capsize=4,
            markerfacecolor="white" if "8 bits" in name else COLOURS[key], markeredgewidth=2,
        )  # fmt: skip
        # Beneath or above its interval where it would lie on that of another: one of two that are about as large.
        height, offset, side = (interval.mean, (9, 5), "bottom")
        if "pruned" in name:
            height, offset, side = (interval.low, (-22, -6), "top")
        elif "8 bits" in name:
            height, offset, side = (interval.high, (-22, 6), "bottom")
        axes.annotate(name, (size, height), offset, textcoords="offset points", va=side, fontsize=11, bbox=BEHIND)
        lines.append(f"{name}: {size:.1f} kB, {interval} (n = {len(values)})")
    largest, smallest = max(v[0] for v in variants.values()), min(v[0] for v in variants.values())
    _round_ticks(axes.xaxis, smallest / 1.3, largest * 2.6)
    axes.set(xlim=(smallest / 1.3, largest * 2.6), xlabel=xlabel, ylabel=ylabel)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    return Picture(figure, f"{ylabel} against {xlabel}, mean and 95 % interval. " + "; ".join(lines))


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _round_ticks(axis: Axis, low: float, high: float) -> None:
    log_axis(axis, [tick for tick in ROUND if low <= tick <= high])
    axis.set_tick_params(labelsize=11)  # named, since a live figure makes its ticks when it is drawn, outside of the style
