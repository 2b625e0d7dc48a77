"""The figures of notebook 01. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from course_lib.figures.parts import SHADES, class_bars, set_bars, show_image
from course_lib.figures.style import BEHIND, COLOURS, StaticFigure, clip_to, percent, styled
from course_lib.sweeps import accuracies_with_bias


def rank_classes(row, classes: Sequence[str], top: int) -> list[tuple[str, float]]:
    """Return the names and probabilities of the `top` classes of a row (num_classes,), the most probable first."""
    best = sorted(range(len(classes)), key=lambda k: -row[k])[:top]
    return [(classes[k], float(row[k])) for k in best]


def _listed(ranked: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {percent(p)}" for name, p in ranked)


@styled
def plot_opinions(
    pixels, probabilities, classes: Sequence[str], captions: Sequence[str] | None = None, top: int = 3
) -> StaticFigure:
    """Show images (n, 28, 28) in a row, under each the `top` classes of the teacher's probabilities (n, num_classes)."""
    n, lines = len(pixels), []
    figure = Figure(figsize=(min(10, 1.7 * n + 0.4), 1.9 + 0.33 * top), layout="constrained")
    grid = figure.subplots(2, n, height_ratios=[1.7, 0.33 * top], squeeze=False)
    for i in range(n):
        show_image(grid[0, i], pixels[i])
        if captions:
            grid[0, i].set_title(captions[i], fontsize=11, loc="center")
        ranked = rank_classes(probabilities[i], classes, top)
        _draw_ranked(grid[1, i], ranked)
        lines.append(f"{captions[i]}: {_listed(ranked)}" if captions else _listed(ranked))
    return StaticFigure(figure, "\n".join(lines))


def _draw_ranked(axes: Axes, ranked: Sequence[tuple[str, float]]) -> None:
    n = len(ranked)
    axes.barh(range(n), [p for _, p in ranked], color=COLOURS["teacher"], height=0.25, align="edge")
    for row, (name, p) in enumerate(ranked):
        axes.text(0, row - 0.08, f"{name} {percent(p)}", va="bottom", fontsize=10)
    axes.set(xlim=(0, 1), ylim=(n - 0.5, -0.75), xticks=[], yticks=[])
    axes.spines[["bottom", "left"]].set_visible(False)


@styled
def live_opinion(pixels, probabilities, classes: Sequence[str], labels) -> tuple[Figure, Callable]:
    """Show one of many images beside the teacher's probabilities: (figure, update(picture, scale)).

    pixels: (n, 28, 28); probabilities: (n, num_classes); labels: (n,). scale: "linear" or "log".
    """
    figure = Figure(figsize=(8.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[0.7, 1.9])
    image = show_image(left, pixels[0])
    image.set_gid("image")
    caption = left.text(0.5, -0.04, "label", ha="center", va="top", transform=left.transAxes, gid="caption")
    clip_to(caption, (0, -0.2, 1, 0))
    bars, numbers = class_bars(right, classes, numbers=len(classes), height=0.7)
    right.set(autoscalex_on=False, gid="probability axes")
    limits = {"linear": (0, 1.18), "log": (1e-12, 300)}
    ticks = {"linear": [0, 0.2, 0.4, 0.6, 0.8, 1], "log": [10.0**k for k in range(-12, 1, 2)]}

    def update(picture: int = 0, scale: str = "linear") -> str:
        row, name = [float(p) for p in probabilities[picture]], classes[int(labels[picture])]
        image.set_data(pixels[picture])
        caption.set_text(f"label: {name}")
        if right.get_xscale() != scale or right.get_xlim() != limits[scale]:
            right.set_xscale(scale)
            right.set(xlim=limits[scale], xticks=ticks[scale])
            right.set_xlabel(f"teacher's probability at T = 1 ({scale} scale)")
        first, second, third = rank_classes(row, classes, 3)
        set_bars(bars, row)
        for number, p in zip(numbers, row, strict=True):
            number.set_text(f" {percent(p)}" if p >= second[1] else "")  # words take longer to draw than all else
            number.set_x(p)
        return f"label {name}; teacher, on a {scale} scale: {_listed([first, second, third])}"

    return figure, update


@styled
def plot_histograms(values: dict[str, Sequence[float]], xlabel: str, limit: float, limit_name: str) -> StaticFigure:
    """Draw one histogram a name, all on the same axis from 0 to `limit`, with each mean marked."""
    figure = Figure(figsize=(8, 1.5 * len(values) + 0.9), layout="constrained")
    rows, lines = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0], []
    for axes, (name, row) in zip(rows, values.items(), strict=True):
        mean = sum(row) / len(row)
        counts, _, _ = axes.hist(row, bins=50, range=(0, limit), color=COLOURS["teacher"])
        axes.set_ylim(top=1.3 * max(counts))  # room for the words
        axes.axvline(mean, color=COLOURS["highlight"], linestyle="--")
        axes.text(mean, axes.get_ylim()[1], f" mean {mean:.2f}", va="top", color=COLOURS["highlight"], bbox=BEHIND)
        axes.set_title(name)
        axes.set_ylabel("images")
        axes.axvline(limit, color=COLOURS["truth"], linewidth=1)
        lines.append(f"{name}: mean {mean:.2f}")
    rows[-1].set(xlabel=f"{xlabel} (at most {limit:.2f}: {limit_name})", xlim=(0, limit * 1.01))
    return StaticFigure(figure, f"{xlabel}, at most {limit:.2f}. " + "; ".join(lines))


