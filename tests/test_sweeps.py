"""Sweeps of a temperature, a scale and a bias, against softmaxes worked out by hand."""

import math

import pytest
import torch

from course_lib import sweeps
from course_lib.metrics import entropy_bits

# e^v is 16, 4, 1, 1: p is (16, 4, 1, 1) / 22 at T = 1 and (4, 2, 1, 1) / 8 at T = 2.
V = torch.tensor([16.0, 4, 1, 1]).log()
ROWS = {0.5: [256 / 274, 16 / 274, 1 / 274, 1 / 274], 1.0: [16 / 22, 4 / 22, 1 / 22, 1 / 22], 2.0: [1 / 2, 1 / 4, 1 / 8, 1 / 8]}


def bits(row):
    return -sum(p * math.log2(p) for p in row)


def test_numbers_are_spaced_by_a_factor():
    assert sweeps.log_spaced(1 / 8, 128, 11).tolist() == pytest.approx([2.0**k for k in range(-3, 8)])


def test_first_second_and_rest():
    parts = sweeps.first_second_rest(torch.tensor([[[0.5, 0.25, 0.125, 0.125]], [[1.0, 0.0, 0.0, 0.0]]]))
    assert parts.tolist() == [[[0.5, 0.25, 0.25]], [[1, 0, 0]]]
    assert sweeps.first_second_rest(torch.tensor([0.75, 0.25])).tolist() == [0.75, 0.25, 0]


def test_the_mass_and_the_entropy_of_each_row_at_each_temperature():
    mass, entropy = sweeps.mass_by_temperature(torch.stack([V, torch.zeros(4)]), list(ROWS))
    assert mass.shape == (2, 3, 3)
    for k, row in enumerate(ROWS.values()):
        assert mass[0, k].tolist() == pytest.approx([row[0], row[1], row[2] + row[3]])
        assert mass[1, k].tolist() == pytest.approx([1 / 4, 1 / 4, 1 / 2])
        assert entropy[:, k].tolist() == pytest.approx([bits(row), 2])


def test_the_map_of_the_entropy_depends_on_T_over_scale_alone():
    entropy = sweeps.entropy_map(V, torch.tensor([0.5, 1.0, 2.0]), [0.5, 1.0])
    assert entropy.shape == (2, 3)
    assert entropy[0].tolist() == pytest.approx([bits(ROWS[1.0]), bits(ROWS[0.5]), entropy_bits((4 * V).softmax(0)).item()])
    assert entropy[1].tolist() == pytest.approx([bits(ROWS[2.0]), bits(ROWS[1.0]), bits(ROWS[0.5])])


def test_the_temperature_of_an_entropy_is_the_nearest_of_those_given():
    temperatures = [0.5, 1.0, 2.0]
    for T, row in ROWS.items():
        assert sweeps.temperatures_of_entropies(V, [bits(row) - 0.01, bits(row) + 0.01], temperatures) == [T, T]
    assert sweeps.temperatures_of_entropies(V, [0, 9], torch.tensor(temperatures)) == [0.5, 2.0]


def test_calibration_errors_by_temperature():
    logits = torch.tensor([[math.log(p / (1 - p)), 0.0] for p in (0.6, 0.6, 0.9, 0.9)], dtype=torch.float64)
    errors = sweeps.calibration_errors(logits, torch.tensor([0, 1, 0, 0]), [0.5, 1.0, 2.0], bins=5)
    for T, error in zip((0.5, 1.0, 2.0), errors, strict=True):
        low, high = (1 / (1 + ((1 - p) / p) ** (1 / T)) for p in (0.6, 0.9))
        assert error == pytest.approx(0.5 * abs(low - 0.5) + 0.5 * abs(high - 1))


@pytest.mark.parametrize(("bias", "unseen", "others"), [(0.0, 0, 1), (1.5, 0.25, 1), (2.2, 0.5, 1), (2.7, 0.5, 0.5), (9, 1, 0)])
def test_a_bias_on_one_class_wins_its_rows_and_loses_others(bias, unseen, others):
    labels, logits = torch.tensor([9, 9, 9, 9, 0, 0]), torch.zeros(6, 10)
    logits[:, 0] = torch.tensor([1.0, 2, 3, 4, 2.5, 5])
    before = logits.clone()
    assert sweeps.accuracies_with_bias(logits, labels, 9, bias) == (unseen, others)
    assert torch.equal(logits, before)


def test_margins_are_positive_for_the_class_that_a_row_names_alone():
    scores = torch.tensor([[0.5, 0.3, 0.2], [0.4, 0.2, 0.4]])
    found = sweeps.margins(scores)
    assert found[0].tolist() == pytest.approx([0.2, -0.2, -0.3])
    assert found[1].tolist() == pytest.approx([0, -0.2, 0])
