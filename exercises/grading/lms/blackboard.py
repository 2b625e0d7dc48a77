"""Blackboard Learn: assignment_username_attempt_time_file, and for each attempt a text of its own without a file's name.

Marks go by the username, and into a column by the number after the last bar of its title; a column without one would become a
new one of another kind. So marks need the download of its grade centre.
"""

import re

from exercises.grading.lms import base
from exercises.grading.lms.base import Named, Person, Table

NAME, MARK, OWN, SURE, LASTING = "Blackboard", base.BOM, (), True, True
_NAMED = re.compile(
    r"^(?P<before>.+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt|)$", re.DOTALL
)  # the name of an assignment, and a username, may have underscores of their own
_PEOPLE = ("Last Name", "First Name", "Username", "Student ID")
_LONGEST = 8  # parts of a username between underscores


def parse(name: str) -> Named | None:
    match = _NAMED.match(name)
    if not match:
        return None
    parts = match["before"].split("_")
    also = tuple("_".join(parts[-count:]) for count in range(2, min(_LONGEST, len(parts)) + 1))
    receipt = match["file"] is None and name.endswith(".txt")
    return Named(NAME, parts[-1], parts[-1], match["file"] or "", False, match["when"], also, receipt, name)


def people(table: Table) -> list[Person] | None:
    if None in map(table.column, _PEOPLE[:3]) or table.column("End-of-Line Indicator") is not None:
        return None
    found = []
    for row in range(1, len(table.lines)):
        name = f"{table.cell(row, 'Last Name')}, {table.cell(row, 'First Name')}".strip(", ")
        login = table.cell(row, "Username")
        if login:
            found.append(base.person(table, row, name or login, login, login, table.cell(row, "Student ID"), lms=NAME))
    return found


def marks(rows, table: Table | None) -> list[list] | None:
    columns = base.own_columns(table) if table else {}
    columns = {column: exercise for column, exercise in columns.items() if exercise in base.handed_in(rows)}
    if not columns:
        return None
    known = [column for column in map(table.column, _PEOPLE) if column is not None]
    lines = [[table.header[column] for column in (*known, *columns)]]
    for row in rows:
        line = row.student.person and row.student.person.line(table)
        if line:
            told = [base.mark(row, exercise, _most(table.header[column])) for column, exercise in columns.items()]
            old = [table.cell(line, table.header[column]) for column in columns]
            people = [table.cell(line, table.header[column]) for column in known]
            lines.append([*people, *(mark if mark != "" else was for mark, was in zip(told, old, strict=True))])
    return lines


def _most(title: str) -> str:
    found = re.search(r"\[Total Pts: ([\d.,]+)", title)
    return found[1] if found else ""


def feedback(named: Named, page: str) -> None:
    """Blackboard takes no files of feedback for a class at once."""
