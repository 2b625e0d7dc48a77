"""What notebook 01 draws. Data in, a `Picture` out; of live figures, the matplotlib figure and what moves it."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter

from course_lib.figures.style import BEHIND, COLOURS, Picture, beside, percent, styled

SHADES = LinearSegmentedColormap.from_list("teacher", ["#FFFFFF", "#9CC9E3", COLOURS["teacher"], "#00304D"])


def show_image(axes: Axes, pixels) -> AxesImage:
    """A Fashion-MNIST image, pixels (28, 28) in [0, 1], dark on light as on paper."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")


@styled
def opinions(pixels, probabilities, classes: Sequence[str], captions: Sequence[str] | None = None, top: int = 3) -> Picture:
    """Images (n, 28, 28) in a row, under each the `top` classes of the teacher with their probabilities (n, num_classes)."""
    n, lines = len(pixels), []
    figure = Figure(figsize=(min(10, 1.7 * n + 0.4), 1.9 + 0.33 * top), layout="constrained")
    grid = figure.subplots(2, n, height_ratios=[1.7, 0.33 * top], squeeze=False)
    for i in range(n):
        show_image(grid[0, i], pixels[i])
        if captions:
            grid[0, i].set_title(captions[i], fontsize=11, loc="center")
        best = sorted(range(len(classes)), key=lambda k, row=probabilities[i]: -row[k])[:top]
        axes, values = grid[1, i], [float(probabilities[i][k]) for k in best]
        axes.barh(range(top), values, color=COLOURS["teacher"], height=0.25, align="edge")
        for row, (k, value) in enumerate(zip(best, values, strict=True)):
            axes.text(0, row - 0.08, f"{classes[k]} {percent(value)}", va="bottom", fontsize=10)
        axes.set(xlim=(0, 1), ylim=(top - 0.5, -0.75), xticks=[], yticks=[])
        axes.spines[["bottom", "left"]].set_visible(False)
        named = ", ".join(f"{classes[k]} {percent(value)}" for k, value in zip(best, values, strict=True))
        lines.append(f"{captions[i]}: {named}" if captions else named)
    return Picture(figure, "\n".join(lines))


@styled
def opinion_live(pixels, probabilities, classes: Sequence[str], labels) -> tuple[Figure, Callable]:
    """One of many images beside the teacher's probabilities: (figure, update(picture, scale)), scale "linear" or "log"."""
    figure = Figure(figsize=(8.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[0.7, 1.9])
    image = show_image(left, pixels[0])
    caption = beside(left.text(0.5, -0.04, "label", ha="center", va="top", transform=left.transAxes), (0, -0.2, 1, 0))
    bars = right.barh(range(len(classes)), [0] * len(classes), color=COLOURS["teacher"], height=0.7)
    numbers = [right.text(0, k, "", va="center", fontsize=11, clip_on=True) for k in range(len(classes))]
    right.set(yticks=range(len(classes)), yticklabels=classes, ylim=(len(classes) - 0.5, -0.5), autoscalex_on=False)
    right.spines["left"].set_visible(False)
    right.tick_params(left=False, labelsize=11)  # named, since update() draws new ticks outside of the style
    limits = {"linear": (0, 1.18), "log": (1e-12, 300)}
    ticks = {"linear": [0, 0.2, 0.4, 0.6, 0.8, 1], "log": [10.0**k for k in range(-12, 1, 2)]}

    def update(picture: int = 0, scale: str = "linear") -> str:
        row, name = [float(p) for p in probabilities[picture]], classes[int(labels[picture])]
        image.set_data(pixels[picture])
        caption.set_text(f"label: {name}")
        if right.get_xscale() != scale or right.get_xlim() != limits[scale]:
            right.set_xscale(scale)
            right.set(xlim=limits[scale], xticks=ticks[scale])
            right.set_xlabel(f"teacher's probability at T = 1 ({scale} scale)")
        ranked = sorted(zip(row, classes, strict=True), reverse=True)
        for bar, number, p in zip(bars, numbers, row, strict=True):
            bar.set_width(p)
            number.set_text(f" {percent(p)}" if p >= ranked[1][0] else "")  # words take longer to draw than all else
            number.set_x(p)
        return f"label {name}; teacher, on a {scale} scale: " + ", ".join(f"{c} {percent(p)}" for p, c in ranked[:3])

    return figure, update


@styled
def histograms(values: dict[str, Sequence[float]], xlabel: str, limit: float, limit_name: str) -> Picture:
    """One histogram a name, all on the same axis from 0 to `limit`, with each mean marked."""
    figure = Figure(figsize=(8, 1.5 * len(values) + 0.9), layout="constrained")
    rows, lines = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0], []
    for axes, (name, row) in zip(rows, values.items(), strict=True):
        mean = sum(row) / len(row)
        counts, _, _ = axes.hist(row, bins=50, range=(0, limit), color=COLOURS["teacher"])
        axes.set_ylim(top=1.3 * max(counts))  # room for the words
        axes.axvline(mean, color=COLOURS["highlight"], linestyle="--")
        axes.text(mean, axes.get_ylim()[1], f" mean {mean:.2f}", va="top", color=COLOURS["highlight"], bbox=BEHIND)
        axes.set_title(name)
        axes.set_ylabel("images")
        axes.axvline(limit, color=COLOURS["truth"], linewidth=1)
        lines.append(f"{name}: mean {mean:.2f}")
    rows[-1].set(xlabel=f"{xlabel} (at most {limit:.2f}: {limit_name})", xlim=(0, limit * 1.01))
    return Picture(figure, f"{xlabel}, at most {limit:.2f}. " + "; ".join(lines))


