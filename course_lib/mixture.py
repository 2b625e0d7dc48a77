"""The second running example: a 2-D mixture of Gaussians whose true posterior is known."""

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.utils.data import TensorDataset

from course_lib.basics import check_positive_int


class Mixture(nn.Module):
    """A mixture of 2-D Gaussians, one a class, whose posterior p(class | x) is known exactly.

    It is a teacher like any other: called on points (n, 2) it gives logits (n, num_classes), here the exact
    log-posterior, so that what a student learns can be compared with the truth. means: (num_classes, 2);
    covariances: (num_classes, 2, 2), positive definite; priors: (num_classes,), adding up to 1. Without arguments:
    four classes, two of which overlap so much that nobody can tell them apart in between.
    """

    def __init__(self, means=None, covariances=None, priors=None):
        super().__init__()
        means = _DEFAULT_MEANS if means is None else means
        covariances = _DEFAULT_COVARIANCES if covariances is None else covariances
        means = torch.as_tensor(means, dtype=torch.float32)
        classes = means.shape[:1]  # (num_classes,)
        priors = torch.ones(classes).softmax(0) if priors is None else torch.as_tensor(priors)
        self.register_buffer("means", means)
        self.register_buffer("covariances", torch.as_tensor(covariances, dtype=torch.float32))
        self.register_buffer("priors", priors.to(torch.float32))
        shapes = tuple(means.shape), tuple(self.covariances.shape), tuple(priors.shape)
        if not means.numel() or shapes != ((*classes, 2), (*classes, 2, 2), classes):
            raise ValueError(
                "means, covariances and priors must have shapes (num_classes, 2), (num_classes, 2, 2) and (num_classes,); "
                "got {}, {} and {}".format(*shapes)
            )
        if not (priors.min() > 0 and abs(float(priors.sum()) - 1) <= 1e-5):  # so put, nan is refused too
            raise ValueError(f"priors must be above 0 and add up to 1, got {priors.tolist()}")
        self._gaussians()  # raises if a covariance is not positive definite

    @property
    def num_classes(self) -> int:
        return len(self.means)

    def forward(self, points: Tensor) -> Tensor:
        """log p(class | x), (n, num_classes), for points (n, 2)."""
        joint = self._gaussians().log_prob(points[:, None]) + self.priors.log()
        return joint.log_softmax(-1)

    def posterior(self, points: Tensor) -> Tensor:
        """p(class | x) by Bayes' rule, (n, num_classes), for points (n, 2)."""
        return self(points).exp()

    def sample(self, n: int, seed: int = 0) -> TensorDataset:
        """n points (n, 2) and the classes (n,) that they were drawn from; the same for the same seed."""
        check_positive_int("n", n)
        generator = torch.Generator().manual_seed(seed)
        labels = torch.multinomial(self.priors.cpu(), n, replacement=True, generator=generator)
        noise = torch.randn(n, 2, 1, generator=generator)
        scale = torch.linalg.cholesky(self.covariances.cpu())[labels]
        points = self.means.cpu()[labels] + (scale @ noise)[..., 0]
        return TensorDataset(points.to(self.means.device), labels.to(self.means.device))

    def _gaussians(self) -> MultivariateNormal:
        return MultivariateNormal(self.means, covariance_matrix=self.covariances, validate_args=True)


_DEFAULT_MEANS = ((-1.0, 0.9), (0.6, 0.9), (-0.2, -1.3), (2.6, -0.9))
_DEFAULT_COVARIANCES = (
    ((0.60, 0.15), (0.15, 0.45)),
    ((0.60, -0.15), (-0.15, 0.45)),
    ((1.00, 0.00), (0.00, 0.30)),
    ((0.35, 0.20), (0.20, 0.60)),
)
