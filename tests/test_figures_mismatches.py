"""Symptoms of pairs that do not fit: for each pair the artists and the words show its numbers."""

import ipywidgets as widgets
import numpy as np
import pytest
from live_frames import as_live_figures, assert_frames_are_new_drawings

from course_lib.figures.mismatches import Symptoms, live_mismatches
from course_lib.figures.parts import find

CLASSES = ("bag", "coat", "dress")


def two_pairs():
    random = np.random.default_rng(0)
    right = Symptoms(random.random((4, 4, 3)), np.eye(3), [2.0, 1.0, 0.5], 0.97, 0.9)
    wrong = Symptoms(random.random((8, 8, 3)), np.array([[0, 1, 0], [0, 0, 1], [0.75, 0.25, 0]]), [3.0, 2.0, 1.5], 0.0, 0.125)
    return {"A": right, "B": wrong}


def figure_of_two():
    return live_mismatches(two_pairs(), CLASSES, 0.8)


def test_a_pair_shows_its_numbers():
    figure, update = figure_of_two()
    text = update("B")
    pair = two_pairs()["B"]
    np.testing.assert_allclose(find(figure, "image").get_array(), pair.pixels)
    np.testing.assert_allclose(find(figure, "confusion").get_array(), pair.confusion)
    assert find(figure, "pair").get_text() == "pair B"
    assert find(figure, "soft loss").get_xydata().tolist() == [[1, 3.0], [2, 2.0], [3, 1.5]]
    assert [bar.get_height() for bar in find(figure, "right")] == [0, 12.5]
    assert [find(figure, f"right {k}").get_text() for k in (0, 1)] == ["0", "12"]
    assert find(figure, "labels alone").get_ydata()[0] == pytest.approx(80)
    assert text == (
        "pair B: right: teacher 0.0%, student 12.5%, a student on labels 80.0%; soft loss 3 after the first epoch, 1.5 after "
        "the last; what the teacher mostly names, by label: bag: coat 100%, coat: dress 100%, dress: bag 75%"
    )


def test_all_losses_are_inside():
    figure, update = figure_of_two()
    for pair in "AB":
        update(pair)
        low, high = find(figure, "soft loss").axes.get_ylim()
        assert low < min(two_pairs()[pair].loss) < max(two_pairs()[pair].loss) < high


MOVES = {
    "live_mismatches": (
        figure_of_two,
        [{"pair": "A"}, {"pair": "B"}, {"pair": "A"}],
        lambda pair: {"pair": widgets.Dropdown(options=["A", "B"], value=pair)},
    )
}
LIVE = as_live_figures(MOVES)


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
