"""An answer that uses what other cells compute gets the marks that its notebook's own check gives, where it stands."""

import random

import hostile
import pytest
from grading_runs import EX4, EX4_FILE, LIMITS, RIGHT6, Spy, grade, only_linux
from spread_answers import EXERCISES, SHAPES, marks_of_own_checks, spread

from course_lib import checks
from exercises.grading import answers, scoring, second_chance

SEED = 7
LN2 = "def entropy(probabilities):\n    logs = torch.log(torch.where(probabilities > 0, probabilities, 1))\n"
LN2 += "    return -(probabilities * logs).sum(-1) / LN2"
CHECK = "checks.soft_targets(entropy=entropy)"


def with_entropy(*cells: str) -> str:
    """A notebook of exercise 1 whose entropy divides by LN2, between these cells; None stands for the answer."""
    solution = hostile.solution(checks.soft_targets.stem)
    return hostile.notebook([*solution[:4], *cells, "x = [1, 2]\nprint(x)"])


ANSWER = hostile.marked("entropy", LN2)
ROWS = {
    "a loop": ["LN2 = 0.0", "for k in range(1, 60): LN2 += 1 / (k * 2**k)", ANSWER, CHECK],
    "another value later": ["import math\nLN2 = math.log(2)", ANSWER, CHECK, "LN2 = math.log(10)"],
    "another value later, by a loop": ["import math\nLN2 = math.log(2)", ANSWER, CHECK, "for LN2 in range(5): pass"],
    "another value later, no check": ["import math\nLN2 = math.log(2)", ANSWER, "LN2 = math.log(10)"],
    "defined by exec, another value later": ["exec('LN2 = 0.6931471805599453')", ANSWER, CHECK, "LN2 = 3.0"],
    "defined below, and an exec above": ["exec('x = 1')", ANSWER, "LN2 = 0.6931471805599453", CHECK],
    "defined below its check, and an exec above": ["exec('x = 1')", ANSWER, CHECK, "LN2 = 0.6931471805599453"],
    "defined below": [ANSWER, "import math\nLN2 = math.log(2)", CHECK],
    "defined below its check": [ANSWER, CHECK, "import math\nLN2 = math.log(2)"],
}
WRONG = {
    "another value before its check": ["import math\nLN2 = math.log(2)", ANSWER, "LN2 = math.log(10)", CHECK],
    "a loop that comes too early": ["for k in range(1, 60): LN2 += 1 / (k * 2**k)", "LN2 = 0.5", ANSWER, CHECK],
}


@only_linux
def test_what_held_where_the_answer_stands(tmp_path, monkeypatch, capsys):
    place, spy = tmp_path / "class", Spy(monkeypatch)
    for name, cells in {**ROWS, **WRONG}.items():
        (place / name).mkdir(parents=True)
        (place / name / "01_soft_targets.ipynb").write_text(with_entropy(*cells))
    assert grade(place, tmp_path / "out", *LIMITS) == 0
    for name in (*ROWS, *WRONG):
        part = spy.parts(name, checks.soft_targets)["entropy"]
        assert part.points == (2 if name in ROWS else 0), f"{name}: {part}"
        kinds = {kind for kind, _ in spy.rows[name].graded[0].notes} - {"missing", "library"}
        assert not kinds, f"{name}: {spy.rows[name].graded[0].notes}"
    assert "of the time that answers took" in capsys.readouterr().err


@only_linux
def test_shapes_of_answers_over_several_cells(tmp_path, monkeypatch):
    """Each shape in an answer of its own, right, so that all marks are due."""
    place, spy, rng = tmp_path / "class", Spy(monkeypatch), random.Random(1)
    monkeypatch.setattr(rng, "random", lambda: 0.5)  # the right value, nothing that changes it
    for shape in SHAPES:
        (place / shape).mkdir(parents=True)
        (place / shape / EX4_FILE).write_text(hostile.notebook(spread(rng, EX4, [shape])))
    assert grade(place, tmp_path / "out", *LIMITS) == 0
    for shape in SHAPES:
        assert spy.rows[shape].graded[EX4.number - 1].points == EX4.points, f"{shape}: {spy.parts(shape, EX4)}"


@only_linux
def test_marks_are_those_of_the_notebooks_own_checks(tmp_path, monkeypatch, request):
    """--spread 200 tries as many submissions as there are students in a large course; the ordinary run takes a few."""
    place, spy, wanted = tmp_path / "class", Spy(monkeypatch), {}
    for number in range(request.config.getoption("spread")):
        rng, student = random.Random(number), f"s{number:03}"
        (place / student).mkdir(parents=True)
        for exercise in EXERCISES:
            mistake = rng.choice(exercise.mistakes) if rng.random() < 0.3 else None
            cells = spread(rng, exercise, mistake=mistake)
            (place / student / f"{exercise.stem}.ipynb").write_text(hostile.notebook(cells))
            wanted[student, exercise] = marks_of_own_checks(exercise, cells, SEED), cells
    assert grade(place, tmp_path / "out") == 0
    marks = set()
    for (student, exercise), (points, cells) in wanted.items():
        found = {name: part.points for name, part in spy.parts(student, exercise).items()}
        assert found == points, f"{student}, {exercise.stem}: {spy.parts(student, exercise)}\n" + "\n----\n".join(cells)
        marks.add(sum(points.values()))
    assert len(marks) > 3


