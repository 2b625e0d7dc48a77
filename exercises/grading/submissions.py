"""Finding submissions: a folder a student, one flat folder as Canvas or Moodle give it, or a zip of either.

Nothing is unpacked to disk and no link is followed.
"""

import hashlib
import io
import lzma
import os
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from course_lib import checks
from exercises.grading import answers, notebooks

MAX_FILES = 20_000
MAX_UNPACKED = 4_000_000_000  # bytes of a zip altogether
MAX_INNER_ZIP = 500_000_000  # of a zip in a zip
MAX_RATIO = 200  # a notebook shrinks to a tenth, a bomb to a thousandth
_ZIP_DEPTH = 2
_DIGITS = 20  # more than the ids of Canvas have; so filled up, texts are in the order of their numbers

# These take time in proportion to the length of a name, which in a zip has up to 65,535 characters, line ends among them.
_CANVAS = re.compile(r"^(?P<student>[^_]+)(?:_LATE)?_(?P<id>\d+)_\d+_(?P<file>.+)$", re.DOTALL)
_MOODLE = re.compile(r"^(?P<student>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)$", re.DOTALL)
_STEMS = "|".join(sorted({name for e in checks.EXERCISES for name in (e.stem, e.name)}, key=len, reverse=True))
_BEFORE_STEM = re.compile(rf"^(?P<student>.|.+?[^\s_.-])[\s_.-]+(?P<file>(?:{_STEMS})(?![^\W_]).*)$", re.IGNORECASE | re.DOTALL)
_STEM_FIRST = re.compile(rf"^(?:{_STEMS})", re.IGNORECASE)
_ATTEMPT = re.compile(r"(?:-(\d+)|(?<!\s)\s*\((\d+)\))(?=\.ipynb$)")
_ID = re.compile(r"(?<=_)\d+(?=_)")
_LINK = "This is a link to another file. Links are not followed."
_TOO_LARGE = f"The file is larger than {notebooks.MAX_BYTES // 1_000_000} MB."
_DAMAGED = (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, zipfile.zlib.error, lzma.LZMAError)
_SKIPPED = {"__MACOSX", ".ipynb_checkpoints", "__pycache__", ".git"}


@dataclass(frozen=True)
class File:
    """A file as it was handed in: where it lies, the code in it and a fingerprint of it all, or why that can't be read."""

    path: str
    code: tuple[str, ...] = ()
    fingerprint: str = ""
    problem: str = ""


@dataclass
class Notebook:
    """A notebook of one student for one exercise; code or a problem."""

    file: File
    exercise: object


@dataclass
class Student:
    """All that one student handed in. identity: the number that the LMS gives, if it does."""

    name: str
    identity: str = ""
    notebooks: dict[str, list[Notebook]] = field(default_factory=dict)  # by exercise, the one that counts last
    stray: list[tuple[str, str]] = field(default_factory=list)  # files that belong to no exercise, and why


class NothingThereError(ValueError):
    """No submission was found; the message says where it was looked for."""


def collect(source: Path) -> list[Student]:
    """All students, in the order of their names. Raises NothingThereError."""
    if not source.exists():
        raise NothingThereError(f"SUBMISSIONS must be a folder or a zip; there is no {source}")
    found = _below_what_is_common(list(files(source)))
    students: dict[tuple[str, str], Student] = {}
    for path, file in sorted(_below_classes(found), key=lambda pair: _order(pair[0])):
        name, identity, title = owner(path, source.stem)
        student = students.setdefault((name, identity), Student(name, identity))
        _assign(file, title, student)
    if not students:
        raise NothingThereError(f"SUBMISSIONS holds no notebook: looked for .ipynb files and zips of them in {source}")
    _tell_apart(students.values())
    return sorted(students.values(), key=lambda student: (student.name.casefold(), student.name))


def _below_what_is_common(found: list[File]) -> list[File]:
    """Without the folders that are around all submissions, as a zip of a folder has them. One student alone is none."""
    folders = [PurePosixPath("/", file.path).parent.as_posix() for file in found]
    common = os.path.commonpath(folders)[1:] if folders else ""
    if not common:
        return found
    inner = [PurePosixPath(file.path).relative_to(common).as_posix() for file in found]
    students = {owner(path, "?")[0] for path in inner} - {"?"}
    if len(students) < 2:
        return found
    return [replace(file, path=path) for path, file in zip(inner, found, strict=True)]


def _below_classes(found: list[File]) -> list[tuple[str, File]]:
    """Each file and its path, which begins inside a zip or folder where Canvas named all files: that is no student's."""
    groups, paths = {}, []
    for file in found:
        groups.setdefault(file.path.partition("/")[0], []).append(file)
    for folder, group in groups.items():
        inner = [file.path[len(folder) + 1 :] for file in group]
        named = [_CANVAS.match(path) for path in inner]
        # A student may hand in hw_4_1.ipynb and hw_5_1.ipynb; a class has several names and several numbers.
        several = all(named) and all(len({match[which] for match in named}) > 1 for which in ("student", "id"))
        paths += zip(inner if several else [file.path for file in group], group, strict=True)
    return paths


