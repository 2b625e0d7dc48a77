"""The maps of a posterior: the artists and the words show the numbers worked out by hand."""

import itertools
import math

import ipywidgets as widgets
import matplotlib.colors
import numpy as np
import pytest
import torch
from colour_vision import colour_blind
from live_frames import as_live_figures, assert_frames_are_new_drawings

from course_lib.data import Mixture
from course_lib.figures import posterior
from course_lib.figures.parts import find

THIRD = math.log(3) / 2  # where the mixture below has the posterior (1/4, 3/4), and its mirror image
HELD_OUT = torch.tensor([[x, y] for x in (-THIRD, THIRD) for y in (-1.0, 1.0)])


class Stub:
    """A "student" of the two-class mixture: its log-odds are those of the truth, 2x, divided by T."""

    def __init__(self, T):
        self.T = T

    def __call__(self, points):
        return torch.stack([-points[:, 0], points[:, 0]], dim=1) / self.T


def divergence(T):
    q = 3 ** (1 / T) / (1 + 3 ** (1 / T))
    return 0.75 * math.log2(0.75 / q) + 0.25 * math.log2(0.25 / (1 - q))


def learned(asked=None):
    mixture = Mixture([[-1.0, 0.0], [1.0, 0.0]], torch.eye(2).expand(2, 2, 2))

    def learn(T, units):
        if asked is not None:
            asked.append((T, units))
        return Stub(T)

    return posterior.live_learned(mixture, mixture.sample(20), learn, {3: Stub(1e9), 32: Stub(4.0)}, HELD_OUT)


def test_what_was_learned_is_compared_with_the_truth():
    asked = []
    figure, update = learned(asked)
    small, large = (find(figure, f"{units} units a layer") for units in (3, 32))
    ring, baseline, in_words = find(figure, "now"), find(figure, "labels"), find(figure, "labels in words")

    text = update(2.0, 3)
    assert divergence(2.0) == pytest.approx(0.04434, abs=1e-5)
    assert text == "T = 2, 3 units a layer: KL(truth‖student) = 0.044 bits; trained on labels 0.189 bits"  # 1 - H(1/4)
    assert find(figure, "student in words").get_text() == "T = 2: KL 0.044 bits"
    assert small.get_xydata().tolist() == [[2.0, pytest.approx(divergence(2.0))]]
    assert len(large.get_xdata()) == 0
    assert ring.get_xydata().tolist() == [[2.0, pytest.approx(divergence(2.0))]]
    assert list(baseline.get_ydata()) == pytest.approx([0.188722] * 2, abs=1e-5)
    assert in_words.get_text() == "line: trained on labels, 0.19"

    update(0.5, 3)
    text = update(4.0, 32)
    assert text.startswith("T = 4, 32 units a layer: KL(truth‖student) = 0.103 bits; trained on labels 0.103 bits")
    assert list(small.get_xdata()) == [0.5, 2.0]
    assert list(small.get_ydata()) == pytest.approx([divergence(0.5), divergence(2.0)], abs=1e-6)
    assert (list(large.get_xdata()), list(large.get_ydata())) == ([4.0], [pytest.approx(divergence(4.0), abs=1e-6)])
    assert in_words.get_text() == "line: trained on labels, 0.10"

    update(2.0, 3)  # known already
    assert asked == [(2.0, 3), (0.5, 3), (4.0, 32)]
    assert list(ring.get_xdata()) == [2.0]

    update(1 / 8, 3)
    assert find(figure, "student in words").get_text().startswith("T = 1/8: KL ")  # as the ticks write it


def test_the_students_own_border_is_where_its_two_classes_are_equal():
    figure, update = learned()
    update(2.0, 3)
    (line,) = find(figure, "own borders").get_segments()
    np.testing.assert_allclose(line[:, 0], 0, atol=0.02)  # Stub's log-odds are 2x / T


def test_a_border_is_drawn_once():
    region = posterior.Region(-1, 1, -1, 1)
    x = region.grid(posterior.SIDE)[2][:, 0]
    p = torch.stack([-x, x, torch.full_like(x, -9)], dim=1).softmax(-1)
    (line,) = posterior.border_lines(region, p)
    np.testing.assert_allclose(line[:, 0], 0, atol=0.02)


def test_all_that_was_tried_is_in_the_order_of_T():
    known = {key: posterior.Learned(None, [], bits) for key, bits in {(8, 3): 0.3, (1, 3): 0.1, (1, 32): 0.9}.items()}
    assert posterior.tried_so_far(known, 3) == ([1, 8], [0.1, 0.3])
    assert posterior.tried_so_far(known, 32) == ([1], [0.9])
    assert posterior.tried_so_far({}, 3) == ([], [])


def test_the_region_leaves_out_what_lies_far_off():
    xs = torch.arange(1001.0)
    region = posterior.region_of(torch.stack([xs, -2 * xs], dim=1))
    assert list(region) == pytest.approx([2, 998, -1996, -4], abs=1e-3)


def test_the_grid_of_a_region_goes_row_by_row_from_its_bottom():
    xs, ys, points = posterior.Region(0, 2, 10, 14).grid(3)
    assert (xs.tolist(), ys.tolist()) == ([0, 1, 2], [10, 12, 14])
    assert points.tolist() == [[x, y] for y in (10, 12, 14) for x in (0, 1, 2)]


def test_the_maps_show_the_classes_blended_by_their_probabilities():
    figure, update = learned()
    truth, student = (find(figure, f"map: {title}") for title in ("the true posterior", "a student, used at T = 1"))
    colours = [np.array(matplotlib.colors.to_rgb(colour)) for colour in posterior.CLASS_COLOURS]
    for T in (1.0, 2.0, 0.5):
        update(T, 3)
        for image, divisor in ((truth, 1), (student, T)):
            low, high = image.get_extent()[:2]
            for column, x in ((0, low), (-1, high)):
                p = 1 / (1 + math.exp(-2 * x / divisor))
                expected = 0.2 + 0.8 * ((1 - p) * colours[0] + p * colours[1])
                np.testing.assert_allclose(image.get_array()[0, column], expected, atol=1e-5)


def test_a_blend_of_one_class_is_its_colour():
    for k, colour in enumerate(posterior.CLASS_COLOURS):
        p = torch.nn.functional.one_hot(torch.tensor(k), 4)
        np.testing.assert_allclose(posterior.blend(p), 0.2 + 0.8 * np.array(matplotlib.colors.to_rgb(colour)), atol=1e-6)


@pytest.mark.parametrize("kind", ["protan", "deutan", "tritan"])
def test_classes_that_touch_can_be_told_apart_by_colour_blind_readers_and_by_marker(kind):
    seen = [colour_blind(matplotlib.colors.to_rgb(colour), kind) for colour in posterior.CLASS_COLOURS]
    for one, other in itertools.combinations(range(4), 2):
        if {one, other} != {0, 3}:  # which lie at opposite ends
            assert np.linalg.norm(seen[one] - seen[other]) > 0.3
    assert len(set(posterior.CLASS_MARKERS)) == 4


# ---- moved, not drawn anew ----


def doubling(value):
    return widgets.FloatLogSlider(value=value, base=2, min=-3, max=7, step=0.125)


MOVES = {
    "live_learned": (
        learned,
        [{"T": 2.0, "units": 3}, {"T": 0.125, "units": 3}, {"T": 16.0, "units": 32}, {"T": 2.0, "units": 3}],
        lambda T, units: {"T": doubling(T), "units": widgets.Dropdown(options=[3, 32], value=units)},
    ),
}
LIVE = as_live_figures(MOVES)


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
