"""What notebook 05 draws: at every state of every control, the artists and the words show the numbers worked out by hand."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from live_frames import assert_frames_are_new_drawings, pixels
from PIL import Image

from course_lib.figures import training
from course_lib.live import LiveFigure

CLASSES = ("bag", "coat", "dress")


# ---- two students side by side ----


def side_by_side():
    curves = {
        "labels": training.Curves([0.2, 0.4, 0.9, 0.9, 1.0, 1.0], [0.6, 0.8]),
        "distilled": training.Curves([0.0, 0.2, 0.4, 0.6, 0.8, 0.7], [0.5, 0.85]),
    }
    return curves, *training.side_by_side_live(curves, epochs=4, steps_per_epoch=3)


def test_two_students_and_their_running_means():
    _, figure, update = side_by_side()
    left, right = figure.axes
    text = update(2)
    assert text == (
        "mean over 2 steps; step 6 of 12. Right on the training batches: labels 100.0 %, distilled 75.0 %; "
        "right on the test images: labels 80.0 %, distilled 85.0 %"
    )
    labels, distilled = left.lines
    assert list(labels.get_xdata()) == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert list(labels.get_ydata()) == pytest.approx([20, 30, 65, 90, 95, 100])
    assert list(distilled.get_ydata()) == pytest.approx([0, 10, 30, 50, 70, 75])
    assert [list(line.get_xdata()) for line in right.lines] == [[1, 2], [1, 2]]
    assert [list(line.get_ydata()) for line in right.lines] == [pytest.approx([60, 80]), pytest.approx([50, 85])]
    assert [number.get_text() for number in left.texts] == [" 100", " 75"]
    assert [number.get_va() for number in left.texts] == ["bottom", "top"]  # apart, however close the two are
    assert [number.get_va() for number in right.texts] == ["top", "bottom"]
    assert right.texts[1].get_position() == pytest.approx((2, 85))
    assert {line.get_linestyle() for line in left.lines} == {"-", "--"}


@pytest.mark.parametrize(("width", "means"), [(1, [1, 2, 6]), (2, [1, 1.5, 4]), (3, [1, 1.5, 3]), (9, [1, 1.5, 3])])
def test_a_running_mean_starts_with_what_there_is(width, means):
    assert training._running_mean([1, 2, 6], width) == pytest.approx(means)
    assert len(training._running_mean([], width)) == 0


def test_students_that_have_not_begun_and_that_have_no_epoch_behind_them():
    curves = {"labels": training.Curves([], []), "distilled": training.Curves([], [])}
    figure, update = training.side_by_side_live(curves, epochs=4, steps_per_epoch=3)
    assert update(20) == "mean over 20 steps; no step yet of 12"
    assert {number.get_text() for axes in figure.axes for number in axes.texts} == {""}
    curves["labels"].batches.append(0.25)
    assert update(20) == "mean over 20 steps; step 1 of 12. Right on the training batches: labels 25.0 %"
    curves["distilled"].batches.append(0.5)
    assert update(20).endswith("Right on the training batches: labels 25.0 %, distilled 50.0 %")


def test_students_are_drawn_while_they_train():
    curves, figure, update = side_by_side()
    live = LiveFigure(figure, update, smooth=(1, 80))
    drawn, before = live._painter.full_draws, pixels(live.png())
    with live.running(lambda: update(**live.values)) as on_step:
        for curve in curves.values():
            curve.batches.append(0.9)
        on_step()
    assert (pixels(live.png()) != before).any()
    assert "step 7 of 12" in live.text
    assert live._painter.full_draws == drawn


# ---- symptoms ----


def recording(scale=1.0, kept=2_000_000):
    return training.Recording(
        told=torch.tensor([[0.5, 0.25, 0.25], [0.004, 0.096, 0.9], [0.0, 1.0, 0.0]]),
        loss=[4.0 * scale, 2.0 * scale, 0.0],
        marks=[1, 3],
        student=[0.1, 0.7],
        teacher=[0.9, 0.91],
        kept=kept,
    )


def symptoms():
    pixels = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
    loops = {"A": recording(), "B": recording(0.5, 25_300_000)}
    return pixels, *training.symptoms_live(pixels, 1, loops, CLASSES)


def test_the_symptoms_of_a_loop_at_a_step():
    pixels, figure, update = symptoms()
    picture, meter, told, accuracies, losses = figure.axes
    text = update("B", 2)
    assert text == (
        "loop B, step 2: the picture (coat) is told dress 90.0 %, coat 9.6 %, bag 0.4 %; soft loss 1; "
        "right after step 1: student 10.0 %, teacher 90.0 %; 25.3 MB kept for the backward pass"
    )
    np.testing.assert_allclose(picture.images[0].get_array(), pixels)
    assert [bar.get_width() for bar in told.patches] == pytest.approx([0.004, 0.096, 0.9])
    assert [number.get_text() for number in told.texts] == ["", " 9.6 %", " 90.0 %"]
    assert meter.patches[0].get_height() == pytest.approx(25.3)
    assert meter.texts[0].get_text() == "25.3 MB"
    assert meter.get_ylim()[1] > 25.3
    teacher, student = accuracies.lines[:2]
    assert list(teacher.get_ydata()) == pytest.approx([90, 91])
    assert list(student.get_ydata()) == pytest.approx([10, 70])
    assert list(student.get_xdata()) == [1, 3]
    curve, point = losses.lines[:2]
    assert list(curve.get_ydata()) == pytest.approx([2, 1, 1e-9])
    assert (list(point.get_xdata()), list(point.get_ydata())) == ([2], [1])
    for axes in (accuracies, losses):
        assert list(axes.lines[2].get_xdata()) == [2, 2]


def test_the_last_step_and_the_other_loop():
    _, figure, update = symptoms()
    assert "right after step 3: student 70.0 %, teacher 91.0 %; 2.0 MB" in update("A", 3)
    assert "loop A, step 1: " in update("A", 1)
    assert list(figure.axes[4].lines[0].get_ydata())[:2] == pytest.approx([4, 2])


# ---- views ----


def view(images, right, down, flip):
    return (images.flip(-1) if flip else images).roll((down, right), (-2, -1))


def teach(images):
    """A "teacher" that goes by where the one bright pixel is."""
    columns = images[:, 0].sum(1).argmax(1)
    return torch.tensor([[0.8, 0.2, 0.0], [0.3, 0.2, 0.5]])[(columns > 13).long()]


def views():
    images = torch.zeros(2, 1, 28, 28)
    images[0, 0, 5, 10] = images[1, 0, 5, 20] = 1.0
    return images, *training.views_live(images, torch.tensor([0, 2]), CLASSES, view, lambda images: images[:, 0], teach)


def test_a_view_beside_the_picture_as_it_was():
    images, figure, update = views()
    left, right = figure.axes
    assert update() == (
        "picture 0 (bag), 0 to the right, 0 down, not mirrored: 0.0 % of the probability is elsewhere; "
        "bag 80.0 % (cached 80.0 %), coat 20.0 % (cached 20.0 %)"
    )
    text = update(0, 4, -2, False)
    assert text == (
        "picture 0 (bag), 4 to the right, -2 down, not mirrored: 50.0 % of the probability is elsewhere; "
        "dress 50.0 % (cached 0 %), bag 30.0 % (cached 80.0 %)"
    )
    assert [text.get_text() for text in left.texts] == ["label: bag", "50 % elsewhere"]
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.8, 0.2, 0, 0.3, 0.2, 0.5])
    np.testing.assert_array_equal(left.images[0].get_array(), view(images[:1], 4, -2, False)[0, 0])
    assert "picture 1 (dress), 0 to the right, 0 down, mirrored: 50.0 % of" in update(1, 0, 0, True)
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.3, 0.2, 0.5, 0.8, 0.2, 0])


# ---- moved, not drawn anew ----


def figures():
    _, figure, update = side_by_side()
    yield (
        figure,
        update,
        [{"smooth": 1}, {"smooth": 3}, {"smooth": 6}, {"smooth": 2}],
        lambda smooth: {"smooth": widgets.IntSlider(smooth, 1, 6)},
    )
    _, figure, update = symptoms()
    states = [{"loop": "A", "step": 1}, {"loop": "B", "step": 1}, {"loop": "B", "step": 3}, {"loop": "A", "step": 2}]
    yield figure, update, states, lambda loop, step: {
        "loop": widgets.Dropdown(options=["A", "B"], value=loop), "step": widgets.IntSlider(step, 1, 3),
    }  # fmt: skip
    _, figure, update = views()
    states = [dict(zip(("picture", "right", "down", "flip"), state, strict=True)) for state in (
        (0, 0, 0, False), (1, 3, 0, False), (1, 3, -5, True), (0, -8, 8, False))]  # fmt: skip
    yield figure, update, states, lambda picture, right, down, flip: {
        "picture": widgets.IntSlider(picture, 0, 1), "right": widgets.IntSlider(right, -8, 8),
        "down": widgets.IntSlider(down, -8, 8), "flip": widgets.Checkbox(flip),
    }  # fmt: skip


@pytest.mark.parametrize(("figure", "update", "states", "controls"), list(figures()), ids=["side by side", "symptoms", "views"])
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(figure, update, states, controls):
    assert_frames_are_new_drawings(figure, update, states, controls)


# ---- patience ----


def test_the_lengths_say_their_means_differences_and_intervals():
    picture = training.patience(
        {
            "labels": {3: [70.0, 71, 72], 30: [80.0, 80, 80]},
            "distilled": {3: [69.0, 71, 70], 30: [82.0, 83, 84]},
        }
    )
    assert picture.text == (
        "Test accuracy (%), mean and 95 % interval of 3 runs. "
        "labels: 71.00 ± 2.48 after 3, 80.00 ± 0.00 after 30 epochs; "
        "distilled: 70.00 ± 2.48 after 3, 83.00 ± 2.48 after 30 epochs; "
        "distilled minus labels, run by run: -1.00 ± 2.48 after 3, 3.00 ± 2.48 after 30 epochs"
    )
    image = Image.open(io.BytesIO(picture.png))
    assert image.size == (2 * picture.width, 2 * picture.height)
    assert picture.width <= 900
