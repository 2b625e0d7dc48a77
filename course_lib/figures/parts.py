"""The parts that figures share: runs with their intervals, bars of classes, images, axes for T, and texts of numbers.

A function takes the axes to draw on, and names what it draws: a test looks it up with `find`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.container import BarContainer, Container
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

from course_lib.figures.style import COLOURS, MARKERS, log_axis
from course_lib.metrics import Interval, mean_interval

SHADES = LinearSegmentedColormap.from_list("teacher", ["#FFFFFF", "#9CC9E3", COLOURS["teacher"], "#00304D"])


# ---- runs ----


def draw_runs(
    axes: Axes,
    positions: Sequence[float],
    groups: Iterable[Sequence[float]],
    key: str,
    *,
    points_at: float | None = None,
    points: Mapping | None = None,
    spread: float = 0.0,
    line: str = "",
    positive: bool = False,
    **style,
) -> list[Interval]:
    """Draw the mean of each group of runs with its 95 % interval, and the runs themselves beside it; return the intervals.

    positions: where the means stand; groups: for each position the values, one a seed; key: of COLOURS and MARKERS.
    points_at: how far from their mean the runs stand, None to leave them out; spread: see `spread_seeds`; points: changes of
    their style. line: the style of a line through the means. positive: cut an interval off before it reaches 0, for a
    logarithmic axis, where it would have no end. style: changes of `Axes.errorbar`.
    """
    groups = list(groups)
    if points_at is not None:
        dots = {"color": COLOURS[key], "marker": MARKERS[key], "s": 34, "alpha": 0.75, "zorder": 2} | dict(points or {})
        for x, values in zip(positions, groups, strict=True):
            axes.scatter([x + points_at + dx for dx in spread_seeds(len(values), spread)], values, **dots)
    intervals = [mean_interval(values) for values in groups]
    above = [interval.half_width for interval in intervals]
    below = [min(i.half_width, 0.95 * i.mean) for i in intervals] if positive else above
    style = {"fmt": MARKERS[key] + line, "color": COLOURS[key], "markersize": 9, "capsize": 5, "zorder": 3} | style
    axes.errorbar(positions, [interval.mean for interval in intervals], [below, above], **style)
    return intervals


def spread_seeds(n: int, width: float = 0.14) -> list[float]:
    """Return offsets, over less than `width` around 0, for the runs of n seeds: equal values then do not cover each other."""
    return [width * ((k + 0.5) / n - 0.5) for k in range(n)]


def join_seeds(axes: Axes, positions: Sequence[float], groups: Iterable[Sequence[float]], spread: float = 0.0, **style) -> None:
    """Join the runs of each seed, in groups that hold them in the same order, by a thin line behind everything else."""
    seeds = list(zip(*groups, strict=True))
    for offset, values in zip(spread_seeds(len(seeds), spread), seeds, strict=True):
        axes.plot([x + offset for x in positions], values, **{"color": "#C8C8C8", "linewidth": 1, "zorder": 1} | style)


# ---- bars of classes ----


def filled(key: str, linewidth: float = 2) -> dict:
    """Return the style of a filled bar. Filled against outlined: hatching would take most of a frame's time."""
    return {"facecolor": COLOURS[key], "edgecolor": COLOURS[key], "linewidth": linewidth}


def outlined(key: str, linewidth: float = 2) -> dict:
    """Return the style of an open bar."""
    return {"facecolor": "white", "edgecolor": COLOURS[key], "linewidth": linewidth}


def paired_bars(
    axes: Axes, n: int, styles: Mapping[str, dict], *, distance: float = 0.4, width: float = 0.35, horizontal: bool = False
) -> list[BarContainer]:
    """Draw two bars of length 0 for each of n classes, side by side; return both groups, to be moved by `set_bars`.

    styles: label -> style, of the first and of the second; distance: between the middles of a pair.
    """
    draw = axes.barh if horizontal else axes.bar
    return [
        draw([k + shift for k in range(n)], [0] * n, width, label=label, **style)
        for shift, (label, style) in zip((-distance / 2, distance / 2), styles.items(), strict=True)
    ]


