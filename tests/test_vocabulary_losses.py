"""The linear head with the loss, top-k teachers and yes-or-no logits, against `distillation_loss` and definitions."""

import math
import re
import warnings
import weakref
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad
from torch.func import grad, jvp, vmap

from course_lib import vocabulary_losses
from course_lib.losses import distillation_loss, soft_target_loss
from course_lib.vocabulary_losses import (
    binary_soft_target_loss,
    linear_distillation_loss,
    top_k_soft_target_loss,
    top_k_targets,
)

INF = math.inf


def pair(*shape, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    return (scale * torch.randn(2, *shape, generator=generator, dtype=torch.float64)).to(dtype).unbind()


def both(loss, *given):
    """Return the loss of copies of the given tensors, and its gradients by these."""
    given = [x.detach().clone().requires_grad_() for x in given]
    value = loss(*given)
    return value.detach(), *torch.autograd.grad(value, given)


# ---- the head and the loss in one ----


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


def whole(student, teacher, labels, *settings, **options):
    """`distillation_loss` of the logits, (hidden, weight, bias or no bias) each."""
    return distillation_loss(F.linear(*student), F.linear(*teacher), labels, *settings, **options)


def in_one(student, teacher, labels, *settings, **options):
    biases = {f"{whose}_bias": head[2] for whose, head in (("student", student), ("teacher", teacher)) if len(head) > 2}
    return linear_distillation_loss(*student[:2], *teacher[:2], labels, *settings, **biases, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [0, 0.3, 1])
def test_the_terms_are_returned_for_the_record_whatever_their_share(monkeypatch, alpha, dtype):
    monkeypatch.setattr(vocabulary_losses, "BLOCK", 25)
    student, teacher, labels = heads(dtype)
    student[0].requires_grad_()
    found, expected = (way(student, teacher, labels, 3, alpha, return_terms=True) for way in (in_one, whole))
    torch.testing.assert_close(found, expected)
    assert [each.requires_grad for each in found] == [True, False, False]
    alone = in_one(student, teacher, labels, 3, alpha)
    torch.testing.assert_close(alone, found[0])
    torch.testing.assert_close(*(torch.autograd.grad(loss, student[0])[0] for loss in (alone, found[0])))


def test_an_infinite_term_without_a_share_is_returned_and_spoils_nothing():
    student, teacher, labels = heads()
    teacher[2][3] = -INF
    labels = labels.where(labels != 3, 4)

    def hard_alone(*student):
        loss, soft, hard = in_one(student, teacher, labels, 2, 0, divergence="reverse", return_terms=True)
        assert soft == INF
        assert loss == hard
        return loss

    torch.testing.assert_close(
        both(hard_alone, *student), both(lambda *student: whole(student, teacher, labels, 2, 0), *student)
    )


def test_second_derivatives_are_refused_not_dropped():
    student, teacher, labels = heads()
    student[0].requires_grad_()
    with pytest.raises(RuntimeError, match=r"no second derivatives .*distillation_loss has them"):
        torch.autograd.grad(in_one(student, teacher, labels), student[0], create_graph=True)


def test_what_torch_func_and_forward_mode_ask_for_is_refused():
    (h, weight, _), (teacher_h, teacher_weight, _), labels = heads()

    def of_hidden(h):
        return linear_distillation_loss(h, weight, teacher_h, teacher_weight, labels)

    def of_teacher(teacher_h):
        return linear_distillation_loss(h, weight, teacher_h, teacher_weight, labels)

    for refused in (
        lambda: grad(of_hidden)(h),
        lambda: vmap(of_hidden)(h[None]),
        lambda: vmap(of_teacher)(teacher_h[None]),
        lambda: vmap(lambda factor: factor * of_hidden(h))(h[0, 0]),
        lambda: jvp(of_hidden, (h,), (h,)),
        lambda: jvp(of_teacher, (teacher_h,), (teacher_h,)),
    ):
        with pytest.raises(RuntimeError):
            refused()
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="no forward mode"):
        of_hidden(forward_ad.make_dual(h, h))


def test_a_compiler_leaves_it_as_it_is():
    student, teacher, labels = heads()
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(lambda *student: 2 * in_one(student, teacher, labels), backend="eager")
        found = both(compiled, *student)
        student[0].requires_grad_()
        with pytest.raises(RuntimeError, match="no second derivatives"):
            torch.autograd.grad(compiled(*student), student[0], create_graph=True)
    torch._dynamo.reset()
    torch.testing.assert_close(found, both(lambda *student: 2 * whole(student, teacher, labels), *student))


