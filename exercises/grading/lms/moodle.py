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
        number = "".join(re.findall(r"(\d+)$", table.cell(row, "Identifier")))
        whole = f"{table.cell(row, 'First name')} {table.cell(row, 'Last name', 'Surname')}".strip()
        name = table.cell(row, "Full name") or whole or table.cell(row, "Identifier")
        others = [table.cell(row, "ID number"), table.cell(row, "Username")]
        found.append(base.person(table, row, name, number, *others, lms=NAME, email=table.cell(row, "Email address")))
    return found


def marks(rows, table: Table | None) -> list[list] | None:
    """A line a number: the points of what was handed in under it. Its own worksheet is filled in, and keeps all else."""
    points, possible = _by_number(rows)
    if table is None:
        names = {named.identity: row.student.name for row in rows for named in row.student.named if named.lms == NAME}
        return [list(_TITLES), *([f"{_PARTICIPANT}{number}", names[number], points[number], ""] for number in points)]
    if table.column("Identifier") is None or table.column("Grade") is None:
        return None  # a list of participants, which Moodle does not take back
    grade, lines = table.column("Grade"), [list(line) for line in table.lines]
    for row, line in enumerate(lines[1:], 1):
        number = "".join(re.findall(r"(\d+)$", table.cell(row, "Identifier")))
        if number in points:
            line += [""] * (len(table.header) - len(line))
            line[grade] = base.scale(points[number], possible[number], table.cell(row, "Maximum Grade"))
    return lines


def _by_number(rows) -> tuple[dict, dict]:
    """Points by number, and how many there are to be had: of all exercises that somebody handed in in that assignment."""
    points, group_of, exercises = {}, {}, {}
    for row in rows:
        for graded in row.graded:
            named = graded.named
            if named and named.lms == NAME:
                points[named.identity] = points.get(named.identity, 0) + graded.points
                group_of[named.identity] = graded.group
                exercises.setdefault(graded.group, {})[graded.exercise.name] = graded.exercise.points
    own = {}  # where no folder says which assignment a number is from, the exercises under that number alone count
    for row in rows:
        for graded in row.graded:
            if graded.named and graded.named.lms == NAME and not graded.group:
                own[graded.named.identity] = own.get(graded.named.identity, 0) + graded.exercise.points
    return points, {number: own.get(number) or sum(exercises[group_of[number]].values()) for number in points}


def feedback(named: Named, page: str) -> tuple[str, bytes]:
    """In a folder by whose second part Moodle knows the student; the first must have no underscore."""
    student = named.student.replace("_", " ").replace("/", " ")
    return f"{student}_{named.identity}_assignsubmission_file_/feedback.html", page.encode("utf8", "replace")
