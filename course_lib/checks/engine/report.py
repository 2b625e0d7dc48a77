"""What a check says: a result for each part, the report of them, and the exception that carries it."""

from dataclasses import asdict, dataclass

_SIGNS = {"passed": "✓", "unanswered": "○", "missing": "○"}
_MUCH = 1000  # characters printed; fewer are not worth a word


@dataclass(frozen=True)
class PartResult:
    """One part: all of its points or none.

    status: "passed", "wrong", "unanswered", "missing", "raised", "timeout", "invalid", or what a grader put in place of
    an observation ("oom", "crash", "output"). mistake: the name of a known mistake, or None.
    """

    name: str
    title: str
    points: int
    max_points: int
    status: str
    message: str = ""
    mistake: str | None = None
    hint: str = ""
    printed: int = 0

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    def __str__(self) -> str:
        lines = [f"{_SIGNS.get(self.status, '✗')} {self.title}: {self.points} of {self.max_points} points"]
        if self.message:
            lines.append(self.message)
        if self.mistake:
            lines.append(f"It behaves like a usual mistake: {self.mistake}.")
        if self.hint:
            lines.append(f"Hint: {self.hint}")
        if self.printed > _MUCH:
            lines.append(f"It printed {self.printed:,} characters while it was checked; they are not shown.")
        return "\n    ".join(lines)


@dataclass(frozen=True)
class Report:
    """The results of the parts of one exercise that were judged. `str()` is what a learner reads."""

    exercise: str
    heading: str
    parts: tuple[PartResult, ...]

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)

    @property
    def max_points(self) -> int:
        return sum(part.max_points for part in self.parts)

    @property
    def passed(self) -> bool:
        return all(part.passed for part in self.parts)

    def __str__(self) -> str:
        return "\n".join([f"{self.heading}: {self.points} of {self.max_points} points", *map(str, self.parts)])

    def to_json(self) -> dict:
        """As plain data, everything above and the sums."""
        parts = [{**asdict(part), "passed": part.passed} for part in self.parts]
        sums = {"points": self.points, "max_points": self.max_points, "passed": self.passed}
        return {"exercise": self.exercise, **sums, "parts": parts}


class CheckFailed(AssertionError):  # noqa: N818 - the outcome of a check, not an error of ours
    """An answer is not right yet. In IPython its traceback is the report alone; `report` holds it as data."""

    def __init__(self, report: Report):
        super().__init__(str(report))
        self.report = report

    def _render_traceback_(self) -> list[str]:  # what IPython asks of an exception before it shows its own traceback
        return str(self.report).split("\n")
