"""What experiments are shown by: every run, with means and intervals. Data in, a `Picture` out."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from course_lib.figures.style import BEHIND, COLOURS, MARKERS, Picture, styled
from course_lib.metrics import mean_interval


@styled
def runs(groups: dict[str, Sequence[float]], ylabel: str, colours: dict[str, str], paired: int = 1) -> Picture:
    """Every run as a point, with the mean and its 95 % interval beside it.

    groups: name -> values in percent, one a seed; colours: name -> a key of COLOURS; paired: in how many neighbouring
    groups a line joins the runs of a seed (2: in the first and second group, in the third and fourth, and so on).
    """
    figure = Figure(figsize=(min(9, 1.9 * len(groups) + 2.6), 3.8), layout="constrained")
    axes, rows, lines = figure.subplots(), list(groups.values()), []
    for start in range(0, len(groups), paired):
        for dx, values in zip(apart(len(rows[start])), zip(*rows[start : start + paired], strict=True), strict=True):
            axes.plot([start + i + dx for i in range(len(values))], values, color="#C8C8C8", linewidth=1, zorder=1)
    for i, (name, values) in enumerate(groups.items()):
        interval, key = mean_interval(values), colours[name]
        places = [i + dx for dx in apart(len(values))]
        axes.scatter(places, values, color=COLOURS[key], marker=MARKERS[key], s=34, alpha=0.75, zorder=2)
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


def apart(n: int, width: float = 0.14) -> list[float]:
    """Where the runs of n seeds stand beside the middle of their group, so that equal values do not cover each other."""
    return [width * ((k + 0.5) / n - 0.5) for k in range(n)]
