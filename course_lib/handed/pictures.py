"""A folder of pictures as batches: which part trains and which is held out, and how a picture becomes a network's input."""

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset

from course_lib.data import CLASSES
from course_lib.dyed import DEVIATION, MEAN, dyed_fashion
from course_lib.pairs import FEWEST

TRAIN, HELD_OUT = (
    ("train", "training"),
    ("val", "valid", "validation", "dev", "test", "testing"),
)  # the first of each that is there
ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
BATCH = 256  # held-out pictures at a time: the first of these batches is what check_pair gets


class Pictures(NamedTuple):
    """Batches to train on and to judge by, and what a student of them has to remember.

    train, held_out: DataLoaders of (images float32 (n, 3, size, size), labels int64 (n,)); train augmented and shuffled,
    held_out in one random order, so that each batch has all classes. classes: their names, by label. inputs: size, mean and
    std, as `prepare` takes them. split: in words, which pictures were held out.
    """

    train: DataLoader
    held_out: DataLoader
    classes: list[str]
    inputs: dict
    split: str


def prepare(size: int, mean, std, *, augmented: bool = False) -> Callable:
    """Return what makes a picture of PIL a float32 tensor (3, size, size): resized, cut, (pixels − mean) / std by channel.

    mean, std: three numbers each, of pixels from 0 to 1. augmented: cut and flipped at random instead of cut in the middle.
    """
    from torchvision.transforms import v2

    cut = [v2.RandomResizedCrop(size, (0.5, 1.0)), v2.RandomHorizontalFlip()] if augmented else []
    cut = cut or [v2.Resize(size), v2.CenterCrop(size)]
    return v2.Compose([*cut, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


def open_images(folder: str | PathLike, inputs: Mapping, *, batch_size: int = 64, workers: int = 0, seed: int = 0) -> Pictures:
    """Return the `Pictures` of a folder that holds one folder for each class, or `train` and `val` that hold such folders.

    Without these two a fifth of the pictures, drawn with `seed`, is held out. Folders whose names begin with a dot or two
    underscores are no classes. inputs: {"size": …, "mean": …, "std": …}, as `prepare` takes them. workers: processes that
    read pictures. An empty `folder` is the course's sample, Fashion-MNIST in colour, as `DyedTeacher` knows it, not augmented.
    Raises FileNotFoundError where there is no folder, and ValueError where a split lacks its other half, the splits differ in
    their classes, a class has no pictures, or fewer than 32 pictures would be held out.
    """
    if not folder:
        return _sample(batch_size, seed)
    folder, random = Path(folder), torch.Generator().manual_seed(seed)
    train_folder, test_folder = _splits(folder)
    train = _Folder(train_folder, prepare(**inputs, augmented=True))
    held_out = _Folder(test_folder, prepare(**inputs))
    if train.classes != held_out.classes:
        raise ValueError(f"images must have one set of classes; {folder} has {train.classes} and {held_out.classes}")
    classes = train.classes
    order = torch.randperm(len(held_out), generator=random).tolist()  # in a folder's own order a batch would be one class
    if train_folder == test_folder:
        fifth = len(order) // 5
        train, held_out, split = (
            Subset(train, order[fifth:]),
            Subset(held_out, order[:fifth]),
            "a random fifth. If the teacher has learned from it, it is right too often",
        )
    else:
        held_out, split = Subset(held_out, order), f"the folder {test_folder.name}"
    if len(held_out) < FEWEST:
        need = (
            f"{5 * FEWEST}, of which a fifth is held out" if train_folder == test_folder else f"{FEWEST} in {test_folder.name}"
        )
        raise ValueError(f"images must hold at least {need}; {folder} has {len(order)}")
    # No persistent workers: new ones draw their seeds from the generator, so that a run goes on as it would have.
    options = {"num_workers": workers, "pin_memory": torch.cuda.is_available()}
    drop_last, random = len(train) > batch_size, torch.Generator().manual_seed(seed)
    batches = DataLoader(train, batch_size, shuffle=True, drop_last=drop_last, generator=random, **options)
    return Pictures(batches, DataLoader(held_out, BATCH, **options), classes, dict(inputs), split)


def _splits(folder: Path) -> tuple[Path, Path]:
    """The folders to train on and to hold out, one and the same where the folder is not split."""
    if not folder.is_dir():
        raise FileNotFoundError(f"images must be a folder, got {folder}, which is not there")
    names = {path.name for path in folder.iterdir() if _counts(path)}
    train, held_out = (next((name for name in usual if name in names), None) for usual in (TRAIN, HELD_OUT))
    if not names or names - {*TRAIN, *HELD_OUT}:  # a class may be called train
        return folder, folder
    if not train or not held_out:
        raise ValueError(
            f"images must hold both train and val where it is split; {folder} holds only {', '.join(sorted(names))}"
        )
    return folder / train, folder / held_out


def _counts(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


class _Folder(Dataset):
    """(picture, label) of a folder with a folder for each class. No local class: Windows and macOS pickle it for workers."""

    def __init__(self, folder: Path, transform: Callable):
        self.transform = transform
        self.classes = sorted(path.name for path in folder.iterdir() if _counts(path))
        found = {
            name: sorted(path for path in (folder / name).rglob("*") if _is_picture(path.relative_to(folder)))
            for name in self.classes
        }
        if empty := [name for name, paths in found.items() if not paths]:
            raise ValueError(f"images must hold pictures of each class; {folder} has none of {', '.join(empty)}")
        if len(self.classes) < 2:
            raise ValueError(f"images must hold a folder for each of two classes or more; {folder} has {self.classes}")
        self.pictures = [(path, label) for label, name in enumerate(self.classes) for path in found[name]]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int):
        path, label = self.pictures[row]
        with Image.open(path) as picture:
            return self.transform(picture.convert("RGB")), label


def _is_picture(path: Path) -> bool:
    """Not macOS' ._name.png beside name.png, nor what lies in .ipynb_checkpoints."""
    return path.suffix.lower() in ENDINGS and not any(part.startswith(".") for part in path.parts)


def _sample(batch_size: int, seed: int) -> Pictures:
    train, test = dyed_fashion()
    batches = DataLoader(train, batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed))
    inputs = {"size": 28, "mean": MEAN, "std": DEVIATION}
    return Pictures(batches, DataLoader(test, BATCH), list(CLASSES), inputs, "the sample's own 2,000 test images")
