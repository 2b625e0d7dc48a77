"""The figures of experiments: every run, with means and intervals. Data in, a `StaticFigure` out."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from course_lib.figures.parts import draw_runs, join_seeds, temperature_text
from course_lib.figures.style import BEHIND, StaticFigure, log_axis, styled

SPREAD = 0.14  # the runs of a group stand over this width, its mean to the right of them


@styled
def plot_runs(groups: dict[str, Sequence[float]], ylabel: str, colours: dict[str, str], paired: int = 1) -> StaticFigure:
    """Draw every run as a point, with the mean and its 95 % interval beside it.

    groups: name -> values in percent, one a seed; colours: name -> a key of COLOURS; paired: in how many neighbouring
    groups a line joins the runs of a seed (2: in the first and second group, in the third and fourth, and so on).
    """
    figure = Figure(figsize=(min(9, 1.9 * len(groups) + 2.6), 3.8), layout="constrained")
    axes, rows, lines = figure.subplots(), list(groups.values()), []
    for start in range(0, len(groups), paired):
        joined = rows[start : start + paired]
        join_seeds(axes, range(start, start + len(joined)), joined, SPREAD)
    for i, (name, values) in enumerate(groups.items()):
        (interval,) = draw_runs(axes, [i + 0.18], [values], colours[name], points_at=-0.18, spread=SPREAD)
        axes.text(i + 0.27, interval.mean, str(interval), va="center", bbox=BEHIND)
        lines.append(f"{name}: {interval} (n = {len(values)})")
    axes.set_xticks(range(len(groups)), groups)
    axes.set(xlim=(-0.4, len(groups) - 0.15), ylabel=ylabel)
    axes.grid(axis="y")
    return StaticFigure(figure, f"{ylabel}, mean and 95 % interval. " + "; ".join(lines))


@styled
def plot_with_and_without_t2(
    with_t2: dict[int, Sequence[float]], without: dict[int, Sequence[float]], labels: Sequence[float]
) -> StaticFigure:
    """Draw KL to the truth of every run, by T, with and without T², beside runs on labels alone (logarithmic axis)."""
    figure = Figure(figsize=(8.8, 4.3), layout="constrained")
    axes, lines = figure.subplots(), []
    groups = [
        (i + shift, f"T = {T} {name}", runs[T], key, None if i else name)
        for i, T in enumerate(with_t2)
        for runs, shift, key, name in ((with_t2, -0.2, "distilled", "with T²"), (without, 0.2, "highlight", "without T²"))
    ]
    for x, name, values, key, label in [*groups, (len(with_t2), "labels alone", labels, "labels", "labels alone")]:
        faint = {"s": 30, "alpha": 0.6}
        (interval,) = draw_runs(axes, [x], [values], key, points_at=-0.07, points=faint, positive=True, label=label)
        axes.text(x + 0.06, interval.mean, f"{interval.mean:.2f}", va="center", bbox=BEHIND)
        lines.append(f"{name}: {interval}")
    axes.set_xticks(range(len(with_t2) + 1), [*map(temperature_text, with_t2), "labels alone"])
    log_axis(axes.yaxis, [0.01, 0.03, 0.1, 0.3, 1, 3])
    axes.set(xlim=(-0.5, len(with_t2) + 0.5), ylabel="KL(truth‖student) in nats")
    axes.grid(axis="y")
    axes.legend(loc="upper left")
    return StaticFigure(figure, f"KL(truth‖student) in nats, mean and 95 % interval of {len(labels)} runs. " + "; ".join(lines))
