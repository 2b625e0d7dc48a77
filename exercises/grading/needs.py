"""What has to run so that an answer is there as it was where it stands: what it needs alone, or all cells before it.

Imports, functions and constants can be followed from name to name. Where a value was computed, or may have been changed by a
loop or a call, names alone do not say how it came about; then the learner's cells before the answer run in their order, as
they ran in the notebook. Cells that are as they were given out run only as far as something needs them.
"""

import builtins
import re
from collections import defaultdict
from dataclasses import dataclass

from exercises.grading.cells import Cell, Statement


@dataclass(frozen=True)
class Needed:
    """Numbers of statements, in their order. alone: what the answer needs; before: all before it, None if that adds nothing.

    late: those that stand below the answer, and count only where nothing before it gives their names a value.
    """

    alone: tuple[int, ...]
    before: tuple[int, ...] | None
    late: tuple[int, ...] = ()


class Notebook:
    """The statements of a notebook in their order, and which of them answers stand in. chosen: answer -> number of its cell."""

    def __init__(self, cells: list[Cell], chosen: dict[str, int], check: str):
        self.order: list[Statement] = [statement for cell in cells for statement in cell.statements]
        self.chosen, self.check = chosen, re.compile(rf"\s*checks\.{check}\(")
        self.binding, self.acting, self.changing, self.using = tables = [defaultdict(list) for _ in range(4)]
        for number, statement in enumerate(self.order):
            for name in statement.binds:
                (self.acting if statement.acts else self.binding)[name].append(number)
            for name in statement.changes:
                self.changing[name].append(number)
            for name in () if statement.plain else statement.uses:
                self.using[name].append(number)
        for table in tables:
            table.default_factory = None

    def needed(self, answer: str) -> Needed:
        """What has to run for the answer of this name."""
        until = self._stands_until(answer)
        alone, unknown = self._follow(answer, until)
        statements = [self.order[number] for number in alone]
        own = [n for n in range(until + 1) if self._is_own(n, alone)]
        others = [self.order[number] for number in own if number not in alone and not self.order[number].plain]
        fixed = all(statement.plain for statement in statements) and not unknown
        if not others or (fixed and not any(statement.wild for statement in others)):
            return Needed(tuple(sorted(alone)), None)
        late = {n for n in alone if n > until and not self.order[n].binds & set(self.chosen)}
        return Needed(tuple(sorted(alone)), tuple(sorted({*alone, *own})), tuple(sorted(late)))

    def _stands_until(self, answer: str) -> int:
        """The number of the statement after which the answer is what it is: its own check, else the last of its cell."""
        cell = self.chosen[answer]
        source = next((s.source for s in self.order if s.cell == cell), None)
        last = max((n for n, s in enumerate(self.order) if s.cell <= cell or s.source == source), default=-1)
        named = re.compile(rf"\b{answer}\b")
        for number, statement in enumerate(self.order):
            if statement.cell > cell and statement.acts and self.check.match(statement.text) and named.search(statement.text):
                return number
        return last

    def _is_own(self, number: int, alone: set[int]) -> bool:
        """Tell whether the learner wrote this statement, and it is neither a check nor a stub of what is answered elsewhere."""
        statement = self.order[number]
        if statement.given or self.check.match(statement.text):
            return False
        return not (statement.stub and number not in alone)

    def _follow(self, answer: str, until: int) -> tuple[set[int], bool]:
        """The statements that an answer needs, and whether it uses a name of which nothing says where it comes from."""
        alone, waiting, seen = set(), [answer], {answer}
        while waiting:
            name = waiting.pop()
            giving = self._giving(name, until)
            opened = name not in self.chosen and any(not self.order[number].plain for number in giving)
            joining = [table.get(name, ()) for table in (self.acting, self.changing, self.using)[: 3 if opened else 2]]
            for number in (*giving, *(n for group in joining for n in group if n <= until and self.order[n].source >= 0)):
                statement = self.order[number]
                if number in alone or self.check.match(statement.text):
                    continue
                alone.add(number)
                steps = {name for name in (*statement.uses, *statement.binds) if self._is_known(name)} - seen
                seen |= steps
                waiting += steps
        uses = set().union(*(self.order[number].uses for number in alone))
        unknown = bool({name for name in uses if not self._is_known(name)} - set(dir(builtins)))
        if unknown:  # then it may come with a star
            stars = {number for number, statement in enumerate(self.order) if statement.star}
            alone |= stars
        return alone, unknown

    def _is_known(self, name: str) -> bool:
        return name in self.binding or name in self.acting

    def _giving(self, name: str, until: int) -> list[int]:
        """The statements that give a name its value: all up to where the answer stands, else the last that there are."""
        numbers = self.binding.get(name, [])
        if name in self.chosen:
            own = [n for n in numbers if self.order[n].cell == self.chosen[name]]
            return own + [n for n in numbers if own and own[-1] < n <= until and not self.order[n].stub]
        written = [n for n in numbers if self.order[n].source >= 0]
        return [n for n in written if n <= until] or _last_cell(self.order, written or numbers)


def _last_cell(order: list[Statement], numbers: list[int]) -> list[int]:
    return [n for n in numbers if order[n].cell == order[numbers[-1]].cell]
