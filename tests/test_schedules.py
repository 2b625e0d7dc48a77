"""The schedules against the values of the design, and the laws that each must obey to the last bit."""

import math
import pickle
import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.losses import soft_targets
from course_lib.schedules import check_not_negative, constant, cosine, exponential, linear

DECAYS = [linear, cosine, exponential]
positive = st.floats(1e-3, 1e6)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (linear, (5, 4, 3, 2, 1)),
        (cosine, (5, 4.414214, 3, 1.585786, 1)),
        (exponential, (5, 3.343702, 2.236068, 1.495349, 1)),
    ],
)
def test_from_5_to_1(schedule, values):
    found = [schedule(5, 1)(progress) for progress in (0, 0.25, 0.5, 0.75, 1)]
    assert found == pytest.approx(values, abs=5e-7)


def test_constant():
    assert {constant(4)(progress) for progress in (0, 0.3, 1)} == {4.0}


@given(positive, positive, st.sampled_from(DECAYS))
def test_law_the_ends_are_exact(start, end, schedule):
    assert schedule(start, end)(0) == start
    assert schedule(start, end)(1) == end


@given(positive, positive, st.floats(0, 1), st.floats(0, 1), st.sampled_from(DECAYS))
def test_law_monotone_and_between_the_ends(start, end, one, other, schedule):
    early, late = (schedule(start, end)(progress) for progress in sorted((one, other)))
    assert min(start, end) <= early <= max(start, end)
    tolerance = 1e-12 * max(start, end)
    assert early >= late - tolerance if start >= end else early <= late + tolerance


@given(positive, positive, st.floats(0, 1), st.sampled_from([linear, cosine]))
def test_law_backwards_is_the_mirror_image(start, end, progress, schedule):
    assert schedule(start, end)(progress) == pytest.approx(schedule(end, start)(1 - progress), rel=1e-6)


@given(positive, positive, st.floats(0, 1))
def test_law_exponential_is_linear_in_the_logarithm(start, end, progress):
    expected = math.log(start) * (1 - progress) + math.log(end) * progress
    assert math.log(exponential(start, end)(progress)) == pytest.approx(expected, abs=1e-9)


@given(positive, st.floats(0, 1), st.sampled_from(DECAYS))
def test_law_equal_ends_are_constant(T, progress, schedule):
    assert schedule(T, T)(progress) == pytest.approx(T, rel=1e-12)


@pytest.mark.parametrize("schedule", [constant(4), linear(5, 1), cosine(5.5, 1), exponential(5, 1)])
def test_a_schedule_pickles_compares_and_prints_as_the_call_that_makes_it(schedule):
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule)) == schedule
    assert hash(eval(repr(schedule))) == hash(schedule)


def test_repr():
    assert repr(linear(5, 1)) == "linear(start=5, end=1)"
    assert repr(constant(4.0)) == "constant(T=4.0)"


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("schedule", DECAYS)
def test_a_value_below_zero_or_not_finite(schedule, bad):
    with pytest.raises(ValueError, match=f"start must be a finite number, 0 or above; got {bad}"):
        schedule(bad, 1)
    with pytest.raises(ValueError, match=f"end must be a finite number, 0 or above; got {bad}"):
        schedule(5, bad)
    with pytest.raises(ValueError, match=f"T must be a finite number, 0 or above; got {bad}"):
        constant(bad)


def test_an_end_of_zero_is_right_for_alpha_and_lr_but_not_for_a_factor():
    for schedule in (linear, cosine):
        assert (schedule(1, 0)(0), schedule(1, 0)(0.5), schedule(1, 0)(1)) == (1, 0.5, 0)
    assert constant(0)(0.3) == 0
    with pytest.raises(ValueError, match="end must be above 0 for exponential, which multiplies; got 0"):
        exponential(1, 0)
    with pytest.raises(ValueError, match="start must be above 0 for exponential, which multiplies; got 0"):
        exponential(0, 1)


@pytest.mark.parametrize("bad", ["5", None, True])
def test_a_temperature_of_a_wrong_type(bad):
    with pytest.raises(TypeError, match=f"end must be a real number, got {type(bad).__name__}"):
        linear(5, bad)
    with pytest.raises(TypeError, match="T must be a real number"):
        constant(bad)


TOO_LARGE = [10**400, -(10**400), Fraction(10**400)]


def too_large(name):
    return pytest.raises(ValueError, match=f"^{name} must be a number that fits into a float, got one that is larger$")


@pytest.mark.parametrize("bad", TOO_LARGE, ids=["int", "negative", "fraction"])
def test_a_number_too_large_for_a_float_is_the_error_that_it_is_in_the_losses(bad):
    with too_large("T"):
        soft_targets(torch.zeros(2), bad)
    with too_large("T"):
        constant(bad)
    for schedule in DECAYS:
        with too_large("start"):
            schedule(bad, 1)
        with too_large("end"):
            schedule(1, bad)
    with too_large("lr"):
        check_not_negative("lr", bad)
    with too_large("progress"):
        linear(5, 1)(bad)


@pytest.mark.parametrize("schedule", [constant(4), linear(5, 1), cosine(5, 1), exponential(5, 1)])
def test_progress_outside_of_0_and_1(schedule):
    for bad in (-0.001, 1.001, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"progress must lie in \[0, 1\], got {bad}"):
            schedule(bad)
    with pytest.raises(TypeError, match="progress must be a real number, got str"):
        schedule("0")


def test_importing_the_schedules_loads_the_standard_library_only():
    code = "import sys; import course_lib.schedules; print({'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == "set()"
