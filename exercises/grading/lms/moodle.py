"""Moodle, as its source has it, in mod/assign: gradingtable.php, importgradeslib.php, importziplib.php.

Names are student_number_assignsubmission_file_, of a folder or before the file. The number is a student's in one assignment,
and no other on the site has it; underscores in a student's name become spaces.
"""

import re

from exercises.grading.lms import base
from exercises.grading.lms.base import Named, Person, Table

NAME, MARK, OWN, SURE, LASTING = "Moodle", base.BOM, (), True, False
_NAMED = re.compile(r"^(?P<student>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)$", re.DOTALL)
_PARTICIPANT = "Participant "
_TITLES = ("Identifier", "Full name", "Grade", "Last modified (grade)")  # Moodle demands all but the name


def parse(name: str) -> Named | None:
    match = _NAMED.match(name)
    if not match:
        return None
    student = match["student"] if match["student"] != _PARTICIPANT.strip() else _PARTICIPANT + match["id"]
    return Named(NAME, student, match["id"], match["file"], whole=name)


def people(table: Table) -> list[Person] | None:
    if table.column("Identifier") is None and None in (table.column("First name"), table.column("Last name", "Surname")):
        return None
    found = []
    for row in range(1, len(table.lines)):
        number = _number(table, row)
        whole = f"{table.cell(row, 'First name')} {table.cell(row, 'Last name', 'Surname')}".strip()
        name = table.cell(row, "Full name") or whole or table.cell(row, "Identifier")
        others = [table.cell(row, "ID number"), table.cell(row, "Username")]
        found.append(base.person(table, row, name, number, *others, lms=NAME, email=table.cell(row, "Email address")))
    return found


def marks(rows, table: Table | None) -> list[list] | None:
    """A line a number: the points of what was handed in under it. Its own worksheet is filled in, and keeps all else."""
    if table is None:
        told = {}
        for row in rows:
            for one in _under_numbers(row):
                name, points = told.get(one.named.identity, (row.student.name, 0))
                told[one.named.identity] = name, points + one.points
        return [list(_TITLES), *([_PARTICIPANT + number, *mark, ""] for number, mark in told.items())]
    if table.column("Identifier") is None or table.column("Grade") is None:
        return None  # a list of participants, which Moodle does not take back
    grade, lines = table.column("Grade"), [list(line) for line in table.lines]
    numbers = {_number(table, line): line for line in range(1, len(lines))}
    # The assignment is made of what anybody handed in under one of its numbers.
    exercises = {one.exercise for row in rows for one in _under_numbers(row) if one.named.identity in numbers}
    for row in rows:
        line = next((numbers[named.identity] for named in row.student.named if named.identity in numbers), None)
        line = line or (row.student.person and row.student.person.line(table))
        own = [one for one in row.graded if one.exercise in exercises and one.counts]
        if line and own:
            lines[line] += [""] * (len(table.header) - len(lines[line]))
            possible = sum(base.possible(rows, exercise) for exercise in exercises)
            lines[line][grade] = base.scale(sum(one.points for one in own), possible, table.cell(line, "Maximum Grade"))
    return lines


def submitted(named: Named, table: Table, line: int) -> str:
    """Return when something came, in the words of Moodle's worksheet, where the line is about this number."""
    return table.cell(line, "Last modified (submission)") if _number(table, line) == named.identity else ""


def _number(table: Table, line: int) -> str:
    return "".join(re.findall(r"(\d+)$", table.cell(line, "Identifier")))


def _under_numbers(row) -> list:
    return [one for one in row.graded if one.named and one.named.lms == NAME]


def feedback(named: Named, page: str) -> tuple[str, bytes]:
    """In a folder by whose second part Moodle knows the student; the first must have no underscore."""
    student = named.student.replace("_", " ").replace("/", " ")
    return f"{student}_{named.identity}_assignsubmission_file_/feedback.html", page.encode("utf8", "replace")
