"""What notebook 09 draws of roads: the lines are where the cars were, and the words count moves off the road."""

import numpy as np
import pytest

from course_lib.figures import driving as figures
from course_lib.figures.parts import find
from course_lib.live import LiveFigure
from course_lib.metrics import mean_interval

MOVES = np.arange(30.0)


def a_drive(offsets):
    return figures.Drive(np.stack([MOVES, offsets], 1), offsets)


AWAY, BACK = np.where(MOVES < 10, 0.2, 3.0), np.where((MOVES >= 10) & (MOVES < 14), 1.5, -0.1)
GROUPS = {"watched": [[1.0, 4.0, 9.0], [2.0, 5.0, 12.0]], "drove itself": [[0.5, 1.0, 2.0], [0.7, 1.1, 2.1]]}


def road():
    edges = tuple(np.stack([MOVES, 0 * MOVES + edge], 1) for edge in (1, -1))
    figure, update = figures.live_road(
        edges, a_drive(BACK), {"the teacher": a_drive(AWAY), "the student": a_drive(BACK + 0.1)}, gust=10
    )
    return LiveFigure(figure, update, who=["the teacher", "the student"], move=(1, 30))


def mistakes():
    return figures.plot_mistakes([25, 50, 100], GROUPS, [0.4, 0.8, 1.6])


STATIC = {"plot_mistakes": mistakes}
LIVE = {"live_road": lambda: (road(), [{"move": 12}, {"who": "the student"}, {"move": 30}])}


def test_moves_off_the_road_are_counted_up_to_a_move():
    assert [a_drive(AWAY).off_road(move) for move in (10, 11, 30)] == [0, 1, 20]
    assert a_drive(-AWAY).off_road(30) == 20
    assert a_drive(BACK).off_road(30) == 4


def test_the_road_shows_and_says_both_drives():
    live = road()
    live.set(who="the teacher", move=12)
    assert live.text == (
        "the teacher drove in training; after move 12 the student is +3.00 from the middle and was off the road "
        "in 2 of 12 moves, the teacher in 2"
    )
    assert find(live.figure, "student's way").get_xydata() == pytest.approx(a_drive(AWAY).positions[:12])
    assert find(live.figure, "student").get_ydata() == pytest.approx(AWAY[:12])
    assert find(live.figure, "teacher").get_ydata() == pytest.approx(BACK[:12])
    assert find(live.figure, "car").get_xydata()[0] == pytest.approx([11, 3])
    live.set(who="the student", move=30)
    assert find(live.figure, "student").get_ydata() == pytest.approx(BACK + 0.1)
    assert find(live.figure, "teacher's way").get_xydata() == pytest.approx(a_drive(BACK).positions)
    assert live.text.startswith("the student drove in training; after move 30 the student is +0.00")


def test_mistakes_are_told_with_their_intervals():
    text = mistakes().text
    for name, runs in GROUPS.items():
        for length, values in zip((25, 50, 100), zip(*runs, strict=True), strict=True):
            interval = mean_interval(values)
            assert f"{length}: {interval.mean:.2f} ± {interval.half_width:.2f}" in text[text.index(name) :]
    assert text.endswith("teacher 25: 0.40, 50: 0.80, 100: 1.60")
