"""Guesses: asked for, kept, and told beside what is right; nobody has to make one."""

import pytest

from course_lib.live import WIDGET_VIEW, Guess


def test_a_number_is_told_beside_the_answer(capsys):
    guess = Guess("How many?", (0, 100), unit="%")
    assert guess.value is None
    guess.beside(74.3)
    guess._control.value = 40
    guess.beside(74.3)
    guess.beside(40.04)
    guess.beside(12, digits=0)
    assert capsys.readouterr().out.splitlines() == [
        "It is 74.3 %.",
        "You guessed 40 %. It is 74.3 %: 34.3 more.",
        "You guessed 40 %. It is 40.0 %.",
        "You guessed 40 %. It is 12 %: 28 less.",
    ]


def test_a_word_is_told_beside_the_answer(capsys):
    guess = Guess("Which?", ["A", "B"])
    guess.beside("B")
    guess._control.value = "A"
    guess.beside("B")
    guess.beside("A")
    assert capsys.readouterr().out.splitlines() == ["It is B.", "It is B. You guessed A.", "It is A. You guessed A, too."]


def test_a_saved_notebook_shows_the_question():
    guess = Guess("How many, <or none>?", (0.0, 1.0, 0.1))
    data = guess._repr_mimebundle_()
    assert data["text/plain"] == "Your guess: How many, <or none>?"
    assert data[WIDGET_VIEW]["model_id"] == guess.widget.model_id
    assert "&lt;or none&gt;" in guess.widget.children[0].value
    guess.close()
    assert guess.widget.comm is None


def test_wrong_arguments():
    with pytest.raises(TypeError, match="question must be a str, got int"):
        Guess(3, (0, 1))
    for answers in (["A"], [], ["A", 2]):
        with pytest.raises(ValueError, match=r"answers must be .* or a list of two words or more"):
            Guess("Which?", answers)
    with pytest.raises(TypeError, match="control answers must be"):
        Guess("Which?", (0, 1, 2, 3))
