"""What notebook 02 draws: at every state of every control, the artists and the words show the numbers worked out by hand."""

import math

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from live_frames import as_live_figures, assert_frames_are_new_drawings
from matplotlib.figure import Figure

from course_lib.figures import temperature
from course_lib.figures.parts import find, temperature_axis

CLASSES = ("bag", "coat", "dress", "shirt")
PIXELS = torch.rand(2, 28, 28, generator=torch.Generator().manual_seed(0))
# e^v is 1, 16, 4, 1 in the first row, so p, ranked, is (16, 4, 1, 1) / 22 at T = 1 and (4, 2, 1, 1) / 8 at T = 2.
LOGITS = torch.tensor([[1.0, 16, 4, 1], [5, 5, 5, 5]]).log()
ROWS = {0.5: [256 / 274, 16 / 274, 1 / 274, 1 / 274], 1.0: [16 / 22, 4 / 22, 1 / 22, 1 / 22], 2.0: [1 / 2, 1 / 4, 1 / 8, 1 / 8]}
RANKS = ("first", "second")


def doubling(value=1.0, lowest=-3, highest=7, **settings):
    return widgets.FloatLogSlider(value=value, base=2, min=lowest, max=highest, step=0.125, **settings)


def bits(row):
    return -sum(p * math.log2(p) for p in row)


def mass():
    return temperature.live_mass(PIXELS, LOGITS, CLASSES, torch.tensor([1, 3]), 1 / 8, 128)


def scale():
    return temperature.live_scale(LOGITS[0], CLASSES)


def widths(bars):
    return [bar.get_width() for bar in bars]


def numbers(figure, n):
    return [find(figure, f"probabilities {k}") for k in range(n)]


# ---- the mass ----


def test_a_number_stays_at_the_end_of_its_bar_however_slowly_that_moves():
    figure, update = mass()
    bars, words = find(figure, "probabilities"), numbers(figure, 3)
    for step in range(400):
        update(0, 2 ** (step / 100 - 1))
        for bar, number in zip(bars[:3], words, strict=True):
            assert number.get_position()[0] == pytest.approx(bar.get_width(), abs=0.002)


@pytest.mark.parametrize("T", ROWS)
def test_the_mass_at_T(T):
    figure, update = mass()
    text, row = update(0, T), ROWS[T]
    names = [find(figure, f"name {k}").get_text() for k in range(4)]
    assert widths(find(figure, "probabilities")) == pytest.approx(row)
    assert names[:2] == ["coat", "dress"]
    assert set(names[2:]) == {"bag", "shirt"}
    assert [number.get_text() for number in numbers(figure, 3)] == [f" {100 * p:.1f} % " for p in row[:3]]
    assert [number.get_position()[0] for number in numbers(figure, 3)] == pytest.approx(row[:3])
    for rank, p in zip(RANKS, row[:2], strict=True):
        assert find(figure, f"{rank} at T").get_xydata()[0] == pytest.approx([T, p])
    assert [find(figure, f"{rank} in words").get_text() for rank in RANKS] == [" coat", " dress"]
    assert find(figure, "label").get_ydata()[0] == 0  # coat is the label, and ranked first
    assert find(figure, "entropy at T").get_xydata()[0] == pytest.approx([T, bits(row)])
    for panel in ("mass", "entropy"):
        assert list(find(figure, f"T in {panel}").get_xdata()) == [T, T]
    np.testing.assert_allclose(find(figure, "image").get_array(), PIXELS[0])
    assert find(figure, "caption").get_text() == "label:\ncoat"
    assert f"T = {T:.3g}: {bits(row):.2f} bits of 2.00; first {100 * row[0]:.1f} %, second {100 * row[1]:.1f} %" in text


def test_the_mass_in_words():
    _, update = mass()
    assert update(0, 2.0).startswith(
        "T = 2: 1.75 bits of 2.00; first 50.0 %, second 25.0 %, the other 2 together 25.0 %. coat 50.0 %, dress 25.0 %, "
    )
    assert "the other 2 together < 0.1 %. coat 100.0 %, dress < 0.1 %, " in update(0, 0.125)


