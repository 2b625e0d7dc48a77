"""The figures of experiments: every run, with means and intervals. Data in, a `StaticFigure` out."""

import math
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from course_lib.figures.parts import draw_runs, join_seeds, temperature_axis, temperature_text
from course_lib.figures.style import BEHIND, COLOURS, MARKERS, StaticFigure, log_axis, styled
from course_lib.metrics import Interval, mean_interval

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
        lines.append((name, interval, len(values)))
    # The numbers stand beneath the names, where they cover neither a run nor a line.
    axes.set_xticks(range(len(groups)), [f"{name}\n{interval}" for name, interval, _ in lines])
    axes.set(xlim=(-0.4, len(groups) - 0.6), ylabel=ylabel)
    axes.grid(axis="y")
    words = [f"{name.replace(chr(10), ' ')}: {interval} (n = {n})" for name, interval, n in lines]
    return StaticFigure(figure, f"{ylabel}, mean and 95 % interval. " + "; ".join(words))


@styled
def plot_ways(
    ways: Mapping[str, Sequence[float]],
    colours: Mapping[str, str],
    ylabel: str,
    *,
    teacher: float | None = None,
    digits: int = 2,
) -> StaticFigure:
    """Draw the runs of several ways to train one student as rows, each with its mean and 95 % interval, in the order given.

    ways: name -> values, one a seed, all in the same order of seeds; colours: name -> a key of COLOURS. teacher: its own value,
    drawn as a line. digits: of the means and intervals that are written.
    """
    figure = Figure(figsize=(8.8, 0.62 * len(ways) + 1.1), layout="constrained")
    axes, lines = figure.subplots(), []
    everything = [value for values in ways.values() for value in values] + ([] if teacher is None else [teacher])
    for row, (name, values) in enumerate(ways.items()):
        key, interval = colours[name], mean_interval(values)
        axes.scatter(
            values, [row + 0.2] * len(values), color=COLOURS[key], marker=MARKERS[key], s=34, alpha=0.75, gid=f"runs: {name}"
        )
        style = {"fmt": MARKERS[key], "color": COLOURS[key], "markersize": 9, "capsize": 5}
        axes.errorbar([interval.mean], [row - 0.1], xerr=[interval.half_width], **style)
        written = f"{interval.mean:.{digits}f} ± {interval.half_width:.{digits}f}"
        axes.text(1.01, row, written, va="center", fontsize=12, transform=axes.get_yaxis_transform())
        lines.append(f"{name}: {written}")
    if teacher is not None:
        axes.axvline(teacher, color=COLOURS["teacher"], linewidth=1.5, linestyle=":", gid="teacher")
        axes.text(teacher, -0.5, " teacher", color=COLOURS["teacher"], va="top", fontsize=11, bbox=BEHIND)
        lines.append(f"teacher: {teacher:.{digits}f}")
    axes.set_yticks(range(len(ways)), ways)
    axes.set(ylim=(len(ways) - 0.5, -0.6), xlim=(math.floor(min(everything)), math.ceil(max(everything))), xlabel=ylabel)
    axes.tick_params(axis="y", length=0, labelsize=12)
    axes.grid(axis="x")
    return StaticFigure(figure, f"{ylabel}, mean and 95 % interval of {len(values)} runs. " + "; ".join(lines))


@styled
def plot_sweep(results: Mapping[str, Mapping[float, Sequence[float]]], ylabel: str, *, log: bool = False) -> StaticFigure:
    """Draw a panel for each kind of student: every run at every T, runs of a seed joined, with mean and 95 % interval.

    results: name -> T -> values, one a seed, in the same order. The panels share their axes. log: a logarithmic axis, with
    geometric means and the intervals of the logarithms, which are factors.
    """
    figure = Figure(figsize=(min(9, 3.3 * len(results) + 0.4), 3.9), layout="constrained")
    panels, texts = figure.subplots(1, len(results), squeeze=False, sharey=True)[0], []
    for axes, (name, by_T) in zip(panels, results.items(), strict=True):
        groups = list(by_T.values())
        join_seeds(axes, list(by_T), groups, color="#BBBBBB", marker="o", markersize=4, zorder=2)
        draw = draw_factors if log else draw_runs
        intervals = draw(axes, list(by_T), groups, "distilled", line="-", markeredgecolor="white", label=name)
        axes.set_title(name)
        temperature_axis(axes.xaxis, min(by_T), max(by_T), ticks=list(by_T), margin=1.35, label="temperature $T$")
        axes.grid(axis="y")
        shown = [_mean_in_words(T, interval, log) for T, interval in zip(by_T, intervals, strict=True)]
        texts.append(f"{name}: {', '.join(shown)}")
    if log:
        _plain_log_scale(panels[0])
    elif min(min(values) for by_T in results.values() for values in by_T.values()) < 0:
        for axes in panels:
            axes.axhline(0, color="#444444", linewidth=1, zorder=1)
    panels[0].set_ylabel(ylabel)
    runs = " or ".join(dict.fromkeys(str(len(next(iter(by_T.values())))) for by_T in results.values()))
    kind = "geometric mean, and factor of the 95 % interval," if log else "mean and 95 % interval"
    return StaticFigure(figure, f"{ylabel}, {kind} of {runs} runs. " + "; ".join(texts))


def _mean_in_words(T: float, interval: Interval, log: bool) -> str:
    if log:
        return f"T = {T:g} {math.exp(interval.mean):.3f} ×÷ {math.exp(interval.half_width):.1f}"
    return f"T = {T:g} {interval.mean:.2f} ± {interval.half_width:.2f}"


def draw_factors(axes: Axes, temperatures: Sequence[float], groups: Iterable[Sequence[float]], key: str, *, line: str, **style):
    """Draw the geometric mean of each group of positive values, with its interval; return the intervals of the logarithms."""
    intervals = [mean_interval([math.log(value) for value in values]) for values in groups]
    means = [math.exp(interval.mean) for interval in intervals]
    ends = [
        [abs(mean - math.exp(end(i))) for mean, i in zip(means, intervals, strict=True)]
        for end in (Interval.low.fget, Interval.high.fget)
    ]
    style = {"fmt": MARKERS[key] + line, "color": COLOURS[key], "markersize": 9, "capsize": 5, "zorder": 3} | style
    axes.errorbar(temperatures, means, ends, **style)
    return intervals


def _plain_log_scale(axes: Axes) -> None:
    """Make the y axis logarithmic, with a tick at every power of ten, in plain digits."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


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
