"""Reading what was handed in: as notebooks, or a reason why not, within what one student may cost here (`Budget`).

This runs outside of the walls, so what it costs is bounded: files, bytes unpacked, and seconds.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from exercises.grading import notebooks
from exercises.grading.walking import EMPTY, Entry, UnreadError, entries, is_zip

_LONGEST_PATH = 240  # characters that are shown
ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class File:
    """A file as it was handed in: where it lies, the code in it and a fingerprint of it all, or why that can't be read."""

    path: str
    code: tuple[str, ...] = ()
    fingerprint: str = ""
    problem: str = ""
    remark: str = ""  # what a person should know of a file that was read


@dataclass
class Budget:
    """What one student's files may cost: their number, bytes unpacked, and seconds."""

    files: int = 1_000
    bytes: int = 300_000_000
    seconds: float = 30.0
    left_out: int = 0  # files that were not read because of that

    def allows(self, size: int) -> bool:
        """Take a file of this size from what is left, or count it among those left out."""
        if min(self.files - 1, self.bytes - size, self.seconds) < 0:
            self.left_out += 1
            return False
        self.files, self.bytes = self.files - 1, self.bytes - size
        return True

    @contextlib.contextmanager
    def clock(self):
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds -= time.monotonic() - started


def shown(path: str) -> str:
    """Return a path as pages show it: the start and the end of one that is too long."""
    return path if len(path) <= _LONGEST_PATH else f"{path[: _LONGEST_PATH - 60]} … {path[-57:]}"


def files(source: Path, budget_of: Callable[[str], Budget] | None = None) -> Iterator[tuple[str, File]]:
    """Yield (path below `source`, file) for all files and empty folders, as far as the budget of each goes."""
    shared = Budget()
    budget_of = budget_of or (lambda path: shared)

    def opened(entry: Entry, depth: int) -> bool:
        return budget_of(entry.path).allows(entry.size)

    for entry in entries(source, opened):
        budget = budget_of(entry.path)
        if (entry.problem or not is_zip(entry.path)) and budget.allows(0 if entry.problem else entry.size):
            with budget.clock():
                file = _file(entry)
            yield entry.path, file


def one(path: Path) -> File:
    """Return a single file. Raises OSError."""
    data = path.read_bytes()
    return _file(Entry(path.name, len(data), lambda: data))


def _file(entry: Entry) -> File:
    path, problem = shown(entry.path), entry.problem or _by_ending(entry.path)
    if problem:
        return File(path, problem=problem)
    plain = entry.path.lower().endswith(".ipynb")
    ending = f"The file's name ends in {''.join(PurePosixPath(entry.path).suffixes[-2:])}, not in .ipynb."
    try:
        data = entry.read()
        code = tuple(notebooks.read(data))
    except (UnreadError, notebooks.UnreadableError) as reason:
        return File(path, problem=str(reason) if plain else f"{ending} {reason}")
    return File(path, code, hashlib.sha256(data).hexdigest(), remark="" if plain else f"{ending} It was read as a notebook.")


def _by_ending(path: str) -> str:
    """Return why a file of this name is not read as a notebook, or ""."""
    name = PurePosixPath(path.lower()).name
    ending = PurePosixPath(name).suffix
    if ".ipynb" in name or ending == ".json":
        return ""
    if PurePosixPath(path).name == EMPTY:
        return "The folder is empty."
    if ending == ".py":
        return "This is a Python file, not a notebook: ask for the .ipynb."
    if ending in ARCHIVES:
        return f"An archive of this kind ({ending}) is not opened: unpack it here, or ask for a zip."
    if ending in (".html", ".htm"):
        return "This is a web page, not a notebook: what was typed in at the LMS, or an export."
    return f"This is not a notebook: its name {f'ends in {ending[:20]}' if ending else 'has no ending'}."