def test_the_curves_of_the_mass_are_those_of_the_picture():
    figure, update = mass()
    update(0, 1.0)
    curves, entropy = [find(figure, f"curve {k}") for k in range(4)], find(figure, "entropy")
    xs = np.asarray(entropy.get_xdata())
    assert (xs[0], xs[-1]) == pytest.approx((1 / 8, 128))
    for T, row in ROWS.items():
        at = [float(np.interp(T, np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata()))) for curve in curves]
        assert at == pytest.approx(row, abs=0.003)
        assert np.interp(T, xs, np.asarray(entropy.get_ydata())) == pytest.approx(bits(row), abs=0.01)
    update(1, 1.0)
    for curve, value in zip((*curves, entropy), (*[1 / 4] * 4, 2), strict=True):
        np.testing.assert_allclose(curve.get_ydata(), value, rtol=1e-5)
    assert find(figure, "caption").get_text() == "label:\nshirt"
    np.testing.assert_allclose(find(figure, "image").get_array(), PIXELS[1])


def test_the_axes_of_the_mass_end_where_a_probability_does_and_mark_every_temperature_that_the_course_uses():
    axes = find(mass()[0], "curve 0").axes
    assert axes.get_ylim() == (0, 1)
    assert {1, 2, 4} <= set(axes.get_xticks())


def test_a_long_bar_holds_its_number():
    figure, update = mass()
    update(0, 0.125)
    assert [number.get_ha() for number in numbers(figure, 2)] == ["right", "left"]
    assert find(figure, "probabilities")[0].axes.get_xlim() == (0, 1)


# ---- the scale of the logits ----


@pytest.mark.parametrize(("factor", "T", "row"), [(1.0, 1.0, 1.0), (2.0, 4.0, 2.0), (4.0, 4.0, 1.0), (0.25, 0.5, 2.0)])
def test_only_T_over_scale_counts(factor, T, row):
    figure, update = scale()
    text = update(factor, T)
    centred = np.log([16, 4, 1, 1]) - np.log(64) / 4
    assert widths(find(figure, "logits")) == pytest.approx(factor * centred)
    assert widths(find(figure, "probabilities")) == pytest.approx(ROWS[row])
    assert [number.get_text() for number in numbers(figure, 4)] == [f" {100 * p:.1f} % " for p in ROWS[row]]
    assert find(figure, "now").get_xydata().tolist() == [[factor, T]]
    same = find(figure, "same T / scale")
    assert np.asarray(same.get_ydata()) / np.asarray(same.get_xdata()) == pytest.approx([T / factor] * 2)
    assert text.startswith(f"scale {factor:g}, T = {T:g}: T / scale = {T / factor:g}; {bits(ROWS[row]):.2f} bits; coat ")
    assert f"dress {100 * ROWS[row][1]:.1f} %" in text


def test_every_position_of_the_sliders_is_within_the_map_with_room_for_the_point():
    axes = find(scale()[0], "entropy map")
    assert axes.get_xlim()[0] < 1 / 4 < 4 < axes.get_xlim()[1]
    assert axes.get_ylim()[0] < 1 / 4 < 32 < axes.get_ylim()[1]


# ---- the axis ----


@pytest.mark.parametrize(
    ("lowest", "highest", "labels"),
    [
        (1 / 8, 128, ["1/8", "1/2", "2", "8", "32", "128"]),
        (1, 8, ["1", "2", "4", "8"]),
        (1 / 4, 4, ["1/4", "1/2", "1", "2", "4"]),
    ],
)
def test_temperatures_are_marked_by_powers_of_two(lowest, highest, labels):
    axes = Figure().subplots()
    temperature_axis(axes.xaxis, lowest, highest)
    assert [axes.xaxis.get_major_formatter()(tick, 0) for tick in axes.get_xticks()] == labels


# ---- moved, not drawn anew ----

MOVES = {
    "live_mass": (
        mass,
        [{"picture": 0, "T": 1.0}, {"picture": 1, "T": 1.0}, {"picture": 0, "T": 0.125}, {"picture": 0, "T": 128.0}],
        lambda picture, T: {"picture": widgets.IntSlider(picture, 0, 1), "T": doubling(T)},
    ),
    "live_scale": (
        scale,
        [{"scale": 1.0, "T": 1.0}, {"scale": 4.0, "T": 0.25}, {"scale": 0.25, "T": 32.0}, {"scale": 2.0, "T": 1.0}],
        lambda scale, T: {"scale": doubling(scale, -2, 2), "T": doubling(T, -2, 5)},
    ),
}
LIVE = as_live_figures(MOVES)


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
