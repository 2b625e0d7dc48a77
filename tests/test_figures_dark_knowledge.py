"""What notebook 01 draws: at every state of every control, the artists and the words show the numbers worked out by hand."""

import itertools
import math

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from live_frames import as_live_figures, assert_frames_are_new_drawings

from course_lib.data import CLASSES
from course_lib.figures import dark_knowledge
from course_lib.figures.parts import find
from course_lib.figures.style import percent

GENERATOR = torch.Generator().manual_seed(0)
PIXELS = torch.rand(6, 28, 28, generator=GENERATOR)
P = torch.randn(6, 10, generator=GENERATOR).softmax(-1)
LABELS = torch.arange(6)


# ---- opinions ----


def test_classes_are_ranked_by_their_probability():
    row = torch.tensor([0.2, 0.5, 0.3])
    ranked = dark_knowledge.rank_classes(row, ("bag", "coat", "dress"), 2)
    assert [name for name, _ in ranked] == ["coat", "dress"]
    assert [p for _, p in ranked] == pytest.approx([0.5, 0.3])


def test_the_opinions_say_their_first_classes():
    row = torch.tensor([[0.9, 0.09, 0.01] + [0.0] * 7])
    text = dark_knowledge.plot_opinions(PIXELS[:1], row, CLASSES, ["one"]).text
    assert text == "one: T-shirt 90.0 %, trouser 9.0 %, pullover 1.0 %"
    assert dark_knowledge.plot_opinions(PIXELS[:1], row, CLASSES, top=1).text == "T-shirt 90.0 %"


def opinion():
    return dark_knowledge.live_opinion(PIXELS, P, CLASSES, LABELS)


@pytest.mark.parametrize(("picture", "scale"), list(itertools.product((0, 3, 5), ("linear", "log"))))
def test_the_live_opinion_shows_the_picture_that_was_chosen(picture, scale):
    figure, update = opinion()
    update(1, {"linear": "log", "log": "linear"}[scale])
    text = update(picture, scale)
    np.testing.assert_allclose(find(figure, "image").get_array(), PIXELS[picture])
    assert find(figure, "caption").get_text() == f"label: {CLASSES[picture]}"
    assert [bar.get_width() for bar in find(figure, "probabilities")] == pytest.approx(P[picture].tolist())
    axes = find(figure, "probability axes")
    assert axes.get_xscale() == scale
    ticks = {"linear": np.arange(6) / 5, "log": 10.0 ** np.arange(-12, 1, 2)}[scale]
    np.testing.assert_allclose(axes.get_xticks(), ticks)
    numbers = [find(figure, f"probabilities {k}") for k in range(10)]
    said = {number.get_position()[0]: number.get_text() for number in numbers if number.get_text()}
    assert said == {p: f" {percent(p)}" for p in P[picture].topk(2).values.tolist()}
    best = CLASSES[int(P[picture].argmax())]
    assert text.startswith(f"label {CLASSES[picture]}; teacher, on a {scale} scale: {best} {100 * P[picture].max():.1f} %")


# ---- histograms and similarity ----


def test_the_histograms_say_their_means():
    text = dark_knowledge.plot_histograms({"T = 1": [0.5, 1.5]}, "bits", 3.32, "all alike").text
    assert text == "bits, at most 3.32. T = 1: mean 1.00"


def test_the_similarity_leaves_out_the_diagonal():
    matrix = [[0.9, 0.07, 0.03], [0.2, 0.5, 0.3], [0.25, 0.15, 0.6]]
    shown, nearest = dark_knowledge.similarity_of(matrix, ("bag", "coat", "dress"))
    assert [[value for value in row if not math.isnan(value)] for row in shown] == [[0.07, 0.03], [0.2, 0.3], [0.25, 0.15]]
    assert all(math.isnan(shown[k][k]) for k in range(3))
    assert nearest == [("coat", 0.07), ("dress", 0.3), ("bag", 0.25)]
    assert matrix[0][0] == 0.9


def test_the_similarity_says_the_nearest_class():
    matrix = torch.full((10, 10), 0.01)
    matrix[0, 6] = 0.4
    assert "T-shirt: shirt 40%" in dark_knowledge.plot_similarity(matrix, CLASSES).text


# ---- a bias ----


def bias():
    labels = torch.tensor([9, 9, 9, 9, 0, 0])
    logits = torch.zeros(6, 10)
    logits[:, 0] = torch.tensor([1.0, 2, 3, 4, 2.5, 5])
    return dark_knowledge.live_bias(logits, labels, 9, "ankle boot", [0, 1.5, 3])


def test_the_live_bias_counts_again_what_the_bias_changes():
    figure, update = bias()
    assert update(0.0) == "bias +0.00: 0.0 % of the ankle boots, 100.0 % of the others are named right"
    assert update(2.2) == "bias +2.20: 50.0 % of the ankle boots, 100.0 % of the others are named right"
    assert update(2.7) == "bias +2.70: 50.0 % of the ankle boots, 50.0 % of the others are named right"
    assert list(find(figure, "unseen").get_ydata()) == [0, 25, 50]
    assert list(find(figure, "others").get_ydata()) == [100, 100, 50]


@pytest.mark.parametrize(("value", "unseen", "others"), [(0.0, 0, 100), (2.2, 50, 100), (3.5, 75, 50)])
def test_points_and_numbers_stand_where_the_bias_is(value, unseen, others):
    figure, update = bias()
    update(value)
    assert list(find(figure, "bias").get_xdata()) == [value, value]
    for name, percents in (("unseen", unseen), ("others", others)):
        assert find(figure, f"{name} now").get_xydata()[0].tolist() == [value, percents]
        number = find(figure, f"{name} number")
        assert number.get_text() == f"  {percents:.1f}"
        above = percents > min(unseen, others)  # clear of each other
        assert (number.get_position()[1] > percents) == above


# ---- moved, not drawn anew ----

MOVES = {
    "live_opinion": (
        opinion,
        [{"picture": picture, "scale": "linear"} for picture in (0, 3, 5)],
        lambda picture, scale: {"picture": widgets.IntSlider(picture, 0, 5), "scale": widgets.Dropdown(options=[scale])},
    ),
    "live_bias": (
        bias,
        [{"bias": value} for value in (0.0, 2.2, 2.7)],
        lambda bias: {"bias": widgets.FloatSlider(bias, min=0.0, max=6.0)},
    ),
}
LIVE = as_live_figures(MOVES)
STATIC = {
    "plot_opinions": lambda: dark_knowledge.plot_opinions(PIXELS, P, CLASSES, [f"picture {i}" for i in range(6)]),
    "plot_histograms": lambda: dark_knowledge.plot_histograms({"T = 1": [0.1, 0.6], "T = 4": [1, 3]}, "bits", 3.32, "alike"),
    "plot_similarity": lambda: dark_knowledge.plot_similarity(torch.rand(10, 10, generator=GENERATOR), CLASSES),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
