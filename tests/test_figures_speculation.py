"""What notebook 09 draws of speculative decoding: each letter under its fate, and the speed that a cost of drafts leaves."""

import pytest

from course_lib.figures import speculation as figures
from course_lib.figures.parts import find
from course_lib.language import Speculation, expected_symbols
from course_lib.live import LiveFigure

ROUNDS = [("smy", 2, "i"), ("th.", 3, "")]
MADE = Speculation("smith", 2, 6, 6, 5, ROUNDS)
OTHER = Speculation("ann", 4, 4, 4, 0, [("x", 0, "a"), ("x", 0, "n"), ("y", 0, "n"), ("z", 0, ".")])
NAMES = {1: [OTHER, OTHER], 2: [OTHER, MADE], 3: [MADE, OTHER]}
SYMBOLS = {1: 1.4, 2: 2.0, 3: 2.5}


def speculation():
    figure, update = figures.live_speculation(NAMES, SYMBOLS, lambda k: expected_symbols(0.8, k), here=0.7)
    return LiveFigure(figure, update, drafts=(1, 3), name=(0, 1), cost=(0.0, 1.0, 0.05))


LIVE = {
    "live_speculation": lambda: (
        speculation(),
        [{"drafts": 3, "name": 0}, {"cost": 0.5}, {"drafts": 1}, {"name": 1, "drafts": 2}],
    )
}


def test_speed_by_hand():
    assert figures.speed_up(2.5, 3, 0.5) == 1
    assert figures.speed_up(2.5, 3, 0.0) == 2.5


def shown(live, kind):
    """The letters of a kind, by row and column."""
    texts = {}
    for text in live.figure.axes[0].texts:
        if text.get_gid() and text.get_gid().startswith(kind) and text.get_text():
            _, row, column = text.get_gid().rsplit(" ", 2)
            texts[int(row), int(column)] = text.get_text()
    return texts


def test_every_letter_is_where_its_round_has_it():
    live = speculation()
    live.set(drafts=3, name=0)
    assert shown(live, "accepted") == {(0, 0): "s", (0, 1): "m", (1, 0): "t", (1, 1): "h", (1, 2): "."}
    assert shown(live, "rejected") == {(0, 2): "y"}
    assert shown(live, "teacher") == {(0, 3): "i"}
    assert find(live.figure, "name").get_text() == "smith: 2 calls of the teacher"
    assert find(live.figure, "struck out").get_xydata()[0] == pytest.approx([2.05, 0.5])
    live.set(drafts=1)
    assert shown(live, "accepted") == {}
    assert shown(live, "teacher") == {(row, 1): letter for row, letter in enumerate("ann.")}


def test_symbols_and_speed_follow_the_drafts_and_the_cost():
    live = speculation()
    live.set(drafts=2, name=1, cost=0.25)
    assert find(live.figure, "symbols now").get_xydata()[0] == pytest.approx([2, 2.0])
    assert find(live.figure, "speed now").get_xydata()[0] == pytest.approx([2, 2.0 / 1.5])
    assert find(live.figure, "speed at this cost").get_ydata() == pytest.approx([1.4 / 1.25, 2 / 1.5, 2.5 / 1.75])
    assert find(live.figure, "speed here").get_ydata() == pytest.approx([1.4 / 1.7, 2 / 2.4, 2.5 / 3.1])
    assert find(live.figure, "cost").get_text() == "blue: a draft costs 0.25 of a call"
    assert find(live.figure, "formula").get_ydata() == pytest.approx([1.8, 2.44, 2.952])
    assert live.text.startswith(
        "2 drafts per round, smith: smy: 2 accepted, then i; th.: 3 accepted, then –. 2.00 symbols per call"
    )
    assert "costs 0.25 of a call that is 1.33 times as fast" in live.text
