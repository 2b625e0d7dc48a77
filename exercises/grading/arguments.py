"""The command line: what can be said there, and what is wrong with it."""

import argparse
from pathlib import Path

from course_lib import checks
from exercises.grading import dispatch, lateness, lms

SEED = 20_260
HIGHEST_SEED = 2**32 - 2  # exercise 7 hands answers this one and the next, and NumPy takes none from 2**32 on


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; end with a message if one of them is wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.bonus = [name for names in options.bonus for name in names.split(",") if name]
    problem = _problem(options)
    if problem:
        parser.error(problem)
    return options


def named(name: str):
    """Return the exercise of this number or name, or None."""
    number = int(name) if name.isdecimal() else -1
    return next((e for e in checks.EXERCISES if name.lower() in (e.stem, e.name) or number == e.number), None)


def exercises(names: list[str]) -> tuple:
    """Return the exercises of these names, in the order of the course; all of them if there is no name."""
    wanted = {named(name) for name in names}
    return tuple(exercise for exercise in checks.EXERCISES if not wanted or exercise in wanted)


def due_dates(texts: list[str]) -> dict:
    """Return when each exercise was due; one that is named has its own date, all others that without a name."""
    found = dict(map(lateness.due, texts))
    dates = dict.fromkeys(checks.EXERCISES, found[""]) if "" in found else {}
    return dates | {named(name): when for name, when in found.items() if name}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exercises.grading", description="Grade a folder or zip of submissions.")
    add = parser.add_argument
    add("submissions", metavar="SUBMISSIONS", type=Path, nargs="?", help="a folder, or a zip, as the LMS gives it")
    add("--out", metavar="DIR", type=Path, help="where marks, feedback and report go")
    add("--seed", type=int, help=f"of the inputs; not 0, which the notebooks use ({SEED})")
    add("--jobs", type=int, default=dispatch.cores(), help="how many submissions at a time (%(default)s)")
    add("--timeout", type=float, default=12.0, metavar="S", help="seconds for an exercise (%(default)s)")
    add("--memory", type=int, default=1024, metavar="MB", help="for an exercise, beyond what torch takes (%(default)s)")
    add("--dask", metavar="ADDRESS", help="of the scheduler of a Dask cluster that is to run the submissions")
    add("--without-sandbox", action="store_true", help="run submissions even where bubblewrap does not work")
    several = {"action": "append", "default": []}
    add("--roster", metavar="CSV", type=Path, help="a list of the course, as the LMS exports it", **several)
    add("--exercise", metavar="NN", help="grade this exercise, and no other column", **several)
    add("--preview", metavar="FILE", type=Path, help="show the marks of one notebook here, and write nothing")
    add("--bonus", metavar="NN[,NN]", help="exercises whose marks are added and whose points do not count", **several)
    add("--due", metavar="[NN=]DATE", help="when it was due, as 2026-12-01T12:00+01:00", **several)
    add("--late", metavar="RULE", default="", help='what lateness costs, as "10%% a day, at most 50%%"')
    add("--only", metavar="STUDENT", help="grade this student again; all other rows stay as they are", **several)
    add("--lms", choices=[form.NAME.lower() for form in lms.FORMATS], help="write what this one imports", **several)
    add("--anonymous", action="store_true", help="pages and tables under pseudonyms; what goes back to the LMS has real names")
    add("--nbgrader", action="store_true", help="also write grades_nbgrader.csv, in the columns of nbgrader")
    add("--avoid", choices=("bubblewrap", "namespaces"), help=argparse.SUPPRESS, **several)
    return parser


def _problem(options) -> str | None:
    if options.seed is not None and options.seed < 1:
        return f"--seed must be at least 1, got {options.seed}: with 0, learners know the inputs from their notebooks"
    if options.seed is not None and options.seed > HIGHEST_SEED:
        return f"--seed must be at most {HIGHEST_SEED}, got {options.seed}: more is no seed for NumPy"
    for name, least in (("jobs", 1), ("timeout", 0.5), ("memory", 64)):
        if not least <= getattr(options, name) < 10**7:
            return f"--{name} must be at least {least}, got {getattr(options, name)}"
    for option in ("exercise", "bonus"):
        unknown = [name for name in getattr(options, option) if not named(name)]
        if unknown:
            return f"--{option} must be the number or the name of an exercise, as 04 or schedule, got {unknown[0]}"
    return _problem_of_dates(options) or _problem_of_paths(options)


def _problem_of_dates(options) -> str | None:
    try:
        unknown = [name for name, _ in map(lateness.due, options.due) if name and not named(name)]
        if options.late:
            lateness.rule(options.late)
    except ValueError as problem:
        return str(problem)
    if unknown:
        return f"--due must name an exercise before =, as 04, got {unknown[0]}"
    if options.late and not options.due and not options.only:
        return "--late needs --due, the date from which it counts"
    return None


def _problem_of_paths(options) -> str | None:
    given = [name for name in ("submissions", "out") if getattr(options, name) is not None]
    if options.preview:
        return f"--preview takes a file alone, without SUBMISSIONS and --out; got {' and '.join(given)}" if given else None
    if len(given) < 2:
        return "SUBMISSIONS and --out DIR are needed, or --preview FILE"
    if options.out.exists() and not options.out.is_dir():
        return f"--out must be a folder, but {options.out} is a file"
    source, out = options.submissions.resolve(), options.out.resolve()
    if source.is_dir() and out.is_relative_to(source):
        return f"--out must lie outside of SUBMISSIONS, got {options.out}"
    return None
