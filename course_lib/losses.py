"""Soft targets, the divergences between them, and the distillation loss.

Symbols, as in Hinton, Vinyals & Dean 2015 (arXiv:1503.02531): v are the teacher's logits, z the student's, p and q their
probabilities at temperature T. This file needs nothing but torch and may be copied as it is; alone it takes 4 times as long as
kl_div and cross_entropy for ten classes, with `loss_blocks.py` in the same package 1.4 times. It runs under autocast,
torch.func, torch.compile(fullgraph=True), on the meta device and on what inference_mode made. Labels out of range raise
ValueError where they lie on the CPU, outside of compilers and vmap; elsewhere torch's own indexing fails: no GPU is waited for.

At large T a divergence is of order 1/T², and is multiplied by T². Textbook formulas lose its digits; `_compare` and `_kl` keep
them. Half precision gives float32.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial, reduce
from importlib.util import find_spec
from numbers import Real

import torch
from torch import Tensor

HAS_BLOCKS = bool(__package__) and find_spec(".loss_blocks", __package__) is not None


def soft_targets(logits: Tensor, T: float, dim: int = -1) -> Tensor:
    """Probabilities of `logits / T` along `dim` (Hinton et al. 2015, equation 1).

    logits: floating point, any shape with at least one dimension. Returns the same shape and dtype; half precision is
    rounded only at the end. Differentiable. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    _check_logits("logits", logits, dim, least=int(dim == -1))
    T, wide = check_temperature(T), logits.to(_wide(logits, logits))
    # The maximum comes off before the division by T: 2000 / 0.05 would round away what tells two large logits apart.
    top = wide.detach().amax(dim, keepdim=True) if wide.numel() else wide
    return torch.softmax((wide - top) / T, dim).to(logits.dtype)


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
    Agarwal et al. 2023). "jsd" tends to 0 towards both ends of beta; at the ends, as in TRL, 0 is "forward", 1 "reverse".
    "tvd" is the total variation, half the L1 distance: the share of its drafts that speculative decoding rejects (Leviathan
    et al. 2023). All are multiplied by T², which keeps the gradient's size, but "tvd" and its gradient grow like T.

    Returns a scalar in nats, float32 for half precision and otherwise of the wider input dtype; exactly 0 for equal
    logits. A class at -inf has probability 0: it counts for nothing where both have it there. Where only one has, the value is
    what the definition says; where that is infinite, the gradient is not defined. No gradient reaches teacher_logits. With no
    rows left it is a 0 that still backpropagates. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    z, v = _check_pair(student_logits, teacher_logits, dim)
    T, entry = check_temperature(T), find_divergence(divergence, beta)
    _check_choice("reduction", reduction, ("mean", "none"))
    if mask is not None:
        _check_rows("mask", mask, z, torch.bool, "mask.bool()")
    return _reduced(z, v, None, mask, {"soft": 1.0}, T, entry, reduction)


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
    return_terms: bool = False,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """`alpha * soft_target_loss + (1 - alpha) * hard_label_loss`, the objective of Hinton et al. 2015, section 2.

    student_logits, teacher_logits, divergence, beta, dim: as in `soft_target_loss`. labels: int64, of the logits' shape
    without dim, so (B, C) with (B,), (B, L, V) with (B, L); for a causal language model, shifted already: each position's
    label is the next token. Rows whose label is ignore_index count in neither term. The cross-entropy is at temperature 1;
    for class weights, label smoothing or soft labels add torch's to `soft_target_loss` yourself. Share 0 adds nothing.
    Returns a scalar, dtype as `soft_target_loss`; with return_terms three of them, (loss, soft, hard), of which the loss alone
    has a gradient: the two terms are for the record. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    alpha, T, entry = check_alpha(alpha), check_temperature(T), find_divergence(divergence, beta)
    z, v = _check_pair(student_logits, teacher_logits, dim)
    mask = _label_mask(labels, z, ignore_index)
    return _reduced(z, v, labels, mask, {"soft": alpha, "hard": 1 - alpha}, T, entry, return_terms=return_terms)


def hard_label_loss(student_logits: Tensor, labels: Tensor, *, ignore_index: int = -100, dim: int = -1) -> Tensor:
    """Mean cross-entropy at temperature 1 over the rows whose label is not ignore_index, the hard term of `distillation_loss`.

    Unlike torch's, it is computed in float32 for half precision, and with every label ignored it is a 0 that backpropagates.
    """
    z = _check_logits("student_logits", student_logits, dim, least=2)
    mask = _label_mask(labels, z, ignore_index)
    return _reduced(z, z.detach(), labels, mask, {"hard": 1.0}, 1.0, DIVERGENCES["forward"])


# ---- digits ----
NEAR, FAR = 0.25, 8.0  # |log(q / p)| below which KL is a series; log(q / p) below which q is p times its exponential


def _compare(z: Tensor, v: Tensor, T: float) -> tuple[Tensor, Tensor, Tensor]:
    """p, q and log(q / p), each (..., num_classes)."""
    top_z, top_v = z.detach().amax(-1, keepdim=True), v.amax(-1, keepdim=True)
    to_z, to_v = z - top_z, v - top_v  # as in soft_targets, the maximum comes off first
    # Times 1 / T, not over T: torch 2.4's compiler fails where what softmax takes, below, is used elsewhere too.
    log_sum_z, log_sum_v = ((x * (1 / T)).exp().sum(-1, keepdim=True).log() for x in (to_z, to_v))
    # From z - v itself, with what rounding took: of a difference of logarithms few digits would be left where T is large.
    log_ratio = ((z - v) - (top_z - top_v) + (_lost(z.detach(), v) - _lost(top_z, top_v))) / T - (log_sum_z - log_sum_v)
    return torch.softmax(to_v / T, -1), torch.softmax(to_z / T, -1), log_ratio


def _lost(a: Tensor, b: Tensor) -> Tensor:
    """What rounding took from a - b, exactly (Knuth's TwoSum); 0 where one of them is infinite."""
    of_b = (difference := a - b) - a
    return ((a - (difference - of_b)) - (b + of_b)).nan_to_num(0.0, 0.0, 0.0)


def _kl(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """KL(p‖q), (...): the sum over the classes of p log(p / q) + q - p, since p and q both sum to 1.

    With x = log_ratio and q = p e^x a term is p (e^x - 1 - x), at least 0, and 0 only where p = q, so that nothing cancels in
    the sum. Near 0, where e^x - 1 - x itself would cancel, it is x² (1/2! + x/3! + x²/4! + …), by Horner's rule. Where the
    log_sums are off by δ, so is each x of a row, and the sum is δ²/2 too large; δ shows in the sum of p e^x - p, else 0.
    """
    near = log_ratio.abs() < NEAR
    x = torch.where(near, log_ratio, 0)
    last = 12 if x.dtype == torch.float64 else 7  # the first term left out is below half a unit of the last digit
    series = torch.full_like(x, 1 / math.factorial(last + 1))
    for k in range(last, 1, -1):
        series = series * x + 1 / math.factorial(k)
    difference = _difference(p, q, log_ratio)
    kl = torch.where(near, p * (series * x * x), difference - _weighted(p, log_ratio)).sum(-1)
    return kl - torch.minimum(kl, difference.sum(-1) ** 2 / 2).detach()  # the derivative of what comes off is 0


def _difference(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """q - p, which keeps its digits where the two are near each other."""
    return torch.where(log_ratio < FAR, p * torch.expm1(log_ratio.clamp(max=FAR)), q - p)


def _balanced(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    difference = _difference(p, q, log_ratio)
    return difference - p * difference.sum(-1, keepdim=True)  # without the error δ that `_kl` tells of


def _weighted(p: Tensor, x: Tensor) -> Tensor:
    """p · x, and 0 where p is 0, whatever x is: what has no probability has no weight."""
    return torch.where(p > 0, p * x, 0)


def _log_of_mean(x: Tensor, share: float, rest: float) -> Tensor:
    """log(rest + share · e^x) where share + rest = 1, without overflow for large x or cancellation for small."""
    far = torch.logaddexp(x + math.log(share), torch.full_like(x, math.log(rest)))
    return torch.where(x.abs() < 1, torch.log1p(share * torch.expm1(x.clamp(-1, 1))), far)


# ---- the divergences: p, q and log(q / p), each (..., num_classes) -> (...), in nats ----
def _jensen_shannon(p: Tensor, q: Tensor, log_ratio: Tensor, beta: float = 0.5) -> Tensor:
    m = beta * p + (1 - beta) * q
    to_p, to_q = _kl(p, m, _log_of_mean(log_ratio, 1 - beta, beta)), _kl(q, m, _log_of_mean(-log_ratio, beta, 1 - beta))
    return beta * to_p + (1 - beta) * to_q


DIVERGENCES = {
    "forward": _kl,
    "reverse": lambda p, q, log_ratio: _kl(q, p, -log_ratio),
    "jsd": _jensen_shannon,
    "tvd": lambda p, q, log_ratio: _balanced(p, q, log_ratio).abs().sum(-1) / 2,
}
BUILT_IN = dict(DIVERGENCES)  # those whose gradients `loss_blocks` has


def find_divergence(divergence: str, beta: float = 0.5) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the entry of DIVERGENCES by that name, "jsd" with its beta. Raises if there is none, or a beta without "jsd"."""
    _check_choice("divergence", divergence, DIVERGENCES)
    check_alpha(beta, "beta")
    if beta == 0.5:
        return DIVERGENCES[divergence]
    if divergence != "jsd":
        raise ValueError(f"beta goes with divergence='jsd' alone; got beta={beta} with divergence={divergence!r}")
    if beta in (0, 1):
        return DIVERGENCES["reverse" if beta else "forward"]
    return partial(DIVERGENCES["jsd"], beta=float(beta))


# ---- rows ----
def _reduced(z, v, labels, mask, shares: dict[str, float], T, divergence, reduction="mean", return_terms=False):
    """The terms' sum by their shares, as rows, 0 where mask is false, or as their mean; with return_terms the terms too."""
    shares = shares if return_terms else {name: share for name, share in shares.items() if share}
    count = None if reduction == "none" else max(1, z[..., 0].numel()) if mask is None else mask.sum().clamp(min=1)
    # torch.func needs steps that are recorded. Where a torch lacks this function all are, slower and as right.
    transformed = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)  # no compiler can call it
    if HAS_BLOCKS and (z.requires_grad if torch.compiler.is_compiling() else not transformed()):
        from .loss_blocks import summed_in_blocks

        loss, terms = summed_in_blocks(z, v, labels, mask, shares, T, divergence, count)
    else:
        terms = _recorded(z, v, labels, mask, shares, T, divergence)
        loss = _summed(terms, shares, count)
    return (loss, *((rows.detach().sum() / count).to(loss.dtype) for rows in terms.values())) if return_terms else loss


def _summed(terms: dict[str, Tensor], shares: dict[str, float], count: int | Tensor | None) -> Tensor:
    """The sum of the terms, each by its share, one of share 0 left out; and if there is a count, of all rows, divided by it."""
    rows = reduce(torch.add, [rows * shares[name] for name, rows in terms.items() if shares[name]])
    return rows if count is None else rows.sum() / count


def _recorded(z, v, labels, mask, shares, T: float, divergence: Callable) -> dict[str, Tensor]:
    """The rows of the terms, 0 where mask is false. autograd and torch.func differentiate them by themselves, however often."""
    labels, mask = (x if x is None else x.clone() for x in (labels, mask))  # autograd keeps nothing that inference_mode made
    if mask is not None:
        z, v, labels = _masked(z, v, labels, mask)
    exact = _careful(z.detach(), v, labels, shares, T, divergence)
    # A derivative by -inf would be NaN: it is taken at -1e30, whose exp is 0 too, and is 0. The value is the true one.
    z, v = (x.to(_wide(x, x)).clamp(min=-1e30) for x in (z, v))
    # A row's derivatives sum to 0 but for rounding, which would be multiplied by T in the end: q times their sum comes off.
    centre = (torch.softmax(z.detach() / T, -1) * z).sum(-1, keepdim=True)
    smooth = _careful(z - (centre - centre.detach()), v, labels, shares, T, divergence)
    terms = {name: rows + (exact[name] - rows).detach() for name, rows in smooth.items()}
    return terms if mask is None else {name: torch.where(mask, rows, 0) for name, rows in terms.items()}


def _masked(z: Tensor, v: Tensor, labels: Tensor | None, mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """z, v and labels, with 0 in the rows that do not count: what stood there, NaN included, must not touch the result."""
    z, v = torch.where(mask[..., None], z, 0), torch.where(mask[..., None], v, 0)
    return z, v, labels if labels is None else torch.where(mask, labels, 0)


def _careful(z, v, labels, shares, T: float, divergence: Callable) -> dict[str, Tensor]:
    """The terms that shares names, T² · divergence and cross-entropy of each row, in the wider dtype of z and v."""
    z, v, terms = z.to(_wide(z, v)), v.to(_wide(z, v)), {}
    if "soft" in shares:
        terms["soft"] = T * T * divergence(*_compare(z, v, T))
    if "hard" in shares:
        terms["hard"] = -torch.log_softmax(z, -1).gather(-1, labels[..., None])[..., 0]
    return terms


def _wide(logits: Tensor, other: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(logits.dtype, other.dtype), torch.float32)


# ---- what may go in ----
def _check_logits(name: str, logits: Tensor, dim: int = -1, least: int = 1) -> Tensor:
    """logits, the classes moved to the last dimension. Raises unless there are at least `least` of them."""
    _check_type(name, logits, Tensor, "a torch.Tensor")
    if not logits.is_floating_point():
        raise ValueError(f"{name} must be floating point, got dtype {logits.dtype}")
    _check_type("dim", dim, int, "an int")
    if logits.dim() and not -logits.dim() <= dim < logits.dim():
        raise ValueError(f"dim must be a dimension of {name}, which has {logits.dim()}; got {dim}")
    if not logits.dim() or logits.shape[dim] < min(least, 1):
        raise ValueError(f"{name} must have shape (..., num_classes) with at least one class, got {tuple(logits.shape)}")
    if logits.shape[dim] < least:
        two = "of one logit x, for yes or no, make two: torch.stack([torch.zeros_like(x), x], -1)"
        raise ValueError(f"{name} must have two classes or more along dim={dim}, got {tuple(logits.shape)}; {two}")
    return logits if dim == -1 else logits.movedim(dim, -1)


def _check_pair(student_logits: Tensor, teacher_logits: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    z, v = _check_logits("student_logits", student_logits, dim), _check_logits("teacher_logits", teacher_logits, dim)
    both = "student_logits and teacher_logits must"
    if z.shape != v.shape:
        raise ValueError(f"{both} have the same shape, got {tuple(student_logits.shape)} and {tuple(teacher_logits.shape)}")
    if z.device != v.device:
        raise ValueError(f"{both} be on the same device, got {z.device} and {v.device}")
    return _check_logits("student_logits", student_logits, dim, least=2), v.detach()


def _check_rows(name: str, rows: Tensor, z: Tensor, dtype: torch.dtype, fix: str) -> None:
    _check_type(name, rows, Tensor, "a torch.Tensor")
    shape = tuple(z.shape[:-1])
    if rows.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, one per row of logits {tuple(z.shape)}; got {tuple(rows.shape)}")
    if rows.dtype != dtype:
        raise ValueError(f"{name} must have dtype {dtype}, got {rows.dtype} (if they hold the right values: {fix})")
    if rows.device != z.device:
        raise ValueError(f"{name} must be on the device of the logits, {z.device}; got {rows.device}")


def _label_mask(labels: Tensor, z: Tensor, ignore_index: int) -> Tensor | None:
    """Which rows count, None for all. Raises where a label is none of the classes, if that can be known without waiting."""
    if isinstance(labels, Tensor) and labels.is_floating_point() and labels.numel() == z.numel():
        hint = "alpha * soft_target_loss(...) + (1 - alpha) * cross_entropy(logits.flatten(0, -2), labels.flatten(0, -2))"
        raise ValueError(f"labels must have shape {tuple(z.shape[:-1])}, int64; for soft labels, {tuple(labels.shape)}: {hint}")
    _check_rows("labels", labels, z, torch.int64, "labels.long()")
    _check_type("ignore_index", ignore_index, int, "an int")
    if not -(2**63) <= ignore_index < 2**63:
        raise ValueError("ignore_index must fit into int64, as the labels do")
    mask, last = labels != ignore_index, z.shape[-1] - 1
    if torch.compiler.is_compiling() or labels.device.type != "cpu":
        return mask
    try:
        every = bool(mask.all())
    except RuntimeError:  # under vmap nothing can be read
        return mask
    counted = labels if every else labels[mask]
    low, high = map(int, counted.aminmax()) if counted.numel() else (0, 0)
    if not 0 <= low <= high <= last:
        allowed = f"lie in 0..{last} (student_logits has {last + 1} classes) or be ignore_index={ignore_index}"
        raise ValueError(f"labels must {allowed}; got {low if low < 0 else high}")
    return None if every else mask


def check_temperature(T: float) -> float:
    """T as a Python float, since a numpy float16's square overflows. Raises unless it is finite and above 0."""
    if 0 < (number := _real("T", T)) < math.inf:  # no isfinite: a compiler may hold T for a symbol
        return number
    raise ValueError(f"T must be a finite number above 0, got {T}")


def check_alpha(alpha: float, name: str = "alpha") -> float:
    """alpha as a float. Raises TypeError or ValueError unless it is a number in [0, 1]."""
    if 0 <= (number := _real(name, alpha)) <= 1:
        return number
    raise ValueError(f"{name} must lie in [0, 1], got {alpha}")


def _real(name: str, value: float) -> float:
    _check_type(name, value, Real, "a real number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that fits into a float, got one that is larger") from None


def _check_type(name: str, value: object, wanted: type, in_words: str) -> None:
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TypeError(f"{name} must be {in_words}, got {type(value).__name__}")


def _check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    _check_type(name, value, str, "a str")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
