"""`log_slider`, made from values, has the positions of one made from exponents, and exactly the ends that it was given."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets import FloatLogSlider
from matplotlib.figure import Figure

from course_lib.live import LiveFigure, log_slider

# The sliders of the notebooks, as they are made from exponents, and from values.
BY_EXPONENTS_AND_VALUES = [
    ({"base": 2, "min": -3, "max": 7, "step": 0.125, "value": 1}, (1 / 8, 128), {"base": 2, "steps": 8}),
    ({"base": 2, "min": -2, "max": 5, "step": 0.125, "value": 1}, (1 / 4, 32), {"base": 2, "steps": 8}),
    ({"base": 2, "min": -3, "max": 4, "step": 0.5, "value": 1}, (1 / 8, 16), {"base": 2, "steps": 2}),
    ({"base": 10, "min": 0, "max": 2, "step": 0.02, "value": 1}, (1, 100), {}),
    ({"base": 10, "min": -0.3, "max": 1, "step": 0.05, "value": 3}, (10**-0.3, 10, 3), {"steps": 20}),
    ({"base": 10, "min": 0, "max": 1.3, "step": 0.01, "value": 1}, (1, 10**1.3), {"steps": 100}),
    ({"base": 10, "min": 0.5, "max": 3.25, "step": 0.05, "value": 42}, (10**0.5, 10**3.25, 42), {"steps": 20}),
]


@pytest.mark.parametrize(("exponents", "ends", "settings"), BY_EXPONENTS_AND_VALUES)
def test_it_stands_where_a_slider_made_from_exponents_does(exponents, ends, settings):
    ours, theirs = log_slider(*ends, **settings), FloatLogSlider(**exponents)
    assert (ours.base, ours.value, ours.readout_format) == (theirs.base, theirs.value, ".3g")
    for name in ("min", "max", "step"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-14)


def test_all_steps_are_equal_ratios_also_where_the_range_is_no_power_of_the_base():
    slider = log_slider(0.3, 20, steps=20)
    count = (slider.max - slider.min) / slider.step
    assert count == pytest.approx(round(count), abs=1e-9)
    positions = [slider.base ** (slider.min + k * slider.step) for k in range(round(count) + 1)]
    np.testing.assert_allclose(np.diff(np.log(positions)), slider.step * math.log(10), rtol=1e-9)
    np.testing.assert_allclose([positions[0], positions[-1]], [0.3, 20], rtol=1e-14)
    assert slider.step == pytest.approx(1 / 20, rel=0.03)


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6), st.sampled_from([2, 10, math.e, 1.5]))
def test_the_ends_are_exact_also_where_their_powers_round(low, factor, base):
    high = low * factor
    slider = log_slider(low, high, base=base)
    for end in (high, low):
        slider.value = end
        assert slider.value == end
    for exponent, end in ((slider.max, high), (slider.min, low)):  # as a page computes it
        for sent in (slider.base**exponent, np.nextafter(end, 0), np.nextafter(end, np.inf)):
            slider.value = float(sent)
            assert slider.value == end
    slider.value = 2 * high
    assert slider.value == high


def test_it_starts_at_1_or_halfway_or_where_it_is_told():
    assert log_slider(0.1, 100).value == 1
    assert log_slider(1, 100).value == 1
    assert log_slider(2, 8).value == pytest.approx(4)
    assert log_slider(1e300, 1e308).value == pytest.approx(1e304)
    assert log_slider(2, 8, 8).value == 8
    assert log_slider(np.float32(2), np.int64(8), np.int64(3)).value == 3


def test_other_settings_go_to_the_widget():
    slider = log_slider(1, 20, description="Temperature", continuous_update=False, readout_format=".2f")
    assert (slider.description, slider.continuous_update, slider.readout_format) == ("Temperature", False, ".2f")


def test_as_a_control_it_takes_its_ends_and_names_its_range():
    live = LiveFigure(Figure(), lambda T: None, T=log_slider(0.3, 20))
    for T in (20, 0.3):
        live.set(T=T)
        assert live.values == {"T": T}
    with pytest.raises(ValueError, match=r"T must be a number from 0.3 to 20; got 21"):
        live.set(T=21)


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        ((0, 10), {}, ValueError, "low must be a finite number above 0, got 0"),
        ((1, math.inf), {}, ValueError, "high must be a finite number above 0, got inf"),
        ((1, math.nan), {}, ValueError, "high must be a finite number above 0, got nan"),
        ((1, 10**400), {}, ValueError, "high must be a number that fits into a float, got one that is larger"),
        (("1", 10), {}, TypeError, "low must be a real number, got str"),
        ((True, 10), {}, TypeError, "low must be a real number, got bool"),
        ((10, 10), {}, ValueError, "high must be above low, got low 10 and high 10"),
        ((1, 10, 11), {}, ValueError, "value must be a number from 1 to 10, got 11"),
        ((1, 10, 0), {}, ValueError, "value must be a finite number above 0, got 0"),
        ((1, 10, "2"), {}, TypeError, "value must be a real number, got str"),
        ((1, 10), {"base": 1}, ValueError, "base must be above 1, got 1"),
        ((1, 10), {"base": 0}, ValueError, "base must be a finite number above 0, got 0"),
        ((1, 10), {"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ((1, 10), {"steps": 2.5}, TypeError, "steps must be an int, got float"),
    ],
)
def test_a_bad_argument_is_named(arguments, settings, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        log_slider(*arguments, **settings)
