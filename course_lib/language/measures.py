"""What a model of names is worth, in bits: a letter, a name; and how well it drafts for another."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from course_lib.basics import check_positive_int, device_of
from course_lib.loops import predict
from course_lib.losses import soft_target_loss
from course_lib.objectives import IGNORE_INDEX


def bits_per_letter(model: nn.Module, names: TensorDataset) -> float:
    """Return how many bits the model needs for a symbol of these names, the end of each included: cross-entropy, base 2.

    names: what `encode` gives. Guessing blindly takes log2(27) = 4.75.
    """
    logits, labels = _logits(model, names)
    return F.cross_entropy(logits, labels).item() / math.log(2)


def kl_per_name(p_model: nn.Module, q_model: nn.Module, names: TensorDataset) -> float:
    """Return KL(p‖q) between what two models would write, in bits a name, as the mean over `names`, which p_model wrote.

    A name's probability is the product of those of its symbols, so the divergence is the sum of theirs along the name
    (the chain rule). With names of p_model's own (`write_names`) it is an unbiased estimate; other names are another measure.
    """
    p_logits, labels = _logits(p_model, names)
    q_logits, _ = _logits(q_model, names)
    per_symbol = soft_target_loss(q_logits, p_logits, T=1.0).item() / math.log(2)
    return per_symbol * len(labels) / len(names)


def acceptance(p: Tensor, q: Tensor) -> Tensor:
    """Return the probability that a draft from q is accepted by p: the sum of min(p, q) over the last dimension.

    p, q: probabilities (..., num_symbols). It is 1 minus their total variation (Leviathan et al. 2023, theorem 3.5).
    """
    return torch.minimum(p, q).sum(-1)


def mean_acceptance(teacher: nn.Module, student: nn.Module, names: TensorDataset) -> float:
    """Return how often the teacher accepts a symbol that the student drafts, in [0, 1], over all symbols of `names`."""
    teacher_logits, _ = _logits(teacher, names)
    student_logits, _ = _logits(student, names)
    return acceptance(teacher_logits.softmax(-1), student_logits.softmax(-1)).mean().item()


def symbols_per_call(teacher: nn.Module, student: nn.Module, names: TensorDataset, drafts: int) -> float:
    """Return how many symbols a call of the teacher gives in `speculate` with so many drafts per round, ends of names included.

    names: written by the teacher. What speculative decoding writes has the same distribution, and a symbol x that came where
    a draft was made was that draft with probability min(1, q(x) / p(x)). So the mean number of calls follows from the names,
    without a draft being drawn. The one difference: `speculate` leaves a 13th letter to the teacher, this does not.
    """
    check_positive_int("drafts", drafts)
    p_logits, labels = _logits(teacher, names)
    q_logits, _ = _logits(student, names)
    log_ratio = (q_logits.log_softmax(-1) - p_logits.log_softmax(-1)).gather(-1, labels[:, None])[:, 0]
    lengths = (names.tensors[1] != IGNORE_INDEX).sum(-1).tolist()
    calls = sum(_calls(name.tolist(), drafts) for name in log_ratio.clamp(max=0).exp().split(lengths))
    return len(labels) / calls


def _calls(accepted: list[float], drafts: int) -> float:
    """The mean number of rounds for one name; accepted: the probability that each of its symbols, if drafted, was accepted."""
    n = len(accepted)
    left = [0.0] * (n + drafts + 2)  # mean rounds from each symbol on; none beyond the end
    for i in reversed(range(n)):
        reach, left[i] = 1.0, 1.0
        for j in range(i, min(i + drafts, n)):
            left[i] += reach * (1 - accepted[j]) * left[j + 1]  # rejected at j: the teacher's symbol replaces it
            reach *= accepted[j]
        left[i] += reach * left[i + drafts + 1]  # all accepted: the teacher adds one more
    return left[0]


def _logits(model: nn.Module, names: TensorDataset) -> tuple[Tensor, Tensor]:
    """Logits (rows, vocab_size), in float64 so that means of many keep their digits, and labels (rows,), where there is one."""
    inputs, labels = (column.to(device_of(model)) for column in names.tensors[:2])
    counted = labels != IGNORE_INDEX
    return predict(model, inputs)[counted].double(), labels[counted]
