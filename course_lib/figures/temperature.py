"""What notebook 02 draws. Data in, a `Picture` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullLocator
from torch import Tensor

from course_lib.figures.dark_knowledge import SHADES, show_image
from course_lib.figures.style import COLOURS, MARKERS, Picture, beside, log_axis, percent, styled
from course_lib.losses import soft_targets
from course_lib.metrics import entropy_bits, mean_interval

# The classes of the mixture: of the palette, what stands for no model. Green and purple, which some readers can hardly
# tell apart, go to the two classes that do not touch.
CLASS_COLOURS = ("#009E73", "#F0E442", "#D55E00", "#CC79A7")
CLASS_MARKERS = ("o", "s", "^", "D")


@styled
def mass_live(pixels, logits: Tensor, classes: Sequence[str], labels, lowest: float, highest: float) -> tuple[Figure, Callable]:
    """One of many images, its probabilities at T, and where the mass is at every T: (figure, update(picture, T)).

    logits: (n, num_classes); lowest, highest: the temperatures between which the curves run.
    """
    num_classes = logits.shape[1]
    ranked, order = logits.sort(descending=True, dim=1)
    temperatures = torch.logspace(math.log2(lowest), math.log2(highest), 100, base=2)
    along = torch.stack([soft_targets(ranked, float(T)) for T in temperatures], dim=1)  # (n, temperatures, num_classes)
    bits = entropy_bits(along)
    parts = torch.stack([along[..., 0], along[..., 1], along[..., 2:].sum(-1)], dim=-1)
    most, pixels = math.log2(num_classes), np.asarray(pixels)
    temperatures, parts, bits = temperatures.numpy(), parts.numpy(), bits.numpy()  # what matplotlib takes without a copy

    figure = Figure(figsize=(8.8, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[0.85, 1.5, 1.75], height_ratios=[1.7, 1])
    left, middle = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
    upper, lower = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    image = show_image(left, pixels[0])
    caption = beside(left.text(0.5, -0.04, "\n", ha="center", va="top", transform=left.transAxes), (0, -0.5, 1, 0))

    bars = _ranked_bars(middle, num_classes)
    names = [middle.text(-0.03, k, "", ha="right", va="center", fontsize=11, clip_on=True) for k in range(num_classes)]
    # At the first three bars only: to draw words is the dearest part of a frame.
    numbers = [middle.text(0, k, "", va="center", fontsize=11, clip_on=True) for k in range(3)]
    middle.set(xlim=(-0.8, 1.65), xticks=[0, 0.5, 1], yticks=[], xlabel="probability $p_i$ at $T$")

    styles = [("teacher", "-", "s"), ("highlight", "--", "o"), ("quiet", ":", "v")]
    curves = [upper.plot(temperatures, parts[0, :, j], line, color=COLOURS[key])[0] for j, (key, line, _) in enumerate(styles)]
    marks = [upper.plot([1], [0], marker, color=COLOURS[key], markersize=9)[0] for key, _, marker in styles]
    upper.legend(
        [(curve, mark) for curve, mark in zip(curves, marks, strict=True)],
        ["first class", "second", f"the other {num_classes - 2}"],
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1.2, handlelength=1.8,
    )  # fmt: skip
    upper.set(ylabel="probability", ylim=(-0.03, 1.05))
    curve = lower.plot(temperatures, bits[0], color=COLOURS["truth"])[0]
    mark = lower.plot([1], [0], MARKERS["truth"], color=COLOURS["truth"], markersize=8)[0]
    lower.axhline(most, color=COLOURS["quiet"], linewidth=1)
    lower.text(lowest, most, f" {most:.2f}: all alike", va="bottom", color="#555555", fontsize=11)
    lower.set(ylabel="entropy (bits)", ylim=(-0.15, most + 1), yticks=range(math.floor(most) + 1))
    for axes in (upper, lower):
        log2_axis(axes.xaxis, lowest, highest)
        axes.set_xlim(lowest / 1.3, highest * 1.3)  # so that the markers are whole at the slider's ends
        axes.grid(axis="y")
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("temperature $T$")
    lines = [axes.axvline(1, color=COLOURS["quiet"], linewidth=1, zorder=1) for axes in (upper, lower)]

    def update(picture: int = 0, T: float = 1.0) -> str:
        p = soft_targets(ranked[picture], T)
        entropy, row = entropy_bits(p).item(), p.tolist()
        named = [classes[int(k)] for k in order[picture]]
        image.set_data(pixels[picture])
        caption.set_text(f"label:\n{classes[int(labels[picture])]}")
        for bar, name, word, value in zip(bars, names, named, row, strict=True):
            bar.set_width(value)
            name.set_text(word)
        for number, value in zip(numbers, row, strict=False):
            _put(number, f" {_brief(value)}", value)
        now = (row[0], row[1], sum(row[2:]))
        for j in range(3):
            curves[j].set_ydata(parts[picture, :, j])
            marks[j].set_data([T], [now[j]])
        curve.set_ydata(bits[picture])
        mark.set_data([T], [entropy])
        for line in lines:
            line.set_xdata([T, T])
        shown = ", ".join(f"{word} {_brief(value)}" for word, value in zip(named, row, strict=True))
        return f"T = {T:.3g}: {entropy:.2f} bits of {most:.2f}; first {_brief(now[0])}, second {_brief(now[1])}, " + (
            f"the other {num_classes - 2} together {_brief(now[2])}. {shown}"
        )

    return figure, update


@styled
def scale_live(logits: Tensor, classes: Sequence[str]) -> tuple[Figure, Callable]:
    """One row of logits (num_classes,) at another scale and temperature: (figure, update(scale, T)).

    On the right a map of the entropy over both, from 1/4 to 4 and from 1/4 to 32, whose contours are p's own: straight lines.
    """
    num_classes, low, high, coldest, hottest = len(logits), 1 / 4, 4, 1 / 4, 32
    v, order = logits.sort(descending=True)
    v = v - v.mean()
    named, most = [classes[int(k)] for k in order], math.log2(num_classes)
    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.15, 1.0, 1.45])
    reach = 1.08 * high * float(v.abs().max())
    logit_bars, bars = _ranked_bars(left, num_classes), _ranked_bars(middle, num_classes)
    numbers = [middle.text(0, k, "", va="center", fontsize=11, clip_on=True) for k in range(num_classes)]
    left.axvline(0, color="#444444", linewidth=1)
    left.set(xlim=(-reach, reach), xlabel="logits: scale × $v_i$", yticks=range(num_classes), yticklabels=named)
    middle.set(xlim=(0, 1.45), xlabel="probability $p_i$ at $T$", xticks=[0, 0.5, 1], yticks=[])
    left.tick_params(left=False, labelsize=11)

    # A little beyond the sliders, so that the point is whole at their ends.
    scales = torch.logspace(math.log2(low / 1.2), math.log2(high * 1.2), 61, base=2)
    temperatures = torch.logspace(math.log2(coldest / 1.2), math.log2(hottest * 1.2), 106, base=2)
    field = entropy_bits(torch.stack([soft_targets(scales[:, None] * v, float(T)) for T in temperatures]))
    log2_axis(right.xaxis, low, high)
    log2_axis(right.yaxis, coldest, hottest)
    at_one = entropy_bits(torch.stack([soft_targets(v, float(T)) for T in temperatures]))
    scales, temperatures, field = scales.numpy(), temperatures.numpy(), field.numpy()
    # Bands, not a smooth field: the picture is a quarter as large, and the eye finds lines of equal entropy.
    right.contourf(
        scales, temperatures, field, [0.5 * k for k in range(math.ceil(2 * most) + 1)], cmap=SHADES, vmin=0, vmax=most
    )
    levels = [0.5, 1, 1.5, 2, 2.5, 3]
    ink = ["#00304D" if level < 1.5 else "white" for level in levels]
    lines = right.contour(scales, temperatures, field, levels, colors=ink, linewidths=1)
    places = [(1.0, float(temperatures[int((at_one - level).abs().argmin())])) for level in levels]
    right.clabel(lines, fmt="%g", fontsize=11, colors=ink, manual=places)
    right.set(xlim=(scales[0], scales[-1]), ylim=(temperatures[0], temperatures[-1]))
    right.set(xlabel="scale of the logits", ylabel="temperature $T$")
    right.set_title("entropy (bits)", fontsize=12)
    same = right.plot([low / 2, high * 2], [1, 1], "--", color=COLOURS["highlight"])[0]
    point = right.plot([1], [1], "o", color=COLOURS["highlight"], markersize=12, markeredgecolor="white", markeredgewidth=2)[0]

    def update(scale: float = 1.0, T: float = 1.0) -> str:
        p = soft_targets(scale * v, T)
        row, entropy = p.tolist(), entropy_bits(p).item()
        for logit_bar, bar, number, logit, value in zip(logit_bars, bars, numbers, v.tolist(), row, strict=True):
            logit_bar.set_width(scale * logit)
            bar.set_width(value)
            _put(number, f" {_brief(value)}", value)
        same.set_ydata([T / scale * x for x in same.get_xdata()])
        point.set_data([scale], [T])
        shown = ", ".join(f"{word} {_brief(value)}" for word, value in zip(named[:3], row, strict=False))
        return f"scale {scale:.3g}, T = {T:.3g}: T / scale = {T / scale:.3g}; {entropy:.2f} bits; {shown}"

    return figure, update


@styled
def learned_live(mixture, data, learn: Callable, from_labels: dict, held_out: Tensor) -> tuple[Figure, Callable]:
    """The true posterior of a 2-D mixture beside that of a student: (figure, update(T, units)).

    data: the points and classes that the students are trained on. learn: called as learn(T, units), gives a trained
    student; once for each pair. from_labels: units -> a student trained on the labels. held_out: points (n, 2) on which
    KL(truth‖student) is taken. All that was tried stays in the panel on the right.
    """
    points, classes = data.tensors
    low, high = held_out.quantile(0.002, dim=0), held_out.quantile(0.998, dim=0)
    side = 84
    xs, ys = (torch.linspace(float(low[axis]), float(high[axis]), side) for axis in (0, 1))
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1).reshape(-1, 2)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    truth, sizes = mixture(held_out), list(from_labels)

    def divergence(student) -> float:
        return _kl_bits(truth, _log_probabilities(student, held_out))

    figure = Figure(figsize=(8.8, 4.0), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 0.95])
    true, spots, kinds = mixture(grid).exp(), points.numpy(), classes.numpy()
    across, up, borders = _borders(mixture, extent)
    images = [
        axes.imshow(
            blend(true).reshape(side, side, 3).numpy(), extent=extent, origin="lower", aspect="auto", interpolation="nearest"
        )
        for axes in (left, middle)
    ]
    for k in range(mixture.num_classes):
        for axes in (left, middle):
            axes.contour(across, up, borders[k], [0], colors=COLOURS["truth"], linewidths=1)
            axes.plot(
                *spots[kinds == k].T, CLASS_MARKERS[k], color=CLASS_COLOURS[k], markersize=6,
                markeredgecolor="black", markeredgewidth=0.8, linestyle="none",
            )  # fmt: skip
    for axes, title in ((left, "the true posterior"), (middle, "a student, used at T = 1")):
        axes.set_title(title)
        axes.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
        axes.spines[:].set_visible(False)
    words = beside(middle.text(0.5, -0.03, "", ha="center", va="top", fontsize=11, transform=middle.transAxes), (0, -0.2, 1, 0))
    left.text(0.5, -0.03, f"{len(points)} training points", ha="center", va="top", transform=left.transAxes)

    right.set(xlabel="trained at temperature $T$", ylim=(1e-3, 3), xlim=(0.09, 23))
    right.set_title("KL(truth‖student), bits")
    right.set_yscale("log")
    log2_axis(right.xaxis, 1 / 8, 16)
    right.grid(axis="y")
    right.yaxis.set_minor_locator(NullLocator())
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.yaxis.set_tick_params(labelsize=11)
    baseline = right.axhline(1, color=COLOURS["labels"], linestyle="-.")
    baseline_words = right.text(22, 1, "", ha="right", va="bottom", fontsize=11, clip_on=True)
    fills = ["white", COLOURS["distilled"]]
    tried = [
        right.plot([], [], MARKERS["distilled"], color=COLOURS["distilled"], markerfacecolor=fills[i % 2], markersize=8,
                   markeredgewidth=1.8, linestyle="none", label=f"{units} units a layer")[0]
        for i, units in enumerate(sizes)
    ]  # fmt: skip
    ring = right.plot([1], [1], "o", markersize=17, markerfacecolor="none", markeredgecolor=COLOURS["highlight"])[0]
    right.legend(loc="lower left", handletextpad=0.3, frameon=True, framealpha=0.9, edgecolor="none")
    hard = {units: divergence(student) for units, student in from_labels.items()}
    known: dict = {}

    def update(T: float = 1.0, units: int = sizes[0]) -> str:
        if (T, units) not in known:
            student = learn(T, units)
            q = _log_probabilities(student, grid).exp()
            known[T, units] = blend(q).reshape(side, side, 3).numpy(), divergence(student)
        colours, bits = known[T, units]
        images[1].set_data(colours)
        words.set_text(f"trained at T = {T:.3g}: KL {bits:.3f} bits")
        for line, size in zip(tried, sizes, strict=True):
            found = sorted((temperature, value) for (temperature, width), (_, value) in known.items() if width == size)
            line.set_data(*zip(*found, strict=True)) if found else line.set_data([], [])
        ring.set_data([T], [bits])
        baseline.set_ydata([hard[units]] * 2)
        baseline_words.set(text=f"trained on labels: {hard[units]:.2f}", y=1.08 * hard[units])
        return (
            f"T = {T:.3g}, {units} units a layer: KL(truth‖student) = {bits:.3f} bits; trained on labels {hard[units]:.3f} bits"
        )

    return figure, update


@styled
def sweep(results: dict[str, dict[float, Sequence[float]]], ylabel: str, *, log: bool = False) -> Picture:
    """A panel for each kind of student: every run at every T, runs of the same seed joined, with mean and 95 % interval.

    results: name -> T -> values, one a seed, in the same order. The panels share their axes.
    """
    figure = Figure(figsize=(min(9, 2.9 * len(results) + 0.4), 3.9), layout="constrained")
    panels, texts = figure.subplots(1, len(results), squeeze=False, sharey=True)[0], []
    for axes, (name, by_T) in zip(panels, results.items(), strict=True):
        intervals = {T: mean_interval(values) for T, values in by_T.items()}
        means = [interval.mean for interval in intervals.values()]
        for values in zip(*by_T.values(), strict=True):
            axes.plot(list(by_T), values, color="#BBBBBB", linewidth=1, marker="o", markersize=4)
        above = [interval.half_width for interval in intervals.values()]
        # On a logarithmic axis an interval that reaches below 0 has no lower end to draw.
        below = [min(half, 0.9 * mean) for half, mean in zip(above, means, strict=True)] if log else above
        axes.errorbar(
            list(by_T), means, [below, above], fmt=MARKERS["distilled"] + "-", color=COLOURS["distilled"],
            markersize=9, capsize=5, markeredgecolor="white", zorder=3,
        )  # fmt: skip
        axes.set_title(name)
        axes.set_xlabel("temperature $T$")
        log2_axis(axes.xaxis, min(by_T), max(by_T))
        axes.set_xlim(min(by_T) / 1.35, max(by_T) * 1.35)
        axes.grid(axis="y")
        digits = 3 if log else 2
        shown = ", ".join(f"T = {T:g} {i.mean:.{digits}f} ± {i.half_width:.{digits}f}" for T, i in intervals.items())
        texts.append(f"{name}: {shown}")
    if log:
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panels[0].yaxis.set_minor_locator(NullLocator())
    panels[0].set_ylabel(ylabel)
    runs = len(next(iter(next(iter(results.values())).values())))
    return Picture(figure, f"{ylabel}, mean and 95 % interval of {runs} runs. " + "; ".join(texts))


def blend(probabilities: Tensor) -> Tensor:
    """The colours of the classes mixed by their probabilities, (..., num_classes) -> (..., 3), on white for readability."""
    colours = torch.tensor([to_rgb(colour) for colour in CLASS_COLOURS[: probabilities.shape[-1]]])
    return 1 - 0.8 * (1 - probabilities.float() @ colours).clamp(0, 1)


def _brief(p: float) -> str:
    """A probability as it fits beside a bar: with one decimal, or as less than the smallest of those."""
    return percent(p) if p >= 0.0005 or p == 0 else "< 0.1 %"


def log2_axis(axis, lowest: float, highest: float) -> None:
    """A logarithmic axis with a tick at every power of two, every other one where there would be more than seven."""
    first, last = math.ceil(math.log2(lowest) - 1e-9), math.floor(math.log2(highest) + 1e-9)
    step = 1 if last - first <= 6 else 2
    ticks = [2.0**e for e in range(first, last + 1) if (e - first) % step == 0]
    log_axis(axis, ticks, base=2, words=lambda value: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    axis.set_tick_params(labelsize=11)  # named, since a live figure makes its ticks when it is drawn, outside of the style


def _put(number: Text, words: str, x: float) -> None:
    """Move it when its words change: to draw words is the dearest part of a frame, and most bars are as good as 0.

    The words say x to a tenth of a percent, so that they are never farther than that from the end of their bar.
    """
    if words != number.get_text():
        number.set(text=words, x=x)


def _ranked_bars(axes: Axes, n: int):
    """Lying bars, the first class on top: the first, the second and all others are told apart."""
    bars = axes.barh(
        range(n), [0] * n, height=0.72, color=[COLOURS["teacher"], COLOURS["highlight"]] + [COLOURS["quiet"]] * (n - 2)
    )
    bars[1].set(hatch="///", edgecolor="white", linewidth=0)
    axes.set_ylim(n - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    return bars


def _borders(mixture, extent: Sequence[float], side: int = 300) -> tuple:
    """(xs, ys, how far each class is ahead of the best of the others: num_classes maps), for contours at 0."""
    xs, ys = torch.linspace(*extent[:2], side), torch.linspace(*extent[2:], side)
    p = mixture.posterior(torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1).reshape(-1, 2))
    best = p.topk(2).values
    others = torch.where(p == best[:, :1], best[:, 1:], best[:, :1])
    return xs.numpy(), ys.numpy(), (p - others).T.reshape(-1, side, side).numpy()


def _log_probabilities(student, points: Tensor) -> Tensor:
    with torch.no_grad():
        return student(points).log_softmax(-1)


def _kl_bits(log_p: Tensor, log_q: Tensor) -> float:
    """The mean over rows of KL(p‖q) in bits, from log-probabilities."""
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean().item() / math.log(2)
