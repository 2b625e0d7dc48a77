"""The figures of notebook 05. Data in, a `StaticFigure` out; of live figures, the matplotlib figure and what moves it."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.figures.parts import draw_runs, filled, join_seeds, outlined, paired_bars, set_bars, show_image
from course_lib.figures.style import COLOURS, DASHES, StaticFigure, clip_to, percent, styled
from course_lib.metrics import Interval, total_variation

# ---- views ----


@styled
def live_views(
    images: Tensor, labels, classes: Sequence[str], view: Callable, show: Callable, teach: Callable
) -> tuple[Figure, Callable]:
    """Show what the teacher says of an image, and of it moved: (figure, update(image, right, down, flip)).

    images: (n, 1, 28, 28). view: called as view(images, right, down, flip), gives images moved by that many pixels and
    mirrored. show: images -> pixels (n, 28, 28) in [0, 1]. teach: images -> probabilities (n, num_classes).
    """
    n, cached = len(classes), teach(images)
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    left, right_axes = figure.subplots(1, 2, width_ratios=[0.62, 1.7])
    shown = show_image(left, np.asarray(show(images[:1])[0]))
    shown.set_gid("image")
    left.spines[:].set_visible(True)  # a frame: without one, nobody sees where the image is moved to
    label, moved, reading = (
        clip_to(
            left.text(0.5, y, "words", ha="center", va="top", fontsize=size, transform=left.transAxes, gid=gid),
            (-0.3, y - 0.14, 1.3, y),
        )
        for y, size, gid in ((-0.03, 12, "label"), (-0.17, 12, "how moved"), (-0.33, 14, "share elsewhere"))
    )
    styles = {
        "cached, for the image as it was": outlined("quiet", linewidth=1.5),
        "teacher, for what the student sees": filled("teacher", linewidth=1.5),
    }
    old, new = paired_bars(right_axes, n, styles, width=0.36, horizontal=True)
    right_axes.set(xlim=(0, 1.02), ylim=(n - 0.4, -0.6), yticks=range(n), yticklabels=classes, xlabel="soft target")
    right_axes.tick_params(left=False, labelsize=11)
    right_axes.spines["left"].set_visible(False)
    right_axes.legend(loc="lower left", bbox_to_anchor=(-0.05, 1))

    def update(image: int = 0, right: int = 0, down: int = 0, flip: bool = False) -> str:
        seen, name = view(images[image : image + 1], right, down, flip), classes[int(labels[image])]
        now, before = teach(seen)[0], cached[image]
        elsewhere = 100 * total_variation(now, before).item()
        shown.set_data(np.asarray(show(seen)[0]))
        label.set_text(f"label: {name}")
        moved.set_text(_how_moved(right, down, flip))
        reading.set_text(f"{elsewhere:.0f} % elsewhere")
        set_bars(old, before.tolist())
        set_bars(new, now.tolist())
        first = now.argsort(descending=True)[:2].tolist()
        said = ", ".join(f"{classes[k]} {percent(float(now[k]))} (cached {percent(float(before[k]))})" for k in first)
        return (
            f"image {image} ({name}), {right} to the right, {down} down, {'mirrored' if flip else 'not mirrored'}: "
            f"{elsewhere:.1f} % of the probability is elsewhere; {said}"
        )

    return figure, update


def _how_moved(right: int, down: int, flip: bool) -> str:
    steps = [f"{abs(by)} {to if by > 0 else back}" for by, to, back in ((right, "right", "left"), (down, "down", "up")) if by]
    return ", ".join(["mirrored"] * flip + steps) or "not moved"


# ---- patience ----


@styled
def plot_patience(scores: dict[str, dict[int, Sequence[float]]]) -> StaticFigure:
    """Draw two kinds of students after short and long trainings, and the pairs' differences: the second's minus the first's.

    scores: key of COLOURS and MARKERS -> steps -> test accuracies in percent, one a seed, in the same order.
    """
    (first, second), lengths = scores, list(next(iter(scores.values())))
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    said = {}
    for name, shift in ((first, -0.07), (second, 0.07)):
        intervals = draw_runs(
            left, [index + shift for index in range(len(lengths))], [scores[name][length] for length in lengths], name,
            points_at=0.0, points={"s": 22, "alpha": 0.5, "zorder": 1}, markeredgecolor="white", zorder=2,
            line=DASHES[name], label=name,
        )  # fmt: skip
        said[name] = _by_length(intervals, lengths)
    left.set(ylabel="test accuracy (%)")
    left.legend(loc="lower right")
    gains = _draw_gains(right, scores[first], scores[second], second)
    said[f"{second} minus {first}, run by run"] = _by_length(gains, lengths)
    right.legend(loc="lower right")
    right.set(ylabel=f"{second} minus {first} (points)")
    _length_axis(left, [f"{length} steps" for length in lengths])
    means = [f"{interval.mean:+.1f}".replace("-", "−") for interval in gains]
    _length_axis(right, [f"{length} steps:\n{mean} points" for length, mean in zip(lengths, means, strict=True)])
    runs, words = len(scores[first][lengths[0]]), "; ".join(f"{name}: {text}" for name, text in said.items())
    return StaticFigure(figure, f"Test accuracy (%), mean and 95 % interval of {runs} runs. {words}")


def _draw_gains(axes: Axes, before: dict[int, Sequence[float]], after: dict[int, Sequence[float]], key: str) -> list[Interval]:
    gains = [[b - a for a, b in zip(before[length], after[length], strict=True)] for length in before]
    join_seeds(axes, range(len(gains)), gains, marker="o", markersize=4)
    intervals = draw_runs(
        axes, range(len(gains)), gains, key, markersize=10, markeredgecolor="white", label="mean and 95 % interval"
    )
    axes.lines[0].set_label("one seed")
    axes.axhline(0, color=COLOURS["truth"], linewidth=1)
    return intervals


def _by_length(intervals: Sequence[Interval], lengths: Sequence[int]) -> str:
    return ", ".join(f"{interval} after {length}" for interval, length in zip(intervals, lengths, strict=True)) + " steps"


def _length_axis(axes: Axes, words: Sequence[str]) -> None:
    axes.set_xticks(range(len(words)), words)
    axes.set_xlim(-0.4, len(words) - 0.5)
    axes.grid(axis="y")
