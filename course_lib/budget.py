"""The choice of a model within a budget of time."""

from collections.abc import Iterable
from typing import NamedTuple


class Candidate(NamedTuple):
    """A model that could be shipped: time and accuracy in units of the caller's choice, the same for all."""

    name: str
    time: float
    accuracy: float


def best_within(candidates: Iterable[Candidate], budget: float) -> Candidate | None:
    """Return the most accurate candidate that takes at most `budget`, the first of equals; None where all take longer."""
    return max((each for each in candidates if each.time <= budget), key=lambda each: each.accuracy, default=None)
