"""Measures of outputs (entropy, divergences, accuracy, agreement), of models (parameters) and of experiments (intervals)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


def entropy_bits(probabilities: Tensor) -> Tensor:
    """Entropy of each row in bits (Shannon 1948): (..., num_classes) -> (...). 0 for certainty, log2(num_classes) at most."""
    return -torch.xlogy(probabilities, probabilities).sum(-1) / math.log(2)


def kl_divergence(logits: Tensor, other_logits: Tensor) -> Tensor:
    """Return KL(p‖q) of each row in nats (Kullback & Leibler 1951), p and q being the softmax of `logits` and `other_logits`.

    Both (..., num_classes), or shapes that broadcast to it; returns (...). Log-probabilities are logits, too. A class to
    which p gives nothing counts for nothing, whatever q gives it.
    """
    return _kl(logits.log_softmax(-1), other_logits.log_softmax(-1))


def js_divergence(logits: Tensor, other_logits: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of each row in nats (Lin 1991): the mean of both KLs to the mixture (p + q) / 2.

    Arguments and result as in `kl_divergence`. At most log 2.
    """
    log_p, log_q = logits.log_softmax(-1), other_logits.log_softmax(-1)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return (_kl(log_p, log_m) + _kl(log_q, log_m)) / 2


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0).sum(-1)


def total_variation(probabilities: Tensor, others: Tensor) -> Tensor:
    """Return the share of the probability that lies elsewhere: half the sum of |p - q| of each row, in [0, 1].

    Both (..., num_classes), or shapes that broadcast to it; returns (...).
    """
    return (probabilities - others).abs().sum(-1) / 2


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows (n, num_classes) whose largest logit is that of their label (n,), in [0, 1]."""
    check_labelled("logits", logits, labels)
    return (logits.argmax(-1) == labels).float().mean().item()


def agreement(logits: Tensor, other_logits: Tensor) -> float:
    """Return the share of rows, both (n, num_classes), in which two models name the same class (Stanton et al. 2021)."""
    if logits.shape != other_logits.shape or not len(logits):
        raise ValueError(
            "logits and other_logits must have the same shape and at least one row; "
            f"got {tuple(logits.shape)} and {tuple(other_logits.shape)}"
        )
    return (logits.argmax(-1) == other_logits.argmax(-1)).float().mean().item()


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that the parameters of `model` hold, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def check_labelled(name: str, rows: Tensor, labels: Tensor) -> None:
    """Raise ValueError, naming the argument, unless there is a label for each of at least one row."""
    if rows.dim() != 2 or labels.shape != rows.shape[:1] or not len(labels):
        raise ValueError(
            f"{name} and labels must have shapes (n, num_classes) and (n,), n being at least 1; "
            f"got {tuple(rows.shape)} and {tuple(labels.shape)}"
        )


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval, mean ± half_width. Prints as such, in the unit of the values."""

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.half_width:.2f}"


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of independent runs and its 95 % interval by Student's t (Student 1908): at least two values, no NaN."""
    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):
        raise ValueError(f"values must be at least two finite numbers, got {list(values)}")
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Interval(mean, _t_975(n - 1) * math.sqrt(variance / n))


def paired_interval(values: Sequence[float], others: Sequence[float]) -> Interval:
    """Return the interval of `values` minus `others`, seed by seed: two runs that share a seed share its luck.

    Raises ValueError unless both hold as many finite numbers, two at least.
    """
    if len(values) != len(others):
        raise ValueError(f"values and others must be of the same length, one pair a seed; got {len(values)} and {len(others)}")
    return mean_interval([value - other for value, other in zip(values, others, strict=True)])


def _t_975(freedom: int) -> float:
    """The 97.5 % point of Student's t. Exact to four digits to 30 degrees of freedom, then by its expansion in 1/freedom."""
    if freedom <= len(_T_975):
        return _T_975[freedom - 1]
    z = 1.959963985
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


_T_975 = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)  # fmt: skip
