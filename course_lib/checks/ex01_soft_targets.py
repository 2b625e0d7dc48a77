"""Exercise 1: the softmax with a temperature, and the entropy of what it gives."""

import torch

from course_lib import losses, metrics
from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes

wrong = Mistakes()


_ONE_ROW = "Take one row: do its values add up to 1, and does a larger T bring them together?"
_COIN = "Two equal probabilities should give 1 bit, four of them 2."


def _observe_formula(recorder, answers, seed):
    for purpose, (shape, T) in enumerate([((4, 5), 1.0), ((3, 5), 2.5), ((5,), 0.5), ((2, 3, 4), 4.0)]):
        logits = random_normal(make_generator(seed, purpose), *shape, scale=2)
        label = f"logits of shape {shape} at T = {T:g}"
        recorder.call(label, answers["soft_targets"], {"logits": logits, "T": T}, hint=_ONE_ROW)


def _observe_stable(recorder, answers, seed):
    for purpose, (T, size) in enumerate([(1.0, 1000), (0.25, 200), (4.0, 2000)]):
        g = make_generator(seed, 10 + purpose)
        # Quarters, so that no rounding hides behind the size; one row far above zero, one far below.
        logits = random_integers(g, -12, 12, 3, 5) / 4 + torch.tensor([[size], [-size], [0]])
        label = f"logits near ±{size} at T = {T:g}"
        recorder.call(label, answers["soft_targets"], {"logits": logits, "T": T}, rtol=1e-3)
    logits = random_integers(make_generator(seed, 15), -150, 150, 3, 5).float()
    recorder.call("logits that lie far apart in one row", answers["soft_targets"], {"logits": logits, "T": 0.5}, rtol=1e-3)


def _observe_entropy(recorder, answers, seed):
    p = torch.softmax(random_normal(make_generator(seed, 20), 4, 6, scale=2), -1)
    recorder.call("the entropy of 4 rows", answers["entropy"], {"probabilities": p}, hint=_COIN)
    p = torch.softmax(random_normal(make_generator(seed, 21), 2, 3, 5, scale=1), -1)
    recorder.call("the entropy of rows in a tensor of shape (2, 3, 5)", answers["entropy"], {"probabilities": p})
    p = torch.tensor([[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0.25, 0.25, 0.25, 0.25]])[
        :, torch.randperm(4, generator=make_generator(seed))
    ]
    recorder.call("the entropy of rows with zeros in them", answers["entropy"], {"probabilities": p})


def soft_targets(logits, T):
    return losses.soft_targets(logits.double(), T)


def entropy(probabilities):
    return metrics.entropy_bits(probabilities.double())


@wrong("soft_targets", "formula", "the logits are multiplied by T")
def multiplied(logits, T):
    """A high temperature should bring the probabilities together."""
    return torch.softmax(logits * T, -1)


@wrong("soft_targets", "formula", "T has no effect")
def ignored(logits, T):
    """Try T = 1 and T = 100 on the same logits: what should differ?"""
    return torch.softmax(logits, -1)


@wrong("soft_targets", "formula", "the softmax runs over the wrong dimension")
def first_dimension(logits, T):
    """Which sums should be 1? The classes are in the last dimension."""
    return torch.softmax(logits / T, 0)


@wrong("soft_targets", "formula", "one sum for the whole tensor")
def whole_tensor(logits, T):
    """Each row is a distribution of its own. What should each row add up to?"""
    return torch.exp(logits / T) / torch.exp(logits / T).sum()


@wrong("soft_targets", "formula", "T divides the probabilities")
def after(logits, T):
    """Add up a row. Where in the formula does T stand: before or after the exponential?"""
    return torch.softmax(logits, -1) / T


@wrong("soft_targets", "formula", "it returns logarithms")
def logarithms(logits, T):
    """Probabilities lie between 0 and 1. Look at the sign of your values."""
    return torch.log_softmax(logits / T, -1)


@wrong("soft_targets", "formula", "the sum has lost its dimension")
def without_keepdim(logits, T):
    """A sum over a dimension takes it away. What does the division need so that each row meets its own sum?"""
    powers = torch.exp(logits / T)
    return powers / powers.sum(-1)


@wrong("soft_targets", "stable", "the exponential of a large number")
def overflowing(logits, T):
    """float32 ends near e^88. A softmax does not change when the same number is subtracted from every logit of a row."""
    powers = torch.exp(logits / T)
    return powers / powers.sum(-1, keepdim=True)


@wrong("soft_targets", "stable", "the maximum of the whole tensor is subtracted")
def one_maximum(logits, T):
    """What becomes of a row whose logits all lie far below the maximum of another row?"""
    powers = torch.exp((logits - logits.max()) / T)
    return powers / powers.sum(-1, keepdim=True)


@wrong("soft_targets", "stable", "the logits are clipped")
def clipped(logits, T):
    """Two logits beyond the bound become equal. What may be subtracted from a row without changing its softmax?"""
    powers = torch.exp((logits / T).clamp(-80, 80))
    return powers / powers.sum(-1, keepdim=True)


@wrong("entropy", "entropy", "natural logarithms")
def nats(probabilities):
    """The unit is the bit: a fair coin has 1."""
    return -torch.xlogy(probabilities, probabilities).sum(-1)


@wrong("entropy", "entropy", "the sign is missing")
def negative(probabilities):
    """Entropy is never negative. What sign does the logarithm of a probability have?"""
    return torch.xlogy(probabilities, probabilities).sum(-1) / 0.6931471805599453


@wrong("entropy", "entropy", "zero times the logarithm of zero")
def undefined(probabilities):
    """A class with probability 0 adds nothing. What does your code make of it?"""
    return -(probabilities * torch.log2(probabilities)).sum(-1)


@wrong("entropy", "entropy", "a mean over the classes")
def averaged(probabilities):
    """Four equal probabilities should give 2 bits."""
    return -torch.xlogy(probabilities, probabilities).mean(-1) / 0.6931471805599453


@wrong("entropy", "entropy", "one number for the whole tensor")
def total(probabilities):
    """Each row has an entropy of its own. Which dimension should go?"""
    return -torch.xlogy(probabilities, probabilities).sum() / 0.6931471805599453


@wrong("entropy", "entropy", "a logarithm without its weight")
def unweighted(probabilities):
    """An unlikely class surprises a lot, but rarely. How much does it count?"""
    return -torch.log2(probabilities).sum(-1)


exercise = Exercise(
    number=1,
    name="soft_targets",
    title="soft targets",
    minutes=15,
    parts=(
        Part("formula", "Softmax with a temperature", 2, ("soft_targets",), _observe_formula, "softmax with a temperature"),
        Part("stable", "The same for large logits", 2, ("soft_targets",), _observe_stable, "large logits"),
        Part("entropy", "Entropy in bits", 2, ("entropy",), _observe_entropy),
    ),
    right={"soft_targets": soft_targets, "entropy": entropy},
    mistakes=tuple(wrong),
    library=("course_lib.losses", "course_lib.metrics", "course_lib.checks"),
    asks="the softmax at a temperature, and its entropy",
    goes_with="01 and 02",
)
