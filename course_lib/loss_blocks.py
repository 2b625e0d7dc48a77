"""What makes `losses` fast on large batches: the same rows and gradients, by blocks that stay in a CPU's cache, in float64.

`losses` is complete without this file, and slower. Symbols as there; needs nothing but torch.
"""

import math

import torch
from torch import Tensor

BLOCK = 2**16  # numbers that a CPU computes with at a time, so that what is made of them stays in its cache


def in_blocks(careful, wide: torch.dtype, z, v, labels, mask, shares, T: float, divergence, with_gradient: bool = True):
    """Return what `careful(z, v, ...)` returns: rows (...) and gradient (..., num_classes) or None, both of dtype wide."""
    num_classes, on_cpu = z.shape[-1], z.device.type == "cpu"
    step = max(1, (BLOCK if on_cpu else 128 * BLOCK) // max(1, num_classes))
    in_float64 = IN_FLOAT64.get(divergence.textbook) if on_cpu and wide == torch.float32 and shares[0] else None

    def both(z, v, labels, mask, into=None):
        if in_float64 and mask is None and len(z):
            into = torch.empty_like(z, dtype=wide) if with_gradient and into is None else into
            rows = _quickly(z, v, labels, shares, T, in_float64, into)
            if rows is not None:
                return rows, into
        return careful(z, v, labels, mask, shares, T, divergence, with_gradient)

    flat = *(x.reshape(-1, num_classes) for x in (z, v)), *(x if x is None else x.flatten() for x in (labels, mask))
    if mask is None and len(flat[0]) <= step:
        rows, gradient = both(*flat)
        return rows.view(z.shape[:-1]), gradient.view(z.shape) if with_gradient else None
    rows, gradient, counted = z.new_zeros(len(flat[0]), dtype=wide), None, None
    if with_gradient:
        gradient = z.new_empty(flat[0].shape, dtype=wide)
    if on_cpu and mask is not None:  # the other rows are skipped, where that costs no waiting
        flat, counted = (*flat[:3], None), flat[3].nonzero()[:, 0]
        if with_gradient:
            gradient.zero_()
    for start in range(0, len(rows) if counted is None else len(counted), step):
        at = slice(start, start + step) if counted is None else counted[start : start + step]
        into = gradient[at] if with_gradient and counted is None else None
        rows[at], its_gradient = both(*(x if x is None else x[at] for x in flat), into)
        if with_gradient and its_gradient is not into:
            gradient[at] = its_gradient
    return rows.view(z.shape[:-1]), gradient.view(z.shape) if with_gradient else None


def _quickly(z, v, labels, shares, T: float, in_float64, into: Tensor | None) -> Tensor | None:
    """Rows, and in `into` the gradient, by the textbook in float64; None where its rounding would show, or a logit is -inf."""
    soft, hard = shares
    top_z, ones = z.amax(-1, keepdim=True), z.new_ones(z.shape[-1], dtype=torch.float64)
    a, b = z.double().sub_(top_z).mul_(1 / T), v.double().sub_(v.amax(-1, keepdim=True)).mul_(1 / T)
    log_ratio, q, p = a - b, a.exp_(), b.exp_()
    sum_q, sum_p = q.mv(ones)[:, None], p.mv(ones)[:, None]  # several times as quick as sum()
    if hard:  # at the usual T = 2 a square is e^(z - max), and spares the third exponential
        q_1 = q.square().float() if T == 2 else (z.float() - top_z).exp_()
    log_ratio.sub_((sum_q / sum_p).log_())
    value, gradient = in_float64(p, q, 1 / sum_p, 1 / sum_q, log_ratio, soft / T)
    low, high = (each.item() for each in value.aminmax())
    if not (low > 1e-7 and high < math.inf):  # below, float64's rounding would be seen in float32
        return None
    rows = value.mul_(soft)
    if into is not None:
        into.copy_(gradient)
    if hard:
        labels, sum_1 = labels[:, None], q_1.sum(-1, keepdim=True)
        rows += (sum_1.log() - (z.gather(-1, labels).double() - top_z))[:, 0].mul_(hard)
        if into is not None:
            into.addcmul_(q_1, hard / sum_1).scatter_add_(-1, labels, torch.full_like(sum_1, -hard))
    return rows.float()


def _forward(p: Tensor, q: Tensor, scale_p: Tensor, scale_q: Tensor, log_ratio: Tensor, share: float) -> tuple[Tensor, Tensor]:
    value = log_ratio.mul_(p).mv(p.new_ones(p.shape[-1])).mul_(-scale_p[:, 0])
    return value, q.mul_(scale_q * share).addcmul_(p, scale_p, value=-share)


def _reverse(p: Tensor, q: Tensor, scale_p: Tensor, scale_q: Tensor, log_ratio: Tensor, share: float) -> tuple[Tensor, Tensor]:
    value = torch.linalg.vecdot(log_ratio, q.mul_(scale_q))
    return value, log_ratio.sub_(value[:, None]).mul_(q).mul_(share)


# The divergences of `losses` that are known by the textbook: -> value (rows,) and share times the gradient (rows, num_classes),
# as `Divergence` defines them there. p and q come without their scales, (rows, 1), by which their rows sum to 1; p, q and
# log_ratio may be overwritten.
IN_FLOAT64 = {"forward": _forward, "reverse": _reverse}
