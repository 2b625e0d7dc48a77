"""Pairs of students whose answers agree more than chance explains. It accuses nobody: it says which two are worth reading.

What chance explains is taken from the class itself. For each exercise, all pairs of answers give a difference each: of the
tokens of both (`normal_form`), the fraction to delete and insert until one is the other (Indel distance, by RapidFuzz).
Its logarithm is near enough to a bell curve; the bar lies so far below its middle that, by that curve, one exercise in
ten thousand would have any pair below it.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from exercises.grading import normal_form
from exercises.grading.rows import Graded, Row

try:
    from rapidfuzz.distance import Indel
except ImportError:
    Indel = None

MISSING = "Answers were not compared with each other: rapidfuzz is not installed; pip install -e '.[grading]' brings it."
LEAST_TOKENS = 40  # below that, two people write the same by chance
LEAST_STUDENTS = 6  # below that, a class has no distribution
CHANCE = 0.0001  # of any pair of an exercise below its bar, were all answers written alone
_LEAST_SPREAD = 0.3  # of the logarithm: who copies differs by less than a third of what is usual even in an even class
_TELLING = 4  # tokens of a line that is marked
_TENTH = 1.2816  # standard deviations between the middle of a bell curve and its lowest tenth


@dataclass(frozen=True)
class Pair:
    """Two answers, by their numbers among the rows; agreement: the fraction of the tokens of both that is common."""

    one: int
    other: int
    agreement: float


@dataclass
class Compared:
    """One exercise. usual, bar: agreements, of the middle pair and the least that is listed; why_not: if there is no bar."""

    exercise: object
    students: int
    usual: float = 0.0
    bar: float = 1.0
    why_not: str = ""
    pairs: list[Pair] = field(default_factory=list)


def compare(rows: Sequence[Row]) -> list[Compared] | None:
    """Return what was found for each exercise; None without RapidFuzz."""
    if Indel is None:
        return None
    return [_compare(rows, number) for number in range(len(rows[0].graded) if rows else 0)]


def _compare(rows: Sequence[Row], number: int) -> Compared:
    texts, exercise = {}, rows[0].graded[number].exercise
    for index, row in enumerate(rows):
        tokens = _tokens(row.graded[number])
        if len(tokens) >= LEAST_TOKENS:
            texts[index] = tokens
    found = Compared(exercise, len(texts))
    if len(texts) < LEAST_STUDENTS:
        found.why_not = f"fewer than {LEAST_STUDENTS} answers of at least {LEAST_TOKENS} tokens"
        return found
    letters: dict[str, str] = {}  # a character for each token: RapidFuzz is fastest on texts
    coded = {index: "".join(letters.setdefault(t, chr(0x10000 + len(letters))) for t in own) for index, own in texts.items()}
    pairs, differences = [], []
    for one, other in combinations(coded, 2):
        agreement = Indel.normalized_similarity(coded[one], coded[other])
        pairs.append(Pair(one, other, agreement))
        # Less than half a token is no difference, and has no logarithm.
        differences.append(math.log(max(1 - agreement, 0.5 / (len(coded[one]) + len(coded[other])))))
    usual, bar = limits(differences)
    found.usual, found.bar = 1 - math.exp(usual), 1 - math.exp(bar)
    found.pairs = [pair for pair, difference in zip(pairs, differences, strict=True) if difference < bar]
    found.pairs.sort(key=lambda pair: -pair.agreement)
    if bar <= math.log(0.5 / (2 * statistics.median(map(len, coded.values())))):
        found.why_not = "so many answers are nearly the same that even equal ones say nothing"
    return found


def limits(differences: Sequence[float]) -> tuple[float, float]:
    """Return the middle of logarithms of differences, and the bar below which chance explains none.

    The spread is the larger of two estimates that a few copies do not move: by the middle half of the pairs, and by the lowest
    tenth, which is far down where the class has several ways to an answer.
    """
    middle = statistics.median(differences)
    ordered = sorted(differences)
    by_half = 1.4826 * statistics.median(abs(difference - middle) for difference in differences)
    by_tenth = (middle - ordered[len(ordered) // 10]) / _TENTH
    away = statistics.NormalDist().inv_cdf(1 - CHANCE / len(differences))
    return middle, middle - away * max(by_half, by_tenth, _LEAST_SPREAD)


def _tokens(graded: Graded) -> list[str]:
    return normal_form.of_exercise(graded.exercise, graded.texts)


def side_by_side(one: Graded, other: Graded) -> list[tuple[list, list]]:
    """Return, for each answer that both have, the lines of both as (text, whether the other has it too)."""
    return [(_lines(one.texts[name], other.texts[name]), _lines(other.texts[name], one.texts[name]))
            for name in one.exercise.answers if name in one.texts and name in other.texts]  # fmt: skip


def _lines(text: str, other: str) -> list[tuple[str, bool]]:
    known = {tokens for _, tokens in normal_form.lines(other)}
    return [
        (line, tokens in known and len(tokens) >= _TELLING and tokens[0] != "def") for line, tokens in normal_form.lines(text)
    ]
