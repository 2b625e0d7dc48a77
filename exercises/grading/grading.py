"""A class: which jobs there are, what is known already, and the marks of everyone at the end."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from course_lib import checks
from course_lib.checks import PartResult
from exercises.grading import answers, cache, control_group, dispatch, library, scoring, second_chance
from exercises.grading.answers import ExtractedAnswers
from exercises.grading.rows import Graded, Row, not_handed_in
from exercises.grading.sandbox import Limits
from exercises.grading.submissions import File, Notebook, Student

__all__ = ["Graded", "GradingOptions", "Row", "grade"]


@dataclass(frozen=True)
class GradingOptions:
    """The seed of the inputs, the limits, and where submissions run.

    require: rather raise NoChildError than run without bubblewrap; sandboxed: take no earlier results from without it;
    exercises: those that are graded; everybody: whether these are all students, so that what is of no use to them can go.
    """

    seed: int
    limits: Limits
    jobs: int
    address: str | None = None
    avoid: tuple[str, ...] = ()
    require: bool = True
    sandboxed: bool = True
    exercises: tuple = checks.EXERCISES
    everybody: bool = True


@dataclass
class Attempt:
    """The notebook of one student for one exercise that counts, what of it is to run, and what came of that."""

    notebook: Notebook
    others: list[str]  # the files of earlier attempts, which do not count
    found: ExtractedAnswers | None = None  # None if the file can't be read
    job: dict | None = None  # for the child; None if there is nothing to run
    key: str = ""  # of the job in the cache
    entry: dict | None = None  # {"isolation": …, "observation": {part: …}, "seconds": …}, once the job has run

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
                observation = results[attempt.job["name"]]
                seconds = cost.add(attempt.job, observation)
                entry = {"isolation": isolation, "observation": observation, "seconds": seconds}
                _enter(same[attempt.key], entry)
                store.put(attempt.key, entry)
            progress(done, len(jobs))
    if jobs:
        print(f"grading: {cost}", file=sys.stderr)
        if not (options.address or control_group.is_available()):
            print("grading: no control group can be made here, so the limit on memory is for each process", file=sys.stderr)
    if options.everybody:
        store.prune(set(same))
    rows = [_row(student, own, options) for student, own in zip(students, attempts, strict=True)]
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
        return not_handed_in(exercise)
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
    graded.seconds = attempt.entry.get("seconds") if attempt.entry else None
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
