"""Whom --only means."""

import difflib

from exercises.grading import arguments
from exercises.grading.submissions import Student


class NobodyError(ValueError):
    """--only names nobody, or more than one; the message says whom it may have meant."""


def choose(students: list[Student], wanted: list[str], called: dict[str, Student] | None = None) -> list[Student]:
    """Return the students of these names or numbers. called: pseudonyms. Raises NobodyError."""
    chosen = []
    for name in wanted:
        pseudonyms = {pseudonym.casefold(): student for pseudonym, student in (called or {}).items()}
        student = pseudonyms.get(name.strip().casefold()) or _one(students, name)
        if student not in chosen:
            chosen.append(student)
    return chosen


def _one(students: list[Student], wanted: str) -> Student:
    for known in (lambda student: student.name, lambda student: student.identity):
        found = [student for student in students if known(student).casefold() == wanted.strip().casefold()]
        if len(found) > 1:
            raise NobodyError(f'--only: "{wanted}" is the name of {len(found)} students; give the number')
        if found:
            return found[0]
    exercise = arguments.named(wanted.strip())
    if exercise:
        raise NobodyError(f'--only is for a student, and nobody is called "{wanted}"; for an exercise: --exercise {wanted}')
    names = {student.name.casefold(): student.name for student in students}
    near = [names[name] for name in difflib.get_close_matches(wanted.casefold(), names, 3, 0.5)]
    near = near or [name for key, name in names.items() if wanted.casefold() in key][:3]
    hint = f"; near to it: {', '.join(near)}" if near else ""
    raise NobodyError(f'--only must be the name or the number of a student in SUBMISSIONS, got "{wanted}"{hint}')
