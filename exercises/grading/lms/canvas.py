"""Canvas, as its source has it: lib/content_zipper.rb, lib/gradebook_importer.rb, and in the model of an assignment
infer_comment_context_from_filename.

A download is flat: student_LATE_user_attachment_file, where the first two numbers between underscores are what Canvas goes by;
without names, anon_id_attachment_file, with LATE_ before it.
"""

import io
import json
import re
import zipfile

from exercises.grading.lms import base
from exercises.grading.lms.base import Named, Person, Table
from exercises.grading.reading import ARCHIVES

NAME, MARK, OWN, SURE, LASTING = "Canvas", base.BOM, (), False, True
_NAMED = re.compile(r"^(?P<student>.+?)(?P<late>_LATE)?_(?P<id>\d+)_(?P<attachment>\d+)_(?P<file>.+)$", re.DOTALL)
_ANONYMOUS = re.compile(r"^(?P<late>LATE_)?anon_(?P<id>[^\W_]+)_(?P<attachment>\d+)_(?P<file>.+)$", re.DOTALL)
_TYPED = re.compile(r"^(?P<student>.+?)(?P<late>_LATE)?_(?P<id>\d+)_(?P<file>(?:text|link)\.html)$", re.DOTALL)
_PEOPLE = ("SIS User ID", "SIS Login ID", "Integration ID")
_POINTS = "Points Possible"


def parse(name: str) -> Named | None:
    anonymous = _ANONYMOUS.match(name)
    match = anonymous or _NAMED.match(name) or _TYPED.match(name)
    if not match:
        return None
    student = f"anon {match['id']}" if anonymous else match["student"]
    return Named(NAME, student, match["id"], match["file"], bool(match["late"]), whole=name)


def people(table: Table) -> list[Person] | None:
    if not table.header[0].endswith(("Student", "LastName")) or "ID" not in table.header or "Section" not in table.header:
        return None
    found = []
    for row in range(1, len(table.lines)):
        halves = filter(None, (table.cell(row, "LastName"), table.cell(row, "FirstName")))
        name = ", ".join(halves) or table.lines[row][0].strip()
        if name and _POINTS not in name and name != "Student, Test" and table.cell(row, "ID"):
            others = [table.cell(row, title) for title in _PEOPLE]
            found.append(base.person(table, row, name, table.cell(row, "ID"), *others, lms=NAME))
    return found


def marks(rows, table: Table | None) -> list[list]:
    """With the columns of its own export, so that Canvas knows them again; an exercise that has none gets a new one."""
    handed_in = base.handed_in(rows)
    if table is None:
        lines = [["Student", "ID", *_PEOPLE[:2], "Section", *(exercise.stem for exercise in handed_in)]]
        lines.append([f"    {_POINTS}", "", "", "", "", *(base.possible(rows, exercise) for exercise in handed_in)])
        for row in rows:
            number = row.student.identity
            lines.append([row.student.name, number, "", "", "", *(base.mark(row, exercise) for exercise in handed_in)])
        return lines
    last = table.column("Section")
    columns = {column: one for column, one in base.own_columns(table).items() if column > last and one in handed_in}
    new = [exercise for exercise in handed_in if exercise not in columns.values()]
    most = next((number for number, line in enumerate(table.lines) if _POINTS in line[0]), None)
    points = {column: table.cell(most, table.header[column]) if most else "" for column in columns}
    lines = [[*table.header[: last + 1], *(table.header[column] for column in columns), *(exercise.stem for exercise in new)]]
    possible = [points[column] or base.possible(rows, exercise) for column, exercise in columns.items()]
    lines.append([f"    {_POINTS}", *[""] * last, *possible, *(base.possible(rows, exercise) for exercise in new)])
    for row in rows:
        line = row.student.person and row.student.person.line(table)
        known = table.lines[line] if line else [row.student.name, row.student.identity]
        told = [(base.mark(row, exercise, points[column]), column) for column, exercise in columns.items()]
        before = [known[column] if column < len(known) else "" for column in (*range(last + 1), *columns)]
        marked = [value if value != "" else old for (value, _), old in zip(told, before[last + 1 :], strict=True)]
        lines.append([*before[: last + 1], *marked, *(base.mark(row, exercise) for exercise in new)])
    return lines


def feedback(named: Named, page: str) -> tuple[str, bytes] | None:
    """Under the name that Canvas gave out. It shows what comes back under the name of the student's file, so in its form."""
    if named.ending in ARCHIVES:
        return None
    name = named.whole + ("" if named.whole.lower().endswith(named.ending) else named.ending)
    if named.ending == ".ipynb":
        inner = page.partition("<body>")[2].rpartition("</body>")[0]
        cell = {"cell_type": "markdown", "metadata": {}, "source": inner}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        return name, json.dumps(notebook).encode()
    if named.ending == ".zip":
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr(zipfile.ZipInfo("feedback.html"), page)
        return name, data.getvalue()
    return name, page.encode("utf8", "replace")
