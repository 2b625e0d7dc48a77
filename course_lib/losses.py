"""Soft targets, the divergences between them, and the distillation loss.

Symbols, as in Hinton, Vinyals & Dean 2015 (arXiv:1503.02531): v are the teacher's logits, z the student's, p and q their
probabilities at temperature T. This module needs nothing but torch and may be copied as it is.

Two things here differ from the usual four lines, and both are there for accuracy. A divergence of order (1/T)² that is
multiplied by T² afterwards loses half its digits if it is a difference of logarithms, so the terms are computed from
z - v directly (see `_kl_terms`). And half precision is computed and returned in float32, because T² alone may exceed
what float16 can hold.
"""

import math
from collections.abc import Callable, Iterable
from numbers import Real
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_targets(logits: Tensor, T: float, dim: int = -1) -> Tensor:
    """Probabilities of `logits / T` along `dim` (Hinton et al. 2015, equation 1).

    logits: floating point, any shape with at least one dimension. Returns the same shape and dtype; half precision is
    rounded only at the end. Differentiable. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    _check_logits("logits", logits)
    check_temperature(T)
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise TypeError(f"dim must be an int, got {type(dim).__name__}")
    if not -logits.dim() <= dim < logits.dim():
        raise ValueError(f"dim must be a dimension of logits, which has {logits.dim()}; got {dim}")
    wide = _widen(logits, logits)
    # The maximum comes off before the division by T: 2000 / 0.05 would round away what tells two large logits apart.
    top = wide.detach().amax(dim, keepdim=True) if wide.numel() else wide
    return torch.softmax((wide - top) / float(T), dim).to(logits.dtype)


def soft_target_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    T: float = 2.0,
    *,
    divergence: str = "forward",
    mask: Tensor | None = None,
) -> Tensor:
    """T² times the mean over rows of the divergence between the two softened distributions (Hinton et al. 2015, section 2).

    student_logits, teacher_logits: the same shape (..., num_classes), floating point. Every leading dimension counts
    rows: (B, C) has B of them, (B, L, V) has B·L. mask: bool, of shape (...); only rows where it is true count.
    divergence: a name in DIVERGENCES. "forward" is KL(teacher‖student), whose gradient is that of Hinton's cross-entropy;
    "reverse" is KL(student‖teacher); "jsd" is the Jensen-Shannon divergence, the mean of both KLs to the mixture
    (p + q) / 2 (Lin 1991); "tvd" is the total variation, half the L1 distance of p and q, the share of its tokens that
    speculative decoding rejects (Leviathan et al. 2023). All four are multiplied by T². That keeps the gradient's size as T
    grows for the first three, which are of order 1/T²; the total variation is of order 1/T, so here it still grows like T.

    Returns a scalar in nats, float32 for half precision and otherwise of the wider input dtype; exactly 0 for equal
    logits. A class at -inf has probability 0: it counts for nothing where both have it there, and where only one has, the
    divergence is what its definition says, infinite perhaps. No gradient reaches teacher_logits. With no rows left it is
    a 0 that still backpropagates.
    Raises TypeError or ValueError, naming the argument that is wrong.
    """
    _check_pair(student_logits, teacher_logits)
    check_temperature(T)
    _check_choice("divergence", divergence, DIVERGENCES)
    if mask is not None:
        _check_rows("mask", mask, student_logits, torch.bool, "mask.bool()")
    z, v = _rows(student_logits, teacher_logits, mask), _rows(teacher_logits.detach(), student_logits, mask)
    if not len(z):
        return z.sum()
    T = float(T)  # whose square does not overflow, as that of a small numpy number may
    return T * T * _divergence_of_rows(z, v, T, DIVERGENCES[divergence]).mean()


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    T: float = 2.0,
    alpha: float = 0.5,
    *,
    divergence: str = "forward",
    ignore_index: int = -100,
) -> Tensor:
    """`alpha * soft_target_loss + (1 - alpha) * cross_entropy`, the objective of Hinton et al. 2015, section 2.

    student_logits, teacher_logits: (..., num_classes); labels: int64 of shape (...), so (B, C) with (B,) and (B, L, V)
    with (B, L). Rows whose label is ignore_index count in neither term. The cross-entropy is at temperature 1.
    Returns a scalar, dtype as `soft_target_loss`. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    check_alpha(alpha)
    soft, hard = distillation_terms(student_logits, teacher_logits, labels, T, divergence=divergence, ignore_index=ignore_index)
    alpha = float(alpha)
    return alpha * soft + (1 - alpha) * hard


def distillation_terms(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    T: float = 2.0,
    *,
    divergence: str = "forward",
    ignore_index: int = -100,
) -> tuple[Tensor, Tensor]:
    """The two terms that `distillation_loss` weighs, (soft, hard), for those who log them apart. Arguments as there."""
    _check_pair(student_logits, teacher_logits)
    hard = hard_label_loss(student_logits, labels, ignore_index=ignore_index)
    mask = _counted(labels, ignore_index)
    soft = soft_target_loss(student_logits, teacher_logits, T, divergence=divergence, mask=mask)
    return soft, hard


