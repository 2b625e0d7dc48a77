"""The losses against values worked out by hand, against torch in float64, and against the laws they must obey."""

import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from course_lib import losses
from course_lib.loss_blocks import BLOCK
from course_lib.losses import (
    DIVERGENCES,
    check_alpha,
    check_temperature,
    distillation_loss,
    hard_label_loss,
    soft_target_loss,
    soft_targets,
)
from course_lib.objectives import distillation_terms

INF = math.inf
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def double_divergence(z, v, T, divergence):
    """The mean divergence of the rows times T², by textbook formulas in float64."""
    p, q = (torch.softmax(x.double() / T, -1) for x in (v, z))
    log_p, log_q = (torch.log_softmax(x.double() / T, -1) for x in (v, z))
    m = (p + q) / 2

    def kl(a, log_a, log_b):
        return torch.where(a > 0, a * (log_a - log_b), 0).sum(-1)

    rows = {
        "forward": lambda: kl(p, log_p, log_q),
        "reverse": lambda: kl(q, log_q, log_p),
        "jsd": lambda: (kl(p, log_p, m.log()) + kl(q, log_q, m.log())) / 2,
        "tvd": lambda: (p - q).abs().sum(-1) / 2,
    }[divergence]()
    return T * T * rows.mean()


def value_and_gradient(loss, z, *args, **options):
    z = z.detach().clone().requires_grad_()
    value = loss(z, *args, **options)
    (gradient,) = torch.autograd.grad(value, z)
    return value.detach(), gradient


