"""The files of Fashion-MNIST: where they are found or downloaded to, and what they must hold."""

import bz2
import gzip
import hashlib
import zlib
from pathlib import Path

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


def full_folder(folder: str | Path | None) -> Path:
    """Find the official files: in `folder` if one is named, else installed, else downloaded now. DataError if nowhere."""
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


def read_idx_file(folder: Path, name: str, sha256: str) -> bytes:
    """Return the uncompressed content of a data file, once its checksum has been found right; otherwise DataError."""
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
