"""The page that says what is covered: every test that it names is there, and what it says is open is open."""

import ast
import re
from pathlib import Path

import hostile
from grading_runs import EX4, EX4_FILE, RIGHT4, Spy, grade, only_linux

from exercises.grading import control_group, running

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "exercises" / "grading" / "COVERAGE.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


def test_every_line_names_a_test_that_is_there():
    body = [row for row in rows() if row[1] not in ("held by", "seen in")]
    assert len(body) > 15
    for row in body:
        assert len(row) == 2
        named = re.findall(r"`(test_\w+)::(test_\w+)`", row[1])
        assert named or row[0] == "a hole in the kernel", row
        for file, test in named:
            tree = ast.parse((TESTS / f"{file}.py").read_text(encoding="utf8"))
            (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == test]
            assert "skip" not in ast.unparse(found.decorator_list[0] if found.decorator_list else found.args), test


def test_numbers_of_the_page_are_those_of_the_code():
    assert f"{running._TOGETHER // 2**20} MB" in PAGE.read_text(encoding="utf8")
    assert "x86_64, aarch64" in PAGE.read_text(encoding="utf8")
    assert control_group.make.__doc__


@only_linux
def test_what_is_said_to_be_open_is_open(tmp_path, monkeypatch):
    """So that the page is changed when one of these is closed."""
    spy, place = Spy(monkeypatch), tmp_path / "class"
    look = (
        "import sys\nframe = sys._getframe()\nwhile 'seed' not in frame.f_locals: frame = frame.f_back\n"
        "raise ValueError(f\"SEED {frame.f_locals['seed']}\")"
    )
    cells = {"looks": hostile.exercise4(hostile.body(look)), "ana": RIGHT4, "ben": RIGHT4.replace("log_q", "log_qq")}
    for name, text in cells.items():
        (place / name).mkdir(parents=True)
        (place / name / EX4_FILE).write_text(text)
    assert grade(place, tmp_path / "out") == 0
    assert "SEED 7" in spy.parts("looks", EX4)["soft term"].message
    notes = {name: spy.rows[name].graded[EX4.number - 1].notes for name in cells}
    assert ("library", "the answer uses sys._getframe, which can find the answer in memory") in notes["looks"]
    assert not [note for name in ("ana", "ben") for note in notes[name]]
