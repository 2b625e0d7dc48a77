"""Pseudonyms: the same for a student in every run with the same seed, so that marks can be read without knowing whose they are.

They are made from the seed and the number that the LMS gives (the name, where there is none). Who knows both can make them.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from exercises.grading.rows import Graded, Row
from exercises.grading.submissions import Student

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without those that look alike
_LENGTH = 5
_SHORTEST = 3  # characters of a name or number that is looked for in texts


def pseudonyms(students: Iterable[Student], seed: int) -> dict[str, Student]:
    """Return {pseudonym: student}. Two that would be the same get longer ones."""
    found: dict[str, Student] = {}
    for student in sorted(students, key=lambda student: (student.identity, student.name)):
        digest = hashlib.sha256(f"{seed}\n{student.identity or student.name}".encode()).digest()
        letters, length = "".join(_LETTERS[byte % 32] for byte in digest), _LENGTH
        while f"student {letters[:length]}" in found:
            length += 1
        found[f"student {letters[:length]}"] = student
    return found


def mask(rows: Sequence[Row], known: dict[str, Student]) -> tuple[list[Row], Callable[[str], str]]:
    """Return the rows under pseudonyms, in their order, and what puts these into any text."""
    by_student = {id(student): pseudonym for pseudonym, student in known.items()}
    told = [(by_student[id(row.student)], row) for row in rows]
    everybody = {}
    for pseudonym, row in told:
        everybody |= dict.fromkeys(_known_as(row), pseudonym)
    hide = _replacer(everybody)
    return [_row(row, pseudonym, hide) for pseudonym, row in sorted(told, key=lambda one: one[0])], hide


def _known_as(row: Row) -> set[str]:
    student = row.student
    texts = {student.name, student.identity, *(path for path, _ in student.stray), *(graded.file for graded in row.graded)}
    for named in student.named:
        texts |= {named.student, named.identity, named.whole, *named.also}
    if student.person:
        texts |= {student.person.name, student.person.email, *(identity for _, identity in student.person.identities)}
    return {text.casefold() for text in texts if len(text) >= _SHORTEST}


def _replacer(known: dict[str, str]) -> Callable[[str], str]:
    if not known:
        return lambda text: text
    longest = sorted(known, key=len, reverse=True)
    pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, longest))})(?![^\W_])", re.IGNORECASE)
    return lambda text: pattern.sub(lambda found: known.get(found[0].casefold(), "student"), text)


def _row(row: Row, pseudonym: str, hide: Callable[[str], str]) -> Row:
    """Return a row under a pseudonym. In what the student wrote only the own name is looked for."""
    own = _replacer(dict.fromkeys(_known_as(row), pseudonym))
    stray = [(f"a file of {pseudonym}", hide(why)) for _, why in row.student.stray]
    student = Student(pseudonym, stray=stray, doubts=[hide(words) for words in row.student.doubts])
    return Row(student, [_graded(graded, own, hide) for graded in row.graded])


def _graded(graded: Graded, own: Callable[[str], str], hide: Callable[[str], str]) -> Graded:
    return replace(
        graded,
        parts=tuple(replace(part, message=own(part.message)) for part in graded.parts),
        texts={name: own(text) for name, text in graded.texts.items()},
        file=graded.file and f"a file of {own(graded.file)}",
        problem=own(graded.problem),
        notes=[(kind, hide(words)) for kind, words in graded.notes],
        override=graded.override and replace(graded.override, reason=hide(graded.override.reason)),
    )


def key(known: dict[str, Student]) -> list[list[str]]:
    """Return the lines of the key."""
    lines = [[pseudonym, student.name, student.identity] for pseudonym, student in sorted(known.items())]
    return [["Pseudonym", "Student", "Number"], *lines]