def random_logits(seed=0, shape=(16, 10), scale=3.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [(scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype) for _ in range(2)]


# ---- values worked out by hand (six digits) ----

FIXTURE = [  # T, KL(teacher‖student), KL(student‖teacher), T² KL(t‖s), its gradient at z
    (1, 0.379738, 0.463214, 0.379738, (-0.421476, 0.308124, 0.113352)),
    (2, 0.122183, 0.122697, 0.488732, (-0.489760, 0.304856, 0.184904)),
    (4, 0.030694, 0.029884, 0.491104, (-0.484627, 0.272446, 0.212181)),
    (20, 0.001143, 0.001132, 0.457282, (-0.455010, 0.233191, 0.221818)),
    (100, 0.000045, 0.000045, 0.447132, (-0.446646, 0.224439, 0.222206)),
]


@pytest.mark.parametrize(("T", "forward", "reverse", "scaled", "gradient"), FIXTURE)
def test_the_fixture(z, v, T, forward, reverse, scaled, gradient):
    loss, found = value_and_gradient(soft_target_loss, z, v, T)
    assert loss.item() / T**2 == pytest.approx(forward, abs=5e-7)
    assert loss.item() == pytest.approx(scaled, abs=5e-7)
    assert found[0].tolist() == pytest.approx(gradient, abs=5e-7)
    assert soft_target_loss(z, v, T, divergence="reverse").item() / T**2 == pytest.approx(reverse, abs=5e-7)


def test_the_limit_of_high_temperature_is_matching_centred_logits(z, v):
    loss, gradient = value_and_gradient(soft_target_loss, z, v, 1e6)
    assert loss.item() == pytest.approx(4 / 9, abs=1e-5)
    assert gradient[0].tolist() == pytest.approx((-4 / 9, 2 / 9, 2 / 9), abs=1e-5)


def test_the_whole_loss(z, v, labels):
    assert hard_label_loss(z, labels).item() == pytest.approx(0.861995, abs=5e-7)
    assert distillation_loss(z, v, labels, 2, 0.5).item() == pytest.approx(0.675363, abs=5e-7)
    assert distillation_loss(z, v, labels, 3, 0.7).item() == pytest.approx(0.605687, abs=5e-7)
    assert distillation_loss(z, v, labels, 2, 0.9).item() == pytest.approx(0.526058, abs=5e-7)
    assert distillation_loss(z, v, labels, 2, 1).item() == soft_target_loss(z, v, 2).item()
    assert distillation_loss(z, v, labels, 2, 0).item() == F.cross_entropy(z, labels).item()


def test_the_defaults_are_T_2_and_alpha_one_half(z, v, labels):
    assert distillation_loss(z, v, labels).item() == distillation_loss(z, v, labels, T=2.0, alpha=0.5).item()
    assert soft_target_loss(z, v).item() == soft_target_loss(z, v, T=2.0, divergence="forward").item()


def test_the_terms_are_those_that_the_loss_weighs(z, v, labels):
    soft, hard = distillation_terms(z, v, labels, 3)
    assert (0.7 * soft + 0.3 * hard).item() == pytest.approx(distillation_loss(z, v, labels, 3, 0.7).item(), abs=1e-15)


@pytest.mark.parametrize("alpha", [0, 0.7, 1])
def test_the_terms_may_be_returned_for_the_record(z, v, labels, alpha):
    z.requires_grad_()
    loss, soft, hard = distillation_loss(z, v, labels, 3, alpha, return_terms=True)
    alone = distillation_loss(z, v, labels, 3, alpha)
    assert loss == alone
    assert torch.equal(*(torch.autograd.grad(each, z)[0] for each in (loss, alone)))
    assert soft.item() == pytest.approx(soft_target_loss(z, v, 3).item(), rel=1e-15)
    assert hard.item() == pytest.approx(hard_label_loss(z, labels).item(), rel=1e-15)
    assert not soft.requires_grad
    assert not hard.requires_grad


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_infinite_term_without_a_share_is_returned_and_spoils_nothing(monkeypatch, z, v, labels, dtype, blocks):
    monkeypatch.setattr("course_lib.losses.HAS_BLOCKS", blocks)
    z, v = z.to(dtype).requires_grad_(), v.to(dtype)
    v[:, (labels[0] + 1) % v.shape[-1]] = -math.inf
    loss, soft, hard = distillation_loss(z, v, labels, 2, 0, divergence="reverse", return_terms=True)
    assert soft == math.inf
    assert loss == hard
    assert (loss.requires_grad, soft.requires_grad, hard.requires_grad) == (True, False, False)
    torch.testing.assert_close(torch.autograd.grad(loss, z)[0], torch.autograd.grad(F.cross_entropy(z, labels), z)[0])

    z = z.detach().clone()
    z[:, labels] = v[:, labels] = -math.inf
    loss, soft, hard = distillation_loss(z.requires_grad_(), v, labels, 2, 1, return_terms=True)
    assert hard == math.inf
    assert loss == soft
    assert torch.autograd.grad(loss, z)[0].isfinite().all()


# ---- mistakes that people report: what they compute differs, and is not what ours computes ----

TWO_ROWS_V = torch.tensor([[3.0, 1, 0], [0, 2, 1]], dtype=torch.float64)
TWO_ROWS_Z = torch.tensor([[1.0, 1, 0], [0, 0, 1]], dtype=torch.float64)


def test_not_the_original_lessons_code_with_the_arguments_swapped(z, v):
    for T, digits in ((1, 0.463214), (2, 0.122697)):
        lesson = F.kl_div(F.log_softmax(v / T, -1), F.softmax(z / T, -1), reduction="batchmean")
        assert lesson.item() == pytest.approx(digits, abs=5e-7)
        assert lesson.item() == pytest.approx(soft_target_loss(z, v, T, divergence="reverse").item() / T**2, abs=1e-12)
        assert abs(lesson.item() - soft_target_loss(z, v, T).item() / T**2) > 5e-4


@pytest.mark.filterwarnings("ignore:reduction")
def test_the_mean_is_over_rows_not_over_classes():
    ours = soft_target_loss(TWO_ROWS_Z, TWO_ROWS_V, 2)
    mean = 4 * F.kl_div(F.log_softmax(TWO_ROWS_Z / 2, -1), F.softmax(TWO_ROWS_V / 2, -1), reduction="mean")
    assert ours.item() == pytest.approx(0.485541, abs=5e-7)
    assert mean.item() == pytest.approx(0.161847, abs=5e-7)


def test_no_probabilities_where_log_probabilities_belong(z, v):
    wrong = F.kl_div(F.softmax(z, -1), F.softmax(v, -1), reduction="batchmean")
    assert wrong.item() == pytest.approx(-0.935371, abs=5e-7)
    assert soft_target_loss(z, v, 1).item() > 0


def test_no_log_probabilities_as_plain_target(z, v):
    assert math.isnan(F.kl_div(F.log_softmax(z, -1), F.log_softmax(v, -1), reduction="batchmean").item())
    assert soft_target_loss(z, v, 1).item() == pytest.approx(0.379738, abs=5e-7)


def test_cross_entropy_takes_logits_not_probabilities(labels):
    logits = torch.tensor([[10.0, 0, 0]], dtype=torch.float64)
    assert hard_label_loss(logits, labels).item() == pytest.approx(0.000091, abs=5e-7)
    assert F.cross_entropy(logits.softmax(-1), labels).item() == pytest.approx(0.551502, abs=1e-6)


def test_a_divergence_not_a_cross_entropy(v):
    loss, gradient = value_and_gradient(soft_target_loss, v, v, 1)
    cross_entropy, its_gradient = value_and_gradient(lambda z: F.cross_entropy(z, v.softmax(-1)), v)
    assert loss.item() == 0
    assert cross_entropy.item() == pytest.approx(0.524267, abs=5e-7)
    torch.testing.assert_close(gradient, its_gradient, atol=1e-15, rtol=0)


def test_the_student_is_not_compared_with_itself(z, v):
    _, gradient = value_and_gradient(soft_target_loss, z, v, 1)
    assert gradient.abs().max() > 0.1


def test_no_gradient_reaches_the_teacher(z, v, labels):
    v.requires_grad_()
    for divergence in DIVERGENCES:
        distillation_loss(z, v, labels, divergence=divergence).backward()
    assert v.grad is None
    assert z.grad is not None


def test_different_numbers_of_classes_are_told():
    with pytest.raises(ValueError, match=r"same shape, got \(24, 2\) and \(24, 1000\)"):
        soft_target_loss(torch.zeros(24, 2), torch.zeros(24, 1000))


def test_cutting_the_vocabulary_before_the_softmax(z):
    longer = torch.tensor([[3.0, 1, 0, 2]], dtype=torch.float64)
    cut_after = longer.softmax(-1)[:, :3]
    wrong = F.kl_div(z.log_softmax(-1), cut_after, reduction="batchmean")
    assert soft_target_loss(z, longer[:, :3], 1).item() == pytest.approx(0.379738, abs=5e-7)
    assert wrong.item() == pytest.approx(0.083481, abs=5e-7)


def test_the_loss_does_not_grow_with_the_length_of_a_sequence(z, v):
    long_z, long_v = z.detach().expand(1, 4, 3), v.expand(1, 4, 3)
    batchmean = F.kl_div(long_z.log_softmax(-1), long_v.softmax(-1), reduction="batchmean")
    assert batchmean.item() == pytest.approx(1.518953, abs=5e-7)
    assert soft_target_loss(long_z, long_v, 1).item() == pytest.approx(0.379738, abs=5e-7)


def test_padding_does_not_count(z, v):
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    pad_v, pad_z = torch.tensor([0.0, 0, 5]).double(), torch.tensor([5.0, 0, 0]).double()
    long_v = torch.where(mask[..., None], v[0], pad_v)
    long_z = torch.where(mask[..., None], z.detach()[0], pad_z).requires_grad_()
    loss = soft_target_loss(long_z, long_v, 1, mask=mask)
    loss.backward()
    assert loss.item() == pytest.approx(0.379738, abs=5e-7)
    assert soft_target_loss(long_z, long_v, 1).item() == pytest.approx(3.205074, abs=5e-7)
    assert long_z.grad[~mask].abs().max() == 0


def test_what_stands_in_masked_rows_is_never_read(z, v, labels):
    for garbage in (math.nan, math.inf):
        padded_z = torch.cat([z.detach(), torch.full((1, 3), garbage, dtype=torch.float64)]).requires_grad_()
        padded_v = torch.cat([v, torch.full((1, 3), garbage, dtype=torch.float64)])
        loss = distillation_loss(padded_z, padded_v, torch.cat([labels, torch.tensor([-100])]))
        loss.backward()
        assert loss.item() == pytest.approx(0.675363, abs=5e-7)
        assert padded_z.grad[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (0, 3), (3,)])
