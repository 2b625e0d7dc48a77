"""What notebook 04 draws: the artists and the words show what the formulas give, worked out here by hand or by torch."""

import math

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from live_frames import assert_only_artists_move

from course_lib.figures import loss
from course_lib.live import LiveFigure
from course_lib.losses import soft_target_loss

V, Z = [3.0, 1.0, 0.0], [1.0, 1.0, 0.0]
BY_HAND = {1: (0.379738, 0.463214), 2: (0.122183, 0.122697), 4: (0.030694, 0.029884), 20: (0.001143, 0.001132)}


def softmax(logits, T):
    weights = [math.exp(logit / T) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def kl(p, q):
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


# ---- two directions ----


def directions(T):
    figure, update = loss.directions_live(V, Z)
    update(T=7.0)
    return figure, update(T=T)


@pytest.mark.parametrize("T", BY_HAND)
def test_the_two_directions_at_T(T):
    figure, text = directions(T)
    left, upper, lower = figure.axes
    p, q = softmax(V, T), softmax(Z, T)
    assert [bar.get_height() for bar in left.patches] == pytest.approx([*p, *q])
    forward, reverse = T * T * kl(p, q), T * T * kl(q, p)
    assert (kl(p, q), kl(q, p)) == pytest.approx(BY_HAND[T], abs=6e-7)
    dots = [line for line in upper.lines if line.get_marker() in ("^", "X")]
    assert [dot.get_xydata()[0].tolist() for dot in dots] == [pytest.approx([T, forward]), pytest.approx([T, reverse])]
    (dot,) = [line for line in lower.lines if line.get_marker() == "D"]
    assert dot.get_xydata()[0] == pytest.approx([T, 100 * (reverse / forward - 1)])
    for axes in (upper, lower):
        assert [T, T] in [list(line.get_xdata()) for line in axes.lines]
    shown = f"{100 * (reverse / forward - 1):.1f} %".replace("-", "−")
    assert lower.texts[0].get_text() == shown
    assert text == f"T = {T}. T² KL(p‖q) = {forward:.4f}, T² KL(q‖p) = {reverse:.4f}; reverse against forward: {shown}"


def test_the_curves_of_the_two_directions_are_those_of_every_T():
    figure, _ = directions(1.0)
    _, upper, lower = figure.axes
    forward, reverse, apart = upper.lines[0], upper.lines[1], lower.lines[0]
    temperatures = forward.get_xdata()
    assert (temperatures[0], temperatures[-1]) == pytest.approx((loss.LOWEST, loss.HIGHEST))
    for curve, first, second in ((forward, V, Z), (reverse, Z, V)):
        assert curve.get_ydata() == pytest.approx([T * T * kl(softmax(first, T), softmax(second, T)) for T in temperatures])
    assert apart.get_ydata() == pytest.approx(100 * (reverse.get_ydata() / forward.get_ydata() - 1))
    low, high = lower.get_ylim()
    assert low < min(apart.get_ydata()) < max(apart.get_ydata()) < high


# ---- one hump for two ----


def test_the_teacher_has_two_humps():
    p = loss.two_humps(30)
    assert p.shape == (101,)
    assert p.sum() == pytest.approx(1)
    peaks = [age for age in range(1, 100) if p[age - 1] < p[age] > p[age + 1]]
    assert peaks == [35, 65]
    assert p[35] / p[65] == pytest.approx(1.5)
    assert loss.moments(p) == pytest.approx((0.6 * 35 + 0.4 * 65, math.sqrt(4**2 + 0.6 * 0.4 * 30**2)), rel=1e-6)
    assert loss.moments(loss.two_humps(0)) == pytest.approx((50, 4), rel=1e-6)


def test_moments_of_two_points():
    q = np.zeros(101)
    q[[20, 40]] = 0.5
    assert loss.moments(q) == pytest.approx((30, 10))


@given(st.integers(0, 40), st.sampled_from(list(loss.NAMES)))
def test_the_fit_has_the_loss_of_the_course_and_no_other_hump_a_smaller_one(apart, divergence):
    p = loss.two_humps(apart)
    fit = loss.fit_one_hump(p, divergence)

    def by_the_course(logits):
        return soft_target_loss(logits, torch.tensor(p).log(), T=1, divergence=divergence).item()

    assert fit.q.sum() == pytest.approx(1)
    assert by_the_course(torch.tensor(fit.q).log()) == pytest.approx(fit.divergence, abs=1e-10)
    ages = torch.arange(101.0, dtype=torch.float64)
    others = [by_the_course(-(((ages - place) / width) ** 2) / 2) for place in range(20, 81, 3) for width in (3, 4, 6, 10, 20)]
    assert fit.divergence <= min(others) + 1e-4
    assert fit.divergence <= fit.profile.min() + 1e-12
    # A parabola: its second differences are all the same.
    inside = np.log(fit.q[20:81])
    assert np.diff(inside, 2) == pytest.approx(np.diff(inside, 2).mean(), abs=1e-9)


@pytest.mark.parametrize("apart", [0, 7, 20, 40])
def test_forward_takes_over_mean_and_spread(apart):
    """What maximum likelihood does in an exponential family."""
    p = loss.two_humps(apart)
    assert loss.moments(loss.fit_one_hump(p, "forward").q) == pytest.approx(loss.moments(p), abs=0.05)


def test_reverse_takes_the_larger_hump_and_jsd_follows_later():
    for apart, reverse, jsd in ((10, "between", "between"), (24, "left", "between"), (36, "left", "left")):
        for divergence, where in (("reverse", reverse), ("jsd", jsd)):
            mean, spread = loss.moments(loss.fit_one_hump(loss.two_humps(apart), divergence).q)
            if where == "left":
                assert (mean, spread) == pytest.approx((50 - apart / 2, 4), abs=0.3)
            else:
                assert 47 < mean < 50
                assert spread > 5


def test_far_apart_the_divergences_are_known():
    """With one hump of 60 % learned and the other forgotten, KL(q‖p) = log(1 / 0.6), and the JSD is that of the shares."""
    p, log = loss.two_humps(40), math.log
    assert loss.fit_one_hump(p, "reverse").divergence == pytest.approx(log(1 / 0.6), abs=1e-3)
    jsd = (0.6 * log(0.6 / 0.8) + 0.4 * log(2) + log(1 / 0.8)) / 2
    assert loss.fit_one_hump(p, "jsd").divergence == pytest.approx(jsd, abs=1e-3)


def test_the_profile_is_the_least_over_all_widths():
    p = loss.two_humps(30)
    profile = loss.fit_one_hump(p, "reverse").profile
    ages = torch.arange(101.0, dtype=torch.float64)
    for place in (20, 35, 50, 65):
        least = min(
            soft_target_loss(-(((ages - place) / width) ** 2) / 2, torch.tensor(p).log(), T=1, divergence="reverse").item()
            for width in np.geomspace(2, 40, 200)
        )
        assert profile[place] == pytest.approx(least, rel=0.01, abs=0.003)


@pytest.mark.parametrize("divergence", list(loss.NAMES))
@pytest.mark.parametrize("apart", [0, 12, 30, 40])
def test_the_humps_are_shown(apart, divergence):
    figure, update = loss.humps_live()
    update(apart=21, divergence="forward")
    text = update(apart=apart, divergence=divergence)
    left, right = figure.axes
    p = loss.two_humps(apart)
    fit = loss.fit_one_hump(p, divergence)
    mean, spread = loss.moments(fit.q)
    teacher, student = left.lines
    np.testing.assert_allclose(teacher.get_ydata(), p)
    np.testing.assert_allclose(student.get_ydata(), fit.q)
    np.testing.assert_allclose(left.patches[0].get_xy()[:101], np.column_stack([np.arange(101), p]))
    valley, point = right.lines
    np.testing.assert_allclose(valley.get_ydata(), fit.profile)
    assert point.get_xydata()[0] == pytest.approx([mean, fit.divergence])
    words = {word.get_text() for word in left.texts}
    assert words == {loss.NAMES[divergence], f"student: {mean:.0f} ± {spread:.0f} years"}
    assert max(p.max(), fit.q.max()) < left.get_ylim()[1]
    assert text.startswith(
        f"Humps {apart} years apart, {loss.NAMES[divergence]}: the student says {mean:.1f} years, give or take {spread:.1f}; "
    )
    assert f" = {fit.divergence:.3f}. Midway the teacher has {100 * p[50] / p.max():.0f} % of its peak" in text


# ---- moved, not drawn anew ----


def live_figures():
    figure, update = loss.directions_live(V, Z)
    slider = widgets.FloatLogSlider(value=1, min=0, max=1.3)
    yield LiveFigure(figure, update, T=slider), [{"T": 2.0}, {"T": 8.0}, {"T": 1.0}]
    figure, update = loss.humps_live()
    live = LiveFigure(figure, update, apart=(0, 40), divergence=list(loss.NAMES))
    yield live, [{"apart": 0}, {"apart": 40, "divergence": "reverse"}, {"apart": 24, "divergence": "jsd"}]


@pytest.mark.parametrize("number", range(2))
def test_no_frame_of_a_live_figure_redraws_it_in_full(number):
    assert_only_artists_move(*list(live_figures())[number])


# ---- rounding ----


def test_rounding_says_its_numbers_and_bears_NaN():
    errors = {
        "usual": {"float16": {1: (1e-4, 1e-3), 100: (0.5, math.nan)}, "float32": {1: (0.0, 1e-7), 100: (1e4, math.inf)}},
        "ours": {"float16": {1: (1e-8, 2e-4), 100: (1e-8, 2e-4)}, "float32": {1: (1e-8, 1e-7), 100: (1e-8, 1e-7)}},
    }
    picture = loss.rounding(errors)
    assert picture.width <= 900
    assert picture.text == (
        "Relative errors at T = 1, 100. usual, float16: loss 1.0e-04, 5.0e-01; gradient 1.0e-03, nan. "
        "usual, float32: loss 0.0e+00, 1.0e+04; gradient 1.0e-07, inf. "
        "ours, float16: loss 1.0e-08, 1.0e-08; gradient 2.0e-04, 2.0e-04. "
        "ours, float32: loss 1.0e-08, 1.0e-08; gradient 1.0e-07, 1.0e-07"
    )
