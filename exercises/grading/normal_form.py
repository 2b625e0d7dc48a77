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
    tree = _Plain({*_bound(tree)}).visit(tree)
    found = []
    for node in tree.body:
        inner = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else [node]
        found += [ast.unparse(ast.fix_missing_locations(one)) for one in inner]
    return found


class _Plain(ast.NodeTransformer):
    """Gives all names that a text binds one name, and takes its docstrings and annotations away."""

    def __init__(self, bound: set[str]):
        self.bound = bound

    def visit_Name(self, node):
        return ast.Name(_NAME if node.id in self.bound else node.id, node.ctx)

    def visit_arg(self, node):
        return ast.arg(_NAME)

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.name, node.returns, node.decorator_list = _NAME, None, []
        documented = isinstance(node.body[0], ast.Expr) and isinstance(getattr(node.body[0], "value", None), ast.Constant)
        node.body = node.body[documented:] or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else ast.Pass()


def _bound(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


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
