"""A class: which jobs there are, what is known already, and the marks of everyone at the end."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from course_lib import checks
from course_lib.checks import PartResult
from exercises.grading import answers, cache, control_group, dispatch, library, scoring, second_chance
from exercises.grading.answers import ExtractedAnswers
from exercises.grading.overrides import Override
from exercises.grading.sandbox import Limits
from exercises.grading.submissions import File, Notebook, Student


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


@dataclass(frozen=True)
class GradingOptions:
    """The seed of the inputs, the limits, and where submissions run.

    require: rather raise NoChildError than run without bubblewrap; sandboxed: take no earlier results from without it;
    exercises: those that are graded.
    """

    seed: int
    limits: Limits
    jobs: int
    address: str | None = None
    avoid: tuple[str, ...] = ()
    require: bool = True
    sandboxed: bool = True
    exercises: tuple = checks.EXERCISES


@dataclass
class Attempt:
    """The notebook of one student for one exercise that counts, what of it is to run, and what came of that."""

    notebook: Notebook
    others: list[str]  # the files of earlier attempts, which do not count
    found: ExtractedAnswers | None = None  # None if the file can't be read
    job: dict | None = None  # for the child; None if there is nothing to run
    key: str = ""  # of the job in the cache
    entry: dict | None = None  # {"isolation": …, "observation": {part: …}}, once the job has run

    @property
    def file(self) -> File:
        return self.notebook.file


def grade(students: list[Student], options: GradingOptions, store: cache.Observations, progress: Callable[[int, int], None]):
    """(rows, isolations): the marks of all students, and how what they wrote was isolated when it ran.

    Observations are kept as they come, so an interrupt loses only those under way.
    """
    versions = cache.versions()
    attempts = [_attempts(student, options, versions) for student in students]
    same: dict[str, list[Attempt]] = {}  # answers that were handed in several times run once
    for attempt in chain.from_iterable(own.values() for own in attempts):
        if attempt.job:
            same.setdefault(attempt.key, []).append(attempt)
    for key, group in same.items():
        _enter(group, _usable(store.get(key), options))
    batches = _batches(attempts)
    jobs = [_arguments(batch, options) for batch in batches]
    progress(0, len(jobs))
    cost = second_chance.Cost()
    with contextlib.closing(dispatch.run(jobs, options.jobs, options.address)) as finished:
        for done, (number, (results, isolation)) in enumerate(finished, 1):
            for attempt in batches[number]:
                entry = {"isolation": isolation, "observation": results[attempt.job["name"]]}
                cost.add(attempt.job, entry["observation"])
                _enter(same[attempt.key], entry)
                store.put(attempt.key, entry)
            progress(done, len(jobs))
    if jobs:
        print(f"grading: {cost}", file=sys.stderr)
        if not (options.address or control_group.is_available()):
            print("grading: no control group can be made here, so the limit on memory is for each process", file=sys.stderr)
    store.prune(set(same))
    rows = [_row(student, own, options) for student, own in zip(students, attempts, strict=True)]
    _note_copies(rows)
    return rows, sorted({group[0].entry["isolation"] for group in same.values()})


def _attempts(student: Student, options: GradingOptions, versions: str) -> dict[str, Attempt]:
    """The last attempt at each exercise that was handed in, by the name of the exercise, in the order of the course."""
    attempts = {}
    for exercise in options.exercises:
        if exercise.name in student.notebooks:
            *others, last = student.notebooks[exercise.name]
            attempts[exercise.name] = attempt = Attempt(last, [notebook.file.path for notebook in others])
            if not last.file.problem:
                attempt.found = answers.find(last.file.code, exercise)
                attempt.job = _job(exercise, attempt.found)
            if attempt.job:
                attempt.key = cache.key_of(attempt.job, options.seed, options.limits, versions)
    return attempts


def _job(exercise, found: ExtractedAnswers) -> dict | None:
    """The order for the child to try these answers; None if there is nothing to run."""
    parts = [part.name for part in exercise.parts if set(part.answers) & set(found.texts)]
    if not parts:
        return None
    return {
        "name": exercise.name,
        "parts": parts,
        "asked": {part.name: [name for name in part.answers if name in found.texts] for part in exercise.parts},
        "of": len(exercise.parts),
        "pieces": found.pieces,
        "needed": found.needed,
        "broken": found.broken,
        "answers": [name for name in exercise.answers if name in found.texts],
    }


def _usable(entry: dict | None, options: GradingOptions) -> dict | None:
    whole = isinstance(entry, dict) and isinstance(entry.get("observation"), dict) and isinstance(entry.get("isolation"), str)
    return entry if whole and (entry["isolation"] == "bubblewrap" or not options.sandboxed) else None


def _enter(group: list[Attempt], entry: dict | None) -> None:
    for attempt in group:
        attempt.entry = entry


def _batches(attempts: list[dict[str, Attempt]]) -> list[list[Attempt]]:
    """For each student the attempts that have to run, unless they run for a student before."""
    batches, taken = [], set()
    for own in attempts:
        batch = {
            attempt.key: attempt for attempt in own.values() if attempt.job and not attempt.entry and attempt.key not in taken
        }
        taken |= set(batch)
        if batch:
            batches.append(list(batch.values()))
    return batches


def _arguments(batch: list[Attempt], options: GradingOptions) -> tuple:
    """The arguments for `running.observe`."""
    job = {"seed": options.seed, "exercises": [attempt.job for attempt in batch]}
    return job, options.limits, options.avoid, options.require


def _row(student: Student, attempts: dict[str, Attempt], options: GradingOptions) -> Row:
    return Row(student, [_graded(exercise, attempts.get(exercise.name), options.seed) for exercise in options.exercises])


def _graded(exercise, attempt: Attempt | None, seed: int) -> Graded:
    if attempt is None:
        parts = scoring.all_of(exercise, "missing")
        return Graded(exercise, parts, problem="Not handed in.", notes=[("missing", "not handed in")])
    graded = Graded(exercise, (), file=attempt.file.path, problem=attempt.file.problem, notebook=attempt.notebook)
    if attempt.others:
        more = f" and {len(attempt.others) - 5} more" if len(attempt.others) > 5 else ""
        graded.notes.append(("duplicate", f"{graded.file} was graded; also handed in: {', '.join(attempt.others[:5])}{more}"))
    if attempt.file.remark:
        graded.notes.append(("ending", f"{graded.file}: {attempt.file.remark}"))
    if graded.problem:
        graded.parts = scoring.all_of(exercise, "invalid")
        graded.notes.append(("invalid", f"{graded.file}: {graded.problem}"))
        return graded
    observations = attempt.entry["observation"] if attempt.entry else {}
    whole = scoring.judge(exercise, observations, seed)
    alone = scoring.judge_again(exercise, observations, seed)
    graded.parts = tuple(second_chance.choose(part, alone.get(part.name)) for part in whole)
    graded.texts = attempt.found.texts
    cells = [
        second_chance.note(part, observations.get(part.name, {}), it) for part, it in zip(graded.parts, whole, strict=True)
    ]
    graded.notes += [*_notes(attempt.found, graded.parts), *filter(None, cells)]
    return graded


def _notes(found: ExtractedAnswers, parts: tuple[PartResult, ...]) -> list[tuple[str, str]]:
    notes = [(part.status, f"{part.title}: {part.message}") for part in parts if part.status in scoring.NEEDS_A_LOOK]
    absent = [part.title for part in parts if part.status == "missing"]
    if absent:
        notes.append(("missing", f"no answer to be found for: {', '.join(absent)}"))
    notes += [("duplicate", f"{name} is answered more than once; the last was graded") for name in found.repeated]
    notes += [("library", f"the answer uses {name}, {library.why(name)}") for name in found.library]
    return notes


def _note_copies(rows: list[Row]) -> None:
    """Files that are the same to the last byte, from several students, unless they are as they were given out."""
    same: dict[tuple[str, str], list[tuple[Row, Graded]]] = {}
    for row in rows:
        for graded in row.graded:
            if any(part.status not in ("unanswered", "missing", "invalid") for part in graded.parts):
                fingerprint = row.student.notebooks[graded.exercise.name][-1].file.fingerprint
                same.setdefault((graded.exercise.name, fingerprint), []).append((row, graded))
    for group in same.values():
        if len(group) > 1:
            who = ", ".join(row.student.name for row, _ in group)
            group[0][1].notes.append(("duplicate", f"the same file, to the last byte, from {who}"))
