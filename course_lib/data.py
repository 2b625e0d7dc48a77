"""The two running examples: Fashion-MNIST, as a sample that ships and in full, and a 2-D mixture whose truth is known."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.utils.data import TensorDataset

from course_lib import fashion_files
from course_lib.basics import check_positive_int
from course_lib.fashion_files import DataError

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
PIXEL_MEAN, PIXEL_STD = 0.2860, 0.3530  # of the 60,000 official training images, with pixels in [0, 1]


class FashionMNIST(NamedTuple):
    """Two TensorDatasets of (images, labels): normalised float32 (n, 1, 28, 28) and int64 (n,)."""

    train: TensorDataset
    test: TensorDataset


def fashion_mnist(
    size: str = "sample",
    *,
    folder: str | Path | None = None,
    otherwise: str | None = None,
    device: torch.device | str = "cpu",
) -> FashionMNIST:
    """Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747).

    size: "sample" ships with the course (6,000 training and 2,000 test images, as many of each class); "full" is the
    official 60,000 and 10,000. The full set is read from `folder` if one is named, else from an installed copy, else
    downloaded through torchvision; it is compared with known checksums before it is used. If that fails, DataError says
    why and what the three ways are; with otherwise="sample" that message is printed and the sample is returned instead.
    """
    _check_choice("size", size, ("sample", "full"))
    _check_choice("otherwise", otherwise, (None, "sample"))
    if size == "full":
        try:
            return _read_splits(fashion_files.full_folder(folder), fashion_files.FULL_SHA256, device)
        except DataError as error:
            if otherwise is None:
                raise
            print(f"{error}\nGoing on with the sample: 6,000 training and 2,000 test images.")
    elif folder is not None:
        raise ValueError(f"folder is for size='full', the sample ships with the course; got folder={str(folder)!r}")
    return _read_splits(fashion_files.SAMPLE_FOLDER, fashion_files.SAMPLE_SHA256, device)


def take_rows(dataset: TensorDataset, rows: Tensor | slice) -> TensorDataset:
    """Return the examples of `dataset` that `rows` names: a slice, a mask (n,) of bools, or indices in the order wanted.

    A dataset indexed as it is, `dataset[rows]`, gives its columns and forgets that they are one.
    """
    if not isinstance(dataset, TensorDataset):
        raise TypeError(f"dataset must be a TensorDataset, got {type(dataset).__name__}")
    return TensorDataset(*dataset[rows])


def to_pixels(images: Tensor) -> Tensor:
    """Normalised images back to brightness in [0, 1]."""
    return (images * PIXEL_STD + PIXEL_MEAN).clamp(0, 1)


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
        return MultivariateNormal(self.means, covariance_matrix=self.covariances)


_DEFAULT_MEANS = ((-1.0, 0.9), (0.6, 0.9), (-0.2, -1.3), (2.6, -0.9))
_DEFAULT_COVARIANCES = (
    ((0.60, 0.15), (0.15, 0.45)),
    ((0.60, -0.15), (-0.15, 0.45)),
    ((1.00, 0.00), (0.00, 0.30)),
    ((0.35, 0.20), (0.20, 0.60)),
)


def _read_splits(folder: Path, sha256: dict[str, str], device) -> FashionMNIST:
    contents = {name: fashion_files.read_idx_file(folder, name, expected) for name, expected in sha256.items()}
    return FashionMNIST(*(_dataset(contents, split, device) for split in ("train", "t10k")))


def _dataset(contents: dict[str, bytes], split: str, device) -> TensorDataset:
    # The IDX format: a header of 4 bytes and 4 more for each dimension, then the values, one byte each.
    pixels = np.frombuffer(contents[f"{split}-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.frombuffer(contents[f"{split}-labels-idx1-ubyte"], np.uint8, offset=8)
    images = torch.from_numpy(pixels.astype(np.float32)).div_(255).sub_(PIXEL_MEAN).div_(PIXEL_STD)
    return TensorDataset(images.to(device), torch.from_numpy(labels.astype(np.int64)).to(device))


def _check_choice(name: str, value: str | None, choices: tuple) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
