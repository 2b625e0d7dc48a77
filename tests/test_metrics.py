"""The metrics against values that can be worked out by hand."""

import math

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
    js_divergence,
    kl_divergence,
    mean_interval,
    paired_interval,
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
