"""What an answer uses that holds the answer: a part of course_lib, however imported, or a way to look for it in memory."""

import ast
from collections.abc import Iterable

from exercises.grading.cells import Statement

# These find what nobody has handed over: objects in memory, frames of those who call, modules by a name put together.
_MODULES = {"ctypes", "gc", "importlib", "inspect", "pkgutil", "runpy", "tracemalloc"}
_NAMES = {"__import__", "__loader__", "eval", "exec"}
_ATTRIBUTES = {"__globals__", "__subclasses__", "_getframe", "_current_frames", "f_back", "f_locals", "f_globals", "tb_frame"}
_ATTRIBUTES |= {"gi_frame", "__import__", "__loader__"}


def used(statements: Iterable[Statement], library: tuple[str, ...]) -> list[str]:
    """The parts of `library` (dotted names) that the learner's statements use, then the ways to look, each once.

    Imports in cells as they were given out say what a name is; only what a learner wrote counts as use.
    """
    known, paths = {}, set()
    trees = [(statement.given, node) for statement in statements for node in ast.walk(ast.parse(statement.text))]
    for given, node in trees:
        for name, path in _imported(node):
            known[name] = path
            paths |= set() if given else {path}
    learner = [node for given, node in trees if not given]
    ways = {path.partition(".")[0] for path in paths} & _MODULES
    for node in learner:
        path = _path(node, known)
        if path:
            paths.add(path)
        match node:
            case ast.Name(id=name) if name in _NAMES:
                ways.add(name)
            case ast.Attribute(attr=name) if name in _ATTRIBUTES or (name == "modules" and path == "sys.modules"):
                ways.add(path or name)
            case ast.Constant(value=str(text)):
                paths |= {dotted for dotted in library if dotted in text}
    return [dotted for dotted in library if any(f"{path}.".startswith(f"{dotted}.") for path in paths)] + sorted(ways)


def why(name: str) -> str:
    """In words, what is wrong with using it."""
    return "which holds the answer" if name.startswith("course_lib.") else "which can find the answer in memory"


def _imported(node: ast.AST) -> list[tuple[str, str]]:
    """(name, the dotted path of what it is) for each name that an import gives."""
    match node:
        case ast.Import(names=names):
            whole = [(alias.asname or alias.name.partition(".")[0], alias) for alias in names]
            return [(name, alias.name if alias.asname else name) for name, alias in whole] + [
                ("", alias.name) for alias in names
            ]
        case ast.ImportFrom(module=str(module), names=names):
            return [(alias.asname or alias.name, f"{module}.{alias.name}") for alias in names]
    return []


def _path(node: ast.AST, known: dict[str, str]) -> str | None:
    """The dotted path of a name, or of an attribute of one, as far as an import said what the name is."""
    ends = []
    while isinstance(node, ast.Attribute):
        ends.append(node.attr)
        node = node.value
    if not (isinstance(node, ast.Name) and node.id in known):
        return None
    return ".".join([known[node.id], *reversed(ends)])
