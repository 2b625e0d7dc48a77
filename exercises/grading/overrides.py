"""Marks that a person gives: overrides.csv in the folder of the output, which is read at each run and never written.

Student,Exercise,Points,Reason
Ana Müller,4,6,right but for a sign
"""

import csv
import io
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


def apply(rows, path: Path, called: dict | None = None) -> list[str]:
    """Put the marks of a file in the place of those of the checks. Return what was about nobody here; raise OverrideError.

    called: {pseudonym: student}, where there are some.
    """
    called = {pseudonym.casefold(): student for pseudonym, student in (called or {}).items()}
    if not path.exists():
        return []
    lost = []
    for number, line in enumerate(_lines(path), 2):
        where = f"{path.name}, line {number}"
        under = called.get(line["student"].casefold())
        row = next((row for row in rows if row.student is under), None) or _student(rows, line["student"], where)
        if row is None:
            lost.append(f'{where}: nobody here is called "{line["student"][:80]}", so the mark was given to nobody.')
            continue
        graded = _exercise(row, line["exercise"])
        if graded is None:
            lost.append(f'{where}: "{line["exercise"][:80]}" is none of the exercises that are graded.')
            continue
        graded.override = Override(_points(line["points"], graded.exercise, where), line["reason"])
    return lost


def _lines(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    cleaned = [{(key or "").strip().lower(): (value or "").strip() for key, value in line.items() if key} for line in lines]
    for line in cleaned:
        for title in _TITLES[:3]:
            if not line.get(title):
                raise OverrideError(f"{path.name} must have Student, Exercise and Points in every line; got {line}")
        line.setdefault("reason", "")
    return cleaned


def _student(rows, wanted: str, where: str):
    for known in (lambda student: student.name.casefold(), lambda student: student.identity.casefold()):
        found = [row for row in rows if known(row.student) == wanted.casefold()]
        if len(found) > 1:
            raise OverrideError(f'{where}: "{wanted[:80]}" is the name of {len(found)} students; give the number')
        if found:
            return found[0]
    return None


def _exercise(row, wanted: str):
    for graded in row.graded:
        exercise = graded.exercise
        if wanted.lower() in (exercise.stem, exercise.name) or (wanted.isdigit() and int(wanted) == exercise.number):
            return graded
    return None


def _points(text: str, exercise, where: str) -> int | float:
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        points = -1.0
    if not 0 <= points <= exercise.points:
        most = exercise.points
        raise OverrideError(f'{where}: points of {exercise.stem} must be a number from 0 to {most}, got "{text[:80]}"')
    return int(points) if points == int(points) else points
