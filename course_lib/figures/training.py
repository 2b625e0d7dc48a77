"""What notebook 05 draws. Data in, a `Picture` out; of live figures, the matplotlib figure and what moves it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.figures.dark_knowledge import show_image
from course_lib.figures.style import BEHIND, COLOURS, MARKERS, Picture, beside, log_axis, percent, styled
from course_lib.metrics import mean_interval


class Curves(NamedTuple):
    """How one student gets on, in [0, 1]: the share of right answers on each batch, and on the test images after each epoch.

    Both are lists that grow while it trains.
    """

    batches: list[float]
    test: list[float]


class Recording(NamedTuple):
    """A run of a training loop, step by step.

    told: (steps, num_classes), the soft target that one picture had at each step. loss: of each step. marks: the steps
    (counted from 1, in order, the first being 1) after which the accuracies `student` and `teacher`, in [0, 1], were
    measured. kept: the bytes that one step keeps for the backward pass.
    """

    told: Tensor
    loss: list[float]
    marks: list[int]
    student: list[float]
    teacher: list[float]
    kept: int


@styled
def side_by_side_live(curves: dict[str, Curves], epochs: int, steps_per_epoch: int) -> tuple[Figure, Callable]:
    """Students that train, on one pair of axes: (figure, update(smooth)). It draws what `curves` holds when it is called.

    curves: key of COLOURS and MARKERS -> Curves. smooth: over how many steps the batches are averaged.
    """
    figure = Figure(figsize=(8.8, 3.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    lines, marks, numbers = {}, {}, {}
    for name in curves:
        dashes = "--" if name == "labels" else "-"
        lines[name] = left.plot([], [], dashes, color=COLOURS[name], linewidth=1.8, label=name)[0]
        marks[name] = right.plot([], [], dashes, marker=MARKERS[name], color=COLOURS[name], label=name)[0]
        numbers[name] = [axes.text(0, 0, "", fontsize=12, fontweight="bold", clip_on=True) for axes in (left, right)]
    for axes, title, low in ((left, "right on the training batches (%)", 40), (right, "right on the test images (%)", 55)):
        axes.set_title(title, fontsize=12)
        axes.set(xlim=(0, 1.16 * epochs), ylim=(low, 107 if axes is left else 91), xlabel="epoch")
        axes.grid(axis="y")
    right.legend(loc="lower right")

    def update(smooth: int = 20) -> str:
        said: list[list[str]] = [[], []]
        for axes in (0, 1):
            ends = {}
            for name, curve in curves.items():
                values = _running_mean(curve.batches, smooth) if axes == 0 else np.asarray(curve.test, float)
                per_epoch = steps_per_epoch if axes == 0 else 1
                (lines if axes == 0 else marks)[name].set_data((np.arange(len(values)) + 1) / per_epoch, 100 * values)
                ends[name] = (len(values) / per_epoch, 100 * values[-1]) if len(values) else None
            best = max((end[1] for end in ends.values() if end), default=0)
            for name, end in ends.items():
                number = numbers[name][axes]
                number.set_text(f" {end[1]:.0f}" if end else "")
                if end:
                    number.set_position(end)
                    number.set_va("bottom" if end[1] == best else "top")
                    said[axes].append(f"{name} {end[1]:.1f} %")
        steps = max(len(curve.batches) for curve in curves.values())
        if not steps:
            return f"mean over {smooth} steps; no step yet of {epochs * steps_per_epoch}"
        tested = f"; right on the test images: {', '.join(said[1])}" if said[1] else ""
        return (
            f"mean over {smooth} steps; step {steps} of {epochs * steps_per_epoch}. "
            f"Right on the training batches: {', '.join(said[0])}{tested}"
        )

    return figure, update


def _running_mean(values: Sequence[float], width: int) -> np.ndarray:
    """The mean of each value and those before it, `width` in all, or as many as there are."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


