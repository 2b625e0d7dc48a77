"""Calibration: is a model right as often as it says that it is?"""

from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.metrics import check_labelled


class Reliability(NamedTuple):
    """What a model is right about, by how sure it is: three float64 tensors (bins,), NaN in the first two for empty bins.

    confidence, accuracy: the means over the rows of a bin; share: the part of all rows that is in it, adding up to 1.
    """

    confidence: Tensor
    accuracy: Tensor
    share: Tensor

    @property
    def expected_calibration_error(self) -> float:
        """The distance between accuracy and confidence, averaged over the rows (Guo et al. 2017, equation 3), in [0, 1]."""
        return (self.share * (self.accuracy - self.confidence).abs()).nansum().item()


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Rows (n, num_classes) sorted into `bins` equal parts of [0, 1] by their largest probability (Guo et al. 2017, section 2).

    Bin k holds confidences in (k / bins, (k + 1) / bins], up to rounding. labels: int64 (n,). Raises ValueError, naming
    the argument.
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise ValueError(f"bins must be an int of at least 1, got {bins!r}")
    check_labelled("probabilities", probabilities, labels)
    if probabilities.min() < 0 or not torch.allclose(probabilities.sum(-1).double(), torch.ones(()).double(), atol=1e-2):
        raise ValueError("probabilities must be at least 0 and add up to 1 in each row; logits need a softmax first")
    confidence, guess = probabilities.max(-1)
    confidence, right = confidence.double().clamp(max=1), (guess == labels).double()
    of_row = (confidence * bins).ceil().long() - 1
    count, total, hits = (
        torch.zeros(bins, dtype=torch.float64, device=labels.device).index_add_(0, of_row, values)
        for values in (torch.ones_like(right), confidence, right)
    )
    return Reliability(total / count, hits / count, count / len(labels))


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Return the distance of a model's confidence from its accuracy, on average: see `reliability`. 0 is perfect."""
    return reliability(probabilities, labels, bins).expected_calibration_error
