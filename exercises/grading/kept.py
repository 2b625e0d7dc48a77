"""The gradebook as the last run left it, beside its output: so that one student can be graded again and all others stay."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from course_lib import checks
from course_lib.checks import PartResult
from exercises.grading import lms
from exercises.grading.lms import Named
from exercises.grading.output import write_file
from exercises.grading.rows import Graded, Row, not_handed_in
from exercises.grading.running import strict
from exercises.grading.submissions import File, Notebook, Student

NAME = ".grading/gradebook.json"
_GRADED = ("texts", "file", "problem", "notes", "seconds", "when")
_STUDENT = ("name", "identity", "stray", "doubts")


class KeptError(ValueError):
    """There is no gradebook in which one student could be graded again, or not one that fits; the message says why."""


@dataclass
class Gradebook:
    """Rows without what `copies` and `overrides` add to them; settings: options of the run, as the command line has them."""

    rows: list[Row]
    isolations: list[str] = field(default_factory=list)
    unclaimed: list[tuple[str, str]] = field(default_factory=list)
    settings: dict = field(default_factory=dict)

    @property
    def exercises(self) -> list:
        return [graded.exercise for graded in self.rows[0].graded]


def dump(book: Gradebook) -> bytes:
    """Return all of it as JSON."""
    rows = [{"student": _student(row.student), "graded": [_graded(one) for one in row.graded]} for row in book.rows]
    whole = {"rows": rows, "isolations": book.isolations, "unclaimed": book.unclaimed, "settings": book.settings}
    return json.dumps(whole, default=str).encode("utf8", "replace")


def save(folder: Path, data: bytes) -> None:
    """Write what `dump` gave."""
    write_file(folder / NAME, data)


def load(folder: Path) -> Gradebook:
    """Return the gradebook of the last run into this folder. Raises KeptError."""
    path = folder / NAME
    again = "run once without --only, which grades everybody"
    if not path.exists():
        raise KeptError(f"--only needs the gradebook of an earlier run in {folder}, and there is none; {again}")
    whole = strict(path.read_text(encoding="utf8", errors="replace"))
    try:
        rows = [Row(_read_student(one["student"]), [_read_graded(g) for g in one["graded"]]) for one in whole["rows"]]
        unclaimed = [tuple(entry) for entry in whole["unclaimed"]]
        return Gradebook(rows, whole["isolations"], unclaimed, whole["settings"])
    except (KeyError, TypeError, IndexError, ValueError) as problem:
        raise KeptError(f"{path} is damaged, or of another version of the exercises ({problem!r}); {again}") from None


def _student(student: Student) -> dict:
    return {key: getattr(student, key) for key in _STUDENT} | {"named": [asdict(named) for named in student.named]}


def _graded(graded: Graded) -> dict:
    found = {key: getattr(graded, key) for key in _GRADED} | {"exercise": graded.exercise.name}
    found["parts"] = [asdict(part) for part in graded.parts]
    found["named"] = graded.named and asdict(graded.named)
    found["fingerprint"] = graded.notebook and graded.notebook.file.fingerprint
    return found


def _named(found: dict | None) -> Named | None:
    return found and Named(**{**found, "also": tuple(found["also"])})


def _read_student(found: dict) -> Student:
    more = {"stray": [tuple(entry) for entry in found["stray"]], "named": [_named(named) for named in found["named"]]}
    return Student(**{key: found[key] for key in _STUDENT} | more)


def _read_graded(found: dict) -> Graded:
    exercise = {exercise.name: exercise for exercise in checks.EXERCISES}[found["exercise"]]
    parts = tuple(PartResult(**part) for part in found["parts"])
    if [(part.name, part.max_points) for part in parts] != [(part.name, part.points) for part in exercise.parts]:
        raise ValueError(f"the parts of {exercise.stem} have changed")
    graded = Graded(exercise, parts, **{key: found[key] for key in _GRADED})
    graded.notes = [tuple(note) for note in graded.notes]
    if found["fingerprint"] is not None:
        graded.notebook = Notebook(File(graded.file, (), found["fingerprint"]), exercise, _named(found["named"]))
    return graded


def merge(book: Gradebook, again: Gradebook) -> Gradebook:
    """Return a gradebook with rows that were graded again among those that stay.

    A mark stays where the student's submission has nothing for that exercise now.
    """
    rows = list(book.rows)
    for new in again.rows:
        old = next((row for row in rows if is_same(row.student, new.student)), None)
        graded = {one.exercise: one for one in new.graded if one.file or old is None}
        before = old.graded if old else [not_handed_in(exercise) for exercise in book.exercises]
        if old:
            rows.remove(old)
            new.student.name = old.student.name
            new.student.named += [named for named in old.student.named if named not in new.student.named]
        elif any(row.student.name.casefold() == new.student.name.casefold() for row in rows):
            new.student.name = f"{new.student.name} {new.student.identity}"
        rows.append(Row(new.student, [graded.get(one.exercise, one) for one in before]))
    rows.sort(key=lambda row: (row.student.name.casefold(), row.student.name))
    isolations = sorted({*book.isolations, *again.isolations})
    return Gradebook(rows, isolations, book.unclaimed, again.settings)


def is_same(one: Student, other: Student) -> bool:
    """Tell whether two runs found the same student: by numbers that last, else by the name."""
    numbers, others = (
        {(named.lms, named.identity) for named in student.named if lms.format_of(named.lms).LASTING} for student in (one, other)
    )
    if numbers and others:
        return bool(numbers & others)
    if one.identity and one.identity == other.identity:
        return True
    return one.name.casefold() == other.name.casefold()


def join_people(book: Gradebook, students: list[Student]) -> None:
    """Give the rows that stay their people in the roster, which are not kept."""
    for row in book.rows:
        found = next((student for student in students if is_same(row.student, student)), None)
        row.student.person = row.student.person or (found and found.person)