def hard_label_loss(student_logits: Tensor, labels: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Mean cross-entropy at temperature 1 over the rows whose label is not ignore_index.

    Shapes as in `distillation_loss`. Unlike torch's, it is computed in float32 for half precision and is a 0 that still
    backpropagates, not NaN, when every label is ignored.
    """
    _check_logits("student_logits", student_logits)
    _check_rows("labels", labels, student_logits, torch.int64, "labels.long()")
    _check_index(ignore_index)
    mask = _counted(labels, ignore_index)
    z, labels = _rows(student_logits, student_logits, mask), labels.flatten() if mask is None else labels[mask]
    if not len(labels):
        return z.sum()
    num_classes = student_logits.shape[-1]
    low, high = (int(bound) for bound in torch.aminmax(labels))
    if low < 0 or high >= num_classes:
        wrong = low if low < 0 else high
        raise ValueError(
            f"labels must lie in 0..{num_classes - 1} (student_logits has {num_classes} classes) "
            f"or be ignore_index={ignore_index}; got {wrong}"
        )
    return F.cross_entropy(z, labels)


# ---- the mathematics ----


class Divergence(NamedTuple):
    """An entry of DIVERGENCES: what a divergence is, given p, q and log(q / p), each (rows, num_classes).

    value: -> (rows,), in nats. gradient: -> (rows, num_classes), T times the value's derivative by the student's logits,
    up to a multiple of q in each row. Without one, autograd differentiates the value, which must then be made of
    differentiable steps, for more time and memory.
    """

    value: Callable[[Tensor, Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


def _forward(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _kl_terms(p, q, log_ratio).sum(-1)


def _forward_gradient(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return torch.where(log_ratio.abs() < NEAR, p * torch.expm1(log_ratio.clamp(-NEAR, NEAR)), q - p)


def _reverse(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _kl_terms(q, p, -log_ratio).sum(-1)


def _reverse_gradient(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _centred(q, log_ratio)


def _jensen_shannon(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    m = (p + q) / 2
    return (_kl_terms(p, m, _log_of_mean(log_ratio)) + _kl_terms(q, m, _log_of_mean(-log_ratio))).sum(-1) / 2


def _jensen_shannon_gradient(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _centred(q, _log_of_mean(-log_ratio) / -2)


def _total_variation(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _difference(p, q, log_ratio).abs().sum(-1) / 2


def _total_variation_gradient(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    return _centred(q, _difference(p, q, log_ratio).sign() / 2)


DIVERGENCES = {
    "forward": Divergence(_forward, _forward_gradient),
    "reverse": Divergence(_reverse, _reverse_gradient),
    "jsd": Divergence(_jensen_shannon, _jensen_shannon_gradient),
    "tvd": Divergence(_total_variation, _total_variation_gradient),
}


def _divergence_of_rows(z: Tensor, v: Tensor, T: float, divergence: Divergence) -> Tensor:
    """(rows,) from z and v, (rows, num_classes). Only z gets a gradient."""
    if divergence.gradient is None:
        return divergence.value(*_compare(z, v, T))
    return _WithGradient.apply(z, v, T, divergence)


class _WithGradient(torch.autograd.Function):
    """The divergence of each row, its gradient written down, not recorded.

    It needs no more memory than the logits, however many classes there are, and is itself made of differentiable steps,
    so that second derivatives are there too.
    """

    @staticmethod
    def forward(ctx, z: Tensor, v: Tensor, T: float, divergence: Divergence) -> Tensor:
        ctx.save_for_backward(z, v)
        ctx.T, ctx.divergence = T, divergence
        return divergence.value(*_compare(z, v, T))

    @staticmethod
    def backward(ctx, grad: Tensor):
        p, q, log_ratio = _compare(*ctx.saved_tensors, ctx.T)
        gradient = ctx.divergence.gradient(p, q, log_ratio)
        # The sum over the classes is 0 but for rounding, which would be multiplied by T in the end.
        gradient = gradient - q * gradient.sum(-1, keepdim=True)
        return grad[..., None] * gradient / ctx.T, None, None, None


NEAR = 0.25  # for log(q / p) below this, differences are taken from series, not from the probabilities


def _compare(z: Tensor, v: Tensor, T: float) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and log(q / p), each (rows, num_classes)."""
    top_z, top_v = z.amax(-1, keepdim=True), v.amax(-1, keepdim=True)
    # As in soft_targets, the maximum comes off first.
    exp_z, exp_v = ((z - top_z) / T).exp(), ((v - top_v) / T).exp()
    sum_z, sum_v = exp_z.sum(-1, keepdim=True), exp_v.sum(-1, keepdim=True)
    # From z - v itself: as a difference of two logarithms, log(q / p) would keep few digits where T is large.
    log_ratio = ((z - v) - (top_z - top_v)) / T - (sum_z.log() - sum_v.log())
    return exp_v / sum_v, exp_z / sum_z, log_ratio


def _kl_terms(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """p log(p / q) + q - p for log_ratio = log(q / p): summed over the classes it is KL(p‖q), since p and q both sum to 1.

    Every term is at least 0, and 0 only where p = q, so that nothing cancels in the sum; and an error in the shift that
    all of a row's log_ratio share changes the sum in second order only.
    """
    near = log_ratio.clamp(-NEAR, NEAR)
    return torch.where(near == log_ratio, p * _exp_remainder(near), q - p - _weighed(p, log_ratio))


def _difference(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """q - p, which keeps its digits where the two are near each other, and sums to 0 over the classes."""
    difference = _forward_gradient(p, q, log_ratio)
    # Else the rounding of the shift that all of a row's log_ratio share would show in first order.
    return difference - p * difference.sum(-1, keepdim=True)


def _centred(q: Tensor, score: Tensor) -> Tensor:
    """The derivative of the sum of q · score by the logits of q, where score's own part cancels: q (score - its mean)."""
    return _weighed(q, score - _weighed(q, score).sum(-1, keepdim=True))


def _weighed(p: Tensor, x: Tensor) -> Tensor:
    """p · x, and 0 where p is 0, whatever x is: what has no probability has no weight."""
    return torch.where(p > 0, p * x, 0)


def _exp_remainder(x: Tensor) -> Tensor:
    """e^x - 1 - x to full precision for |x| <= NEAR, by Horner's rule on x²/2! + x³/3! + …"""
    # The first term left out is below half a unit of the last digit.
    terms = 12 if x.dtype == torch.float64 else 7
    series = torch.full_like(x, 1 / math.factorial(terms + 1))
    for k in range(terms, 1, -1):
        series = series * x + 1 / math.factorial(k)
    return series * x * x


def _log_of_mean(x: Tensor) -> Tensor:
    """log((1 + e^x) / 2), without overflow for large x or cancellation for small."""
    positive = x >= 0
    size = torch.where(positive, x, -x)
    return torch.where(positive, x, 0) + torch.log1p(torch.expm1(-size) / 2)


def _widen(logits: Tensor, other: Tensor) -> Tensor:
    return logits.to(torch.promote_types(torch.promote_types(logits.dtype, other.dtype), torch.float32))


def _rows(logits: Tensor, other: Tensor, mask: Tensor | None) -> Tensor:
    """logits as (rows, num_classes), those where mask is true, in the dtype to compute in."""
    # The mask first: what stands in the other rows, NaN included, must not touch the result.
    return _widen(logits.reshape(-1, logits.shape[-1]) if mask is None else logits[mask], other)


def _counted(labels: Tensor, ignore_index: int) -> Tensor | None:
    """The mask of the rows that count, or None where all do, which spares most batches the indexing."""
    mask = labels != ignore_index
    return None if bool(mask.all()) else mask


# ---- what may go in ----


def _check_logits(name: str, logits: Tensor) -> None:
    if not isinstance(logits, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(logits).__name__}")
    if not logits.is_floating_point():
        raise ValueError(f"{name} must be floating point, got dtype {logits.dtype}")
    if not logits.dim() or not logits.shape[-1]:
        raise ValueError(f"{name} must have shape (..., num_classes) with at least one class, got {tuple(logits.shape)}")


def _check_pair(student_logits: Tensor, teacher_logits: Tensor) -> None:
    _check_logits("student_logits", student_logits)
    _check_logits("teacher_logits", teacher_logits)
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            "student_logits and teacher_logits must have the same shape, "
            f"got {tuple(student_logits.shape)} and {tuple(teacher_logits.shape)}"
        )
    if student_logits.device != teacher_logits.device:
        raise ValueError(
            "student_logits and teacher_logits must be on the same device, "
            f"got {student_logits.device} and {teacher_logits.device}"
        )


def _check_rows(name: str, rows: Tensor, logits: Tensor, dtype: torch.dtype, mend: str) -> None:
    if not isinstance(rows, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(rows).__name__}")
    if rows.shape != logits.shape[:-1]:
        raise ValueError(
            f"{name} must have shape {tuple(logits.shape[:-1])}, one entry for each row of logits {tuple(logits.shape)}; "
            f"got {tuple(rows.shape)}"
        )
    if rows.dtype != dtype:
        raise ValueError(f"{name} must have dtype {dtype}, got {rows.dtype} (if they hold the right values: {mend})")
    if rows.device != logits.device:
        raise ValueError(f"{name} must be on the device of the logits, {logits.device}; got {rows.device}")


def check_temperature(T: float) -> None:
    """Raise unless T is a finite number above 0."""
    _check_real("T", T)
    if not (math.isfinite(T) and T > 0):
        raise ValueError(f"T must be a finite number above 0, got {T}")


def check_alpha(alpha: float) -> None:
    """Raise unless alpha is a number in [0, 1]."""
    _check_real("alpha", alpha)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")


def _check_real(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that fits into a float, got one that is larger") from None


def _check_index(ignore_index: int) -> None:
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise TypeError(f"ignore_index must be an int, got {type(ignore_index).__name__}")
    if not -(2**63) <= ignore_index < 2**63:
        raise ValueError("ignore_index must fit into int64, as the labels do")


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
