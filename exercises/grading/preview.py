"""One notebook in the terminal: its marks and what a student would read, with nothing written."""

import sys
from dataclasses import replace
from pathlib import Path

from exercises.grading import answers, cache, grading, pages, reading
from exercises.grading.submissions import Notebook, NothingThereError, Student


def show(path: Path, settings: grading.GradingOptions) -> None:
    """Print what becomes of a notebook. Raises NothingThereError."""
    file = reading.one(path)
    exercise = answers.which(file.code, path.name) if file.code else answers.named_by(path.name)
    if file.problem or exercise is None:
        raise NothingThereError(f"--preview: {path}: {file.problem or 'The notebook belongs to none of the exercises.'}")
    student = Student(path.name, notebooks={exercise.name: [Notebook(file, exercise)]})
    settings = replace(settings, exercises=(exercise,))
    (row,), isolations = grading.grade([student], settings, cache.Nothing(), lambda done, total: None)
    (graded,) = row.graded
    lines = [f"Exercise {exercise.number}, {exercise.title}: {graded.points} of {exercise.points} points", ""]
    lines += [str(part) for part in graded.parts]
    lines += ["", *(f"look: {kind}: {words}" for kind, words in graded.notes if kind != "missing")]
    print(pages.visible("\n".join(lines).rstrip()))
    if isolations != ["bubblewrap"] and isolations:
        print("grading: it ran without a sandbox", file=sys.stderr)
