"""The notebooks as they are saved. What their cells compute, nbval checks."""

import re
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
def test_saved_as_executed_from_top_to_bottom(path):
    notebook = read(path)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@notebooks
def test_no_errors_and_nothing_widget_shaped_is_saved(path):
    assert "widgets" not in read(path).metadata
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            assert not [mime for mime in output.get("data", {}) if "widget" in mime]


@notebooks
def test_every_picture_has_a_text_equivalent(path):
    pictures = [output for cell in code_cells(path) for output in cell.outputs if "image/png" in output.get("data", {})]
    assert pictures
    for picture in pictures:
        alt = picture.metadata["image/png"]["alt"]
        assert any(letter.isdigit() for letter in alt)
        assert "object at 0x" not in picture.data["text/plain"]


@notebooks
def test_shape(path):
    notebook = read(path)
    assert 12 <= len(notebook.cells) <= 30
    assert path.stat().st_size <= 1e6
    live = [number for number, cell in enumerate(notebook.cells) if "LiveFigure(" in cell.source]
    assert live[0] <= 5
    assert all(not cell.source.rstrip().endswith(";") for cell in code_cells(path))
    assert "assert " in "".join(cell.source for cell in code_cells(path))


@notebooks
def test_the_first_code_cell_is_the_same_in_all(path):
    assert code_cells(path)[0].source == code_cells(NOTEBOOKS[0])[0].source


@notebooks
def test_no_path_of_a_machine_and_no_number_of_a_device(path):
    text = path.read_text(encoding="utf8")
    assert not re.search(r"(?<![\w.])/(?:home|root|Users|tmp|work)/", text)
