"""Answers for which the cells before them run as well: what is tried next if those fail, what is said of it, what it costs.

An answer must not lose its marks to a cell that reads a file of the learner's or trains for an hour. So where the cells before
it end with an error, or end the process, it is tried once more with only what it needs of them.
"""

from course_lib.checks import PartResult

_ENDED = ("timeout", "oom", "crash", "output", "invalid")


def observe(child, job: dict) -> dict[str, dict]:
    """Return what `child.observe` does; an observation also holds "took", its seconds, and "alone" where it was tried again."""
    results = child.observe(job)
    took = dict(child.took)
    again = [{**e, "alone": True, "parts": _failed(e, results[e["name"]])} for e in job["exercises"]]
    again = [exercise for exercise in again if exercise["parts"]]
    for name, parts in (child.observe({**job, "exercises": again}) if again else {}).items():
        for part, observation in parts.items():
            results[name][part]["alone"] = observation
            took[name, part] = took.get((name, part), 0) + child.took.get((name, part), 0)
    for (name, part), seconds in took.items():
        if results[name][part] != {"status": "forged"}:
            results[name][part]["took"] = seconds
    return results


def with_cells_before(exercise: dict) -> set[str]:
    """The parts of a job's exercise for which the cells before an answer run."""
    return {
        part
        for part, names in exercise["asked"].items()
        if any(exercise["needed"][name]["before"] is not None for name in names if name in exercise["needed"])
    }


def _failed(exercise: dict, found: dict[str, dict]) -> list[str]:
    risky = with_cells_before(exercise)
    return [part for part in exercise["parts"] if part in risky and _why(found[part])]


def _why(observation: dict) -> str:
    """What became of the cells before an answer, in words; nothing if they ran to their end."""
    if observation.get("status") in _ENDED:
        return f"they, or the answer, ended with: {observation['status']}"
    said = observation.get("before")
    return said[:200] if isinstance(said, str) else ""


def choose(whole: PartResult, alone: PartResult | None) -> PartResult:
    """The better of the two results of a part."""
    better = alone is not None and (alone.status == "forged" or (alone.passed and whole.status != "forged"))
    return alone if better and not whole.passed else whole


def note(part: PartResult, observation: dict, whole: PartResult) -> tuple[str, str] | None:
    """(kind, words) for a person to look at, if the cells before an answer could not run and it matters."""
    if "alone" not in observation or whole.passed:
        return None
    outcome = "it is right" if part.passed else "it got no marks"
    return "cells", (
        f"{part.title}: the cells before the answer did not run to their end ({_why(observation)}). "
        f"With only what it needs of them, {outcome}"
    )


class Cost:
    """What running cells before answers took of a run."""

    def __init__(self):
        self.seconds = self.extra = 0.0
        self.parts = 0

    def add(self, exercise: dict, found: dict[str, dict]) -> float | None:
        """Count the observations of an exercise of a job, take out of them how long they took, and return that, if known."""
        risky, before, known = with_cells_before(exercise), self.seconds, any("took" in one for one in found.values())
        for part, observation in found.items():
            took = observation.pop("took", 0.0)
            self.seconds += took
            if part in risky:
                self.parts, self.extra = self.parts + 1, self.extra + took
        return round(self.seconds - before, 3) if known else None

    def __str__(self) -> str:
        what = f"cells before answers were run for {self.parts} part{'s' * (self.parts != 1)}"
        return f"{what}: {self.extra / max(self.seconds, 1e-9):.0%} of the time that answers took"
