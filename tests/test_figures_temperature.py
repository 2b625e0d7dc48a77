"""What notebook 02 draws: at every state of every control, the artists and the words show the numbers worked out by hand."""

import itertools
import math

import ipywidgets as widgets
import matplotlib.colors
import numpy as np
import pytest
import torch
from live_frames import assert_frames_are_new_drawings
from test_figures import colour_blind

from course_lib.data import Mixture
from course_lib.figures import temperature
from course_lib.metrics import mean_interval

CLASSES = ("bag", "coat", "dress", "shirt")
PIXELS = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
# e^v is 1, 16, 4, 1 in the first row, so p, ranked, is (16, 4, 1, 1) / 22 at T = 1 and (4, 2, 1, 1) / 8 at T = 2.
LOGITS = torch.tensor([[1.0, 16, 4, 1], [5, 5, 5, 5]]).log()
ROWS = {0.5: [256 / 274, 16 / 274, 1 / 274, 1 / 274], 1.0: [16 / 22, 4 / 22, 1 / 22, 1 / 22], 2.0: [1 / 2, 1 / 4, 1 / 8, 1 / 8]}


def doubling(value=1.0, lowest=-3, highest=7, **settings):
    return widgets.FloatLogSlider(value=value, base=2, min=lowest, max=highest, step=0.125, **settings)


def bits(row):
    return -sum(p * math.log2(p) for p in row)


def mass():
    return temperature.mass_live(PIXELS, LOGITS, CLASSES, torch.tensor([1, 3]), 1 / 8, 128)


def scale():
    return temperature.scale_live(LOGITS[0], CLASSES)


# ---- where the mass goes ----


def test_a_number_stays_at_the_end_of_its_bar_however_slowly_that_moves():
    figure, update = mass()
    middle = figure.axes[1]
    for step in range(400):
        update(0, 2 ** (step / 100 - 1))
        for bar, number in zip(middle.patches[:3], middle.texts[4:], strict=True):
            assert number.get_position()[0] == pytest.approx(bar.get_width(), abs=0.002)


@pytest.mark.parametrize("T", ROWS)
def test_the_mass_at_T(T):
    figure, update = mass()
    left, middle, upper, lower = figure.axes
    text = update(0, T)
    row = ROWS[T]
    names, numbers = middle.texts[:4], middle.texts[4:]
    assert [bar.get_width() for bar in middle.patches] == pytest.approx(row)
    assert [name.get_text() for name in names[:2]] == ["coat", "dress"]
    assert {name.get_text() for name in names[2:]} == {"bag", "shirt"}
    assert [number.get_text() for number in numbers] == [f" {100 * p:.1f} %" for p in row[:3]]
    assert [number.get_position()[0] for number in numbers] == pytest.approx(row[:3])
    marks = upper.lines[3:6]
    assert [float(mark.get_ydata()[0]) for mark in marks] == pytest.approx([row[0], row[1], row[2] + row[3]])
    assert [float(mark.get_xdata()[0]) for mark in marks] == [T] * 3
    (mark,) = [line for line in lower.lines if line.get_marker() == "D"]
    assert (float(mark.get_xdata()[0]), float(mark.get_ydata()[0])) == (T, pytest.approx(bits(row)))
    for axes in (upper, lower):
        assert list(axes.lines[-1].get_xdata()) == [T, T]
    np.testing.assert_allclose(left.images[0].get_array(), PIXELS[0])
    assert left.texts[0].get_text() == "label:\ncoat"
    assert f"T = {T:.3g}: {bits(row):.2f} bits of 2.00; first {100 * row[0]:.1f} %, second {100 * row[1]:.1f} %" in text


def test_the_mass_in_words():
    _, update = mass()
    assert update(0, 2.0).startswith(
        "T = 2: 1.75 bits of 2.00; first 50.0 %, second 25.0 %, the other 2 together 25.0 %. coat 50.0 %, dress 25.0 %, "
    )
    assert "the other 2 together < 0.1 %. coat 100.0 %, dress < 0.1 %, " in update(0, 0.125)


def test_the_curves_of_the_mass_are_those_of_the_picture():
    figure, update = mass()
    upper, lower = figure.axes[2:]
    update(0, 1.0)
    xs = np.asarray(upper.lines[0].get_xdata())
    assert (xs[0], xs[-1]) == pytest.approx((1 / 8, 128))
    for T, row in ROWS.items():
        at = [float(np.interp(T, xs, np.asarray(curve.get_ydata()))) for curve in upper.lines[:3]]
        assert at == pytest.approx([row[0], row[1], row[2] + row[3]], abs=0.003)
        assert np.interp(T, xs, np.asarray(lower.lines[0].get_ydata())) == pytest.approx(bits(row), abs=0.01)
    update(1, 1.0)
    for curve, value in zip((*upper.lines[:3], lower.lines[0]), (1 / 4, 1 / 4, 1 / 2, 2), strict=True):
        np.testing.assert_allclose(curve.get_ydata(), value, rtol=1e-5)
    assert figure.axes[0].texts[0].get_text() == "label:\nshirt"
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), PIXELS[1])


