"""A teacher with two humps and the best student with one: what a divergence does where q cannot be p.

The classes are the ages from 0 to 100. Arrays are float64.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch

from course_lib.metrics import js_divergence, kl_divergence

AGES = np.arange(101.0)  # the classes, in their order
MIDDLE, WIDTH, SHARE = 50, 4, 0.6  # the humps: around which age, how wide, and what the left one holds of the mass
_WIDTHS = np.geomspace(2, 40, 40)
_DIVERGENCES = {"forward": kl_divergence, "reverse": lambda p, q: kl_divergence(q, p), "jsd": js_divergence}


class OneHump(NamedTuple):
    """The one-humped q that comes nearest to a teacher's p."""

    q: np.ndarray  # (ages,)
    divergence: float  # in nats
    profile: np.ndarray  # (ages,): with the hump at each age, the least divergence over all widths


def two_humps(distance: float) -> np.ndarray:
    """Return a teacher's probabilities for AGES: two humps of the same width, `distance` years from each other."""
    left, right = (np.exp(-(((AGES - MIDDLE + side * distance / 2) / WIDTH) ** 2) / 2) for side in (1, -1))
    p = SHARE * left + (1 - SHARE) * right
    return p / p.sum()


def fit_one_hump(p: np.ndarray, divergence: str) -> OneHump:
    """Return the best of all students whose logits are a parabola, -(age - center)² / 2 width².

    p: (ages,); divergence: a name that `course_lib.losses` knows: "forward", "reverse" or "jsd". A search over all centers and
    widths, made finer around the best: there is no step size and no start on which it could depend.
    """
    log_p, measure = torch.from_numpy(p).log(), _DIVERGENCES[divergence]
    centers, widths, logits, profile = AGES, _WIDTHS, _coarse_grid(), None
    for _ in range(4):
        distances = measure(log_p, logits).numpy()
        i, j = np.unravel_index(distances.argmin(), distances.shape)
        if profile is None:
            profile = distances.min(axis=1)
        q, least = logits[i, j].softmax(-1).numpy(), float(distances[i, j])
        step, factor = centers[1] - centers[0], widths[1] / widths[0]
        centers = centers[i] + step * np.linspace(-1, 1, 11)
        widths = widths[j] * factor ** np.linspace(-1, 1, 11)
        logits = _parabolas(centers, widths)
    return OneHump(q, least, profile)


class WidthFit(NamedTuple):
    """The best student whose hump stands at a given age."""

    q: np.ndarray  # (ages,)
    divergence: float  # in nats


def fit_width(p: np.ndarray, divergence: str, center: float) -> WidthFit:
    """Return the best of all students with their hump at `center`, in years. Arguments and search as in `fit_one_hump`."""
    log_p, measure, widths = torch.from_numpy(p).log(), _DIVERGENCES[divergence], _WIDTHS
    for _ in range(3):
        logits = _parabolas(np.array([float(center)]), widths)[0]
        distances = measure(log_p, logits)
        j = int(distances.argmin())
        q, least = logits[j].softmax(-1).numpy(), float(distances[j])
        widths = widths[j] * (widths[1] / widths[0]) ** np.linspace(-1, 1, 11)
    return WidthFit(q, least)


def mean_and_deviation(q: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of the age, in years, under the probabilities q."""
    mean = float(AGES @ q)
    return mean, math.sqrt(float((AGES - mean) ** 2 @ q))


@functools.cache
def _coarse_grid() -> torch.Tensor:
    return _parabolas(AGES, _WIDTHS)


def _parabolas(centers: np.ndarray, widths: np.ndarray) -> torch.Tensor:
    """Return logits for every center and width: (centers, widths, ages)."""
    return torch.from_numpy(-(((AGES - centers[:, None, None]) / widths[:, None]) ** 2) / 2)
