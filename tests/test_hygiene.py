"""Every file and notebook by the rules of hygiene.py; and every rule on something broken on purpose."""

import json

import nbformat
import pytest
from hygiene import FILE_RULES, NOTEBOOK_RULES, ROOT, misspelled, tracked
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FILES = tracked() if (ROOT / ".git").exists() else []
NOTEBOOKS = [path for path in FILES if path.suffix == ".ipynb"]
pytestmark = pytest.mark.skipif(not FILES, reason="there is no git repository here")
by_name = [*FILE_RULES.values(), *NOTEBOOK_RULES.values()]


@pytest.mark.parametrize("rule", NOTEBOOK_RULES.values(), ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_notebook(path, rule):
    assert rule(path) == []


@pytest.mark.parametrize("rule", FILE_RULES.values(), ids=lambda rule: rule.__name__)
def test_every_file(rule):
    complaints = {path.relative_to(ROOT).as_posix(): rule(path) for path in FILES}
    assert not {name: found for name, found in complaints.items() if found}


def test_spelling():
    assert misspelled(FILES) == []


def test_no_two_names_are_the_same_where_case_does_not_count():
    names = [path.relative_to(ROOT).as_posix().lower() for path in FILES]
    assert len(names) == len(set(names))
    assert max(map(len, names)) < 120  # Windows allows 260 for the whole path


# ---- each rule, seen to fail ----

PICTURE = {"image/png": "aGk=", "text/plain": "T = 1"}


def whole():
    """A notebook in which all is well."""
    picture = new_output("display_data", data=dict(PICTURE), metadata={"image/png": {"alt": "T = 1: 0.5"}})
    cell = new_code_cell("loader = DataLoader(data, num_workers=0)", execution_count=1, outputs=[picture])
    return new_notebook(cells=[new_markdown_cell("# A title\n\n[1](01_dark_knowledge.ipynb)"), cell])


def change(text):
    return lambda notebook: notebook.cells[1].update(source=text)


def put(output):
    return lambda notebook: notebook.cells[1].outputs.append(output)


def write(text):
    return lambda notebook: notebook.cells[0].update(source=text)


def out_of_order(notebook):
    notebook.cells.append(new_code_cell("pass", execution_count=3))


def half_executed(notebook):
    notebook.cells.append(new_code_cell("pass"))


def without_alternative(notebook):
    notebook.cells[1].outputs[0].metadata = {}


def without_numbers(notebook):
    notebook.cells[1].outputs[0].metadata["image/png"]["alt"] = "a plot"


BROKEN = [
    ("is_valid", lambda notebook: notebook.cells[1].update(cell_type="none")),
    ("was_executed_in_order_or_not_at_all", out_of_order),
    ("was_executed_in_order_or_not_at_all", half_executed),
    ("saves_nothing_of_a_widget", lambda notebook: notebook.metadata.update(widgets={})),
    ("saves_nothing_of_a_widget", put(new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}}))),
    ("saves_no_error_and_no_warning", put(new_output("error", ename="E", evalue="no", traceback=[]))),
    ("saves_no_error_and_no_warning", put(new_output("stream", name="stderr", text="warning"))),
    ("ends_no_cell_with_a_semicolon", change("plot(); ")),
    ("says_by_a_tag_which_outputs_may_differ", change("# NBVAL" + "_IGNORE_OUTPUT, since it is random")),
    ("gives_every_picture_a_text_equivalent", without_alternative),
    ("gives_every_picture_a_text_equivalent", without_numbers),
    ("gives_every_picture_a_text_equivalent", write("![](01_dark_knowledge.ipynb)")),
    ("gives_every_picture_a_text_equivalent", write('<img src="a.png">')),
    ("shows_no_raw_html_of_widgets_or_scripts", write("<script>alert(1)</script>")),
    ("loads_no_data_in_other_processes", change("DataLoader(data, num_workers=2)")),
    ("weighs_at_most_a_megabyte", write("x" * 1_000_001)),
    ("names_no_path_of_a_machine", change("open('/" + "home/me/data.csv')")),
    ("calls_nothing_that_only_posix_has", change("import os\nos.fork()")),
    ("calls_nothing_that_only_posix_has", change("if True:\n    %pip install x\nimport resource")),
    ("calls_nothing_that_only_posix_has", change("from fcntl import flock")),
    ("links_to_what_is_there", write("[2](02_nowhere.ipynb)")),
]


def test_a_notebook_in_which_all_is_well_passes_every_rule(tmp_path):
    path = tmp_path / "whole.ipynb"
    nbformat.write(whole(), path)
    assert {rule.__name__: rule(path) for rule in by_name if rule(path)} == {}
    assert misspelled([path]) == []


@pytest.mark.parametrize(("name", "spoil"), BROKEN, ids=[f"{name}-{n}" for n, (name, _) in enumerate(BROKEN)])
@pytest.mark.filterwarnings("ignore")
def test_a_broken_notebook_is_told_by_its_rule_and_by_no_other(tmp_path, name, spoil):
    notebook, path = whole(), tmp_path / "broken.ipynb"
    spoil(notebook)
    path.write_text(json.dumps(notebook), "utf8")
    told = {rule.__name__ for rule in by_name if (rule.__name__ == "is_valid") == (name == "is_valid") and rule(path)}
    assert told == {name}


@pytest.mark.parametrize("name", ["aux.py", "a?b.md", "what: now.md", "end.", "con"])
def test_a_name_that_windows_refuses(tmp_path, name):
    assert FILE_RULES["has_a_name_that_windows_accepts"](tmp_path / name)


def test_line_endings(tmp_path):
    (tmp_path / "a.md").write_bytes(b"one\r\ntwo\r\n")
    assert FILE_RULES["ends_lines_as_unix_does"](tmp_path / "a.md")


def test_a_misspelled_word(tmp_path):
    notebook = whole()
    notebook.cells[0].source = "A noteb" + "bok that is recie" + "ved."
    nbformat.write(notebook, tmp_path / "a.ipynb")
    assert len(misspelled([tmp_path / "a.ipynb"])) == 1


def test_every_rule_was_seen_to_fail():
    alone = {"has_a_name_that_windows_accepts", "ends_lines_as_unix_does"}
    assert {name for name, _ in BROKEN} | alone == {*NOTEBOOK_RULES, *FILE_RULES}
