"""The shape of the notebooks. What any file must not have, test_hygiene.py checks; what their cells compute, nbval."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


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
