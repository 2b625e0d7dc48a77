"""Small changes of a right answer, in its syntax tree: constants for arguments, lines dropped, names and operators swapped."""

import ast
import copy
from collections.abc import Iterator

_OPERATORS = {ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,),
              ast.Mod: (ast.FloorDiv,), ast.FloorDiv: (ast.Div,), ast.MatMult: ()}  # fmt: skip
_COMPARISONS = {ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
                ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,)}  # fmt: skip
_WORDS = {"sum": ("mean",), "mean": ("sum",), "batchmean": ("mean", "sum"), "none": ("mean",), "log_softmax": ("softmax",),
          "softmax": ("log_softmax",), "max": ("min",), "argmax": ("argmin",), "log2": ("log",), "cos": ("sin",),
          "eval": ("train",), "train": ("eval",), "amax": ("amin",), "min": ("max",), "median": ("mean",)}  # fmt: skip


def mutants(text: str, name: str, seen: dict[str, set]) -> Iterator[tuple[str, str]]:
    """(what was changed, the text) for each. seen: argument -> the plain values with which a check called the answer."""
    tree = ast.parse(text)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    if ast.get_docstring(function) is not None:
        del function.body[0]
    parameters = [argument.arg for argument in function.args.args]
    names = sorted(
        {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} - {"torch", "F", "math", "range", "zip", "len"}
    )
    for number, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node, names, parameters, seen):
            mutant = copy.deepcopy(tree)
            target = next(other for n, other in enumerate(ast.walk(mutant)) if n == number)
            change(target, mutant)
            try:
                yield f"{what} in `{_line(node, tree)}`", ast.unparse(ast.fix_missing_locations(mutant))
            except Exception:  # nothing that can be written down
                continue
    for parameter in parameters:  # everywhere at once: an argument that is not looked at
        for value in sorted(seen.get(parameter, ()), key=repr):
            mutant = copy.deepcopy(tree)
            found = next(node for node in mutant.body if isinstance(node, ast.FunctionDef) and node.name == name)
            found.body.insert(0, ast.Assign([ast.Name(parameter, ast.Store())], ast.Constant(value)))
            yield f"{parameter} is always {value!r}", ast.unparse(ast.fix_missing_locations(mutant))


def _line(node: ast.AST, tree: ast.AST) -> str:
    """The statement that a node stands in, its first line."""
    holder = node
    for statement in ast.walk(tree):
        if isinstance(statement, ast.stmt) and any(inner is node for inner in ast.walk(statement)):
            holder = statement
    return ast.unparse(holder).split("\n")[0]


def _changes(node: ast.AST, names: list[str], parameters: list[str], seen: dict) -> Iterator:
    match node:
        case ast.Name(ctx=ast.Load()) if node.id in names:
            for other in names:
                if other != node.id:
                    yield f"{node.id} -> {other}", _set(id=other)
        case ast.BinOp(op=op):
            for other in _OPERATORS.get(type(op), ()):
                yield f"{type(op).__name__} -> {other.__name__}", _set(op=other())
            yield "the left side alone", _become(lambda it: it.left)
            yield "the right side alone", _become(lambda it: it.right)
        case ast.UnaryOp(op=ast.USub()):
            yield "no minus", _become(lambda it: it.operand)
        case ast.Compare(ops=[op]):
            for other in _COMPARISONS.get(type(op), ()):
                yield f"{type(op).__name__} -> {other.__name__}", _set(ops=[other()])
        case ast.Constant(value=bool(value)):
            yield f"{value} -> {not value}", _set(value=not value)
        case ast.Constant(value=int() | float() as value):
            for other in (value + 1, value - 1, -value):
                if other != value:
                    yield f"{value} -> {other}", _set(value=other)
        case ast.Constant(value=str(value)):
            for other in _WORDS.get(value, ()):
                yield f"{value!r} -> {other!r}", _set(value=other)
        case ast.Attribute(attr=name):
            for other in _WORDS.get(name, ()):
                yield f"{name} -> {other}", _set(attr=other)
        case ast.Slice(lower=lower, upper=upper):
            if lower or upper:
                yield "no bounds", _set(lower=None, upper=None)
        case ast.IfExp():
            yield "the first of two always", _become(lambda it: it.body)
            yield "the second of two always", _become(lambda it: it.orelse)
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            yield f"without {keyword.arg}", _without("keywords", node.keywords.index(keyword))
        if isinstance(node.func, ast.Attribute):
            yield f"without .{node.func.attr}()", _become(lambda it: it.func.value)
        if len(node.args) > 1:
            yield "two arguments exchanged", lambda it, tree: it.args.__setitem__(slice(0, 2), it.args[1::-1])
            yield "the last argument left out", lambda it, tree: it.args.pop()
    for field in ("body", "orelse"):
        lines = getattr(node, field, None)
        if isinstance(lines, list) and isinstance(node, (ast.FunctionDef, ast.For, ast.If, ast.With)):
            for position, line in enumerate(lines):
                if not isinstance(line, ast.FunctionDef):
                    yield f"dropped `{ast.unparse(line).splitlines()[0]}`", _drop(field, position)
                if isinstance(line, ast.With):
                    yield f"not within `{ast.unparse(line).splitlines()[0]}`", _unwrap(field, position)


def _set(**fields):
    return lambda it, tree: [setattr(it, name, value) for name, value in fields.items()]


def _without(field: str, position: int):
    return lambda it, tree: getattr(it, field).pop(position)


def _drop(field: str, position: int):
    def change(it, tree):
        lines = getattr(it, field)
        lines[position : position + 1] = [] if len(lines) > 1 or field == "orelse" else [ast.Pass()]

    return change


def _unwrap(field: str, position: int):
    def change(it, tree):
        lines = getattr(it, field)
        lines[position : position + 1] = lines[position].body

    return change


def _become(choose):
    """Put a part of a node in its place."""

    def change(it, tree):
        part = choose(it)
        for parent in ast.walk(tree):
            for field, value in ast.iter_fields(parent):
                if value is it:
                    setattr(parent, field, part)
                elif isinstance(value, list) and any(entry is it for entry in value):
                    value[next(n for n, entry in enumerate(value) if entry is it)] = part

    return change
