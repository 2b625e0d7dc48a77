"""Soft targets, the divergences between them, and the distillation loss.

Symbols, as in Hinton, Vinyals & Dean 2015 (arXiv:1503.02531): v are the teacher's logits, z the student's, p and q their
probabilities at temperature T. This module needs nothing but torch and may be copied as it is.

It differs from the usual four lines in two ways. *Accuracy*: a divergence of order (1/T)² that is multiplied by T² afterwards
loses half its digits if it is a difference of logarithms, so no term is taken where it would cancel (`_kl_terms`); and half
precision gives float32, because T² alone may exceed what float16 can hold. *Memory and time*: value and gradient are made in
one go, by blocks of rows that stay in the cache, and only the gradient is kept (`_Rows`).

It runs under autocast, torch.func, torch.compile(fullgraph=True), on the meta device and on what torch.inference_mode made.
Whether labels are in range is read on the CPU alone: no GPU is waited for, which tells of a wrong label by its own assertion.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor


def soft_targets(logits: Tensor, T: float, dim: int = -1) -> Tensor:
    """Probabilities of `logits / T` along `dim` (Hinton et al. 2015, equation 1).

    logits: floating point, any shape with at least one dimension. Returns the same shape and dtype; half precision is
    rounded only at the end. Differentiable. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    _check_logits("logits", logits, dim, least=int(dim == -1))
    check_temperature(T)
    wide = logits.to(_wide(logits, logits))
    # The maximum comes off before the division by T: 2000 / 0.05 would round away what tells two large logits apart.
    top = wide.detach().amax(dim, keepdim=True) if wide.numel() else wide
    return torch.softmax((wide - top) / float(T), dim).to(logits.dtype)


def soft_target_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    T: float = 2.0,
    *,
    divergence: str = "forward",
    beta: float = 0.5,
    mask: Tensor | None = None,
    dim: int = -1,
    reduction: str = "mean",
) -> Tensor:
    """T² times the mean over rows of the divergence between the two softened distributions (Hinton et al. 2015, section 2).

    student_logits, teacher_logits: the same shape, floating point, at least two classes along dim. All other dimensions
    count rows: (B, C) has B, (B, L, V) B·L, (B, C, H, W) with dim=1 B·H·W. mask: bool, of the shape without dim; only rows
    where it is true count. reduction="none" gives T² times each row's divergence, 0 where mask is false (to weight rows).
    divergence: a name in DIVERGENCES. "forward" is KL(p‖q), teacher to student, whose gradient is that of Hinton's
    cross-entropy; "reverse" is KL(q‖p); "jsd" is beta KL(p‖m) + (1 - beta) KL(q‖m) with m = beta p + (1 - beta) q (Lin 1991;
    Agarwal et al. 2023). It goes to 0 towards both ends of beta; at the ends, as in TRL, 0 is "forward" and 1 "reverse".
    "tvd" is the total variation, half the L1 distance: the share of its drafts that speculative decoding rejects (Leviathan
    et al. 2023). All are multiplied by T², which keeps the gradient's size where the divergence is of order 1/T². The total
    variation is of order 1/T: its loss and gradient grow like T.

    Returns a scalar in nats, float32 for half precision and otherwise of the wider input dtype; exactly 0 for equal
    logits. A class at -inf has probability 0: it counts for nothing where both have it there, and where only one has, the
    divergence is what its definition says, infinite perhaps. No gradient reaches teacher_logits. With no rows left it is
    a 0 that still backpropagates. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    z, v = _check_pair(student_logits, teacher_logits, dim)
    check_temperature(T)
    entry = _entry(divergence, beta)
    _check_choice("reduction", reduction, ("mean", "none"))
    if mask is not None:
        _check_rows("mask", mask, z, torch.bool, "mask.bool()")
    T = float(T)  # whose square does not overflow, as that of a small numpy number may
    rows = _rows(z, v, None, mask, (T * T, 0.0), T, entry)
    return rows if reduction == "none" else _mean(rows, mask)


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    T: float = 2.0,
    alpha: float = 0.5,
    *,
    divergence: str = "forward",
    beta: float = 0.5,
    ignore_index: int = -100,
    dim: int = -1,
) -> Tensor:
    """`alpha * soft_target_loss + (1 - alpha) * hard_label_loss`, the objective of Hinton et al. 2015, section 2.

    student_logits, teacher_logits, divergence, beta, dim: as in `soft_target_loss`. labels: int64, of the logits' shape
    without dim, so (B, C) with (B,), (B, L, V) with (B, L); for a causal language model, shifted already: each position's
    label is the next token. Rows whose label is ignore_index count in neither term. The cross-entropy is at temperature 1;
    for class weights, label smoothing or soft labels add torch's to `soft_target_loss` yourself. A term of share 0 is left out.
    Returns a scalar, dtype as `soft_target_loss`. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    check_alpha(alpha)
    z, v = _check_pair(student_logits, teacher_logits, dim)
    mask = _label_mask(labels, z, ignore_index)
    check_temperature(T)
    T, alpha = float(T), float(alpha)
    return _mean(_rows(z, v, labels, mask, (alpha * T * T, 1 - alpha), T, _entry(divergence, beta)), mask)


