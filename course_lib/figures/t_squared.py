"""What notebook 03 draws. Data in, a `Picture` out; of live figures, the matplotlib figure and what moves it.

v are the teacher's logits, z the student's, (rows, num_classes). With T² is the light blue of the distilled student, solid;
without it is the highlight, dashed; what holds in the limit of high T is grey and dotted.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from torch import Tensor

from course_lib.figures.style import BEHIND, COLOURS, MARKERS, Picture, log_axis, percent, styled
from course_lib.losses import soft_targets
from course_lib.metrics import mean_interval

WITH = {"color": COLOURS["distilled"], "linestyle": "-"}
WITHOUT = {"color": COLOURS["highlight"], "linestyle": "--"}
LIMIT = {"color": COLOURS["quiet"], "linestyle": ":", "linewidth": 2}
WITH_POINT, WITHOUT_POINT = MARKERS["distilled"], "X"
TEMPERATURES = (1, 100)  # the ends of every axis on which T stands


def gradient(z: Tensor, v: Tensor, T: float) -> Tensor:
    """The gradient of T² KL(p‖q) with respect to z, row by row: T (q - p)."""
    return T * (soft_targets(z, T) - soft_targets(v, T))


def gradient_limit(z: Tensor, v: Tensor) -> Tensor:
    """Where `gradient` goes as T grows: the centred logits' difference over the number of classes."""
    difference = z - v
    return (difference - difference.mean(-1, keepdim=True)) / z.shape[-1]


def size(rows: Tensor) -> float:
    """The mean, over rows, of their norms: what the figures call the size of a gradient."""
    return rows.norm(dim=-1).mean().item()


def slope(z: Tensor, v: Tensor, T: float) -> float:
    """d log size / d log T, at T, of the gradient without T², from temperatures one percent to either side."""
    step = 1.01
    sizes = [size(gradient(z, v, at)) / at**2 for at in (T * step, T / step)]
    return math.log(sizes[0] / sizes[1]) / (2 * math.log(step))


def signed(number: float, digits: int = 3) -> str:
    """With a true minus sign, and none before a zero."""
    text = f"{number:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def temperature(T: float) -> str:
    return f"T = {T:.3g}"


@styled
def gradient_live(v: Sequence[float], z: Sequence[float]) -> tuple[Figure, Callable]:
    """One row of logits: probabilities, and the gradient with and without T². (figure, update(T))."""
    v, z = (torch.as_tensor(logits, dtype=torch.float64) for logits in (v, z))
    classes, limit = range(len(v)), gradient_limit(z, v).tolist()
    figure = Figure(figsize=(8.8, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.75])
    # Filled against open bars: hatching would take most of a frame's time.
    bars_p = left.bar([k - 0.2 for k in classes], [0] * len(v), 0.33, label="teacher p", **_filled("teacher"))
    bars_q = left.bar([k + 0.2 for k in classes], [0] * len(v), 0.33, label="student q", **_open("distilled"))
    left.set(ylim=(0, 1.05), ylabel="probability at T")

    places = [k - 0.23 for k in classes] + [k + 0.23 for k in classes]
    bars = right.bar(places[: len(v)], [0] * len(v), 0.4, label="with T²", **_filled("distilled"))
    small = right.bar(places[len(v) :], [0] * len(v), 0.4, label="without T²", **_open("highlight"))
    right.plot([k - 0.5 for k in classes], limit, ">", color=LIMIT["color"], label="limit of T → ∞")
    numbers = [right.text(0, 0, "", ha="center", fontsize=11, clip_on=True) for _ in places]
    top = 1.5 * max(map(abs, limit))
    right.axhline(0, color="#444444", linewidth=1)
    right.set(ylim=(-top, top), ylabel="gradient with respect to z")
    right.spines["bottom"].set_visible(False)
    for axes in (left, right):
        axes.set_xticks(classes, [f"class {k + 1}" for k in classes])
        axes.tick_params(bottom=False)
        axes.set_xlim(-0.65, len(v) - 0.4)
    # Above the axes: over bars that move, a legend would be drawn again at every frame.
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2, handlelength=1.4)
    right.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3, columnspacing=1.2, handlelength=1.4)

    def update(T: float = 1.0) -> str:
        p, q, with_t2 = soft_targets(v, T).tolist(), soft_targets(z, T).tolist(), gradient(z, v, T).tolist()
        without = [entry / T**2 for entry in with_t2]
        for group, values in ((bars_p, p), (bars_q, q), (bars, with_t2), (small, without)):
            for bar, value in zip(group, values, strict=True):
                bar.set_height(value)
        for number, x, value in zip(numbers, places, with_t2 + without, strict=True):
            number.set_text(signed(value))
            number.set_position((x, value + 0.03 * top if value >= 0 else value - 0.04 * top))
            number.set_va("bottom" if value >= 0 else "top")
        return (
            f"{temperature(T)}. Gradient with T²: {', '.join(map(signed, with_t2))}; "
            f"without: {', '.join(map(signed, without))}; limit: {', '.join(map(signed, limit))}"
        )

    return figure, update


