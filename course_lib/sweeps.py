"""Numbers of outputs while one thing is swept: the temperature, the scale of the logits, or the bias of a class."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from course_lib.calibration import expected_calibration_error
from course_lib.losses import soft_targets
from course_lib.metrics import accuracy, entropy_bits


def log_spaced(lowest: float, highest: float, n: int) -> Tensor:
    """Return n numbers from lowest to highest, each the same number of times the one before: float32 (n,)."""
    return torch.logspace(math.log2(lowest), math.log2(highest), n, base=2)


def first_second_rest(ranked: Tensor) -> Tensor:
    """Return the probabilities of the first class, of the second, and of all others: (..., 3).

    ranked: (..., num_classes), largest first.
    """
    return torch.cat([ranked[..., :2], ranked[..., 2:].sum(-1, keepdim=True)], dim=-1)


def mass_by_temperature(ranked_logits: Tensor, temperatures: Iterable[float]) -> tuple[Tensor, Tensor]:
    """Return (mass, bits) of each row at each temperature: see `first_second_rest`, and the entropy.

    ranked_logits: (n, num_classes), largest first. Shapes (n, temperatures, 3) and (n, temperatures).
    """
    probabilities = torch.stack([soft_targets(ranked_logits, float(T)) for T in temperatures], dim=1)
    return first_second_rest(probabilities), entropy_bits(probabilities)


def entropy_map(logits: Tensor, scales: Tensor, temperatures: Iterable[float]) -> Tensor:
    """Return the entropy in bits of softmax(scale * logits / T), logits (num_classes,): (temperatures, scales)."""
    return entropy_bits(torch.stack([soft_targets(scales[:, None] * logits, float(T)) for T in temperatures]))


def temperatures_of_entropies(logits: Tensor, bits: Sequence[float], temperatures: Sequence[float]) -> list[float]:
    """Return for each entropy, in bits, that of the temperatures at which logits (num_classes,) come nearest to it."""
    at = entropy_bits(torch.stack([soft_targets(logits, float(T)) for T in temperatures]))
    return [float(temperatures[int((at - level).abs().argmin())]) for level in bits]


def calibration_errors(logits: Tensor, labels: Tensor, temperatures: Iterable[float], bins: int = 15) -> list[float]:
    """Return the expected calibration error, in [0, 1], of logits (n, num_classes) at each temperature; labels (n,)."""
    return [expected_calibration_error(soft_targets(logits, float(T)), labels, bins) for T in temperatures]


def accuracies_with_bias(logits: Tensor, labels: Tensor, label: int, bias: float) -> tuple[float, float]:
    """Return the accuracy on the rows of class `label`, and on all others, once `bias` is added to its logit: in [0, 1].

    logits: (n, num_classes), left as they are; labels: (n,), with rows of both kinds.
    """
    shifted, rows = logits.clone(), labels == label
    shifted[:, label] += bias
    return accuracy(shifted[rows], labels[rows]), accuracy(shifted[~rows], labels[~rows])


def margins(scores: Tensor) -> Tensor:
    """Return how far each class is ahead of the best of the others: (n, num_classes), two classes at least, in its shape.

    Positive for the class that a row names, 0 where two share the first rank, negative for all others.
    """
    best = scores.topk(2).values
    return scores - torch.where(scores == best[:, :1], best[:, 1:], best[:, :1])
