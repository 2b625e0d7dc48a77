"""Which text of a notebook is the answer: written or still a stub, and found in a time that is in proportion to its length."""

import hostile
import pytest
from grading_runs import EX4

from exercises.grading import answers

SAID = "soft_term is not answered yet"
STUB = f'    raise NotImplementedError("{SAID}")\n'
DRAFT = hostile.body("return 0")
GOOD = hostile.SIGNATURE + hostile.RIGHT


def chosen(*cells: str) -> str:
    """Return what counts as the soft term of a notebook with these cells."""
    return answers.find(cells, EX4).texts["soft_term"]


WRITTEN = {
    "in a comment": GOOD + f"    # {STUB.strip()}\n",
    "in a comment above": hostile.SIGNATURE + f"    # {STUB.strip()}\n" + hostile.RIGHT,
    "in the docstring": hostile.SIGNATURE + f"    '''{SAID}'''\n" + hostile.RIGHT,
    "in a text": hostile.SIGNATURE + f"    said = '{SAID}'\n" + hostile.RIGHT,
    "behind the return": GOOD + STUB,
    "defined once more": hostile.SIGNATURE + STUB + "\n" + GOOD,
    "of another answer": hostile.SIGNATURE
    + f"    if T == 0:\n        raise NotImplementedError('no {SAID}')\n"
    + hostile.RIGHT,
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_an_answer_over_what_is_left_of_its_stub_counts(text):
    assert chosen(hostile.marked("soft_term", text), DRAFT) == text.strip("\n")
    assert chosen(DRAFT, hostile.marked("soft_term", text)) == text.strip("\n")


UNWRITTEN = {
    "as given out": hostile.SIGNATURE + "    '''Doc.'''\n" + STUB,
    "begun": hostile.SIGNATURE + "    p = teacher_logits / T\n" + STUB,
    "begun around it": hostile.SIGNATURE + "    with torch.no_grad():\n    " + STUB,
    "above what follows": hostile.SIGNATURE + STUB + hostile.RIGHT,
    "not Python": hostile.SIGNATURE + "    p = (\n" + STUB,
}


@pytest.mark.parametrize("text", UNWRITTEN.values(), ids=UNWRITTEN)
def test_a_stub_counts_only_if_there_is_nothing_else(text):
    assert chosen(hostile.marked("soft_term", text), DRAFT) == DRAFT.strip("\n")
    assert chosen(hostile.marked("soft_term", text)) == text.strip("\n")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\n\n  \n%matplotlib inline\nx = 1\n", ["x = 1"]),
        ("y = 2\n\n\n!ls\nx = 1", ["y = 2", "x = 1"]),
        ("torch?\n\n\nx = 1; y = '²'; z = (x,\n y)", ["x = 1", "y = '²'", "z = (x,\n y)"]),
        ("@d\n@e\ndef f(): pass\nx: int = 1  # ²", ["@d\n@e\ndef f(): pass", "x: int = 1"]),
    ],
)
def test_statements_and_magics(text, kept):
    (cell,) = answers.split(text)
    assert cell.error is None
    assert [statement.text for statement in cell.statements if "get_ipython" not in statement.text] == kept


# Each of these would take minutes if its time grew with the square of its length.


def test_many_empty_lines():
    assert chosen("\n" * 190_000 + DRAFT) == DRAFT.strip("\n")


@pytest.mark.parametrize("between", ["\n", ";"])
def test_many_statements(between):
    assert len(answers.split(between.join(["x=1"] * 20_000))[0].statements) == 20_000


@pytest.mark.parametrize(("what", "found"), [("losses", True), ("data", False)])
def test_many_mentions(what, found):
    text = "# " + "from course_lib import " * 40_000 + what
    assert answers._mentions(text, "course_lib.losses") is found
