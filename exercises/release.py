"""Make what follows from exercises and solutions: the starters, and the two tables of the README.

    python exercises/release.py            writes exercises/NN_name.ipynb for every exercises/solutions/NN_name.ipynb: the same
                                           notebook, with every answer replaced by a stub; and the tables in README.md
    python exercises/release.py --check    writes nothing; fails if a file is not what would be written

The same solution always gives the same bytes. A starter that holds somebody's answers is not overwritten: one is only if
its cells are those that would be written, or those that were written, by the digest in its metadata.
"""

import argparse
import ast
import hashlib
import json
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

STARTERS = Path(__file__).resolve().parent
SOLUTIONS = STARTERS / "solutions"
README = STARTERS.parent / "README.md"

# The lines around an answer, in solutions and starters alike: by these, tools find what a learner wrote.
ANSWER = re.compile(r"^# === answer: (\w+) ===[ \t]*$", re.MULTILINE)
END = re.compile(r"^# === end of answer ===[ \t]*$", re.MULTILINE)

# Which repository an address names is nobody's answer: tests/tools/address.py changes it in starters and solutions alike.
REPOSITORY = re.compile(r"\bgithub(\.com)?/[\w.-]+/[\w.-]+")

# Jupyter goes on after a cell with this tag has failed, so that one run from top to bottom shows all that is to do.
GOES_ON = "raises-exception"


def make_starter(solution: NotebookNode) -> NotebookNode:
    """Return the starter of a solution: answers are stubs, outputs are gone, and what an unanswered stub stops is marked so."""
    answers = {name for cell in _code(solution) for name in ANSWER.findall(cell.source)}
    cells = []
    for number, cell in enumerate(solution.cells):
        starter = NotebookNode(cell_type=cell.cell_type, id=f"cell-{number:02d}", metadata=NotebookNode(), source=cell.source)
        if "course_lib" in cell.metadata:
            starter.metadata["course_lib"] = cell.metadata["course_lib"]
        if cell.cell_type == "code":
            starter.update(execution_count=None, outputs=[], source=stub_answers(cell.source))
            if not ANSWER.search(cell.source) and answers & _names(cell.source):
                starter.metadata["tags"] = [GOES_ON]
        cells.append(starter)
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    starter = nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    starter.metadata["course_lib"] = {"written": digest(starter)}
    nbformat.validate(starter)
    return starter


def stub_answers(source: str) -> str:
    """Return the text of a cell with every answer between its marks replaced by signature, docstring and a stub."""
    parts, position = [], 0
    for mark in ANSWER.finditer(source):
        end = END.search(source, mark.end())
        if end is None:
            raise ValueError(f"the answer {mark[1]} has no end mark")
        parts += [source[position : mark.end()], "\n", _make_stub(source[mark.end() : end.start()], mark[1])]
        position = end.start()
    return "".join([*parts, source[position:]])


def _make_stub(answer: str, name: str) -> str:
    function = next((node for node in ast.parse(answer).body if isinstance(node, ast.FunctionDef) and node.name == name), None)
    if function is None or ast.get_docstring(function) is None:
        raise ValueError(f"the answer {name} must define a function {name} with a docstring")
    head = answer.splitlines()[function.lineno - 1 : function.body[0].end_lineno]
    return "\n".join([*head, f'    raise NotImplementedError("{name} is not answered yet")', ""])


def digest(notebook: NotebookNode) -> str:
    """Return a fingerprint of the text of the cells. Outputs and metadata do not count: to run a notebook changes them."""
    written = [[cell.cell_type, REPOSITORY.sub("", cell.source)] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(written).encode("utf8")).hexdigest()


def is_ours(path: Path, starter: NotebookNode) -> bool:
    """Return whether nobody wrote into the file: its cells are those of `starter`, or those of the starter it once was."""
    try:
        present = nbformat.read(path, as_version=4)
    except Exception:  # which reading fails with in many ways; then it is no notebook, and none of ours
        return False
    return digest(present) in (digest(starter), present.metadata.get("course_lib", {}).get("written"))


def _names(source: str) -> set[str]:
    if source.startswith(("%", "!")) or "\n    %" in source:  # the cell that installs on Colab is not all Python
        return set()
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def to_text(notebook: NotebookNode) -> str:
    """Return a notebook as the text of its file."""
    return nbformat.writes(notebook) + "\n"


# ---- the tables of the README ----


def table_of_exercises(exercises) -> str:
    """Return the table that says what to write in each exercise and which notebooks it goes with."""
    rows = [
        (_link(exercise), exercise.asks, exercise.points, f"{exercise.minutes} min", exercise.goes_with)
        for exercise in exercises
    ]
    return _table(("exercise", "you write", "points", "takes", "goes with"), rows)


def table_of_marks(exercises) -> str:
    """Return the table that says how many points each part of an exercise gives."""
    rows = []
    for exercise in exercises:
        parts = ", ".join(f"{part.short or part.name} {part.points}" for part in exercise.parts)
        rows.append((_heading(exercise), exercise.points, parts))
    return _table(("exercise", "points", "parts"), rows)


def _heading(exercise) -> str:
    return f"{exercise.number} {exercise.title[:1].upper()}{exercise.title[1:]}"


def _link(exercise) -> str:
    return f"[{_heading(exercise)}](exercises/{exercise.stem}.ipynb)"


def _table(head: tuple, rows: list[tuple]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def fill_tables(text: str, exercises) -> str:
    """Return the text of the README with the tables between their comments. ValueError if a comment is not there once."""
    for name, table in (("exercises", table_of_exercises), ("marks", table_of_marks)):
        begin, end = f"<!-- {name}: written by exercises/release.py -->\n", f"\n<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the README must hold {begin.strip()} and {end.strip()} once each")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table(exercises)}\n{end}{rest.partition(end)[2]}"
    return text


# ---- the command ----


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    parser.add_argument("--folder", type=Path, help="where the starters go, and no tables (default: beside this file)")
    options = parser.parse_args(arguments)
    made = [_release(path, options.folder or STARTERS, options.check) for path in sorted(SOLUTIONS.glob("*.ipynb"))]
    if options.folder is None:
        made.append(_write_tables(README, options.check))
    return int(not all(made))


def _release(solution: Path, folder: Path, check: bool) -> bool:
    """Write a starter, unless it is what it should be or somebody wrote into it; return whether it now is what it should be."""
    starter, target = make_starter(nbformat.read(solution, as_version=4)), folder / solution.name
    text = to_text(starter)
    if target.exists() and target.read_bytes() == text.encode("utf8"):
        return True
    if check:
        print(f"{target.name} is not what its solution gives; run python exercises/release.py", file=sys.stderr)
        return False
    if target.exists() and not is_ours(target, starter):
        print(f"{target.name} was changed and is left as it is. Move it away to get a new starter.", file=sys.stderr)
        return False
    target.write_text(text, encoding="utf8", newline="\n")
    print(f"{target.name} written")
    return True


def _write_tables(readme: Path, check: bool) -> bool:
    """Write the tables into the README; return whether they now are what the exercises give."""
    from course_lib.checks import EXERCISES  # torch, which starters don't need

    old = readme.read_bytes().decode("utf8")
    new = fill_tables(old, EXERCISES)
    if new == old:
        return True
    if check:
        print("the tables in README.md are not what the exercises give; run python exercises/release.py", file=sys.stderr)
        return False
    readme.write_text(new, encoding="utf8", newline="\n")
    print("README.md written")
    return True


if __name__ == "__main__":
    sys.path.insert(0, str(STARTERS.parent))  # the exercises of this checkout, whatever is installed
    sys.exit(main())
