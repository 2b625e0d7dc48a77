"""What notebook 01 draws: at every state of every control, the artists and the words show the numbers worked out by hand."""

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


def opinion():
    return dark_knowledge.live_opinion(PIXELS, P, CLASSES, LABELS)


@pytest.mark.parametrize("picture", [0, 3, 5])
def test_the_live_opinion_shows_the_picture_that_was_chosen(picture):
    figure, update = opinion()
    update(1)
    text = update(picture)
    ranked = P[picture].sort(descending=True)
    names = [CLASSES[k] for k in ranked.indices.tolist()]
    np.testing.assert_allclose(find(figure, "image").get_array(), PIXELS[picture])
    assert find(figure, "caption").get_text() == f"label: {CLASSES[picture]}\nteacher: {names[0]}"
    assert [bar.get_width() for bar in find(figure, "probabilities")] == pytest.approx(ranked.values.tolist())
    assert [find(figure, f"name {k}").get_text() for k in range(10)] == names
    assert list(find(figure, "dots").get_xdata()) == pytest.approx(ranked.values.tolist())
    place = names.index(CLASSES[picture])
    assert find(figure, "label").get_xydata()[0].tolist() == pytest.approx([P[picture, picture].item(), place])
    assert find(figure, "number 1").get_text().strip() == percent(ranked.values[1].item())
    assert find(figure, "number 9").get_text().strip() == dark_knowledge.one_in(ranked.values[-1].item())
    assert text.startswith(f"label {CLASSES[picture]}; teacher: {names[0]} {100 * ranked.values[0]:.1f} %, {names[1]} ")


def test_the_axis_of_the_live_opinion_ends_at_one():
    for axes in opinion()[0].axes[1:]:
        assert axes.get_xlim()[1] == 1


@pytest.mark.parametrize(
    ("p", "words"),
    [(1.25e-7, "1 in 8 million"), (1 / 1100, "1 in 1,100"), (2e-9, "1 in 500 million"), (4e-10, "1 in 2.5 billion"),
     (1e-12, "1 in 1 trillion"), (0.25, "1 in 4"), (0.7, "70.0 %")],
)  # fmt: skip
def test_small_probabilities_are_one_in_so_many(p, words):
    assert dark_knowledge.one_in(p) == words


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
    distilled, hard = torch.zeros(6, 10), torch.zeros(6, 10)
    distilled[:, 0] = torch.tensor([1.0, 2, 3, 4, 2.5, 5])
    hard[:, 0] = torch.tensor([5.0, 5, 5, 5, 5, 2.9])
    return dark_knowledge.live_bias({"distilled": distilled, "labels": hard}, labels, 9, "ankle boot", [0, 1.5, 2.6, 3])


def test_the_live_bias_counts_again_what_the_bias_changes():
    figure, update = bias()
    assert update(0.0) == (
        "bias +0.0. distilled: 0.0 % of the ankle boots, the others 0.0 points (100.0 %); "
        "labels: 0.0 % of the ankle boots, the others 0.0 points (100.0 %)"
    )
    assert "distilled: 50.0 % of the ankle boots, the others −50.0 points (50.0 %); labels: 0.0 %" in update(2.7)
    assert "labels: 0.0 % of the ankle boots, the others −50.0 points" in update(3.0)
    assert list(find(figure, "distilled unseen").get_xdata()) == [0, 1.5, 2.6, 3]
    assert list(find(figure, "distilled unseen").get_ydata()) == [0, 25, 50, 50]
    assert list(find(figure, "distilled lost").get_ydata()) == [0, 0, -50, -50]
    assert list(find(figure, "labels unseen").get_ydata()) == [0, 0, 0, 0]
    assert list(find(figure, "labels lost").get_ydata()) == [0, 0, 0, -50]


@pytest.mark.parametrize(("value", "unseen", "lost"), [(0.0, 0, 0), (2.2, 50, 0), (3.5, 75, -50)])
def test_points_stand_where_the_bias_is(value, unseen, lost):
    figure, update = bias()
    update(value)
    for k in (0, 1):
        assert list(find(figure, f"bias {k}").get_xdata()) == [value, value]
    assert find(figure, "distilled unseen now").get_xydata()[0].tolist() == [value, unseen]
    assert find(figure, "distilled lost now").get_xydata()[0].tolist() == [value, lost]


def test_a_line_stands_where_the_others_have_lost_a_point():
    assert dark_knowledge.first_bias_that_costs([0, 1, 2, 3], [90, 89.5, 89, 80], 1) == 2
    assert dark_knowledge.first_bias_that_costs([0, 1], [90, 89.5], 1) == math.inf
    figure, update = bias()
    marks = [find(figure, gid) for gid in ("limit", "limit above", "limit in words")]
    for value, seen in ((2.5, False), (2.6, True), (0.0, False)):  # it is not told before it is reached
        update(value)
        assert [mark.get_visible() for mark in marks] == [seen] * 3
        assert find(figure, "distilled lost").get_xdata()[-1] == value
    assert list(find(figure, "limit").get_xdata()) == [2.6, 2.6]
    assert "+2.6" in find(figure, "limit in words").get_text()


# ---- moved, not drawn anew ----

MOVES = {
    "live_opinion": (
        opinion,
        [{"picture": picture} for picture in (0, 3, 5)],
        lambda picture: {"picture": widgets.IntSlider(picture, 0, 5)},
    ),
    "live_bias": (
        bias,
        [{"bias": value} for value in (0.0, 2.2, 2.7)],
        lambda bias: {"bias": widgets.FloatSlider(bias, min=0.0, max=6.0)},
    ),
}
LIVE = as_live_figures(MOVES)
STATIC = {
    "plot_histograms": lambda: dark_knowledge.plot_histograms({"T = 1": [0.1, 0.6], "T = 4": [1, 3]}, "bits", 3.32, "alike"),
    "plot_similarity": lambda: dark_knowledge.plot_similarity(torch.rand(10, 10, generator=GENERATOR), CLASSES),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
