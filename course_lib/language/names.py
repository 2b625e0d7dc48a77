"""88,799 surnames, letter by letter: the data that a small language model learns from; read, split, turned into tensors.

There are 27 symbols: "." with the number 0, which begins and ends every name, and the letters a to z, 1 to 26.
"""

import bz2
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from course_lib.data import DataError
from course_lib.objectives import IGNORE_INDEX

SYMBOLS = ".abcdefghijklmnopqrstuvwxyz"
BOUNDARY = 0  # the number of ".", which begins and ends a name
MAX_LETTERS = 13
SURNAMES_FILE = Path(__file__).parents[1] / "assets" / "surnames.bz2"
SURNAMES_SHA256 = "ac9546c8ee75679d6610753d421a81eb0d7bdf382cf6af74dfdbfd88289b0e22"  # of the file's content once uncompressed
HELD_OUT, SPLIT_SEED = 4_000, 1990

_NUMBER_OF = {symbol: number for number, symbol in enumerate(SYMBOLS)}


class Surnames(NamedTuple):
    """The names to train on and those held out, each a list in an order that is random and always the same."""

    train: list[str]
    held_out: list[str]


def surnames() -> Surnames:
    """Return the surnames of the US Census of 1990, lower case, each once: 84,799 to train on and 4,000 held out.

    The order is shuffled, so that the first 1,000 are a fair sample. Raises DataError if the file is cut or changed.
    """
    try:
        content = bz2.decompress(SURNAMES_FILE.read_bytes())
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{SURNAMES_FILE} cannot be read and was not used ({error}). {_INSTALL_AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SURNAMES_SHA256:
        raise DataError(
            f"{SURNAMES_FILE} is cut or changed and was not used: {len(content):,} bytes with SHA-256 {found[:12]}… instead "
            f"of {SURNAMES_SHA256[:12]}…. {_INSTALL_AGAIN}"
        )
    names = unpack(content)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(names))  # a stream that numpy keeps unchanged for ever
    shuffled = [names[i] for i in order]
    return Surnames(shuffled[HELD_OUT:], shuffled[:HELD_OUT])


_INSTALL_AGAIN = "It comes with the course: install that again, or take the file from its repository."


def encode(names: Iterable[str]) -> TensorDataset:
    """Return names as two columns (inputs, labels), int64 (n, 14), shifted against each other and padded.

    "ann" has inputs . a n n 0 … and labels a n n . -100 …: each label is the symbol that comes after its input, and -100
    stands where nothing is left to say, which `HardLabels` and `Distillation` leave out. `shift` says why it is done here.
    A model may write a name that ends at once: "" has the inputs . 0 … and the labels . -100 ….
    Raises ValueError for a name that is longer than 13 letters, or has other characters than a to z.
    """
    return TensorDataset(*shift(_rows(names)))


def shift(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return inputs and labels, int64 (n, L), of rows of symbols (n, L + 1) that begin with ".", and hold "." after the end.

    This is the causal shift: inputs are all symbols but the last, labels all but the first, so that row t of the logits,
    which has seen symbols 0 to t, is compared with symbol t + 1. It is made once, here; no objective shifts again. Without it
    a model is asked for the symbol that it was just given. It learns to copy: its loss falls to 0.00 bits a letter in seconds,
    and real names then cost it 14.5, where guessing blindly costs 4.75 (`tests/test_language_training.py`).
    """
    inputs, labels = rows[:, :-1], rows[:, 1:]
    ended_before = (labels == BOUNDARY).cumsum(-1) - (labels == BOUNDARY).long() > 0
    return inputs.contiguous(), labels.masked_fill(ended_before, IGNORE_INDEX)


def to_numbers(text: str) -> list[int]:
    """Return the symbols of the beginning of a name, the boundary first: "an" -> [0, 1, 14]. ValueError as in `encode`."""
    if not isinstance(text, str):
        raise TypeError(f"a name must be a str, got {type(text).__name__}")
    if len(text) > MAX_LETTERS or not all("a" <= letter <= "z" for letter in text):
        raise ValueError(f"a name must have at most {MAX_LETTERS} letters, each of a to z in lower case; got {text!r}")
    return [BOUNDARY, *(_NUMBER_OF[letter] for letter in text)]


def decode(rows: Tensor) -> list[str]:
    """Return the names in rows of symbols (n, L), with or without the boundary that begins them, each as far as its end.

    Labels, with their -100, are rows as well.
    """
    return [_name(row) for row in rows.tolist()]


def _name(row: Sequence[int]) -> str:
    letters = row[1:] if row and row[0] == BOUNDARY else row
    end = next((i for i, number in enumerate(letters) if number <= BOUNDARY), len(letters))
    return "".join(SYMBOLS[number] for number in letters[:end])


def _rows(names: Iterable[str]) -> Tensor:
    if isinstance(names, str):
        raise TypeError(f"names must be a list of str, got the str {names!r}")
    width = MAX_LETTERS + 2
    rows = [row + [BOUNDARY] * (width - len(row)) for row in map(to_numbers, names)]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, width)


# ---- how they are packed ----


def pack(names: Iterable[str]) -> bytes:
    """Return sorted names as one text: how many letters each shares with the one before (A for 0, B for 1, …), and its rest.

    "smith", "smithe", "smithson" become AsmithFeFson. bz2 makes half of that again.
    """
    before, text = "", []
    for name in sorted(names):
        shared = next((i for i, (one, other) in enumerate(zip(name, before, strict=False)) if one != other), None)
        shared = min(len(name), len(before)) if shared is None else shared
        text.append(chr(ord("A") + shared) + name[shared:])
        before = name
    return "".join(text).encode("ascii")


def unpack(content: bytes) -> list[str]:
    """Return the names that `pack` packed, in their order."""
    names, name = [], ""
    for character in content.decode("ascii"):
        if character.isupper():
            names.append(name)
            name = name[: ord(character) - ord("A")]
        else:
            name += character
    return [*names[1:], name] if content else []
