"""The gradients of the soft and the hard term with respect to the student's logits: their size, slope and shares."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from course_lib.losses import soft_targets


def soft_gradient(student_logits: Tensor, teacher_logits: Tensor, T: float) -> Tensor:
    """Return the gradient of T² KL(p‖q) of each row with respect to the student's logits, T (q - p), in their shape.

    Both (..., num_classes) (Hinton, Vinyals & Dean 2015, section 2.1). Divided by T², it is that of the KL alone.
    """
    return T * (soft_targets(student_logits, T) - soft_targets(teacher_logits, T))


def soft_gradient_limit(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return the limit of `soft_gradient` as T grows: the difference of the centred logits over the number of classes."""
    difference = student_logits - teacher_logits
    return (difference - difference.mean(-1, keepdim=True)) / student_logits.shape[-1]


def hard_gradient(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the cross-entropy of each row with respect to its logits: (n, num_classes), labels (n,)."""
    return soft_targets(student_logits, 1) - one_hot(labels, student_logits.shape[-1])


def mean_norm(rows: Tensor) -> float:
    """Return the mean of the rows' Euclidean norms: what the course calls the size of a gradient."""
    return rows.norm(dim=-1).mean().item()


def gradient_slope(student_logits: Tensor, teacher_logits: Tensor, T: float) -> float:
    """Return d log size / d log T, at T, of the gradient without T², from temperatures one percent to either side."""
    step = 1.01
    sizes = [mean_norm(soft_gradient(student_logits, teacher_logits, at)) / at**2 for at in (T * step, T / step)]
    return math.log(sizes[0] / sizes[1]) / (2 * math.log(step))


class SizeCurve(NamedTuple):
    """The size of the gradient with T² along T, and the slope of the size without: each (n,); limit: of the size."""

    temperatures: Tensor
    sizes: Tensor
    slopes: Tensor
    limit: float

    def scaled(self, scale: float) -> "SizeCurve":
        """Return the curve of logits `scale` times as large: T only ever divides logits, so it is the same one, moved."""
        return SizeCurve(scale * self.temperatures, scale * self.sizes, self.slopes, scale * self.limit)


def size_curve(student_logits: Tensor, teacher_logits: Tensor, temperatures: Tensor) -> SizeCurve:
    """Return sizes and slopes at all temperatures, (n,) in growing order, at once, for logits (rows, num_classes).

    The slopes are taken between neighbouring temperatures, so those at both ends are rough.
    """
    at = temperatures[:, None, None]
    q, p = (torch.softmax(logits[None] / at, -1) for logits in (student_logits, teacher_logits))
    sizes = temperatures * (q - p).norm(dim=-1).mean(-1)
    slopes = torch.gradient(sizes.log(), spacing=(temperatures.log(),))[0] - 2
    return SizeCurve(temperatures, sizes, slopes, mean_norm(soft_gradient_limit(student_logits, teacher_logits)))


def soft_share(soft_size: float, hard_size: float, alpha: float) -> float:
    """Return the share of the soft term in the sizes of the two gradients, each times its weight."""
    return alpha * soft_size / (alpha * soft_size + (1 - alpha) * hard_size)


def soft_shares(soft_size: float, hard_size: float, T: float, alpha: float) -> tuple[float, float]:
    """Return the soft term's share of the gradient at T with T² and without it; soft_size: of the soft gradient with T²."""
    return soft_share(soft_size, hard_size, alpha), soft_share(soft_size / T**2, hard_size, alpha)
