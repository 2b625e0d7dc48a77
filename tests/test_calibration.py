"""Calibration against values worked out by hand, and what it refuses."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.calibration import expected_calibration_error, reliability
from course_lib.metrics import accuracy


def two_classes(*confidences):
    """Rows that name class 0 with these probabilities."""
    first = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([first, 1 - first], dim=1)


@pytest.mark.parametrize("shape", [(3,), (4, 1), (4, 2), ()])
def test_labels_of_another_shape_are_told_and_not_broadcast(shape):
    rows, labels = torch.full((4, 2), 0.5), torch.zeros(shape, dtype=torch.int64)
    for name, measure in (("logits", accuracy), ("probabilities", reliability)):
        with pytest.raises(
            ValueError, match=rf"{name} and labels must have shapes .* got \(4, 2\) and {re.escape(str(shape))}"
        ):
            measure(rows, labels)


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