def test_under_autocast(monkeypatch):
    monkeypatch.setattr(vocabulary_losses, "BLOCK", 25)
    student, teacher, labels = heads(torch.float32)
    dtypes, linear = [], F.linear
    for hidden in (student[0], student[0].bfloat16()):  # an earlier layer's output may be in autocast's dtype already
        with torch.autocast("cpu", torch.bfloat16):
            monkeypatch.setattr(F, "linear", lambda *given: dtypes.extend(x.dtype for x in given) or linear(*given))
            found = both(lambda *student: in_one(student, teacher, labels), hidden, *student[1:])
            monkeypatch.setattr(F, "linear", linear)
            expected = both(lambda *student: whole(student, teacher, labels), hidden, *student[1:])
        torch.testing.assert_close(found, expected, rtol=0.02, atol=1e-3)
        assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-6)
        rounded = [torch.equal(gradient, gradient.bfloat16().to(gradient.dtype)) for gradient in found[1:]]
        assert rounded == [hidden.dtype == torch.bfloat16, False, False]  # as the tensors are, and no more than that
    assert set(dtypes) == {torch.bfloat16}  # cast already, not at every block


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_the_teacher_may_be_of_a_wider_dtype(dtype):
    student, teacher, labels = heads(dtype)[0], *heads(torch.float64)[1:]
    found, expected = (both(lambda *student, way=way: way(student, teacher, labels), *student) for way in (in_one, whole))
    assert found[0].dtype == expected[0].dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-2 if dtype == torch.float16 else 1e-5, atol=1e-3)


def test_a_loss_scale_comes_before_the_rounding_to_half_precision():
    student, teacher, labels = heads(torch.float16)
    student = [x.requires_grad_() for x in student]
    loss = in_one(student, teacher, labels)
    kept = loss.grad_fn.saved_tensors
    assert {x.dtype for x in kept} == {torch.float32}
    for gradient, its_kept in zip(torch.autograd.grad(1000 * loss, student), kept, strict=True):
        assert torch.equal(gradient, (1000 * its_kept).half())


def test_what_stands_in_ignored_rows_is_never_read():
    student, teacher, labels = heads()
    expected = both(lambda *student: in_one(student, teacher, labels), *student)
    student[0][0, 1] = teacher[0][0, 1] = math.nan
    torch.testing.assert_close(both(lambda *student: in_one(student, teacher, labels), *student), expected)


def test_every_row_ignored_or_no_row_gives_zeros_that_backpropagate():
    student, teacher, labels = heads()
    for given in (labels, labels[:0]):
        hidden, teacher_hidden = student[0][: len(given)], teacher[0][: len(given)]
        ignored = torch.full_like(given, -100)

        def all_three(*student, teacher_hidden=teacher_hidden, ignored=ignored):
            terms = in_one(student, (teacher_hidden, *teacher[1:]), ignored, return_terms=True)
            assert terms == (0, 0, 0)
            return terms[0]

        assert all(not gradient.any() for gradient in both(all_three, hidden, *student[1:]))


def test_one_row_without_a_batch():
    student, teacher, labels = heads()
    student[0], teacher[0] = student[0][0, 0], teacher[0][0, 0]
    found, expected = (both(lambda *student, way=way: way(student, teacher, labels[0, 0]), *student) for way in (in_one, whole))
    torch.testing.assert_close(found, expected)


def test_a_teacher_and_labels_that_inference_mode_made():
    student, teacher, labels = heads()
    with torch.inference_mode():
        inferred, its_labels = [x.clone() for x in teacher], labels.clone()
        assert in_one(student, teacher, labels) == in_one(student, inferred, its_labels)
    expected = both(lambda *student: in_one(student, teacher, labels), *student)
    torch.testing.assert_close(both(lambda *student: in_one(student, inferred, its_labels), *student), expected)