@styled
def slope_live(pairs: Callable[[int, float], tuple[Tensor, Tensor]]) -> tuple[Figure, Callable]:
    """Size of the gradient against T, and its slope: (figure, update(T, scale, num_classes, apart)).

    pairs(num_classes, apart): (v, z), each (rows, num_classes), at scale 1. Since T only ever divides logits, the curve at
    another scale is the same one, moved; so it is computed once for each `num_classes` and `apart`.
    """

    @functools.cache
    def curve(num_classes: int, apart: float) -> tuple[Tensor, Tensor, Tensor, float]:
        v, z = pairs(num_classes, apart)
        T = torch.logspace(math.log10(TEMPERATURES[0] / 12), math.log10(TEMPERATURES[1] / 0.4), 90, dtype=torch.float64)
        p, q = (torch.softmax(logits[None] / T[:, None, None], -1) for logits in (v, z))
        sizes = T * (q - p).norm(dim=-1).mean(-1)
        slopes = torch.gradient(sizes.log(), spacing=(T.log(),))[0] - 2
        return T, sizes, slopes, size(gradient_limit(z, v))

    figure = Figure(figsize=(8.9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    (line_with,) = left.plot([1], [1], label="with T²", **WITH)
    (line_without,) = left.plot([1], [1], label="without T²", **WITHOUT)
    limits = [left.plot(TEMPERATURES, [1, 1], zorder=1, label=label, **LIMIT)[0] for label in ("limit of T → ∞", None)]
    (tangent,) = left.plot([1], [1], color=COLOURS["truth"], linewidth=1.2, label="slope at T")
    points = [
        left.plot([1], [1], marker, color=style["color"], markeredgecolor="white", markersize=11)[0]
        for marker, style in ((WITH_POINT, WITH), (WITHOUT_POINT, WITHOUT))
    ]
    _temperature_axis(left)
    left.set(yscale="log", ylim=(1e-7, 30), ylabel="size of the gradient")
    left.yaxis.set_minor_locator(NullLocator())
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, columnspacing=1.2, handlelength=2.2)

    right.axhline(-2, **LIMIT)
    right.set_title("dotted: −2, the limit", color="#555555", fontsize=11)
    (line_slope,) = right.plot([1], [1], **WITHOUT)
    (point_slope,) = right.plot([1], [1], WITHOUT_POINT, color=COLOURS["highlight"], markeredgecolor="white", markersize=11)
    reading = right.text(0.97, 0.97, "", transform=right.transAxes, ha="right", va="top", fontsize=14, clip_on=True)
    _temperature_axis(right)
    right.set(ylim=(-4.1, -0.4), ylabel="slope without T²")

    def update(T: float = 1.0, scale: float = 1.0, num_classes: int = 10, apart: float = 0.5) -> str:
        relative, sizes, slopes, limit = curve(num_classes, apart)
        v, z = (scale * logits for logits in pairs(num_classes, apart))
        temperatures, with_t2, limit = scale * relative, scale * sizes, scale * limit
        line_with.set_data(temperatures, with_t2)
        line_without.set_data(temperatures, with_t2 / temperatures**2)
        line_slope.set_data(temperatures, slopes)
        limits[0].set_ydata([limit, limit])
        limits[1].set_ydata([limit / at**2 for at in TEMPERATURES])
        now, steepness = size(gradient(z, v, T)), slope(z, v, T)
        points[0].set_data([T], [now])
        points[1].set_data([T], [now / T**2])
        point_slope.set_data([T], [steepness])
        around = [T / 2.5, T * 2.5]
        tangent.set_data(around, [now / T**2 * (at / T) ** steepness for at in around])
        reading.set_text(f"slope {signed(steepness, 2)} at {temperature(T)}")
        return (
            f"{temperature(T)}, scale {scale:.3g}, {num_classes} classes, apart {apart:.2f}. Size of the gradient with T²: "
            f"{now:.3g} (limit {limit:.3g}); without: {now / T**2:.3g}; slope without T²: {signed(steepness, 2)}"
        )

    return figure, update


@styled
def sizes(v: Tensor, students: dict[str, Tensor]) -> Picture:
    """The size of the gradient with T² against T, for the logits (rows, num_classes) of each of up to three students."""
    figure = Figure(figsize=(8.6, 4.4), layout="constrained")
    axes, lines = figure.subplots(), []
    grid = torch.logspace(*map(math.log10, TEMPERATURES), 41, dtype=torch.float64).tolist()
    for (name, z), dashes, marker in zip(students.items(), ("-", "--", "-."), ("^", "v", "P"), strict=False):
        norms = {T: size(gradient(z, v, T)) for T in (*grid, 4, 20)}
        limit, marked = size(gradient_limit(z, v)), [1, 4, 20, 100]
        axes.plot(grid, [norms[T] for T in grid], color=COLOURS["distilled"], linestyle=dashes)
        axes.axhline(limit, zorder=1, **LIMIT)
        axes.plot(marked, [norms[T] for T in marked], marker, color=COLOURS["distilled"], markersize=9)
        for T in (1, 4, 20):
            axes.text(T * 1.04, norms[T] * 0.93, f"{norms[T]:.2f}", va="top", fontsize=11, bbox=BEHIND)
        axes.text(116, norms[100.0], name, va="center", clip_on=False)
        shown = ", ".join(f"{norms[T]:.2f} at T = {T}" for T in (1, 4, 20))
        lines.append(f"{name}: {shown}, limit {limit:.2f}")
    _temperature_axis(axes)
    log_axis(axes.yaxis, [0.1, 0.2, 0.5, 1, 2, 4])
    axes.set(ylim=(0.1, 4), ylabel="size of T (q − p)")
    axes.grid(axis="y")
    axes.set_title("dotted: the limit of T → ∞", color="#555555", fontsize=11)
    return Picture(figure, "Size of the gradient with T². " + "; ".join(lines))


def soft_share(soft: float, hard: float, alpha: float) -> float:
    """The share of the soft term in the sizes of the two gradients, each times its weight."""
    return alpha * soft / (alpha * soft + (1 - alpha) * hard)


@styled
def balance_live(v: Tensor, students: dict[str, Tensor], labels: Tensor) -> tuple[Figure, Callable]:
    """The soft term's share of the gradient against T, with and without T²: (figure, update(T, alpha, student)).

    v, and the logits of each student: (rows, num_classes); labels: (rows,).
    """
    grid = torch.logspace(*map(math.log10, TEMPERATURES), 61, dtype=torch.float64).tolist()
    truth = torch.nn.functional.one_hot(labels, v.shape[-1])
    soft = {name: [size(gradient(z, v, T)) for T in grid] for name, z in students.items()}
    hard = {name: size(soft_targets(z, 1) - truth) for name, z in students.items()}

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    (line_with,) = axes.plot([1], [0], label="with T²", **WITH)
    (line_without,) = axes.plot([1], [0], label="without T²", **WITHOUT)
    (line_alpha,) = axes.plot(TEMPERATURES, [0, 0], label="α", zorder=1, **LIMIT)
    (line_T,) = axes.plot([1, 1], [0, 1], color=COLOURS["quiet"], linewidth=1, zorder=1)
    points = [
        axes.plot([1], [0], marker, color=style["color"], markeredgecolor="white", markersize=12)[0]
        for marker, style in ((WITH_POINT, WITH), (WITHOUT_POINT, WITHOUT))
    ]
    numbers = [axes.text(1, 0, "", fontsize=13, bbox=BEHIND, clip_on=True) for _ in points]
    _temperature_axis(axes)
    axes.set(ylim=(-0.04, 1.08), ylabel="soft term's share of the gradient")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.grid(axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

    def update(T: float = 1.0, alpha: float = 0.5, student: str = next(iter(students))) -> str:
        now = size(gradient(students[student], v, T))
        shares = [soft_share(each, hard[student], alpha) for each in (now, now / T**2)]
        line_with.set_data(grid, [soft_share(each, hard[student], alpha) for each in soft[student]])
        without = [each / at**2 for each, at in zip(soft[student], grid, strict=True)]
        line_without.set_data(grid, [soft_share(each, hard[student], alpha) for each in without])
        line_alpha.set_ydata([alpha, alpha])
        line_T.set_xdata([T, T])
        leftwards = T > 40
        for point, number, share, above in zip(points, numbers, shares, (True, shares[1] < 0.12), strict=True):
            point.set_data([T], [share])
            number.set_text(percent(share))
            number.set_position((T / 1.1 if leftwards else T * 1.1, share + (0.03 if above else -0.03)))
            number.set_va("bottom" if above else "top")
            number.set_ha("right" if leftwards else "left")
        return (
            f"{student}, {temperature(T)}, α = {alpha:.2f}. The soft term's share of the gradient: "
            f"{percent(shares[0])} with T², {percent(shares[1])} without"
        )

    return figure, update


@styled
def forgotten(with_t2: dict[int, Sequence[float]], without: dict[int, Sequence[float]], labels: Sequence[float]) -> Picture:
    """KL to the truth of every run, by temperature, with and without T², beside runs on labels alone (logarithmic axis)."""
    figure = Figure(figsize=(8.8, 4.3), layout="constrained")
    axes, lines = figure.subplots(), []
    for i, T in enumerate(with_t2):
        for values, shift, colour, marker, name in (
            (with_t2[T], -0.2, COLOURS["distilled"], WITH_POINT, "with T²"),
            (without[T], 0.2, COLOURS["highlight"], WITHOUT_POINT, "without T²"),
        ):
            lines.append(f"T = {T} {name}: {_runs(axes, i + shift, values, colour, marker, None if i else name)}")
    lines.append(f"labels alone: {_runs(axes, len(with_t2), labels, COLOURS['labels'], MARKERS['labels'], 'labels alone')}")
    axes.set_xticks(range(len(with_t2) + 1), [*map(temperature, with_t2), "labels alone"])
    log_axis(axes.yaxis, [0.01, 0.03, 0.1, 0.3, 1, 3])
    axes.set(xlim=(-0.5, len(with_t2) + 0.5), ylabel="KL(truth‖student) in nats")
    axes.grid(axis="y")
    axes.legend(loc="upper left")
    return Picture(figure, f"KL(truth‖student) in nats, mean and 95 % interval of {len(labels)} runs. " + "; ".join(lines))


def _runs(axes: Axes, x: float, values: Sequence[float], colour: str, marker: str, label: str | None) -> str:
    interval = mean_interval(values)
    axes.scatter([x - 0.07] * len(values), values, color=colour, marker=marker, s=30, alpha=0.6, zorder=2)
    # On a logarithmic axis an interval that reaches 0 would have no end.
    below = min(interval.half_width, 0.95 * interval.mean)
    reach = [[below], [interval.half_width]]
    axes.errorbar(x, interval.mean, reach, fmt=marker, color=colour, markersize=9, capsize=5, zorder=3, label=label)
    axes.text(x + 0.06, interval.mean, f"{interval.mean:.2f}", va="center", bbox=BEHIND)
    return str(interval)


def _filled(name: str) -> dict:
    return {"facecolor": COLOURS[name], "edgecolor": COLOURS[name], "linewidth": 2}


def _open(name: str) -> dict:
    return {"facecolor": "white", "edgecolor": COLOURS[name], "linewidth": 2}


def _temperature_axis(axes: Axes) -> None:
    log_axis(axes.xaxis, [1, 2, 4, 8, 20, 50, 100])
    axes.set(xlim=(TEMPERATURES[0] / 1.12, TEMPERATURES[1] * 1.12), xlabel="temperature T")
