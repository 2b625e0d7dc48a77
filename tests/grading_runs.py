"""Shared by the tests of grading: small classes, a run of the command, and what can be seen of it afterwards."""

import csv
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import hostile
import pytest

from course_lib import checks
from exercises.grading import command, sandbox
from exercises.release import ANSWER, END

ROOT = Path(__file__).parents[1]
EX4, EX6 = checks.distillation_loss, checks.schedule
EX4_FILE = "04_distillation_loss.ipynb"
RIGHT4, RIGHT6 = (hostile.notebook(hostile.solution(e.stem)) for e in (EX4, EX6))
OURS = f"{os.getpid() / 1e9:.9f}".strip("0")  # makes a limit of time a mark by which the processes of these tests are known
# A part gets a third of the time, which is a hundred times what an honest answer takes; a loop takes all of it.
LIMITS = ["--timeout", f"5{OURS}", "--memory", "250"]

needs_bubblewrap = pytest.mark.skipif(sandbox.bubblewrap() is None, reason="bubblewrap is not there or does not work here")
only_linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="grading needs Linux")


def snapshot(*folders: Path) -> dict:
    """Every file below, with size, time and rights."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if "__pycache__" not in path.parts and ".grading" not in path.parts:
                known = path.lstat()
                found[path] = known.st_size, known.st_mtime_ns, stat.S_IMODE(known.st_mode)
    return found


def children_of_graders() -> set[int]:
    """The processes that were started with one of our limits and have not ended."""
    found = set()
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if (
                    re.search(rb"grading\.child.*\d" + re.escape(OURS.encode()) + rb"\b", (place / "cmdline").read_bytes())
                    and b") Z " not in (place / "stat").read_bytes()
                ):
                    found.add(int(place.name))
            except OSError:
                continue
    return found


def grade(place: Path, out: Path, *more: str, sandbox_required: bool = False) -> int:
    """Run the command; in bubblewrap where there is one, which is demanded only if `sandbox_required`."""
    accepted = [] if sandbox_required else ["--without-sandbox"]
    return command.main([str(place), "--out", str(out), "--seed", "7", "--jobs", "2", *accepted, *more])


def rows_of(out: Path) -> dict[str, dict]:
    return {row["Student"]: row for row in csv.DictReader((out / "grades.csv").open(encoding="utf-8-sig"))}


class Spy:
    """Takes part in a run and remembers the rows, of which the pages are only the outside."""

    def __init__(self, monkeypatch):
        self.rows = {}
        real = command.grading.grade

        def listen(*arguments):
            rows, isolations = real(*arguments)
            self.rows, self.isolations = {row.student.name: row for row in rows}, isolations
            return rows, isolations

        monkeypatch.setattr(command.grading, "grade", listen)

    def parts(self, student: str, exercise) -> dict:
        return {part.name: part for part in self.rows[student].graded[exercise.number - 1].parts}


def with_answer(code: list[str], name: str, text: str) -> list[str]:
    """The cells with the text between the marks of one answer replaced."""
    cells = []
    for cell in code:
        mark = next((m for m in ANSWER.finditer(cell) if m[1] == name), None)
        if mark:
            end = END.search(cell, mark.end())
            cell = f"{cell[: mark.end()]}\n{text}\n{cell[end.start() :]}"
        cells.append(cell)
    return cells


def wrong_texts(mistake) -> dict[str, str]:
    """The text of each wrong answer, under the name that is asked for."""
    return {name: replace(mistake, answers={name: function}).source for name, function in mistake.answers.items()}


def whole_notebook(exercise, mistake=None) -> str:
    """The solution of an exercise, with a mistake in place of its right answer."""
    code = ["import math\n" + hostile.IMPORTS, *hostile.solution(exercise.stem)]  # what a mistake may use
    for name, text in wrong_texts(mistake).items() if mistake else ():
        code = with_answer(code, name, text)
    return hostile.notebook(code)


def small_class(place: Path, students: int = 3) -> None:
    for number in range(students):
        (place / f"s{number}").mkdir(parents=True)
        for exercise in (checks.soft_targets, checks.schedule):
            mistake = exercise.mistakes[number]
            (place / f"s{number}" / f"{exercise.stem}.ipynb").write_text(whole_notebook(exercise, mistake), encoding="utf8")


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def pages_of(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in content(out).items() if not name.startswith(".grading")}
