"""A class: which jobs there are, what is known already, and the marks of everyone at the end."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from course_lib import checks
from course_lib.checks import PartResult
from exercises.grading import answers, kept, scoring, spread
from exercises.grading.sandbox import Limits
from exercises.grading.submissions import Student


@dataclass
class Graded:
    """One exercise of one student."""

    exercise: object
    parts: tuple[PartResult, ...]
    texts: dict[str, str] = field(default_factory=dict)
    file: str = ""
    problem: str = ""
    notes: list[tuple[str, str]] = field(default_factory=list)  # (kind, words): what a person should look at

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)


@dataclass
class Row:
    """One student, and all exercises in their order."""

    student: Student
    graded: list[Graded]

    @property
    def points(self) -> int:
        return sum(graded.points for graded in self.graded)


@dataclass(frozen=True)
class How:
    """How to run and judge: the seed of the inputs, the limits, where."""

    seed: int
    limits: Limits
    jobs: int
    address: str | None = None
    avoid: tuple[str, ...] = ()
    require: bool = False
    sandboxed: bool = True


def grade(students: list[Student], how: How, store: kept.Observations, progress: Callable[[int, int], None]):
    """(rows, isolations): the marks of all students, and how what they wrote was isolated when it ran.

    Observations are kept as they come, so an interrupt loses only those under way.
    """
    versions = kept.versions()
    plans = {id(notebook): _plan(notebook) for notebook in _counting(students)}
    keys = {number: kept.key_of(plan[1], how.seed, how.limits, versions) for number, plan in plans.items() if plan[1]}
    known = {key: found for key in keys.values() if (found := _usable(store.get(key), how))}
    jobs, contents = _jobs(students, plans, keys, known, how)
    progress(0, len(jobs))
    with contextlib.closing(spread.over(jobs, how.jobs, how.address)) as finished:
        for done, (number, (results, isolation)) in enumerate(finished, 1):
            for key, exercise in contents[number]:
                known[key] = {"isolation": isolation, "observation": results[exercise]}
                store.put(key, known[key])
            progress(done, len(jobs))
    store.forget_others(set(keys.values()))
    rows = [_row(student, plans, keys, known, how.seed) for student in students]
    _note_copies(rows)
    return rows, sorted({known[key]["isolation"] for key in keys.values()})


def _counting(students: Iterable[Student]):
    """The notebooks that count: the last attempt at each exercise."""
    return [attempts[-1] for student in students for attempts in student.notebooks.values() if not attempts[-1].file.problem]


def _plan(notebook):
    """What was found in a notebook, and the job for its exercise; None if there is nothing to run."""
    exercise = notebook.exercise
    found = answers.find(notebook.file.code, exercise)
    parts = [part.name for part in exercise.parts if set(part.answers) & set(found.texts)]
    job = {
        "name": exercise.name,
        "parts": parts,
        "of": len(exercise.parts),
        "pieces": found.pieces,
        "broken": found.broken,
        "answers": [name for name in exercise.answers if name in found.texts],
    }
    return (found, job) if parts else (found, None)


def _usable(entry: dict | None, how: How) -> dict | None:
    whole = isinstance(entry, dict) and isinstance(entry.get("observation"), dict) and isinstance(entry.get("isolation"), str)
    return entry if whole and (entry["isolation"] == "bubblewrap" or not how.sandboxed) else None


def _jobs(students, plans, keys, known, how: How):
    """The arguments for `running.observe`, a job a student, and for each job the (key, exercise) that it answers.

    Answers that were handed in twice run once.
    """
    jobs, contents, taken = [], [], set(known)
    for student in students:
        chosen = {}
        for name in sorted(student.notebooks, key=[exercise.name for exercise in checks.EXERCISES].index):
            number = id(student.notebooks[name][-1])
            if number in keys and plans[number][1] and keys[number] not in taken:
                chosen[keys[number]] = plans[number][1]
        taken |= set(chosen)
        if chosen:
            jobs.append(({"seed": how.seed, "exercises": list(chosen.values())}, how.limits, how.avoid, how.require))
            contents.append([(key, job["name"]) for key, job in chosen.items()])
    return jobs, contents


def _row(student: Student, plans, keys, known, seed: int) -> Row:
    return Row(student, [_graded(student, exercise, plans, keys, known, seed) for exercise in checks.EXERCISES])


def _graded(student: Student, exercise, plans, keys, known, seed: int) -> Graded:
    attempts = student.notebooks.get(exercise.name, [])
    if not attempts:
        parts = scoring.all_of(exercise, "missing")
        return Graded(exercise, parts, problem="Not handed in.", notes=[("missing", "not handed in")])
    notebook = attempts[-1]
    graded = Graded(exercise, (), file=notebook.file.path, problem=notebook.file.problem)
    if len(attempts) > 1:
        others = ", ".join(attempt.file.path for attempt in attempts[:-1])
        graded.notes.append(("duplicate", f"{notebook.file.path} was graded; also handed in: {others}"))
    if graded.problem:
        graded.parts = scoring.all_of(exercise, "invalid")
        graded.notes.append(("invalid", f"{graded.file}: {graded.problem}"))
        return graded
    found, job = plans[id(notebook)]
    observations = known[keys[id(notebook)]]["observation"] if job else {}
    graded.parts, graded.texts = scoring.judge(exercise, observations, seed), found.texts
    graded.notes += _notes(found, graded.parts)
    return graded


def _notes(found: answers.Found, parts: tuple[PartResult, ...]) -> list[tuple[str, str]]:
    notes = [(part.status, f"{part.title}: {part.message}") for part in parts if part.status in scoring.NEEDS_A_LOOK]
    absent = [part.title for part in parts if part.status == "missing"]
    if absent:
        notes.append(("missing", f"no answer to be found for: {', '.join(absent)}"))
    notes += [("duplicate", f"{name} is answered more than once; the last was graded") for name in found.repeated]
    notes += [("library", f"the answer uses {name}, which holds the answer") for name in found.library]
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
