"""What notebook 09 draws of names: points where the divergences are, bars as long as the bits, and the numbers in words."""

import pytest

from course_lib.figures import own_words as figures
from course_lib.figures.parts import find
from course_lib.live import LiveFigure
from course_lib.metrics import mean_interval

STUDENTS = {
    0.0: figures.Student([1.1, 1.2], [1.4, 1.5], ["burrello", "gackel"], [3.5, 4.1]),
    0.5: figures.Student([1.2, 1.3], [1.2, 1.3], ["burres", "gackner"], [3.2, 3.3]),
    1.0: figures.Student([1.3, 1.5], [1.0, 1.1], ["burry", "gackson"], [3.0, 2.9]),
}
WHOSE = {
    "bits": {"forward": {"teacher's": [3.2, 3.3], "own": [3.21, 3.3]}, "reverse": {"teacher's": [3.3, 3.4], "own": [3.3, 3.5]}}
}


def tradeoff():
    return LiveFigure(*figures.live_tradeoff(STUDENTS, usual=3.06), beta=list(STUDENTS))


def whose_names():
    return figures.plot_whose_names(WHOSE)


def frequencies():
    return figures.plot_frequencies({"right": [49.0, 31.0, 20.0], "wrong": [60.0, 30.0, 10.0]}, [50.0, 30.0, 20.0], ".ab")


STATIC = {"plot_whose_names": whose_names, "plot_frequencies": frequencies}
LIVE = {"live_tradeoff": lambda: (tradeoff(), [{"beta": 0.5}, {"beta": 1.0}, {"beta": 0.0}])}


@pytest.mark.parametrize("beta", STUDENTS)
def test_the_tradeoff_shows_the_means_and_the_names_at_a_beta(beta):
    live, student = tradeoff(), STUDENTS[beta]
    live.set(beta=beta)
    forward, reverse = mean_interval(student.forward), mean_interval(student.reverse)
    assert find(live.figure, "this beta").get_xydata()[0] == pytest.approx([forward.mean, reverse.mean])
    assert [bar.get_width() for bar in find(live.figure, "teacher's bits")] == student.bits
    assert [find(live.figure, f"name {row}").get_text() for row in range(2)] == student.names
    assert live.text.startswith(f"beta {beta:g}: missed {forward} and made up {reverse} bits a name, 2 seeds.")
    assert f"{student.names[1]} {student.bits[1]:.1f}" in live.text
    assert list(find(live.figure, "the teacher's own").get_xdata()) == [3.06, 3.06]
    assert len(find(live.figure, "all betas").get_xydata()) == 3


def test_whose_names_says_every_mean():
    for divergence, by_names in WHOSE["bits"].items():
        for whose, values in by_names.items():
            interval = mean_interval(values)
            assert f"{divergence}, {whose}: {interval.mean:.3f} ± {interval.half_width:.3f}" in whose_names().text


def test_frequencies_say_where_a_rule_is_furthest_off():
    assert "right: furthest off at ., 49.0 % instead of 50.0 %" in frequencies().text
    assert "wrong: furthest off at ., 60.0 % instead of 50.0 %" in frequencies().text