def test_every_row_ignored_gives_zero_that_backpropagates(shape):
    z = torch.ones(shape, requires_grad=True)
    rows = shape[:-1]
    for loss in (
        soft_target_loss(z, torch.zeros(shape), mask=torch.zeros(rows, dtype=torch.bool)),
        distillation_loss(z, torch.zeros(shape), torch.full(rows, -100)),
        hard_label_loss(z, torch.full(rows, -100)),
    ):
        z.grad = None
        loss.backward()
        assert loss.item() == 0
        assert loss.shape == ()
        assert torch.equal(z.grad, torch.zeros(shape))


def test_underflow_of_the_softmax_does_no_harm():
    z = v = torch.tensor([[0.0, 0.0, -200.0]])
    naive = (v.softmax(-1) * (torch.log(v.softmax(-1)) - torch.log(z.softmax(-1)))).sum()
    assert math.isnan(naive.item())
    assert soft_target_loss(z, v, 1).item() == 0


def test_an_ensemble_averages_probabilities_not_logits():
    ensemble = torch.tensor([[10.0, 0, 0], [0, 1, 0]], dtype=torch.float64)
    assert soft_targets(ensemble, 1).mean(0).tolist() == pytest.approx((0.605925, 0.288081, 0.105993), abs=5e-7)
    assert soft_targets(ensemble.mean(0), 1).tolist() == pytest.approx((0.982466, 0.010914, 0.006620), abs=5e-7)


def test_a_label_tells_target_from_other_classes(z, v):
    # Zhao et al. 2022, equation 7: KD = TCKD + (1 - p_t) NCKD, for the fixture 0.379738 + 0.156205 × 0.
    p, q = soft_targets(v, 1)[0], soft_targets(z.detach(), 1)[0]
    target = sum(a * math.log(a / b) for a, b in ((p[0], q[0]), (1 - p[0], 1 - q[0])))
    others = sum(a * math.log(a / b) for a, b in zip(p[1:] / p[1:].sum(), q[1:] / q[1:].sum(), strict=True))
    assert target == pytest.approx(0.379738, abs=5e-7)
    assert 1 - p[0].item() == pytest.approx(0.156205, abs=5e-7)
    assert others == pytest.approx(0, abs=1e-12)
    assert soft_target_loss(z, v, 1).item() == pytest.approx(float(target + (1 - p[0]) * others), abs=1e-12)


# ---- gradients ----


@pytest.mark.parametrize("T", [0.05, 1, 2, 20, 1000])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_gradient_in_closed_form(T, divergence):
    z, v = random_logits()
    p, q = torch.softmax(v / T, -1), torch.softmax(z / T, -1)
    log_ratio = torch.log_softmax(z / T, -1) - torch.log_softmax(v / T, -1)
    log_q_over_m = -torch.logaddexp(torch.zeros(()), -log_ratio) + math.log(2)
    expected = T * {
        "forward": q - p,
        "reverse": q * (log_ratio - (q * log_ratio).sum(-1, keepdim=True)),
        "jsd": q * (log_q_over_m - (q * log_q_over_m).sum(-1, keepdim=True)) / 2,
        "tvd": q * ((q - p).sign() - (q * (q - p).sign()).sum(-1, keepdim=True)) / 2,
    }[divergence] / len(z)  # fmt: skip
    _, gradient = value_and_gradient(soft_target_loss, z, v, T, divergence=divergence)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("T", [0.7, 2, 30])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradcheck(T, divergence):
    z, v = random_logits(shape=(4, 5))
    z.requires_grad_()
    labels = torch.tensor([0, 4, -100, 2])

    def loss(z):
        return distillation_loss(z, v, labels, T, 0.6, divergence=divergence)

    assert gradcheck(loss, z)
    assert gradgradcheck(loss, z)
    assert gradcheck(lambda x: soft_targets(x, T), z)


