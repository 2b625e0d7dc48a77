"""What notebook 08 draws of students that learn names: the artists and the words show numbers by hand."""

import ipywidgets as widgets
import pytest
from live_frames import as_live_figures, assert_frames_are_new_drawings, pixels

from course_lib.figures import letter_runs
from course_lib.figures.parts import find
from course_lib.live import LiveFigure


def students():
    return {
        "labels": letter_runs.Bits([2, 4, 6], [4.0, 3.5, 3.1], [4.1, 3.7, 3.9]),
        "distilled": letter_runs.Bits([2, 4, 6], [4.2, 3.6, 3.2], [4.2, 3.65, 3.3]),
    }


def curves(of=None):
    return letter_runs.live_bits(of or students(), epochs=6, teacher=3.07)


def test_both_students_on_their_own_names_and_on_others():
    figure, update = curves()
    assert update(6) == (
        "Bits per letter until epoch 6 of 6. labels after epoch 6: 3.10 on its own names, 3.90 on others; "
        "distilled after epoch 6: 3.20 on its own names, 3.30 on others"
    )
    line = find(figure, "labels, held out")
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([2, 4, 6], [4.1, 3.7, 3.9])
    assert list(find(figure, "distilled, own").get_ydata()) == [4.2, 3.6, 3.2]
    number = find(figure, "distilled, held out, number")
    assert (number.get_text(), number.get_position()) == (" 3.30", (6, 3.3))
    assert [find(figure, f"{name}, held out, number").get_va() for name in students()] == ["bottom", "top"]
    assert find(figure, "labels, own").get_linestyle() != find(figure, "distilled, own").get_linestyle()


def test_back_in_time():
    figure, update = curves()
    assert "labels after epoch 4: 3.50 on its own names, 3.70 on others" in update(5)
    assert list(find(figure, "labels, own").get_xdata()) == [2, 4]


def test_students_that_have_not_begun_are_drawn_as_they_learn():
    empty = {name: letter_runs.Bits([], [], []) for name in ("labels", "distilled")}
    figure, update = curves(empty)
    assert update(6) == "Bits per letter until epoch 6 of 6. Nothing measured yet"
    live = LiveFigure(figure, update, until=widgets.IntSlider(6, 2, 6, 2))
    drawn, before = live._painter.full_draws, pixels(live.png())
    with live.running(lambda: update(6)) as on_step:
        for column, value in zip(empty["labels"], (2, 4.0, 4.1), strict=True):
            column.append(value)
        on_step()
    assert (pixels(live.png()) != before).any()
    assert "labels after epoch 2: 4.00 on its own names, 4.10 on others" in live.text
    assert live._painter.full_draws == drawn


# ---- moved, not drawn anew ----

MOVES = {
    "live_bits": (
        curves,
        [{"until": 6}, {"until": 4}, {"until": 2}],
        lambda until: {"until": widgets.IntSlider(until, 2, 6, 2)},
    ),
}
LIVE = as_live_figures(MOVES)


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