def owner(path: str, default: str) -> tuple[str, str, str]:
    """(student, number in the LMS, name of the file) by the path of a file below the folder of submissions.

    Canvas has no folders, so in a folder a name that looks like one of Canvas's is one that a student thought of.
    """
    parts = PurePosixPath(path).parts
    name = parts[-1]
    match = next(filter(None, map(_MOODLE.match, reversed(parts))), None) or _CANVAS.match(parts[0])
    if match:
        return _clean(match["student"]), match["id"], match["file"] if match.string == name and match["file"] else name
    if len(parts) > 1:
        return _clean(parts[0].removesuffix(".zip")), "", name
    match = None if _STEM_FIRST.match(name) else _BEFORE_STEM.match(name)
    return (_clean(match["student"]), "", match["file"]) if match else (_clean(default), "", name)


def _clean(name: str) -> str:
    name = unicodedata.normalize("NFC", name.encode("utf8", "replace").decode("utf8"))
    name = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in name)
    return " ".join(name.split())[:120] or "unknown"


def _order(path: str) -> tuple:
    """Attempts of the same file in their order: 04.ipynb, 04-1.ipynb, …, 04-10.ipynb; ana_7_99_04.ipynb, ana_7_100_04.ipynb."""
    attempt = _ATTEMPT.search(path)
    number = int(next(filter(None, attempt.groups()))[:9]) if attempt else 0
    return _ID.sub(lambda digits: digits[0].zfill(_DIGITS), _ATTEMPT.sub("", path)), number, path


def _assign(file: File, title: str, student: Student) -> None:
    exercise = answers.named_by(title) if file.problem else answers.which(file.code, title)
    if exercise is None:
        student.stray.append((file.path, file.problem or "The notebook belongs to none of the exercises."))
        return
    attempts = student.notebooks.setdefault(exercise.name, [])
    # A damaged file does not replace one that can be read.
    attempts.insert(0 if file.problem else len(attempts), Notebook(file, exercise))


def _tell_apart(students) -> None:
    names = [student.name.casefold() for student in students]
    for student in students:
        if names.count(student.name.casefold()) > 1 and student.identity:
            student.name = f"{student.name} {student.identity}"


def files(source: Path) -> Iterator[File]:
    """All files that may be notebooks, with their paths below `source`."""
    if source.is_file():
        yield from _unpacked(source, "", 0)
        return
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if not _SKIPPED & set(relative.parts) and not path.name.startswith("."):
            yield from _file(path, relative.as_posix())


def _file(path: Path, relative: str) -> Iterator[File]:
    suffix = path.suffix.lower()
    if path.is_symlink() and path.is_dir():
        yield File(f"{relative}/{path.name}", problem=_LINK)
    elif suffix not in (".ipynb", ".zip"):
        return
    elif path.is_symlink():
        yield File(relative, problem=_LINK)
    elif path.is_dir():
        if suffix == ".ipynb":
            yield File(relative, problem="This is a folder, not a notebook.")
    elif not path.is_file():
        yield File(relative, problem="This is not a regular file.")
    elif suffix == ".zip":
        yield from _unpacked(path, relative.removesuffix(path.suffix) + "/", 0)
    elif path.stat().st_size > notebooks.MAX_BYTES:
        yield File(relative, problem=_TOO_LARGE)
    else:
        try:
            yield _notebook(relative, path.read_bytes())
        except OSError as problem:
            yield File(relative, problem=f"The file can't be read ({problem.strerror}).")


def _notebook(path: str, data: bytes) -> File:
    try:
        return File(path, tuple(notebooks.read(data)), hashlib.sha256(data).hexdigest())
    except notebooks.UnreadableError as reason:
        return File(path, problem=str(reason))


def _unpacked(source: Path | io.BytesIO, prefix: str, depth: int) -> Iterator[File]:
    """The notebooks in a zip. Names only say whose they are: `../` leads nowhere, since nothing is written."""
    try:
        archive = zipfile.ZipFile(source)
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        yield File(prefix.rstrip("/") or "submissions.zip", problem="The file is not a zip, or a damaged one.")
        return
    total = 0
    for member in members[:MAX_FILES]:
        steps = [step for step in member.filename.replace("\\", "/").split("/") if step not in ("", ".", "..")]
        if not steps or member.is_dir() or _SKIPPED & set(steps) or steps[-1].startswith("."):
            continue
        name, suffix = prefix + "/".join(steps), steps[-1].lower().rpartition(".")[2]
        if suffix not in ("ipynb", "zip"):
            continue
        total += member.file_size
        content, problem = _member(archive, member, total)
        if problem:
            yield File(name, problem=problem)
        elif suffix == "ipynb":
            yield _notebook(name, content)
        elif depth < _ZIP_DEPTH:
            yield from _unpacked(io.BytesIO(content), name[: -len(".zip")] + "/", depth + 1)
        else:
            yield File(name, problem="The file lies in too many zips, one in another.")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, total: int) -> tuple[bytes, str]:
    if (member.external_attr >> 16) & 0o170000 == 0o120000:
        return b"", _LINK
    bomb = member.file_size > 1_000_000 and member.file_size > MAX_RATIO * max(1, member.compress_size)
    limit = MAX_INNER_ZIP if member.filename.lower().endswith(".zip") else notebooks.MAX_BYTES
    if bomb or member.file_size > limit or total > MAX_UNPACKED:
        return b"", "The file unpacks to far more than a notebook holds."
    try:
        with archive.open(member) as file:
            content = file.read(member.file_size + 1)
    except _DAMAGED:
        return b"", "The file in the zip is damaged, or asks for a password."
    return content, ""
