"""The figures of notebook 02. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from torch import Tensor

from course_lib.figures.parts import (
    SHADES,
    class_bars,
    set_bars,
    show_image,
    temperature_axis,
)
from course_lib.figures.style import COLOURS, MARKERS, clip_to, percent, styled
from course_lib.losses import soft_targets
from course_lib.metrics import entropy_bits
from course_lib.sweeps import entropy_map, first_second_rest, log_spaced, temperatures_of_entropies

RANKS = (("first", COLOURS["teacher"], "-", "s"), ("second", COLOURS["highlight"], "--", "o"))
POWERS = [2.0**k for k in (-3, -1, 0, 1, 2, 3, 4, 5, 7)]
SCALES, TEMPERATURES = (1 / 4, 4), (1 / 4, 32)  # the ends of the map of the entropy
LEVELS = (0.5, 1, 1.5, 2, 2.5, 3)  # its contours, in bits
T_LABEL = "temperature $T$"
ROOM = (-0.05, -0.1, 1.05, 1.1)  # of an axes' sides: in it a marker at an end is whole


@styled
def live_mass(pixels, logits: Tensor, classes: Sequence[str], labels, lowest: float, highest: float) -> tuple[Figure, Callable]:
    """Show one of many images, its probabilities at T, and the mass at every T: (figure, update(picture, T)).

    pixels: (n, 28, 28); logits: (n, num_classes); labels: (n,); lowest, highest: the temperatures between which curves run.
    """
    num_classes, pixels = logits.shape[1], np.asarray(pixels)
    ranked, order = logits.sort(descending=True, dim=1)
    temperatures = log_spaced(lowest, highest, 100)
    at_every_T = torch.stack([soft_targets(ranked, float(T)) for T in temperatures], dim=1)
    mass, bits = at_every_T.numpy(), entropy_bits(at_every_T).numpy()  # what matplotlib takes without a copy
    most, temperatures = math.log2(num_classes), temperatures.numpy()

    figure = Figure(figsize=(8.8, 4.0), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[0.75, 1.9, 2.05], height_ratios=[1.7, 1])
    left, middle = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
    upper, lower = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    image, caption = _captioned_image(left, pixels[0])
    bars, numbers = _ranked_bars(middle, num_classes, numbers=3)
    label_mark = middle.plot([0], [0], MARKERS["truth"], color=COLOURS["truth"], markersize=6, clip_on=False, gid="label")[0]
    names = [clip_to(middle.text(-0.06, k, "", ha="right", va="center", fontsize=11, gid=f"name {k}"), (-0.6, 0, -0.01, 1))
             for k in range(num_classes)]  # fmt: skip
    middle.set(xlim=(0, 1), xticks=[0, 0.5, 1], yticks=[], xlabel="probability $p_i$ at $T$")
    curves, marks, words = _mass_curves(upper, temperatures, mass[0])
    curve, mark = _entropy_curve(lower, temperatures, bits[0], most)
    for axes, label in ((upper, ""), (lower, T_LABEL)):
        temperature_axis(axes.xaxis, lowest, highest, ticks=POWERS, label=label)
        axes.grid(axis="y")
    upper.tick_params(labelbottom=False)
    lines = [
        axes.axvline(1, color=COLOURS["highlight"], linewidth=1, zorder=1, gid=f"T in {gid}")
        for axes, gid in ((upper, "mass"), (lower, "entropy"))
    ]

    def update(picture: int = 0, T: float = 1.0) -> str:
        p = soft_targets(ranked[picture], T)
        entropy, row, now = entropy_bits(p).item(), p.tolist(), first_second_rest(p).tolist()
        named = [classes[int(k)] for k in order[picture]]
        label = classes[int(labels[picture])]
        image.set_data(pixels[picture])
        caption.set_text(f"label:\n{label}")
        label_mark.set_data([-0.03], [named.index(label)])
        set_bars(bars, row)
        for name, word in zip(names, named, strict=True):
            name.set_text(word)
        _set_numbers(numbers, row)
        for j, line in enumerate(curves):
            line.set_ydata(mass[picture, :, j])
        for j, (point, word) in enumerate(zip(marks, words, strict=True)):
            point.set_data([T], [row[j]])
            word.set(text=f" {named[j]}", position=(temperatures[0], _height_of_name(j, mass[picture])))
        curve.set_ydata(bits[picture])
        mark.set_data([T], [entropy])
        for line in lines:
            line.set_xdata([T, T])
        first, second, rest = map(_brief, now)
        shown = ", ".join(f"{word} {_brief(value)}" for word, value in zip(named, row, strict=True))
        return f"T = {T:.3g}: {entropy:.2f} bits of {most:.2f}; first {first}, second {second}, " + (
            f"the other {num_classes - 2} together {rest}. {shown}"
        )

    return figure, update


def _captioned_image(axes: Axes, pixels) -> tuple:
    image = show_image(axes, pixels)
    image.set_gid("image")
    caption = axes.text(0.5, -0.04, "\n", ha="center", va="top", transform=axes.transAxes, gid="caption")
    return image, clip_to(caption, (0, -0.5, 1, 0))


def _mass_curves(axes: Axes, temperatures, mass) -> tuple[list[Line2D], list[Line2D], list[Text]]:
    """Draw (temperatures, num_classes) as curves, ranked: two in colour, the others light grey.

    Return the curves, marks for the first two, and the texts that name these.
    """
    n = mass.shape[1]
    curves = [
        axes.plot(temperatures, mass[:, j], RANKS[j][2] if j < 2 else "-", color=RANKS[j][1] if j < 2 else "#C8C8C8",
                  linewidth=2 if j < 2 else 1.2, zorder=3 if j < 2 else 2, gid=f"curve {j}")[0]
        for j in range(n)
    ]  # fmt: skip
    marks = [
        clip_to(axes.plot([1], [0], marker, color=colour, markersize=9, zorder=4, gid=f"{gid} at T")[0], ROOM)
        for gid, colour, _, marker in RANKS
    ]
    words = [
        axes.text(temperatures[0], 0.5, "", color=ink, va="center", fontsize=11, clip_on=True, gid=f"{rank[0]} in words")
        for rank, ink in zip(RANKS, (COLOURS["teacher"], "#A84800"), strict=True)
    ]
    axes.axhline(1 / n, color="#444444", linewidth=1, linestyle=":")
    axes.text(temperatures[-1], 1 / n + 0.02, f"1/{n}", ha="right", va="bottom", fontsize=11, color="#444444")
    axes.set(ylabel="probability", ylim=(0, 1), yticks=[0, 0.5, 1])
    return curves, marks, words


def _height_of_name(rank: int, mass) -> float:
    """Return where the name of a curve stands at the left end: clear of the curves, and of the line at 1/N."""
    at_left = float(mass[0, rank])
    if rank == 0:
        return at_left - 0.09 if at_left > 0.85 else at_left + 0.08
    return max(at_left - 0.09, 0.17) if at_left > 0.26 else 0.17


def _entropy_curve(axes: Axes, temperatures, bits, most: float) -> tuple[Line2D, Line2D]:
    curve = axes.plot(temperatures, bits, color=COLOURS["truth"], gid="entropy")[0]
    mark = axes.plot([1], [0], MARKERS["truth"], color=COLOURS["truth"], markersize=8, gid="entropy at T")[0]
    clip_to(mark, ROOM)
    words = f"at most {most:.2f}: all alike "
    axes.text(temperatures[-1], 0.15, words, ha="right", va="bottom", color="#555555", fontsize=11)
    axes.set(ylabel="entropy (bits)", ylim=(0, most), yticks=range(math.floor(most) + 1))
    return curve, mark


@styled
def live_scale(logits: Tensor, classes: Sequence[str]) -> tuple[Figure, Callable]:
    """Show one row of logits (num_classes,) at another scale and temperature: (figure, update(scale, T)).

    On the right a map of the entropy over both, whose contours are p's own: straight lines.
    """
    num_classes = len(logits)
    v, order = logits.sort(descending=True)
    v = v - v.mean()
    named = [classes[int(k)] for k in order]
    figure = Figure(figsize=(8.8, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.15, 1.0, 1.45])
    reach = 1.08 * SCALES[1] * float(v.abs().max())
    logit_bars, _ = _ranked_bars(left, num_classes, label="logits")
    bars, numbers = _ranked_bars(middle, num_classes, numbers=num_classes)
    left.axvline(0, color="#444444", linewidth=1)
    left.set(xlim=(-reach, reach), xlabel="logits: scale × $v_i$", yticks=range(num_classes), yticklabels=named)
    middle.set(xlim=(0, 1), xlabel="probability $p_i$ at $T$", xticks=[0, 0.5, 1], yticks=[])
    _draw_entropy_map(right, v)
    same = right.plot([SCALES[0] / 2, SCALES[1] * 2], [1, 1], "--", color=COLOURS["highlight"], gid="same T / scale")[0]
    point = right.plot(
        [1], [1], "o", color=COLOURS["highlight"], markersize=12, markeredgecolor="white", markeredgewidth=2, gid="now"
    )[0]

    def update(scale: float = 1.0, T: float = 1.0) -> str:
        p = soft_targets(scale * v, T)
        row, entropy = p.tolist(), entropy_bits(p).item()
        set_bars(logit_bars, [scale * logit for logit in v.tolist()])
        set_bars(bars, row)
        _set_numbers(numbers, row)
        same.set_ydata([T / scale * x for x in same.get_xdata()])
        point.set_data([scale], [T])
        shown = ", ".join(f"{word} {_brief(value)}" for word, value in zip(named[:3], row, strict=False))
        return f"scale {scale:.3g}, T = {T:.3g}: T / scale = {T / scale:.3g}; {entropy:.2f} bits; {shown}"

    return figure, update


def _draw_entropy_map(axes: Axes, v: Tensor) -> None:
    """Draw the entropy of softmax(scale * v / T), v (num_classes,), over SCALES and TEMPERATURES."""
    margin = 1.2  # beyond the sliders, so that the point is whole at their ends
    scales = log_spaced(SCALES[0] / margin, SCALES[1] * margin, 61)
    temperatures = log_spaced(TEMPERATURES[0] / margin, TEMPERATURES[1] * margin, 106)
    bits, most = entropy_map(v, scales, temperatures), math.log2(len(v))
    positions = [(1.0, T) for T in temperatures_of_entropies(v, LEVELS, temperatures)]
    temperature_axis(axes.xaxis, *SCALES, margin=margin, label="scale of the logits")
    temperature_axis(axes.yaxis, *TEMPERATURES, margin=margin, label=T_LABEL)
    grid = scales.numpy(), temperatures.numpy(), bits.numpy()
    # Bands, not a smooth field: the picture is a quarter as large, and the eye finds lines of equal entropy.
    axes.contourf(*grid, [0.5 * k for k in range(math.ceil(2 * most) + 1)], cmap=SHADES, vmin=0, vmax=most)
    ink = ["#00304D" if level < 2 else "white" for level in LEVELS]
    lines = axes.contour(*grid, LEVELS, colors=ink, linewidths=1)
    axes.clabel(lines, fmt="%g", fontsize=11, colors=ink, manual=positions)
    axes.set(xlim=grid[0][[0, -1]], ylim=grid[1][[0, -1]], gid="entropy map")
    axes.set_title("entropy (bits)", fontsize=12)


def _ranked_bars(axes: Axes, n: int, **settings) -> tuple[BarContainer, list[Text]]:
    """Draw `class_bars` of which the first, the second and all others are told apart."""
    colours = [COLOURS["teacher"], COLOURS["highlight"]] + [COLOURS["quiet"]] * (n - 2)
    bars, numbers = class_bars(axes, [""] * n, color=colours, **settings)
    bars[1].set(hatch="///", edgecolor="white", linewidth=0)
    return bars, numbers


def _set_numbers(numbers: Sequence[Text], row: Sequence[float]) -> None:
    """Write a probability at each bar, and move it when its words change: drawing words is the dearest part of a frame.

    The words say a probability to a tenth of a percent, so that they are never farther than that from the end of their bar.
    """
    for number, p in zip(numbers, row, strict=False):
        words = f" {_brief(p)} "
        if words != number.get_text():
            inside = p > 0.6
            number.set(text=words, x=p, ha="right" if inside else "left", color="white" if inside else "black")


def _brief(p: float) -> str:
    """Write a probability as it fits beside a bar: with one decimal, or as less than the smallest of those."""
    return percent(p) if p >= 0.0005 or p == 0 else "< 0.1 %"
