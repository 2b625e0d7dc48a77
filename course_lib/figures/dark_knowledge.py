"""The figures of notebook 01. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from course_lib.figures import parts
from course_lib.figures.parts import SHADES, class_bars, set_bars, show_image, signed
from course_lib.figures.style import BEHIND, COLOURS, MARKERS, StaticFigure, clip_to, log_axis, percent, styled
from course_lib.sweeps import accuracies_with_bias


def rank_classes(row, classes: Sequence[str], top: int) -> list[tuple[str, float]]:
    """Return the names and probabilities of the `top` classes of a row (num_classes,), the most probable first."""
    best = sorted(range(len(classes)), key=lambda k: -row[k])[:top]
    return [(classes[k], float(row[k])) for k in best]


@styled
def live_opinion(pixels, probabilities, classes: Sequence[str], labels) -> tuple[Figure, Callable]:
    """Show one of many images beside the teacher's probabilities, sorted, on two scales: (figure, update(picture)).

    pixels: (n, 28, 28); probabilities: (n, num_classes), above 0; labels: (n,). In the middle bars from 0 to 1, on the right
    dots on a logarithmic scale that ends at 1; the class of the label has a ring.
    """
    n = len(classes)
    figure = Figure(figsize=(8.8, 4.0), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12)  # room for the ring of a probability near 1
    left, middle, right = figure.subplots(1, 3, width_ratios=[0.85, 1.15, 1.7])
    image = show_image(left, pixels[0])
    image.set_gid("image")
    caption = left.text(0.5, -0.04, "label\n", ha="center", va="top", transform=left.transAxes, gid="caption")
    clip_to(caption, (-0.2, -0.6, 1.2, 0))
    bars, _ = class_bars(middle, [""] * n, height=0.7)
    names = [middle.text(-0.05, k, "", ha="right", va="center", fontsize=11, clip_on=False, gid=f"name {k}") for k in range(n)]
    for name in names:
        clip_to(name, (-0.62, 0, 0, 1))
    middle.set(xlim=(0, 1), xticks=[0, 0.5, 1], xlabel="teacher's probability")
    lowest = math.floor(math.log10(min(float(p) for row in probabilities for p in row)))
    dots, ring, numbers = _draw_dots(right, n, lowest)

    def update(picture: int = 0) -> str:
        label, row = classes[int(labels[picture])], rank_classes(probabilities[picture], classes, n)
        values = [p for _, p in row]
        image.set_data(pixels[picture])
        caption.set_text(f"label: {label}\nteacher: {row[0][0]}")
        set_bars(bars, values)
        for text, (name, _) in zip(names, row, strict=True):
            text.set_text(name)
        dots.set_xdata(values)
        place = [name for name, _ in row].index(label)
        ring.set_data([values[place]], [place])
        for number, k, words in zip(numbers, (1, n - 1), (percent(values[1]), one_in(values[-1])), strict=True):
            ahead = values[k] < 10 ** (0.6 * lowest)
            number.set(text=f"   {words}" if ahead else f"{words}   ", x=values[k], y=k, ha="left" if ahead else "right")
        first_three = ", ".join(f"{name} {percent(p)}" for name, p in row[:3])
        return f"label {label}; teacher: {first_three}; last {row[-1][0]}, {one_in(values[-1])}"

    return figure, update


def _draw_dots(axes: Axes, n: int, lowest: int) -> tuple:
    """Draw n dots on a logarithmic axis from 10**lowest to 1: return them, the label's ring, and two empty numbers."""
    ticks = [10.0**k for k in range(0, lowest - 1, -3)][::-1]
    log_axis(
        axes.xaxis, ticks, words=lambda p: one_in(p).replace("in 1 ", "in a\n").replace("in 1,", "in\n1,") if p < 1 else "1"
    )
    axes.set(xlim=(10.0**lowest / 3, 1), ylim=(n - 0.5, -0.5), yticks=[], xlabel="the same, each step a thousandth")
    axes.tick_params(labelsize=10)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    dots = axes.plot([1] * n, range(n), "o", color=COLOURS["teacher"], markersize=9, clip_on=False, gid="dots")[0]
    ring = axes.plot([1], [0], "o", markersize=16, markerfacecolor="none", markeredgecolor=COLOURS["highlight"],
                     markeredgewidth=2, clip_on=False, gid="label")[0]  # fmt: skip
    numbers = [axes.text(1, k, "", va="center", fontsize=11, clip_on=True, gid=f"number {k}") for k in (1, n - 1)]
    return dots, ring, numbers


def one_in(p: float) -> str:
    """Write a small probability as one in so many, to two digits: 1 in 8 million."""
    times = float(f"{1 / p:.2g}")
    for size, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if times >= size:
            return f"1 in {times / size:g}{word}"
    return f"1 in {times:,.0f}" if times >= 2 else percent(p)


