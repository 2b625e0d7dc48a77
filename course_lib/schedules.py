"""A temperature, a weight or a learning rate as a function of training progress.

Each schedule is a callable `progress -> value`, for progress from 0 (the first step) to 1 (the last). All are frozen
dataclasses: they compare, pickle, and print as the call that makes them.
"""

import math
from dataclasses import dataclass
from numbers import Real


@dataclass(frozen=True)
class constant:  # noqa: N801 - named like the functions that they are to the reader
    """The same T throughout. Raises TypeError or ValueError unless T is finite and not below 0."""

    T: float

    def __post_init__(self):
        check_not_negative("T", self.T)

    def __call__(self, progress: float) -> float:
        _check_progress(progress)
        return float(self.T)


@dataclass(frozen=True)
class _Decay:
    start: float
    end: float

    def __post_init__(self):
        self._check("start", self.start)
        self._check("end", self.end)

    def _check(self, name: str, value: float) -> None:
        check_not_negative(name, value)

    def __call__(self, progress: float) -> float:
        _check_progress(progress)
        # Every _between is exact at 0 and at 1: one of its two terms is then the end itself, the other 0 or a factor of 1.
        low, high = sorted((float(self.start), float(self.end)))
        return min(max(self._between(float(progress)), low), high)


@dataclass(frozen=True)
class linear(_Decay):  # noqa: N801
    """A straight line from start to end."""

    def _between(self, progress: float) -> float:
        return self.start * (1 - progress) + self.end * progress


@dataclass(frozen=True)
class cosine(_Decay):  # noqa: N801
    """Half a cosine from start to end: slow, fast, slow (the shape of Loshchilov & Hutter 2017, equation 5)."""

    def _between(self, progress: float) -> float:
        weight = (1 + math.cos(math.pi * progress)) / 2
        return self.start * weight + self.end * (1 - weight)


@dataclass(frozen=True)
class exponential(_Decay):  # noqa: N801
    """The same factor in every step: a straight line for log T. Neither end can be 0."""

    def _check(self, name: str, value: float) -> None:
        check_not_negative(name, value)
        if value == 0:
            raise ValueError(f"{name} must be above 0 for exponential, which multiplies; got {value}")

    def _between(self, progress: float) -> float:
        return self.start ** (1 - progress) * self.end**progress


def check_not_negative(name: str, value: float) -> None:
    """Raise, naming the argument, unless value is a finite number, 0 or above. An end of 0 is right for alpha and for lr."""
    _check_real(name, value)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a finite number, 0 or above; got {value}")


def _check_progress(progress: float) -> None:
    _check_real("progress", progress)
    if not 0 <= progress <= 1:
        raise ValueError(f"progress must lie in [0, 1], got {progress}")


def _check_real(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that fits into a float, got one that is larger") from None
