"""The marks as tables: one to read, one in the columns that nbgrader exports, and what each LMS takes back."""

import csv
import io
import re
import zipfile

from exercises.grading import lms
from exercises.grading.lms.base import BOM, Table
from exercises.grading.rows import Row, whole

# At the start of a cell, or after what some spreadsheet takes for the end of one. Full-width signs count too.
_FORMULA = re.compile(r"(?:^|[;,|\t\n])[\s\"']*(?=[=+\-@\uff1d\uff0b\uff0d\uff20](?s:.))|^(?=\t)")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?%?")
_NBGRADER = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
             "late_submission_penalty", "score", "max_score")  # fmt: skip
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # so that the same pages are the same zip


def marks(rows: list[Row]) -> str:
    """One row a student, one column an exercise, and the total; what came late and what was changed by hand, if anything."""
    titles = [graded.exercise.stem for graded in rows[0].graded]
    table = [["Student", "Number", *titles, "Total"]]
    table += [[row.student.name, row.student.identity, *(one.points for one in row.graded), row.points] for row in rows]
    for title, applies in (("Late", lambda one: one.late), ("Changed by hand", lambda one: one.override)):
        found = [", ".join(one.exercise.stem for one in row.graded if applies(one)) for row in rows]
        if any(found):
            table = [[*line, cell] for line, cell in zip(table, [title, *found], strict=True)]
    if any(one.taken for row in rows for one in row.graded):
        taken = [whole(sum(one.taken for one in row.graded)) for row in rows]
        table = [[*line, cell] for line, cell in zip(table, ["Taken off for lateness", *taken], strict=True)]
    return BOM + _csv(table)


def nbgrader(rows: list[Row]) -> str:
    """One row for each student and exercise, as `nbgrader export` writes them."""
    table = [_NBGRADER]
    for row in rows:
        for graded in row.graded:
            who, raw = row.student.identity or row.student.name, whole(graded.points + graded.taken)
            marked = raw, graded.taken, graded.points, graded.possible
            table.append([graded.exercise.stem, "", "", who, row.student.name, "", "", *marked])
    return _csv(table)


def uploads(rows: list[Row], tables: list[Table], pages: list[str], wanted: tuple[str, ...] = ()) -> dict[str, str | bytes]:
    """What the LMS takes from which the files or a roster come, or which is wanted: {name of the file: content}."""
    files = {}
    for form in lms.FORMATS:
        own = [table for table in tables if table.lms == form.NAME]
        used = any(named.lms == form.NAME for row in rows for named in row.student.named)
        name = form.NAME.lower()
        if used or own or name in wanted:
            for table in own or [None]:
                lines = form.marks(rows, table)
                if lines:
                    files[f"{name}-{table.path.stem}.csv" if len(own) > 1 else f"{name}.csv"] = form.MARK + _csv(lines)
            feedback = _feedback(form, rows, pages)
            if feedback:
                files[f"{name}-feedback.zip"] = feedback
    return files


def sheet(lines: list[list]) -> str:
    """Return lines as CSV that a spreadsheet shows as they are."""
    return BOM + _csv(lines)


def _feedback(form, rows: list[Row], pages: list[str]) -> bytes:
    data, written = io.BytesIO(), set()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for row, page in zip(rows, pages, strict=True):
            for named in [graded.named for graded in row.graded if graded.named] or row.student.named:
                returned = form.feedback(named, page) if named.lms == form.NAME and not named.receipt else None
                if returned and returned[0] not in written:
                    written.add(returned[0])
                    member = zipfile.ZipInfo(returned[0], _LONG_AGO)
                    member.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(member, returned[1])
    return data.getvalue() if written else b""


def _csv(table) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_inert(cell) for cell in line] for line in table])
    return text.getvalue().encode("utf8", "replace").decode()


def _inert(cell):
    """A text that a spreadsheet would take for a formula, in whole or in part, gets an apostrophe before that."""
    if not isinstance(cell, str) or _NUMBER.fullmatch(cell):
        return cell
    return _FORMULA.sub(lambda found: f"{found[0]}'", cell.replace("\r\n", "\n").replace("\r", "\n"))
