"""Distances between features against the papers' formulas, by hand in plain loops, and the laws that they must follow."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course_lib import features
from course_lib.features import (
    FEATURE_LOSSES,
    FeatureLoss,
    Match,
    attention_distance,
    channel_dim,
    check_layers,
    cosine_distance,
    relation_distance,
    squared_error,
)

DISTANCES = {name: entry.distance for name, entry in FEATURE_LOSSES.items()}
SHAPES = [(5, 3), (5, 4, 3), (5, 3, 2, 4)]
seeds = st.integers(0, 10_000)
scales = st.floats(1e-3, 1e3)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def vectors(x):
    """For each example the list of its vectors of channels, one a position, as lists of numbers."""
    rows = {2: lambda: x[:, None], 3: lambda: x, 4: lambda: x.permute(0, 2, 3, 1).flatten(1, 2)}[x.dim()]()
    return rows.tolist()


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def by_hand(name, ours, theirs):
    ours, theirs = vectors(ours), vectors(theirs)
    if name == "relations":
        return relations_by_hand(ours, theirs)
    pairs = [pair for rows in zip(ours, theirs, strict=True) for pair in zip(*rows, strict=True)]
    if name == "mse":
        errors = [(a - b) ** 2 for x, y in pairs for a, b in zip(x, y, strict=True)]
        return sum(errors) / len(errors)
    if name == "cosine":
        return sum(1 - dot(x, y) / (math.hypot(*x) * math.hypot(*y)) for x, y in pairs) / len(pairs)
    total = 0
    for one, other in zip(ours, theirs, strict=True):
        q, p = ([sum(a * a for a in x) for x in rows] for rows in (one, other))
        total += sum((a / math.hypot(*q) - b / math.hypot(*p)) ** 2 for a, b in zip(q, p, strict=True))
    return total / len(ours)


def relations_by_hand(ours, theirs):
    """The Huber loss between distances that are divided by their mean: of examples, each a list of vectors."""
    relations = []
    for rows in (ours, theirs):
        flat = [[a for x in each for a in x] for each in rows]
        distances = [math.dist(a, b) for i, a in enumerate(flat) for b in flat[:i]]
        relations.append([d / (sum(distances) / len(distances)) for d in distances])
    gaps = [abs(a - b) for a, b in zip(*relations, strict=True)]
    return sum(gap**2 / 2 if gap <= 1 else gap - 1 / 2 for gap in gaps) / len(gaps)


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name in DISTANCES for shape in SHAPES if (name, len(shape)) != ("attention", 2)]
)
def test_distances_are_those_of_the_papers(name, shape):
    ours, theirs = draw(*shape), 3 * draw(*shape, seed=1) + 1
    if name == "relations":
        ours[0] += 40  # so that some gaps are beyond the Huber loss's 1
    value = DISTANCES[name](ours, theirs)
    assert value.shape == ()
    assert value.item() == pytest.approx(by_hand(name, ours, theirs), rel=1e-9)
    assert DISTANCES[name](ours, ours).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", DISTANCES)
def test_gradients_are_right_and_reach_the_student_alone(name):
    ours, theirs = draw(4, 3, 2, 2).requires_grad_(), draw(4, 3, 2, 2, seed=1).requires_grad_()
    DISTANCES[name](ours, theirs).backward()
    assert theirs.grad is None
    assert ours.grad.abs().sum() > 0
    fixed = theirs.detach()
    assert torch.autograd.gradcheck(lambda x: DISTANCES[name](x, fixed), ours)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", DISTANCES)
def test_half_precision_is_computed_in_float32(name, dtype):
    ours, theirs = draw(6, 3, 4, 4, dtype=dtype), draw(6, 3, 4, 4, seed=1, dtype=torch.bfloat16)
    value = DISTANCES[name](ours, theirs)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(by_hand(name, ours.double(), theirs.double()), rel=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(DISTANCES[name](ours, theirs), value)


# ---- laws ----


@given(seeds, scales, scales)
def test_the_cosine_knows_no_scale(seed, scale, other):
    ours, theirs = draw(3, 4, 2, 2, seed=seed), draw(3, 4, 2, 2, seed=seed + 1)
    value = cosine_distance(ours, theirs).item()
    assert cosine_distance(scale * ours, other * theirs).item() == pytest.approx(value, rel=1e-9)
    assert 0 <= value <= 2
    assert cosine_distance(-ours, theirs).item() == pytest.approx(2 - value, rel=1e-9)


@given(seeds, scales, scales)
def test_maps_of_attention_know_no_scale_and_no_order_of_channels(seed, scale, other):
    ours, theirs = draw(3, 4, 2, 5, seed=seed), draw(3, 7, 2, 5, seed=seed + 1)
    value = attention_distance(ours, theirs).item()
    assert attention_distance(scale * ours.flip(1), -other * theirs).item() == pytest.approx(value, rel=1e-9)
    assert 0 <= value <= 2


@given(seeds, scales, st.floats(-100, 100))
def test_relations_know_no_rotation_shift_or_scale(seed, scale, shift):
    ours, theirs = draw(5, 4, seed=seed), draw(5, 9, seed=seed + 1)
    rotation, _ = torch.linalg.qr(draw(4, 4, seed=seed + 2))
    moved = scale * (ours @ rotation + shift * draw(4, seed=seed + 3))
    assert relation_distance(moved, theirs).item() == pytest.approx(relation_distance(ours, theirs).item(), rel=1e-6, abs=1e-12)
    assert relation_distance(moved, ours).item() == pytest.approx(0, abs=1e-9)


@given(seeds)
def test_a_squared_error_is_symmetric_and_grows_with_the_square(seed):
    ours, theirs = draw(3, 4, seed=seed), draw(3, 4, seed=seed + 1)
    value = squared_error(ours, theirs).item()
    assert squared_error(theirs, ours).item() == pytest.approx(value)
    assert squared_error(3 * ours, 3 * theirs).item() == pytest.approx(9 * value)


# ---- sizes ----


@pytest.mark.parametrize("name", ["mse", "cosine", "attention"])
@pytest.mark.parametrize(
    ("sizes", "smaller"), [(((4, 4), (2, 2)), (2, 2)), (((2, 6), (4, 3)), (2, 3)), (((6,), (3,)), (3,)), (((3,), (6,)), (3,))]
)
def test_what_is_larger_is_averaged_down_to_the_smaller(name, sizes, smaller):
    def make(size, seed):
        return draw(5, 3, *size, seed=seed) if len(size) == 2 else draw(5, *size, 3, seed=seed)

    def pooled(x):
        if x.dim() == 4:
            return x.unfold(2, x.shape[2] // smaller[0], x.shape[2] // smaller[0]).unfold(
                3, x.shape[3] // smaller[1], x.shape[3] // smaller[1]
            ).mean((-1, -2))  # fmt: skip
        return x.unfold(1, x.shape[1] // smaller[0], x.shape[1] // smaller[0]).mean(-1)

    ours, theirs = make(sizes[0], 0), make(sizes[1], 1)
    assert DISTANCES[name](ours, theirs).item() == pytest.approx(by_hand(name, pooled(ours), pooled(theirs)), rel=1e-9)


def test_relations_compare_features_of_any_shapes():
    ours, theirs = draw(5, 3, 2, 2), draw(5, 7, seed=1)
    expected = by_hand("relations", ours.flatten(1), theirs)
    assert relation_distance(ours, theirs).item() == pytest.approx(expected, rel=1e-9)


def test_relations_far_from_0_keep_their_digits():
    ours, theirs = draw(8, 4, dtype=torch.float32), draw(8, 4, seed=1, dtype=torch.float32)
    expected = by_hand("relations", ours.double(), theirs.double())
    assert relation_distance(ours + 1024, theirs).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", DISTANCES)
def test_zeros_equal_rows_one_row_and_no_rows_have_finite_gradients(name):
    for ours in (torch.zeros(4, 3, 2, 2), torch.ones(4, 3, 2, 2), draw(1, 3, 2, 2), torch.zeros(0, 3, 2, 2)):
        ours = ours.double().requires_grad_()
        value = DISTANCES[name](ours, draw(len(ours), 3, 2, 2, seed=1))
        value.backward()
        assert value.isfinite()
        assert ours.grad.isfinite().all()
        assert (ours.grad.abs() < 10).all()
    assert relation_distance(draw(1, 3), draw(1, 3, seed=1)) == 0


def test_a_vector_of_zeros_is_drawn_towards_the_teachers_by_a_step_of_plain_size():
    ours = torch.zeros(1, 2, requires_grad=True)
    value = cosine_distance(ours, torch.tensor([[3.0, 4.0]]))
    value.backward()
    assert value.item() == 1
    torch.testing.assert_close(ours.grad, torch.tensor([[-0.6, -0.8]]))


# ---- what can't be compared ----


@pytest.mark.parametrize("name", DISTANCES)
def test_what_can_not_be_compared_is_told(name):
    distance, x = DISTANCES[name], torch.ones(4, 3, 2, 2)
    with pytest.raises(TypeError, match=r"student_features must be a torch.Tensor, got list"):
        distance([1.0], x)
    with pytest.raises(ValueError, match=r"teacher_features must be floating point, \(n, …\), got torch.int64"):
        distance(x, x.long())
    with pytest.raises(ValueError, match=r"student_features must be floating point, \(n, …\), got torch.float32 of shape \(4,"):
        distance(torch.ones(4), x)
    with pytest.raises(ValueError, match="must have as many rows, on the same device; got 4 on cpu and 5 on cpu"):
        distance(x, torch.ones(5, 3, 2, 2))
    with pytest.raises(ValueError, match="on the same device; got 4 on cpu and 4 on meta"):
        distance(x, x.to("meta"))
    if name == "relations":
        return
    with pytest.raises(ValueError, match=r"features must both be .* got \(4, 3, 2, 2\) and \(4, 3\)"):
        distance(x, torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"features must both be .* got \(4, 1, 1, 1, 1\) and \(4, 1, 1, 1, 1\)"):
        distance(torch.ones(4, 1, 1, 1, 1), torch.ones(4, 1, 1, 1, 1))
    if name == "attention":
        with pytest.raises(ValueError, match=r"features must have positions for 'attention', .*; got \(4, 3\)"):
            distance(torch.ones(4, 3), torch.ones(4, 3))
    else:
        with pytest.raises(ValueError, match=r"must be of the same width, after a projector if need be; got \(4, 3\) and"):
            distance(torch.ones(4, 3), torch.ones(4, 5))


@pytest.mark.parametrize(
    ("layers", "loss", "error", "text"),
    [
        ([("a", "b")], "mse", TypeError, r"layers must be a dict, .*; got \[\('a', 'b'\)\]"),
        ({"a": 1}, "mse", TypeError, "layers must be a dict, .* by name; got {'a': 1}"),
        ({}, "mse", ValueError, "layers must hold at least one pair of layers, got none"),
        ({"a": "b"}, "mean", ValueError, "loss must be one of 'mse', 'cosine', 'attention', 'relations'; got 'mean'"),
        ({"a": "b"}, ["mse"], TypeError, "loss must be a str, got list"),
    ],
)
def test_layers_and_losses_that_are_none_are_told(layers, loss, error, text):
    with pytest.raises(error, match=text):
        check_layers(layers, loss)
    check_layers({"a": "b"}, "relations")


# ---- pairs and projectors ----


def pairs(shapes):
    ours = {name: draw(*shape, dtype=torch.float32) for name, (shape, _) in shapes.items()}
    theirs = {name.upper(): draw(*shape, seed=1, dtype=torch.float32) for name, (_, shape) in shapes.items()}
    return {name: name.upper() for name in shapes}, ours, theirs


WIDTHS = {"a": ((4, 3, 2, 2), (4, 5, 2, 2)), "b": ((4, 6, 3), (4, 6, 7)), "c": ((4, 3), (4, 3))}


@pytest.mark.parametrize(
    ("loss", "projectors"),
    [
        ("mse", [nn.Conv2d, nn.Linear, nn.Linear]),
        ("cosine", [nn.Conv2d, nn.Linear, nn.Identity]),
        ("relations", [nn.Identity] * 3),
    ],
)
def test_the_sum_over_pairs_after_projectors(loss, projectors):
    layers, ours, theirs = pairs(WIDTHS)
    match = Match(layers, loss, ours, theirs)
    assert [type(projector) for projector in match.projectors] == projectors
    projected = [projector(each) for projector, each in zip(match.projectors, ours.values(), strict=True)]
    expected = sum(map(DISTANCES[loss], projected, theirs.values()))
    torch.testing.assert_close(match(ours, theirs), expected)
    gradients = torch.autograd.grad(match(ours, theirs), [*match.parameters()]) if loss == "mse" else []
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_projectors_are_of_one_by_one_and_averages_do_not_care_which_side_of_them_they_are():
    layers, ours, theirs = pairs({"a": ((4, 3, 4, 4), (4, 5, 2, 2))})
    match = Match(layers, "mse", ours, theirs)
    (projector,) = match.projectors
    assert (projector.weight.shape, projector.bias.shape) == ((5, 3, 1, 1), (5,))
    after = squared_error(projector(F.avg_pool2d(ours["a"], 2)), theirs["A"])
    torch.testing.assert_close(match(ours, theirs), after)


def test_projectors_start_the_same_and_leave_other_random_numbers_alone():
    layers, ours, theirs = pairs(WIDTHS)
    torch.manual_seed(5)
    one = Match(layers, "mse", ours, theirs)
    number = torch.rand(())
    torch.manual_seed(5)
    assert torch.rand(()) == number
    two = Match(layers, "mse", ours, theirs)
    assert all(map(torch.equal, one.parameters(), two.parameters()))
    with features.seeded(0):
        torch.testing.assert_close(next(one.parameters()), nn.Conv2d(3, 5, 1).weight)


def test_features_of_half_precision_go_through_projectors_of_another():
    layers, ours, theirs = pairs(WIDTHS)
    match = Match(layers, "mse", ours, theirs)
    half = {name: each.bfloat16() for name, each in ours.items()}
    torch.testing.assert_close(match(half, theirs), match({name: each.float() for name, each in half.items()}, theirs))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(match(half, theirs), match(ours, theirs), rtol=0.02, atol=0)


def test_pairs_that_do_not_go_together_are_named():
    for shapes, loss, text in (
        (((4, 3, 2, 2), (4, 3)), "mse", r"layers 'a' and 'A' don't go together: features must both be"),
        (((4, 3), (4, 3)), "attention", r"layers 'a' and 'A' don't go together: features must have positions"),
        (((4,), (4, 3)), "mse", r"layers 'a' and 'A' don't go together: student_features must be floating point"),
    ):
        layers, ours, theirs = pairs({"a": shapes})
        with pytest.raises(ValueError, match=text):
            Match(layers, loss, ours, theirs)


def test_one_entry_more_is_a_loss_more(monkeypatch):
    """An entry of the table is all that a new distance needs."""

    def largest(ours, theirs):
        return (ours - theirs).abs().max()

    monkeypatch.setitem(FEATURE_LOSSES, "largest", FeatureLoss(largest, lambda ours, theirs: ours < theirs))
    check_layers({"a": "A"}, "largest")
    layers, ours, theirs = pairs({"a": ((4, 3), (4, 3))})
    assert Match(layers, "largest", ours, theirs)(ours, theirs) == largest(ours["a"], theirs["A"])
    layers, ours, theirs = pairs({"a": ((4, 3), (4, 5))})
    assert isinstance(Match(layers, "largest", ours, theirs).projectors[0], nn.Linear)


def test_channels_are_where_each_shape_has_them():
    assert [draw(*shape).shape[channel_dim(draw(*shape))] for shape in SHAPES] == [3, 3, 3]
