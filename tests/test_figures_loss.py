"""What notebook 04 draws: the artists and the words show what the formulas give, worked out here by hand or by torch."""

import math

import ipywidgets as widgets
import numpy as np
import pytest
import torch

from course_lib.figures import loss
from course_lib.figures.parts import find
from course_lib.humps import fit_one_hump, fit_width, mean_and_deviation, two_humps
from course_lib.live import LiveFigure
from course_lib.metrics import mean_interval

V, Z = [3.0, 1.0, 0.0], [1.0, 1.0, 0.0]
BY_HAND = {1: (0.379738, 0.463214), 2: (0.122183, 0.122697), 4: (0.030694, 0.029884), 20: (0.001143, 0.001132)}
ERRORS = {
    "usual": {"float16": {1: 1e-3, 100: math.nan}, "float32": {1: 1e-7, 100: math.inf}},
    "ours": {"float16": {1: 2e-4, 100: 2e-4}, "float32": {1: 0.0, 100: 1e-7}},
}
ALPHAS, RUNS = (0, 0.5, 1), {"clean": [[70, 72], [80, 80], [79, 81]], "wrong": [[50, 54], [60, 61], [70, 70]]}


def live_directions():
    figure, update = loss.live_directions(V, Z)
    slider = widgets.FloatLogSlider(value=1, min=0, max=1.3)
    return LiveFigure(figure, update, T=slider), [{"T": 2.0}, {"T": 8.0}, {"T": 1.0}]


def live_humps():
    figure, update = loss.live_humps()
    live = LiveFigure(figure, update, distance=(0, 40), divergence=list(loss.NAMES), age=(0, 100))
    return live, [{"distance": 0}, {"distance": 40, "divergence": "reverse", "age": 30}, {"distance": 24, "divergence": "jsd"}]


STATIC = {
    "plot_losses": lambda: loss.plot_losses({"A": [3.0, 1.0], "B": [-1.0, -2.5]}),
    "plot_accuracy_by_alpha": lambda: loss.plot_accuracy_by_alpha(ALPHAS, RUNS),
    "plot_rounding": lambda: loss.plot_rounding(ERRORS),
}
LIVE = {"live_directions": live_directions, "live_humps": live_humps}


