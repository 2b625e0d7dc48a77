"""Finding answers: what of a notebook has to run so that the functions which an exercise asks for exist, and nothing else.

An answer stands between its marks or, failing that, in the last cell that defines its name. What it needs (imports, helpers,
constants) is followed from name to name. Cells that train, draw or check are never needed, and so never run.
"""

import ast
import builtins
import re
import symtable
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, takewhile

from IPython.core.inputtransformer2 import TransformerManager

from course_lib import checks
from exercises.grading import notebooks
from exercises.release import ANSWER, END, STARTERS

_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError)
_MOST_MAGICS = 100  # in a cell; each costs IPython another pass over it
_REMEMBERED = 512  # texts; most of a notebook is as it was given out
_NEVER = (ast.For, ast.AsyncFor, ast.While, ast.Expr)  # loops and calls do something; answers need what is something


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a cell. binds: names that it gives a value; uses: global names that it needs."""

    cell: int
    line: int
    text: str
    binds: frozenset[str]
    uses: frozenset[str]
    star: bool = False
    stub: bool = False  # a function that nobody has written yet


@dataclass
class Cell:
    """A piece of a notebook: an answer between its marks (then `answer` is its name), or what is left of a cell."""

    answer: str | None
    text: str
    statements: list[Statement] = field(default_factory=list)
    error: str | None = None

    @property
    def stub(self) -> bool:
        if self.error:
            return f"{self.answer} is not answered yet" in self.text
        return any([statement.stub for statement in self.statements if self.answer in statement.binds][-1:])

    def defines(self, name: str) -> bool:
        written = re.search(rf"^(async )?def {name}\b|^{name} *=", self.text, re.MULTILINE)
        return bool(written) if self.error else any(name in statement.binds for statement in self.statements)


@dataclass
class ExtractedAnswers:
    """The answers to one exercise in one notebook, ready to be sent to a child."""

    pieces: list[dict] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)  # answer -> why it can't be read as Python
    texts: dict[str, str] = field(default_factory=dict)  # answer -> as the learner wrote it
    repeated: list[str] = field(default_factory=list)  # answers that are there more than once
    library: list[str] = field(default_factory=list)  # parts of course_lib that it uses and should not


def find(code: Sequence[str], exercise) -> ExtractedAnswers:
    """The answers to `exercise` in the code cells of a notebook."""
    given = [piece for text in _given(exercise.stem) for piece in split(text)]
    cells = [*given, *(piece for text in code for piece in split(text))]
    number_given, found, chosen = len(given), ExtractedAnswers(), {}
    for number, cell in enumerate(cells):
        cell.statements = [replace(statement, cell=number) for statement in cell.statements]
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
    needed = _needed(cells, chosen)
    found.pieces = [{"line": s.line, "text": s.text, "binds": sorted(s.binds)} for s in needed]
    learner = "\n".join(statement.text for statement in needed if statement.cell >= number_given)
    found.library = [dotted for dotted in exercise.library if _mentions(learner, dotted)]
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


def split(text: str) -> list[Cell]:
    """The answers between marks, and the rest, in their order."""
    pieces, position = [], 0
    for mark in ANSWER.finditer(text):
        if mark.start() < position:
            continue
        following = ANSWER.search(text, mark.end())
        stop = following.start() if following else len(text)
        end = END.search(text, mark.end(), stop)
        pieces.append(_parsed(None, text[position : mark.start()], text[:position].count("\n")))
        first_line = text[: mark.end()].count("\n")
        pieces.append(_parsed(mark[1], text[mark.end() : end.start() if end else stop], first_line))
        position = end.end() if end else stop
    pieces.append(_parsed(None, text[position:], text[:position].count("\n")))
    return [piece for piece in pieces if piece.text.strip()]


def _parsed(answer: str | None, text: str, lines_before: int) -> Cell:
    statements, error = _read(text, lines_before)
    return Cell(answer, text, list(statements), error)


@lru_cache(_REMEMBERED)
def _read(text: str, lines_before: int) -> tuple[tuple[Statement, ...], str | None]:
    """The statements of a text, or none and why it can't be read."""
    try:
        plain = _without_magics(text)
        nodes = [node for node in ast.parse(plain).body if not isinstance(node, _NEVER)]
        lines = plain.encode("utf8").split(b"\n")
        return tuple(_statement(node, lines, lines_before) for node in nodes), None
    except _TOO_MUCH as problem:
        line = f" (line {lines_before + problem.lineno} of its cell)" if getattr(problem, "lineno", None) else ""
        what = getattr(problem, "msg", None) or str(problem) or type(problem).__name__
        return (), f"{what}{line}"


