"""The figures of notebook 09's roads. Data in, a `StaticFigure` out; of the live one, the matplotlib figure and what moves it.

The teacher is dark blue, a student that only watched is the highlight, dashed; one that drove itself is the distilled student.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from course_lib.figures.parts import draw_runs
from course_lib.figures.style import COLOURS, StaticFigure, log_axis, styled

EDGE, FENCE = 1.0, 4.0  # offsets of the road's edge, and of a fence that stops the car
DRIVEN = {"color": COLOURS["highlight"], "linewidth": 2.2}
TAUGHT = {"color": COLOURS["teacher"], "linewidth": 1.4, "linestyle": "--"}


class Drive(NamedTuple):
    """What one car did on the road: where it was before each move, (length, 2), and how far left of the middle, (length,)."""

    positions: np.ndarray
    offsets: np.ndarray

    def off_road(self, move: int) -> int:
        """Return how many of the first `move` moves began off the road."""
        return int((np.abs(self.offsets[:move]) > EDGE).sum())


@styled
def live_road(
    edges: tuple[np.ndarray, np.ndarray], teacher: Drive, students: Mapping[str, Drive], gust: int
) -> tuple[Figure, Callable]:
    """Draw a road from above, with the drives of the teacher and of a student, and both offsets: (figure, update(who, move)).

    edges: x and y of the left and the right edge, (length, 2) each. students: who drove in training -> its drive. gust: before
    which move one pushed every car.
    """
    moves = np.arange(len(teacher.offsets))
    figure = Figure(figsize=(8.8, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1.25, 1])
    band = np.concatenate([edges[0], edges[1][::-1]])
    above.fill(*band.T, color="#E8E8E8", linewidth=0, gid="road")
    above.set_aspect("equal")
    above.set_axis_off()
    every = np.concatenate([band, *(drive.positions for drive in (teacher, *students.values()))])
    above.set(xlim=(every[:, 0].min() - 1, every[:, 0].max() + 1), ylim=(every[:, 1].min() - 1, every[:, 1].max() + 1))
    above.annotate("start", band[0], textcoords="offset points", xytext=(0, 8), ha="left", fontsize=11)
    above.annotate(
        "gust", teacher.positions[gust - 1], textcoords="offset points", xytext=(0, -38), ha="center", fontsize=11,
        arrowprops={"arrowstyle": "-|>", "color": "black"}, gid="gust",
    )  # fmt: skip
    below.axhspan(-EDGE, EDGE, color="#E8E8E8", linewidth=0)
    below.axvline(gust, color=COLOURS["quiet"], linewidth=1, zorder=1)
    below.text(gust, 3.8, "gust ", ha="right", va="top", fontsize=11, color="#555555")
    below.text(len(moves), 0.9, "on the road ", ha="right", va="top", fontsize=11, color="#555555")
    for side in (-FENCE, FENCE):
        below.axhline(side, color="black", linewidth=1, linestyle=(0, (1, 1.5)), zorder=1, gid="fence")
    below.text(len(moves), FENCE - 0.15, "fence ", ha="right", va="top", fontsize=11, color="#555555")
    below.set(xlim=(0, len(moves)), ylim=(-4.3, 4.3), yticks=[-4, -1, 0, 1, 4], xlabel="move", ylabel="offset from the middle")
    taught = [above.plot([], [], **TAUGHT, gid="teacher's way")[0], below.plot([], [], **TAUGHT, label="teacher")[0]]
    driven = [above.plot([], [], **DRIVEN, gid="student's way")[0], below.plot([], [], **DRIVEN, label="student")[0]]
    (car,) = above.plot([], [], "o", color=COLOURS["highlight"], markersize=9, markeredgecolor="white", gid="car")
    below.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    def update(who: str = next(iter(students)), move: int = len(moves)) -> str:
        student = students[who]
        for drive, (way, offset) in ((teacher, taught), (student, driven)):
            way.set_data(*drive.positions[:move].T)
            offset.set_data(moves[:move], drive.offsets[:move])
        car.set_data(*student.positions[move - 1 : move].T)
        return (
            f"{who} drove in training; after move {move} the student is {student.offsets[move - 1]:+.2f} from the middle "
            f"and was off the road in {student.off_road(move)} of {move} moves, the teacher in {teacher.off_road(move)}"
        )

    return figure, update


@styled
def plot_mistakes(
    lengths: Sequence[int], groups: Mapping[str, Sequence[Sequence[float]]], teacher: Sequence[float]
) -> StaticFigure:
    """Draw how many moves off the road there are on roads of each length, both axes logarithmic, with intervals over seeds.

    groups: name -> for each seed the moves, one number a length; the first is the student that only watched. teacher: its own.
    """
    figure = Figure(figsize=(8.8, 3.9), layout="constrained")
    axes, texts = figure.subplots(), []
    axes.plot(lengths, teacher, color=COLOURS["teacher"], marker="s", linestyle="--", label="teacher", zorder=4)
    looks = (("highlight", "--"), ("distilled", "-"), ("labels", "-."))
    for (name, runs), (key, line) in zip(groups.items(), looks, strict=False):
        by_length = list(zip(*runs, strict=True))
        intervals = draw_runs(axes, lengths, by_length, key, line=line, positive=True, label=name, markersize=8)
        shown = (f"{length}: {each.mean:.2f} ± {each.half_width:.2f}" for length, each in zip(lengths, intervals, strict=True))
        texts.append(f"{name} {', '.join(shown)}")
    first = fmean(run[0] for run in next(iter(groups.values())))
    square = [1.6 * first * (length / lengths[0]) ** 2 for length in lengths[:4]]
    axes.plot(lengths[:4], square, color=COLOURS["quiet"], linewidth=1, gid="the square")
    axes.text(lengths[:4][-1], square[-1], " the square of\n the length", color="#555555", fontsize=11, va="top")
    level = [0.55 * teacher[0] * length / lengths[0] for length in lengths]
    axes.plot(lengths, level, color=COLOURS["quiet"], linewidth=1, gid="in proportion")
    axes.text(
        lengths[-1], 0.75 * level[-1], "in proportion \nto the length ", color="#555555", fontsize=11, ha="right", va="top"
    )
    log_axis(axes.xaxis, lengths)
    log_axis(axes.yaxis, [0.1, 1, 10, 100])
    axes.set(xlim=(lengths[0] / 1.15, lengths[-1] * 1.15), xlabel="length of the road, in moves", ylabel="moves off the road")
    axes.grid(axis="y")
    axes.legend(loc="upper left", borderaxespad=0.2)
    texts.append(f"teacher {', '.join(f'{length}: {value:.2f}' for length, value in zip(lengths, teacher, strict=True))}")
    return StaticFigure(figure, f"Moves off the road, by the length of the road. {'. '.join(texts)}")