@styled
def likeness(matrix, classes: Sequence[str]) -> Picture:
    """A matrix (num_classes, num_classes) of mean soft probabilities, its diagonal left out."""
    n, lines = len(classes), []
    figure = Figure(figsize=(7.4, 6), layout="constrained")
    axes = figure.subplots()
    off = [[float("nan") if i == j else float(matrix[i][j]) for j in range(n)] for i in range(n)]
    shown = axes.imshow(off, cmap=SHADES, vmin=0)
    axes.set_facecolor("#D9D9D9")  # shows on the diagonal: not 0 %, but left out
    top = max(value for row in off for value in row if value == value)
    for i in range(n):
        for j in range(n):
            if i != j and off[i][j] >= 0.02:
                ink = "white" if off[i][j] > 0.5 * top else "black"
                axes.text(j, i, f"{off[i][j]:.0%}", ha="center", va="center", fontsize=10, color=ink)
        nearest = max((j for j in range(n) if j != i), key=lambda j, row=off[i]: row[j])
        lines.append(f"{classes[i]}: {classes[nearest]} {off[i][nearest]:.0%}")
    axes.set_xticks(range(n), classes, rotation=40, ha="right")
    axes.set_yticks(range(n), classes)
    axes.set(xlabel="probability given to", ylabel="the teacher sees")
    figure.colorbar(shown, ax=axes, format=PercentFormatter(1, 0), shrink=0.8).outline.set_visible(False)
    return Picture(figure, "Nearest class by mean soft probability. " + "; ".join(lines))


@styled
def bias_live(logits, labels, missing: int, name: str, biases: Sequence[float]) -> tuple[Figure, Callable]:
    """What one bias does to a student that never saw the class `missing`: (figure, update(bias)).

    logits: a tensor (n, num_classes) for test images with `labels` (n,); biases: where the curves are computed.
    """
    unseen = labels == missing

    def shares(bias: float) -> tuple[float, float]:
        shifted = logits.clone()
        shifted[:, missing] += bias
        right = shifted.argmax(-1) == labels
        return 100 * right[unseen].float().mean().item(), 100 * right[~unseen].float().mean().item()

    curves = list(zip(*map(shares, biases), strict=True))
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(biases, curves[0], color=COLOURS["distilled"], label=f"{name}s, never seen, named right")
    axes.plot(biases, curves[1], color=COLOURS["quiet"], linestyle="--", label="the others named right")
    line = axes.axvline(0, color=COLOURS["highlight"], linewidth=1.5)
    points = [
        axes.plot([0], [0], marker, color=colour, markersize=10)[0]
        for marker, colour in (("^", COLOURS["distilled"]), ("o", COLOURS["quiet"]))
    ]
    numbers = [axes.text(0, 0, "", fontsize=12, fontweight="bold", clip_on=True) for _ in points]
    axes.set(
        xlabel=f"added to the logit of {name}",
        ylabel="test images (%)",
        ylim=(max(0, 10 * int(min(map(min, curves)) / 10) - 20), 104),
        xlim=(min(biases) - 0.03 * max(biases), max(biases) * 1.12),
    )
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2)  # above: over a line that moves, it would be drawn again

    def update(bias: float = 0.0) -> str:
        values = shares(bias)
        line.set_xdata([bias, bias])
        for point, number, value, below in zip(
            points, numbers, values, (values[0] <= values[1], values[0] > values[1]), strict=True
        ):
            point.set_data([bias], [value])
            number.set_text(f"  {value:.1f}")
            number.set_position((bias, value + (-4.3 if below else 1.5)))
        return f"bias {bias:+.2f}: {values[0]:.1f} % of the {name}s, {values[1]:.1f} % of the others are named right"

    return figure, update
