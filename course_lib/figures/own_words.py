"""The figures of notebook 09's names. Data in, a `StaticFigure` out."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from course_lib.figures.parts import draw_runs, join_seeds
from course_lib.figures.style import BEHIND, COLOURS, StaticFigure, styled
from course_lib.metrics import mean_interval


@styled
def plot_tradeoff(students: Mapping[float, tuple[Sequence[float], Sequence[float]]]) -> StaticFigure:
    """Draw what students make up against what they miss, a point for each beta, with its intervals over seeds.

    students: beta -> (forward KL, reverse KL), each in bits per name, one a seed; beta 0 is forward KL, 1 is reverse.
    """
    figure = Figure(figsize=(6.6, 4.4), layout="constrained")
    axes, texts = figure.subplots(), []
    points = {beta: [mean_interval(values) for values in both] for beta, both in students.items()}
    (x, dx), (y, dy) = (
        [[getattr(each[i], part) for each in points.values()] for part in ("mean", "half_width")] for i in (0, 1)
    )
    axes.errorbar(
        x, y, dy, dx, fmt="-^", color=COLOURS["distilled"], ecolor="#BBBBBB", capsize=3, markersize=8, label="every beta"
    )
    ends = {min(points): "β = 0: forward KL", max(points): "β = 1: reverse KL"}
    for beta, (missed, made_up) in points.items():
        words = {"ha": "right" if beta == max(points) else "left", "va": "bottom", "fontsize": 11, "bbox": BEHIND}
        place = {"xytext": (-6, 24) if beta == max(points) else (6, 5), "textcoords": "offset points"}
        axes.annotate(ends.get(beta, f"{beta:g}"), (missed.mean, made_up.mean), **place, **words)
        texts.append(f"beta {beta:g}: missed {missed}, made up {made_up}")
    axes.set(xlabel="missed: KL(teacher‖student), bits per name", ylabel="made up: KL(student‖teacher), bits per name")
    axes.margins(0.06)
    axes.grid()
    count = len(next(iter(students.values()))[0])
    return StaticFigure(figure, f"Bits per name, mean and 95 % interval of {count} runs. {'; '.join(texts)}")


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