class Similarity(NamedTuple):
    """The numbers of `plot_similarity`."""

    shown: list[list[float]]  # the matrix, NaN on its diagonal
    nearest: list[tuple[str, float]]  # for each class the other one that it is taken for most, and with which probability


def similarity_of(matrix, classes: Sequence[str]) -> Similarity:
    """Return what is shown of a matrix (num_classes, num_classes) of mean soft probabilities."""
    n = len(classes)
    shown = [[float("nan") if i == j else float(matrix[i][j]) for j in range(n)] for i in range(n)]
    nearest = [max((j for j in range(n) if j != i), key=row.__getitem__) for i, row in enumerate(shown)]
    return Similarity(shown, [(classes[j], row[j]) for j, row in zip(nearest, shown, strict=True)])


@styled
def plot_similarity(matrix, classes: Sequence[str]) -> StaticFigure:
    """Draw a matrix (num_classes, num_classes) of mean soft probabilities, its diagonal left out."""
    shown, nearest = similarity_of(matrix, classes)
    n, highest = len(classes), max(value for row in shown for value in row if value == value)
    figure = Figure(figsize=(7.4, 6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shown, cmap=SHADES, vmin=0)
    axes.set_facecolor("#D9D9D9")  # shows on the diagonal: not 0 %, but left out
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            if value >= 0.02:  # which NaN is not
                ink = "white" if value > 0.5 * highest else "black"
                axes.text(j, i, f"{value:.0%}", ha="center", va="center", fontsize=10, color=ink)
    axes.set_xticks(range(n), classes, rotation=40, ha="right")
    axes.set_yticks(range(n), classes)
    axes.set(xlabel="probability given to", ylabel="the teacher sees")
    figure.colorbar(image, ax=axes, format=PercentFormatter(1, 0), shrink=0.8).outline.set_visible(False)
    lines = [f"{name}: {other} {value:.0%}" for name, (other, value) in zip(classes, nearest, strict=True)]
    return StaticFigure(figure, "Nearest class by mean soft probability. " + "; ".join(lines))


@styled
def live_bias(logits: Tensor, labels: Tensor, missing: int, name: str, biases: Sequence[float]) -> tuple[Figure, Callable]:
    """Show what one bias does to a student that never saw the class `missing`, called `name`: (figure, update(bias)).

    logits: (n, num_classes) for test images with `labels` (n,); biases: where the curves are computed.
    """

    def percents(bias: float) -> list[float]:
        return [100 * share for share in accuracies_with_bias(logits, labels, missing, bias)]

    curves = list(zip(*map(percents, biases), strict=True))
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    styles = (("unseen", "distilled", "-", "^"), ("others", "quiet", "--", "o"))
    named = (f"{name}s, never seen, named right", "the others named right")
    for (gid, key, dashes, _), label, curve in zip(styles, named, curves, strict=True):
        axes.plot(biases, curve, dashes, color=COLOURS[key], label=label, gid=gid)
    line = axes.axvline(0, color=COLOURS["highlight"], linewidth=1.5, gid="bias")
    points = [
        axes.plot([0], [0], marker, color=COLOURS[key], markersize=10, gid=f"{gid} now")[0] for gid, key, _, marker in styles
    ]
    numbers = [axes.text(0, 0, "", fontsize=12, fontweight="bold", clip_on=True, gid=f"{gid} number") for gid, *_ in styles]
    axes.set(
        xlabel=f"added to the logit of {name}",
        ylabel="test images (%)",
        ylim=(max(0, 10 * int(min(map(min, curves)) / 10) - 20), 104),
        xlim=(min(biases) - 0.03 * max(biases), max(biases) * 1.12),
    )
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2)  # above: over a line that moves, it would be drawn again

    def update(bias: float = 0.0) -> str:
        values = unseen, others = percents(bias)
        line.set_xdata([bias, bias])
        for point, number, value, below in zip(points, numbers, values, (unseen <= others, unseen > others), strict=True):
            point.set_data([bias], [value])
            number.set_text(f"  {value:.1f}")
            number.set_position((bias, value + (-4.3 if below else 1.5)))
        return f"bias {bias:+.2f}: {unseen:.1f} % of the {name}s, {others:.1f} % of the others are named right"

    return figure, update