# ---- precision ----


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("T", [0.05, 0.5, 1, 4, 50, 1000])
@pytest.mark.parametrize("scale", [0.1, 3, 100, 2000])
def test_loss_and_gradient_are_right_to_float_precision(dtype, divergence, T, scale):
    z, v = random_logits(shape=(32, 10), scale=scale / 3, dtype=dtype)
    z, v = z.clamp(-2000, 2000), v.clamp(-2000, 2000)
    loss, gradient = value_and_gradient(soft_target_loss, z, v, T, divergence=divergence)
    expected, its_gradient = value_and_gradient(soft_target_loss, z.double(), v.double(), T, divergence=divergence)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert gradient.dtype == dtype
    assert loss.item() == pytest.approx(expected.item(), rel=2e-5, abs=2e-7)
    size = its_gradient.norm(dim=-1).max().item()
    unit = max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps if dtype != torch.float64 else 0)
    smallest = max(torch.finfo(dtype).smallest_normal, 1e-30)  # products of two tiny probabilities underflow
    torch.testing.assert_close(gradient.double(), its_gradient, rtol=8 * unit, atol=8 * unit * size + smallest)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("T", [0.3, 1, 4, 50])
def test_float64_agrees_with_the_textbook(T, divergence):
    z, v = random_logits(shape=(32, 10))
    ours = soft_target_loss(z, v, T, divergence=divergence).item()
    assert ours == pytest.approx(double_divergence(z, v, T, divergence).item(), rel=1e-10)


def test_float32_at_high_temperature_where_the_textbook_loses_its_digits():
    z, v = random_logits(scale=1.0, dtype=torch.float32)
    T = 1000
    textbook = T * T * F.kl_div(F.log_softmax(z / T, -1), F.softmax(v / T, -1), reduction="batchmean").item()
    true = double_divergence(z, v, T, "forward").item()
    assert abs(textbook / true - 1) > 1e-3
    assert soft_target_loss(z, v, T).item() == pytest.approx(true, rel=1e-6)


@pytest.mark.parametrize("T", [0.05, 1, 1000])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_large_logits_that_nearly_agree_keep_their_digits(T, divergence):
    noise, nearby = random_logits(shape=(8, 10), scale=0.01 * T**0.5, dtype=torch.float32)
    v = 1900 + nearby
    z = v + noise
    loss, gradient = value_and_gradient(soft_target_loss, z, v, T, divergence=divergence)
    expected, its_gradient = value_and_gradient(soft_target_loss, z.double(), v.double(), T, divergence=divergence)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-7)
    torch.testing.assert_close(gradient.double(), its_gradient, rtol=1e-4, atol=1e-4 * its_gradient.abs().max().item())


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("T", [0.05, 1, 1000])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_extreme_logits_give_finite_losses_and_gradients(dtype, T, divergence):
    corners = torch.tensor([[2000.0, -2000, 0], [-2000, 2000, 0], [2000, 2000, 2000], [0, 0, 1e-3]], dtype=dtype)
    z, v = corners.repeat_interleave(4, 0), corners.repeat(4, 1)
    labels = torch.arange(16) % 3
    loss, gradient = value_and_gradient(distillation_loss, z, v, labels, T, divergence=divergence)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert soft_targets(v, T).isfinite().all()


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("T", [0.5, 4.0])
def test_a_class_that_both_have_at_minus_infinity_counts_for_nothing(T, divergence):
    z, v = torch.tensor([[1.0, 2, -INF, 0.5]], requires_grad=True), torch.tensor([[2.0, 1, -INF, 0]])
    rest = z.detach()[:, [0, 1, 3]].requires_grad_()
    loss = soft_target_loss(z, v, T, divergence=divergence)
    other = soft_target_loss(rest, v[:, [0, 1, 3]], T, divergence=divergence)
    loss.backward()
    other.backward()
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(z.grad[:, [0, 1, 3]], rest.grad)
    assert z.grad[0, 2] == 0


def by_definition(p, q):
    return sum(a * (math.log(a / b) if b else INF) for a, b in zip(p, q, strict=True) if a)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize(
    ("z", "v"), [([1.0, 2, 0], [2.0, 1, -INF]), ([1.0, 2, -INF], [2.0, 1, 0]), ([-INF, 2, 1], [2.0, 1, -INF])]
)
def test_a_class_that_one_has_at_minus_infinity_counts_as_the_definition_says(z, v, divergence):
    p, q = (torch.tensor(x, dtype=torch.float64).softmax(-1).tolist() for x in (v, z))
    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    expected = {
        "forward": by_definition(p, q),
        "reverse": by_definition(q, p),
        "jsd": (by_definition(p, m) + by_definition(q, m)) / 2,
        "tvd": sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
    }[divergence]
    z = torch.tensor([z], dtype=torch.float64, requires_grad=True)
    loss = soft_target_loss(z, torch.tensor([v], dtype=torch.float64), 1, divergence=divergence)
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert expected == INF or z.grad.isfinite().all()


@pytest.mark.parametrize("T", [np.int8(20), np.int16(200), np.uint8(16), np.float16(1000), Fraction(7, 2)])
def test_numbers_of_other_types_are_what_they_say(z, v, labels, T):
    assert soft_target_loss(z, v, T) == soft_target_loss(z, v, float(T))
    assert distillation_loss(z, v, labels, T, Fraction(1, 4)) == distillation_loss(z, v, labels, float(T), 0.25)


