"""The text of a notebook's cells as statements: what each gives a value to, needs, and may change."""

import ast
import re
import symtable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, takewhile

from IPython.core.inputtransformer2 import TransformerManager

from exercises.release import ANSWER, END

_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError)
_MOST_MAGICS = 100  # in a cell; each costs IPython another pass over it
_REMEMBERED = 512  # texts; most of a notebook is as it was given out
_ACTS = (ast.For, ast.AsyncFor, ast.While, ast.Expr)  # loops and calls do something; other statements make something
_COMPOUND = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.Try, ast.With, ast.For, ast.AsyncFor, ast.While)
_CHANGES_ANYTHING = {"delattr", "eval", "exec", "globals", "locals", "setattr", "vars"}


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a cell. binds: names that it gives a value; uses: global names that it needs.

    cell: the number of its `Cell`; source: that of the notebook's cell, below 0 for one that the starter gives; given: its
    cell is as it was given out. acts: a loop or a call, which may do anything; plain: it does nothing but give a name a
    fixed value; changes: names whose value it may change without naming it anew. stub: a function that nobody has written yet.
    """

    cell: int
    line: int
    text: str
    binds: frozenset[str]
    uses: frozenset[str]
    star: bool = False
    stub: bool = False
    acts: bool = False
    plain: bool = False
    changes: frozenset[str] = frozenset()
    source: int = 0
    given: bool = False

    @property
    def wild(self) -> bool:
        """Tell whether names alone do not say what it changes."""
        return bool(self.uses & _CHANGES_ANYTHING) or "" in self.changes


@dataclass
class Cell:
    """A part of a notebook's cell: an answer between its marks (then `answer` is its name), or what is left beside it."""

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
        return bool(written) if self.error else any(name in s.binds and not s.acts for s in self.statements)


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
        nodes = [node for node in ast.parse(plain).body if not _says_nothing(node)]
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


def _says_nothing(node: ast.stmt) -> bool:
    """Tell whether it is a text or a number alone, or a magic, which only a kernel knows."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython"))))):
            return True
    return False


def _statement(node: ast.stmt, lines: list[bytes], lines_before: int) -> Statement:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    taken = lines[first - 1 : node.end_lineno]
    if not isinstance(node, _COMPOUND):
        # Several statements may share a line. ast.get_source_segment would go through the whole cell for each.
        taken[-1] = taken[-1][: node.end_col_offset]
        taken[0] = taken[0][node.col_offset :]
    source = b"\n".join(taken).decode("utf8")
    try:
        table = symtable.symtable(source, "cell", "exec")
    except SyntaxError:
        if not isinstance(node, _ACTS):
            raise
        return Statement(0, lines_before + first, source, frozenset(), frozenset(), acts=True)  # an await, say
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    star = isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    changes = frozenset(_changes(node, table))
    return Statement(
        0,
        lines_before + first,
        source,
        frozenset(binds),
        frozenset(_globals(table)),
        star,
        _is_stub(node),
        isinstance(node, _ACTS),
        not changes and _is_plain(node),
        changes,
    )


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


def _changes(node: ast.stmt, table: symtable.SymbolTable) -> set[str]:
    """The names of which it changes an item or an attribute, or which a function in it declares global.

    An attribute that is set at the top of a cell may be that of a module under any name; "" stands for it.
    """
    stores = [
        it for it in ast.walk(node) if isinstance(it, (ast.Attribute, ast.Subscript)) and not isinstance(it.ctx, ast.Load)
    ]
    found = {_root(store) for store in stores}
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        found |= {"" for store in stores if isinstance(store, ast.Attribute)}
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        waiting += inner.get_children()
        found |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_assigned()}
    return found - {"self"}


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_plain(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.FunctionDef(decorator_list=[], args=arguments) | ast.AsyncFunctionDef(decorator_list=[], args=arguments):
            return all(_is_fixed(value) for value in (*arguments.defaults, *arguments.kw_defaults) if value)
        case ast.Assign(targets=targets, value=value):
            return _is_fixed(value) and all(isinstance(it, ast.Name) for target in targets for it in _entries(target))
        case ast.AnnAssign(target=ast.Name(), value=value):
            return value is None or _is_fixed(value)
    return False


def _entries(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple) else [target]


def _is_fixed(value: ast.expr) -> bool:
    """Tell whether it is made of constants, names and attributes alone, or a lambda: to write it down changes nothing."""
    match value:
        case ast.Constant() | ast.Name() | ast.Lambda():
            return True
        case ast.Attribute(value=inner) | ast.UnaryOp(operand=inner):
            return _is_fixed(inner)
        case ast.BinOp(left=left, right=right):
            return _is_fixed(left) and _is_fixed(right)
        case ast.Tuple(elts=entries):
            return all(map(_is_fixed, entries))
    return False
