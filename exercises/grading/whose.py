"""Whose a file is, by its path: the outermost name that the LMS wrote decides, and nothing below it can."""

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from course_lib import checks
from exercises.grading import lms, reading
from exercises.grading.lms import Named

_DIGITS = 20  # more than the ids of Canvas have; so filled up, texts are in the order of their numbers
# These take time in proportion to the length of a name, which in a zip has up to 65,535 characters, line ends among them.
_STEMS = "|".join(sorted({name for e in checks.EXERCISES for name in (e.stem, e.name)}, key=len, reverse=True))
_BEFORE_STEM = re.compile(rf"^(?P<student>.|.+?[^\s_.-])[\s_.-]+(?P<file>(?:{_STEMS})(?![^\W_]).*)$", re.IGNORECASE | re.DOTALL)
_STEM_FIRST = re.compile(rf"^(?:{_STEMS})", re.IGNORECASE)
_ATTEMPT = re.compile(r"(?:-(\d+)|(?<!\s)\s*\((\d+)\))(?=\.ipynb$)")
_ID = re.compile(r"(?<=_)\d+(?=_)")


@dataclass(frozen=True)
class Sighting:
    """Whose a file seems to be. title: its name without the student's; named: what the LMS says, if it wrote the name."""

    name: str
    title: str
    named: Named | None = None
    claimed: bool = True  # False if nothing says whose it is


@dataclass(frozen=True)
class Layout:
    """Which folders stand around submissions, and so are no student's: some around all, or one for each assignment."""

    around: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()

    def split(self, path: str) -> tuple[str, str]:
        """Return (group or "", path below it)."""
        steps = path.split("/")
        if len(steps) > len(self.around) and tuple(steps[: len(self.around)]) == self.around:
            steps = steps[len(self.around) :]
        group = steps[0] if len(steps) > 1 and steps[0] in self.groups else ""
        return group, "/".join(steps[1:] if group else steps)


def layout(paths: Iterable[str]) -> Layout:
    """Return the layout of a download with files of these paths."""
    paths = [path for path in paths if "/" in path or see(path, "").claimed]
    around = _around(paths)
    inner = [path.split("/")[len(around) :] for path in paths]
    groups: dict[str, list[list[str]]] = {}
    for steps in inner:
        groups.setdefault(steps[0], []).append(steps[1:])
    likely = {name for name, group in groups.items() if not lms.parse(name) and _is_class(group)}
    # One student can't make a folder of the own into an assignment of the class, in which names count.
    others = [name for name in groups if name not in likely]
    return Layout(around, frozenset(likely) if len(likely) > len(others) else frozenset())


def _around(paths: list[str]) -> tuple[str, ...]:
    """Return the folders that are around all submissions, as a zip of a folder has them. One student alone is none."""
    folders = [PurePosixPath("/", path).parent.as_posix() for path in paths]
    common = [step for step in os.path.commonpath(folders)[1:].split("/") if step] if folders else []
    written = next((index for index, step in enumerate(common) if lms.parse(step)), None)
    if written is not None:
        return tuple(common[:written])
    inner = [path.split("/")[len(common) :] for path in paths]
    names = {see("/".join(steps), "?").name for steps in inner} - {"?"}
    return tuple(common) if len(names) > 1 or _is_class(inner) else ()


def _is_class(group: list[list[str]]) -> bool:
    """Tell whether an LMS wrote all names in a folder. What a student may write by chance must be of several students."""
    steps = [step for step in group if step and not (len(step) == 1 and lms.is_own(step[0]))]
    named = [lms.parse(step[0]) for step in steps]
    if not named or not all(named):
        return False
    several = len({one.student for one in named}) > 1 and len({one.identity for one in named}) > 1
    return all(map(lms.is_sure, named)) or several


def owner(path: str, default: str) -> tuple[str, str, str]:
    """Return (student, number in the LMS, name of the file) by the path of a file below the folder of submissions."""
    seen = see(path, default)
    return seen.name, seen.named.identity if seen.named else "", seen.title


def see(path: str, default: str) -> Sighting:
    """Return whose a file is. In a folder, its own name says nothing about that: a student thought of it."""
    steps = path.split("/")
    name = steps[-1]
    named = lms.parse(steps[0])
    if named:
        last = len(steps) == 1
        named = replace(named, ending=PurePosixPath(name).suffix.lower() if last else ".zip" if named.file else "")
        return Sighting(clean(named.student), named.file if last and named.file else name, named)
    if len(steps) > 1:
        return Sighting(clean(steps[0].removesuffix(".zip")), name)
    match = None if _STEM_FIRST.match(name) else _BEFORE_STEM.match(name)
    if match:
        return Sighting(clean(match["student"]), match["file"])
    archive = PurePosixPath(name.lower()).suffix in (".zip", *reading.ARCHIVES) and not _STEM_FIRST.match(name)
    return Sighting(clean(PurePosixPath(name).stem if archive else default), name, claimed=archive)


def clean(name: str) -> str:
    """Return a name in one line without control characters, of a bounded length."""
    name = unicodedata.normalize("NFC", name.encode("utf8", "replace").decode("utf8"))
    name = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in name)
    return " ".join(name.split())[:120] or "unknown"


def order(path: str) -> tuple:
    """Attempts of the same file in their order: 04.ipynb, 04-1.ipynb, …, 04-10.ipynb; ana_7_99_04.ipynb, ana_7_100_04.ipynb."""
    attempt = _ATTEMPT.search(path)
    number = int(next(filter(None, attempt.groups()))[:9]) if attempt else 0
    return _ID.sub(lambda digits: digits[0].zfill(_DIGITS), _ATTEMPT.sub("", path)), number, path
