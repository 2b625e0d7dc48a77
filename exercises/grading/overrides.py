"""Marks that a person gives: overrides.csv in the folder of the output, which is read at each run and never written.

Student,Exercise,Points,Reason
Ana Müller,4,6,right but for a sign
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NAME = "overrides.csv"
_TITLES = ("student", "exercise", "points", "reason")


class OverrideError(ValueError):
    """A line of overrides.csv is no mark; the message names the line, what is there and what is needed."""


@dataclass(frozen=True)
class Override:
    """A mark given by hand for one exercise."""

    points: int | float
    reason: str


def check(path: Path, exercises: Iterable) -> None:
    """Raise OverrideError where a line can be no mark, whoever it is about: before hours of grading, not after."""
    for number, line in _lines(path):
        for exercise in exercises:
            if _is(exercise, line["exercise"]):
                _points(line["points"], exercise, f"{path.name}, line {number}")


def apply(rows, path: Path, called: dict | None = None) -> list[str]:
    """Put the marks of a file in the place of those of the checks. Return what was about nobody here; raise OverrideError.

    called: {pseudonym: student}, where there are some.
    """
    called = {pseudonym.casefold(): student for pseudonym, student in (called or {}).items()}
    lost = []
    for number, line in _lines(path):
        where = f"{path.name}, line {number}"
        under = called.get(line["student"].casefold())
        row = next((row for row in rows if row.student is under), None) or _student(rows, line["student"], where)
        if row is None:
            lost.append(f'{where}: nobody here is called "{line["student"][:80]}", so the mark was given to nobody.')
            continue
        graded = next((graded for graded in row.graded if _is(graded.exercise, line["exercise"])), None)
        if graded is None:
            lost.append(f'{where}: "{line["exercise"][:80]}" is none of the exercises that are graded.')
            continue
        graded.override = Override(_points(line["points"], graded.exercise, where), line["reason"])
    return lost


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return (number of the line, its values by their titles); none where there is no file."""
    data = path.read_bytes() if path.exists() else b""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines, reader = [], csv.DictReader(io.StringIO(text), delimiter=delimiter)
    for line in reader:
        line = {(key or "").strip().lower(): (value or "").strip() for key, value in line.items() if key}
        for title in _TITLES[:3]:
            if not line.get(title):
                where = f"{path.name}, line {reader.line_num}"
                raise OverrideError(f"{where}: there must be Student, Exercise and Points in every line; got {line}")
        lines.append((reader.line_num, {"reason": "", **line}))
    return lines


def _student(rows, wanted: str, where: str):
    for known in (lambda student: student.name.casefold(), lambda student: student.identity.casefold()):
        found = [row for row in rows if known(row.student) == wanted.casefold()]
        if len(found) > 1:
            raise OverrideError(f'{where}: "{wanted[:80]}" is the name of {len(found)} students; give the number')
        if found:
            return found[0]
    return None


def _is(exercise, wanted: str) -> bool:
    return wanted.lower() in (exercise.stem, exercise.name) or (wanted.isdigit() and int(wanted) == exercise.number)


def _points(text: str, exercise, where: str) -> int | float:
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        points = -1.0
    if not 0 <= points <= exercise.points:
        most = exercise.points
        raise OverrideError(f'{where}: points of {exercise.stem} must be a number from 0 to {most}, got "{text[:80]}"')
    return int(points) if points == int(points) else points
