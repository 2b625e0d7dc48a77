"""The figures of notebook 09's names. Data in, a `StaticFigure` out; of live ones, the matplotlib figure and what moves it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from course_lib.figures.parts import draw_runs, join_seeds
from course_lib.figures.style import BEHIND, COLOURS, StaticFigure, styled
from course_lib.metrics import mean_interval

NOW = {"marker": "^", "linestyle": "none", "color": COLOURS["distilled"], "markersize": 15, "markeredgecolor": "black"}


class Student(NamedTuple):
    """Both divergences, in bits a name and one a seed; names that one student wrote, and the teacher's bits a letter for it."""

    forward: Sequence[float]
    reverse: Sequence[float]
    names: Sequence[str]
    bits: Sequence[float]


@styled
def live_tradeoff(students: Mapping[float, Student], usual: float) -> tuple[Figure, Callable]:
    """Draw what is missed against what is made up, for every beta, and names at one: (figure, update(beta)).

    students: beta -> student, the names being made of the same random numbers. usual: what the teacher needs for a letter of
    its own names, in bits.
    """
    figure = Figure(figsize=(8.8, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
    intervals = {beta: (mean_interval(each.forward), mean_interval(each.reverse)) for beta, each in students.items()}
    x, y = ([pair[i].mean for pair in intervals.values()] for i in (0, 1))
    left.plot(x, y, "-o", color=COLOURS["quiet"], markersize=6, zorder=2, label="all betas")
    for name, beta, align, dx in (("forward KL", min(students), "left", 9), ("reverse KL", max(students), "right", -9)):
        point = [each.mean for each in intervals[beta]]
        left.annotate(name, point, textcoords="offset points", xytext=(dx, 6), ha=align, fontsize=11)
    (now,) = left.plot([x[0]], [y[0]], gid="this beta", zorder=4, **NOW)
    left.margins(0.2)
    left.set(xlabel="missed: KL(teacher‖student), bits a name", ylabel="made up: KL(student‖teacher), bits a name")
    left.grid()
    rows = range(len(students[min(students)].names))
    longest = max(max(each.bits) for each in students.values())
    bars = right.barh(rows, [0] * len(rows), height=0.7, color=COLOURS["distilled"], alpha=0.55)
    bars.set_label("teacher's bits")
    words = [right.text(0.06, row, "", va="center", fontsize=12, clip_on=True, gid=f"name {row}") for row in rows]
    right.axvline(usual, color=COLOURS["teacher"], linestyle="--", linewidth=1.5, gid="the teacher's own")
    right.text(usual, -0.72, "teacher's own ", color=COLOURS["teacher"], fontsize=11, ha="right", va="center")
    right.set(ylim=(len(rows) - 0.5, -1.1), xlim=(0, 1.02 * longest), yticks=[], xlabel="teacher's bits a letter for this name")
    right.spines["left"].set_visible(False)

    def update(beta: float = min(students)) -> str:
        student, (forward, reverse) = students[beta], intervals[beta]
        now.set_data([forward.mean], [reverse.mean])
        for bar, word, name, bits in zip(bars, words, student.names, student.bits, strict=True):
            bar.set_width(bits)
            word.set_text(name)
        shown = ", ".join(f"{name} {bits:.1f}" for name, bits in zip(student.names, student.bits, strict=True))
        return (
            f"beta {beta:g}: missed {forward} and made up {reverse} bits a name, {len(student.forward)} seeds. Names of one "
            f"student, with the teacher's bits a letter: {shown}"
        )

    return figure, update


@styled
def plot_whose_names(results: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> StaticFigure:
    """Draw a panel for each measure: forward and reverse KL on the teacher's names and on the student's own, every run.

    results: measure -> divergence -> whose names -> values, one a seed, in the same order; runs of a seed are joined.
    """
    figure = Figure(figsize=(8.8, 4.0), layout="constrained")
    panels, texts = figure.subplots(1, len(results), squeeze=False)[0], []
    for axes, (measure, by_divergence) in zip(panels, results.items(), strict=True):
        said = []
        for i, (divergence, by_names) in enumerate(by_divergence.items()):
            positions = [2.4 * i, 2.4 * i + 1]
            join_seeds(axes, [x - 0.2 for x in positions], by_names.values(), color="#BBBBBB", marker="o", markersize=4)
            for x, (whose, values), key in zip(positions, by_names.items(), ("teacher", "distilled"), strict=True):
                (interval,) = draw_runs(
                    axes, [x + 0.12], [values], key, markersize=8, label=f"{measure}: {divergence}, {whose}"
                )
                said.append(f"{divergence}, {whose}: {interval.mean:.3f} ± {interval.half_width:.3f}")
        axes.set_xticks([2.4 * i + 0.5 for i in range(len(by_divergence))], [f"{each} KL" for each in by_divergence])
        axes.set(xlim=(-0.7, 2.4 * len(by_divergence) - 0.7), ylabel=measure)
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y")
        texts.append(f"{measure}: {', '.join(said)}")
    whose = next(iter(next(iter(results.values())).values()))
    figure.legend(panels[0].containers[: len(whose)], list(whose), loc="outside upper center", ncols=2)
    return StaticFigure(figure, f"Mean and 95 % interval. {'. '.join(texts)}")


@styled
def plot_frequencies(rows: Mapping[str, Sequence[float]], expected: Sequence[float], letters: Sequence[str]) -> StaticFigure:
    """Draw a panel for each rule: how often each letter came, in percent, over what the teacher says, most frequent first.

    rows: name of the rule -> percentages, in the order of letters.
    """
    figure = Figure(figsize=(8.8, 2.0 * len(rows)), layout="constrained")
    panels, texts = figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0], []
    order = sorted(range(len(expected)), key=lambda k: -expected[k])[:14]
    x, marks = range(len(order)), {"color": COLOURS["highlight"], "markeredgecolor": "white", "markersize": 9}
    for axes, (name, found) in zip(panels, rows.items(), strict=True):
        axes.bar(x, [expected[k] for k in order], 0.85, label=f"teacher, {name}", color=COLOURS["teacher"], alpha=0.3)
        axes.plot(x, [found[k] for k in order], "X", label=name, **marks)
        axes.text(0.99, 0.9, name, transform=axes.transAxes, ha="right", va="top", fontsize=13, bbox=BEHIND)
        axes.set(ylabel="percent", xticks=x)
        axes.set_xticklabels([letters[k] for k in order])
        furthest = max(range(len(expected)), key=lambda k: abs(found[k] - expected[k]))
        texts.append(
            f"{name}: furthest off at {letters[furthest]}, {found[furthest]:.1f} % instead of {expected[furthest]:.1f} %"
        )
    return StaticFigure(figure, "Bars: the teacher. Crosses: what was written. " + ". ".join(texts))