# ---- the scale of the logits ----


@pytest.mark.parametrize(("factor", "T", "row"), [(1.0, 1.0, 1.0), (2.0, 4.0, 2.0), (4.0, 4.0, 1.0), (0.25, 0.5, 2.0)])
def test_only_T_over_scale_counts(factor, T, row):
    figure, update = scale()
    left, middle, right = figure.axes
    text = update(factor, T)
    centred = np.log([16, 4, 1, 1]) - np.log(64) / 4
    assert [bar.get_width() for bar in left.patches] == pytest.approx(factor * centred)
    assert [bar.get_width() for bar in middle.patches] == pytest.approx(ROWS[row])
    assert [number.get_text() for number in middle.texts] == [f" {100 * p:.1f} %" for p in ROWS[row]]
    same, point = right.lines[-2:]
    assert (list(point.get_xdata()), list(point.get_ydata())) == ([factor], [T])
    assert np.asarray(same.get_ydata()) / np.asarray(same.get_xdata()) == pytest.approx([T / factor] * 2)
    assert text.startswith(f"scale {factor:g}, T = {T:g}: T / scale = {T / factor:g}; {bits(ROWS[row]):.2f} bits; coat ")
    assert f"dress {100 * ROWS[row][1]:.1f} %" in text
    # Every position of the sliders is within the map, with room for the point.
    assert right.get_xlim()[0] < 1 / 4 < 4 < right.get_xlim()[1]
    assert right.get_ylim()[0] < 1 / 4 < 32 < right.get_ylim()[1]


# ---- what a student learns ----

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


def learned():
    mixture, asked = Mixture([[-1.0, 0.0], [1.0, 0.0]], torch.eye(2).expand(2, 2, 2)), []

    def learn(T, units):
        asked.append((T, units))
        return Stub(T)

    figure, update = temperature.learned_live(mixture, mixture.sample(20), learn, {3: Stub(1e9), 32: Stub(4.0)}, HELD_OUT)
    return figure, update, asked


def test_what_was_learned_is_compared_with_the_truth():
    figure, update, asked = learned()
    _, middle, right = figure.axes
    small, large, ring = right.lines[-3:]
    baseline = right.lines[0]

    text = update(2.0, 3)
    assert divergence(2.0) == pytest.approx(0.04434, abs=1e-5)
    assert text == "T = 2, 3 units a layer: KL(truth‖student) = 0.044 bits; trained on labels 0.189 bits"  # 1 - H(1/4)
    assert middle.texts[0].get_text() == "trained at T = 2: KL 0.044 bits"
    assert (list(small.get_xdata()), list(small.get_ydata())) == ([2.0], [pytest.approx(divergence(2.0))])
    assert len(large.get_xdata()) == 0
    assert list(ring.get_xdata()) + list(ring.get_ydata()) == [2.0, pytest.approx(divergence(2.0))]
    assert list(baseline.get_ydata()) == pytest.approx([0.188722] * 2, abs=1e-5)
    assert right.texts[0].get_text() == "trained on labels: 0.19"

    update(0.5, 3)
    text = update(4.0, 32)
    assert text.startswith("T = 4, 32 units a layer: KL(truth‖student) = 0.103 bits; trained on labels 0.103 bits")
    assert list(small.get_xdata()) == [0.5, 2.0]
    assert list(small.get_ydata()) == pytest.approx([divergence(0.5), divergence(2.0)], abs=1e-6)
    assert (list(large.get_xdata()), list(large.get_ydata())) == ([4.0], [pytest.approx(divergence(4.0), abs=1e-6)])
    assert right.texts[0].get_text() == "trained on labels: 0.10"

    update(2.0, 3)  # known already
    assert asked == [(2.0, 3), (0.5, 3), (4.0, 32)]
    assert list(ring.get_xdata()) == [2.0]


