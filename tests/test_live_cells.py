"""Which cells a live figure needs, told by their names."""

from pathlib import Path

import nbformat
import pytest

from tests.live_cells import cells_of_figures, names_of, needed

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("source", "defined", "used"),
    [
        ("x = y", {"x"}, {"y"}),
        ("x = 1\nprint(x, y)", {"x"}, {"print", "y"}),
        ("x += 1", {"x"}, {"x"}),
        ("x = 1\nx += 1", {"x"}, set()),
        ("a[k].b = c", set(), {"a", "k", "c"}),
        ("import a.b, c as d\nfrom e import f as g", {"a", "d", "g"}, set()),
        ("def f(x, y=z):\n    w = x\n    return w + u", {"f"}, {"z", "u"}),
        ("[(k, y) for k in range(3) if k]", set(), {"y", "range"}),
        ("[[j for j in row] for row in rows if any(r == q for r in row)]", set(), {"rows", "any", "q"}),
        ("for k, (x, y) in pairs:\n    total = x", {"k", "x", "y", "total"}, {"pairs", "x"}),  # set and read in one statement
        ("with seeded(0) as s:\n    model = new()", {"s", "model"}, {"seeded", "new"}),
        ("class A(B):\n    c = d", {"A"}, {"B", "d"}),
        ("lambda x: x + y", set(), {"y"}),
        ("if (n := 3) > m:\n    pass", {"n"}, {"m"}),
    ],
)
def test_names_that_a_cell_defines_and_uses(source, defined, used):
    found_defined, found_used = names_of(source)
    assert found_defined == defined
    assert found_used == used


def test_what_is_needed_is_followed_through_the_cells_above_it():
    sources = {
        1: "a = 1\nb = 2",
        3: "c = b",
        4: "b = 5",  # overwritten before it is used
        5: "unused = a",
        6: "b = c",
        8: "LiveFigure(b)",
        9: "later = b",
    }
    assert needed(sources, [8]) == [1, 3, 6, 8]
    assert needed(sources, [8, 9]) == [1, 3, 6, 8, 9]
    assert needed(sources, []) == []


def test_of_a_notebook_the_set_up_cell_and_what_its_figures_need(tmp_path):
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    sources = ["if 0:\n    %pip install x", "x = 1", "LiveFigure(x)", "y = 2", "z = 3", "LiveFigure(z)"]
    nbformat.write(nbformat.v4.new_notebook(cells=[text("# A"), *map(code, sources)]), tmp_path / "a.ipynb")
    assert cells_of_figures(tmp_path / "a.ipynb") == [1, 2, 3, 5, 6]
    assert cells_of_figures(tmp_path / "a.ipynb", 1) == [1, 2, 3]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_figure_of_the_course_is_among_them(path):
    cells, found = nbformat.read(path, as_version=4).cells, cells_of_figures(path)
    assert {number for number, cell in enumerate(cells) if "LiveFigure(" in cell.source and cell.cell_type == "code"} <= set(
        found
    )
    assert found == sorted(set(found))
    assert all(cells[number].cell_type == "code" for number in found)
