"""The posterior of a 2-D mixture and that of a student that learned it, as maps of colours. A figure of notebook 02."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from torch import Tensor

from course_lib.figures.parts import temperature_axis
from course_lib.figures.style import COLOURS, MARKERS, clip_to, styled
from course_lib.metrics import kl_divergence
from course_lib.sweeps import margins

# The classes of the mixture: of the palette, what stands for no model. Green and purple, which some readers can hardly
# tell apart, go to the two classes that do not touch.
CLASS_COLOURS = ("#009E73", "#F0E442", "#D55E00", "#CC79A7")
CLASS_MARKERS = ("o", "s", "^", "D")
SIDE, BORDER_SIDE = 64, 300  # of the maps and of the grid on which borders are found, in points


class Learned(NamedTuple):
    """The numbers of a student that was trained."""

    colours: Tensor  # of its posterior: (SIDE, SIDE, 3)
    borders: list[np.ndarray]  # where it changes its answer: lines (n, 2)
    bits: float  # KL(truth‖student) on the points held out


class Region(NamedTuple):
    """A rectangle of the plane, from (left, bottom) to (right, top)."""

    left: float
    right: float
    bottom: float
    top: float

    def grid(self, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return xs (side,), ys (side,) and all their pairs (side * side, 2), row by row from the bottom."""
        xs, ys = torch.linspace(self.left, self.right, side), torch.linspace(self.bottom, self.top, side)
        return xs, ys, torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1).reshape(-1, 2)


def region_of(points: Tensor) -> Region:
    """Return the region that leaves out 0.2 % of the points (n, 2) on each side."""
    (left, bottom), (right, top) = points.quantile(torch.tensor([0.002, 0.998]), dim=0).tolist()
    return Region(left, right, bottom, top)


def blend(probabilities: Tensor) -> Tensor:
    """Mix the classes' colours by their probabilities, (..., num_classes) -> (..., 3), on white for readability."""
    colours = torch.tensor([to_rgb(colour) for colour in CLASS_COLOURS[: probabilities.shape[-1]]])
    return 1 - 0.8 * (1 - probabilities.float() @ colours).clamp(0, 1)


def colour_map(probabilities: Tensor) -> Tensor:
    """Blend probabilities on a grid of SIDE * SIDE points: (SIDE * SIDE, num_classes) -> (SIDE, SIDE, 3)."""
    return blend(probabilities).reshape(SIDE, SIDE, 3)


@styled
def live_learned(mixture, data, learn: Callable, from_labels: Mapping, held_out: Tensor) -> tuple[Figure, Callable]:
    """Show the true posterior of a 2-D mixture beside that of a student: (figure, update(T, units)).

    data: the points and classes that the students are trained on. learn: called as learn(T, units), gives a trained
    student; once for each pair. from_labels: units -> a student trained on the labels. held_out: points (n, 2) on which
    KL(truth‖student) is taken. All that was tried stays in the panel on the right.
    """
    region, truth = region_of(held_out), mixture(held_out)
    points = region.grid(SIDE)[2]

    @torch.no_grad()
    def judge(student) -> Learned:
        divergence = kl_divergence(truth, student(held_out)).mean().item() / math.log(2)
        q = student(points).softmax(-1)
        return Learned(colour_map(q), border_lines(region, q), divergence)

    figure = Figure(figsize=(8.8, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 0.95])
    true = colour_map(mixture.posterior(points))
    _draw_map(left, true, mixture, None, region, "the true posterior")
    image = _draw_map(middle, true, mixture, data, region, "a student, used at T = 1")
    own = LineCollection([], colors="white", linewidths=2.5, linestyles=(0, (2, 1)), zorder=3, gid="own borders")
    middle.add_collection(own)
    words = middle.text(0.5, -0.03, "", ha="center", va="top", fontsize=11, transform=middle.transAxes, gid="student in words")
    clip_to(words, (0, -0.2, 1, 0))
    baseline, baseline_words, tried, ring = _draw_divergences(right, list(from_labels))
    hard = {units: judge(student).bits for units, student in from_labels.items()}
    known: dict[tuple[float, int], Learned] = {}

    def update(T: float = 1.0, units: int = next(iter(from_labels))) -> str:
        if (T, units) not in known:
            known[T, units] = judge(learn(T, units))
        colours, borders, bits = known[T, units]
        image.set_data(colours.numpy())
        own.set_segments(borders)
        words.set_text(f"T = {T:g}: KL {bits:.3f} bits" if T >= 1 else f"T = 1/{1 / T:.3g}: KL {bits:.3f} bits")
        for size, line in tried.items():
            line.set_data(*tried_so_far(known, size))
        ring.set_data([T], [bits])
        baseline.set_ydata([hard[units]] * 2)
        baseline_words.set_text(f"line: trained on labels, {hard[units]:.2f}")
        return (
            f"T = {T:.3g}, {units} units a layer: KL(truth‖student) = {bits:.3f} bits; trained on labels {hard[units]:.3f} bits"
        )

    return figure, update


