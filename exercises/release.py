"""Make the starters from the solutions: the same notebooks, with every answer replaced by a stub.

    python exercises/release.py            writes exercises/NN_name.ipynb for every exercises/solutions/NN_name.ipynb
    python exercises/release.py --check    writes nothing; fails if a starter is not what would be written

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

# The lines around an answer, in solutions and starters alike: by these, tools find what a learner wrote.
ANSWER = re.compile(r"^# === answer: (\w+) ===[ \t]*$", re.MULTILINE)
END = re.compile(r"^# === end of answer ===[ \t]*$", re.MULTILINE)

# Which repository an address names is nobody's answer: tests/tools/address.py changes it in starters and solutions alike.
REPOSITORY = re.compile(r"\bgithub(\.com)?/[\w.-]+/[\w.-]+")

# Jupyter goes on after a cell with this tag has failed, so that one run from top to bottom shows all that is to do.
GOES_ON = "raises-exception"


def starter_of(solution: NotebookNode) -> NotebookNode:
    """Return the starter of a solution: answers are stubs, outputs are gone, and what an unanswered stub stops is marked so."""
    answers = {name for cell in _code(solution) for name in ANSWER.findall(cell.source)}
    cells = []
    for number, cell in enumerate(solution.cells):
        starter = NotebookNode(cell_type=cell.cell_type, id=f"cell-{number:02d}", metadata=NotebookNode(), source=cell.source)
        if "course_lib" in cell.metadata:
            starter.metadata["course_lib"] = cell.metadata["course_lib"]
        if cell.cell_type == "code":
            starter.update(execution_count=None, outputs=[], source=stubbed(cell.source))
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


def stubbed(source: str) -> str:
    """Return the text of a cell with every answer between the marks replaced by signature, docstring and a stub."""
    pieces, position = [], 0
    for mark in ANSWER.finditer(source):
        end = END.search(source, mark.end())
        if end is None:
            raise ValueError(f"the answer {mark[1]} has no end mark")
        pieces += [source[position : mark.end()], "\n", _stub(source[mark.end() : end.start()], mark[1])]
        position = end.start()
    return "".join([*pieces, source[position:]])


def _stub(answer: str, name: str) -> str:
    function = next((node for node in ast.parse(answer).body if isinstance(node, ast.FunctionDef) and node.name == name), None)
    if function is None or ast.get_docstring(function) is None:
        raise ValueError(f"the answer {name} must define a function {name} with a docstring")
    head = answer.splitlines()[function.lineno - 1 : function.body[0].end_lineno]
    return "\n".join([*head, f'    raise NotImplementedError("{name} is not answered yet")', ""])


def digest(notebook: NotebookNode) -> str:
    """A fingerprint of what is written in the cells. Outputs and metadata do not count: to run a notebook changes them."""
    written = [[cell.cell_type, REPOSITORY.sub("", cell.source)] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(written).encode("utf8")).hexdigest()


def is_ours(path: Path, starter: NotebookNode) -> bool:
    """Whether nobody wrote into the file: its cells are those of `starter`, or those of the starter it once was."""
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


def text_of(notebook: NotebookNode) -> str:
    """Return a notebook as the text of its file."""
    return nbformat.writes(notebook) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a starter is not up to date")
    parser.add_argument("--folder", type=Path, default=STARTERS, help="where the starters go (default: beside this file)")
    options = parser.parse_args(arguments)
    failed = False
    for path in sorted(SOLUTIONS.glob("*.ipynb")):
        starter = starter_of(nbformat.read(path, as_version=4))
        text, target = text_of(starter), options.folder / path.name
        if target.exists() and target.read_bytes() == text.encode("utf8"):
            continue
        if options.check:
            failed = True
            print(f"{target.name} is not what its solution gives; run python exercises/release.py", file=sys.stderr)
        elif target.exists() and not is_ours(target, starter):
            failed = True
            print(f"{target.name} was changed and is left as it is. Move it away to get a new starter.", file=sys.stderr)
        else:
            target.write_text(text, encoding="utf8", newline="\n")
            print(f"{target.name} written")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