@pytest.mark.parametrize("huge", [10**400, -(10**400), Fraction(10**400, 3)])
def test_a_number_beyond_floats_is_told_alike_everywhere(z, v, labels, huge):
    for name, call in (
        ("T", lambda: soft_targets(v, huge)),
        ("T", lambda: soft_target_loss(z, v, huge)),
        ("T", lambda: distillation_loss(z, v, labels, huge)),
        ("T", lambda: check_temperature(huge)),
        ("alpha", lambda: distillation_loss(z, v, labels, alpha=huge)),
        ("alpha", lambda: check_alpha(huge)),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a number that fits into a float, got one that is larger"):
            call()


def test_an_ignore_index_beyond_the_labels_is_told(z, labels):
    with pytest.raises(ValueError, match="ignore_index must fit into int64, as the labels do"):
        hard_label_loss(z, labels, ignore_index=10**400)


def test_soft_targets_of_no_rows_along_their_dimension():
    assert soft_targets(torch.zeros(0, 3), 2.0, dim=0).shape == (0, 3)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("T", [0.05, 0.3, 1, 3, 1000])
def test_equal_logits_give_exactly_zero(dtype, divergence, T):
    z, _ = random_logits(scale=700, dtype=dtype)
    loss, gradient = value_and_gradient(soft_target_loss, z, z, T, divergence=divergence)
    assert loss.item() == 0
    assert gradient.abs().max() == 0


@pytest.mark.parametrize("dtype", FLOATS)
def test_soft_targets(dtype):
    logits, _ = random_logits(scale=600, dtype=dtype)
    for T in (0.05, 1, 5, 1000):
        p = soft_targets(logits, T)
        assert p.dtype == dtype
        exact = logits.double()
        expected = torch.softmax((exact - exact.amax(-1, keepdim=True)) / T, -1)
        # A relative error in a logarithm is an absolute one in what it is the logarithm of.
        allowed = torch.finfo(dtype).eps * (4 + expected.log().abs().clamp(max=750)) * expected + torch.finfo(dtype).tiny
        assert ((p.double() - expected).abs() <= allowed).all()
    torch.testing.assert_close(soft_targets(logits.T, 5, dim=0), soft_targets(logits, 5).T)


def test_mixed_dtypes_are_computed_in_the_wider(z, v, labels):
    loss = distillation_loss(z.detach().half(), v.float(), labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.675363, abs=1e-6)


# ---- laws ----

finite = st.floats(-50, 50)
rows_of_logits = st.integers(2, 6).flatmap(lambda n: st.tuples(*[st.lists(finite, min_size=n, max_size=n)] * 2))
temperatures = st.floats(0.05, 1000)
divergences = st.sampled_from(list(DIVERGENCES))


def as_rows(pair):
    return [torch.tensor([row], dtype=torch.float64) for row in pair]


@given(rows_of_logits, temperatures, divergences)
def test_law_never_negative_and_zero_for_equal_distributions(pair, T, divergence):
    z, v = as_rows(pair)
    assert soft_target_loss(z, v, T, divergence=divergence).item() >= 0
    assert soft_target_loss(v + 7, v, T, divergence=divergence).item() == pytest.approx(0, abs=1e-12 * T)


@given(rows_of_logits, temperatures, divergences, finite, finite)
def test_law_a_shift_of_the_logits_changes_nothing(pair, T, divergence, shift_z, shift_v):
    z, v = as_rows(pair)
    loss = soft_target_loss(z, v, T, divergence=divergence).item()
    shifted = soft_target_loss(z + shift_z, v + shift_v, T, divergence=divergence).item()
    assert shifted == pytest.approx(loss, rel=1e-8, abs=1e-9)


@given(rows_of_logits, temperatures, divergences, st.randoms(use_true_random=False))
def test_law_the_order_of_the_classes_does_not_matter(pair, T, divergence, random):
    z, v = as_rows(pair)
    order = list(range(z.shape[1]))
    random.shuffle(order)
    loss = soft_target_loss(z, v, T, divergence=divergence).item()
    assert soft_target_loss(z[:, order], v[:, order], T, divergence=divergence).item() == pytest.approx(
        loss, rel=1e-9, abs=1e-12
    )


@given(rows_of_logits, temperatures, st.floats(0.1, 10), divergences)
def test_law_T_is_relative_to_the_scale_of_the_logits(pair, T, scale, divergence):
    z, v = as_rows(pair)
    loss = soft_target_loss(z, v, T, divergence=divergence).item()
    scaled = soft_target_loss(scale * z, scale * v, scale * T, divergence=divergence).item()
    assert scaled == pytest.approx(scale**2 * loss, rel=1e-8, abs=1e-9)


@given(rows_of_logits, divergences)
def test_law_the_limit_of_high_temperature(pair, divergence):
    z, v = as_rows(pair)
    difference = z - v - (z - v).mean()
    limit = difference.square().mean().item() / 2 * (1 if divergence != "jsd" else 1 / 4)
    if divergence == "tvd":  # of order 1/T, not 1/T²
        limit = 1e6 * difference.abs().mean().item() / 2
    assert soft_target_loss(z, v, 1e6, divergence=divergence).item() == pytest.approx(limit, rel=1e-3, abs=1e-9)


@given(rows_of_logits, temperatures)
def test_law_the_gradient_sums_to_zero_over_the_classes(pair, T):
    z, v = as_rows(pair)
    for divergence in DIVERGENCES:
        _, gradient = value_and_gradient(soft_target_loss, z, v, T, divergence=divergence)
        assert gradient.sum().item() == pytest.approx(0, abs=1e-9)


@given(rows_of_logits, temperatures)
def test_law_the_jensen_shannon_divergence_is_symmetric_and_bounded(pair, T):
    z, v = as_rows(pair)
    there, back = (soft_target_loss(a, b, T, divergence="jsd").item() for a, b in ((z, v), (v, z)))
    assert there == pytest.approx(back, rel=1e-9, abs=1e-12)
    assert there <= T * T * math.log(2) * (1 + 1e-12)


@given(rows_of_logits, st.floats(0.05, 1000), st.floats(0, 1))
@example(([0.0, 1.0], [1.0, 0.0]), 1.0, 1.0)
def test_law_the_loss_is_linear_in_alpha(pair, T, alpha):
    z, v = as_rows(pair)
    labels = torch.tensor([1])
    soft, hard = distillation_loss(z, v, labels, T, 1), distillation_loss(z, v, labels, T, 0)
    mixed = distillation_loss(z, v, labels, T, alpha).item()
    assert mixed == pytest.approx((alpha * soft + (1 - alpha) * hard).item(), rel=1e-12, abs=1e-12)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_law_a_sequence_is_as_many_rows(B, L, seed):
    z, v = random_logits(seed, (B, L, 7))
    labels = torch.randint(7, (B, L), generator=torch.Generator().manual_seed(seed))
    labels[0, 0] = -100
    flat = distillation_loss(z.flatten(0, 1), v.flatten(0, 1), labels.flatten(), 3, 0.4)
    assert distillation_loss(z, v, labels, 3, 0.4).item() == pytest.approx(flat.item(), rel=1e-12, abs=1e-15)


@given(st.integers(2, 12), st.integers(0, 99))
def test_law_the_loss_is_the_mean_of_the_losses_of_its_rows(rows, seed):
    z, v = random_logits(seed, (rows, 5))
    each = [soft_target_loss(z[i], v[i], 3).item() for i in range(rows)]
    assert soft_target_loss(z, v, 3).item() == pytest.approx(sum(each) / rows, rel=1e-12)


# ---- the table of divergences ----


def test_every_entry_of_the_table_is_its_own_divergence(z, v):
    values = {name: soft_target_loss(z, v, 1, divergence=name).item() for name in DIVERGENCES}
    assert len(set(values.values())) == len(DIVERGENCES)
    assert values == pytest.approx({"forward": 0.379738, "reverse": 0.463214, "jsd": 0.100132, "tvd": 0.421476}, abs=5e-7)


def test_an_entry_of_the_table_is_all_that_a_new_divergence_needs(monkeypatch, labels):
    def squared_hellinger(p, q, log_ratio):
        return 1 - (p * (log_ratio / 2).exp()).sum(-1)  # √(pq) = p √(q / p)

    with pytest.raises(ValueError, match="'squared_hellinger'"):
        soft_target_loss(LOGITS, LOGITS, divergence="squared_hellinger")
    monkeypatch.setitem(DIVERGENCES, "squared_hellinger", squared_hellinger)
    z, v = random_logits()
    loss, gradient = value_and_gradient(soft_target_loss, z, v, 2.5, divergence="squared_hellinger")
    p, q = torch.softmax(v / 2.5, -1), torch.softmax(z / 2.5, -1)
    affinity = (p * q).sqrt().sum(-1, keepdim=True)
    assert loss.item() == pytest.approx(2.5**2 * (1 - affinity.mean()).item(), rel=1e-12)
    torch.testing.assert_close(gradient, 2.5 / len(z) * (q * affinity - (p * q).sqrt()) / 2)
    z.requires_grad_()
    assert gradcheck(lambda z: soft_target_loss(z, v, 3, divergence="squared_hellinger"), z)
    optimizer = torch.optim.SGD([z], lr=20)
    for _ in range(100):
        optimizer.zero_grad()
        trained = distillation_loss(z, v, labels.expand(16), 2.5, 1, divergence="squared_hellinger")
        trained.backward()
        optimizer.step()
    assert trained < loss / 10


@pytest.mark.parametrize("name", DIVERGENCES)
def test_an_entry_that_is_replaced_is_what_it_says(monkeypatch, z, v, name):
    squares = lambda p, q, log_ratio: ((p - q) ** 2).sum(-1)  # noqa: E731
    monkeypatch.setitem(DIVERGENCES, name, squares)
    z.requires_grad_()
    loss = soft_target_loss(z, v, 1.0, divergence=name)
    expected = ((v.softmax(-1) - z.softmax(-1)) ** 2).sum(-1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(each, z)[0] for each in (loss, expected)))


