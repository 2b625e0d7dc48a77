"""The figures of notebook 04. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it.

v are the teacher's logits, z the student's, p and q their probabilities at T. KL(p‖q), forward, is the light blue of the
distilled student, solid and a triangle; KL(q‖p), reverse, is the highlight, dashed and an open circle.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.figures import parts
from course_lib.figures.parts import signed, temperature_axis, temperature_text
from course_lib.figures.style import COLOURS, MARKERS, StaticFigure, log_axis, styled
from course_lib.humps import AGES, OneHump, WidthFit, fit_one_hump, fit_width, mean_and_deviation, two_humps
from course_lib.losses import soft_target_loss, soft_targets

FORWARD = {"color": COLOURS["distilled"], "linestyle": "-"}
REVERSE = {"color": COLOURS["highlight"], "linestyle": "--"}
LOWEST, HIGHEST = 1, 20  # the temperatures between which the two directions are drawn
LEAST = 1e-8  # the lower end of the axis of rounding errors

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
    """Draw one row of logits as p and q at T, T² times both KLs against T, and their difference: (figure, update(T)).

    The curves end at T: what lies ahead can be guessed.
    """
    v, z = (torch.as_tensor(logits, dtype=torch.float64) for logits in (v, z))
    classes, grid = range(len(v)), np.geomspace(LOWEST, HIGHEST, 120)
    forward, reverse, difference = np.array([directions(v, z, T) for T in grid]).T

    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    cells = figure.add_gridspec(2, 2, width_ratios=[1, 1.5], height_ratios=[1.6, 1])
    left = figure.add_subplot(cells[:, 0])
    upper, lower = figure.add_subplot(cells[0, 1]), figure.add_subplot(cells[1, 1])
    bars = parts.paired_bars(left, len(v), {"teacher p": parts.filled("teacher"), "student q": parts.outlined("distilled")})
    left.set(ylim=(0, 1), ylabel="probability at T")
    left.set_xticks(classes, [f"class {k + 1}" for k in classes])
    left.tick_params(bottom=False)

    (line_forward,) = upper.plot(grid, forward, label="T² KL(p‖q)", **FORWARD)
    (line_reverse,) = upper.plot(grid, reverse, label="T² KL(q‖p)", **REVERSE)
    upper.set(ylim=(0, 1.25 * max(forward.max(), reverse.max())), ylabel="nats")
    (line_difference,) = lower.plot(grid, difference, color=COLOURS["truth"], linewidth=1.5, gid="differences")
    lower.axhline(0, color=COLOURS["quiet"], linewidth=1, zorder=1)
    room = 0.15 * np.ptp(difference)
    lower.set(ylabel="gap, %", ylim=(difference.min() - room, difference.max() + room))
    # The reverse one is open and larger: where both have the same height, both are seen.
    ring = {"marker": "o", "markersize": 15, "markerfacecolor": "none", "markeredgewidth": 2.2}
    triangle = {"marker": MARKERS["distilled"], "markersize": 9, "markeredgecolor": "white"}
    points = [
        axes.plot([1], [0], color=COLOURS[key], linestyle="", gid=f"{name} now", **style)[0]
        for axes, name, key, style in (
            (upper, "forward", "distilled", triangle),
            (upper, "reverse", "highlight", ring),
            (lower, "difference", "truth", {"marker": MARKERS["truth"], "markersize": 8}),
        )
    ]
    where = {"transform": lower.transAxes, "ha": "right", "va": "top"}
    reading = lower.text(0.97, 0.9, "", fontsize=13, gid="reading", clip_on=True, **where)
    lines = [
        axes.axvline(1, color=COLOURS["quiet"], linewidth=1, zorder=1, gid=f"T in the {name} panel")
        for axes, name in ((upper, "upper"), (lower, "lower"))
    ]
    for axes, label in ((upper, ""), (lower, "temperature T")):
        temperature_axis(axes.xaxis, LOWEST, HIGHEST, ticks=[1, 2, 4, 8, 20], margin=1.1, label=label)
        axes.tick_params(labelsize=11)
        axes.grid(axis="y")
    upper.tick_params(labelbottom=False)
    for axes in (left, upper):
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2, handlelength=1.8)

    trails = (line_forward, forward), (line_reverse, reverse), (line_difference, difference)

    def update(T: float = 1.0) -> str:
        for group, logits in zip(bars, (v, z), strict=True):
            parts.set_bars(group, soft_targets(logits, T).tolist())
        now = directions(v, z, T)
        for point, (trail, along), value in zip(points, trails, now, strict=True):
            point.set_data([T], [value])
            trail.set_data(*parts.up_to(T, grid, along, value))
        for line in lines:
            line.set_xdata([T, T])
        reading.set_text(shown := f"{signed(now.difference, 1)} %")
        return (
            f"{temperature_text(T)}. T² KL(p‖q) = {now.forward:.4f}, T² KL(q‖p) = {now.reverse:.4f}; "
            f"reverse against forward: {shown}"
        )

    return figure, update


# ---- one hump for two ----


class Humps(NamedTuple):
    """A two-humped teacher, the best student with one hump and its mean age, and a student whose hump is put somewhere."""

    p: np.ndarray
    best: OneHump
    best_age: float
    here: WidthFit


def humps(distance: int, divergence: str, age: int) -> Humps:
    """Return the numbers that `live_humps` shows."""
    p = two_humps(distance)
    best = fit_one_hump(p, divergence)
    return Humps(p, best, mean_and_deviation(best.q)[0], fit_width(p, divergence, age))


@styled
def live_humps() -> tuple[Figure, Callable]:
    """Draw a two-humped teacher, a student with its one hump at an age, and how good a hump at every age would be.

    (figure, update(distance, divergence, age)); a fit is made once for each three.
    """
    fitted = functools.cache(humps)
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    (area,) = left.fill(AGES, 0 * AGES, color=COLOURS["teacher"], alpha=0.25, linewidth=0, gid="area under p")
    (line_p,) = left.plot(AGES, 0 * AGES, color=COLOURS["teacher"], label="teacher p")
    (line_q,) = left.plot(AGES, 0 * AGES, color=COLOURS["distilled"], linestyle="--", linewidth=3, label="student q")
    left.set(ylim=(0, 0.125), xlabel="class: the age of the person, in years", ylabel="probability")
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2)
    above = {"transform": left.transAxes, "va": "top", "clip_on": True}
    name = left.text(0.02, 0.98, "", fontsize=14, gid="divergence", **above)
    words = left.text(0.98, 0.98, "", ha="right", fontsize=13, gid="now in words", **above)

    (valley,) = right.plot(AGES, 0 * AGES, color=COLOURS["truth"], linewidth=1.5, gid="profile")
    dot = {"color": COLOURS["distilled"], "markersize": 13, "markeredgecolor": "white"}
    (best,) = right.plot([50], [0], "o", color=COLOURS["truth"], fillstyle="none", markersize=16, label="best age")
    (point,) = right.plot([50], [0], MARKERS["distilled"], label="this student", **dot)
    right.set(ylim=(-0.06, 1.5), xlabel="age of the student's hump", ylabel="divergence, nats")
    right.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1, handlelength=1)
    right.grid(axis="y")
    for axes in (left, right):
        axes.set_xlim(AGES[0], AGES[-1])

    def update(distance: int = 30, divergence: str = "forward", age: int = 50) -> str:
        now, shown = fitted(distance, divergence, age), NAMES[divergence]
        area.set_xy(np.column_stack([AGES[_CORNERS], np.concatenate([now.p, [0, 0]])]))
        line_p.set_ydata(now.p)
        line_q.set_ydata(now.here.q)
        valley.set_ydata(now.best.profile)
        best.set_data([now.best_age], [now.best.divergence])
        point.set_data([age], [now.here.divergence])
        name.set_text(f"{shown}, {distance} years apart")
        words.set_text(f"{now.here.divergence:.3f} at {age}")
        return (
            f"Humps {distance} years apart, {shown}: with the student's hump at {age} years it is {now.here.divergence:.3f} "
            f"nats; the best age is {now.best_age:.0f}, with {now.best.divergence:.3f}"
        )

    return figure, update


_CORNERS = [*range(len(AGES)), -1, 0]  # along the curve and back on the axis


# ---- runs ----


@styled
def plot_losses(curves: Mapping[str, Sequence[float]]) -> StaticFigure:
    """Draw each loss against the epoch in a panel of its own, with an axis of its own and a line at 0 where it goes below."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    lines = []
    for axes, (name, values) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        axes.plot(range(1, len(values) + 1), values, color=COLOURS["truth"])
        axes.set(xlabel="epoch", xticks=[1, len(values)], xlim=(1, len(values)))
        axes.axhline(0, color=COLOURS["quiet"], linewidth=1, zorder=1)
        axes.set_ylim(*((0, None) if min(values) > 0 else (None, max(1, *values))))
        axes.set_title(name, fontsize=15)
        lines.append(f"{name}: from {signed(values[0], 2)} to {signed(values[-1], 2)}")
    figure.axes[0].set_ylabel("loss")
    return StaticFigure(figure, "Loss in the first and the last epoch. " + "; ".join(lines))


