"""What notebook 05 draws of training: at every state of every control, the artists and the words show numbers by hand."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from live_frames import as_live_figures, assert_frames_are_new_drawings
from PIL import Image

from course_lib.figures import training
from course_lib.figures.parts import find

CLASSES = ("bag", "coat", "dress")


# ---- two students side by side ----


# ---- views ----

TOLD = ("cached, for the image as it was", "teacher, for what the student sees")


def view(images, right, down, flip):
    return (images.flip(-1) if flip else images).roll((down, right), (-2, -1))


def teach(images):
    """A "teacher" that goes by where the one bright pixel is."""
    columns = images[:, 0].sum(1).argmax(1)
    return torch.tensor([[0.8, 0.2, 0.0], [0.3, 0.2, 0.5]])[(columns > 13).long()]


def some_images():
    images = torch.zeros(2, 1, 28, 28)
    images[0, 0, 5, 10] = images[1, 0, 5, 20] = 1.0
    return images


def views():
    images = some_images()
    return training.live_views(images, torch.tensor([0, 2]), CLASSES, view, lambda images: images[:, 0], teach)


def test_a_view_beside_the_picture_as_it_was():
    figure, update = views()
    image, cached, new = (find(figure, name) for name in ("image", *TOLD))
    assert update() == (
        "image 0 (bag), 0 to the right, 0 down, not mirrored: 0.0 % of the probability is elsewhere; "
        "bag 80.0 % (cached 80.0 %), coat 20.0 % (cached 20.0 %)"
    )
    text = update(0, 4, -2, False)
    assert text == (
        "image 0 (bag), 4 to the right, -2 down, not mirrored: 50.0 % of the probability is elsewhere; "
        "dress 50.0 % (cached 0 %), bag 30.0 % (cached 80.0 %)"
    )
    assert find(figure, "label").get_text() == "label: bag"
    assert find(figure, "how moved").get_text() == "4 right, 2 up"
    assert find(figure, "share elsewhere").get_text() == "50 % elsewhere"
    assert [bar.get_width() for bar in (*cached, *new)] == pytest.approx([0.8, 0.2, 0, 0.3, 0.2, 0.5])
    np.testing.assert_array_equal(image.get_array(), view(some_images()[:1], 4, -2, False)[0, 0])
    assert "image 1 (dress), 0 to the right, 0 down, mirrored: 50.0 % of" in update(1, 0, 0, True)
    assert [bar.get_width() for bar in (*cached, *new)] == pytest.approx([0.3, 0.2, 0.5, 0.8, 0.2, 0])


@pytest.mark.parametrize(
    ("how", "words"),
    [((0, 0, False), "not moved"), ((0, 0, True), "mirrored"), ((-1, 6, True), "mirrored, 1 left, 6 down")],
)
def test_the_words_for_a_move(how, words):
    figure, update = views()
    update(0, *how)
    assert find(figure, "how moved").get_text() == words


# ---- patience ----


def patience():
    return training.plot_patience(
        {
            "labels": {3: [70.0, 71, 72], 30: [80.0, 80, 80]},
            "distilled": {3: [69.0, 71, 70], 30: [82.0, 83, 84]},
        }
    )


def test_the_lengths_say_their_means_differences_and_intervals():
    picture = patience()
    assert picture.text == (
        "Test accuracy (%), mean and 95 % interval of 3 runs. "
        "labels: 71.00 ± 2.48 after 3, 80.00 ± 0.00 after 30 steps; "
        "distilled: 70.00 ± 2.48 after 3, 83.00 ± 2.48 after 30 steps; "
        "distilled minus labels, run by run: -1.00 ± 2.48 after 3, 3.00 ± 2.48 after 30 steps"
    )
    image = Image.open(io.BytesIO(picture.png))
    assert image.size == (2 * picture.width, 2 * picture.height)
    assert picture.width <= 900


# ---- moved, not drawn anew ----

MOVES = {
    "live_views": (
        views,
        [
            {"image": 0, "right": 0, "down": 0, "flip": False},
            {"image": 1, "right": 3, "down": 0, "flip": False},
            {"image": 1, "right": 3, "down": -5, "flip": True},
            {"image": 0, "right": -8, "down": 8, "flip": False},
        ],
        lambda image, right, down, flip: {
            "image": widgets.IntSlider(image, 0, 1),
            "right": widgets.IntSlider(right, -8, 8),
            "down": widgets.IntSlider(down, -8, 8),
            "flip": widgets.Checkbox(flip),
        },
    ),
}
LIVE = as_live_figures(MOVES)
STATIC = {"plot_patience": patience}


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