def test_only_those_gradients_are_made_that_are_wanted(monkeypatch):
    made, in_blocks = [], vocabulary_losses.in_blocks

    def spying(*given):
        terms, gradient = in_blocks(*given)
        made.append(gradient is not None)
        return terms, gradient

    monkeypatch.setattr(vocabulary_losses, "in_blocks", spying)
    student, teacher, labels = heads()
    assert not in_one(student, teacher, labels).requires_grad
    student = [x.requires_grad_() for x in student]
    with torch.no_grad():
        assert not in_one(student, teacher, labels).requires_grad
    assert made == [False, False]
    for trained in range(3):
        given = [x.detach().requires_grad_(at == trained) for at, x in enumerate(student)]
        loss = in_one(given, teacher, labels)  # held: what it saved goes with it
        kept = loss.grad_fn.saved_tensors
        assert [x is not None for x in kept] == [at == trained for at in range(3)]


def test_the_hidden_states_are_let_go_after_backward():
    student, teacher, labels = heads()
    student[0].requires_grad_()
    hidden = student[0] + 1
    alive = weakref.ref(hidden)
    loss = in_one([hidden, *student[1:]], teacher, labels)
    loss.backward()
    assert alive() is not None
    del hidden
    assert alive() is None
    assert loss.requires_grad


