"""`Guess`: a question that the reader answers before the answer is shown."""

import html
from collections.abc import Sequence
from numbers import Real

import ipywidgets as widgets

from course_lib.live.controls import make_control, with_label
from course_lib.live.figure import WIDGET_VIEW
from course_lib.live.kernel import close_widget, forget, keep_while_shown


class Guess:
    """Show a question with a slider or buttons; `beside(answer)` later tells what was guessed and what is right.

        guess = Guess("How many of 100 boots will it name?", (0, 100), unit="%")
        guess                                   # shown; the reader moves it, or does not
        guess.beside(74.3)                      # in a later cell: You guessed 40 %. It is 74.3 %: 34.3 more.

    answers: (low, high) or (low, high, step), numbers in `unit`, for a slider; or a list of words, for buttons. Nobody has to
    guess: without a move, `value` is None and `beside` says only what is right. Raises TypeError or ValueError, naming the
    argument that is wrong.
    """

    def __init__(self, question: str, answers: Sequence, unit: str = ""):
        if not isinstance(question, str):
            raise TypeError(f"question must be a str, got {type(question).__name__}")
        self.question, self.unit, self.value = question, unit, None
        if isinstance(answers, list):
            if len(answers) < 2 or not all(isinstance(answer, str) for answer in answers):
                raise ValueError(
                    f"answers must be (low, high), (low, high, step) or a list of two words or more; got {answers!r}"
                )
            self._control = widgets.ToggleButtons(options=answers, value=None)
        else:
            self._control = make_control("answers", answers, answers[0] if isinstance(answers, tuple) and answers else None)
        self._control.description = "Your guess" + (f" ({unit})" if unit else "")
        label = widgets.HTML(f"<b>{html.escape(question)}</b>")
        self.widget = widgets.VBox([label, with_label("guess", self._control)])
        self._control.observe(self._changed, names="value")

    def _changed(self, change) -> None:
        self.value = change["new"]

    def close(self) -> None:
        """Take the question off the page; so it is when its cell is run again."""
        forget(self)
        close_widget(self.widget)

    def beside(self, answer: float | str, digits: int = 1) -> None:
        """Print the guess beside the answer, a number with so many digits after the point, or one of the words."""
        if not isinstance(answer, Real):
            verdict = "" if self.value is None else f" You guessed {self.value}" + (", too." if self.value == answer else ".")
            print(f"It is {answer}.{verdict}")
            return
        unit = f" {self.unit}" if self.unit else ""
        right = f"{answer:.{digits}f}{unit}"
        if self.value is None:
            print(f"It is {right}.")
            return
        apart = answer - self.value
        more = "" if round(apart, digits) == 0 else f": {abs(apart):.{digits}f} {'more' if apart > 0 else 'less'}"
        print(f"You guessed {self.value:g}{unit}. It is {right}{more}.")

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        keep_while_shown(self)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return {"text/plain": f"Your guess: {self.question}", WIDGET_VIEW: view}
