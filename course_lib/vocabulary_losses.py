"""Distillation losses for outputs that are not whole rows of logits: a large vocabulary's linear head and the loss in one, the
k largest of a teacher's logits, and logits that are each a yes or no of their own. Symbols as in `losses`."""

import math

import torch
from torch import Tensor

from course_lib import losses
from course_lib.loss_blocks import in_blocks, knows
from course_lib.losses import soft_target_loss

BLOCK = 2**20  # logits that exist at a time


def linear_distillation_loss(
    student_hidden: Tensor,
    student_weight: Tensor,
    teacher_hidden: Tensor,
    teacher_weight: Tensor,
    labels: Tensor,
    T: float = 2.0,
    alpha: float = 0.5,
    *,
    student_bias: Tensor | None = None,
    teacher_bias: Tensor | None = None,
    divergence: str = "forward",
    beta: float = 0.5,
    ignore_index: int = -100,
) -> Tensor:
    """`distillation_loss` of `hidden @ weight.T + bias`, block by block of rows: the logits never exist as a whole.

    student_hidden: (..., d), teacher_hidden: (..., D); student_weight: (num_classes, d), teacher_weight: (num_classes, D), both
    as in torch.nn.Linear; biases: (num_classes,). labels and the rest as in `distillation_loss`; with alpha=1 the labels only
    say which rows count. Gradients reach student_hidden, student_weight and student_bias; they are made with the value and
    kept, so that no logits are needed again. There are no second derivatives, and torch.func and compilers are not served:
    use `distillation_loss` there. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    alpha, T = losses.check_alpha(alpha), losses.check_temperature(T)
    entry = losses.find_divergence(divergence, beta)
    if not knows(entry):
        raise ValueError(f"divergence must have a gradient in its table here; {divergence!r} has none")
    for whose, hidden, weight, bias in (
        ("student", student_hidden, student_weight, student_bias),
        ("teacher", teacher_hidden, teacher_weight, teacher_bias),
    ):
        _check_head(whose, hidden, weight, bias, student_hidden, student_weight)
    rows = student_hidden.new_empty(()).expand(*student_hidden.shape[:-1], len(student_weight))  # a shape, no logits
    mask = losses._label_mask(labels, rows, ignore_index)
    mask = torch.ones_like(labels, dtype=torch.bool) if mask is None else mask
    teacher = teacher_hidden.detach(), teacher_weight.detach(), None if teacher_bias is None else teacher_bias.detach()
    shares = {name: share for name, share in (("soft", alpha), ("hard", 1 - alpha)) if share}
    return _Linear.apply(
        student_hidden, student_weight, student_bias, teacher, labels.flatten(), mask.flatten(), shares, T, entry
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, teacher, labels, mask, shares, *settings):
        h, teacher_h = (x.reshape(-1, x.shape[-1]) for x in (hidden, teacher[0]))
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total = h.new_zeros((), dtype=wide)
        d_hidden, d_weight = torch.zeros_like(h, dtype=wide), torch.zeros_like(weight, dtype=wide)
        d_bias = None if bias is None else torch.zeros_like(bias, dtype=wide)
        step = max(1, BLOCK // len(weight))
        for start in range(0, len(h), step):
            at = slice(start, start + step)
            z = torch.nn.functional.linear(h[at], weight, bias)
            v = torch.nn.functional.linear(teacher_h[at], *teacher[1:])
            terms, gradient = in_blocks(wide, z, v, labels[at], mask[at], shares, *settings)
            total += losses._summed(terms, shares, 1)
            gradient = gradient.to(wide)
            d_hidden[at] = gradient @ weight.to(wide)
            d_weight.addmm_(gradient.T, h[at].to(wide))
            if bias is not None:
                d_bias += gradient.sum(0)
        count = mask.sum().clamp(min=1)
        made = [None if x is None else x.div_(count) for x in (d_hidden, d_weight, d_bias)]
        ctx.save_for_backward(*made)
        ctx.like = hidden, weight, bias
        ctx.shape = hidden.shape
        return total / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        made = [None if x is None else (grad * x).to(y.dtype) for x, y in zip(ctx.saved_tensors, ctx.like, strict=True)]
        return made[0].view(ctx.shape), *made[1:], None, None, None, None, None, None


def top_k_soft_target_loss(
    student_logits: Tensor,
    teacher_values: Tensor,
    teacher_indices: Tensor,
    T: float = 2.0,
    *,
    rest: str,
    bucket: Tensor | None = None,
    divergence: str = "forward",
    beta: float = 0.5,
    mask: Tensor | None = None,
) -> Tensor:
    """`soft_target_loss` where of the teacher's logits only the k largest are there.

    student_logits: (..., num_classes); teacher_values, floating point, and teacher_indices, int64, both (..., k), as torch.topk
    gives them. rest says what becomes of the other classes. "renormalise": the teacher gives them probability 0, and to the k
    all of it, which is biased towards them (and makes the reverse divergence infinite). "bucket": they count as one class, for
    both; exact for two distributions that agree on how the bucket is shared out, and below the whole divergence for others.
    bucket: (...), that one class's logit, T · logsumexp(others / T); if teacher_values are log-probabilities and T = 1, it
    is log1p(-exp(teacher_values).sum(-1)). Raises TypeError or ValueError, naming the argument that is wrong.
    """
    losses._check_logits("student_logits", student_logits, least=2)
    losses.check_temperature(T)
    losses._check_choice("rest", rest, ("bucket", "renormalise"))
    _check_top_k(student_logits, teacher_values, teacher_indices)
    if (rest == "bucket") != (bucket is not None):
        raise ValueError(
            "bucket goes with rest='bucket', which needs it: the one logit of all others, T * logsumexp(others / T); "
            f"got bucket={'a tensor' if bucket is not None else None} with rest={rest!r}"
        )
    options = {"divergence": divergence, "beta": beta, "mask": mask}
    if bucket is None:
        everywhere = torch.full_like(student_logits, -math.inf, dtype=teacher_values.dtype)
        return soft_target_loss(student_logits, everywhere.scatter(-1, teacher_indices, teacher_values), T, **options)
    if bucket.shape != student_logits.shape[:-1]:
        raise ValueError(f"bucket must have shape {tuple(student_logits.shape[:-1])}, got {tuple(bucket.shape)}")
    z = student_logits.to(torch.promote_types(student_logits.dtype, torch.float32))
    indices = teacher_indices.clone()  # autograd refuses to keep what inference_mode made
    others = z.scatter(-1, indices, -math.inf)
    z = torch.cat([z.gather(-1, indices), T * torch.logsumexp(others / T, -1, keepdim=True)], -1)
    return soft_target_loss(z, torch.cat([teacher_values, bucket[..., None].to(teacher_values.dtype)], -1), T, **options)


def binary_soft_target_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    T: float = 2.0,
    *,
    divergence: str = "forward",
    beta: float = 0.5,
    mask: Tensor | None = None,
) -> Tensor:
    """`soft_target_loss` where each logit is a yes or no of its own, of probability sigmoid(logit / T).

    For one logit per example, (B,) or (B, 1), and for tasks of many labels, (B, C): every logit counts as a row of two classes.
    mask: bool, of the logits' shape.
    """
    for name, logits in (("student_logits", student_logits), ("teacher_logits", teacher_logits)):
        losses._check_logits(name, logits)
    z, v = (torch.stack([x, torch.zeros_like(x)], -1) for x in (student_logits, teacher_logits))
    return soft_target_loss(z, v, T, divergence=divergence, beta=beta, mask=mask)


def _check_head(whose: str, hidden, weight, bias, student_hidden: Tensor, student_weight: Tensor) -> None:
    losses._check_logits(f"{whose}_hidden", hidden)
    losses._check_logits(f"{whose}_weight", weight)
    classes = len(student_weight)
    if hidden.shape[:-1] != student_hidden.shape[:-1]:
        raise ValueError(
            "student_hidden and teacher_hidden must have the same shape but for the last dimension, "
            f"got {tuple(student_hidden.shape)} and {tuple(hidden.shape)}"
        )
    if weight.shape != (classes, hidden.shape[-1]) or classes < 2:
        raise ValueError(
            f"{whose}_weight must have shape (num_classes, {hidden.shape[-1]}), with at least two classes and as many for the "
            f"teacher as for the student; got {tuple(weight.shape)}"
        )
    if bias is not None and bias.shape != (classes,):
        raise ValueError(f"{whose}_bias must have shape ({classes},), got {tuple(bias.shape)}")


def _check_top_k(student_logits: Tensor, values: Tensor, indices: Tensor) -> None:
    losses._check_logits("teacher_values", values)
    if values.shape[:-1] != student_logits.shape[:-1] or values.shape[-1] >= student_logits.shape[-1]:
        raise ValueError(
            f"teacher_values must have shape {(*student_logits.shape[:-1], 'k')} with k below the {student_logits.shape[-1]} "
            f"classes, got {tuple(values.shape)}"
        )
    if not isinstance(indices, Tensor) or indices.shape != values.shape or indices.dtype != torch.int64:
        what = f"{tuple(indices.shape)}, {indices.dtype}" if isinstance(indices, Tensor) else type(indices).__name__
        raise ValueError(f"teacher_indices must be int64 of the shape of teacher_values, {tuple(values.shape)}; got {what}")
