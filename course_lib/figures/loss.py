"""The figures of notebook 04. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it.

v are the teacher's logits, z the student's, p and q their probabilities at T. KL(p‖q), forward, is the light blue of the
distilled student, solid; KL(q‖p), reverse, is the highlight, dashed.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from torch import Tensor

from course_lib.figures.parts import filled, outlined, paired_bars, set_bars, signed, temperature_axis, temperature_text
from course_lib.figures.style import BEHIND, COLOURS, MARKERS, StaticFigure, styled
from course_lib.humps import AGES, MIDDLE, OneHump, fit_one_hump, mean_and_deviation, two_humps
from course_lib.losses import soft_target_loss, soft_targets

FORWARD = {"color": COLOURS["distilled"], "linestyle": "-"}
REVERSE = {"color": COLOURS["highlight"], "linestyle": "--"}
LOWEST, HIGHEST = 1, 20  # the temperatures between which the two directions are drawn

NAMES = {"forward": "KL(p‖q)", "reverse": "KL(q‖p)", "jsd": "JSD(p, q)"}


class Directions(NamedTuple):
    """T² times the KLs of one row at T, in nats, and by how many percent the reverse one is larger."""

    forward: float
    reverse: float
    difference: float


def directions(v: Tensor, z: Tensor, T: float) -> Directions:
    """Return both directions for logits (num_classes,), or rows of them."""
    forward, reverse = (soft_target_loss(z, v, float(T), divergence=name).item() for name in ("forward", "reverse"))
    return Directions(forward, reverse, 100 * (reverse / forward - 1))


@styled
def live_directions(v: Sequence[float], z: Sequence[float]) -> tuple[Figure, Callable]:
    """Draw one row of logits as p and q at T, T² times both KLs against T, and their difference: (figure, update(T))."""
    v, z = (torch.as_tensor(logits, dtype=torch.float64) for logits in (v, z))
    classes, grid = range(len(v)), np.geomspace(LOWEST, HIGHEST, 120)
    forward, reverse, difference = np.array([directions(v, z, T) for T in grid]).T

    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    cells = figure.add_gridspec(2, 2, width_ratios=[1, 1.5], height_ratios=[1.6, 1])
    left = figure.add_subplot(cells[:, 0])
    upper, lower = figure.add_subplot(cells[0, 1]), figure.add_subplot(cells[1, 1])
    bars = paired_bars(left, len(v), {"teacher p": filled("teacher"), "student q": outlined("distilled")})
    left.set(ylim=(0, 1.05), ylabel="probability at T")
    left.set_xticks(classes, [f"class {k + 1}" for k in classes])
    left.tick_params(bottom=False)

    upper.plot(grid, forward, label="T² KL(p‖q)", **FORWARD)
    upper.plot(grid, reverse, label="T² KL(q‖p)", **REVERSE)
    upper.set(ylim=(0, 1.25 * max(forward.max(), reverse.max())), ylabel="nats")
    lower.plot(grid, difference, color=COLOURS["truth"], linewidth=1.5, gid="differences")
    lower.axhline(0, color=COLOURS["quiet"], linewidth=1, zorder=1)
    room = 0.15 * (difference.max() - difference.min())
    lower.set(ylabel="apart, %", ylim=(difference.min() - room, difference.max() + room))
    points = [
        axes.plot([1], [0], MARKERS[key], color=COLOURS[key], gid=f"{name} now", **style)[0]
        for axes, name, key, style in (
            (upper, "forward", "distilled", {"markersize": 11, "markeredgecolor": "white"}),
            (upper, "reverse", "highlight", {"markersize": 11, "markeredgecolor": "white"}),
            (lower, "difference", "truth", {"markersize": 8}),
        )
    ]
    where = {"transform": lower.transAxes, "ha": "right", "va": "top", "clip_on": True}
    reading = lower.text(0.97, 0.9, "", fontsize=13, gid="reading", **where)
    lines = [
        axes.axvline(1, color=COLOURS["quiet"], linewidth=1, zorder=1, gid=f"T in the {name} panel")
        for axes, name in ((upper, "upper"), (lower, "lower"))
    ]
    for axes, label in ((upper, ""), (lower, "temperature T")):
        temperature_axis(axes.xaxis, LOWEST, HIGHEST, ticks=[1, 2, 4, 8, 20], margin=1.1, label=label)
        axes.tick_params(labelsize=11)
        axes.grid(axis="y")
    upper.tick_params(labelbottom=False)
    for axes in (left, upper):  # above the axes, where nothing moves beneath them
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2, handlelength=1.8)

    def update(T: float = 1.0) -> str:
        for group, logits in zip(bars, (v, z), strict=True):
            set_bars(group, soft_targets(logits, T).tolist())
        now = directions(v, z, T)
        for point, value in zip(points, now, strict=True):
            point.set_data([T], [value])
        for line in lines:
            line.set_xdata([T, T])
        shown = f"{signed(now.difference, 1)} %"
        reading.set_text(shown)
        return (
            f"{temperature_text(T)}. T² KL(p‖q) = {now.forward:.4f}, T² KL(q‖p) = {now.reverse:.4f}; "
            f"reverse against forward: {shown}"
        )

    return figure, update


# ---- one hump for two ----


class Humps(NamedTuple):
    """A two-humped teacher, the student that suits it best, its mean and deviation in years, and how high both are midway."""

    p: np.ndarray
    fit: OneHump
    mean: float
    deviation: float
    teacher_midway: float  # as a share of the highest probability
    student_midway: float


def humps(distance: int, divergence: str) -> Humps:
    """Return the numbers that `live_humps` shows."""
    p = two_humps(distance)
    fit = fit_one_hump(p, divergence)
    return Humps(p, fit, *mean_and_deviation(fit.q), *(row[MIDDLE] / row.max() for row in (p, fit.q)))


@styled
def live_humps() -> tuple[Figure, Callable]:
    """Draw a two-humped teacher, the one-humped student that suits it best, and how good a hump at other ages would be.

    (figure, update(distance, divergence)); a fit is made once for each pair.
    """
    fitted = functools.cache(humps)
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    (area,) = left.fill(AGES, 0 * AGES, color=COLOURS["teacher"], alpha=0.25, linewidth=0, gid="area under p")
    (line_p,) = left.plot(AGES, 0 * AGES, color=COLOURS["teacher"], label="teacher p")
    (line_q,) = left.plot(AGES, 0 * AGES, color=COLOURS["distilled"], linestyle="--", linewidth=3, label="student q")
    left.set(xlim=(10, 90), ylim=(0, 0.115), xlabel="class: the age of the person, in years", ylabel="probability")
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2)
    above = {"transform": left.transAxes, "va": "top", "clip_on": True}
    name = left.text(0.03, 0.97, "", fontsize=14, gid="divergence", **above)
    words = left.text(0.98, 0.97, "", ha="right", fontsize=12, gid="student in words", **above)

    (valley,) = right.plot(AGES, 0 * AGES, color=COLOURS["truth"], linewidth=1.5, gid="profile")
    dot = {"color": COLOURS["distilled"], "markersize": 13, "markeredgecolor": "white"}
    (point,) = right.plot([50], [0], MARKERS["distilled"], gid="fit", **dot)
    right.set(xlim=(10, 90), ylim=(-0.04, 1.5), xlabel="place of the student's hump", ylabel="least divergence, nats")
    right.grid(axis="y")

    def update(distance: int = 30, divergence: str = "forward") -> str:
        now, shown = fitted(distance, divergence), NAMES[divergence]
        area.set_xy(np.column_stack([AGES[_CORNERS], np.concatenate([now.p, [0, 0]])]))
        line_p.set_ydata(now.p)
        line_q.set_ydata(now.fit.q)
        valley.set_ydata(now.fit.profile)
        point.set_data([now.mean], [now.fit.divergence])
        words.set_text(f"student: {now.mean:.0f} ± {now.deviation:.0f} years")
        name.set_text(shown)
        return (
            f"Humps {distance} years apart, {shown}: the student says {now.mean:.1f} years, give or take {now.deviation:.1f}; "
            f"{shown} = {now.fit.divergence:.3f}. Midway the teacher has {100 * now.teacher_midway:.0f} % of its peak, "
            f"the student {100 * now.student_midway:.0f} %"
        )

    return figure, update


_CORNERS = [*range(len(AGES)), -1, 0]  # along the curve and back on the axis


# ---- rounding ----


@styled
def plot_rounding(errors: dict[str, dict[str, dict[float, tuple[float, float]]]]) -> StaticFigure:
    """Draw the relative errors of a loss and of its gradient by T, one panel for each: NaN and infinity stand at the top.

    errors: formula -> number format -> T -> (of the loss, of the gradient); at most two formulas and three formats.
    """
    figure = Figure(figsize=(8.8, 4.3), layout="constrained")
    panels, top, bottom, texts = figure.subplots(1, 2, sharey=True), 300.0, 1e-9, []
    markers = ("o", "s", "D")
    for (formula, by_format), style in zip(errors.items(), (REVERSE, FORWARD), strict=False):
        for (name, by_T), marker in zip(by_format.items(), markers, strict=False):
            for axes, which in zip(panels, (0, 1), strict=True):
                values = [pair[which] for pair in by_T.values()]
                drawn = [max(min(value, top), bottom) if math.isfinite(value) else top for value in values]
                axes.plot(list(by_T), drawn, marker=marker, label=f"{formula}, {name}", markersize=6, linewidth=1.5,
                          color=style["color"], linestyle=style["linestyle"], markeredgecolor="white")  # fmt: skip
                broken = [T for T, value in zip(by_T, values, strict=True) if not math.isfinite(value)]
                if broken:
                    axes.plot(broken, [top] * len(broken), "x", color=COLOURS["truth"], markersize=10, markeredgewidth=2)
                    axes.text(broken[0] / 1.25, top, "NaN", ha="right", va="center", fontsize=11, bbox=BEHIND)
            loss, gradient = (", ".join(f"{value:.1e}" for value in column) for column in zip(*by_T.values(), strict=True))
            texts.append(f"{formula}, {name}: loss {loss}; gradient {gradient}")
    temperatures = list(next(iter(next(iter(errors.values())).values())))
    for axes, title in zip(panels, ("loss", "gradient"), strict=True):
        axes.axhline(1, color=COLOURS["quiet"], linewidth=1, zorder=1)
        axes.set_yscale("log")
        axes.set(ylim=(bottom / 2, top * 2), title=title)
        temperature_axis(axes.xaxis, min(temperatures), max(temperatures), ticks=[1, 4, 20, 100, 500], margin=1.1)
        axes.yaxis.set_major_locator(FixedLocator([1e-8, 1e-6, 1e-4, 1e-2, 1, 100]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y")
    panels[0].set_ylabel("relative error")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(errors), columnspacing=4)
    shown = ", ".join(f"{T:g}" for T in temperatures)
    return StaticFigure(figure, f"Relative errors at T = {shown}. " + ". ".join(texts))
