"""The page of answers alike, side by side."""

from collections.abc import Sequence

from exercises.grading import alike, pages
from exercises.grading.rows import Row

_MOST = 60  # pairs that are shown; more than that is a class that worked together


def render(rows: Sequence[Row], compared: list[alike.Compared] | None) -> str:
    """Return the page. compared: as `alike.compare` gives it."""
    found = [(one, pair) for one in compared or () for pair in one.pairs]
    shown = []
    for one, pair in found[:_MOST]:
        left, right = rows[pair.one], rows[pair.other]
        texts = [next(g for g in row.graded if g.exercise is one.exercise) for row in (left, right)]
        names = left.student.name, right.student.name
        shown.append((one.exercise, pair, names, one.usual, alike.side_by_side(*texts)))
    return pages.template("alike.html").render(
        compared=compared,
        missing=alike.MISSING,
        pairs=shown,
        more=len(found) - _MOST,
        one_in=round(1 / alike.CHANCE),
        least_tokens=alike.LEAST_TOKENS,
        least_students=alike.LEAST_STUDENTS,
    )
