"""Runs of experiments: the words say their intervals, and lines join what is paired."""

import math

import pytest

from course_lib.figures import experiments
from course_lib.figures.parts import find
from course_lib.figures.style import StaticFigure
from course_lib.metrics import mean_interval

RUNS = {"labels": [84.0, 85, 86], "distilled": [87.0, 88, 89]}
WITH, WITHOUT = {1: [0.1, 0.2, 0.3], 4: [0.1, 0.1, 0.1]}, {1: [0.1, 0.2, 0.3], 4: [0.3, 0.4, 0.5]}
STATIC = {
    "plot_runs": lambda: experiments.plot_runs(RUNS, "accuracy (%)", {name: name for name in RUNS}, paired=2),
    "plot_ways": lambda: experiments.plot_ways(RUNS, {name: name for name in RUNS}, "test accuracy (%)"),
    "plot_sweep": lambda: experiments.plot_sweep({"width 1": {1: [1.0, 2, 3], 8: [-1.0, -1, -1]}}, "points"),
    "plot_with_and_without_t2": lambda: experiments.plot_with_and_without_t2(WITH, WITHOUT, [1.0, 2.0, 3.0]),
}


def test_runs_say_mean_interval_and_number():
    text = experiments.plot_runs({"labels": [1.0, 2, 3, 4, 5]}, "accuracy", {"labels": "labels"}).text
    assert text == "accuracy, mean and 95 % interval. labels: 3.00 ± 1.96 (n = 5)"


def test_lines_join_the_groups_that_are_paired_and_no_others():
    groups = {name: [1.0, 2, 4] for name in "abcd"}
    png = {n: experiments.plot_runs(groups, "accuracy", dict.fromkeys(groups, "labels"), paired=n).png for n in (1, 2, 4)}
    assert len(set(png.values())) == 3


def test_groups_that_are_paired_have_as_many_runs():
    with pytest.raises(ValueError, match="shorter"):
        experiments.plot_runs({"a": [1.0, 2, 3], "b": [1.0, 2]}, "accuracy", {"a": "labels", "b": "labels"}, paired=2)


def test_what_was_forgotten_is_shown_with_intervals():
    picture = STATIC["plot_with_and_without_t2"]()
    assert picture.width <= 900
    assert picture.text == (
        "KL(truth‖student) in nats, mean and 95 % interval of 3 runs. "
        "T = 1 with T²: 0.20 ± 0.25; T = 1 without T²: 0.20 ± 0.25; "
        "T = 4 with T²: 0.10 ± 0.00; T = 4 without T²: 0.40 ± 0.25; labels alone: 2.00 ± 2.48"
    )


def test_ways_say_their_intervals_in_the_order_given():
    picture = STATIC["plot_ways"]()
    assert picture.text == (
        "test accuracy (%), mean and 95 % interval of 3 runs. labels: 85.00 ± 2.48; distilled: 88.00 ± 2.48"
    )
    assert picture.width <= 900


def test_each_way_has_a_row_with_its_runs_its_interval_and_the_teacher(monkeypatch):
    kept = []
    monkeypatch.setattr(experiments, "StaticFigure", lambda figure, text: kept.append(figure) or StaticFigure(figure, text))
    runs = {"with labels": [3.7, 3.8, 3.9], "token by token": [3.2, 3.25, 3.3]}
    keys = {"with labels": "labels", "token by token": "distilled"}
    picture = experiments.plot_ways(runs, keys, "bits per letter", teacher=2.94, digits=3)
    assert picture.text == (
        "bits per letter, mean and 95 % interval of 3 runs. with labels: 3.800 ± 0.248; token by token: 3.250 ± 0.124; "
        "teacher: 2.940"
    )
    (figure,) = kept
    axes = figure.axes[0]
    for row, (way, values) in enumerate(runs.items()):
        drawn = find(figure, f"runs: {way}").get_offsets().tolist()
        assert drawn == [pytest.approx([value, row + 0.2]) for value in values]
        middle = axes.containers[row].lines[0]
        assert (list(middle.get_xdata()), list(middle.get_ydata())) == (pytest.approx([sum(values) / 3]), [row - 0.1])
    assert list(find(figure, "teacher").get_xdata()) == [2.94, 2.94]
    assert axes.get_xlim() == (2, 4)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(runs)
    assert axes.yaxis_inverted()


# ---- the sweep ----


def test_the_sweep_says_its_means_and_intervals():
    results = {"width 1": {1: [1.0, 2, 3], 8: [-1.0, -1, -1]}, "width 8": {1: [0.0, 0, 0], 8: [0.5, 1, 1.5]}}
    picture = experiments.plot_sweep(results, "points")
    assert picture.text == (
        "points, mean and 95 % interval of 3 runs. width 1: T = 1 2.00 ± 2.48, T = 8 -1.00 ± 0.00; "
        "width 8: T = 1 0.00 ± 0.00, T = 8 1.00 ± 1.24"
    )
    assert str(mean_interval([0.5, 1, 1.5])) == "1.00 ± 1.24"
    assert picture.width <= 900


def test_the_sweep_on_a_logarithmic_axis_has_three_digits_and_bears_intervals_below_0():
    text = experiments.plot_sweep({"3 units": {0.25: [0.1, 0.2, 0.4], 1: [0.02, 0.02, 0.02]}}, "KL", log=True).text
    # The logarithms of 0.1, 0.2, 0.4 lie log 2 apart: their mean is log 0.2, their half width 4.3027 * log 2 / sqrt(3).
    factor = math.exp(4.3027 * math.log(2) / math.sqrt(3))
    assert text == (
        "KL, geometric mean, and factor of the 95 % interval, of 3 runs. "
        f"3 units: T = 0.25 0.200 ×÷ {factor:.1f}, T = 1 0.020 ×÷ 1.0"
    )
