"""Items analysed: each exercise, and each of its mistakes known by name, against the rest of the marks."""

import math
import statistics
from dataclasses import dataclass

from exercises.grading.rows import Graded, Row

TITLES = ("Exercise", "Item", "Students", "Share", "Discrimination", "Median seconds")


@dataclass(frozen=True)
class Item:
    """One line. mistake: its name, or "" for the exercise as a whole.

    students: how many handed the exercise in; share: of them, those who have all of its points, or made the mistake;
    discrimination: from -1 to 1, or None where it is undefined; seconds: the median time that the answers of those ran.
    """

    exercise: object
    mistake: str
    students: int
    share: float
    discrimination: float | None
    seconds: float | None


def analyse(rows: list[Row]) -> list[Item]:
    """Return the items, in the order of the course, the most common mistakes of an exercise first."""
    found = []
    for number, graded in enumerate(rows[0].graded if rows else ()):
        own = [(row.graded[number], _rest(row, number)) for row in rows if row.graded[number].handed_in]
        if own:
            found.append(_item(graded.exercise, "", own, [one.checked == graded.exercise.points for one, _ in own]))
            names = {part.mistake for one, _ in own for part in one.parts if part.mistake}
            made = [_item(graded.exercise, name, own, [_made(one, name) for one, _ in own]) for name in names]
            found += sorted(made, key=lambda item: (-item.share, item.mistake))
    return found


def table(items: list[Item]) -> list[list]:
    """Return the lines of items.csv."""
    lines = [list(TITLES)]
    for item in items:
        name = item.mistake or "all points"
        discrimination = "" if item.discrimination is None else f"{item.discrimination:.2f}"
        lines.append([item.exercise.stem, name, item.students, f"{item.share:.2f}", discrimination, seconds(item.seconds)])
    return lines


def seconds(value: float | None) -> str:
    """Return a time as it is told: whole seconds, as less than one differs from run to run."""
    return "" if value is None else "under 1" if value < 1 else f"{value:.0f}"


def point_biserial(has: list[bool], marks: list[float]) -> float | None:
    """Return the correlation of a yes or no with marks (Lev 1949); None where all of either are the same."""
    spread, with_it = statistics.pstdev(marks), [mark for one, mark in zip(has, marks, strict=True) if one]
    without = [mark for one, mark in zip(has, marks, strict=True) if not one]
    if not with_it or not without or spread == 0:
        return None
    share = len(with_it) / len(has)
    value = (statistics.fmean(with_it) - statistics.fmean(without)) / spread * math.sqrt(share * (1 - share))
    return max(-1.0, min(1.0, value))


def _item(exercise, mistake: str, own: list[tuple[Graded, float]], has: list[bool]) -> Item:
    times = [one.seconds for (one, _), it in zip(own, has, strict=True) if one.seconds is not None and (it or not mistake)]
    return Item(
        exercise,
        mistake,
        len(own),
        sum(has) / len(has),
        point_biserial(has, [rest for _, rest in own]),
        statistics.median(times) if times else None,
    )


def _made(graded: Graded, mistake: str) -> bool:
    return any(part.mistake == mistake for part in graded.parts)


def _rest(row: Row, number: int) -> float:
    """What the checks gave for all other exercises: with the item in it, the sum would agree with the item by itself."""
    return float(sum(graded.checked for other, graded in enumerate(row.graded) if other != number))
