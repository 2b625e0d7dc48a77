"""Symptoms of loops: at every state of every control, the artists and the words show the numbers worked out by hand."""

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from live_frames import as_live_figures, assert_frames_are_new_drawings

from course_lib.figures import symptoms
from course_lib.figures.parts import find

CLASSES = ("bag", "coat", "dress")
PIXELS = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))


def recording(scale=1.0, kept=2_000_000):
    return symptoms.Recording(
        soft_targets=torch.tensor([[0.5, 0.25, 0.25], [0.004, 0.096, 0.9], [0.0, 1.0, 0.0]]),
        loss=[4.0 * scale, 2.0 * scale, 0.0],
        marks=[1, 3],
        student=[0.1, 0.7],
        teacher=[0.9, 0.91],
        kept=kept,
    )


def two_loops():
    return symptoms.live_symptoms(PIXELS, 1, {"A": recording(), "B": recording(0.5, 25_300_000)}, CLASSES)


@pytest.mark.parametrize(("step", "mark", "student", "teacher"), [(1, 1, 0.1, 0.9), (2, 1, 0.1, 0.9), (3, 3, 0.7, 0.91)])
def test_the_accuracies_of_a_step_are_the_last_that_were_measured(step, mark, student, teacher):
    now = symptoms.observe(recording(), step)
    assert now.soft_target == pytest.approx(recording().soft_targets[step - 1].tolist())
    assert now[1:] == (recording().loss[step - 1], mark, student, teacher)


def test_the_symptoms_of_a_loop_at_a_step():
    figure, update = two_loops()
    text = update("B", 2)
    assert text == (
        "loop B, step 2: soft target of the image (coat): dress 90.0 %, coat 9.6 %, bag 0.4 %; "
        "it varied by up to 65.0 % so far; soft loss 1; "
        "right after step 1: student 10.0 %, teacher 90.0 %; 25.3 MB kept for the backward pass"
    )
    np.testing.assert_allclose(find(figure, "image").get_array(), PIXELS)
    assert [bar.get_width() for bar in find(figure, "soft target")] == pytest.approx([0.004, 0.096, 0.9])
    assert [find(figure, f"soft target {k}").get_text() for k in range(3)] == ["", " 9.6 %", " 90.0 %"]
    assert find(figure, "loop").get_text() == "loop B"
    xs, ys = find(figure, "range so far").get_data()
    assert list(xs) == pytest.approx([0.004, 0.5, np.nan, 0.096, 0.25, np.nan, 0.25, 0.9, np.nan], nan_ok=True)
    assert list(ys) == pytest.approx([0, 0, np.nan, 1, 1, np.nan, 2, 2, np.nan], nan_ok=True)
    assert [find(figure, f"soft target {k}").get_position()[0] for k in (1, 2)] == pytest.approx([0.25, 0.9])
    assert find(figure, "megabytes").get_height() == pytest.approx(25.3)
    assert find(figure, "megabytes in words").get_text() == "25.3 MB"
    assert find(figure, "meter").get_ylim()[1] > 25.3
    assert list(find(figure, "teacher").get_ydata()) == pytest.approx([90, 91])
    assert list(find(figure, "student").get_ydata()) == pytest.approx([10, 70])
    assert list(find(figure, "student").get_xdata()) == [1, 3]
    assert list(find(figure, "loss").get_ydata()) == pytest.approx([2, 1, 1e-9])
    assert find(figure, "loss now").get_xydata().tolist() == [[2, 1]]
    for panel in ("accuracies", "loss"):
        assert list(find(figure, f"step in {panel}").get_xdata()) == [2, 2]


def test_the_last_step_and_the_other_loop():
    figure, update = two_loops()
    assert "right after step 3: student 70.0 %, teacher 91.0 %; 2.0 MB" in update("A", 3)
    assert "loop A, step 1: " in update("A", 1)
    assert list(find(figure, "loss").get_ydata())[:2] == pytest.approx([4, 2])


MOVES = {
    "live_symptoms": (
        two_loops,
        [{"loop": "A", "step": 1}, {"loop": "B", "step": 1}, {"loop": "B", "step": 3}, {"loop": "A", "step": 2}],
        lambda loop, step: {
            "loop": widgets.Dropdown(options=["A", "B"], value=loop),
            "step": widgets.IntSlider(step, 1, 3),
        },
    ),
}
LIVE = as_live_figures(MOVES)


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