def test_the_table_is_as_it_was():
    assert list(DIVERGENCES) == ["forward", "reverse", "jsd", "tvd"]
    assert "forward" in DIVERGENCES
    assert "squared_hellinger" not in DIVERGENCES


@pytest.mark.parametrize("T", [1, 2, 100])
def test_total_variation_is_half_the_sum_of_the_differences(z, v, T):
    loss, gradient = value_and_gradient(soft_target_loss, z, v, T, divergence="tvd")
    p, q = (torch.softmax(x.detach()[0] / T, -1) for x in (v, z))
    assert loss.item() == pytest.approx(T**2 * (p[0] - q[0]).item(), rel=1e-12)  # q is below p in the first class alone
    # All of it is q's first probability that is missing, so its derivative is that of -q[0].
    expected = -T * q[0] * (torch.eye(3, dtype=torch.float64)[0] - q)
    torch.testing.assert_close(gradient[0], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [5, 2 * BLOCK // 10])  # in one block, and in several
def test_the_hard_term_alone_is_torchs_cross_entropy(dtype, rows):
    z, v = random_logits(shape=(rows, 10), dtype=dtype)
    labels = torch.arange(rows) % 10
    expected = value_and_gradient(lambda z, v: F.cross_entropy(z, labels), z, v)
    for loss in (lambda z, v: hard_label_loss(z, labels), lambda z, v: distillation_loss(z, v, labels, alpha=0)):
        torch.testing.assert_close(value_and_gradient(loss, z, v), expected)


# ---- shapes ----


def test_ignore_index_may_be_any_class(z, v):
    pair_z, pair_v = z.detach().repeat(2, 1), v.repeat(2, 1)
    pair_z[1] = 9
    kept = distillation_loss(pair_z, pair_v, torch.tensor([0, 2]), ignore_index=2)
    assert kept.item() == pytest.approx(0.675363, abs=5e-7)


def test_one_row_without_a_batch(v, z):
    assert distillation_loss(z[0], v[0], torch.tensor(0)).item() == pytest.approx(0.675363, abs=5e-7)


def test_inputs_that_are_not_contiguous(z, v):
    wide_z, wide_v = (torch.stack([x, x + 1], -1)[..., 0] for x in (z.detach(), v))
    assert soft_target_loss(wide_z, wide_v, 1).item() == pytest.approx(0.379738, abs=5e-7)


def test_inputs_are_left_as_they_were(z, v, labels):
    before = z.detach().clone(), v.clone(), labels.clone()
    distillation_loss(z, v, labels).backward()
    soft_targets(v, 2)
    assert all(torch.equal(a, b) for a, b in zip(before, (z.detach(), v, labels), strict=True))


# ---- wrong arguments ----

LOGITS, LABELS = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
WRONG_T = [(0, "above 0, got 0"), (-1.0, "got -1.0"), (math.nan, "got nan"), (math.inf, "got inf"), (-math.inf, "got -inf")]


@pytest.mark.parametrize(("T", "says"), WRONG_T)
def test_wrong_T(T, says):
    for call in (
        lambda: soft_targets(LOGITS, T),
        lambda: soft_target_loss(LOGITS, LOGITS, T),
        lambda: distillation_loss(LOGITS, LOGITS, LABELS, T),
    ):
        with pytest.raises(ValueError, match=f"T must be a finite number.*{says}"):
            call()


@pytest.mark.parametrize("T", ["2", None, torch.tensor(2.0), True, 2j])
def test_T_of_a_wrong_type(T):
    for call in (lambda: soft_targets(LOGITS, T), lambda: soft_target_loss(LOGITS, LOGITS, T)):
        with pytest.raises(TypeError, match="T must be a real number, got"):
            call()


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan, math.inf])
def test_wrong_alpha(alpha):
    with pytest.raises(ValueError, match=rf"alpha must lie in \[0, 1\], got {alpha}"):
        distillation_loss(LOGITS, LOGITS, LABELS, alpha=alpha)