FAILING = {  # what stands before the line that an answer needs, and what the note says of it
    "a file that only the learner has": ("rows = open('my_data.csv').read()", "FileNotFoundError"),
    "a training of an hour": ("import time\ntime.sleep(3600)", "timeout"),
    "an end of the process": ("import os\nos._exit(0)", "crash"),
    "a signal that can't be caught": ("import os\nos.kill(os.getpid(), 9)", "crash"),
}


@only_linux
def test_where_the_cells_before_fail_a_person_is_told_and_no_mark_is_lost(tmp_path, monkeypatch):
    place, spy = tmp_path / "class", Spy(monkeypatch)
    for name, (cell, _) in FAILING.items():
        for wrong in ("right", "wrong"):
            factor = "FACTOR[0]" if wrong == "right" else "2 * FACTOR[0]"
            term = hostile.SIGNATURE + hostile.RIGHT.replace("T**2", f"T**2 * {factor}")
            cells = [hostile.IMPORTS, "FACTOR = [3.0]", f"{cell}\nFACTOR[0] = 1.0", hostile.marked("soft_term", term)]
            (place / f"{name}, {wrong}").mkdir(parents=True)
            text = hostile.notebook([*cells, hostile.marked("distillation_loss", hostile.WHOLE)])
            (place / f"{name}, {wrong}" / EX4_FILE).write_text(text)
            (place / f"{name}, {wrong}" / "06_schedule.ipynb").write_text(RIGHT6)
    assert grade(place, tmp_path / "out", *LIMITS) == 0
    for name, (_, said) in FAILING.items():
        for wrong in ("right", "wrong"):
            row = spy.rows[f"{name}, {wrong}"]
            points = {part: it.points for part, it in spy.parts(f"{name}, {wrong}", EX4).items()}
            assert points == {"soft term": 3 if wrong == "right" else 0, "whole": 3, "safe": 2}, f"{name}, {wrong}"
            notes = [words for kind, words in row.graded[EX4.number - 1].notes if kind == "cells"]
            assert len(notes) == 1
            assert said in notes[0], f"{name}, {wrong}: {row.graded[EX4.number - 1].notes}"
            assert row.graded[5].points == checks.schedule.points
    assert ">cells<" in (tmp_path / "out" / "report.html").read_text()


# ---- what runs ----


def before_of(*cells: str) -> list[str] | None:
    """The texts of what runs before the soft term, or None if it is only what it needs."""
    found = answers.find([*cells, hostile.marked("soft_term", hostile.SIGNATURE + hostile.RIGHT.replace("T**2", "f(X)"))], EX4)
    numbers = found.needed["soft_term"]["before"]
    return None if numbers is None else [found.pieces[number]["text"] for number in numbers][:-1]


@pytest.mark.parametrize(
    "cells",
    [
        ["X = 2\ndef f(x): return x"],
        ["X = 2\ndef f(x): return x", "y = [1]\ny.append(3)\nprint(f(X))"],
        ["X = 2\ndef f(x): return x\n", "for k in range(3): print(X)"],
        ["X = [2]\ndef f(x): return x"],
        ["import math\nX = math.log(2)\nf = lambda x: x"],
        ["def f(x): return x", "X = []", "for k in range(3): X.append(k)"],
    ],
)
def test_nothing_but_what_is_needed_runs_where_that_is_sure_to_be_the_same(cells):
    assert before_of(*cells) is None


@pytest.mark.parametrize(
    "cells",
    [
        ["X = [2]\ndef f(x): return x", "y = [1]\ny.append(3)"],
        ["X = 2\ndef f(x): return x", "exec('X = 3')"],
        ["X = 2\ndef f(x): return x", "T = torch.nn.functional\nT.log_softmax = None"],
        ["def f(x): return x", "globals().update(X=3)"],
        ["import functools\nX = 2\n@functools.lru_cache\ndef f(x): return x", "print(1)"],
    ],
)
def test_all_cells_before_run_where_names_do_not_say_enough(cells):
    ran = "\n".join(before_of(*cells))
    for cell in cells:
        for line in cell.splitlines():
            assert line in ran


def test_cells_as_they_were_given_out_checks_and_magics_do_not_run():
    solution = hostile.solution(EX4.stem)
    ran = "\n".join(before_of(*solution, "X = [1]\ndef f(x): return x", "%time print(5)\n!ls", "print('mine')"))
    assert "print('mine')" in ran
    for words in ("doctor", "fit(", "checks.distillation_loss(", "get_ipython"):
        assert words not in ran


def test_an_answer_that_is_forged_in_the_second_try_is_told():
    parts = scoring.all_of(EX4, "crash")
    (forged, *_) = scoring.judge(EX4, {part.name: {"status": "forged"} for part in EX4.parts}, SEED)
    assert second_chance.choose(parts[0], forged) is forged
    assert second_chance.choose(forged, parts[0]) is forged
