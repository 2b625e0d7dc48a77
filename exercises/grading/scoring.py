"""From observations to marks: the judge, and what is kept of its report."""

import re
import threading
from dataclasses import replace

from course_lib import checks
from course_lib.checks import PartResult

NEEDS_A_LOOK = ("forged", "timeout", "oom", "crash", "output", "invalid", "cells")
_FORGED = "What came back is not from the process that tried this answer, so it was not taken. A person has to look at it."
_FORGED_STATUS = {"status": "forged"}
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_NO_MEMORY = re.compile(r"^MemoryError\b|can't allocate memory|bad_alloc|Cannot allocate memory")
_lock = threading.Lock()  # the judge runs our own answers, with torch's global state put aside


def judge(exercise, observations: dict, seed: int) -> tuple[PartResult, ...]:
    """The results of all parts. observations: {part: anything}; a part without one is missing."""
    known = {part.name: _plain(observations.get(part.name, {"status": "missing"})) for part in exercise.parts}
    with _lock:
        parts = exercise.judge(known, seed).parts
    return tuple(_told(part) if known[part.name] == _FORGED_STATUS else part for part in parts)


def judge_again(exercise, observations: dict, seed: int) -> dict[str, PartResult]:
    """The results, by name, of the parts that were tried once more without the cells before them."""
    found = {name: observation["alone"] for name, observation in observations.items() if "alone" in observation}
    return {part.name: part for part in judge(exercise, found, seed) if part.name in found} if found else {}


def all_of(exercise, status: str) -> tuple[PartResult, ...]:
    """The results for an exercise of which nothing could be observed: "missing" or "invalid" in every part."""
    return judge(exercise, {part.name: {"status": status} for part in exercise.parts}, checks.SEED)


def _told(part: PartResult) -> PartResult:
    return replace(part, status="forged", message=_FORGED)


def _plain(observation):
    """Without what differs from run to run, and with a want of memory by its name."""
    error = observation.get("error") if isinstance(observation, dict) else None
    if not isinstance(error, dict):
        return observation
    error = {key: _ADDRESS.sub("0x…", value) if isinstance(value, str) else value for key, value in error.items()}
    if observation.get("status") == "raised" and _NO_MEMORY.search(f"{error.get('type')}: {error.get('message')}"[:600]):
        return {"status": "oom"}
    return {**observation, "error": error}
