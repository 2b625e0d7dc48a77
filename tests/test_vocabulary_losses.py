"""The linear head with the loss, top-k teachers and yes-or-no logits, against `distillation_loss` and definitions."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_lib import vocabulary_losses
from course_lib.losses import distillation_loss, soft_target_loss
from course_lib.vocabulary_losses import binary_soft_target_loss, linear_distillation_loss, top_k_soft_target_loss


def heads(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    student = [normal(2, 6, 3), normal(11, 3), normal(11)]
    teacher = [normal(2, 6, 5), normal(11, 5), normal(11)]
    labels = torch.randint(11, (2, 6), generator=generator)
    labels[0, 1] = -100
    return student, teacher, labels


@pytest.mark.parametrize("divergence", ["forward", "reverse", "jsd", "tvd"])
@pytest.mark.parametrize("alpha", [0, 0.3, 1])
@pytest.mark.parametrize("biased", [True, False])
def test_the_head_and_the_loss_in_one(monkeypatch, divergence, alpha, biased):
    monkeypatch.setattr(vocabulary_losses, "BLOCK", 25)  # two rows at a time, of twelve
    student, teacher, labels = heads()
    results = []
    for whole in (True, False):
        given = [x.clone().requires_grad_() for x in (student if biased else student[:2])]
        biases = {"student_bias": given[2], "teacher_bias": teacher[2]} if biased else {}
        if whole:
            z = F.linear(*given)
            loss = distillation_loss(z, F.linear(*teacher[: 3 if biased else 2]), labels, 3, alpha, divergence=divergence)
        else:
            loss = linear_distillation_loss(*given[:2], *teacher[:2], labels, 3, alpha, divergence=divergence, **biases)
        results.append((loss.detach(), *torch.autograd.grad(2 * loss, given)))
    torch.testing.assert_close(results[1], results[0])


def test_no_logits_as_a_whole_are_made(monkeypatch):
    monkeypatch.setattr(vocabulary_losses, "BLOCK", 25)
    student, teacher, labels = heads(torch.float32)
    sizes, linear = [], F.linear
    monkeypatch.setattr(F, "linear", lambda *given: sizes.append(linear(*given).shape) or linear(*given))
    linear_distillation_loss(student[0].requires_grad_(), student[1], *teacher[:2], labels).backward()
    assert set(sizes) == {(2, 11)}
    assert student[0].grad[0, 1].abs().max() == 0  # whose label is ignored


def test_wrong_heads():
    student, teacher, labels = heads()
    with pytest.raises(ValueError, match=r"teacher_weight must have shape \(num_classes, 5\).*got \(10, 5\)"):
        linear_distillation_loss(*student[:2], teacher[0], teacher[1][:10], labels)
    with pytest.raises(ValueError, match="student_hidden and teacher_hidden must have the same shape but for the last"):
        linear_distillation_loss(*student[:2], teacher[0][:1], teacher[1], labels)
    with pytest.raises(ValueError, match=r"student_bias must have shape \(11,\), got \(3,\)"):
        linear_distillation_loss(*student[:2], *teacher[:2], labels, student_bias=torch.zeros(3))
    with pytest.raises(ValueError, match=r"labels must lie in 0..10 .*got 20"):
        linear_distillation_loss(*student[:2], *teacher[:2], labels.masked_fill(labels == labels.max(), 20))


# ---- top k ----


def test_all_but_one_in_a_bucket_of_one_is_the_whole_divergence():
    (z, v), T = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64), 3.0
    values, indices = v.topk(5)
    bucket = v.amin(-1)
    for divergence in ("forward", "reverse", "jsd"):
        found = top_k_soft_target_loss(z, values, indices, T, rest="bucket", bucket=bucket, divergence=divergence)
        assert found.item() == pytest.approx(soft_target_loss(z, v, T, divergence=divergence).item())


def test_top_k_by_definition():
    z, v = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z.requires_grad_()
    p, q = v.softmax(-1), z.softmax(-1)
    values, indices = v.log_softmax(-1).topk(2)
    top_p, top_q = p.gather(-1, indices), q.gather(-1, indices)
    rest_p, rest_q = 1 - top_p.sum(-1), 1 - top_q.sum(-1)
    inside = (top_p * (top_p / top_q).log()).sum(-1)
    expected = {
        "bucket": (inside + rest_p * (rest_p / rest_q).log()).mean(),
        "renormalise": (F.normalize(top_p, 1, -1) * (F.normalize(top_p, 1, -1) / top_q).log()).sum(-1).mean(),
    }
    bucket = torch.log1p(-values.exp().sum(-1))
    for rest, bucket_logit in (("bucket", bucket), ("renormalise", None)):
        found = top_k_soft_target_loss(z, values, indices, 1, rest=rest, bucket=bucket_logit)
        torch.testing.assert_close(found, expected[rest])
        torch.testing.assert_close(*(torch.autograd.grad(x, z, retain_graph=True)[0] for x in (found, expected[rest])))


def test_the_logit_of_a_bucket_of_many_is_that_of_their_probability_at_this_temperature():
    z, v = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z.requires_grad_()
    T, (values, indices) = 3, v.topk(2)
    bucket = T * torch.logsumexp(v.scatter(-1, indices, -math.inf) / T, -1)
    p, q = ((x / T).softmax(-1).gather(-1, indices) for x in (v, z))
    p, q = (torch.cat([x, 1 - x.sum(-1, keepdim=True)], -1) for x in (p, q))
    expected = T**2 * (p * (p / q).log()).sum(-1).mean()
    found = top_k_soft_target_loss(z, values, indices, T, rest="bucket", bucket=bucket)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, z)[0] for loss in (found, expected)))


@pytest.mark.parametrize("rest", ["bucket", "renormalise"])
def test_a_top_k_that_inference_mode_made(rest):
    z, v = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z.requires_grad_()
    given = *v.topk(2), v.amin(-1) if rest == "bucket" else None
    with torch.inference_mode():
        inferred = [x if x is None else x.clone() for x in given]
    gradients = []
    for values, indices, bucket in (given, inferred):
        loss = top_k_soft_target_loss(z, values, indices, 3, rest=rest, bucket=bucket)
        gradients += torch.autograd.grad(loss, z)
    assert torch.equal(*gradients)


def test_wrong_top_k():
    z, v = torch.zeros(4, 6), torch.zeros(4, 2)
    indices = torch.zeros(4, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match="bucket goes with rest='bucket', which needs it"):
        top_k_soft_target_loss(z, v, indices, rest="bucket")
    with pytest.raises(ValueError, match="rest must be one of 'bucket', 'renormalise'; got 'drop'"):
        top_k_soft_target_loss(z, v, indices, rest="drop")
    with pytest.raises(ValueError, match=r"teacher_indices must be int64 .*torch.float32"):
        top_k_soft_target_loss(z, v, indices.float(), rest="renormalise")
    with pytest.raises(ValueError, match="teacher_values must have shape"):
        top_k_soft_target_loss(z, torch.zeros(4, 6), torch.zeros(4, 6, dtype=torch.int64), rest="renormalise")


# ---- a yes or no each ----


@pytest.mark.parametrize("shape", [(16,), (16, 1), (16, 4)])
def test_yes_or_no_by_definition(shape):
    z, v = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p, q = (v / 3).sigmoid(), (z / 3).sigmoid()
    expected = 9 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    assert binary_soft_target_loss(z, v, 3).item() == pytest.approx(expected.item())
    assert binary_soft_target_loss(v, v, 3).item() == 0
    assert math.isfinite(binary_soft_target_loss(1e4 * z, v, 1).item())
