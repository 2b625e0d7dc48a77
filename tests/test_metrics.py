"""The metrics against values that can be worked out by hand."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.metrics import (
    accuracy,
    agreement,
    count_parameters,
    entropy_bits,
    expected_calibration_error,
    js_divergence,
    kl_divergence,
    mean_interval,
    paired_interval,
    reliability,
    running_mean,
    total_variation,
)
from course_lib.models import new_student


def test_entropy_in_bits():
    p = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.25, 0.125, 0.125]])
    assert entropy_bits(p).tolist() == pytest.approx([0, 1, 2, 1.75])


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=8))
def test_law_entropy_lies_between_0_and_the_logarithm_of_the_classes(logits):
    bits = entropy_bits(torch.tensor(logits, dtype=torch.float64).softmax(-1)).item()
    assert -1e-12 <= bits <= math.log2(len(logits)) + 1e-12


def test_accuracy():
    logits = torch.tensor([[2.0, 1], [0, 1], [3, 0], [0, 5]])
    assert accuracy(logits, torch.tensor([0, 0, 0, 1])) == 0.75
    with pytest.raises(ValueError, match=r"at least 1; got \(0, 2\) and \(0,\)"):
        accuracy(logits[:0], torch.tensor([], dtype=torch.int64))


@pytest.mark.parametrize("shape", [(3,), (4, 1), (4, 2), ()])
def test_labels_of_another_shape_are_told_and_not_broadcast(shape):
    rows, labels = torch.full((4, 2), 0.5), torch.zeros(shape, dtype=torch.int64)
    for name, measure in (("logits", accuracy), ("probabilities", reliability)):
        with pytest.raises(
            ValueError, match=rf"{name} and labels must have shapes .* got \(4, 2\) and {re.escape(str(shape))}"
        ):
            measure(rows, labels)


def test_parameters():
    assert count_parameters(new_student()) == 9_098


def test_interval_of_five():
    # t = 2.7764 for 4 degrees of freedom, standard error sqrt(2.5 / 5)
    interval = mean_interval([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert interval.half_width == pytest.approx(2.7764 * math.sqrt(0.5), abs=1e-4)
    assert (interval.low, interval.high) == pytest.approx((3 - 1.9632, 3 + 1.9632), abs=1e-3)
    assert str(interval) == "3.00 ± 1.96"


@pytest.mark.parametrize("n", [2, 5, 31, 60])
def test_the_interval_holds_the_truth_95_times_in_100(n):
    samples = np.random.default_rng(0).normal(7, 2, (8000, n))
    hits = [interval.low <= 7 <= interval.high for interval in map(mean_interval, samples)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.01)


def test_wrong_values():
    for values in ([1.0], [], [1.0, math.nan]):
        with pytest.raises(ValueError, match="values must be at least two finite numbers"):
            mean_interval(values)


# ---- agreement and calibration ----


def test_agreement_counts_the_same_answers():
    logits, other = torch.tensor([[2.0, 1], [0, 1], [3, 0], [0, 5]]), torch.tensor([[5.0, 1], [9, 1], [1, 0], [0, 5]])
    assert agreement(logits, other) == 0.75
    assert agreement(other, logits) == 0.75
    assert agreement(logits, 3 * logits + 1) == 1
    with pytest.raises(ValueError, match=r"same shape and at least one row; got \(4, 2\) and \(3, 2\)"):
        agreement(logits, other[:3])
    with pytest.raises(ValueError, match=r"got \(0, 2\) and \(0, 2\)"):
        agreement(logits[:0], other[:0])


def two_classes(*confidences):
    """Rows that name class 0 with these probabilities."""
    first = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([first, 1 - first], dim=1)


def test_calibration_error_worked_out_by_hand():
    # Five bins: .65 and .75 lie in (.6, .8] with one right of two, .9 and .95 and 1 in (.8, 1] with two right of three.
    p, labels = two_classes(0.65, 0.75, 0.9, 0.95, 1.0), torch.tensor([0, 1, 0, 0, 1])
    found = reliability(p, labels, bins=5)
    assert found.confidence[3:].tolist() == pytest.approx([0.7, 0.95])
    assert found.accuracy[3:].tolist() == pytest.approx([0.5, 2 / 3])
    assert found.share.tolist() == pytest.approx([0, 0, 0, 0.4, 0.6])
    assert found.confidence[:3].isnan().all()
    assert found.accuracy[:3].isnan().all()
    by_hand = 0.4 * 0.2 + 0.6 * (0.95 - 2 / 3)
    assert found.expected_calibration_error == pytest.approx(by_hand)
    assert expected_calibration_error(p, labels, bins=5) == pytest.approx(by_hand)


def test_a_bin_takes_its_upper_end_and_certainty_goes_into_the_last():
    assert reliability(two_classes(0.75, 1.0), torch.tensor([0, 0]), bins=4).share.tolist() == [0, 0, 0.5, 0.5]


def test_ends_of_the_calibration_error():
    sure = two_classes(1.0, 1.0, 0.0)
    assert expected_calibration_error(sure, torch.tensor([0, 0, 1])) == 0
    assert expected_calibration_error(sure, torch.tensor([1, 1, 0])) == 1
    assert expected_calibration_error(two_classes(0.75, 0.75, 0.75, 0.75), torch.tensor([0, 0, 0, 1])) == pytest.approx(0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_calibration_takes_every_dtype(dtype):
    p, labels = two_classes(0.65, 0.75, 0.9, 0.95, 1.0).to(dtype), torch.tensor([0, 1, 0, 0, 1])
    assert expected_calibration_error(p, labels, bins=5) == pytest.approx(0.25, abs=3e-3)


@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 20))
def test_laws_of_the_calibration_error(rows, bins):
    p, labels = two_classes(*(sure for sure, _ in rows)), torch.tensor([0 if right else 1 for _, right in rows])
    right = p.argmax(-1) == labels
    found = reliability(p, labels, bins)
    error = found.expected_calibration_error
    overall = abs(p.max(-1).values.mean().item() - right.double().mean().item())
    assert overall - 1e-9 <= error <= 1 + 1e-9  # the triangle inequality
    assert expected_calibration_error(p, labels, bins=1) == pytest.approx(overall, abs=1e-9)
    assert found.share.sum().item() == pytest.approx(1)
    assert (found.share * found.accuracy).nansum().item() == pytest.approx(right.double().mean().item(), abs=1e-9)
    back = list(range(len(rows)))[::-1]
    assert expected_calibration_error(p[back], labels[back], bins) == pytest.approx(error, abs=1e-9)


def test_labels_drawn_from_the_probabilities_are_calibrated():
    generator = torch.Generator().manual_seed(0)
    p = (3 * torch.randn(50_000, 5, generator=generator)).softmax(-1)
    labels = torch.multinomial(p, 1, generator=generator)[:, 0]
    assert expected_calibration_error(p, labels) < 0.01
    assert expected_calibration_error((2 * p.log()).softmax(-1), labels) > 0.05


def test_what_reliability_refuses():
    p, labels = two_classes(0.7, 0.6), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="logits need a softmax first"):
        reliability(p.logit(), labels)
    with pytest.raises(ValueError, match="logits need a softmax first"):
        reliability(p.nan_to_num() * torch.nan, labels)
    with pytest.raises(ValueError, match=r"n being at least 1; got .* and \(0,\)"):
        reliability(p[:0], labels[:0])
    for bins in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="bins must be an int of at least 1"):
            reliability(p, labels, bins)


# ---- divergences ----


def test_kl_by_hand(v, z):
    assert kl_divergence(v, z).tolist() == pytest.approx([0.379738], abs=1e-6)
    assert kl_divergence(z, v).tolist() == pytest.approx([0.463214], abs=1e-6)


def test_divergences_of_batches_that_broadcast():
    logits, other = torch.randn(5, 1, 4, generator=(g := torch.Generator().manual_seed(0))), torch.randn(3, 4, generator=g)
    p, q = logits.softmax(-1), other.softmax(-1)
    m = (p + q) / 2
    torch.testing.assert_close(kl_divergence(logits, other), (p * (p / q).log()).sum(-1))
    js = ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1)) / 2
    torch.testing.assert_close(js_divergence(logits, other), js)
    assert kl_divergence(logits, other).shape == (5, 3)


def test_a_class_without_probability_counts_for_nothing():
    inf = math.inf
    one, half = torch.tensor([0.0, -inf]), torch.tensor([0.0, 0.0])
    assert kl_divergence(one, one) == 0
    assert kl_divergence(one, half).item() == pytest.approx(math.log(2))
    assert kl_divergence(half, one) == inf
    assert js_divergence(one, torch.tensor([-inf, 0.0])).item() == pytest.approx(math.log(2))


def test_a_paired_interval_is_that_of_the_differences():
    a, b = [3.0, 5.0, 4.0], [1.0, 2.5, 2.0]
    assert paired_interval(a, b) == mean_interval([2.0, 2.5, 2.0])
    with pytest.raises(ValueError, match="values and others must be of the same length, one pair a seed; got 3 and 2"):
        paired_interval(a, b[:2])


def test_the_total_variation_is_the_share_that_lies_elsewhere():
    p = torch.tensor([[0.8, 0.2, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    q = torch.tensor([[0.3, 0.2, 0.5], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    assert total_variation(p, q).tolist() == pytest.approx([0.5, 0, 1])
    assert total_variation(p, q[0]).tolist() == pytest.approx([0.5, 0.5, 0.7])


@pytest.mark.parametrize(("width", "means"), [(1, [1, 2, 6]), (2, [1, 1.5, 4]), (3, [1, 1.5, 3]), (9, [1, 1.5, 3])])
def test_a_running_mean_starts_with_what_there_is(width, means):
    assert running_mean([1, 2, 6], width).tolist() == pytest.approx(means)
    assert len(running_mean([], width)) == 0
