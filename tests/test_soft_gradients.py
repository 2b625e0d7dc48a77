"""The gradients of both terms: worked out here by hand, by autograd, or known from theory."""

import math

import pytest
import torch

from course_lib import soft_gradients

V, Z = [3.0, 1.0, 0.0], [1.0, 1.0, 0.0]


def softmax(logits, T):
    weights = [math.exp(logit / T) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def random_pair(rows, num_classes, scale=4.0):
    generator = torch.Generator().manual_seed(0)
    return (scale * torch.randn(rows, num_classes, generator=generator, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize(("T", "first"), [(1, -0.421), (2, -0.490), (4, -0.485), (100, -0.447)])
def test_the_gradient_of_the_example(T, first):
    gradient = soft_gradients.soft_gradient(tensor(Z), tensor(V), T)[0].tolist()
    assert gradient[0] == pytest.approx(first, abs=5e-4)
    assert gradient == pytest.approx([T * (q - p) for p, q in zip(softmax(V, T), softmax(Z, T), strict=True)])


def test_the_limit_ignores_shifts_and_is_where_the_gradient_goes():
    limit = soft_gradients.soft_gradient_limit(tensor(Z) + 5, tensor(V) - 3)
    assert limit[0].tolist() == pytest.approx([-4 / 9, 2 / 9, 2 / 9])
    assert soft_gradients.soft_gradient(tensor(Z), tensor(V), 1e6)[0].tolist() == pytest.approx(limit[0].tolist(), abs=1e-6)


def test_the_gradient_of_the_hard_term_is_that_of_autograd():
    _, z = random_pair(5, 4)
    labels = torch.tensor([0, 3, 1, 1, 2])
    z.requires_grad_()
    (expected,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, labels, reduction="sum"), z)
    torch.testing.assert_close(soft_gradients.hard_gradient(z.detach(), labels), expected)


def test_a_size_is_the_mean_length_of_the_rows():
    assert soft_gradients.mean_norm(tensor([3, 4], [0, 1])) == pytest.approx(3)
    assert soft_gradients.mean_norm(tensor([3, 4])[0]) == pytest.approx(5)


def test_slopes_where_they_are_known():
    small, huge = tensor([1e-3, 0], [0, 2e-3]), tensor([80, 0], [0, 80])
    assert soft_gradients.gradient_slope(small, -small, 1) == pytest.approx(-2, abs=1e-5)
    assert soft_gradients.gradient_slope(huge, -huge, 1) == pytest.approx(-1, abs=1e-9)  # one-hot: q - p no longer moves
    # (2, 0) against (0, 0): the derivative of log(sigma(2/T) - 1/2) by log T, at T = 1
    sigma = 1 / (1 + math.exp(-2))
    assert soft_gradients.gradient_slope(tensor([0, 0]), tensor([2, 0]), 1) == pytest.approx(
        -1 - 2 * sigma * (1 - sigma) / (sigma - 0.5), abs=1e-4
    )


def test_a_curve_has_the_sizes_and_slopes_of_each_of_its_temperatures():
    v, z = random_pair(6, 5)
    temperatures = torch.logspace(-0.3, 2, 60, dtype=torch.float64)
    curve = soft_gradients.size_curve(z, v, temperatures)
    sizes = [soft_gradients.mean_norm(soft_gradients.soft_gradient(z, v, T)) for T in temperatures.tolist()]
    assert curve.temperatures is temperatures
    assert curve.sizes.tolist() == pytest.approx(sizes)
    slopes = [soft_gradients.gradient_slope(z, v, T) for T in temperatures.tolist()]
    assert curve.slopes[1:-1].tolist() == pytest.approx(slopes[1:-1], abs=0.02)
    assert curve.limit == pytest.approx(soft_gradients.mean_norm(soft_gradients.soft_gradient_limit(z, v)))


def test_a_scaled_curve_is_that_of_scaled_logits():
    v, z = random_pair(6, 5)
    temperatures = torch.logspace(0, 1, 20, dtype=torch.float64)
    scaled = soft_gradients.size_curve(z, v, temperatures).scaled(3)
    for one, other in zip(scaled, soft_gradients.size_curve(3 * z, 3 * v, 3 * temperatures), strict=True):
        torch.testing.assert_close(one, other)


def test_the_share_of_the_soft_term():
    assert soft_gradients.soft_share(3, 1, 0.5) == pytest.approx(0.75)
    assert soft_gradients.soft_share(1, 9, 0.9) == pytest.approx(0.5)
    assert soft_gradients.soft_share(1, 1, 0.0) == 0
    assert soft_gradients.soft_share(1, 1, 1.0) == 1


def test_without_t2_the_share_is_that_of_a_gradient_divided_by_it():
    assert soft_gradients.soft_shares(8, 2, T=2, alpha=0.5) == pytest.approx((0.8, 0.5))