@styled
def plot_histograms(values: dict[str, Sequence[float]], xlabel: str, limit: float, limit_name: str) -> StaticFigure:
    """Draw one histogram a name, all on the same axis from 0 to `limit`, with each mean marked."""
    figure = Figure(figsize=(8, 1.5 * len(values) + 0.9), layout="constrained")
    rows, lines = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0], []
    for axes, (name, row) in zip(rows, values.items(), strict=True):
        mean = sum(row) / len(row)
        counts, _, _ = axes.hist(row, bins=50, range=(0, limit), color=COLOURS["teacher"])
        axes.set_ylim(top=1.3 * max(counts))  # room for the words
        axes.plot([mean, mean], [0, 1.1 * max(counts)], "--", color=COLOURS["highlight"])
        axes.text(mean, 1.12 * max(counts), f"mean {mean:.2f}", ha="left" if mean < limit / 8 else "center", color="#A84800")
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
                ink = "white" if value > 0.57 * highest else "black"  # whichever stands out more from the shade
                axes.text(j, i, f"{value:.0%}", ha="center", va="center", fontsize=10, color=ink)
    axes.set_xticks(range(n), classes, rotation=40, ha="right")
    axes.set_yticks(range(n), classes)
    axes.set(xlabel="probability given to", ylabel="the teacher sees")
    figure.colorbar(image, ax=axes, format=PercentFormatter(1, 0), shrink=0.8).outline.set_visible(False)
    lines = [f"{name}: {other} {value:.0%}" for name, (other, value) in zip(classes, nearest, strict=True)]
    return StaticFigure(figure, "Nearest class by mean soft probability. " + "; ".join(lines))


@styled
def live_bias(
    students: Mapping[str, Tensor], labels: Tensor, missing: int, name: str, biases: Sequence[float], price: float = 1.0
) -> tuple[Figure, Callable]:
    """Show what one bias does to students that never saw the class `missing`, called `name`: (figure, update(bias)).

    students: a key of COLOURS -> logits (n, num_classes) for test images with `labels` (n,), the first of them the one that
    pays: a line stands where its other classes have lost `price` points. biases: where the curves are computed, ascending
    from 0. Above, how many of the missing class are named; below, how many points the others have lost. Curves end, and the
    line appears, where the bias is: what lies ahead can be guessed.
    """

    def percents(logits: Tensor, bias: float) -> list[float]:
        return [100 * share for share in accuracies_with_bias(logits, labels, missing, bias)]

    curves = {key: list(zip(*(percents(logits, bias) for bias in biases), strict=True)) for key, logits in students.items()}
    start = {key: others[0] for key, (_, others) in curves.items()}
    figure = Figure(figsize=(8, 4.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    moving: dict[str, list] = {}
    trails: dict[str, list] = {}
    limit = first_bias_that_costs(biases, curves[next(iter(students))][1], price)
    for key, (unseen, others) in curves.items():
        dashes = "-" if key == "distilled" else "--"
        curves[key] = unseen, [value - start[key] for value in others]
        style = {"color": COLOURS[key], "linestyle": dashes}
        trails[key] = [
            axes.plot([0], [0], **style, gid=f"{key} {part}")[0] for axes, part in ((upper, "unseen"), (lower, "lost"))
        ]
        moving[key] = [
            axes.plot([0], [0], MARKERS[key], color=COLOURS[key], markersize=9, gid=f"{key} {part} now")[0]
            for axes, part in ((upper, "unseen"), (lower, "lost"))
        ]
    lines = [
        axes.axvline(0, color=COLOURS["highlight"], linewidth=1.5, gid=f"bias {k}") for k, axes in enumerate((upper, lower))
    ]
    limits = _finish_bias_panels(upper, lower, limit, price, name, biases)
    names = [f"trained on {key}" if key == "labels" else key for key in students]
    upper.legend([points[0] for points in moving.values()], names, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2)

    def update(bias: float = 0.0) -> str:
        words = []
        for line in lines:
            line.set_xdata([bias, bias])
        for mark in limits:
            mark.set_visible(bias >= limit)
        for key, logits in students.items():
            unseen, others = percents(logits, bias)
            lost = others - start[key]
            for point, trail, value, along in zip(moving[key], trails[key], (unseen, lost), curves[key], strict=True):
                point.set_data([bias], [value])
                trail.set_data(*parts.up_to(bias, biases, along, value))
            words.append(f"{key}: {unseen:.1f} % of the {name}s, the others {signed(lost, 1)} points ({others:.1f} %)")
        return f"bias {bias:+.1f}. " + "; ".join(words)

    return figure, update


def first_bias_that_costs(biases: Sequence[float], others: Sequence[float], price: float) -> float:
    """Return the first bias at which the other classes have lost `price` points or more; infinity if none does."""
    return next((bias for bias, value in zip(biases, others, strict=True) if others[0] - value >= price), math.inf)


def _finish_bias_panels(upper: Axes, lower: Axes, limit: float, price: float, name: str, biases: Sequence[float]) -> list:
    """Set the axes, and mark where the bias begins to cost too much; return the marks."""
    end = biases[-1]
    upper.set(ylim=(-3, 103), yticks=[0, 50, 100], ylabel=f"{name}s\nnamed (%)", xlim=(-0.02 * end, 1.02 * end))
    lower.set(ylim=(-10.5, 0.8), yticks=[0, -5, -10], ylabel="other classes\n(points)", xlabel=f"added to the logit of {name}")
    for axes in (upper, lower):
        axes.grid(axis="y")
    if limit > end:
        return []
    words = f" +{limit:.1f}: the distilled student's\n other classes have lost {price:g} point"
    style = {"color": "#444444", "linestyle": ":", "linewidth": 1.5}
    lines = [axes.axvline(limit, **style, gid=gid) for axes, gid in ((upper, "limit above"), (lower, "limit"))]
    return [*lines, upper.text(limit, 50, words, va="center", fontsize=11, gid="limit in words", bbox=BEHIND, clip_on=True)]
