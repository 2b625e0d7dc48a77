"""An answer as tokens that do not depend on names, spacing, comments, or what the starter gave."""

import ast
import io
import re
import tokenize
from functools import lru_cache

from exercises.grading import answers, notebooks
from exercises.release import STARTERS

_NAME = "any_name"  # in the place of each name that the learner could choose
_LAYOUT = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.COMMENT}
_ROUGHLY = re.compile(r"\w+|[^\w\s]")


def of_exercise(exercise, texts: dict[str, str]) -> list[str]:
    """Return the tokens of all answers to an exercise. texts: {answer: as written}."""
    given = _given(exercise)
    return [token for name in exercise.answers if name in texts for token in of_text(texts[name], given)]


def of_text(text: str, given: frozenset[str] = frozenset()) -> list[str]:
    """Return the tokens of a text. given: statements that do not count, as `statements` gives them."""
    try:
        own = [code for code in statements(text) if code not in given]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return roughly(text)
    return [token for code in own for token in _tokens(code)]


def statements(text: str) -> list[str]:
    """Return the statements in a text, those of a function one by one, with its names made alike. Raises SyntaxError."""
    tree = ast.parse(text)
    tree = _Plain(_bound(tree)).visit(tree)
    found = []
    for node in tree.body:
        inner = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else [node]
        found += [ast.unparse(ast.fix_missing_locations(one)) for one in inner]
    return found


class _Plain(ast.NodeTransformer):
    """Gives all names that a text binds plain ones, and takes its docstrings and annotations away."""

    def __init__(self, bound: dict[str, str]):
        self.bound = bound

    def visit_Name(self, node):
        return ast.Name(self.bound.get(node.id, node.id), node.ctx)

    def visit_arg(self, node):
        return ast.arg(self.bound.get(node.arg, _NAME))

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.name, node.returns, node.decorator_list = _NAME, None, []
        documented = isinstance(node.body[0], ast.Expr) and isinstance(getattr(node.body[0], "value", None), ast.Constant)
        node.body = node.body[documented:] or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else ast.Pass()


def _bound(tree: ast.Module) -> dict[str, str]:
    """Return {name that a text binds: plain name}. Arguments are told apart, as the task gives them."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = _NAME
        elif isinstance(node, ast.arg):
            found[node.arg] = _NAME
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = _NAME
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            found |= {argument.arg: f"argument_{number}" for number, argument in enumerate(function.args.args)}
    return found


def lines(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return each line with its tokens under plain names; those of comments and docstrings have none."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [(line, tuple(roughly(line))) for line in text.splitlines()]
    bound, words = _bound(tree), {number for node in ast.walk(tree) for number in _documentation(node)}
    return [
        (line, () if number in words else tuple(bound.get(token, token) for token in roughly(line)))
        for number, line in enumerate(text.splitlines(), 1)
    ]


def _documentation(node: ast.AST) -> range:
    """Return the numbers of the lines of a text that stands alone, as a docstring does."""
    alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return range(node.lineno, node.end_lineno + 1) if alone else range(0)


def _tokens(code: str) -> list[str]:
    try:
        return [token.string for token in tokenize.generate_tokens(io.StringIO(code).readline) if token.type not in _LAYOUT]
    except (tokenize.TokenError, SyntaxError):
        return roughly(code)


def roughly(text: str) -> list[str]:
    """Return the words and signs of a text that need not be Python, without comments."""
    return _ROUGHLY.findall(re.sub(r"#.*", "", text))


@lru_cache
def _given(exercise) -> frozenset[str]:
    code = notebooks.read((STARTERS / f"{exercise.stem}.ipynb").read_bytes())
    return frozenset(one for text in answers.find(code, exercise).texts.values() for one in statements(text))