@pytest.mark.parametrize("alpha", ["half", None, True])
def test_alpha_of_a_wrong_type(alpha):
    with pytest.raises(TypeError, match="alpha must be a real number, got"):
        distillation_loss(LOGITS, LOGITS, LABELS, alpha=alpha)


@pytest.mark.parametrize("shape", [(4, 1), (1, 3), (3,), (1, 4, 3), (4, 4), (3, 4)])
def test_shapes_are_never_broadcast(shape):
    other = torch.zeros(shape)
    for call in (lambda: soft_target_loss(LOGITS, other), lambda: distillation_loss(LOGITS, other, LABELS)):
        with pytest.raises(ValueError, match="student_logits and teacher_logits must have the same shape"):
            call()


@pytest.mark.parametrize("name", ["student_logits", "teacher_logits"])
@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        ([[1.0, 2.0]], TypeError, "must be a torch.Tensor, got list"),
        (None, TypeError, "must be a torch.Tensor, got NoneType"),
        (torch.zeros(4, 3, dtype=torch.int64), ValueError, "must be floating point, got dtype torch.int64"),
        (torch.zeros(4, 3, dtype=torch.complex64), ValueError, "must be floating point"),
        (torch.tensor(1.0), ValueError, r"must have shape \(..., num_classes\) with at least one class, got \(\)"),
        (torch.zeros(4, 0), ValueError, r"must have shape .* with at least one class, got \(4, 0\)"),
    ],
)
def test_wrong_logits(name, bad, error, says):
    arguments = {"student_logits": LOGITS, "teacher_logits": LOGITS, name: bad}
    with pytest.raises(error, match=f"{name} {says}"):
        soft_target_loss(**arguments)
    with pytest.raises(error, match=f"{name} {says}"):
        distillation_loss(**arguments, labels=LABELS)
    with pytest.raises(error, match=f"logits {says}"):
        soft_targets(bad, 2)


def test_one_class_is_told_with_how_to_make_two_of_it():
    one, labels = torch.randn(16, 1), torch.zeros(16, dtype=torch.int64)
    for call in (
        lambda: soft_target_loss(one, one),
        lambda: distillation_loss(one, one, labels),
        lambda: hard_label_loss(one, labels),
        lambda: soft_target_loss(one.T, one.T, dim=0),
    ):
        with pytest.raises(ValueError, match=r"student_logits must have two classes or more.*torch.stack\(\[torch.zeros_like"):
            call()


def test_logits_on_different_devices():
    elsewhere = LOGITS.to("meta")
    with pytest.raises(ValueError, match="on the same device, got cpu and meta"):
        soft_target_loss(LOGITS, elsewhere)
    with pytest.raises(ValueError, match="labels must be on the device of the logits, cpu; got meta"):
        hard_label_loss(LOGITS, LABELS.to("meta"))


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        (torch.zeros(3, dtype=torch.int64), ValueError, r"labels must have shape \(4,\).*got \(3,\)"),
        (torch.zeros(4, 1, dtype=torch.int64), ValueError, r"labels must have shape \(4,\).*got \(4, 1\)"),
        (torch.zeros(4, 3), ValueError, r"labels must have shape \(4,\)"),
        (torch.zeros(4), ValueError, r"labels must have dtype torch.int64, got torch.float32.*labels.long\(\)"),
        (torch.zeros(4, dtype=torch.int32), ValueError, "labels must have dtype torch.int64, got torch.int32"),
        (torch.tensor([0, 1, 2, 3]), ValueError, "labels must lie in 0..2 .*got 3"),
        (torch.tensor([0, 1, 2, -1]), ValueError, "labels must lie in 0..2 .*got -1"),
        ([0, 1, 2, 0], TypeError, "labels must be a torch.Tensor, got list"),
    ],
)
def test_wrong_labels(labels, error, says):
    with pytest.raises(error, match=says):
        distillation_loss(LOGITS, LOGITS, labels)
    with pytest.raises(error, match=says):
        hard_label_loss(LOGITS, labels)


