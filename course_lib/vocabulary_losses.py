"""Distillation losses for outputs that are not whole rows of logits: a large vocabulary's linear head and the loss in one, the
k largest of a teacher's logits, and logits that are each a yes or no of their own. Symbols as in `losses`."""

import math

import torch
from torch import Tensor

from course_lib import losses
from course_lib.loss_blocks import in_blocks, knows

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
    return_terms: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """`distillation_loss` of `hidden @ weight.T + bias`, block by block of rows: the logits never exist as a whole.

    student_hidden: (..., d), teacher_hidden: (..., D); student_weight: (num_classes, d), teacher_weight: (num_classes, D), both
    as in torch.nn.Linear; biases: (num_classes,). All on one device, and of one dtype for each model, but under autocast.
    labels, the rest and what is returned as in `distillation_loss`; with alpha=1 the labels only say which rows count.
    Gradients reach student_hidden, student_weight and student_bias, as far as these require them; they are made with the value
    and kept, so that no logits are needed again. Second derivatives, torch.func, forward mode and compilers with fullgraph=True
    raise RuntimeError: `distillation_loss` serves those. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    alpha, T = losses.check_alpha(alpha), losses.check_temperature(T)
    entry = losses.find_divergence(divergence, beta)
    if not knows(entry):
        raise ValueError(f"divergence must have a gradient in its table here; {divergence!r} has none")
    student, teacher = (student_hidden, student_weight, student_bias), (teacher_hidden, teacher_weight, teacher_bias)
    for whose, head in (("student", student), ("teacher", teacher)):
        _check_head(whose, *head, student_hidden, student_weight)
    rows = student_hidden.new_empty(()).expand(*student_hidden.shape[:-1], len(student_weight))  # a shape, no logits
    mask = losses._label_mask(labels, losses._check_logits("the student's logits", rows, least=2), ignore_index)
    mask = torch.ones_like(labels, dtype=torch.bool) if mask is None else mask
    shares = {name: share for name, share in (("soft", alpha), ("hard", 1 - alpha)) if share or return_terms}
    wide, wanted = losses._wide(student_hidden, teacher_hidden), torch.is_grad_enabled()
    made = [x.new_zeros(x.shape, dtype=wide) if wanted and x is not None and x.requires_grad else None for x in student]
    with torch.no_grad():
        loss, *terms = _by_blocks(student, teacher, labels.flatten(), mask.flatten(), shares, T, entry, wide, made)
    loss = _Kept.apply(*student, loss, *made)
    return (loss, *terms) if return_terms else loss


def _by_blocks(student, teacher, labels, mask, shares, T: float, divergence, wide: torch.dtype, made: list) -> list[Tensor]:
    """Return loss and mean terms, scalars of dtype wide; add the gradients to made: zeros like the student's three, or None."""
    d_hidden, d_weight, d_bias = (x if x is None else x.view(-1, x.shape[-1]) for x in made)
    wide_weight = None if d_hidden is None else student[1].to(wide)
    student, teacher = ([x if x is None else x.to(_dtype_in_linear(x)) for x in head] for head in (student, teacher))
    h, teacher_h = (x[0].reshape(-1, x[0].shape[-1]) for x in (student, teacher))
    count, with_gradient = mask.sum().clamp(min=1), any(x is not None for x in made)
    totals, step = {name: h.new_zeros((), dtype=wide) for name in shares}, max(1, BLOCK // len(student[1]))
    for start in range(0, len(h), step):
        at = slice(start, start + step)
        # What stands in a row that does not count, NaN included, must not touch the weight's gradient: 0 times NaN is NaN.
        its_h, its_teacher_h = (torch.where(mask[at, None], x[at], 0) for x in (h, teacher_h))
        z = torch.nn.functional.linear(its_h, *student[1:])
        v = torch.nn.functional.linear(its_teacher_h, *teacher[1:])
        terms, gradient = in_blocks(wide, z, v, labels[at], mask[at], shares, T, divergence, with_gradient, count)
        totals = {name: totals[name] + rows.sum() for name, rows in terms.items()}
        # In place autocast leaves the dtype alone: what half precision loses here, a loss scale would not bring back.
        if d_hidden is not None:
            d_hidden[at].addmm_(gradient, wide_weight)
        if d_weight is not None:
            d_weight.addmm_(gradient.T, its_h.to(wide))
        if d_bias is not None:
            d_bias += gradient.sum(0)
    return [x.to(wide) for x in (losses._summed(totals, shares, count), *(total / count for total in totals.values()))]


class _Kept(torch.autograd.Function):
    """loss, whose gradients by the student's three tensors were made with it: backward needs nothing else."""

    @staticmethod
    def forward(ctx, hidden, weight, bias, loss, *made):
        ctx.save_for_backward(*made)
        ctx.dtypes = [None if x is None else x.dtype for x in (hidden, weight, bias)]  # and not the tensors: they may go
        return loss.clone()

    @staticmethod
    def backward(ctx, grad):
        if torch.is_grad_enabled():  # once_differentiable would say so only where the incoming gradient requires one itself
            raise RuntimeError("linear_distillation_loss has no second derivatives (create_graph); distillation_loss has them")
        made = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        return *(None if x is None else (grad * x).to(dtype) for x, dtype in made), None, None, None, None

    @staticmethod
    def jvp(ctx, *tangents):  # its being there keeps compilers from tracing backward, where grad mode must be seen at run time
        raise RuntimeError("linear_distillation_loss has no forward mode; distillation_loss has")


def top_k_targets(teacher_logits: Tensor, k: int, T: float = 2.0) -> tuple[Tensor, Tensor, Tensor]:
    """What `top_k_soft_target_loss` takes of a teacher at temperature T, (values, indices, bucket), to be saved in its stead.

    teacher_logits: (..., num_classes), floating point, whole rows; 1 <= k <= num_classes. values: (..., k), of the logits'
    dtype, and indices: (..., k), int64, as torch.topk gives them. bucket: (...), at least float32, the one logit of all other
    classes, T · logsumexp(others / T), for this T alone; -inf if there is no other. Raises TypeError or ValueError.
    """
    v, T = losses._check_logits("teacher_logits", teacher_logits, least=2).detach(), losses.check_temperature(T)
    losses._check_type("k", k, int, "an int")
    if not 1 <= k <= v.shape[-1]:
        raise ValueError(f"k must lie in 1..{v.shape[-1]}, the number of classes; got {k}")
    values, indices = v.topk(k)
    return values, indices, _bucket(v.to(losses._wide(v, v)), indices, T)[..., 0]


def _bucket(logits: Tensor, indices: Tensor, T: float) -> Tensor:
    """T · logsumexp(others / T), (..., 1), of the classes not at indices; where all are at -inf, -inf without a gradient."""
    others = logits.scatter(-1, indices, -math.inf)
    top = others.detach().amax(-1, keepdim=True)  # comes off before the division by T, as in soft_targets
    below = torch.where(top == -math.inf, 0, others - top)  # of nothing but -inf the derivative would be NaN
    return top + T * torch.logsumexp(below / T, -1, keepdim=True)


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
    gives them: k at most num_classes, no class twice in a row. rest says what becomes of the other classes. "renormalise": the
    teacher gives them probability 0, and to the k all of it, which is biased towards them (and makes the reverse divergence
    infinite). "bucket": they count as one class, for both; exact for two distributions that agree on how the bucket is shared
    out, and below the whole divergence for others. bucket: (...), that one class's logit at T, as `top_k_targets` gives it. Of
    log-probabilities alone it can be made for T = 1 only: the log of what they leave of 1, in float64, which must not be less
    than their rounding, as in (1 - teacher_values.double().exp().sum(-1)).clamp(min=1e-6).log() for float32. mask: as there.
    Raises TypeError or ValueError, naming the argument that is wrong; indices out of range, as `losses` does with labels.
    """
    z, T = losses._check_logits("student_logits", student_logits, least=2), losses.check_temperature(T)
    losses._check_choice("rest", rest, ("bucket", "renormalise"))
    _check_top_k(z, teacher_values, teacher_indices, bucket, rest)
    values, indices = teacher_values, teacher_indices.clone()  # autograd refuses to keep what inference_mode made
    if mask is not None:
        losses._check_rows("mask", mask, z, torch.bool, "mask.bool()")
        mask = mask.clone()
        z, values, _ = losses._masked(z, values, None, mask)
        indices = torch.where(mask[..., None], indices, torch.arange(indices.shape[-1], device=z.device))
    _check_indices(indices, z.shape[-1] - 1)
    if bucket is None:
        values = torch.full_like(z, -math.inf, dtype=values.dtype).scatter(-1, indices, values)
    else:
        z = z.to(losses._wide(z, values))
        z, values = torch.cat([z.gather(-1, indices), _bucket(z, indices, T)], -1), torch.cat([values, bucket[..., None]], -1)
    return losses.soft_target_loss(z, values, T, divergence=divergence, beta=beta, mask=mask)


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
    The teacher's may be infinite. mask: bool, of the logits' shape. Raises TypeError or ValueError, as `soft_target_loss`.
    """
    for name, logits in (("student_logits", student_logits), ("teacher_logits", teacher_logits)):
        losses._check_logits(name, logits)
    _check_same("teacher_logits", "the shape of student_logits,", tuple(teacher_logits.shape), tuple(student_logits.shape))
    z = torch.stack([student_logits, torch.zeros_like(student_logits)], -1)
    # Of an infinite x the pair (x, 0) would have the maximum inf. A clamp's derivative at 0 is wrong for the student's, though.
    v = torch.stack([teacher_logits.clamp(max=0), (-teacher_logits).clamp(max=0)], -1)
    return losses.soft_target_loss(z, v, T, divergence=divergence, beta=beta, mask=mask)


def _dtype_in_linear(x: Tensor) -> torch.dtype:
    """That to which autocast, where it is on, would cast x at every block; x's own where it is off, or x in float64."""
    kind = x.device.type
    cast = x.dtype != torch.float64 and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if cast else x.dtype


# ---- what may go in ----
def _check_same(name: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise ValueError(f"{name} must have {what} {wanted}; got {found}")


def _check_head(whose: str, hidden, weight, bias, student_hidden: Tensor, student_weight: Tensor) -> None:
    given = {f"{whose}_hidden": hidden, f"{whose}_weight": weight} | ({} if bias is None else {f"{whose}_bias": bias})
    for name, x in given.items():
        losses._check_logits(name, x)
        _check_same(name, "the device of student_hidden,", x.device, student_hidden.device)
        if _dtype_in_linear(x) != _dtype_in_linear(hidden):
            _check_same(name, f"the dtype of {whose}_hidden,", x.dtype, hidden.dtype)
    but_for_d = "but for the last dimension the shape of student_hidden,"
    _check_same(f"{whose}_hidden", but_for_d, tuple(hidden.shape[:-1]), tuple(student_hidden.shape[:-1]))
    classes = len(student_weight)
    _check_same(f"{whose}_weight", "shape (num_classes, d), here", tuple(weight.shape), (classes, hidden.shape[-1]))
    _check_same(f"{whose}_bias", "shape", (classes,) if bias is None else tuple(bias.shape), (classes,))


def _check_top_k(z: Tensor, values: Tensor, indices: Tensor, bucket: Tensor | None, rest: str) -> None:
    losses._check_logits("teacher_values", values)
    losses._check_type("teacher_indices", indices, Tensor, "a torch.Tensor")
    shape = *z.shape[:-1], min(values.shape[-1], z.shape[-1])
    _check_same("teacher_values", f"shape (..., k), k at most {z.shape[-1]}, as in", tuple(values.shape), shape)
    _check_same("teacher_indices", "the shape of teacher_values,", tuple(indices.shape), shape)
    _check_same("teacher_indices", "dtype", indices.dtype, torch.int64)
    if (rest == "bucket") != (bucket is not None):
        got = f"bucket={'a tensor' if bucket is not None else None} with rest={rest!r}"
        raise ValueError(f"bucket goes with rest='bucket', which needs it, as top_k_targets gives it; got {got}")
    if bucket is not None:
        losses._check_logits("bucket", bucket[..., None] if isinstance(bucket, Tensor) else bucket)
        _check_same("bucket", "shape", tuple(bucket.shape), shape[:-1])
    for name, x in (("teacher_values", values), ("teacher_indices", indices), ("bucket", bucket)):
        _check_same(name, "the device of student_logits,", z.device if x is None else x.device, z.device)


def _check_indices(indices: Tensor, last: int) -> None:
    """Raise where one is not in 0..last, or twice in its row, if that can be known without waiting."""
    if torch.compiler.is_compiling() or indices.device.type != "cpu" or not indices.numel():
        return
    try:
        low, high = map(int, indices.aminmax())
    except RuntimeError:  # under vmap nothing can be read
        return
    in_order = indices.sort(-1).values
    twice = in_order[..., 1:][in_order[..., 1:] == in_order[..., :-1]]
    if low < 0 or high > last or len(twice):
        found = low if low < 0 else high if high > last else f"{int(twice[0])} twice"
        raise ValueError(f"teacher_indices must lie in 0..{last}, each at most once in a row; got {found}")
