"""Lateness: when something was due, when the LMS says that it came, and what is taken off by a rule that is said beforehand.

A time that no LMS told costs nobody anything: it is told to the instructor. Times of an LMS have no zone; they are read in
that of the due date.
"""

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from exercises.grading import lms
from exercises.grading.rows import Graded, Late, Row
from exercises.grading.submissions import Student

_RULE = re.compile(
    r"(?P<rate>\d+(?:\.\d+)?) ?% (?:a|an|per|each|every) (?P<per>day|hour)(?:,? (?:at most|up to) (?P<most>\d+(?:\.\d+)?) ?%)?"
)
_FORMS = ("%Y-%m-%d-%H-%M-%S", "%A, %d %B %Y, %I:%M %p", "%A, %B %d, %Y, %I:%M %p", "%A, %d %B %Y, %H:%M")
_STEP = {"day": timedelta(days=1), "hour": timedelta(hours=1)}


@dataclass(frozen=True)
class Rule:
    """So much of the points reached, for each day or hour that has begun, and never more than `most`; both fractions."""

    rate: float
    step: timedelta
    most: float

    def fraction(self, late: timedelta) -> float:
        """Return the fraction of the points that is taken off."""
        return min(self.most, self.rate * math.ceil(late / self.step)) if late > timedelta() else 0.0


def rule(text: str) -> Rule:
    """Return the rule in words such as "10% a day, at most 50%". Raises ValueError."""
    match = _RULE.fullmatch(text.strip().lower())
    if not match or float(match["rate"]) > 100 or float(match["most"] or 0) > 100:
        raise ValueError(f'--late must be as "10% a day, at most 50%", with day or hour, got "{text}"')
    return Rule(float(match["rate"]) / 100, _STEP[match["per"]], float(match["most"] or 100) / 100)


def due(text: str) -> tuple[str, datetime]:
    """Return (name of an exercise, or "" for all; the time) of "2026-12-01T12:00+01:00" or "04=…". Raises ValueError."""
    name, given, when = text.rpartition("=")
    try:
        return name if given else "", datetime.fromisoformat(when.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f'--due must be as 2026-12-01T12:00+01:00 or 04=2026-12-01T12:00, got "{text}"') from None


def submitted(student: Student, graded: Graded) -> str:
    """Return when the LMS says that this came, as ISO 8601; "" if it does not."""
    if not graded.named:
        return ""
    told = [graded.named.when]
    told_by = getattr(lms.format_of(graded.named.lms), "submitted", None)
    told += [told_by(graded.named, table, line) for table, line in student.person.lines] if told_by and student.person else []
    return next(filter(None, map(_iso, told)), "")


def _iso(text: str) -> str:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text).isoformat()
    for form in _FORMS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).isoformat()
    return ""


def apply(rows: Sequence[Row], times: dict[object, datetime], words: str = "") -> list[str]:
    """Say of each mark whether it came late, and take off what the rule says. Return what no date is known of.

    times: when each exercise was due; words: the rule, as `rule` reads it, or "" to take nothing off.
    """
    unknown: dict[object, list[str]] = {}
    for row in rows:
        for graded in row.graded:
            if graded.exercise in times and graded.handed_in:
                _apply(graded, times[graded.exercise], words)
                if not graded.when:
                    unknown.setdefault(graded.exercise, []).append(row.student.name)
    return [f"{exercise.stem}: the LMS gives no time of submission for {'; '.join(names[:50])}"
            f"{f' and {len(names) - 50} more' if len(names) > 50 else ''}. Nothing was taken off."
            for exercise, names in unknown.items()]  # fmt: skip


def _apply(graded: Graded, due: datetime, words: str) -> None:
    if graded.when:
        late = datetime.fromisoformat(graded.when).replace(tzinfo=due.tzinfo) - due
        if late > timedelta():
            taken = round(graded.checked * rule(words).fraction(late), 2) if words else 0
            graded.late_by = Late(_told(late), taken, words)
        elif graded.named.late:
            graded.notes.append(("late", "the LMS calls it late, but gives a time before the due date; nothing was taken off"))
    elif graded.named and graded.named.late:
        graded.notes.append(("late", "the LMS says that it came late, but not how late; nothing was taken off"))


def _told(late: timedelta) -> str:
    minutes = max(1, math.ceil(late.total_seconds() / 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    parts = [(days, "day"), (hours, "hour")] if minutes >= 60 else [(minutes, "minute")]
    return " ".join(f"{number} {unit}{'s' * (number != 1)}" for number, unit in parts if number)
