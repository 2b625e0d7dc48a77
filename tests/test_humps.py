"""Two humps and the best student with one, against the loss of the course and what is known of the divergences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib import humps
from course_lib.losses import soft_target_loss


def test_the_teacher_has_two_humps():
    p = humps.two_humps(30)
    assert p.shape == (101,)
    assert p.sum() == pytest.approx(1)
    peaks = [age for age in range(1, 100) if p[age - 1] < p[age] > p[age + 1]]
    assert peaks == [35, 65]
    assert p[35] / p[65] == pytest.approx(1.5)
    assert humps.mean_and_deviation(p) == pytest.approx((0.6 * 35 + 0.4 * 65, math.sqrt(4**2 + 0.6 * 0.4 * 30**2)), rel=1e-6)
    assert humps.mean_and_deviation(humps.two_humps(0)) == pytest.approx((50, 4), rel=1e-6)


def test_mean_and_deviation_of_two_points():
    q = np.zeros(101)
    q[[20, 40]] = 0.5
    assert humps.mean_and_deviation(q) == pytest.approx((30, 10))


@given(st.integers(0, 40), st.sampled_from(["forward", "reverse", "jsd"]))
def test_the_fit_has_the_loss_of_the_course_and_no_other_hump_a_smaller_one(distance, divergence):
    p = humps.two_humps(distance)
    fit = humps.fit_one_hump(p, divergence)

    def by_the_course(logits):
        return soft_target_loss(logits, torch.tensor(p).log(), T=1, divergence=divergence).item()

    assert fit.q.sum() == pytest.approx(1)
    assert by_the_course(torch.tensor(fit.q).log()) == pytest.approx(fit.divergence, abs=1e-10)
    ages = torch.arange(101.0, dtype=torch.float64)
    others = [
        by_the_course(-(((ages - center) / width) ** 2) / 2) for center in range(20, 81, 3) for width in (3, 4, 6, 10, 20)
    ]
    assert fit.divergence <= min(others) + 1e-4
    assert fit.divergence <= fit.profile.min() + 1e-12
    # A parabola: its second differences are all the same.
    inside = np.log(fit.q[20:81])
    assert np.diff(inside, 2) == pytest.approx(np.diff(inside, 2).mean(), abs=1e-9)


@given(st.integers(0, 40), st.sampled_from(["forward", "reverse", "jsd"]), st.integers(0, 100))
def test_the_best_width_at_an_age_has_the_loss_of_the_course_and_no_other_width_a_smaller_one(distance, divergence, age):
    p = humps.two_humps(distance)
    fit = humps.fit_width(p, divergence, age)

    def by_the_course(logits):
        return soft_target_loss(logits, torch.tensor(p).log(), T=1, divergence=divergence).item()

    assert by_the_course(torch.tensor(fit.q).log()) == pytest.approx(fit.divergence, rel=1e-6, abs=1e-10)
    ages = torch.arange(101.0, dtype=torch.float64)
    others = [by_the_course(-(((ages - age) / width) ** 2) / 2) for width in np.geomspace(2, 40, 60)]
    assert fit.divergence <= min(others) + 1e-4
    assert humps.fit_one_hump(p, divergence).divergence <= fit.divergence + 1e-4
    assert fit.q.argmax() == age


@pytest.mark.parametrize("distance", [0, 7, 20, 40])
def test_forward_takes_over_mean_and_spread(distance):
    """As maximum likelihood does in an exponential family."""
    p = humps.two_humps(distance)
    assert humps.mean_and_deviation(humps.fit_one_hump(p, "forward").q) == pytest.approx(humps.mean_and_deviation(p), abs=0.05)


def test_reverse_takes_the_larger_hump_and_jsd_follows_later():
    for distance, reverse, jsd in ((10, "between", "between"), (24, "left", "between"), (36, "left", "left")):
        for divergence, where in (("reverse", reverse), ("jsd", jsd)):
            mean, deviation = humps.mean_and_deviation(humps.fit_one_hump(humps.two_humps(distance), divergence).q)
            if where == "left":
                assert (mean, deviation) == pytest.approx((50 - distance / 2, 4), abs=0.3)
            else:
                assert 47 < mean < 50
                assert deviation > 5


def test_far_apart_the_divergences_are_known():
    """With one hump of 60 % learned and the other forgotten, KL(q‖p) = log(1 / 0.6), and the JSD is that of the shares."""
    p, log = humps.two_humps(40), math.log
    assert humps.fit_one_hump(p, "reverse").divergence == pytest.approx(log(1 / 0.6), abs=1e-3)
    jsd = (0.6 * log(0.6 / 0.8) + 0.4 * log(2) + log(1 / 0.8)) / 2
    assert humps.fit_one_hump(p, "jsd").divergence == pytest.approx(jsd, abs=1e-3)


def test_the_profile_is_the_least_over_all_widths():
    p = humps.two_humps(30)
    profile = humps.fit_one_hump(p, "reverse").profile
    ages = torch.arange(101.0, dtype=torch.float64)
    for center in (20, 35, 50, 65):
        least = min(
            soft_target_loss(-(((ages - center) / width) ** 2) / 2, torch.tensor(p).log(), T=1, divergence="reverse").item()
            for width in np.geomspace(2, 40, 200)
        )
        assert profile[center] == pytest.approx(least, rel=0.01, abs=0.003)
