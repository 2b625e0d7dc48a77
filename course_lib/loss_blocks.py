"""What makes `losses` fast: value and gradient in one go, by blocks that stay in a CPU's cache, in float64 if that is safe.

`losses` is complete without this file, and slower. Symbols as there. For backward the gradient is kept; the inputs
are too, for second derivatives.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .losses import BUILT_IN, _balanced, _careful, _compare, _log_of_mean, _masked, _recorded, _summed, _weighted, _wide

BLOCK = 2**17  # numbers that a CPU computes with at a time, so that what is made of them stays in its cache
SMALL, LARGE = 1e-7, 1e6  # nats, between which float64 has the digits of a float32 to spare
SHORT = 128  # classes, below which torch's softmax is slower than exp, sum and division


def knows(divergence: Callable) -> bool:
    """Whether the gradient of this divergence, as `find_divergence` returns it, is written down here."""
    return _unbound(divergence) in GRADIENTS


def summed_in_blocks(z, v, labels, mask, shares, T: float, divergence: Callable, count) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss, `losses._summed`, and the rows of its terms without a gradient."""
    given = z, v, labels, mask, shares, T, divergence
    if not knows(divergence):
        terms = _recorded(*given)
        return _summed(terms, shares, count), terms
    wanted = z.requires_grad and torch.is_grad_enabled()

    def recorded(z, v, labels, mask):  # takes the tensors as arguments, for `_Kept` to let them go after backward
        return _summed(_recorded(z, v, labels, mask, shares, T, divergence), shares, count)

    compiling = torch.compiler.is_compiling()  # a compiler finds blocks of its own
    with torch.no_grad():
        terms, gradient = (_carefully if compiling else partial(in_blocks, _wide(z, v)))(*given, wanted, count)
        loss = _summed(terms, shares, count).to(_wide(z, v))
    if not wanted:
        return loss, terms
    made_of = (None, None, None, None) if compiling else (v, labels, mask, recorded)
    return _Kept.apply(z, loss, gradient, *made_of), terms


class _Kept(torch.autograd.Function):
    """value, whose gradient by z is kept for backward; for second derivatives it is made anew, in steps that are recorded.

    A compiled loss has first derivatives only.
    """

    @staticmethod
    def forward(ctx, z, value, gradient, v, labels, mask, recorded):
        # What inference_mode made torch refuses to save; the loss refers to it as long as it is there itself.
        ctx.inferred = [x if x is not None and x.is_inference() else None for x in (v, labels, mask)]
        normal = [None if x is None or x.is_inference() else x for x in (v, labels, mask)]
        ctx.save_for_backward(z, gradient, *normal)
        ctx.recorded, ctx.spent = recorded, False
        return value.clone()

    @staticmethod
    def backward(ctx, grad):
        z, gradient, *normal = ctx.saved_tensors
        if ctx.recorded is not None and (torch.is_grad_enabled() or ctx.spent):
            made_of = [x if y is None else y for x, y in zip(normal, ctx.inferred, strict=True)]
            create_graph = torch.is_grad_enabled()
            with torch.enable_grad():
                z = z.view_as(z)  # a tensor of its own, lest the hooks of z are called here and then once more
                loss = ctx.recorded(z, *made_of)
            (gradient,) = torch.autograd.grad(loss, z, grad, create_graph=create_graph)
        elif ctx.recorded is None or _keeps_graph():
            gradient = grad[..., None] * gradient
        else:
            ctx.spent = True  # if this backward fails later on, torch refuses another, unless hooks keep what is saved
            gradient = _multiplied(gradient, grad[..., None])
        return gradient, None, None, None, None, None, None


def _keeps_graph() -> bool:
    """Whether a later backward may ask for the same again. True if torch cannot tell."""
    return getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)()


def _multiplied(gradient: Tensor, factor: Tensor) -> Tensor:
    """Their product, in the gradient's place: a second tensor of its size would take memory, and the time to fetch that."""
    try:
        return gradient.mul_(factor)
    except RuntimeError:  # factor is a batch of several, as is_grads_batched gives
        return gradient * factor


