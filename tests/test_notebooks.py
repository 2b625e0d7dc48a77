"""The shape of the notebooks. What any file must not have, test_hygiene.py checks; what their cells compute, nbval."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
RECIPE = Path(__file__).parents[1] / "notebooks" / "recipe.md"
SCRIPT = RECIPE.with_name("distil.py")
EXERCISES = sorted((Path(__file__).parents[1] / "exercises").glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks_and_beside_them_the_recipe_and_the_script_alone():
    assert NOTEBOOKS
    made = {".ipynb_checkpoints", "__pycache__", ".virtual_documents"}  # by JupyterLab and Python
    lies_there = {path.name for path in NOTEBOOKS[0].parent.iterdir()} - made
    assert lies_there == {path.name for path in NOTEBOOKS} | {RECIPE.name, SCRIPT.name}


def test_the_recipe_links_to_notebooks_that_are_there():
    targets = set(re.findall(r"\]\(([^)]+)\)", RECIPE.read_text("utf8")))
    assert targets == {path.name for path in NOTEBOOKS}


@notebooks
def test_executed(path):
    assert all(cell.execution_count for cell in code_cells(path))


@notebooks
def test_there_are_pictures(path):
    assert any("image/png" in output.get("data", {}) for cell in code_cells(path) for output in cell.outputs)


def is_folded(cell):
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


@notebooks
def test_shape(path):
    notebook = read(path)
    assert 12 <= len(notebook.cells) <= 45
    live = [number for number, cell in enumerate(notebook.cells) if "LiveFigure(" in cell.source]
    assert live[0] <= 6
    assert [is_folded(cell) for cell in code_cells(path)[:2]] == [True, True]  # setting up, and imports


@notebooks
def test_what_is_folded_says_so_to_every_reader_and_what_is_not_is_short(path):
    for cell in code_cells(path):
        title = re.match(r"#@title (Set-up|Imports|Check|Figure)\b.*", cell.source)
        assert is_folded(cell) == bool(title) == (cell.metadata.get("cellView") == "form"), cell.source[:80]
        assert not title or len(title[0]) <= 96  # JupyterLab folds to one line that does not break
        if not is_folded(cell):
            lines = cell.source.splitlines()
            assert len(lines) < 20, lines[0]
            assert max(map(len, lines)) < 100, lines[0]


@notebooks
def test_claims_stand_in_cells_of_their_own(path):
    checks = [cell for cell in code_cells(path) if cell.source.startswith("#@title Check")]
    assert checks
    assert all("assert " in cell.source for cell in checks)
    assert not any(re.search(r"\bassert\b", cell.source) for cell in code_cells(path) if cell not in checks)


@notebooks
def test_a_notebook_can_be_read_in_half_an_hour(path):
    words = sum(len(cell.source.split()) for cell in read(path).cells if cell.cell_type == "markdown")
    assert words <= 1800


@notebooks
def test_what_is_said_of_measured_times_is_never_compared_with_the_saved_output(path):
    measured = set()
    for cell in code_cells(path):
        tags, (assigned, read_here) = set(cell.metadata.get("tags", ())), names(cell.source)
        if measured & read_here and cell.outputs:
            assert "nbval-ignore-output" in tags, cell.source[:80]
        measured = measured | assigned if "times" in tags else measured - assigned


def names(source):
    """Return the names that a cell assigns outside of functions and loops, and those that it mentions."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    nodes = [node for target in targets for node in ast.walk(target)], ast.walk(tree)
    return [{node.id for node in each if isinstance(node, ast.Name)} for each in nodes]


@notebooks
def test_the_reader_writes_and_guesses(path):
    code = "\n".join(cell.source for cell in code_cells(path))
    assert code.count("checks.your_turn(") >= 2
    assert len(re.findall(r"\bGuess\(", code)) >= 1
    assert len(re.findall(r"\.beside\(", code)) >= 1


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
