"""The marks as tables: one that Canvas imports, and one in the columns that nbgrader exports."""

import csv
import io

from exercises.grading.grading import Row

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NBGRADER = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
             "late_submission_penalty", "score", "max_score")  # fmt: skip


def canvas(rows: list[Row]) -> str:
    """One row a student, one column an exercise, and the total; by the first five columns Canvas knows people."""
    titles = [graded.exercise.stem for graded in rows[0].graded]
    table = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *titles, "Total"]]
    for row in rows:
        marks = [graded.points for graded in row.graded]
        table.append([row.student.name, row.student.identity, "", "", "", *marks, row.points])
    return _csv(table)


def nbgrader(rows: list[Row]) -> str:
    """One row for each student and exercise, as `nbgrader export` writes them."""
    table = [_NBGRADER]
    for row in rows:
        for graded in row.graded:
            most = graded.exercise.points
            who = row.student.identity or row.student.name
            table.append([graded.exercise.stem, "", "", who, row.student.name, "", "", graded.points, 0, graded.points, most])
    return _csv(table)


def _csv(table) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_inert(cell) for cell in line] for line in table])
    return text.getvalue()


def _inert(cell):
    """A name that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
