"""A class of right and named-wrong answers: every mark, every name of a mistake; and options that are wrong."""

import random

import hostile
import numpy as np
import pytest
from grading_runs import Spy, grade, only_linux, rows_of, whole_notebook, with_answer, wrong_texts

from course_lib import checks
from exercises.grading import arguments, command
from exercises.release import ANSWER

SEED = 7


def expected_of(exercise, mistake):
    """Marks and mistakes of the same answers, run one after the other, observed and judged in this process."""
    code, namespace = hostile.solution(exercise.stem), {}
    for name, text in wrong_texts(mistake).items() if mistake else ():
        code = with_answer(code, name, text)
    answers = [cell for cell in code if ANSWER.search(cell)]
    for cell in ["import math\n" + hostile.IMPORTS, code[1], *answers]:
        exec(cell, namespace)
    return exercise.judge(exercise.observe({name: namespace[name] for name in exercise.answers}, SEED), SEED).parts


def choices(rng: random.Random, number: int) -> list:
    """For each exercise a mistake, or None for right; every mistake comes in its turn."""
    turn = number - 20 if number >= 20 else None
    return [
        (exercise.mistakes[turn % len(exercise.mistakes)] if turn is not None and rng.random() < 0.9 else None)
        for exercise in checks.EXERCISES
    ]


@only_linux
def test_two_hundred_submissions_of_all_exercises(tmp_path, monkeypatch):
    rng, spy, picked = random.Random(0), Spy(monkeypatch), {}
    for number in range(200):
        student, folder = f"student {number:03}", tmp_path / "class" / f"student {number:03}"
        folder.mkdir(parents=True)
        picked[student] = choices(rng, number)
        for exercise, mistake in zip(checks.EXERCISES, picked[student], strict=True):
            (folder / f"{exercise.stem}.ipynb").write_text(whole_notebook(exercise, mistake), encoding="utf8")
    assert grade(tmp_path / "class", tmp_path / "out") == 0
    named, expected = set(), {}
    for student, mistakes in picked.items():
        for exercise, mistake, graded in zip(checks.EXERCISES, mistakes, spy.rows[student].graded, strict=True):
            key = exercise.name, mistake and (mistake.part, mistake.name)
            if key not in expected:
                expected[key] = expected_of(exercise, mistake)
            for found, wanted in zip(graded.parts, expected[key], strict=True):
                assert (found.status, found.points, found.mistake) == (wanted.status, wanted.points, wanted.mistake), (
                    f"{student}, {exercise.stem}, {found.name}, {mistake and mistake.name}: {found}"
                )
                if found.mistake:
                    named.add((exercise.name, found.mistake))
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 200
    for student, row in spy.rows.items():
        assert int(rows[student]["Total"]) == row.points == sum(int(rows[student][e.stem]) for e in checks.EXERCISES)
    assert named == {(exercise.name, mistake.name) for exercise in checks.EXERCISES for mistake in exercise.mistakes}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--seed", "0"], "--seed must be at least 1"),
        (["--seed", str(2**64)], "--seed must be at most 4294967294"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--timeout", "nan"], "--timeout must be"),
        (["--memory", "1"], "--memory must be at least 64"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, capsys, more, says):
    with pytest.raises(SystemExit):
        command.main([str(tmp_path), "--out", str(tmp_path.parent / "out"), *more])
    assert says in capsys.readouterr().err


def test_with_the_highest_seed_right_answers_are_right():
    seed = arguments.HIGHEST_SEED
    np.random.RandomState(seed + 1)  # an answer may shuffle with it
    for exercise in checks.EXERCISES:
        assert exercise.judge(exercise.observe(exercise.right, seed), seed).passed


def test_the_output_does_not_go_among_the_submissions(tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main([str(tmp_path), "--out", str(tmp_path / "out")])
    assert "--out must lie outside" in capsys.readouterr().err


def test_no_submission_is_said(tmp_path, capsys):
    arguments = ["--out", str(tmp_path.parent / "out"), "--without-sandbox", "--avoid", "bubblewrap"]
    assert command.main([str(tmp_path), *arguments]) == 1
    assert "holds no notebook" in capsys.readouterr().err
    assert command.main([str(tmp_path / "none"), "--out", str(tmp_path.parent / "out")]) == 1
    assert "there is no" in capsys.readouterr().err
