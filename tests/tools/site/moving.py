"""Puts films and guesses into the pages of the notebooks, in place of pictures that stand still."""

import ast
import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from PIL import Image

from tests.tools.site import fragments

IT_IS = re.compile(r"^It is (.*)\.$", re.MULTILINE)  # how Guess.beside begins, where nobody guessed
GUESS = "Your guess: "


def films_in(folder: Path) -> dict[tuple[int, int], dict]:
    """Return (number of the cell, number of the picture in it) -> what its film.json holds, of a notebook's films."""
    found = {tuple(map(int, path.parent.name.split("-"))): path for path in folder.glob("*/film.json")}
    return {place: json.loads(path.read_text(encoding="utf8")) for place, path in sorted(found.items())}


def put_films(notebook: NotebookNode, films: Path, out: Path, address: str) -> None:
    """Copy the films of a notebook to the folder `out`, and show each in place of its saved picture.

    address: of `out`, seen from the page. RuntimeError if a film has no picture: then other code saved it.
    """
    for (number, picture), film in films_in(films).items():
        pictures = [output for output in notebook.cells[number].outputs if "image/png" in output.get("data", {})]
        if picture >= len(pictures):
            raise RuntimeError(f"cell {number} shows a live figure as picture {picture}, and saved {len(pictures)} pictures")
        output, name = pictures[picture], f"{number}-{picture}"
        shutil.copytree(films / name, out / name, ignore=shutil.ignore_patterns("film.json", "state-*"))
        saved, said = output.data["image/png"], output.metadata["image/png"]
        Image.open(io.BytesIO(base64.b64decode(saved))).convert("RGB").save(out / name / "still.webp", lossless=True)
        drawn = (said["width"], said["height"])
        output.data["text/html"] = fragments.film_figure(
            f"{address}/{name}", film, f"{address}/{name}/still.webp", drawn, said["alt"]
        )
        del output.data["image/png"]


def put_guesses(notebook: NotebookNode, films: Path) -> None:
    """Show each guess whose answer is saved as a form."""
    answers = answers_of(notebook)
    for number, question in json.loads((films / "questions.json").read_text(encoding="utf8")).items():
        for output in notebook.cells[int(number)].outputs:
            asked = output.get("data", {}).get("text/plain", "")
            if asked == GUESS + question["question"] and int(number) in answers:
                output.data["text/html"] = fragments.guess_form(question, answers[int(number)], f"guess-{number}")


def answers_of(notebook: NotebookNode) -> dict[int, str]:
    """Return number of the cell that asks -> the answer, as the cell that calls `beside` has saved it."""
    asked, answers = {}, {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not ("Guess(" in cell.source or ".beside(" in cell.source):
            continue
        tree = ast.parse(TransformerManager().transform_cell(cell.source))
        for statement in tree.body:
            if isinstance(statement, ast.Assign) and getattr(getattr(statement.value, "func", None), "id", "") == "Guess":
                asked[statement.targets[0].id] = number
        said = IT_IS.findall("".join(output.get("text", "") for output in cell.outputs))
        names = list(_answered(tree))
        if len(names) == len(said):
            answers.update({asked[name]: answer for name, answer in zip(names, said, strict=True) if name in asked})
    return answers


def _answered(tree: ast.AST) -> Iterator[str]:
    """Yield the names of the guesses whose `beside` is called, in the order of the source."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "beside"]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if isinstance(call.func.value, ast.Name):
            yield call.func.value.id
