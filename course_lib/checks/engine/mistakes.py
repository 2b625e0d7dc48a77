"""The usual mistakes: wrong answers that can be run, each with a name and a hint.

One that differs from the right answer in a word is written as that edit of it, so that a reader sees the mistake at once;
one that goes another way is a function of its own.
"""

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Mistake:
    """A wrong answer with a name. part: where it shows by that name; answers: answer name -> the wrong function."""

    name: str
    part: str
    hint: str
    answers: dict[str, Callable]

    @property
    def source(self) -> str:
        """The text of the wrong answer, under the name that the exercise asks for."""
        return "\n\n".join(read_source(function, name) for name, function in self.answers.items())


def read_source(function: Callable, name: str) -> str:
    """Return the text of a function as if it were called `name`, without decorators and docstring."""
    if isinstance(function, Edited):
        return function.source
    lines = inspect.getsource(function).splitlines()
    definition = ast.parse("\n".join(lines)).body[0]
    documented = ast.get_docstring(definition) is not None
    body = definition.body[0].end_lineno if documented else definition.body[0].lineno - 1
    lines = lines[definition.lineno - 1 : definition.body[0].lineno - 1] + lines[body:]
    return "\n".join(lines).replace(f"def {function.__name__}(", f"def {name}(", 1)


class Edited:
    """A right answer after some edits, each an old text that occurs in it once -> a new text. Compiled when first needed."""

    def __init__(self, right: Callable, answer: str, edits: dict[str, str]):
        self.right, self.edits, self.__name__ = right, edits, answer

    @cached_property
    def source(self) -> str:
        """Return the text after the edits. ValueError if an old text is not there, or is there more than once."""
        text = read_source(self.right, self.__name__)
        for old, new in self.edits.items():
            if text.count(old) != 1:
                raise ValueError(
                    f"{old!r} must occur once in {self.right.__name__}; it occurs {text.count(old)} times:\n{text}"
                )
            text = text.replace(old, new)
        return text

    @cached_property
    def function(self) -> Callable:
        """Return the function that the text defines, beside the right one."""
        defined = {}
        # Under the file of the right one: what an error says of its line must not depend on who wrote the answer.
        exec(compile(self.source, self.right.__code__.co_filename, "exec"), self.right.__globals__, defined)
        return defined[self.__name__]

    def __call__(self, *arguments, **named):
        return self.function(*arguments, **named)


class Mistakes(list):
    """The mistakes of an exercise, in the order in which they are written down."""

    def __call__(self, answer: str, part: str, name: str) -> Callable:
        """Decorate a wrong way to answer `answer`, which shows in `part` by this name. Its docstring is the hint."""

        def collect(function: Callable) -> Callable:
            self.append(Mistake(name, part, " ".join(function.__doc__.split()), {answer: function}))
            return function

        return collect

    def edit(self, right: Callable, part: str, answer: str | None = None) -> Callable[[str, str, dict[str, str]], None]:
        """Return a function that notes a mistake by its name, its hint and its edits of `right`, a right answer in `part`.

        answer: what `right` answers, if it is not called so.
        """

        def note(name: str, hint: str, edits: dict[str, str]) -> None:
            asked_for = answer or right.__name__
            self.append(Mistake(name, part, hint, {asked_for: Edited(right, asked_for, edits)}))

        return note
