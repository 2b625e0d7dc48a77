"""Walking through folders, zips and zips in them: which files there are, and how each is read.

Nothing is unpacked to disk and no link is followed.
"""

import contextlib
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from exercises.grading import notebooks

MAX_FILES = 20_000  # of a zip
MAX_DIRECTORY = 50_000_000  # bytes of the list of files that a zip begins to be read with
MAX_INNER_ZIP = 200_000_000  # bytes of a zip in a zip
MAX_RATIO = 200  # a notebook shrinks to a tenth, a bomb to a thousandth
_ZIP_DEPTH = 3

EMPTY = "(empty folder)"
LINK = "This is a link to another file. Links are not followed."
_TOO_LARGE = f"The file is larger than {notebooks.MAX_BYTES // 1_000_000} MB."
_UNPACKS = "The file unpacks to far more than a notebook holds."
_NO_ZIP = "The file is not a zip, or a damaged one."
_DAMAGED = (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, zipfile.zlib.error, lzma.LZMAError)
# What computers put beside people's files.
_SKIPPED_FOLDERS = {"__MACOSX", ".ipynb_checkpoints", "__pycache__", ".git", ".idea", ".vscode"}
_SKIPPED_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}


class UnreadError(ValueError):
    """A file is not read; the message says why, in words for the learner."""


@dataclass(frozen=True)
class Entry:
    """A file, found but not read, or why it never will be."""

    path: str
    size: int = 0
    read: Callable[[], bytes] = field(default=bytes, repr=False)
    problem: str = ""


def is_zip(path: str) -> bool:
    return path.lower().endswith(".zip")


def entries(source: Path, opened: Callable[[Entry, int], bool]) -> Iterator[Entry]:
    """Yield what lies below a folder or in a zip, empty folders as well. opened: whether to look into a zip, so deep down."""
    if source.is_file():
        yield from _in_zip(source, "", opened, 0)
        return
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source).as_posix()
        if _is_skipped(relative):
            continue
        if path.is_symlink():
            yield Entry(f"{relative}/(link)" if path.is_dir() else relative, problem=LINK)
        elif path.is_dir():
            if relative.lower().endswith(".ipynb"):
                yield Entry(relative, problem="This is a folder, not a notebook.")
            elif all(_is_skipped(inner.name) for inner in path.iterdir()):
                yield Entry(f"{relative}/{EMPTY}")
        elif not path.is_file():
            yield Entry(relative, problem="This is not a regular file.")
        else:
            yield from _with_zips(Entry(relative, path.stat().st_size, partial(_from_disk, path)), path, opened, 0)


def _is_skipped(path: str) -> bool:
    *folders, name = path.split("/")
    return bool(_SKIPPED_FOLDERS & {*folders, name}) or name in _SKIPPED_FILES or name.startswith("._")


def _from_disk(path: Path) -> bytes:
    try:
        if path.stat().st_size > notebooks.MAX_BYTES:
            raise UnreadError(_TOO_LARGE)
        return path.read_bytes()
    except OSError as problem:
        raise UnreadError(f"The file can't be read ({problem.strerror}).") from None


def _with_zips(entry: Entry, source: Path | None, opened: Callable[[Entry, int], bool], depth: int) -> Iterator[Entry]:
    """Yield a file, or what is in it if it is a zip. source: where it lies on disk, if it does."""
    if not is_zip(entry.path):
        yield entry
    elif depth >= _ZIP_DEPTH:
        yield Entry(entry.path, problem="The file lies in too many zips, one in another.")
    elif not opened(entry if source is None else Entry(entry.path), depth):
        yield entry
    else:
        try:
            yield from _in_zip(source or io.BytesIO(entry.read()), entry.path[: -len(".zip")] + "/", opened, depth)
        except UnreadError as problem:
            yield Entry(entry.path, problem=str(problem))


def _in_zip(source: Path | io.BytesIO, prefix: str, opened: Callable[[Entry, int], bool], depth: int) -> Iterator[Entry]:
    """Yield what is in a zip. Names only say whose it is: `../` leads nowhere, since nothing is written."""
    name = f"{prefix[:-1]}.zip" if prefix else "submissions.zip"
    try:
        if _directory_size(source) > MAX_DIRECTORY:
            yield Entry(name, problem="The zip holds more files than anybody hands in.")
            return
        archive = zipfile.ZipFile(source)
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        yield Entry(name, problem=_NO_ZIP)
        return
    holding, empty = set(), {}
    for member in members[: MAX_FILES if depth or prefix else len(members)]:
        steps = [step for step in member.filename.replace("\\", "/").split("/") if step not in ("", ".", "..")]
        path = "/".join(steps)
        if not steps or _is_skipped(path):
            continue
        if member.is_dir():
            empty[path] = None
            continue
        holding.update("/".join(steps[:count]) for count in range(1, min(len(steps), 30)))
        problem = _refused(member)
        entry = Entry(prefix + path, member.file_size, partial(_from_zip, archive, member), problem)
        yield from [entry] if problem else _with_zips(entry, None, opened, depth + 1)
    yield from (Entry(f"{prefix}{path}/{EMPTY}") for path in empty if path not in holding)
    if not holding and not empty and prefix and not any(not member.is_dir() for member in members):
        yield Entry(f"{prefix}{EMPTY}")
    if (depth or prefix) and len(members) > MAX_FILES:
        yield Entry(name, problem=f"The zip holds {len(members):,} files; those after {MAX_FILES:,} were not read.")


def _refused(member: zipfile.ZipInfo) -> str:
    if (member.external_attr >> 16) & 0o170000 == 0o120000:
        return LINK
    bomb = member.file_size > 1_000_000 and member.file_size > MAX_RATIO * max(1, member.compress_size)
    limit = MAX_INNER_ZIP if is_zip(member.filename) else notebooks.MAX_BYTES
    return _UNPACKS if bomb or member.file_size > limit else ""


def _from_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(member) as file:
            return file.read(member.file_size + 1)
    except _DAMAGED:
        raise UnreadError("The file in the zip is damaged, or asks for a password.") from None


def _directory_size(source: Path | io.BytesIO) -> int:
    """Return how many bytes the list of files in a zip has, as its last lines say; zipfile reads it at once."""
    with source.open("rb") if isinstance(source, Path) else contextlib.nullcontext(source) as file:
        length = file.seek(0, io.SEEK_END)
        file.seek(max(0, length - 70_000))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    return min(size, length)
