"""Finding answers: which text of a notebook is the answer to a question, and what has to run so that it exists.

An answer stands between its marks or, failing that, in the last cell that defines its name.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

from course_lib import checks
from exercises.grading import library, notebooks
from exercises.grading.cells import Cell, split
from exercises.grading.needs import Notebook
from exercises.release import ANSWER, REPOSITORY, STARTERS


@dataclass
class ExtractedAnswers:
    """The answers to one exercise in one notebook, ready to be sent to a child."""

    pieces: list[dict] = field(default_factory=list)  # statements, each {"cell", "line", "text", "binds"}
    needed: dict[str, dict] = field(default_factory=dict)  # answer -> {"alone", "before"}: numbers of pieces, as in `Needed`
    broken: dict[str, str] = field(default_factory=dict)  # answer -> why it can't be read as Python
    texts: dict[str, str] = field(default_factory=dict)  # answer -> as the learner wrote it
    repeated: list[str] = field(default_factory=list)  # answers that are there more than once
    library: list[str] = field(default_factory=list)  # parts of course_lib and ways into memory that it uses and should not


def find(code: Sequence[str], exercise) -> ExtractedAnswers:
    """The answers to `exercise` in the code cells of a notebook."""
    given, number_given = _given(exercise.stem), 0
    found, chosen, cells = ExtractedAnswers(), {}, []
    for source, text in enumerate([*given, *code], -len(given)):
        as_given = _plain(text) in _given_texts(exercise.stem)
        for cell in split(text):
            cell.statements = [replace(s, cell=len(cells), source=source, given=as_given) for s in cell.statements]
            cells.append(cell)
        number_given = len(cells) if source < 0 else number_given
    for name in exercise.answers:
        indices = _indices(cells[number_given:], name)
        if indices:
            chosen[name] = number_given + indices[-1]
            cell = cells[chosen[name]]
            found.texts[name] = cell.text.strip("\n")
            if cell.error:
                found.broken[name] = cell.error
            if len(indices) > 1 and len({cells[number_given + index].text.strip() for index in indices}) > 1:
                found.repeated.append(name)
    notebook = Notebook(cells, chosen, exercise.name)
    needed = {name: notebook.needed(name) for name in chosen}
    numbers = sorted({number for it in needed.values() for number in (*it.alone, *(it.before or ()))})
    statements, position = [notebook.order[number] for number in numbers], {number: n for n, number in enumerate(numbers)}
    found.pieces = [{"cell": s.source, "line": s.line, "text": s.text, "binds": sorted(s.binds)} for s in statements]
    found.needed = {
        name: {key: value and [position[number] for number in value] for key, value in asdict(it).items()}
        for name, it in needed.items()
    }
    found.library = library.used(statements, exercise.library)
    return found


def which(code: Sequence[str], hint: str):
    """The exercise that a notebook answers: by its marks, its checks, the names it defines; the file's name decides a tie."""
    text = "\n".join(code)
    marks, scores = set(ANSWER.findall(text)), {}
    for exercise in checks.EXERCISES:
        by_mark = len(marks & set(exercise.answers))
        by_check = len(re.findall(rf"\bchecks\.{exercise.name}\(", text))
        by_name = sum(bool(re.search(rf"^(async )?def {name}\b", text, re.MULTILINE)) for name in exercise.answers)
        scores[exercise] = (by_mark > 0, by_check > 0, by_name / len(exercise.answers))
    best = max(scores.values())
    likely = [exercise for exercise, score in scores.items() if score == best]
    if len(likely) == 1 and any(best):
        return likely[0]
    named = named_by(hint)
    return named if named in likely or not any(best) else likely[0]


def named_by(file_name: str):
    """The exercise whose name stands in the name of a file, or None."""
    plain = re.sub(r"[^a-z0-9]+", "_", file_name.lower())
    return next((exercise for exercise in checks.EXERCISES if exercise.stem in plain), None) or next(
        (exercise for exercise in checks.EXERCISES if re.search(rf"(^|_){exercise.name}(_|$)", plain)), None
    )


@lru_cache
def _given(stem: str) -> tuple[str, ...]:
    """The code that a starter gives: its imports stay known, even if a learner has deleted the cell."""
    return tuple(text for text in notebooks.read((STARTERS / f"{stem}.ipynb").read_bytes()) if not ANSWER.search(text))


@lru_cache
def _given_texts(stem: str) -> frozenset[str]:
    return frozenset(map(_plain, _given(stem)))


def _plain(text: str) -> str:
    """Without what may differ in a cell that nobody has changed: spaces at its ends, and whose copy of the course it is."""
    return REPOSITORY.sub("", text.strip())


def _indices(cells: list[Cell], name: str) -> list[int]:
    """The indices of the cells that answer `name`: between its marks, else anywhere, else the stub."""
    marked = [number for number, cell in enumerate(cells) if cell.answer == name]
    written = [number for number in marked if not cells[number].stub and (cells[number].defines(name) or cells[number].error)]
    elsewhere = [number for number, cell in enumerate(cells) if cell.answer != name and cell.defines(name)]
    return written or elsewhere or marked
