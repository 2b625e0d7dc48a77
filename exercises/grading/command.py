"""The command line."""

import argparse
import sys
import time
from pathlib import Path

from course_lib import checks
from exercises.grading import (
    cache,
    dispatch,
    gradebook,
    grading,
    lms,
    output,
    overrides,
    pages,
    roster,
    running,
    sandbox,
    submissions,
)
from exercises.grading.lms.base import RosterError

_SEED = 20_260
_HIGHEST_SEED = 2**32 - 2  # exercise 7 hands answers this one and the next, and NumPy takes none from 2**32 on

_AT_STAKE = """
What students wrote would run as a program of yours: it could read and change your files, other students' submissions and
their marks, and on some machines use the network. Install bubblewrap (README.md, "For instructors"); or, if you trust all who
handed in or this machine holds nothing of worth, add --without-sandbox."""


def main(arguments: list[str] | None = None) -> int:
    """Grade, and return 0; 1 if there is nothing to grade or to grade with, 130 if it was interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    problem = _problem(options)
    if problem:
        parser.error(problem)
    say = _Progress()
    try:
        return _grade(options, say)
    except (submissions.NothingThereError, running.NoChildError, RosterError, overrides.OverrideError, OSError) as problem:
        print(f"grading: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ngrading: interrupted. What is done is kept; the same command goes on from there.", file=sys.stderr)
        return 130


def _grade(options, say: "_Progress") -> int:
    sandboxed = "bubblewrap" not in options.avoid and sandbox.bubblewrap() is not None
    if not sandboxed and not options.dask:
        _accept_no_sandbox(options)
    limits = sandbox.Limits(timeout=options.timeout, memory=options.memory * 2**20)
    known = roster.read(options.roster)
    found = submissions.collect(options.submissions, known)
    settings = grading.GradingOptions(
        options.seed,
        limits,
        options.jobs,
        options.dask,
        tuple(options.avoid),
        require=not options.without_sandbox,
        sandboxed=sandboxed or not options.without_sandbox,
        exercises=_exercises(options.only),
    )
    hidden = options.out / ".grading"
    files = output.Output(options.out)
    rows, isolations = grading.grade(found.students, settings, cache.Observations(hidden / "observations"), say)
    lost = overrides.apply(rows, options.out / overrides.NAME)
    names, feedback = pages.file_names(rows), [pages.feedback(row) for row in rows]
    files.write("grades.csv", gradebook.marks(rows))
    if options.nbgrader:
        files.write("grades_nbgrader.csv", gradebook.nbgrader(rows))
    for name, page in zip(names, feedback, strict=True):
        files.write(f"feedback/{name}", page)
    for name, content in gradebook.uploads(rows, known.tables, feedback, options.lms).items():
        files.write(f"upload/{name}", content)
    files.write("report.html", pages.report(rows, names, isolations, options.seed, found.unclaimed, lost))
    files.finish()
    for name in files.put_aside:
        print(f"grading: a file that was changed by hand is kept as {options.out / name}; a mark in {overrides.NAME} stays")
    for words in lost:
        print(f"grading: {words}", file=sys.stderr)
    look = len(pages.to_look_at(rows, names)) + len(found.unclaimed) + len(lost)
    print(f"students graded: {len(rows)}; things to look at: {look}; read {options.out / 'report.html'}")
    return 0


def _accept_no_sandbox(options) -> None:
    """Warn that there is no bubblewrap if that was accepted, else raise NoChildError with what is at stake."""
    why = "bubblewrap is to be avoided" if "bubblewrap" in options.avoid else sandbox.why_unavailable()
    if not options.without_sandbox:
        raise running.NoChildError(f"{why}, and without it there is no sandbox. {_AT_STAKE}")
    print(f"grading: WARNING: {why}. Submissions run without a sandbox; see the report.", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exercises.grading", description="Grade a folder or zip of submissions.")
    parser.add_argument("submissions", metavar="SUBMISSIONS", type=Path, help="a folder, or a zip, as the LMS gives it")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where marks, feedback and report go")
    parser.add_argument("--seed", type=int, default=_SEED, help="of the inputs; not 0, which the notebooks use (%(default)s)")
    parser.add_argument("--jobs", type=int, default=dispatch.cores(), help="how many submissions at a time (%(default)s)")
    parser.add_argument("--timeout", type=float, default=12.0, metavar="S", help="seconds for an exercise (%(default)s)")
    parser.add_argument(
        "--memory", type=int, default=1024, metavar="MB", help="for an exercise, beyond what torch takes (%(default)s)"
    )
    parser.add_argument("--dask", metavar="ADDRESS", help="of the scheduler of a Dask cluster that is to run the submissions")
    parser.add_argument("--without-sandbox", action="store_true", help="run submissions even where bubblewrap does not work")
    parser.add_argument(
        "--roster", action="append", default=[], metavar="CSV", type=Path, help="a list of the course, as the LMS exports it"
    )
    parser.add_argument(
        "--only", "--exercise", action="append", default=[], metavar="NN", help="grade this exercise, and no other column"
    )
    parser.add_argument(
        "--lms",
        action="append",
        default=[],
        choices=[form.NAME.lower() for form in lms.FORMATS],
        help="write what this one imports",
    )
    parser.add_argument("--nbgrader", action="store_true", help="also write grades_nbgrader.csv, in the columns of nbgrader")
    parser.add_argument("--avoid", action="append", default=[], choices=("bubblewrap", "namespaces"), help=argparse.SUPPRESS)
    return parser


def _problem(options) -> str | None:
    if options.seed < 1:
        return f"--seed must be at least 1, got {options.seed}: with 0, learners know the inputs from their notebooks"
    if options.seed > _HIGHEST_SEED:
        return f"--seed must be at most {_HIGHEST_SEED}, got {options.seed}: more is no seed for NumPy"
    for name, least in (("jobs", 1), ("timeout", 0.5), ("memory", 64)):
        if not least <= getattr(options, name) < 10**7:
            return f"--{name} must be at least {least}, got {getattr(options, name)}"
    unknown = [name for name in options.only if not _named(name)]
    if unknown:
        return f"--only must be the number or the name of an exercise, as 04 or schedule, got {unknown[0]}"
    if options.out.exists() and not options.out.is_dir():
        return f"--out must be a folder, but {options.out} is a file"
    source, out = options.submissions.resolve(), options.out.resolve()
    if source.is_dir() and out.is_relative_to(source):
        return f"--out must lie outside of SUBMISSIONS, got {options.out}"
    return None


def _named(name: str):
    """Return the exercise of this number or name, or None."""
    number = int(name) if name.isdecimal() else -1
    return next((e for e in checks.EXERCISES if name.lower() in (e.stem, e.name) or number == e.number), None)


def _exercises(names: list[str]) -> tuple:
    """Return the exercises that are graded, in the order of the course: all, unless some are named."""
    wanted = {_named(name) for name in names}
    return tuple(exercise for exercise in checks.EXERCISES if not wanted or exercise in wanted)


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