def in_blocks(wide: torch.dtype, z, v, labels, mask, shares, T: float, divergence: Callable, with_gradient=True, count=None):
    """Return the rows of each term, as `losses._recorded`, in float64 where it is made so, and a gradient or None.

    The gradient is that of the rows' sum by their shares, over count if there is one: (..., num_classes), of dtype wide.
    """
    num_classes, on_cpu = z.shape[-1], z.device.type == "cpu"
    step = max(1, (BLOCK if on_cpu else 128 * BLOCK) // num_classes)  # a GPU wants few large steps
    if on_cpu and mask is not None and mask.all():
        mask = None  # so that no row is copied
    in_float64 = IN_FLOAT64.get(divergence) if on_cpu and wide == torch.float32 and "soft" in shares else None

    def terms_and_gradient(z, v, labels, mask, into=None):
        if not in_float64 or mask is not None or not len(z):
            return _carefully(z, v, labels, mask, shares, T, divergence, with_gradient, count)
        into = torch.empty_like(z, dtype=wide) if with_gradient and into is None else into
        terms, doubtful = _quickly(z, v, labels, shares, T, in_float64, into)
        if doubtful is not None:
            z, v, labels = (x if x is None else x[doubtful] for x in (z, v, labels))
            its_terms, its_gradient = _carefully(z, v, labels, None, shares, T, divergence, with_gradient)
            for name, rows in its_terms.items():
                terms[name][doubtful] = rows.to(terms[name].dtype)
            if with_gradient:
                into[doubtful] = its_gradient
        return terms, into.div_(count) if with_gradient and count is not None else into  # while it is in the cache

    def shaped(terms, gradient):
        terms = {name: rows.view(z.shape[:-1]) for name, rows in terms.items()}
        return terms, gradient.view(z.shape) if with_gradient else None

    flat = *(x.reshape(-1, num_classes) for x in (z, v)), *(x if x is None else x.flatten() for x in (labels, mask))
    if mask is None and len(flat[0]) <= step:
        return shaped(*terms_and_gradient(*flat))
    terms = {name: z.new_zeros(len(flat[0]), dtype=torch.float64 if in_float64 else wide) for name in shares}
    gradient, counted = None, None
    if with_gradient:
        gradient = z.new_empty(flat[0].shape, dtype=wide)
    if on_cpu and mask is not None:  # the other rows are skipped, where that costs no waiting
        flat, counted = (*flat[:3], None), flat[3].nonzero()[:, 0]
        if with_gradient:
            gradient.zero_()
    for start in range(0, len(flat[0]) if counted is None else len(counted), step):
        at = slice(start, start + step) if counted is None else counted[start : start + step]
        into = gradient[at] if with_gradient and counted is None else None
        its_terms, its_gradient = terms_and_gradient(*(x if x is None else x[at] for x in flat), into)
        for name, rows in its_terms.items():
            terms[name][at] = rows.to(terms[name].dtype)
        if with_gradient and its_gradient is not into:
            gradient[at] = its_gradient
    return shaped(terms, gradient)


def _carefully(z, v, labels, mask, shares, T: float, divergence: Callable, with_gradient: bool, count=None):
    """The rows of `losses._careful`, and a gradient as exact, over count if there is one, or None; 0 where mask is false."""
    if mask is not None:
        z, v, labels = _masked(z, v, labels, mask)
    if with_gradient:
        terms, gradient = _careful_with_gradient(z, v, labels, shares, T, divergence)
    else:
        terms, gradient = _careful(z, v, labels, shares, T, divergence), None
    if mask is not None:
        terms = {name: torch.where(mask, rows, 0) for name, rows in terms.items()}
        gradient = torch.where(mask[..., None], gradient, 0) if with_gradient else None
    return terms, gradient / count if with_gradient and count is not None else gradient


def _careful_with_gradient(z, v, labels, shares, T: float, divergence: Callable) -> tuple[dict[str, Tensor], Tensor]:
    wide, terms = _wide(z, v), {}
    z, v = z.to(wide), v.to(wide)
    gradient = torch.zeros_like(z)
    if "soft" in shares:
        p, q, log_ratio = _compare(z, v, T)
        terms["soft"] = T * T * divergence(p, q, log_ratio)
        if shares["soft"]:
            gradient = GRADIENTS[_unbound(divergence)](p, q, log_ratio, **getattr(divergence, "keywords", {}))
            # The sum over the classes is 0 but for rounding, which would be multiplied by T in the end.
            gradient = (gradient - q * gradient.sum(-1, keepdim=True)) * (shares["soft"] * T)
    if "hard" in shares:
        log_q, labels = torch.log_softmax(z, -1), labels[..., None]
        terms["hard"] = -log_q.gather(-1, labels)[..., 0]
        if shares["hard"]:
            at_label = labels == torch.arange(z.shape[-1], device=z.device)
            gradient = gradient + shares["hard"] * (log_q.exp() - at_label.to(wide))
    return terms, gradient


def _centred(q: Tensor, score: Tensor) -> Tensor:
    """q (score - its mean under q): the derivative of Σ q · score by the logits of q, with score held constant."""
    return _weighted(q, score - _weighted(q, score).sum(-1, keepdim=True))


# p, q, log(q / p), each (..., num_classes) -> T times the divergence's derivative by z, up to a multiple of q in each row.
GRADIENTS = {
    BUILT_IN["forward"]: _balanced,
    BUILT_IN["reverse"]: lambda p, q, log_ratio: _centred(q, log_ratio),
    BUILT_IN["jsd"]: lambda p, q, log_ratio, beta=0.5: _centred(q, (beta - 1) * _log_of_mean(-log_ratio, beta, 1 - beta)),
    BUILT_IN["tvd"]: lambda p, q, log_ratio: _centred(q, _balanced(p, q, log_ratio).sign() / 2),
}


def _unbound(divergence: Callable) -> Callable:
    return divergence.func if isinstance(divergence, partial) else divergence


def _quickly(z, v, labels, shares, T: float, in_float64, into: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
    """Terms, and in `into` the gradient, by the textbook in float64; and the numbers of the rows for which that does not do.

    It does not where its rounding would show in float32, nor where a value is NaN, above LARGE or infinite.
    """
    top_z = z.amax(-1, keepdim=True)
    a, b = z.double().sub_(top_z).mul_(1 / T), v.double().sub_(v.amax(-1, keepdim=True)).mul_(1 / T)
    q, p = _softmax(a), _softmax(b)
    # One over a row's largest probability is its sum of exponentials, since its maximum is 0.
    shift = (p.amax(-1) / q.amax(-1)).log_()
    lopsided = None
    if -math.inf in (z.amin().item(), v.amin().item()):  # a class that both have there has no difference
        lopsided = ((z == -math.inf) != (v == -math.inf)).any(-1)
        a, b = a.clamp_(min=-1e300), b.clamp_(min=-1e300)
    value, gradient = in_float64(p, q, a.sub_(b), shift)
    low, high = (each.item() for each in value.aminmax())
    doubtful = None
    if not (low > SMALL and high < LARGE and lopsided is None):
        fine = (value > SMALL) & (value < LARGE)
        doubtful = (~fine if lopsided is None else ~fine | lopsided).nonzero()[:, 0]
    terms = {"soft": value.mul_(T * T)}
    if into is not None and shares["soft"]:
        into.copy_(gradient).mul_(shares["soft"] * T)
    elif into is not None:  # an infinite one, say, by 0 would be NaN
        into.zero_()
    if "hard" in shares:
        labels, q_1 = labels[:, None], _softmax(z.float(), top_z)
        terms["hard"] = (top_z.double() - z.gather(-1, labels) - q_1.amax(-1, keepdim=True).log_())[:, 0]
        if into is not None:
            into.add_(q_1, alpha=shares["hard"]).scatter_add_(-1, labels, q_1.new_full(labels.shape, -shares["hard"]))
    return terms, doubtful


def _softmax(x: Tensor, top: Tensor | None = None) -> Tensor:
    """The softmax of rows whose maximum is top, or 0, which torch takes long for where they are short."""
    if x.shape[-1] >= SHORT:
        return torch.softmax(x, -1)
    exponentials = x.exp() if top is None else (x - top).exp_()
    return exponentials.div_(exponentials.sum(-1, keepdim=True))


def _forward_in_float64(p: Tensor, q: Tensor, difference: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    return shift - difference.mul_(p).sum(-1), q.sub_(p)


def _reverse_in_float64(p: Tensor, q: Tensor, difference: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    mean = torch.linalg.vecdot(q, difference)
    gradient = difference.sub_(mean[:, None]).mul_(q)
    return mean - shift, gradient.addcmul_(q, gradient.sum(-1, keepdim=True), value=-1)  # its sum is 0, but for rounding


# What the textbook is right for, in float64: p, q, and of log(q / p) the difference of logits and the shift that comes off it,
# all of which may be overwritten -> value (rows,) and T times its gradient (rows, num_classes), exact.
IN_FLOAT64 = {BUILT_IN["forward"]: _forward_in_float64, BUILT_IN["reverse"]: _reverse_in_float64}