def softmax(logits, T):
    weights = [math.exp(logit / T) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def kl(p, q):
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def by_formula(T):
    """T² times forward and reverse, and by how many percent the second is larger."""
    p, q = softmax(V, T), softmax(Z, T)
    forward, reverse = T * T * kl(p, q), T * T * kl(q, p)
    return forward, reverse, 100 * (reverse / forward - 1)


# ---- two directions ----


@pytest.mark.parametrize("T", BY_HAND)
def test_the_numbers_of_the_two_directions(T):
    v, z = (torch.tensor(logits, dtype=torch.float64) for logits in (V, Z))
    now = loss.directions(v, z, T)
    assert now == pytest.approx(by_formula(T))
    assert (now.forward / T**2, now.reverse / T**2) == pytest.approx(BY_HAND[T], abs=6e-7)


@pytest.mark.parametrize("T", BY_HAND)
def test_the_two_directions_at_T(T):
    figure, update = loss.live_directions(V, Z)
    update(T=7.0)
    text = update(T=T)
    assert [bar.get_height() for bar in find(figure, "teacher p")] == pytest.approx(softmax(V, T))
    assert [bar.get_height() for bar in find(figure, "student q")] == pytest.approx(softmax(Z, T))
    forward, reverse, difference = by_formula(T)
    for name, value in (("forward now", forward), ("reverse now", reverse), ("difference now", difference)):
        assert find(figure, name).get_xydata()[0] == pytest.approx([T, value])
    for panel in ("upper", "lower"):
        assert list(find(figure, f"T in the {panel} panel").get_xdata()) == [T, T]
    shown = f"{difference:.1f} %".replace("-", "−")
    assert find(figure, "reading").get_text() == shown
    assert text == f"T = {T}. T² KL(p‖q) = {forward:.4f}, T² KL(q‖p) = {reverse:.4f}; reverse against forward: {shown}"


def test_the_curves_of_the_two_directions_are_those_of_every_T():
    figure, update = loss.live_directions(V, Z)
    update(T=loss.HIGHEST)
    curves = [find(figure, name) for name in ("T² KL(p‖q)", "T² KL(q‖p)", "differences")]
    temperatures = curves[0].get_xdata()
    assert (temperatures[0], temperatures[-1]) == pytest.approx((loss.LOWEST, loss.HIGHEST))
    for curve, expected in zip(curves, zip(*map(by_formula, temperatures), strict=True), strict=True):
        assert curve.get_xdata() == pytest.approx(temperatures)
        assert curve.get_ydata() == pytest.approx(list(expected))
    low, high = curves[2].axes.get_ylim()
    assert low < min(curves[2].get_ydata()) < max(curves[2].get_ydata()) < high

    whole = [curve.get_xydata() for curve in curves]
    update(T=2.0)
    for curve, before, value in zip(curves, whole, by_formula(2.0), strict=True):
        passed = curve.get_xydata()
        np.testing.assert_array_equal(passed[:-1], before[before[:, 0] < 2])
        assert passed[-1] == pytest.approx([2, value])


# ---- one hump for two ----


@pytest.mark.parametrize("divergence", list(loss.NAMES))
@pytest.mark.parametrize(("distance", "age"), [(0, 50), (12, 47), (30, 35), (40, 99)])
def test_the_numbers_of_the_humps(distance, divergence, age):
    now, p = loss.humps(distance, divergence, age), two_humps(distance)
    best, here = fit_one_hump(p, divergence), fit_width(p, divergence, age)
    np.testing.assert_array_equal(now.p, p)
    np.testing.assert_array_equal(now.best.q, best.q)
    np.testing.assert_array_equal(now.here.q, here.q)
    assert (now.best_age, now.here.divergence) == (mean_and_deviation(best.q)[0], here.divergence)


@pytest.mark.parametrize("divergence", list(loss.NAMES))
@pytest.mark.parametrize(("distance", "age"), [(0, 50), (12, 47), (30, 35), (40, 99)])
def test_the_humps_are_shown(distance, divergence, age):
    figure, update = loss.live_humps()
    update(distance=21, divergence="forward", age=3)
    text = update(distance=distance, divergence=divergence, age=age)
    now, name = loss.humps(distance, divergence, age), loss.NAMES[divergence]
    np.testing.assert_allclose(find(figure, "teacher p").get_ydata(), now.p)
    np.testing.assert_allclose(find(figure, "student q").get_ydata(), now.here.q)
    np.testing.assert_allclose(find(figure, "area under p").get_xy()[:101], np.column_stack([np.arange(101), now.p]))
    np.testing.assert_allclose(find(figure, "profile").get_ydata(), now.best.profile)
    assert find(figure, "best age").get_xydata()[0] == pytest.approx([now.best_age, now.best.divergence])
    assert find(figure, "this student").get_xydata()[0] == pytest.approx([age, now.here.divergence])
    assert find(figure, "divergence").get_text() == f"{name}, {distance} years apart"
    assert find(figure, "now in words").get_text() == f"{now.here.divergence:.3f} at {age}"
    assert max(now.p.max(), now.best.q.max()) < find(figure, "teacher p").axes.get_ylim()[1]
    for label in ("teacher p", "profile"):  # every age is seen
        assert find(figure, label).axes.get_xlim() == (0, 100)
    assert text == (
        f"Humps {distance} years apart, {name}: with the student's hump at {age} years it is {now.here.divergence:.3f} "
        f"nats; the best age is {now.best_age:.0f}, with {now.best.divergence:.3f}"
    )


# ---- runs ----


def test_losses_say_where_they_begin_and_end_and_0_is_seen_where_they_are_below_it():
    picture = loss.plot_losses({"A": [3.0, 1.0], "B": [-1.0, -2.5]})
    assert picture.width <= 900
    assert picture.text == "Loss in the first and the last epoch. A: from 3.00 to 1.00; B: from −1.00 to −2.50"


def test_accuracy_by_alpha_says_its_intervals():
    picture = loss.plot_accuracy_by_alpha(ALPHAS, RUNS)
    shown = {
        name: ", ".join(f"{mean_interval(runs)} at {alpha:g}" for alpha, runs in zip(ALPHAS, rows, strict=True))
        for name, rows in RUNS.items()
    }
    assert picture.text == (
        f"Test accuracy in % by α, mean and 95 % interval of 2 runs. clean: {shown['clean']}; wrong: {shown['wrong']}"
    )


# ---- rounding ----


def test_rounding_says_its_numbers_and_bears_NaN():
    picture = loss.plot_rounding(ERRORS)
    assert picture.width <= 900
    assert picture.text == (
        "Relative errors of the gradient at T = 1, 100. usual, float16: 1.0e-03, nan. usual, float32: 1.0e-07, inf. "
        "ours, float16: 2.0e-04, 2.0e-04. ours, float32: 0.0e+00, 1.0e-07"
    )
