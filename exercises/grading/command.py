"""The command line."""

import sys
import time
from pathlib import Path

from exercises.grading import (
    anonymous,
    arguments,
    cache,
    chosen,
    grading,
    kept,
    lateness,
    overrides,
    preview,
    roster,
    running,
    sandbox,
    submissions,
    writing,
)
from exercises.grading.lms.base import RosterError

# What ends a run with a message, in the words of the module that knows.
_PROBLEMS = (
    submissions.NothingThereError,
    running.NoChildError,
    RosterError,
    overrides.OverrideError,
    kept.KeptError,
    chosen.NobodyError,
    OSError,
)
# Options that --only takes from the run before.
_LASTING = ("seed", "exercise", "roster", "lms", "nbgrader", "bonus", "due", "late", "anonymous")

_AT_STAKE = """
What students wrote would run as a program of yours: it could read and change your files, other students' submissions and
their marks, and on some machines use the network. Install bubblewrap (README.md, "For instructors"); or, if you trust all who
handed in or this machine holds nothing of worth, add --without-sandbox."""


def main(line: list[str] | None = None) -> int:
    """Grade, and return 0; 1 if there is nothing to grade or to grade with, 130 if it was interrupted."""
    options = arguments.parse(line)
    try:
        if options.preview:
            preview.show(options.preview, _settings(options, options.seed or arguments.SEED))
        else:
            _grade(options)
        return 0
    except _PROBLEMS as problem:
        print(f"grading: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ngrading: interrupted. What is done is kept; the same command goes on from there.", file=sys.stderr)
        return 130


def _settings(options, seed: int, exercises: tuple = (), everybody: bool = True) -> grading.GradingOptions:
    """Return how answers are to run. Raises NoChildError without a sandbox, unless that was accepted."""
    sandboxed = "bubblewrap" not in options.avoid and sandbox.bubblewrap() is not None
    if not sandboxed and not options.dask:
        _accept_no_sandbox(options)
    return grading.GradingOptions(
        seed,
        sandbox.Limits(timeout=options.timeout, memory=options.memory * 2**20),
        options.jobs,
        options.dask,
        tuple(options.avoid),
        require=not options.without_sandbox,
        sandboxed=sandboxed or not options.without_sandbox,
        exercises=exercises,
        everybody=everybody,
    )


def _grade(options) -> None:
    before = kept.load(options.out) if options.only else None
    lasting = _lasting(options, before)
    exercises = arguments.exercises(options.exercise or lasting["exercise"])
    settings = _settings(options, lasting["seed"], exercises, not before)
    overrides.check(options.out / overrides.NAME, exercises)
    known = roster.read(map(Path, lasting["roster"]))
    found = submissions.collect(options.submissions, known)
    students = _chosen(found.students, options.only, lasting) if before else found.students
    store = cache.Observations(options.out / ".grading" / "observations")
    rows, isolations = grading.grade(students, settings, store, _Progress())
    for row in rows:
        for graded in row.graded:
            graded.when = lateness.submitted(row.student, graded)
    book = kept.Gradebook(rows, isolations, found.unclaimed, lasting)
    if before:
        kept.join_people(before, found.students)
        book = kept.merge(before, book)
    written = writing.write(options.out, book, known)
    for name in written.put_aside:
        print(f"grading: a file that was changed by hand is kept as {options.out / name}; a mark in {overrides.NAME} stays")
    for words in written.said:
        print(f"grading: {words}", file=sys.stderr)
    print(f"students graded: {len(book.rows)}; things to look at: {written.look}; read {options.out / 'report.html'}")


def _chosen(students: list, names: list[str], lasting: dict) -> list:
    known = anonymous.pseudonyms(students, lasting["seed"]) if lasting["anonymous"] else {}
    return chosen.choose(students, names, known)


def _lasting(options, before: kept.Gradebook | None) -> dict:
    """Return the options that hold for the whole gradebook: with --only those of the run before. Raises KeptError."""
    now = {name: getattr(options, name) for name in _LASTING}
    now["roster"] = [str(path.resolve()) for path in options.roster]
    if before is None:
        return now | {"seed": options.seed or arguments.SEED}
    lasting = before.settings | {name: value for name, value in now.items() if value and name != "exercise"}
    if lasting["seed"] != before.settings["seed"]:
        raise kept.KeptError(f"--seed must be {before.settings['seed']} with --only, as in the run before; got {options.seed}")
    absent = [e.stem for e in arguments.exercises(options.exercise) if options.exercise and e not in before.exercises]
    if absent:
        raise kept.KeptError(f"--exercise {absent[0]} has no column in the gradebook; run once without --only")
    return lasting


def _accept_no_sandbox(options) -> None:
    """Warn that there is no bubblewrap if that was accepted, else raise NoChildError with what is at stake."""
    why = "bubblewrap is to be avoided" if "bubblewrap" in options.avoid else sandbox.why_unavailable()
    if not options.without_sandbox:
        raise running.NoChildError(f"{why}, and without it there is no sandbox. {_AT_STAKE}")
    print(f"grading: WARNING: {why}. Submissions run without a sandbox; see the report.", file=sys.stderr)


class _Progress:
    """A line on the terminal that says how far it is and how long it will take."""

    def __init__(self):
        self.first = self.shown = -1e9

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self.first = now if done == 1 else self.first
        if not total:
            print("grading: nothing has changed since the last run; marks and pages are written again", file=sys.stderr)
        elif not done:
            print(f"grading: {total} submission{'s' if total > 1 else ''} to run", file=sys.stderr)
        elif done == total or now - self.shown >= (1 if sys.stderr.isatty() else 30):
            self.shown = now
            line = f"grading: {done} of {total}"
            if 1 < done < total:  # the first has waited for torch
                left = (now - self.first) / (done - 1) * (total - done)
                line += f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"
            print(f"\r{line:<60}", end="\n" if done == total or not sys.stderr.isatty() else "", file=sys.stderr, flush=True)
