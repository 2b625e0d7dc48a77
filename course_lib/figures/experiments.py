"""What experiments are shown by: every run, with means and intervals. Data in, a `Picture` out."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from course_lib.figures.style import BEHIND, COLOURS, MARKERS, Picture, styled
from course_lib.metrics import mean_interval


@styled
def runs(groups: dict[str, Sequence[float]], ylabel: str, colours: dict[str, str], paired: bool = False) -> Picture:
    """Every run as a point, with the mean and its 95 % interval beside it; pairs (same seed) are joined by a line.

    groups: name -> values in percent; colours: name -> a key of COLOURS.
    """
    figure = Figure(figsize=(min(9, 1.9 * len(groups) + 2.6), 3.8), layout="constrained")
    axes, lines = figure.subplots(), []
    if paired:
        for values in zip(*groups.values(), strict=True):
            axes.plot(range(len(groups)), values, color="#C8C8C8", linewidth=1, zorder=1)
    for i, (name, values) in enumerate(groups.items()):
        interval, key = mean_interval(values), colours[name]
        axes.scatter([i] * len(values), values, color=COLOURS[key], marker=MARKERS[key], s=34, alpha=0.75, zorder=2)
        axes.errorbar(
            i + 0.18,
            interval.mean,
            interval.half_width,
            fmt=MARKERS[key],
            color=COLOURS[key],
            markersize=9,
            capsize=5,
            zorder=3,
        )
        axes.text(i + 0.27, interval.mean, str(interval), va="center", bbox=BEHIND)
        lines.append(f"{name}: {interval} (n = {len(values)})")
    axes.set_xticks(range(len(groups)), groups)
    axes.set(xlim=(-0.4, len(groups) - 0.15), ylabel=ylabel)
    axes.grid(axis="y")
    return Picture(figure, f"{ylabel}, mean and 95 % interval. " + "; ".join(lines))
