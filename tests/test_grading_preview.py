"""One notebook in the terminal: the marks that the class's run would give, and nothing written."""

import hostile
import pytest
from grading_runs import snapshot, whole_notebook
from test_grading_again import without_children  # noqa: F401 (a fixture)

from course_lib import checks
from exercises.grading import command

pytestmark = pytest.mark.usefixtures("without_children")
EX6 = checks.schedule


def preview(path, *more: str) -> int:
    return command.main(["--preview", str(path), "--seed", "7", "--without-sandbox", *more])


def test_marks_and_messages_in_text_and_nothing_written(tmp_path, capsys, monkeypatch):
    mistake = EX6.mistakes[0]
    path = tmp_path / "some name.ipynb"
    path.write_text(whole_notebook(EX6, mistake), encoding="utf8")
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    assert preview(path) == 0
    said = capsys.readouterr().out
    assert said.startswith("Exercise 6, ")
    assert f"It behaves like a usual mistake: {mistake.name}." in said
    assert "Hint: " in said
    assert snapshot(tmp_path) == before
    path.write_text(whole_notebook(EX6), encoding="utf8")
    assert preview(path) == 0
    assert "7 of 7 points" in capsys.readouterr().out


def test_what_a_student_wrote_does_not_steer_the_terminal(tmp_path, capsys):
    text = "def linear_T(step, steps, start, end):\n    raise ValueError('\\x1b]0;owned\\x07 \\u202e')\n"
    path = tmp_path / "06_schedule.ipynb"
    path.write_text(hostile_text(text), encoding="utf8")
    assert preview(path) == 0
    said = capsys.readouterr().out
    assert "owned" in said
    assert not set(said) & {"\x1b", "\x07", "\u202e"}


def hostile_text(text: str) -> str:
    return hostile.notebook(["import torch, math\n", hostile.marked("linear_T", text)])


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [("x.py", "x = 1", "not a notebook"), ("06_schedule.ipynb", "{", "damaged"), ("x.ipynb", '{"cells": []}', "none of")],
)
def test_what_is_no_notebook_of_an_exercise_is_said(tmp_path, capsys, name, data, says):
    (tmp_path / name).write_text(data)
    assert preview(tmp_path / name) == 1
    assert says in capsys.readouterr().err
    assert preview(tmp_path / "none.ipynb") == 1


def test_it_stands_alone(tmp_path, capsys):
    for line in (["--preview", "x.ipynb", "--out", "y"], ["x"], []):
        with pytest.raises(SystemExit):
            command.main(line)
    said = capsys.readouterr().err
    assert "--preview takes a file alone" in said
    assert "SUBMISSIONS and --out DIR are needed, or --preview FILE" in said