def border_lines(region: Region, probabilities: Tensor) -> list[np.ndarray]:
    """Return the lines, each (n, 2), on which the largest of the probabilities (SIDE * SIDE, num_classes) changes.

    A border belongs to two classes; it is taken from the first of them, lest two dashed lines fill each other's gaps.
    """
    xs, ys, _ = region.grid(SIDE)
    ahead, lines = margins(probabilities), []
    for k in range(probabilities.shape[1]):
        rivals = probabilities.clone()
        rivals[:, k] = -1
        drawn = np.ma.masked_array(ahead[:, k].numpy(), (rivals.argmax(1) < k).numpy()).reshape(SIDE, SIDE)
        lines += contour_generator(xs.numpy(), ys.numpy(), drawn).lines(0.0)
    return lines


def tried_so_far(known: Mapping[tuple[float, int], Learned], units: int) -> tuple[list[float], list[float]]:
    """Return the temperatures at which students of that size were trained, in order, and their divergences."""
    found = sorted((T, learned.bits) for (T, width), learned in known.items() if width == units)
    return [T for T, _ in found], [bits for _, bits in found]


def _draw_map(axes: Axes, colours: Tensor, mixture, data, region: Region, title: str) -> AxesImage:
    """Draw colours (SIDE, SIDE, 3), and over them the true borders of the classes and, where there are any, the points."""
    image = axes.imshow(
        colours.numpy(), extent=region, origin="lower", aspect="auto", interpolation="nearest", gid=f"map: {title}"
    )
    xs, ys, grid = region.grid(BORDER_SIDE)
    ahead = margins(mixture.posterior(grid)).T.reshape(-1, BORDER_SIDE, BORDER_SIDE).numpy()
    for k in range(mixture.num_classes):
        axes.contour(xs.numpy(), ys.numpy(), ahead[k], [0], colors=COLOURS["truth"], linewidths=1)
    if data is not None:
        points, classes = (column.numpy() for column in data.tensors)
        for k in range(mixture.num_classes):
            axes.plot(
                *points[classes == k].T, CLASS_MARKERS[k], color=CLASS_COLOURS[k], markersize=6,
                markeredgecolor="black", markeredgewidth=0.8, linestyle="none",
            )  # fmt: skip
    axes.set_title(title)
    axes.set(xticks=[], yticks=[], xlim=region[:2], ylim=region[2:])
    axes.spines[:].set_visible(False)
    return image


def _draw_divergences(axes: Axes, sizes: Sequence[int]) -> tuple[Line2D, object, dict[int, Line2D], Line2D]:
    """Draw the panel of all that was tried: return the line of the labels, its text, a line for each size, and the ring."""
    axes.set_title("KL(truth‖student), bits")
    axes.set_yscale("log")
    temperature_axis(axes.xaxis, 1 / 8, 16, ticks=[2.0**k for k in range(-3, 5)], label="trained at temperature $T$")
    axes.set(ylim=(1e-3, 6), xlim=(0.09, 23))
    axes.grid(axis="y")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_tick_params(labelsize=11)
    baseline = axes.axhline(1, color=COLOURS["labels"], linestyle="-.", gid="labels")
    baseline_words = axes.text(
        0.5, 0.03, "", ha="center", fontsize=11, clip_on=True, transform=axes.transAxes, gid="labels in words"
    )
    tried = {
        units: axes.plot(
            [], [], MARKERS["distilled"], color=COLOURS["distilled"], markerfacecolor=("white", COLOURS["distilled"])[i % 2],
            markersize=8, markeredgewidth=1.8, linestyle="none", label=f"{units} units a layer",
        )[0]
        for i, units in enumerate(sizes)
    }  # fmt: skip
    ring = axes.plot([1], [1], "o", markersize=17, markerfacecolor="none", markeredgecolor=COLOURS["highlight"], gid="now")[0]
    axes.legend(loc="upper right", handletextpad=0.3, frameon=True, framealpha=0.9, edgecolor="none")
    return baseline, baseline_words, tried, ring
