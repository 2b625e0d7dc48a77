"""What notebook 04 draws. Data in, a `Picture` out; of live figures, the matplotlib figure and what moves it.

v are the teacher's logits, z the student's, p and q their probabilities at T. KL(p‖q), forward, is the light blue of the
distilled student, solid; KL(q‖p), reverse, is the highlight, dashed.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from torch import Tensor

from course_lib.figures.style import BEHIND, COLOURS, MARKERS, Picture, log_axis, styled
from course_lib.figures.t_squared import signed, temperature
from course_lib.losses import soft_target_loss, soft_targets

FORWARD = {"color": COLOURS["distilled"], "linestyle": "-"}
REVERSE = {"color": COLOURS["highlight"], "linestyle": "--"}
LOWEST, HIGHEST = 1, 20  # the temperatures between which the two directions are drawn

AGES = np.arange(101.0)  # the classes of the two-humped example, in their order
MIDDLE, WIDTH, SHARE = 50, 4, 0.6  # its humps: around which age, how wide, and what the left one holds of the mass
NAMES = {"forward": "KL(p‖q)", "reverse": "KL(q‖p)", "jsd": "JSD(p, q)"}


@styled
def directions_live(v: Sequence[float], z: Sequence[float]) -> tuple[Figure, Callable]:
    """One row of logits: p and q at T, T² times both KLs against T, and how far they are apart: (figure, update(T))."""
    v, z = (torch.as_tensor(logits, dtype=torch.float64) for logits in (v, z))
    classes, grid = range(len(v)), np.geomspace(LOWEST, HIGHEST, 120)
    forward, reverse = np.array([_both(v, z, T) for T in grid]).T

    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    cells = figure.add_gridspec(2, 2, width_ratios=[1, 1.5], height_ratios=[1.6, 1])
    left = figure.add_subplot(cells[:, 0])
    upper, lower = figure.add_subplot(cells[0, 1]), figure.add_subplot(cells[1, 1])
    bars = [
        left.bar([k + shift for k in classes], [0] * len(v), 0.35, facecolor=face, edgecolor=edge, linewidth=2, label=label)
        for shift, face, edge, label in (
            (-0.2, COLOURS["teacher"], COLOURS["teacher"], "teacher p"),
            (0.2, "white", COLOURS["distilled"], "student q"),
        )
    ]
    left.set(ylim=(0, 1.05), ylabel="probability at T")
    left.set_xticks(classes, [f"class {k + 1}" for k in classes])
    left.tick_params(bottom=False)

    upper.plot(grid, forward, label="T² KL(p‖q)", **FORWARD)
    upper.plot(grid, reverse, label="T² KL(q‖p)", **REVERSE)
    points = [
        upper.plot([1], [0], marker, color=style["color"], markeredgecolor="white", markersize=11)[0]
        for marker, style in ((MARKERS["distilled"], FORWARD), ("X", REVERSE))
    ]
    upper.set(ylim=(0, 1.25 * max(forward.max(), reverse.max())), ylabel="nats")
    apart = 100 * (reverse / forward - 1)
    lower.plot(grid, apart, color=COLOURS["truth"], linewidth=1.5)
    (point,) = lower.plot([1], [0], MARKERS["truth"], color=COLOURS["truth"], markersize=8)
    lower.axhline(0, color=COLOURS["quiet"], linewidth=1, zorder=1)
    lower.set(ylabel="apart, %", xlabel="temperature T", ylim=_padded(apart))
    reading = lower.text(0.97, 0.9, "", transform=lower.transAxes, ha="right", va="top", fontsize=13, clip_on=True)
    lines = [axes.axvline(1, color=COLOURS["quiet"], linewidth=1, zorder=1) for axes in (upper, lower)]
    for axes in (upper, lower):
        _temperature_axis(axes, [1, 2, 4, 8, 20], LOWEST, HIGHEST)
        axes.grid(axis="y")
    upper.tick_params(labelbottom=False)
    for axes in (left, upper):  # above the axes, where nothing moves beneath them
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2, handlelength=1.8)

    def update(T: float = 1.0) -> str:
        for group, logits in zip(bars, (v, z), strict=True):
            for bar, value in zip(group, soft_targets(logits, T).tolist(), strict=True):
                bar.set_height(value)
        now = _both(v, z, T)
        for dot, value in zip(points, now, strict=True):
            dot.set_data([T], [value])
        difference = now[1] / now[0] - 1
        point.set_data([T], [100 * difference])
        for line in lines:
            line.set_xdata([T, T])
        shown = f"{signed(100 * difference, 1)} %"
        reading.set_text(shown)
        return f"{temperature(T)}. T² KL(p‖q) = {now[0]:.4f}, T² KL(q‖p) = {now[1]:.4f}; reverse against forward: {shown}"

    return figure, update


def _both(v: Tensor, z: Tensor, T: float) -> tuple[float, float]:
    """T² times (forward, reverse)."""
    return tuple(soft_target_loss(z, v, float(T), divergence=direction).item() for direction in ("forward", "reverse"))


# ---- one hump for two ----


class Fit(NamedTuple):
    """The one-humped q that comes nearest to a teacher's p."""

    q: np.ndarray  # (classes,)
    divergence: float  # in nats
    profile: np.ndarray  # for each age in AGES as the place of the hump, the least divergence over all widths


