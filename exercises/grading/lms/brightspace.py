"""Brightspace: a folder number-number - student - date, and index.html beside them; or the file's name after it all.

The number is not the one that marks go by (OrgDefinedId or Username), so marks need an export of its grades.
"""

import contextlib
import re
from datetime import datetime

from exercises.grading.lms import base
from exercises.grading.lms.base import Named, Person, Table

NAME, MARK, OWN, SURE, LASTING = "Brightspace", "", ("index.html",), True, True
_NAMED = re.compile(
    r"^(?P<id>\d+)-\d+ - (?P<student>.+?) - (?P<when>[^\W\d_]{3,12}\.? \d{1,2}, \d{4} \d{1,4} ?[AP]M)"
    r"(?: - (?P<file>.+))?$",
    re.DOTALL,
)
_PEOPLE = ("OrgDefinedId", "Username")
_END = "End-of-Line Indicator"
_GRADE = " Points Grade"


def parse(name: str) -> Named | None:
    match = _NAMED.match(name)
    if not match:
        return None
    return Named(NAME, match["student"], match["id"], match["file"] or "", when=_sortable(match["when"]), whole=name)


def _sortable(when: str) -> str:
    month, day, year, clock, half = re.fullmatch(r"(\w+)\.? (\d+), (\d+) (\d+) ?([AP]M)", when).groups()
    for form in ("%b", "%B"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(f"{month} {day} {year} {clock:0>4} {half}", f"{form} %d %Y %I%M %p").isoformat()
    return ""


def people(table: Table) -> list[Person] | None:
    if table.column(*_PEOPLE) is None or (table.column("OrgDefinedId") is None and table.column(_END) is None):
        return None
    found = []
    for row in range(1, len(table.lines)):
        login, number = (table.cell(row, title).lstrip("#") for title in reversed(_PEOPLE))
        name = f"{table.cell(row, 'Last Name')}, {table.cell(row, 'First Name')}".strip(", ")
        if login or number:
            found.append(base.person(table, row, name or login or number, login or number, login, number, lms=NAME))
    return found


def marks(rows, table: Table | None) -> list[list] | None:
    if table is None:
        return None
    handed_in = base.handed_in(rows)
    columns = {column: exercise for column, exercise in base.own_columns(table).items() if exercise in handed_in}
    new = [exercise for exercise in handed_in if exercise not in columns.values()]
    known = [column for column in map(table.column, _PEOPLE) if column is not None]
    titles = [table.header[column] for column in (*known, *columns)]
    lines = [[*titles, *(f"{exercise.stem}{_GRADE}" for exercise in new), _END]]
    for row in rows:
        line = row.student.person and row.student.person.line(table)
        if line:
            told = [base.mark(row, exercise, _most(table.header[column])) for column, exercise in columns.items()]
            old = [table.cell(line, table.header[column]) for column in columns]
            marked = [mark if mark != "" else was for mark, was in zip(told, old, strict=True)]
            people = [table.cell(line, table.header[column]) for column in known]
            lines.append([*people, *marked, *(base.mark(row, exercise) for exercise in new), "#"])
    return lines


def _most(title: str) -> str:
    found = re.search(r"MaxPoints:\s*([\d.,]+)", title)
    return found[1] if found else ""


def feedback(named: Named, page: str) -> tuple[str, bytes]:
    """In a folder of the name that Brightspace gave out."""
    folder = named.whole.removesuffix(f" - {named.file}") if named.file else named.whole
    return f"{folder}/feedback.html", page.encode("utf8", "replace")