@styled
def plot_accuracy_by_alpha(alphas: Sequence[float], groups: Mapping[str, Sequence[Sequence[float]]]) -> StaticFigure:
    """Draw test accuracy in percent against α, a panel for each setting: every run, and the means with their 95 % intervals.

    groups: name -> for each α the runs, one a seed.
    """
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    panels, lines = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0], []
    for axes, (name, rows) in zip(panels, groups.items(), strict=True):
        parts.join_seeds(axes, alphas, rows, marker="o", markersize=4)
        intervals = parts.draw_runs(axes, alphas, rows, "distilled", line="-", label=name)
        shown = ", ".join(f"{interval} at {alpha:g}" for alpha, interval in zip(alphas, intervals, strict=True))
        lines.append(f"{name}: {shown}")
        axes.set_title(name, fontsize=13)
        axes.set_xticks(alphas, [f"{alpha:g}" for alpha in alphas])
        axes.grid(axis="y")
    panels[len(panels) // 2].set_xlabel("α, the weight of the soft term; grey: one seed")
    panels[0].set_ylabel("test accuracy, %")
    return StaticFigure(figure, f"Test accuracy in % by α, mean and 95 % interval of {len(rows[0])} runs. " + "; ".join(lines))


# ---- rounding ----


@styled
def plot_rounding(errors: dict[str, dict[str, dict[float, float]]]) -> StaticFigure:
    """Draw the relative error of a gradient by T, a panel for each formula; a line ends before NaN and infinity.

    errors: formula -> number format -> T -> error; at most three formats, which differ in marker, line and shade.
    """
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    panels, texts = figure.subplots(1, len(errors), sharey=True, squeeze=False)[0], []
    styles = (("o", "-", "#D55E00"), ("s", "--", "#00568C"), ("D", ":", "#000000"))
    for axes, (formula, by_format) in zip(panels, errors.items(), strict=True):
        for (name, by_T), (marker, dashes, colour) in zip(by_format.items(), styles, strict=False):
            finite = {T: max(error, LEAST) for T, error in by_T.items() if math.isfinite(error)}
            axes.plot(list(finite), list(finite.values()), marker=marker, linestyle=dashes, color=colour, label=name)
            if len(finite) < len(by_T):
                at = max(finite), finite[max(finite)]
                axes.annotate("then NaN", at, (0, -9), textcoords="offset points", ha="center", va="top", fontsize=11)
            texts.append(f"{formula}, {name}: " + ", ".join(f"{error:.1e}" for error in by_T.values()))
        temperatures = list(next(iter(by_format.values())))
        axes.set_title(formula)
        temperature_axis(axes.xaxis, min(temperatures), max(temperatures), ticks=[1, 2, 4, 20, 100, 500], margin=1.25)
        log_axis(axes.yaxis, [1e-8, 1e-6, 1e-4, 1e-2, 1], words="{:.0e}".format)
        axes.set_ylim(LEAST, 2)
        axes.grid(axis="y")
    panels[0].set_ylabel("relative error of the gradient")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, columnspacing=3, handlelength=3)
    shown = ", ".join(f"{T:g}" for T in temperatures)
    return StaticFigure(figure, f"Relative errors of the gradient at T = {shown}. " + ". ".join(texts))
