"""Which text of a notebook is the answer: written or still a stub, and found in a time that is in proportion to its length."""

from dataclasses import replace

import hostile
import pytest
from grading_runs import EX4

from exercises.grading import answers, cells, library

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


def test_many_imports():
    text = "\n".join(f"from course_lib import losses as a{number}" for number in range(5_000))
    statements = cells.split(text)[0].statements
    assert library.used(statements, ("course_lib.losses",)) == ["course_lib.losses"]


def test_many_names_that_depend_on_each_other():
    chain = "\n".join(f"x{number} = [x{number - 1}]" for number in range(1, 5_000))
    found = answers.find(["x0 = []", chain, "for k in range(3): x0.append(k)", GOOD.replace("T**2", "x4999")], EX4)
    assert len(found.needed["soft_term"]["alone"]) == 5_003


# ---- what holds the answer ----

USES = {
    "from course_lib import (\n    losses as L)\nx = L": "course_lib.losses",
    "import course_lib as c\nx = c.losses.soft_targets": "course_lib.losses",
    "import course_lib.losses\nx = course_lib.losses": "course_lib.losses",
    "import course_lib.losses as q": "course_lib.losses",
    "from course_lib.losses import soft_target_loss as s": "course_lib.losses",
    "def f():\n    from course_lib import losses": "course_lib.losses",
    "from course_lib.checks.engine import core": "course_lib.checks",
    "from course_lib.losses import *": "course_lib.losses",
    "x = 'course_lib.losses'": "course_lib.losses",
    "import importlib\nx = importlib.import_module('course_lib.' + 'losses')": "importlib",
    "x = __import__('course_lib')": "__import__",
    "import sys\nx = sys.modules": "sys.modules",
    "import sys as s\nx = s._getframe(1)": "sys._getframe",
    "def f(e):\n    return e.__traceback__.tb_frame.f_back.f_locals": "f_back",
    "from gc import get_objects": "gc",
    "import ctypes": "ctypes",
    "import inspect as i": "inspect",
    "x = ().__class__.__base__.__subclasses__()": "__subclasses__",
}


@pytest.mark.parametrize("text", USES)
def test_every_way_to_the_library_is_noted(text):
    statements = cells.split(text)[0].statements
    assert USES[text] in library.used(statements, ("course_lib.losses", "course_lib.checks"))
    given = [replace(statement, given=True) for statement in statements]
    assert library.used(given, ("course_lib.losses", "course_lib.checks")) == []


def test_what_is_named_alike_is_not_noted():
    text = "import torch\nfrom course_lib.data import Mixture\nlosses = [1]\nx = losses\n# course_lib.losses\nmodules = 3"
    assert library.used(cells.split(text)[0].statements, ("course_lib.losses", "course_lib.checks")) == []


def test_the_answer_may_use_the_checks_that_were_given_out_only_to_check():
    good = hostile.marked("soft_term", GOOD)
    assert answers.find([good, "checks.distillation_loss(soft_term)"], EX4).library == []
    used = GOOD.replace("T**2", "checks.distillation_loss.right")
    assert answers.find([hostile.marked("soft_term", used)], EX4).library == ["course_lib.checks"]
