"""The running examples as data sets: Fashion-MNIST, as a sample that ships and in full; the 2-D mixture by its name."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from course_lib import fashion_files
from course_lib.fashion_files import DataError
from course_lib.mixture import Mixture  # noqa: F401 - notebooks take both examples from here

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
