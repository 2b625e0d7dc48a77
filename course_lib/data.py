"""The two running examples: Fashion-MNIST, as a sample that ships and in full, and a 2-D mixture whose truth is known."""

import bz2
import gzip
import hashlib
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.utils.data import TensorDataset

from course_lib.basics import check_positive_int

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
PIXEL_MEAN, PIXEL_STD = 0.2860, 0.3530  # of the 60,000 official training images, with pixels in [0, 1]

SAMPLE_FOLDER = Path(__file__).parent / "assets" / "fashion_mnist_sample"
INSTALLED_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
DOWNLOAD_FOLDER = Path("~/.cache/course_lib")  # not expanded before it is used: there may be no home

# SHA-256 of the contents once uncompressed: the same files are found plain, as .gz and as .bz2.
FULL_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
SAMPLE_SHA256 = {
    "train-images-idx3-ubyte": "b7ee88466648fd59aa1f198f51bb906e53f6b6539a67b8d3b44f87a0c875dfbb",
    "train-labels-idx1-ubyte": "9bd72454c940b5772e6d7cc34c7e0491fde551611edac29497ae72dd574a1796",
    "t10k-images-idx3-ubyte": "72abba94413d960376188735b9a36f68773f577d86822a6a9c22d0f0ec6c60ca",
    "t10k-labels-idx1-ubyte": "63fe0b00abe18d46400c4ecc4d26e14d7c14b7d6b7b11442777a45401ceaa08a",
}


class DataError(Exception):
    """Data that is not there, or not what it should be. The message says which file and what to do."""


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
            return _read_splits(full_folder(folder), FULL_SHA256, device)
        except DataError as error:
            if otherwise is None:
                raise
            print(f"{error}\nGoing on with the sample: 6,000 training and 2,000 test images.")
    elif folder is not None:
        raise ValueError(f"folder is for size='full', the sample ships with the course; got folder={str(folder)!r}")
    return _read_splits(SAMPLE_FOLDER, SAMPLE_SHA256, device)


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


# ---- files ----


def full_folder(folder: str | Path | None) -> Path:
    """Where the official files are: in `folder` if one is named, else installed, else downloaded now. DataError if nowhere."""
    if folder is not None:
        for place in (Path(folder), Path(folder) / "FashionMNIST" / "raw"):
            if any(_find(place, name) for name in FULL_SHA256):
                return place
        raise DataError(f"folder={str(folder)!r} holds none of Fashion-MNIST's four files.\n{_THREE_WAYS}")
    if any(_find(INSTALLED_FOLDER, name) for name in FULL_SHA256):
        return INSTALLED_FOLDER
    return _download()


def _download() -> Path:
    from torchvision.datasets import FashionMNIST as Download  # here, since reading the sample should not need it

    try:
        return Path(Download(DOWNLOAD_FOLDER.expanduser(), download=True).raw_folder)
    except (OSError, RuntimeError) as error:
        raise DataError(f"Downloading Fashion-MNIST failed: {error}\n{_THREE_WAYS}") from error


_THREE_WAYS = f"""Three ways to get the full Fashion-MNIST:
  1. name a folder that holds its four files ({", ".join(FULL_SHA256)}; plain or .gz):
     fashion_mnist("full", folder="...");
  2. install a copy, on Debian and Ubuntu with: apt-get install dataset-fashion-mnist;
  3. connect to the internet and call fashion_mnist("full") again: torchvision then downloads 30 MB."""


def _read_splits(folder: Path, sha256: dict[str, str], device) -> FashionMNIST:
    contents = {name: read_idx_file(folder, name, expected) for name, expected in sha256.items()}
    return FashionMNIST(*(_dataset(contents, split, device) for split in ("train", "t10k")))


def _dataset(contents: dict[str, bytes], split: str, device) -> TensorDataset:
    # The IDX format: a header of 4 bytes and 4 more for each dimension, then the values, one byte each.
    pixels = np.frombuffer(contents[f"{split}-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.frombuffer(contents[f"{split}-labels-idx1-ubyte"], np.uint8, offset=8)
    images = torch.from_numpy(pixels.astype(np.float32)).div_(255).sub_(PIXEL_MEAN).div_(PIXEL_STD)
    return TensorDataset(images.to(device), torch.from_numpy(labels.astype(np.int64)).to(device))


def read_idx_file(folder: Path, name: str, sha256: str) -> bytes:
    """The uncompressed content of a data file, once its checksum has been found right; otherwise DataError."""
    path = _find(folder, name)
    if path is None:
        raise DataError(f"{folder} lacks the file {name} (plain, .gz or .bz2).\n{_THREE_WAYS}")
    try:
        content = _OPENERS[path.suffix](path, "rb").read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read and was not used ({error}). Remove it or replace it by a whole copy.\n{_THREE_WAYS}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} is cut or changed and was not used: {len(content):,} bytes with SHA-256 {found[:12]}… instead of "
            f"{sha256[:12]}…. Remove it or replace it by a whole copy.\n{_THREE_WAYS}"
        )
    return content


_OPENERS = {"": open, ".gz": gzip.open, ".bz2": bz2.open}


def _find(folder: Path, name: str) -> Path | None:
    return next((folder / (name + suffix) for suffix in _OPENERS if (folder / (name + suffix)).is_file()), None)


def _check_choice(name: str, value: str | None, choices: tuple) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