def distillation_terms(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, T: float = 2.0, *, ignore_index: int = -100, **options
) -> tuple[Tensor, Tensor]:
    """The two terms of `distillation_loss`, (soft, hard), for those who log them apart. Arguments as there.

    Each keeps a gradient of its own: twice the memory of their sum.
    """
    z, _ = _check_pair(student_logits, teacher_logits, options.get("dim", -1))
    mask = _label_mask(labels, z, ignore_index)
    return soft_target_loss(student_logits, teacher_logits, T, mask=mask, **options), _hard(z, labels, mask)


def hard_label_loss(student_logits: Tensor, labels: Tensor, *, ignore_index: int = -100, dim: int = -1) -> Tensor:
    """Mean cross-entropy at temperature 1 over the rows whose label is not ignore_index.

    Shapes as in `distillation_loss`. Unlike torch's, it is computed in float32 for half precision and is a 0 that still
    backpropagates, not NaN, when every label is ignored.
    """
    z = _check_logits("student_logits", student_logits, dim, least=2)
    return _hard(z, labels, _label_mask(labels, z, ignore_index))


def _hard(z: Tensor, labels: Tensor, mask: Tensor | None) -> Tensor:
    return _mean(_rows(z, z.detach(), labels, mask, (0.0, 1.0), 1.0, DIVERGENCES["forward"]), mask)


# ---- digits ----

NEAR = 0.25  # for log(q / p) below this, differences are taken from series, not from the probabilities


def _compare(z: Tensor, v: Tensor, T: float) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and log(q / p), each (..., num_classes)."""
    top_z, top_v = z.detach().amax(-1, keepdim=True), v.amax(-1, keepdim=True)
    # As in soft_targets, the maximum comes off first.
    exp_z, exp_v = ((z - top_z) / T).exp(), ((v - top_v) / T).exp()
    sum_z, sum_v = exp_z.sum(-1, keepdim=True), exp_v.sum(-1, keepdim=True)
    # From z - v itself: as a difference of two logarithms, log(q / p) would keep few digits where T is large.
    log_ratio = ((z - v) - (top_z - top_v)) / T - (sum_z.log() - sum_v.log())
    return exp_v / sum_v, exp_z / sum_z, log_ratio


def _kl_terms(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """p log(p / q) + q - p for log_ratio = log(q / p): summed over the classes it is KL(p‖q), since p and q both sum to 1.

    With x = log_ratio and q = p e^x a term is p (e^x - 1 - x), at least 0, and 0 only where p = q, so that nothing cancels in
    the sum; and an error in the shift that all of a row's x share changes the sum in second order only. Near 0, where
    e^x - 1 - x itself would cancel, it is x² (1/2! + x/3! + x²/4! + …), by Horner's rule.
    """
    x = log_ratio.clamp(-NEAR, NEAR)
    last = 12 if x.dtype == torch.float64 else 7  # the first term left out is below half a unit of the last digit
    series = torch.full_like(x, 1 / math.factorial(last + 1))
    for k in range(last, 1, -1):
        series = series * x + 1 / math.factorial(k)
    return torch.where(x == log_ratio, p * (series * x * x), q - p - _weighted(p, log_ratio))


def _difference(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """q - p, which keeps its digits where the two are near each other, and sums to 0 over the classes."""
    difference = torch.where(log_ratio.abs() < NEAR, p * torch.expm1(log_ratio.clamp(-NEAR, NEAR)), q - p)
    # Else the rounding of the shift that all of a row's log_ratio share would show in first order.
    return difference - p * difference.sum(-1, keepdim=True)


def _weighted(p: Tensor, x: Tensor) -> Tensor:
    """p · x, and 0 where p is 0, whatever x is: what has no probability has no weight."""
    return torch.where(p > 0, p * x, 0)


def _centred(q: Tensor, score: Tensor) -> Tensor:
    """q (score - its mean under q): the derivative of Σ q · score by the logits of q, but for score's own."""
    return _weighted(q, score - _weighted(q, score).sum(-1, keepdim=True))