def _without_magics(text: str) -> str:
    # These run the rest of the cell as Python; others, as %%bash, do not.
    text = re.sub(r"^(\s*)%%(time|timeit|capture|prun)\b[^\n]*", r"\1", text)
    # [^\S\n], not \s: across lines, each of many empty ones would be the start of another search through the rest.
    magics = re.findall(r"^[^\S\n]*[%!?]|\?[^\S\n]*$|= *[%!]", text, re.MULTILINE)
    if not 0 < len(magics) <= _MOST_MAGICS:
        return text
    empty = len(text) - len(text.lstrip("\n"))  # which IPython cuts off
    try:
        return "\n" * empty + TransformerManager().transform_cell(text)
    except Exception:  # tokenizing fails in many ways; then it is not Python either
        return text


def _statement(node: ast.stmt, lines: list[bytes], lines_before: int) -> Statement:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    taken = lines[first - 1 : node.end_lineno]
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.Try, ast.With)):
        # Several statements may share a line. ast.get_source_segment would go through the whole cell for each.
        taken[-1] = taken[-1][: node.end_col_offset]
        taken[0] = taken[0][node.col_offset :]
    source = b"\n".join(taken).decode("utf8")
    table = symtable.symtable(source, "cell", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    star = isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    return Statement(0, lines_before + first, source, frozenset(binds), frozenset(_globals(table)), star, _is_stub(node))


def _is_stub(node: ast.stmt) -> bool:
    """Tell whether a function still comes to its stub's `raise`. One in a comment or after a return was only left behind."""
    reached = takewhile(lambda statement: not isinstance(statement, ast.Return), getattr(node, "body", ()))
    for inner in chain.from_iterable(map(ast.walk, reached)):
        match inner:
            case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"), args=[ast.Constant(value=said)])):
                if said == f"{getattr(node, 'name', None)} is not answered yet":
                    return True
    return False


def _globals(table: symtable.SymbolTable) -> set[str]:
    top = table.get_type() == "module"
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    return names.union(*map(_globals, table.get_children()))


@lru_cache
def _given(stem: str) -> tuple[str, ...]:
    """The code that a starter gives: its imports stay known, even if a learner has deleted the cell."""
    return tuple(text for text in notebooks.read((STARTERS / f"{stem}.ipynb").read_bytes()) if not ANSWER.search(text))


def _indices(cells: list[Cell], name: str) -> list[int]:
    """The indices of the cells that answer `name`: between its marks, else anywhere, else the stub."""
    marked = [number for number, cell in enumerate(cells) if cell.answer == name]
    written = [number for number in marked if not cells[number].stub and (cells[number].defines(name) or cells[number].error)]
    elsewhere = [number for number, cell in enumerate(cells) if cell.answer != name and cell.defines(name)]
    return written or elsewhere or marked


def _needed(cells: list[Cell], chosen: dict[str, int]) -> list[Statement]:
    """The statements that define the answers, and those that these need, in the order of the notebook."""
    order = [statement for cell in cells for statement in cell.statements]
    bindings: dict[str, dict[int, list[int]]] = {}  # name -> cell -> numbers of the statements that give it a value
    for number, statement in enumerate(order):
        for name in statement.binds:
            bindings.setdefault(name, {}).setdefault(statement.cell, []).append(number)
    needed, waiting = set(), list(chosen.items())
    seen = set(waiting)
    while waiting:
        name, cell = waiting.pop()
        for number in _binding(bindings.get(name), chosen.get(name, cell)):
            needed.add(number)
            steps = {(use, order[number].cell) for use in order[number].uses if use in bindings} - seen
            seen |= steps
            waiting += steps
    uses = set().union(*(order[number].uses for number in needed))
    if uses - set(bindings) - set(dir(builtins)):  # then it may come with a star
        needed.update(number for number, statement in enumerate(order) if statement.star)
    return [order[number] for number in sorted(needed)]


def _binding(bindings: dict[int, list[int]] | None, cell: int) -> list[int]:
    """The statements that give a name its value: all in the same cell, else those in the last cell that has any."""
    return bindings.get(cell) or bindings[max(bindings)] if bindings else []


def _mentions(text: str, dotted: str) -> bool:
    package, _, module = dotted.rpartition(".")
    return bool(
        re.search(rf"\b{re.escape(dotted)}\b", text)
        or re.search(rf"\b{module}\b", "\n".join(re.findall(rf"\bfrom\s+{re.escape(package)}\s+import\b([^\n]*)", text)))
        or (module == "checks" and re.search(r"\bchecks\.", text))
    )
