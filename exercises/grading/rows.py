"""What a gradebook is made of: rows, one a student, and in them one entry an exercise."""

from dataclasses import dataclass, field

from course_lib.checks import PartResult
from exercises.grading import scoring
from exercises.grading.overrides import Override
from exercises.grading.submissions import Notebook, Student


@dataclass(frozen=True)
class Late:
    """By how much something came late, what that costs, and by which rule; all but the points in words."""

    told: str
    taken: float = 0
    rule: str = ""


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
    bonus: bool = False  # its points are added, and not among those that can be had
    when: str = ""  # it came, as ISO 8601, if the LMS says so
    late_by: Late | None = None

    @property
    def checked(self) -> int:
        """The points that the checks gave."""
        return sum(part.points for part in self.parts)

    @property
    def points(self) -> int | float:
        """The points that count: those given by hand, or those of the checks without what lateness costs."""
        return self.override.points if self.override else whole(self.checked - self.taken)

    @property
    def taken(self) -> int | float:
        """What is taken off for lateness. A mark by hand stands as it was given."""
        return whole(self.late_by.taken) if self.late_by and not self.override else 0

    @property
    def possible(self) -> int:
        return 0 if self.bonus else self.exercise.points

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
        return bool(self.late_by or (self.named and self.named.late))


@dataclass
class Row:
    """One student, and all exercises in their order."""

    student: Student
    graded: list[Graded]

    @property
    def points(self) -> int | float:
        return whole(sum(graded.points for graded in self.graded))

    @property
    def possible(self) -> int:
        return sum(graded.possible for graded in self.graded)


def whole(points: float) -> int | float:
    """Return points to the hundredth, as an integer where they are one."""
    points = round(points, 2)
    return int(points) if points == int(points) else points


def set_bonus(rows: list[Row], exercises: tuple) -> None:
    """Make these exercises a bonus."""
    for row in rows:
        for graded in row.graded:
            graded.bonus = graded.exercise in exercises


def not_handed_in(exercise) -> Graded:
    """Return what becomes of an exercise of which there is nothing."""
    parts = scoring.all_of(exercise, "missing")
    return Graded(exercise, parts, problem="Not handed in.", notes=[("missing", "not handed in")])