def two_humps(apart: float) -> np.ndarray:
    """A teacher's probabilities for AGES: two humps of the same width, `apart` years from each other."""
    left, right = (np.exp(-(((AGES - MIDDLE + side * apart / 2) / WIDTH) ** 2) / 2) for side in (1, -1))
    p = SHARE * left + (1 - SHARE) * right
    return p / p.sum()


def fit_one_hump(p: np.ndarray, divergence: str) -> Fit:
    """The best of all students whose logits are a parabola, -(age - place)² / 2 width².

    A search over all places and widths, made finer around the best: no step size and no start on which it could depend.
    """
    places, widths, profile = AGES, _WIDTHS, None
    for _ in range(4):
        log_q = _log_one_hump(places, widths) if profile is not None else _coarse()
        distance = _divergence(p, log_q, divergence)
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        if profile is None:
            profile = distance.min(axis=1)
        q, least = np.exp(log_q[i, j]), float(distance[i, j])
        step, factor = places[1] - places[0], widths[1] / widths[0]
        places = places[i] + step * np.linspace(-1, 1, 11)
        widths = widths[j] * factor ** np.linspace(-1, 1, 11)
    return Fit(q, least, profile)


_WIDTHS = np.geomspace(2, 40, 40)


@functools.cache
def _coarse() -> np.ndarray:
    return _log_one_hump(AGES, _WIDTHS)