@pytest.mark.parametrize(
    ("mask", "error", "says"),
    [
        (torch.ones(3, dtype=torch.bool), ValueError, r"mask must have shape \(4,\).*got \(3,\)"),
        (torch.ones(4, 3, dtype=torch.bool), ValueError, r"mask must have shape \(4,\).*got \(4, 3\)"),
        (torch.ones(4), ValueError, r"mask must have dtype torch.bool, got torch.float32.*mask.bool\(\)"),
        ([True] * 4, TypeError, "mask must be a torch.Tensor, got list"),
    ],
)
def test_wrong_mask(mask, error, says):
    with pytest.raises(error, match=says):
        soft_target_loss(LOGITS, LOGITS, mask=mask)


def test_wrong_divergence():
    for call in (
        lambda choice: soft_target_loss(LOGITS, LOGITS, divergence=choice),
        lambda choice: distillation_loss(LOGITS, LOGITS, LABELS, divergence=choice),
    ):
        with pytest.raises(ValueError, match="divergence must be one of 'forward', 'reverse', 'jsd', 'tvd'; got 'backward'"):
            call("backward")
        with pytest.raises(TypeError, match="divergence must be a str, got NoneType"):
            call(None)


def test_wrong_ignore_index_and_dim():
    with pytest.raises(TypeError, match="ignore_index must be an int, got NoneType"):
        distillation_loss(LOGITS, LOGITS, LABELS, ignore_index=None)
    for dim in (2, -3):
        with pytest.raises(ValueError, match=f"dim must be a dimension of logits, which has 2; got {dim}"):
            soft_targets(LOGITS, 2, dim=dim)
    with pytest.raises(TypeError, match="dim must be an int, got float"):
        soft_targets(LOGITS, 2, dim=1.0)


# ---- what importing costs ----


def test_importing_the_losses_loads_nothing_but_torch():
    code = "import sys, torch; before = set(sys.modules); import course_lib.losses; print(*sorted(set(sys.modules) - before))"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.split() == ["course_lib", "course_lib.losses"]


def test_a_copy_of_the_file_alone_gives_the_same_numbers(tmp_path):
    (tmp_path / "copied.py").write_bytes(Path(losses.__file__).read_bytes())
    code = """
import torch, copied
torch.manual_seed(0)
z, v, labels = 3 * torch.randn(90, 2000), 3 * torch.randn(90, 2000), torch.randint(2000, (90,))
labels[::7] = -100
for divergence in copied.DIVERGENCES:
    z.grad = None
    loss = copied.distillation_loss(z.requires_grad_(), v, labels, 3, 0.7, divergence=divergence)
    loss.backward()
    print(repr(loss.item()), repr(z.grad.abs().sum().item()), repr(z.grad[1, 3].item()))
assert not copied.HAS_BLOCKS
"""
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    code = code.replace("import torch, copied", "import torch; from course_lib import losses as copied").replace(
        "assert not copied.HAS_BLOCKS", "assert copied.HAS_BLOCKS"
    )
    whole = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for one, other in zip(alone.split(), whole.split(), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-6)
    assert len(alone.splitlines()) == 4


def test_without_its_neighbour_the_careful_way_is_taken(monkeypatch):
    z, v = random_logits()
    with_it = soft_target_loss(z.requires_grad_(), v, 3)
    monkeypatch.setattr(losses, "HAS_BLOCKS", False)
    monkeypatch.setitem(sys.modules, "course_lib.loss_blocks", None)
    assert soft_target_loss(z, v, 3).item() == pytest.approx(with_it.item(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("T", [0.05, 1, 4, 1000])
@pytest.mark.parametrize("scale", [0.1, 3, 100, 2000])
def test_without_its_neighbour_it_is_as_right(monkeypatch, dtype, divergence, T, scale):
    z, v = random_logits(shape=(32, 10), scale=scale / 3, dtype=dtype)
    expected, its_gradient = value_and_gradient(soft_target_loss, z.double(), v.double(), T, divergence=divergence)
    monkeypatch.setattr(losses, "HAS_BLOCKS", False)
    loss, gradient = value_and_gradient(soft_target_loss, z, v, T, divergence=divergence)
    assert loss.item() == pytest.approx(expected.item(), rel=2e-5, abs=2e-7)
    size, unit = its_gradient.norm(dim=-1).max().item(), torch.finfo(dtype).eps
    # autograd takes the steps of the value backwards, one by one: a few units more than a gradient that is written down.
    torch.testing.assert_close(gradient.double(), its_gradient, rtol=32 * unit, atol=32 * unit * size + 1e-30)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_teacher_logits_that_ask_for_a_gradient_get_none_of_any_order(divergence):
    generator = torch.Generator().manual_seed(0)
    z, v = (torch.randn(4, 3, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(2))
    loss = soft_target_loss(z, v, T=2, divergence=divergence)
    (first,) = torch.autograd.grad(loss, z, create_graph=True)
    assert first.abs().sum() > 0
    for value in (loss, first.square().sum()):
        if value.requires_grad:
            assert torch.autograd.grad(value, v, allow_unused=True, retain_graph=True) == (None,)
