"""Notebooks whose answers need what other cells compute: a factor that is 1 where all is right, in many shapes.

Each shape is a list of cells that make the factor, and the expression that the answer multiplies with. N is put in place of a
name of its own, V of the value that it should get.
"""

import random
import re

import hostile
from grading_runs import wrong_texts

from course_lib import checks
from exercises.release import ANSWER, END

SHAPES = {
    "a loop": (["N = 0.0", "for k in range(4):\n    N += V / 4"], "N"),
    "a while loop": (["N = 3 * V\nstep = 0\nwhile step < 2:\n    N -= V\n    step += 1"], "N"),
    "a call that sets a global": (["N = None\ndef set_N(value):\n    global N\n    N = value", "set_N(V)"], "N"),
    "an entry of a dict": (["N = {}", "N['factor'] = V"], "N['factor']"),
    "entries of a dict by a loop": (["N = {}", "for k in ('a', 'b'):\n    N[k] = V"], "N['b']"),
    "an attribute of a class": (["class N:\n    factor = 7.0", "N.factor = V"], "N.factor"),
    "an object and its method": (
        ["class MakerN:\n    def learn(self, value):\n        self.factor = value", "N = MakerN()", "N.learn(V)"],
        "N.factor",
    ),
    "a list that grows": (["N = []", "for k in range(3):\n    N.append(V / 3)", "print(len(N))"], "sum(N)"),
    "what a helper gives": (
        ["def half_N(x):\n    return x / 2", "def make_N():\n    return 2 * half_N(V)", "N = make_N()"], "N"),
    "exec": (["exec('N = V')"], "N"),
    "the dict of all names": (["globals()['N'] = V"], "N"),
    "a second name for a list": (["N = [5.0]", "other_N = N", "other_N[0] = V"], "N[0]"),
    "a context and an exception": (
        ["import contextlib\nwith contextlib.suppress(ZeroDivisionError):\n    N = V\n    N = 1 / 0"], "N"),
    "a comprehension that acts": (["N = []\n_ = [N.append(V) for k in range(2)]"], "N[1]"),
    "a decorator that collects": (
        ["found_N = {}\ndef note_N(f):\n    found_N[f.__name__] = f\n    return f", "@note_N\ndef value_N():\n    return V"],
        "found_N['value_N']()",
    ),
    "an iterator": (["N = iter([9.0, V, 9.0])", "first_N = next(N)", "second_N = next(N)"], "second_N"),
    "random numbers with a seed": (
        ["torch.manual_seed(3)", "noise_N = torch.rand(2)",
         "torch.manual_seed(3)\nN = V + float((torch.rand(2) - noise_N).sum())"],
        "N",
    ),
    "a cell that fails at its end": (["N = []\nN.append(V)\nraise ValueError('never mind')\nN.append(5.0)"], "N[-1]"),
    "a value that was overwritten": (["N = 5.0", "N = [V]", "N = N[0] + 0.0"], "N"),
    "a default argument": (["base_N = [V]", "def value_N(x=base_N):\n    return x[0]", "base_N = [5.0]"], "value_N()"),
    "a sum of tensors": (["N = torch.zeros(3)", "for k in range(3):\n    N[k] = V / 3"], "float(N.sum())"),
}  # fmt: skip
# What may stand between an answer and its check, or after the check: it changes the factor.
CHANGES = {
    "N": ["N = 3.0", "N = N + 1", "for N in (2.0, 3.0):\n    pass"],
    "N['factor']": ["N['factor'] = 2.0"],
    "N['b']": ["N = {'b': 3.0}", "N.update(b=2.0)"],
    "N.factor": ["N.factor = 2.0", "setattr(N, 'factor', 2.0)"],
    "sum(N)": ["N.append(2.0)", "N.clear()"],
    "N[0]": ["N[0] = 4.0", "other_N.insert(0, 2.0)"],
}
EXERCISES = [checks.soft_targets, checks.gradient, checks.distillation_loss, checks.sequences]


def wrapped(name: str, text: str, factor: str) -> tuple[str, str]:
    """A cell with what the text defines, under another name, and the answer, which multiplies that with the factor."""
    head = re.search(rf"^def {name}\((.*)\):", text, re.MULTILINE)
    helper = re.sub(rf"^def {name}\(", f"def {name}_itself(", text, count=1, flags=re.MULTILINE)
    return helper, f"def {name}({head[1]}):\n    return {factor} * {name}_itself({head[1]})"


def spread(rng: random.Random, exercise, shapes: list[str] | None = None, mistake=None) -> list[str]:
    """The cells of a solution, or of one with a mistake, with each answer spread over cells in one of the shapes."""
    given = hostile.solution(exercise.stem)
    cells, texts = ["import math\n" + hostile.IMPORTS, given[1]], wrong_texts(mistake) if mistake else {}
    for cell in given[2:]:
        mark = ANSWER.search(cell)
        if mark is None:
            cells.append(cell)
            continue
        text = texts.get(mark[1], cell[mark.end() : END.search(cell).start()].strip("\n"))
        making, factor = SHAPES[rng.choice(shapes or list(SHAPES))]
        own = rng.choice(["K", f"K{len(cells)}"])  # sometimes the name that another answer uses as well
        value = "1.0" if rng.random() < 0.8 else "2.0"
        changes = CHANGES.get(factor, ["N = 3.0"])

        def named(text, own=own, value=value):
            return re.sub(r"(?<![A-Za-z])N(?![A-Za-z])|(?<=_)N\b|(?<=Maker)N\b", own, re.sub(r"\bV\b", value, text))

        helper, answer = wrapped(mark[1], text, named(factor))
        before = [helper, *map(named, making)]
        if rng.random() < 0.3:
            before = ["\n".join(before)] if "raise" not in before[-1] else before
        cells += [*before, hostile.marked(mark[1], answer)]
        cells += [named(rng.choice(changes))] if rng.random() < 0.15 else []
        check = f"checks.{exercise.name}({mark[1]}={mark[1]})"
        cells += [check, *([named(rng.choice(changes))] if rng.random() < 0.4 else [])]
    return cells


def marks_of_own_checks(exercise, cells: list[str], seed: int) -> dict[str, int]:
    """Run the cells in order, as a notebook does; what each part gets at the first check of its answer."""
    points, namespace = {}, {"__name__": "__main__", "display": print}

    class Own:
        def __getattr__(self, name):
            return lambda *unused, **named: check(named)

    def check(named):
        parts = [part.name for part in exercise.parts if set(part.answers) <= set(named) and part.name not in points]
        report = exercise.judge(exercise.observe(named, seed, parts), seed, parts)
        points.update({part.name: part.points for part in report.parts})

    for number, cell in enumerate(cells):
        if number > 2 and "fit(" in cell:  # trains and draws, as it was given out
            continue
        namespace["checks"] = Own()
        try:
            exec(compile(cell, f"<cell {number}>", "exec"), namespace)
        except Exception:
            continue
    return points
