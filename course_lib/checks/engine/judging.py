"""Reading an observation that came from elsewhere, and comparing it with one of our own. It trusts nothing that it reads."""

import math
from dataclasses import dataclass

from course_lib.checks.engine.comparing import describe_difference, is_alike
from course_lib.checks.engine.observing import Observed, Unusable
from course_lib.checks.engine.records import MAX_TEXT, Record, read


@dataclass(frozen=True)
class Expected:
    """An observation of our own answers, right or wrong; of wrong ones also what is wrong with it."""

    observed: Observed
    records: list[Record]
    differences: dict[int, tuple[str, str]]


@dataclass(frozen=True)
class Received:
    """An observation that came from elsewhere, as far as it is well formed."""

    status: str
    items: list[tuple[str, Record]]
    error: dict
    printed: int


def as_received(observed: Observed, records: list[Record]) -> Received:
    """Return our own observation as if it had come from elsewhere."""
    return Received(
        observed.status, [(item.label, record) for item, record in zip(observed.items, records, strict=True)], {}, 0
    )


NOTHING_TO_COMPARE = {
    "unanswered": "Not answered yet. Still to write: {}.",
    "missing": "Not answered yet. There is no {}.",
    "oom": "It needed more memory than there is, and was stopped.",
    "crash": "It ended the process that it ran in.",
    "output": "It wrote more output than is allowed, and was stopped.",
    "invalid": "What came back could not be read.",
}


def read_observation(raw) -> Received | None:
    """Return the observation that `raw` holds, or None if it is not one: raw may come from anywhere and be anything."""
    if not isinstance(raw, dict) or not isinstance(raw.get("status"), str):
        return None
    status, printed = raw["status"], raw.get("printed", 0)
    if type(printed) is not int or not 0 <= printed < 2**62:
        return None
    if status in NOTHING_TO_COMPARE or (status == "timeout" and "items" not in raw):
        return Received(status, [], _error_of({}), printed)
    items, error = raw.get("items"), raw.get("error") or {}
    if status not in ("observed", "raised", "timeout") or not isinstance(items, list) or len(items) > 1000:
        return None
    pairs = [(item.get("label"), read(item.get("value"))) for item in items if isinstance(item, dict)]
    if len(pairs) != len(items) or not isinstance(error, dict):
        return None
    if any(value is None or not isinstance(label, str) or len(label) > MAX_TEXT for label, value in pairs):
        return None
    return Received(status, pairs, _error_of(error), printed)


def _error_of(raw: dict) -> dict[str, str]:
    return {name: _words(raw.get(name)) for name in ("type", "message", "line", "code", "during")}


def _words(value) -> str:
    if type(value) is int:
        return str(value) if abs(value) < 10**9 else ""
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def describe_failure(found: Received) -> str:
    """Say what stopped an answer."""
    error = found.error
    if error["type"] == Unusable.__name__:
        return error["message"]
    during = f" ({error['during']})" if error.get("during") else ""
    if found.status == "timeout":
        return f"It did not come to an end in time and was stopped{during}. Is there a loop that never ends?"
    if "leaf Variable that requires grad" in error["message"]:
        return f"It changes its argument in place{during}. The caller still needs that: work on a copy."
    where = f" in line {error['line']}: {error['code']}" if error["code"] else ""
    return f"It raised {error['type']}: {error['message']}{during}{where}"


def find_differences(found: Received, expected: Expected) -> dict[int, tuple[str, str]]:
    """Return what is wrong, by number of the item: a message, and a hint for when nothing more is known."""
    wrong, items = {}, expected.observed.items
    for number, (item, right) in enumerate(zip(items, expected.records, strict=True)):
        label, ours = found.items[number] if number < len(found.items) else (None, None)
        if label == item.label:
            problem = describe_difference(label, ours, item, right)
        else:
            problem = None if found.status != "observed" and label is None else "What came back could not be read."
        if problem:
            wrong[number] = problem, item.hint
    return wrong


ALL = 4  # a resemblance in everything


def measure_resemblance(found: Received, differences: dict, wrong: Expected) -> int:
    """Return how much of what was found is what a known mistake gives: ALL of it down to 0, nothing that counts.

    An answer may hold a second mistake, or a part of one, so less counts as well: 3 for all that is wrong here; 2 for all
    that the mistake gets wrong; 1 for the first thing that is wrong here, which the message speaks of.
    """
    harmless = wrong.observed.status == "observed" and not wrong.differences  # in this part it does what is right
    if harmless or len(found.items) != len(wrong.observed.items):
        return 0
    if _alike_in(found, wrong, None):
        return ALL
    if found.status != "observed" or wrong.observed.status != "observed" or not differences:
        return 0
    here, there, first = set(differences), set(wrong.differences), min(differences)
    if first != min(there):
        return 0
    if here <= there and _alike_in(found, wrong, here):
        return 3
    if there <= here and _alike_in(found, wrong, there):
        return 2
    return int(_tells_something(found.items[first][1]) and _alike_in(found, wrong, {first}, looseness=1))


def _alike_in(found: Received, wrong: Expected, where: set[int] | None, looseness: float = 3) -> bool:
    """Return whether an answer gave what a known mistake gives, in all items or in those of the given numbers."""
    observed = wrong.observed
    if found.status != observed.status:
        return False
    if found.status == "raised" and _kind_of(found.error) != _kind_of(observed.error):
        return False
    rows = enumerate(zip(found.items, observed.items, wrong.records, strict=True))
    chosen = [row for number, row in rows if where is None or number in where]
    return all(label == item.label and is_alike(ours, item, theirs, looseness) for (label, ours), item, theirs in chosen)


def _tells_something(record: Record) -> bool:
    """NaN and None come about in many ways; numbers don't."""
    return bool(record.values) and all(map(math.isfinite, record.values))


def _kind_of(error: dict) -> tuple[str, str]:
    return error["type"], error["message"].removeprefix("float ")  # Python says "division by zero" in two ways
