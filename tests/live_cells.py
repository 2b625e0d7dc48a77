"""The cells that the live figures of a notebook need: those that show one, and those that define what these use.

They are told by names, as Python's own tables of symbols have them. A cell that only changes what a name stands for, such as
`students.update(...)`, is not seen: then a figure fails for want of it, or shows the thing unchanged.
"""

import ast
import symtable
from collections.abc import Sequence
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager


def cells_of_figures(path: Path, count: int | None = None) -> list[int]:
    """Return the numbers of those cells, counted from 0, among all of a notebook's; the first code cell is one of them.

    count: how many cells that show a figure, from the top; all without it.
    """
    cells = nbformat.read(path, as_version=4).cells
    code = {
        number: TransformerManager().transform_cell(cell.source)
        for number, cell in enumerate(cells)
        if cell.cell_type == "code"
    }
    shown = [number for number, source in code.items() if "LiveFigure(" in source][:count]
    return [min(code), *needed({number: source for number, source in code.items() if number > min(code)}, shown)]


def needed(sources: dict[int, str], wanted_cells: Sequence[int]) -> list[int]:
    """Return which cells are to run, in order, so that `wanted_cells` can: number -> source, in the order of the notebook."""
    kept, names = [], set()
    for number in reversed(sources):
        defined, used = names_of(sources[number])
        if number in wanted_cells or defined & names:
            kept.append(number)
            names = (names - defined) | used
    return kept[::-1]


def names_of(source: str) -> tuple[set[str], set[str]]:
    """Return the names that a cell defines at its top level, and those that it uses and has, or may have, from before."""
    defined, used = set(), set()
    for statement in ast.parse(source).body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        symbols = table.get_symbols()
        read = {symbol.get_name() for symbol in symbols if symbol.is_referenced()} | _globals(table)
        if isinstance(statement, ast.AugAssign):
            read |= {symbol.get_name() for symbol in symbols}
        used |= read - defined
        defined |= {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    return defined, used


def _globals(table: symtable.SymbolTable) -> set[str]:
    """Return the names that functions, classes and comprehensions inside take from the cell."""
    inside = table.get_children()
    names = {symbol.get_name() for child in inside for symbol in child.get_symbols() if symbol.is_global()}
    return names.union(*(_globals(child) for child in inside))
