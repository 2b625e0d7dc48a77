"""Rebuild the sample of Fashion-MNIST that ships with the course, byte for byte, from the official set.

    python -m tests.tools.build_sample --out FOLDER [--full FOLDER]

From the training split 600 images of each class, from the test split 200, drawn by numpy's RandomState(2015), whose
stream numpy keeps unchanged for ever, and kept in their official order. bz2, unlike gzip, writes the same bytes everywhere.
"""

import argparse
import bz2
import hashlib
from pathlib import Path

import numpy as np

from course_lib.fashion_files import FULL_SHA256, full_folder, read_idx_file

SEED = 2015
PER_CLASS = {"train": 600, "t10k": 200}


def sample_rows(labels: np.ndarray, per_class: int, random: np.random.RandomState) -> np.ndarray:
    """Return the rows of `per_class` examples of every class, in increasing order."""
    rows = [random.permutation(np.flatnonzero(labels == label))[:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def idx_bytes(values: np.ndarray) -> bytes:
    """uint8 values in the IDX format of MNIST: type and number of dimensions, each dimension's size, the values."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def build(out: Path, full: Path) -> dict[str, str]:
    """Write the four files into `out` and return the SHA-256 of each one's content. FileExistsError if one is there."""
    out.mkdir(parents=True, exist_ok=True)
    random, sha256 = np.random.RandomState(SEED), {}
    for split, per_class in PER_CLASS.items():
        names = [f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"]
        pixels, labels = (np.frombuffer(read_idx_file(full, name, FULL_SHA256[name]), np.uint8) for name in names)
        pixels, labels = pixels[16:].reshape(-1, 28, 28), labels[8:]
        rows = sample_rows(labels, per_class, random)
        for name, values in zip(names, (pixels[rows], labels[rows]), strict=True):
            content = idx_bytes(values)
            sha256[name] = hashlib.sha256(content).hexdigest()
            with open(out / f"{name}.bz2", "xb") as file:
                file.write(bz2.compress(content, 9))
    return sha256


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not hold the files yet")
    parser.add_argument("--full", type=Path, help="where the official files are, if not installed")
    options = parser.parse_args()
    for name, digest in build(options.out, full_folder(options.full)).items():
        print(f"{name}  {digest}  {(options.out / (name + '.bz2')).stat().st_size:,} bytes")
