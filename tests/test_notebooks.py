"""The shape of the notebooks. What any file must not have, test_hygiene.py checks; what their cells compute, nbval."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
EXERCISES = sorted((Path(__file__).parents[1] / "exercises").glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks_and_beside_them_nothing():
    assert NOTEBOOKS
    made = {".ipynb_checkpoints", "__pycache__", ".virtual_documents"}  # by JupyterLab and Python
    assert {path.name for path in NOTEBOOKS[0].parent.iterdir()} - made == {path.name for path in NOTEBOOKS}


@notebooks
def test_executed(path):
    assert all(cell.execution_count for cell in code_cells(path))


@notebooks
def test_there_are_pictures(path):
    assert any("image/png" in output.get("data", {}) for cell in code_cells(path) for output in cell.outputs)


@notebooks
def test_shape(path):
    notebook = read(path)
    assert 12 <= len(notebook.cells) <= 30
    live = [number for number, cell in enumerate(notebook.cells) if "LiveFigure(" in cell.source]
    assert live[0] <= 5
    assert "assert " in "".join(cell.source for cell in code_cells(path))


@notebooks
def test_the_first_code_cell_is_the_same_in_all(path):
    assert code_cells(path)[0].source == code_cells(NOTEBOOKS[0])[0].source


@notebooks
def test_the_last_cell_sends_the_reader_to_exercises_that_go_with_the_notebook(path):
    number = int(path.stem[:2])
    exercises = [each for each in EXERCISES if number in range(min(goes_with(each)), max(goes_with(each)) + 1)]
    named = {int(n): title for n, title in re.findall(r"xercise (\d+), \*(.+?)\*", read(path).cells[-1].source)}
    assert named
    for each in exercises:
        title = re.match(r"# Exercise (\d+) · (.+)\n", read(each).cells[0].source)
        if int(title[1]) in named:
            assert named.pop(int(title[1])) == title[2]
    assert not named, "goes with another notebook"


def test_every_exercise_is_named_by_a_notebook():
    named = {int(n) for path in NOTEBOOKS for n in re.findall(r"xercise (\d+), \*", read(path).cells[-1].source)}
    assert named == {int(path.stem[:2]) for path in EXERCISES}


def goes_with(exercise):
    """The numbers of the notebooks that an exercise says it goes with."""
    said = re.search(r"Goes with notebooks? ([^;.]+)", read(exercise).cells[0].source)[1]
    return [int(number) for number in re.findall(r"\d+", said)]