def _log_of_mean(x: Tensor, share: float) -> Tensor:
    """log(1 - share + share · e^x), without overflow for large x or cancellation for small."""
    # Of the two forms, 1 + share (e^x - 1) and e^x (1 + (1 - share) (e^-x - 1)), the one whose small number is exact.
    up = x > (0 if share == 0.5 else math.copysign(80, 0.5 - share))  # e^80 is within float32
    small = torch.expm1(torch.where(up, -x, x))
    return torch.where(up, x, 0) + torch.log1p(torch.where(up, (1 - share) * small, share * small))


# ---- the divergences ----


class Divergence(NamedTuple):
    """An entry of DIVERGENCES: what a divergence is, given p, q and log(q / p), each (..., num_classes).

    value: -> (...), in nats. gradient: -> (..., num_classes), T times the value's derivative by z, up to a multiple of q in
    each row; without one, autograd differentiates the value. in_float64: -> (value, gradient) by the textbook; it makes the
    entry fast on CPUs, where p, q and log(q / p) are float64 for logits of lower precision.
    """

    value: Callable[[Tensor, Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    in_float64: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None


def _forward(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _kl_terms(p, q, log_ratio).sum(-1)


def _forward_in_float64(p: Tensor, q: Tensor, log_ratio: Tensor) -> tuple[Tensor, Tensor]:
    return -log_ratio.mul_(p).sum(-1), q.sub_(p)


def _reverse(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _kl_terms(q, p, -log_ratio).sum(-1)


def _reverse_in_float64(p: Tensor, q: Tensor, log_ratio: Tensor) -> tuple[Tensor, Tensor]:
    value = (q * log_ratio).sum(-1)
    return value, log_ratio.sub_(value[..., None]).mul_(q)


def _jensen_shannon(p: Tensor, q: Tensor, log_ratio: Tensor, beta: float = 0.5) -> Tensor:
    m = beta * p + (1 - beta) * q
    to_p, to_q = _kl_terms(p, m, _log_of_mean(log_ratio, 1 - beta)), _kl_terms(q, m, _log_of_mean(-log_ratio, beta))
    return (beta * to_p + (1 - beta) * to_q).sum(-1)


def _jensen_shannon_gradient(p: Tensor, q: Tensor, log_ratio: Tensor, beta: float = 0.5) -> Tensor:
    return _centred(q, (beta - 1) * _log_of_mean(-log_ratio, beta))


def _total_variation(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _difference(p, q, log_ratio).abs().sum(-1) / 2


DIVERGENCES = {
    "forward": Divergence(_forward, _difference, _forward_in_float64),
    "reverse": Divergence(_reverse, lambda p, q, log_ratio: _centred(q, log_ratio), _reverse_in_float64),
    "jsd": Divergence(_jensen_shannon, _jensen_shannon_gradient),
    "tvd": Divergence(_total_variation, lambda *given: _centred(given[1], _difference(*given).sign() / 2)),
}


def _entry(divergence: str, beta: float) -> Divergence:
    _check_choice("divergence", divergence, DIVERGENCES)
    _check_share("beta", beta)
    if beta == 0.5:
        return DIVERGENCES[divergence]
    if divergence != "jsd":
        raise ValueError(f"beta goes with divergence='jsd' alone; got beta={beta} with divergence={divergence!r}")
    if beta in (0, 1):
        return DIVERGENCES["reverse" if beta else "forward"]
    return Divergence(partial(_jensen_shannon, beta=float(beta)), partial(_jensen_shannon_gradient, beta=float(beta)))


# ---- rows, in blocks ----

BLOCK = 2**16  # numbers that a CPU computes with at a time, so that what is made of them stays in its cache


def _rows(z, v, labels, mask, shares: tuple[float, float], T: float, divergence: Divergence) -> Tensor:
    """(...): shares[0] · divergence + shares[1] · cross-entropy of each row of z, (..., num_classes); 0 where mask is false."""
    given = z, v, labels, mask, shares, T, divergence
    compiling = torch.compiler.is_compiling()  # which makes blocks of its own
    # torch.func differentiates what is recorded. So it is if a torch to come should not have this question any more.
    if divergence.gradient is None or (not compiling and getattr(torch._C, "_are_functorch_transforms_active", bool)()):
        return _recorded(*given)
    with torch.no_grad():
        rows, gradient = _careful(*given) if compiling else _in_blocks(*given)
    return _WithGradient.apply(z, rows, gradient, None if compiling else given[1:])


class _WithGradient(torch.autograd.Function):
    """rows, whose gradient by z is kept for backward; for second derivatives it is made anew of what it was made of."""

    @staticmethod
    def forward(ctx, z, rows, gradient, made_of):
        ctx.save_for_backward(z, gradient)
        ctx.made_of = made_of  # not saved: autograd refuses what inference_mode made
        return rows.clone()

    @staticmethod
    def backward(ctx, grad):
        z, gradient = ctx.saved_tensors
        if ctx.made_of is not None and torch.is_grad_enabled():
            gradient = _careful(z, *ctx.made_of)[1]
        return grad[..., None] * gradient, None, None, None


def _in_blocks(z, v, labels, mask, shares, T: float, divergence: Divergence) -> tuple[Tensor, Tensor]:
    num_classes, on_cpu, wide = z.shape[-1], z.device.type == "cpu", _wide(z, v)
    rows, gradient = z.new_zeros(z.shape[:-1], dtype=wide), z.new_empty(z.shape, dtype=wide)
    into = rows.view(-1), gradient.view(-1, num_classes)
    z, v = z.reshape(-1, num_classes), v.reshape(-1, num_classes)
    labels, mask, counted = *(x if x is None else x.flatten() for x in (labels, mask)), None
    if on_cpu and mask is not None:  # the other rows are skipped, where that costs no waiting
        counted, mask = mask.nonzero()[:, 0], None
        gradient.zero_()
    step = max(1, (BLOCK if on_cpu else 128 * BLOCK) // num_classes)
    for start in range(0, len(z) if counted is None else len(counted), step):
        at = slice(start, start + step) if counted is None else counted[start : start + step]
        block = [x if x is None else x[at] for x in (z, v, labels, mask)]
        quick = _in_float64(*block[:3], shares, T, divergence) if on_cpu and wide == torch.float32 else None
        into[0][at], into[1][at] = quick or _careful(*block, shares, T, divergence)
    return rows, gradient


def _in_float64(z, v, labels, shares, T: float, divergence: Divergence) -> tuple[Tensor, Tensor] | None:
    """What `_careful` gives, by the textbook in float64, in a third of its time; None where that may lose digits."""
    soft, hard = shares
    if divergence.in_float64 is None or not soft:
        return None
    a, b = z.double(), v.double()
    if not math.isfinite(z.sum() + v.sum()):
        # In place of -inf what has no probability either, times which 0 is 0 and anything else is infinite in float32.
        a, b = a.clamp_(min=-1e300), b.clamp_(min=-1e300)
    a, b = a.sub_(z.amax(-1, keepdim=True)), b.sub_(v.amax(-1, keepdim=True))
    if hard:
        labels = labels[:, None]
        q_1, at_label = a.float().exp_(), a.gather(-1, labels)
        sum_1 = q_1.sum(-1, keepdim=True)
    a, b = a.mul_(1 / T), b.mul_(1 / T)
    log_ratio, q, p = a - b, a.exp_(), b.exp_()
    sum_q, sum_p = q.sum(-1, keepdim=True), p.sum(-1, keepdim=True)
    log_ratio = log_ratio.sub_((sum_q / sum_p).log())
    value, gradient = divergence.in_float64(p.mul_(1 / sum_p), q.mul_(1 / sum_q), log_ratio)
    low, high = value.aminmax()
    if not (low > 1e-7 and high < math.inf):  # below, float64's rounding would show in float32
        return None
    rows, gradient = soft * value, gradient.mul_(soft / T).float()
    if hard:
        rows = rows + hard * (sum_1.log() - at_label)[:, 0]
        gradient.addcmul_(q_1, hard / sum_1).scatter_add_(-1, labels, torch.full_like(sum_1, -hard))
    return rows.float(), gradient


def _careful(z, v, labels, mask, shares, T: float, divergence: Divergence) -> tuple[Tensor, Tensor | None]:
    """Rows and gradient to the last digit of their dtype, in steps that can be differentiated, mapped and compiled."""
    if mask is not None:  # what stands in the other rows, NaN included, must not touch the result
        z, v = torch.where(mask[..., None], z, 0), torch.where(mask[..., None], v, 0)
        labels = labels if labels is None else torch.where(mask, labels, 0)
    wide, (soft, hard) = _wide(z, v), shares
    z, v = z.to(wide), v.to(wide)
    rows = gradient = z.new_zeros(())
    if soft:
        p, q, log_ratio = _compare(z, v, T)
        rows = soft * divergence.value(p, q, log_ratio)
        if divergence.gradient is not None:
            gradient = divergence.gradient(p, q, log_ratio)
            # The sum over the classes is 0 but for rounding, which would be multiplied by T in the end.
            gradient = (gradient - q * gradient.sum(-1, keepdim=True)) * (soft / T)
    if hard:
        log_q, labels = torch.log_softmax(z, -1), labels[..., None]
        rows = rows - hard * log_q.gather(-1, labels)[..., 0]
        gradient = gradient + hard * (log_q.exp() - (labels == torch.arange(z.shape[-1], device=z.device)).to(wide))
    if mask is not None:
        rows, gradient = torch.where(mask, rows, 0), torch.where(mask[..., None], gradient, 0)
    return rows, gradient


def _recorded(z, v, labels, mask, shares, T: float, divergence: Divergence) -> Tensor:
    """Rows that autograd and torch.func differentiate by themselves, however often."""
    rows = _careful(z.detach(), v, labels, mask, shares, T, divergence)[0].detach()
    # A derivative by -inf is NaN: it is taken at a number that makes as little of exp. The value is the true one.
    z, v = (torch.where(x == -math.inf, -1e30, x.to(_wide(x, x))) for x in (z, v))
    smooth = _careful(z, v, labels, mask, shares, T, divergence)[0]
    return smooth + (rows - smooth.detach())


def _mean(rows: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return rows.mean() if rows.numel() else rows.sum()
    return rows.sum() / mask.sum().clamp(min=1)


def _wide(logits: Tensor, other: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(logits.dtype, other.dtype), torch.float32)


# ---- what may go in ----


def _check_logits(name: str, logits: Tensor, dim: int = -1, least: int = 1) -> Tensor:
    """logits, the classes moved to the last dimension."""
    if not isinstance(logits, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(logits).__name__}")
    if not logits.is_floating_point():
        raise ValueError(f"{name} must be floating point, got dtype {logits.dtype}")
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise TypeError(f"dim must be an int, got {type(dim).__name__}")
    if logits.dim() and not -logits.dim() <= dim < logits.dim():
        raise ValueError(f"dim must be a dimension of {name}, which has {logits.dim()}; got {dim}")
    if not logits.dim() or logits.shape[dim] < min(least, 1):
        raise ValueError(f"{name} must have shape (..., num_classes) with at least one class, got {tuple(logits.shape)}")
    if logits.shape[dim] < least:
        raise ValueError(
            f"{name} must have two classes or more along dim={dim}, got shape {tuple(logits.shape)}: one class always has "
            "probability 1. Of a logit x for yes or no make two: torch.stack([torch.zeros_like(x), x], -1)"
        )
    return logits if dim == -1 else logits.movedim(dim, -1)


def _check_pair(student_logits: Tensor, teacher_logits: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    z = _check_logits("student_logits", student_logits, dim)
    v = _check_logits("teacher_logits", teacher_logits, dim)
    for what in ("shape", "device"):
        of_z, of_v = getattr(student_logits, what), getattr(teacher_logits, what)
        if of_z != of_v:
            both = f"{tuple(of_z)} and {tuple(of_v)}" if what == "shape" else f"{of_z} and {of_v}"
            where = "have the same shape" if what == "shape" else "be on the same device"
            raise ValueError(f"student_logits and teacher_logits must {where}, got {both}")
    _check_logits("student_logits", student_logits, dim, least=2)
    return z, v.detach()


def _check_rows(name: str, rows: Tensor, logits: Tensor, dtype: torch.dtype, fix: str) -> None:
    if not isinstance(rows, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(rows).__name__}")
    if rows.shape != logits.shape[:-1]:
        raise ValueError(
            f"{name} must have shape {tuple(logits.shape[:-1])}, one entry for each row of logits {tuple(logits.shape)}; "
            f"got {tuple(rows.shape)}"
        )
    if rows.dtype != dtype:
        raise ValueError(f"{name} must have dtype {dtype}, got {rows.dtype} (if they hold the right values: {fix})")
    if rows.device != logits.device:
        raise ValueError(f"{name} must be on the device of the logits, {logits.device}; got {rows.device}")


def _label_mask(labels: Tensor, z: Tensor, ignore_index: int) -> Tensor | None:
    """Which rows count, None for all. Raises where a label is none of the classes, if that can be known without waiting."""
    last = z.shape[-1] - 1
    if isinstance(labels, Tensor) and labels.is_floating_point() and labels.numel() == z.numel():
        hint = "alpha * soft_target_loss(...) + (1 - alpha) * torch.nn.functional.cross_entropy(student_logits, labels)"
        raise ValueError(f"labels must have shape {tuple(z.shape[:-1])}, int64; for soft labels, {tuple(labels.shape)}: {hint}")
    _check_rows("labels", labels, z, torch.int64, "labels.long()")
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise TypeError(f"ignore_index must be an int, got {type(ignore_index).__name__}")
    if not -(2**63) <= ignore_index < 2**63:
        raise ValueError("ignore_index must fit into int64, as the labels do")
    ends = _ends(labels)
    if ends and 0 <= ends[0] and ends[1] <= last and not ends[0] <= ignore_index <= ends[1]:
        return None
    mask = labels != ignore_index
    ends = ends and _ends(labels[mask])
    if ends and not (0 <= ends[0] and ends[1] <= last):
        raise ValueError(
            f"labels must lie in 0..{last} (student_logits has {last + 1} classes) "
            f"or be ignore_index={ignore_index}; got {ends[0] if ends[0] < 0 else ends[1]}"
        )
    return mask


def _ends(labels: Tensor) -> tuple[int, int] | None:
    """The least and the largest; None if there are none, or reading would wait (a GPU) or cannot be (vmap, a compiler)."""
    if torch.compiler.is_compiling() or labels.device.type != "cpu" or not labels.numel():
        return None
    try:
        return tuple(map(int, labels.aminmax()))
    except RuntimeError:
        return None


def check_temperature(T: float) -> None:
    """Raise unless T is a finite number above 0."""
    _check_real("T", T)
    if not 0 < T < math.inf:  # no isfinite: a compiler may hold T for a symbol
        raise ValueError(f"T must be a finite number above 0, got {T}")


def check_alpha(alpha: float) -> None:
    """Raise unless alpha is a number in [0, 1]."""
    _check_share("alpha", alpha)


def _check_share(name: str, value: float) -> None:
    _check_real(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")


def _check_real(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that fits into a float, got one that is larger") from None


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