@styled
def symptoms_live(pixels, label: int, loops: dict[str, Recording], classes: Sequence[str]) -> tuple[Figure, Callable]:
    """What can be observed of training loops, one at a time: (figure, update(loop, step)).

    pixels: (28, 28), the picture whose soft target is shown; label: its class; loops: name -> what was recorded.
    """
    n, steps = len(classes), len(next(iter(loops.values())).loss)
    figure = Figure(figsize=(8.9, 4.2), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[0.62, 1.25, 1.9])
    picture, meter = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    bars_axes = figure.add_subplot(grid[:, 1])
    upper, lower = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])

    show_image(picture, np.asarray(pixels))
    picture.set_xlabel(f"label:\n{classes[label]}", fontsize=12)
    most = max(recording.kept for recording in loops.values()) / 1e6
    (level,) = meter.bar([0], [0], 0.5, color=COLOURS["quiet"])
    reading = meter.text(0, 0, "", ha="center", va="bottom", fontsize=12, clip_on=True)
    meter.set(xlim=(-0.7, 0.7), ylim=(0, 1.2 * most), xticks=[], yticks=[])
    meter.set_xlabel("kept for the\nbackward pass", fontsize=11)
    meter.spines["left"].set_visible(False)

    bars = bars_axes.barh(range(n), [0] * n, color=COLOURS["teacher"], height=0.7)
    numbers = [bars_axes.text(0, k, "", va="center", fontsize=11, clip_on=True) for k in range(n)]
    bars_axes.set(xlim=(0, 1.42), ylim=(n - 0.5, -0.5), xticks=[0, 0.5, 1], yticks=range(n), yticklabels=classes)
    bars_axes.set_xlabel("soft target")
    bars_axes.set_title("what the picture is told", fontsize=12)
    bars_axes.spines["left"].set_visible(False)
    bars_axes.tick_params(left=False, labelsize=11)

    lines = {
        name: upper.plot([], [], MARKERS[key] + dashes, color=COLOURS[key], markersize=6, label=name)[0]
        for name, key, dashes in (("teacher", "teacher", "-"), ("student", "distilled", "--"))
    }
    upper.set(ylim=(-3, 104), ylabel="right (%)", xlim=(0, steps * 1.03))
    upper.tick_params(labelbottom=False)
    upper.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncols=2)
    (curve,) = lower.plot([], [], color=COLOURS["truth"], linewidth=1.5)
    (point,) = lower.plot([], [], MARKERS["truth"], color=COLOURS["truth"])
    log_axis(lower.yaxis, [0.001, 0.01, 0.1, 1, 10, 100])
    lower.set(ylim=(1e-3, 100), xlim=(0, steps * 1.03), xlabel="step", ylabel="soft loss")
    times = [axes.axvline(1, color=COLOURS["highlight"], linewidth=1.2, zorder=1) for axes in (upper, lower)]
    for axes in (upper, lower):
        axes.grid(axis="y")

    def update(loop: str = next(iter(loops)), step: int = 1) -> str:
        recording = loops[loop]
        told, megabytes = recording.told[step - 1].tolist(), recording.kept / 1e6
        for bar, number, p in zip(bars, numbers, told, strict=True):
            bar.set_width(p)
            number.set_text(f" {percent(p)}" if p >= 0.02 else "")
            number.set_x(p)
        level.set_height(megabytes)
        reading.set(text=f"{megabytes:.1f} MB", y=megabytes)
        for name, values in (("teacher", recording.teacher), ("student", recording.student)):
            lines[name].set_data(recording.marks, [100 * value for value in values])
        loss = np.maximum(recording.loss, 1e-9)  # a logarithmic axis has no 0
        curve.set_data(range(1, steps + 1), loss)
        point.set_data([step], [loss[step - 1]])
        for line in times:
            line.set_xdata([step, step])
        last = max(i for i, mark in enumerate(recording.marks) if mark <= step)
        first = sorted(range(n), key=lambda k: -told[k])[:3]
        return (
            f"loop {loop}, step {step}: the picture ({classes[label]}) is told "
            + ", ".join(f"{classes[k]} {percent(told[k])}" for k in first)
            + f"; soft loss {recording.loss[step - 1]:.3g}; right after step {recording.marks[last]}: student "
            f"{percent(recording.student[last])}, teacher {percent(recording.teacher[last])}; "
            f"{megabytes:.1f} MB kept for the backward pass"
        )

    return figure, update