def _log_one_hump(places: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """log q for every place and width: (places, widths, classes)."""
    logits = -(((AGES - places[:, None, None]) / widths[:, None]) ** 2) / 2
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def _divergence(p: np.ndarray, log_q: np.ndarray, divergence: str) -> np.ndarray:
    """The divergence of each row of log_q, (..., classes) -> (...). Neither p nor q has a class of probability 0 here."""
    log_p = np.log(p)
    if divergence == "forward":
        return log_p @ p - log_q @ p
    q = np.exp(log_q)
    if divergence == "reverse":
        return (q * (log_q - log_p)).sum(-1)
    m = (p + q) / 2
    log_m = np.log(m)
    return (log_p @ p + (q * log_q).sum(-1)) / 2 - (m * log_m).sum(-1)


@styled
def humps_live() -> tuple[Figure, Callable]:
    """A two-humped teacher, the one-humped student that suits it best, and how good other places of the hump would be.

    (figure, update(apart, divergence)); a fit is made once for each pair.
    """

    @functools.cache
    def fitted(apart: int, divergence: str) -> tuple[np.ndarray, Fit]:
        p = two_humps(apart)
        return p, fit_one_hump(p, divergence)

    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    (filled,) = left.fill(AGES, 0 * AGES, color=COLOURS["teacher"], alpha=0.25, linewidth=0)
    (line_p,) = left.plot(AGES, 0 * AGES, color=COLOURS["teacher"], label="teacher p")
    (line_q,) = left.plot(AGES, 0 * AGES, color=COLOURS["distilled"], linestyle="--", linewidth=3, label="student q")
    left.set(xlim=(10, 90), ylim=(0, 0.115), xlabel="class: the age of the person, in years", ylabel="probability")
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2)
    name = left.text(0.03, 0.97, "", transform=left.transAxes, va="top", fontsize=14, clip_on=True)
    words = left.text(0.98, 0.97, "", transform=left.transAxes, ha="right", va="top", fontsize=12, clip_on=True)

    (valley,) = right.plot(AGES, 0 * AGES, color=COLOURS["truth"], linewidth=1.5)
    (point,) = right.plot([50], [0], MARKERS["distilled"], color=COLOURS["distilled"], markersize=13, markeredgecolor="white")
    right.set(xlim=(10, 90), ylim=(-0.04, 1.5), xlabel="place of the student's hump", ylabel="least divergence, nats")
    right.grid(axis="y")

    def update(apart: int = 30, divergence: str = "forward") -> str:
        p, fit = fitted(apart, divergence)
        mean, spread = moments(fit.q)
        filled.set_xy(np.column_stack([AGES[_CORNERS], np.concatenate([p, [0, 0]])]))
        line_p.set_ydata(p)
        line_q.set_ydata(fit.q)
        valley.set_ydata(fit.profile)
        point.set_data([mean], [fit.divergence])
        words.set_text(f"student: {mean:.0f} ± {spread:.0f} years")
        name.set_text(NAMES[divergence])
        between = p[MIDDLE] / p.max()
        return (
            f"Humps {apart} years apart, {NAMES[divergence]}: the student says {mean:.1f} years, give or take {spread:.1f}; "
            f"{NAMES[divergence]} = {fit.divergence:.3f}. Midway the teacher has {100 * between:.0f} % of its peak, "
            f"the student {100 * fit.q[MIDDLE] / fit.q.max():.0f} %"
        )

    return figure, update


_CORNERS = [*range(len(AGES)), -1, 0]  # along the curve and back on the axis


def moments(q: np.ndarray) -> tuple[float, float]:
    """(mean, standard deviation) of the age under the probabilities q."""
    mean = float(AGES @ q)
    return mean, math.sqrt(float((AGES - mean) ** 2 @ q))


# ---- rounding ----


@styled
def rounding(errors: dict[str, dict[str, dict[float, tuple[float, float]]]]) -> Picture:
    """The relative errors of a loss and of its gradient by T, one panel for each: NaN and infinity stand at the top.

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
        _temperature_axis(axes, [1, 4, 20, 100, 500], min(temperatures), max(temperatures))
        axes.set_xlabel("temperature T")
        axes.yaxis.set_major_locator(FixedLocator([1e-8, 1e-6, 1e-4, 1e-2, 1, 100]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y")
    panels[0].set_ylabel("relative error")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(errors), columnspacing=4)
    shown = ", ".join(f"{T:g}" for T in temperatures)
    return Picture(figure, f"Relative errors at T = {shown}. " + ". ".join(texts))


def _padded(values: np.ndarray) -> tuple[float, float]:
    room = 0.15 * (values.max() - values.min())
    return values.min() - room, values.max() + room


def _temperature_axis(axes: Axes, ticks: Sequence[float], low: float, high: float) -> None:
    log_axis(axes.xaxis, ticks)
    axes.set_xlim(low / 1.1, high * 1.1)
    axes.tick_params(labelsize=11)
