"""What the formats share. The module of a format has

NAME, MARK (what its marks begin with: a byte order mark where the LMS takes one), OWN (files it adds),
SURE (nobody gives a name like its names by chance), LASTING (its identities are the same in all assignments),
parse(name) -> Named | None            what it says in the name of a file or folder
people(table) -> list[Person] | None   who stands in its list of a course; None if it did not write the table
marks(rows, table) -> list | None      the lines of the file of marks that it takes; table: its own list, or None
feedback(named, page) -> (name in a zip, bytes) | None
and, where its list of a course tells when something came: submitted(named, table, line) -> str
"""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import checks

BOM = "\ufeff"  # by which Excel knows UTF-8
_MAX_ROSTER = 50_000_000  # bytes


class RosterError(ValueError):
    """A file given with --roster is no list of a course; the message says why."""


@dataclass(frozen=True)
class Named:
    """What an LMS says in a name. identity: by which it knows the student, be it in this assignment only."""

    lms: str
    student: str
    identity: str
    file: str = ""  # the name that the student gave
    late: bool = False
    when: str = ""  # sorts by the time of submission, where the name tells it
    also: tuple[str, ...] = ()  # other identities that the name can stand for
    receipt: bool = False  # what the LMS wrote about a submission
    whole: str = ""
    ending: str = ""  # of the file as the LMS has it


@dataclass
class Table:
    """A CSV file. lms: the name of the LMS that wrote it, once that is known."""

    path: Path
    lines: list[list[str]]
    lms: str = ""

    @property
    def header(self) -> list[str]:
        return self.lines[0]

    def column(self, *titles: str) -> int | None:
        """Return the index of the first of these columns that is there."""
        return next((self.header.index(title) for title in titles if title in self.header), None)

    def cell(self, row: int, *titles: str) -> str:
        """Return a cell, or "" where there is no such column or the line is short."""
        column = self.column(*titles)
        return self.lines[row][column].strip() if column is not None and column < len(self.lines[row]) else ""


@dataclass
class Person:
    """Somebody in a roster: all identities and forms of the name, and the lines that are about this person."""

    name: str
    identities: set[tuple[str, str]] = field(default_factory=set)  # (LMS, identity)
    names: set[str] = field(default_factory=set)  # as `plain` gives them
    email: str = ""
    lines: list[tuple[Table, int]] = field(default_factory=list)

    def line(self, table: Table) -> int | None:
        return next((number for of, number in self.lines if of is table), None)


def person(table: Table, row: int, name: str, identity: str, *names: str, lms: str, email: str = "") -> Person:
    """Return the person in a line. A name with a comma is known the other way round as well."""
    last, comma, first = name.partition(",")
    forms = {plain(form) for form in (name, f"{first} {last}" if comma else name, *names)} - {""}
    return Person(name.strip(), {(lms, identity)} if identity else set(), forms, email.casefold(), [(table, row)])


def plain(name: str) -> str:
    """Return letters and digits alone, in lower case: of a name, what every LMS leaves in the name of a file."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def read_table(path: Path) -> Table:
    """Read a CSV file of any delimiter and encoding. Raises RosterError, naming the file."""
    try:
        data = path.read_bytes() if path.stat().st_size <= _MAX_ROSTER else b""
    except OSError as problem:
        raise RosterError(f"--roster must be a file that can be read; {path}: {problem.strerror}") from None
    text = _text(data)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in line)]
    except csv.Error as problem:
        raise RosterError(f"--roster must be a CSV file; {path}: {problem}") from None
    if not lines:
        raise RosterError(f"--roster must be a CSV file of at most {_MAX_ROSTER // 1_000_000} MB; {path} is empty or larger")
    lines[0] = [title.strip() for title in lines[0]]
    return Table(path, lines)


def _text(data: bytes) -> str:
    for encoding in ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def exercise_of(title: str):
    """Return the exercise that a column is for, or None: by its file's name, or its title. One word would be too little."""
    words = re.sub(r"[^a-z0-9]+", " ", title.lower()).split()
    for exercise in checks.EXERCISES:
        stem = exercise.stem.split("_")
        known = [stem, [str(exercise.number), *stem[1:]], [word for word in exercise.title.split() if word not in ("a", "the")]]
        told = [word for word in words if word not in ("a", "the")]
        if any(len(one) > 1 and told[i : i + len(one)] == one for one in known for i in range(len(told))):
            return exercise
    return None


def own_columns(table: Table) -> dict[int, object]:
    """Return the columns of a table that are for an exercise, the first one for each."""
    found = {}
    for column, title in enumerate(table.header):
        exercise = exercise_of(title)
        if exercise and exercise not in found.values():
            found[column] = exercise
    return found


def handed_in(rows) -> list:
    """Return the exercises for which somebody handed in something, or has a mark given by hand."""
    return [graded.exercise for graded in rows[0].graded if any(_of(row, graded.exercise).counts for row in rows)]


def mark(row, exercise, most: str = ""):
    """Return the points of one student, scaled where the LMS has another maximum; "" if nothing was handed in."""
    graded = _of(row, exercise)
    return scale(graded.points, exercise.points, most) if graded and graded.counts else ""


def possible(rows, exercise) -> int:
    """Return the points that can be had for an exercise: none for a bonus, which Canvas takes for extra credit."""
    return _of(rows[0], exercise).possible


def scale(points, of: int, most: str = ""):
    """Return points for a maximum that an LMS states, if it does: 3 of 6 are 50 of "100.00"."""
    try:
        maximum = float(most.replace(",", "."))
    except ValueError:
        maximum = 0.0
    value = round(points * maximum / of, 2) if maximum > 0 and of else points
    return int(value) if value == int(value) else value


def _of(row, exercise):
    return next((graded for graded in row.graded if graded.exercise is exercise), None)
