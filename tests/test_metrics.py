"""The metrics against values that can be worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.metrics import accuracy, bytes_for_backward, count_parameters, entropy_bits, mean_interval
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
    with pytest.raises(ValueError, match="as many rows, and at least one; got 4 and 3"):
        accuracy(logits, torch.tensor([0, 1, 1]))
    with pytest.raises(ValueError, match="got 0 and 0"):
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


def test_what_a_step_keeps_for_the_backward_pass():
    layer, rows = torch.nn.Linear(3, 4), torch.zeros(10, 3)
    # float32: the input, for the gradient of the weight; of the sigmoid its output. The weight is the model's own.
    assert bytes_for_backward(lambda: layer(rows), layer) == 4 * 10 * 3
    assert bytes_for_backward(lambda: layer(rows).sigmoid(), layer) == 4 * (10 * 3 + 10 * 4)
    assert bytes_for_backward(lambda: (layer(rows), layer(rows)), layer) == 4 * 10 * 3  # what two layers share counts once
    assert bytes_for_backward(lambda: layer(rows).sigmoid().sum().backward(), layer) == 4 * (10 * 3 + 10 * 4)
    with torch.no_grad():
        assert bytes_for_backward(lambda: layer(rows).sigmoid(), layer) == 0


def test_a_parameter_counts_where_its_model_is_not_named():
    layer, rows = torch.nn.Linear(3, 4), torch.zeros(10, 3, requires_grad=True)
    assert bytes_for_backward(lambda: layer(rows), layer) == 4 * 10 * 3
    assert bytes_for_backward(lambda: layer(rows)) == 4 * (10 * 3 + 3 * 4)
