"""What a gradebook is made of: rows, one a student, and in them one entry an exercise."""

from dataclasses import dataclass, field

from course_lib.checks import PartResult
from exercises.grading import scoring
from exercises.grading.overrides import Override
from exercises.grading.submissions import Notebook, Student


@dataclass
class Graded:
    """One exercise of one student."""

    exercise: object
    parts: tuple[PartResult, ...]
    texts: dict[str, str] = field(default_factory=dict)
    file: str = ""
    problem: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)  # (kind, words): what a person should look at
    notebook: Notebook | None = None  # the one that counts
    override: Override | None = None
    seconds: float | None = None  # that its answers ran

    @property
    def checked(self) -> int:
        """The points that the checks gave."""
        return sum(part.points for part in self.parts)

    @property
    def points(self) -> int | float:
        return self.override.points if self.override else self.checked

    @property
    def handed_in(self) -> bool:
        return bool(self.file) or any(part.status != "missing" for part in self.parts)

    @property
    def counts(self) -> bool:
        """Whether there is a mark to tell: for something handed in, or by hand."""
        return self.handed_in or self.override is not None

    @property
    def named(self):
        return self.notebook and self.notebook.named

    @property
    def late(self) -> bool:
        return bool(self.named and self.named.late)


@dataclass
class Row:
    """One student, and all exercises in their order."""

    student: Student
    graded: list[Graded]

    @property
    def points(self) -> int | float:
        return sum(graded.points for graded in self.graded)

    @property
    def possible(self) -> int:
        return sum(graded.exercise.points for graded in self.graded)


def not_handed_in(exercise) -> Graded:
    """Return what becomes of an exercise of which there is nothing."""
    parts = scoring.all_of(exercise, "missing")
    return Graded(exercise, parts, problem="Not handed in.", notes=[("missing", "not handed in")])
