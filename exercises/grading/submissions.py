"""Finding submissions: a folder a student, a download of an LMS, or a zip of either; everybody and everything ends in a list.

`walking` and `reading` say what lies there, `whose` whose it seems to be, and a roster, where there is one, who that is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from exercises.grading import answers, lms, walking, whose
from exercises.grading.lms import Named
from exercises.grading.reading import Budget, File, files
from exercises.grading.roster import Roster, join_numbers
from exercises.grading.whose import owner

__all__ = ["File", "Notebook", "NothingThereError", "Student", "Submissions", "collect", "files", "owner"]

_MOST_STRAY = 20  # files of one student that are listed
_TOO_MUCH = "of one student 1,000 files are read, 300 MB, and for 30 seconds"


@dataclass
class Notebook:
    """A notebook of one student for one exercise; code or a problem."""

    file: File
    exercise: object
    named: Named | None = None


@dataclass
class Student:
    """All that one student handed in. identity: the number that the LMS gives, if it does."""

    name: str
    identity: str = ""
    notebooks: dict[str, list[Notebook]] = field(default_factory=dict)  # by exercise, the one that counts last
    stray: list[tuple[str, str]] = field(default_factory=list)  # files that belong to no exercise, and why
    named: list[Named] = field(default_factory=list)  # what an LMS wrote in front of this student's files
    person: object = None  # in the roster
    doubts: list[str] = field(default_factory=list)  # what a person should know, beside files


@dataclass
class Submissions:
    """The students, in the order of their names, and files that are nobody's, with the reason."""

    students: list[Student]
    unclaimed: list[tuple[str, str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Student]:
        return iter(self.students)


class NothingThereError(ValueError):
    """No submission was found; the message says where it was looked for."""


@dataclass
class _Found:
    """A file and whose it is: `key` is the same for all files of one student, as far as names tell."""

    path: str
    file: File
    seen: whose.Sighting
    group: str
    key: tuple

    def __post_init__(self):
        title = self.seen.title
        self.exercise = answers.named_by(title) if self.file.problem else answers.which(self.file.code, title)

    @property
    def order(self) -> tuple:
        return self.seen.named.when if self.seen.named else "", *whose.order(self.path)


def collect(source: Path, roster: Roster | None = None) -> Submissions:
    """Return all students, and those in the roster who handed in nothing. Raises NothingThereError."""
    if not source.exists():
        raise NothingThereError(f"SUBMISSIONS must be a folder or a zip; there is no {source}")
    found, unclaimed, left_out = _read(source)
    if not found:
        raise NothingThereError(f"SUBMISSIONS holds no notebook: looked for .ipynb files and zips of them in {source}")
    roster, keys, students = roster or Roster(), join_numbers(found), {}
    for one in sorted(found, key=lambda one: one.order):
        person = roster.find(one.seen)
        key = ("person", id(person)) if person else keys[one.key]
        student = students.setdefault(key, _new(one.seen, person, roster))
        _assign(one, student)
        if one.key in left_out:
            student.doubts.append(f"{left_out.pop(one.key):,} files were not read: {_TOO_MUCH}")
    students = {("person", id(person)): _new(None, person, roster) for person in roster} | students
    everybody = sorted(students.values(), key=lambda student: (student.name.casefold(), student.name))
    for student in everybody:
        _finish(student)
    _tell_apart(everybody)
    return Submissions(everybody, unclaimed)


def _read(source: Path) -> tuple[list[_Found], list[tuple[str, str]], dict[tuple, int]]:
    """Return what lies there, files that are nobody's, and of how many files of whom nothing was read."""
    deepest = 2 if source.is_file() else 1  # zips in the zip of a class may be assignments, so the names in them count as well
    listed = walking.entries(source, lambda entry, depth: depth < deepest and not _is_named(entry.path))
    layout, budgets = whose.layout(entry.path for entry in listed), {}

    def place(path: str) -> tuple[str, whose.Sighting, str, tuple]:
        group, inner = layout.split(path)
        seen = whose.see(inner, source.stem)
        named = seen.named
        lasting = named and lms.format_of(named.lms).LASTING
        key = (named.lms, named.identity, "" if lasting else seen.name) if named else ("", "", seen.name)
        return inner, seen, group, key

    found, unclaimed = [], []
    for path, file in files(source, lambda path: budgets.setdefault(place(path)[-1], Budget())):
        inner, seen, group, key = place(path)
        if seen.claimed or file.code or inner.lower().endswith((".ipynb", ".zip")):
            found.append(_Found(inner, file, seen, group, key))
        elif not lms.is_own(inner):
            unclaimed.append((file.path, f"It is nobody's, as no folder and no name says whose. {file.problem}"))
    return found, unclaimed, {key: budget.left_out for key, budget in budgets.items() if budget.left_out}


def _is_named(path: str) -> bool:
    return any(lms.parse(step) for step in path.split("/"))


def _new(seen: whose.Sighting | None, person, roster: Roster) -> Student:
    if person:
        identity = next((identity for _, identity in sorted(person.identities)), "")
        return Student(whose.clean(person.name), identity, person=person)
    doubts = ["Nobody in the roster, or more than one, goes by this name or number."] if roster.people else []
    return Student(seen.name, seen.named.identity if seen.named else "", doubts=doubts)


def _assign(one: _Found, student: Student) -> None:
    if one.seen.named and one.seen.named not in student.named:
        student.named.append(one.seen.named)
    if one.exercise is None or (one.seen.named and one.seen.named.receipt):
        student.stray.append((one.file.path, one.file.problem or "The notebook belongs to none of the exercises."))
    else:
        student.notebooks.setdefault(one.exercise.name, []).append(Notebook(one.file, one.exercise, one.seen.named))


def _finish(student: Student) -> None:
    """Put the attempt that counts last, and list what else there is, within bounds."""
    for attempts in student.notebooks.values():
        if len(attempts) > 1:
            # One that is damaged does not replace one that can be read, nor a blank one an answered one.
            attempts.sort(key=lambda notebook: (not notebook.file.problem, _is_answered(notebook)))
    receipts = {named.whole for named in student.named if named.receipt}
    telling = [
        (path, why)
        for path, why in student.stray
        if path.rpartition("/")[2] not in receipts and PurePosixPath(path).name != walking.EMPTY
    ]
    if student.notebooks or telling:
        student.stray = telling
    if len(student.stray) > _MOST_STRAY:
        student.doubts.append(f"{len(student.stray) - _MOST_STRAY:,} more files belong to no exercise.")
        student.stray = student.stray[:_MOST_STRAY]


def _is_answered(notebook: Notebook) -> bool:
    """Tell whether there is an answer in a notebook, right or wrong."""
    cells = [cell for text in notebook.file.code for cell in answers.split(text)]
    return any(_answers(cell, name) for cell in cells for name in notebook.exercise.answers)


def _answers(cell: answers.Cell, name: str) -> bool:
    if cell.error:
        return cell.answer == name and not cell.stub
    return any(name in statement.binds and not statement.stub for statement in cell.statements)


def _tell_apart(students: list[Student]) -> None:
    names = [student.name.casefold() for student in students]
    for student in students:
        if names.count(student.name.casefold()) > 1 and student.identity:
            student.name = f"{student.name} {student.identity}"