def test_wrong_heads():
    student, teacher, labels = heads()
    with pytest.raises(ValueError, match=r"teacher_weight must have shape \(num_classes, d\), here \(11, 5\); got \(10, 5\)"):
        linear_distillation_loss(*student[:2], teacher[0], teacher[1][:10], labels)
    with pytest.raises(ValueError, match="teacher_hidden must have but for the last dimension the shape of student_hidden, "):
        linear_distillation_loss(*student[:2], teacher[0][:1], teacher[1], labels)
    with pytest.raises(ValueError, match=r"student_bias must have shape \(11,\); got \(3,\)"):
        linear_distillation_loss(*student[:2], *teacher[:2], labels, student_bias=torch.zeros(3, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"labels must lie in 0..10 .*got 20"):
        linear_distillation_loss(*student[:2], *teacher[:2], labels.masked_fill(labels == labels.max(), 20))
    with pytest.raises(ValueError, match="the student's logits must have two classes or more"):
        linear_distillation_loss(student[0], student[1][:1], teacher[0], teacher[1][:1], labels)


@pytest.mark.parametrize("whose", ["student", "teacher"])
@pytest.mark.parametrize("at", [1, 2])
def test_one_model_is_of_one_dtype_but_under_autocast(whose, at):
    given = dict(zip(("student", "teacher"), heads(torch.float32)[:2], strict=True))
    name, given[whose][at] = f"{whose}_{('weight', 'bias')[at - 1]}", given[whose][at].bfloat16()
    with pytest.raises(ValueError, match=f"{name} must have the dtype of {whose}_hidden, torch.float32; got torch.bfloat16"):
        in_one(*given.values(), heads()[2])
    with torch.autocast("cpu", torch.bfloat16):
        assert in_one(*given.values(), heads()[2]).isfinite()
        given[whose][at] = given[whose][at].double()
        with pytest.raises(ValueError, match=f"{name} must have the dtype of {whose}_hidden, torch.float32; got torch.float64"):
            in_one(*given.values(), heads()[2])


@pytest.mark.parametrize("whose", ["student", "teacher"])
def test_biases_that_are_no_tensors(whose):
    student, teacher, labels = heads()
    for bias in ([0.0] * 11, torch.zeros(11).numpy(), 0):
        with pytest.raises(TypeError, match=f"{whose}_bias must be a torch.Tensor, got {type(bias).__name__}"):
            linear_distillation_loss(*student[:2], *teacher[:2], labels, **{f"{whose}_bias": bias})
    with pytest.raises(ValueError, match=f"{whose}_bias must be floating point, got dtype torch.int64"):
        linear_distillation_loss(*student[:2], *teacher[:2], labels, **{f"{whose}_bias": torch.zeros(11, dtype=torch.int64)})


@pytest.mark.parametrize("name", ["student_weight", "student_bias", "teacher_hidden", "teacher_weight", "teacher_bias"])
def test_heads_on_different_devices(name):
    student, teacher, labels = heads()
    parts = ("hidden", "weight", "bias")
    given = {
        f"{w}_{p}": x for w, head in (("student", student), ("teacher", teacher)) for p, x in zip(parts, head, strict=True)
    }
    given[name] = given[name].to("meta")
    with pytest.raises(ValueError, match=f"{name} must have the device of student_hidden, cpu; got meta"):
        linear_distillation_loss(labels=labels, **given)


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


def of_top_k(v, k, T, rest="bucket"):
    """Return what `top_k_soft_target_loss` takes beside the student's logits, made of the teacher's v."""
    values, indices, bucket = top_k_targets(v, k, T)
    its_bucket = bucket if rest == "bucket" else None
    return {"teacher_values": values, "teacher_indices": indices, "T": T, "rest": rest, "bucket": its_bucket}


@pytest.mark.parametrize("rest", ["bucket", "renormalise"])
def test_the_whole_vocabulary_may_be_among_the_top_k(rest):
    z, v = pair(4, 6)
    assert torch.equal(top_k_targets(v, 6)[2], torch.full((4,), -INF, dtype=torch.float64))
    found = both(lambda z: top_k_soft_target_loss(z, **of_top_k(v, 6, 3, rest)), z)
    torch.testing.assert_close(found, both(lambda z: soft_target_loss(z, v, 3), z))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_targets_by_definition(dtype):
    v, T = pair(3, 4, 6, dtype=dtype)[0].requires_grad_(), 3
    values, indices, bucket = top_k_targets(v, 2, T)
    assert torch.equal(values, v.gather(-1, indices))
    assert [x.dtype for x in (values, indices, bucket)] == [dtype, torch.int64, torch.promote_types(dtype, torch.float32)]
    assert not values.requires_grad
    assert not bucket.requires_grad
    expected = T * (v / T).double().exp().scatter(-1, indices, 0).sum(-1).log()
    torch.testing.assert_close(bucket.double(), expected, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)


@pytest.mark.parametrize("T", [0.05, 1, 2, Fraction(5, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_targets_of_confident_teachers(dtype, T):
    z, v = pair(8, 6, dtype=dtype, scale=60)
    found = both(lambda z: top_k_soft_target_loss(z, **of_top_k(v, 5, T)), z)  # all but one: nothing is left out
    torch.testing.assert_close(found, both(lambda z: soft_target_loss(z, v, T), z))
    assert torch.equal(top_k_targets(v + 2000, 5, T)[2], (v + 2000).amin(-1))
    loss, gradient = both(lambda z: top_k_soft_target_loss(z, **of_top_k(v, 2, T)), z)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_the_recipe_for_log_probabilities_alone_does_for_confident_teachers():
    recipe = re.search(r"\(1 - teacher_values.*?\.log\(\)", top_k_soft_target_loss.__doc__).group()
    for scale in (1, 10, 100):
        z, v = pair(64, 6, dtype=torch.float32, scale=scale)
        values, indices = v.log_softmax(-1).topk(2)
        bucket = eval(recipe, {"teacher_values": values})
        given = {"teacher_values": values, "teacher_indices": indices, "T": 1, "rest": "bucket", "bucket": bucket}
        found, gradient = both(lambda z, given=given: top_k_soft_target_loss(z, **given), z)
        assert gradient.isfinite().all()
        assert found.item() == pytest.approx(top_k_soft_target_loss(z, **of_top_k(v, 2, 1)).item(), rel=1e-4)


def test_a_bucket_keeps_the_digits_that_the_values_lack():
    z = pair(4, 6, dtype=torch.float32)[0]
    values, indices = torch.tensor([2.0, -1]).expand(4, 2), torch.tensor([3, 1]).expand(4, 2)
    bucket = torch.full((4,), 0.123456)
    half = top_k_soft_target_loss(z, values.half(), indices, rest="bucket", bucket=bucket)
    assert half == top_k_soft_target_loss(z, values, indices, rest="bucket", bucket=bucket)
    wide = top_k_soft_target_loss(z, values.double(), indices, rest="bucket", bucket=bucket)
    assert wide == top_k_soft_target_loss(z.double(), values.double(), indices, rest="bucket", bucket=bucket)


@pytest.mark.parametrize("rest", ["bucket", "renormalise"])
@pytest.mark.parametrize("inferred", [True, False])
@pytest.mark.parametrize("bad", [math.nan, INF])
def test_what_stands_in_masked_rows_is_never_read(rest, inferred, bad):
    z, v = pair(4, 6)
    given = of_top_k(v, 2, 3, rest)
    mask = torch.tensor([True, False, True, False])
    less = {name: x[mask] if isinstance(x, torch.Tensor) else x for name, x in given.items()}
    expected, gradient = both(lambda z: top_k_soft_target_loss(z, **less), z[mask])
    z[~mask] = bad
    z[1, 2] = 1.0
    with torch.inference_mode(inferred):
        given = {name: x.clone() if isinstance(x, torch.Tensor) else x for name, x in given.items()}
        mask = mask.clone()
        given["teacher_values"][~mask] = bad
        given["teacher_indices"][~mask] = -1
        if rest == "bucket":
            given["bucket"][~mask] = bad
    found, its_gradient = both(lambda z: top_k_soft_target_loss(z, **given, mask=mask), z)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(its_gradient[mask], gradient)
    assert not its_gradient[~mask].any()


@pytest.mark.parametrize("k", [2, 3, 4])
def test_a_vocabulary_with_padding_at_minus_infinity(k):
    z, v = pair(4, 6)
    z[:, 3:], v[:, 3:] = -INF, -INF  # three classes are left; with k = 3 the bucket has those at -inf alone
    found = both(lambda z: top_k_soft_target_loss(z, **of_top_k(v, k, 3)), z)
    if k > 2:
        torch.testing.assert_close(found, both(lambda z: soft_target_loss(z, v, 3), z))
    assert all(x.isfinite().all() for x in found)
    assert not found[1][:, 3:].any()


def test_what_the_teacher_gives_a_bucket_that_the_student_has_at_minus_infinity():
    z, v = pair(4, 6)
    z[:, 3:] = -INF
    indices = torch.arange(3).expand(4, 3)
    assert top_k_soft_target_loss(z, v[:, :3], indices, rest="bucket", bucket=v[:, 3]) == INF


def test_indices_out_of_range_and_twice():
    z, v = pair(4, 6)
    for bad in (-1, 6):
        indices = torch.tensor([[0, 1], [5, 2], [3, bad], [2, 1]])
        with pytest.raises(ValueError, match=rf"teacher_indices must lie in 0\.\.5, .*got {bad}$"):
            top_k_soft_target_loss(z, v[:, :2], indices, rest="renormalise")
    indices[2] = 4
    with pytest.raises(ValueError, match=r"teacher_indices must lie in 0\.\.5, each at most once in a row; got 4 twice"):
        top_k_soft_target_loss(z, v[:, :2], indices, rest="bucket", bucket=v[:, 2])
    mask = torch.tensor([True, True, False, True])
    for rest, bucket in (("bucket", v[:, 2]), ("renormalise", None)):
        assert top_k_soft_target_loss(z, v[:, :2], indices, rest=rest, bucket=bucket, mask=mask).isfinite()
    nothing = v[:0, :2], indices[:0]
    assert top_k_soft_target_loss(z[:0], *nothing, rest="renormalise") == 0


@pytest.mark.parametrize("rest", ["bucket", "renormalise"])
def test_top_k_under_torch_func_and_compilers(rest):
    z, v = pair(4, 6)
    given = of_top_k(v, 2, 3.0, rest)
    names = [name for name, x in given.items() if isinstance(x, torch.Tensor)]
    settings = {name: x for name, x in given.items() if name not in names}

    def loss(z, *tensors):
        return top_k_soft_target_loss(z, **dict(zip(names, tensors, strict=True)), **settings)

    tensors = [given[name] for name in names]
    value, gradient = both(lambda z: loss(z, *tensors), z)
    torch.testing.assert_close(vmap(grad(loss))(z, *tensors) / 4, gradient)
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(both(lambda z: compiled(z, *tensors), z), (value, gradient))
    torch._dynamo.reset()
    assert torch.autograd.gradgradcheck(lambda z: loss(z, *tensors), z.requires_grad_())


@pytest.mark.parametrize("name", ["teacher_values", "teacher_indices", "bucket"])
def test_a_top_k_on_another_device(name):
    z, v = pair(4, 6)
    given = of_top_k(v, 2, 3)
    given[name] = given[name].to("meta")
    with pytest.raises(ValueError, match=f"{name} must have the device of student_logits, cpu; got meta"):
        top_k_soft_target_loss(z, **given)


def test_wrong_top_k():
    z, v = torch.zeros(4, 6), torch.zeros(4, 2)
    indices = torch.arange(2).expand(4, 2)
    with pytest.raises(ValueError, match="bucket goes with rest='bucket', which needs it"):
        top_k_soft_target_loss(z, v, indices, rest="bucket")
    with pytest.raises(ValueError, match="rest must be one of 'bucket', 'renormalise'; got 'drop'"):
        top_k_soft_target_loss(z, v, indices, rest="drop")
    with pytest.raises(ValueError, match=r"teacher_indices must have dtype torch\.int64; got torch\.float32"):
        top_k_soft_target_loss(z, v, indices.float(), rest="renormalise")
    with pytest.raises(ValueError, match=r"teacher_indices must have the shape of teacher_values, \(4, 2\); got \(4, 1\)"):
        top_k_soft_target_loss(z, v, indices[:, :1], rest="renormalise")
    with pytest.raises(TypeError, match=r"teacher_indices must be a torch\.Tensor, got list"):
        top_k_soft_target_loss(z, v, indices.tolist(), rest="renormalise")
    with pytest.raises(
        ValueError, match=r"teacher_values must have shape \(..., k\), k at most 6, as in \(4, 6\); got \(4, 7\)"
    ):
        top_k_soft_target_loss(z, torch.zeros(4, 7), torch.arange(7).expand(4, 7), rest="renormalise")
    for bucket in ([0.0] * 4, torch.zeros(4).numpy(), 0):
        with pytest.raises(TypeError, match=f"bucket must be a torch.Tensor, got {type(bucket).__name__}"):
            top_k_soft_target_loss(z, v, indices, rest="bucket", bucket=bucket)
    with pytest.raises(ValueError, match=r"bucket must have shape \(4,\); got \(4, 1\)"):
        top_k_soft_target_loss(z, v, indices, rest="bucket", bucket=torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"mask must have dtype torch\.bool, got torch\.float32"):
        top_k_soft_target_loss(z, v, indices, rest="renormalise", mask=torch.ones(4))


def test_wrong_targets():
    for k in (0, 7):
        with pytest.raises(ValueError, match=f"k must lie in 1..6, the number of classes; got {k}"):
            top_k_targets(torch.zeros(4, 6), k)
    with pytest.raises(TypeError, match="k must be an int, got float"):
        top_k_targets(torch.zeros(4, 6), 2.0)
    with pytest.raises(ValueError, match="T must be a finite number above 0"):
        top_k_targets(torch.zeros(4, 6), 2, 0)
    with pytest.raises(ValueError, match="teacher_logits must have two classes or more"):
        top_k_targets(torch.zeros(4, 1), 1)


# ---- a yes or no each ----


@pytest.mark.parametrize("shape", [(16,), (16, 1), (16, 4)])
def test_yes_or_no_by_definition(shape):
    z, v = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p, q = (v / 3).sigmoid(), (z / 3).sigmoid()
    expected = 9 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    assert binary_soft_target_loss(z, v, 3).item() == pytest.approx(expected.item())
    assert binary_soft_target_loss(v, v, 3).item() == 0
    assert math.isfinite(binary_soft_target_loss(1e4 * z, v, 1).item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_teacher_that_is_certain_of_a_yes_or_no(dtype):
    z, _ = pair(6, dtype=dtype)
    v = torch.tensor([INF, -INF] * 3, dtype=dtype)
    found = both(lambda z: binary_soft_target_loss(z, v, 3), z)
    torch.testing.assert_close(found, both(lambda z: 9 * F.softplus(torch.where(v > 0, -z, z) / 3).mean(), z))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_yes_or_no_of_logit_0_and_of_equal_logits(dtype):
    z, v = torch.zeros(2, dtype=dtype), torch.tensor([0, 1.5], dtype=dtype)
    gradient = both(lambda z: binary_soft_target_loss(z, v, 1), z)[1]
    torch.testing.assert_close(gradient, (z.sigmoid() - v.sigmoid()) / 2)
    many = pair(64, dtype=dtype, scale=30)[0]
    for T in (0.1, 1, 1000):
        assert binary_soft_target_loss(many, many, T) == 0


def test_yes_or_no_of_different_shapes_is_told_with_these():
    with pytest.raises(ValueError, match=r"teacher_logits must have the shape of student_logits, \(4, 2\); got \(4, 3\)"):
        binary_soft_target_loss(torch.zeros(4, 2), torch.zeros(4, 3))