def test_the_maps_show_the_classes_blended_by_their_probabilities():
    figure, update, _ = learned()
    truth, student = (axes.images[0] for axes in figure.axes[:2])
    colours = [np.array(matplotlib.colors.to_rgb(colour)) for colour in temperature.CLASS_COLOURS]
    for T in (1.0, 2.0, 0.5):
        update(T, 3)
        for image, divisor in ((truth, 1), (student, T)):
            low, high = image.get_extent()[:2]
            for column, x in ((0, low), (-1, high)):
                p = 1 / (1 + math.exp(-2 * x / divisor))
                expected = 0.2 + 0.8 * ((1 - p) * colours[0] + p * colours[1])
                np.testing.assert_allclose(image.get_array()[0, column], expected, atol=1e-5)


def test_a_blend_of_one_class_is_its_colour():
    for k, colour in enumerate(temperature.CLASS_COLOURS):
        p = torch.nn.functional.one_hot(torch.tensor(k), 4)
        np.testing.assert_allclose(temperature.blend(p), 0.2 + 0.8 * np.array(matplotlib.colors.to_rgb(colour)), atol=1e-6)


@pytest.mark.parametrize("kind", ["protan", "deutan", "tritan"])
def test_classes_that_touch_can_be_told_apart_by_colour_blind_readers_and_by_marker(kind):
    seen = [colour_blind(matplotlib.colors.to_rgb(colour), kind) for colour in temperature.CLASS_COLOURS]
    for one, other in itertools.combinations(range(4), 2):
        if {one, other} != {0, 3}:  # which lie at opposite ends
            assert np.linalg.norm(seen[one] - seen[other]) > 0.3
    assert len(set(temperature.CLASS_MARKERS)) == 4


# ---- moved, not drawn anew ----


def figures():
    figure, update = mass()
    states = [{"picture": 0, "T": 1.0}, {"picture": 1, "T": 1.0}, {"picture": 0, "T": 0.125}, {"picture": 0, "T": 128.0}]
    yield figure, update, states, lambda picture, T: {"picture": widgets.IntSlider(picture, 0, 1), "T": doubling(T)}
    figure, update = scale()
    states = [{"scale": 1.0, "T": 1.0}, {"scale": 4.0, "T": 0.25}, {"scale": 0.25, "T": 32.0}, {"scale": 2.0, "T": 1.0}]
    yield figure, update, states, lambda scale, T: {"scale": doubling(scale, -2, 2), "T": doubling(T, -2, 5)}
    figure, update, _ = learned()
    states = [{"T": 2.0, "units": 3}, {"T": 0.125, "units": 3}, {"T": 16.0, "units": 32}, {"T": 2.0, "units": 3}]
    yield figure, update, states, lambda T, units: {"T": doubling(T), "units": widgets.Dropdown(options=[3, 32], value=units)}


@pytest.mark.parametrize(("figure", "update", "states", "controls"), list(figures()), ids=["mass", "scale", "learned"])
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(figure, update, states, controls):
    assert_frames_are_new_drawings(figure, update, states, controls)


# ---- the sweep ----


def test_the_sweep_says_its_means_and_intervals():
    results = {"width 1": {1: [1.0, 2, 3], 8: [-1.0, -1, -1]}, "width 8": {1: [0.0, 0, 0], 8: [0.5, 1, 1.5]}}
    picture = temperature.sweep(results, "points")
    assert picture.text == (
        "points, mean and 95 % interval of 3 runs. width 1: T = 1 2.00 ± 2.48, T = 8 -1.00 ± 0.00; "
        "width 8: T = 1 0.00 ± 0.00, T = 8 1.00 ± 1.24"
    )
    assert str(mean_interval([0.5, 1, 1.5])) == "1.00 ± 1.24"
    assert picture.width <= 900


def test_the_sweep_on_a_logarithmic_axis_has_three_digits_and_bears_intervals_below_0():
    text = temperature.sweep({"3 units": {0.25: [0.1, 0.2, 0.9], 1: [0.01, 0.011, 0.012]}}, "KL", log=True).text
    assert text == "KL, mean and 95 % interval of 3 runs. 3 units: T = 0.25 0.400 ± 1.083, T = 1 0.011 ± 0.002"


@pytest.mark.parametrize(
    ("lowest", "highest", "labels"),
    [
        (1 / 8, 128, ["1/8", "1/2", "2", "8", "32", "128"]),
        (1, 8, ["1", "2", "4", "8"]),
        (1 / 4, 4, ["1/4", "1/2", "1", "2", "4"]),
    ],
)
def test_temperatures_are_marked_by_powers_of_two(lowest, highest, labels):
    axes = matplotlib.figure.Figure().subplots()
    temperature.log2_axis(axes.xaxis, lowest, highest)
    axes.set_xlim(lowest, highest)
    assert [axes.xaxis.get_major_formatter()(tick, 0) for tick in axes.get_xticks()] == labels