def class_bars(
    axes: Axes, names: Sequence[str], *, numbers: int = 0, height: float = 0.72, label: str = "probabilities", **style
) -> tuple[BarContainer, list[Text]]:
    """Draw a lying bar of length 0 for each class, the first on top; return them, and empty texts for the first `numbers`.

    To draw words is the dearest part of a frame: have no more numbers than are read.
    """
    n = len(names)
    bars = axes.barh(range(n), [0] * n, height=height, **{"color": COLOURS["teacher"]} | style)
    bars.set_label(label)
    texts = [axes.text(0, k, "", va="center", fontsize=11, clip_on=True, gid=f"{label} {k}") for k in range(numbers)]
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_yticks(range(n), names)
    axes.spines["left"].set_visible(False)
    axes.tick_params(
        left=False, labelsize=11
    )  # named, since a live figure makes its ticks when it is drawn, outside of the style
    return bars, texts


def set_bars(bars: BarContainer, values: Iterable[float]) -> None:
    """Give each bar its length: upright bars a height, lying ones a width."""
    lying = bars.orientation == "horizontal"
    for bar, value in zip(bars, values, strict=True):
        (bar.set_width if lying else bar.set_height)(value)


# ---- images ----


def show_image(axes: Axes, pixels) -> AxesImage:
    """Show a Fashion-MNIST image, pixels (28, 28) in [0, 1], dark on light as on paper."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")


# ---- axes for T ----


def temperature_axis(
    axis: Axis, low: float, high: float, *, ticks: Sequence[float] = (), margin: float = 1.12, label: str = "temperature T"
) -> None:
    """Make an axis logarithmic, for temperatures from low to high, with a margin that leaves markers at the ends whole.

    ticks: where they are; without, at powers of two (1, 2, 4, ...), at every other one where there would be more than seven.
    """
    log_axis(axis, ticks or _powers_of_two(low, high), base=2, words=lambda T: f"{T:g}" if T >= 1 else f"1/{1 / T:g}")
    axis.set_tick_params(labelsize=11)  # named, since a live figure makes its ticks when it is drawn, outside of the style
    (axis.axes.set_xlim if axis is axis.axes.xaxis else axis.axes.set_ylim)(low / margin, high * margin)
    axis.set_label_text(label)


def _powers_of_two(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    return [2.0**exponent for exponent in range(first, last + 1, 1 if last - first <= 6 else 2)]


def up_to(end: float, positions: Iterable[float], values: Iterable[float], last: float) -> tuple[list[float], list[float]]:
    """Return the part of a curve before `end`, and its value there: what a reader has passed who moved a slider so far."""
    before = [(x, y) for x, y in zip(positions, values, strict=True) if x < end]
    return [x for x, _ in before] + [end], [y for _, y in before] + [last]


# ---- texts ----


def signed(number: float, digits: int = 3) -> str:
    """Write a number with a true minus sign, and none before a zero."""
    text = f"{number:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def temperature_text(T: float) -> str:
    """Write a temperature with three digits: T = 2.5."""
    return f"T = {T:.3g}"


# ---- what tests look for ----


def find(figure: Figure, name: str):
    """Return the one artist, axes or container whose gid or label is `name`; legends do not count.

    Raises LookupError, listing the names there are, unless there is exactly one.
    """
    names: list[tuple[str, object]] = []
    for axes in figure.axes:
        drawn = (*axes.containers, *axes.lines, *axes.patches, *axes.texts, *axes.collections, *axes.images)
        for part in (axes, *drawn):
            gid = None if isinstance(part, Container) else part.get_gid()
            names += [(each, part) for each in {gid, part.get_label()} if each and not str(each).startswith("_")]
    found = [part for each, part in names if each == name]
    if len(found) != 1:
        raise LookupError(f"{len(found)} artists are called {name!r}; there are {sorted({each for each, _ in names})}")
    return found[0]
