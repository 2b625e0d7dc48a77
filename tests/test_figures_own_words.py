"""What notebook 09 draws of names: points where the divergences are, and the numbers in words."""

import pytest

from course_lib.figures import own_words as figures
from course_lib.figures.parts import find
from course_lib.figures.style import StaticFigure
from course_lib.metrics import mean_interval

STUDENTS = {0.0: ([1.1, 1.2], [1.4, 1.5]), 0.5: ([1.2, 1.3], [1.2, 1.3]), 1.0: ([1.3, 1.5], [1.0, 1.1])}
WHOSE = {
    "bits": {"forward": {"teacher's": [3.2, 3.3], "own": [3.21, 3.3]}, "reverse": {"teacher's": [3.3, 3.4], "own": [3.3, 3.5]}}
}


def tradeoff():
    return figures.plot_tradeoff(STUDENTS)


def whose_names():
    return figures.plot_whose_names(WHOSE)


STATIC = {"plot_tradeoff": tradeoff, "plot_whose_names": whose_names}


def test_the_tradeoff_has_a_point_for_each_beta_and_says_its_intervals(monkeypatch):
    kept = []
    monkeypatch.setattr(figures, "StaticFigure", lambda figure, text: kept.append(figure) or StaticFigure(figure, text))
    text = tradeoff().text
    assert text.startswith("Bits per name, mean and 95 % interval of 2 runs. ")
    points = find(kept[0], "every beta").lines[0].get_xydata()
    for (beta, both), point in zip(STUDENTS.items(), points, strict=True):
        missed, made_up = map(mean_interval, both)
        assert point == pytest.approx([missed.mean, made_up.mean])
        assert f"beta {beta:g}: missed {missed}, made up {made_up}" in text
    assert [each.get_text() for each in kept[0].axes[0].texts] == ["β = 0: forward KL", "0.5", "β = 1: reverse KL"]


def test_whose_names_says_every_mean():
    for divergence, by_names in WHOSE["bits"].items():
        for whose, values in by_names.items():
            interval = mean_interval(values)
            assert f"{divergence}, {whose}: {interval.mean:.3f} ± {interval.half_width:.3f}" in whose_names().text