@styled
def views_live(
    images: Tensor, labels, classes: Sequence[str], view: Callable, show: Callable, teach: Callable
) -> tuple[Figure, Callable]:
    """What the teacher says of a picture, and of the same picture moved: (figure, update(picture, right, down, flip)).

    images: (n, 1, 28, 28). view: called as view(images, right, down, flip), gives images moved by that many pixels and
    mirrored. show: images -> pixels (n, 28, 28) in [0, 1]. teach: images -> probabilities (n, num_classes).
    """
    n, cached = len(classes), teach(images)
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    left, right_axes = figure.subplots(1, 2, width_ratios=[0.62, 1.7])
    image = show_image(left, np.asarray(show(images[:1])[0]))
    left.spines[:].set_visible(True)  # a frame: without one, nobody sees where the picture is moved to
    label, reading = (
        beside(left.text(0.5, y, "words", ha="center", va="top", fontsize=size, transform=left.transAxes), (0, y - 0.16, 1, y))
        for y, size in ((-0.03, 12), (-0.19, 14))
    )
    old = right_axes.barh(
        [k - 0.2 for k in range(n)], [0] * n, 0.36, facecolor="white", edgecolor=COLOURS["quiet"], linewidth=1.5,
        label="cached, for the picture as it was",
    )  # fmt: skip
    new = right_axes.barh(
        [k + 0.2 for k in range(n)], [0] * n, 0.36, facecolor=COLOURS["teacher"], edgecolor=COLOURS["teacher"],
        linewidth=1.5, label="teacher, for what the student sees",
    )  # fmt: skip
    right_axes.set(xlim=(0, 1.02), ylim=(n - 0.4, -0.6), yticks=range(n), yticklabels=classes, xlabel="soft target")
    right_axes.tick_params(left=False, labelsize=11)
    right_axes.spines["left"].set_visible(False)
    right_axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 1))

    def update(picture: int = 0, right: int = 0, down: int = 0, flip: bool = False) -> str:
        seen = view(images[picture : picture + 1], right, down, flip)
        told, was = teach(seen)[0], cached[picture]
        image.set_data(np.asarray(show(seen)[0]))
        apart = 100 * float((told - was).abs().sum()) / 2
        label.set_text(f"label: {classes[int(labels[picture])]}")
        reading.set_text(f"{apart:.0f} % elsewhere")
        for bars, values in ((old, was.tolist()), (new, told.tolist())):
            for bar, value in zip(bars, values, strict=True):
                bar.set_width(value)
        first = told.argsort(descending=True)[:2].tolist()
        return (
            f"picture {picture} ({classes[int(labels[picture])]}), {right} to the right, {down} down, "
            f"{'mirrored' if flip else 'not mirrored'}: {apart:.1f} % of the probability is elsewhere; "
            + ", ".join(f"{classes[k]} {percent(float(told[k]))} (cached {percent(float(was[k]))})" for k in first)
        )

    return figure, update


@styled
def patience(scores: dict[str, dict[int, Sequence[float]]]) -> Picture:
    """Two kinds of students after short and long trainings, and the pairs' differences: the second's minus the first's.

    scores: key of COLOURS and MARKERS -> epochs -> test accuracies in percent, one a seed, in the same order.
    """
    (first, second), lengths = scores, list(next(iter(scores.values())))
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    words = []
    for name, shift, dashes in ((first, -0.07, "--"), (second, 0.07, "-")):
        intervals = [mean_interval(scores[name][length]) for length in lengths]
        places = [place + shift for place in range(len(lengths))]
        for place, length in zip(places, lengths, strict=True):
            runs = scores[name][length]
            left.scatter([place] * len(runs), runs, color=COLOURS[name], marker=MARKERS[name], s=22, alpha=0.5)
        left.errorbar(
            places, [interval.mean for interval in intervals], [interval.half_width for interval in intervals],
            fmt=MARKERS[name] + dashes, color=COLOURS[name], markersize=9, capsize=5, markeredgecolor="white", label=name,
        )  # fmt: skip
        said = ", ".join(f"{interval} after {length}" for interval, length in zip(intervals, lengths, strict=True))
        words.append(f"{name}: {said} epochs")
    left.set(ylabel="test accuracy (%)")
    left.legend(loc="lower right")

    gains = {length: [b - a for a, b in zip(scores[first][length], scores[second][length], strict=True)] for length in lengths}
    for pair in zip(*gains.values(), strict=True):
        right.plot(range(len(lengths)), pair, color="#C8C8C8", linewidth=1, marker="o", markersize=4, zorder=1)
    intervals = [mean_interval(gain) for gain in gains.values()]
    right.errorbar(
        range(len(lengths)), [interval.mean for interval in intervals], [interval.half_width for interval in intervals],
        fmt=MARKERS[second], color=COLOURS[second], markersize=10, capsize=5, markeredgecolor="white", zorder=3,
    )  # fmt: skip
    for place, interval in enumerate(intervals):
        right.text(place + 0.1, interval.mean, f"{interval.mean:+.1f}".replace("-", "−"), va="center", bbox=BEHIND)
    right.axhline(0, color=COLOURS["truth"], linewidth=1)
    right.set(ylabel=f"{second} minus {first} (points)")
    said = ", ".join(f"{interval} after {length}" for interval, length in zip(intervals, lengths, strict=True))
    words.append(f"{second} minus {first}, run by run: {said} epochs")
    for axes in (left, right):
        _length_axis(axes, lengths)
    runs = len(scores[first][lengths[0]])
    return Picture(figure, f"Test accuracy (%), mean and 95 % interval of {runs} runs. " + "; ".join(words))


def _length_axis(axes: Axes, lengths: Sequence[int]) -> None:
    axes.set_xticks(range(len(lengths)), [f"{length} epochs" for length in lengths])
    axes.set_xlim(-0.4, len(lengths) - 0.5)
    axes.grid(axis="y")
