"""Answers alike: a copy is found under other names, and what everybody writes is not."""

import random
import re

import hostile
import pytest
import written_alone
from test_grading_pages import EVIL, Tags

from course_lib import checks
from exercises.grading import alike, alike_page, normal_form, pages, scoring
from exercises.grading.rows import Graded, Row
from exercises.grading.submissions import Student

EX1, EX4 = checks.soft_targets, checks.distillation_loss
needs_rapidfuzz = pytest.mark.skipif(alike.Indel is None, reason="rapidfuzz is not installed; pip install -e '.[grading]'")


def row(name: str, texts: dict[str, str], exercise=EX4) -> Row:
    return Row(Student(name), [Graded(exercise, scoring.all_of(exercise, "missing"), texts, file="x.ipynb")])


def written(seed: int, students: int) -> list[Row]:
    rng = random.Random(seed)
    return [row(f"s{number}", written_alone.answers(rng)) for number in range(students)]


@needs_rapidfuzz
@pytest.mark.parametrize("students", [6, 15, 40])
def test_a_copy_with_other_names_is_the_pair_that_is_listed(students):
    for seed in range(5):
        rows = written(seed, students)
        rows.append(row("copy", written_alone.renamed(rows[2].graded[0].texts)))
        assert rows[-1].graded[0].texts != rows[2].graded[0].texts
        (found,) = alike.compare(rows)
        first = found.pairs[0]
        assert (first.one, first.other, first.agreement) == (2, students, 1.0)
        assert found.usual < found.bar < 1


@needs_rapidfuzz
def test_answers_written_alone_are_seldom_listed():
    """The generator knows few ways, so that two of them may well be nearly the same; a class of 15 has 105 pairs."""
    listed = [len(alike.compare(written(seed, 15))[0].pairs) for seed in range(40)]
    assert sum(map(bool, listed)) <= 6
    assert sum(listed) <= 6


@needs_rapidfuzz
def test_what_is_short_or_rewritten_is_not_listed():
    line = {"soft_targets": "def soft_targets(logits, T):\n    return torch.softmax(logits / T, -1)\n"}
    (found,) = alike.compare([row(f"s{number}", line, EX1) for number in range(30)])
    assert (found.students, found.pairs) == (0, [])
    assert "fewer than 6 answers of at least 40 tokens" in found.why_not
    rows = written(0, 15)
    rows.append(row("friend", {**rows[0].graded[0].texts, "soft_term": written(99, 1)[0].graded[0].texts["soft_term"]}))
    assert not [pair for pair in alike.compare(rows)[0].pairs if pair.other == 15]


@needs_rapidfuzz
def test_where_all_write_the_same_nobody_is_listed():
    text = written(1, 1)[0].graded[0].texts
    (found,) = alike.compare([row(f"s{number}", text) for number in range(20)])
    assert found.pairs == []
    assert "even equal ones say nothing" in found.why_not


@needs_rapidfuzz
def test_the_bar_is_that_of_the_distribution():
    """A bell curve around -1 with a spread of 1/2: the bar for its 10,000 pairs is 5.6 spreads down."""
    rng = random.Random(0)
    middle, bar = alike.limits([rng.gauss(-1, 0.5) for _ in range(10_000)])
    assert middle == pytest.approx(-1, abs=0.02)
    assert bar == pytest.approx(-1 - 5.6 * 0.5, abs=0.1)
    with_copies = alike.limits([rng.gauss(-1, 0.5) for _ in range(9_800)] + [-9.0] * 200)
    assert with_copies[1] == pytest.approx(bar, abs=0.25)


def test_names_spaces_comments_and_the_starter_do_not_count():
    swapped = "def f(a, b):\n    return a / b\n"
    assert normal_form.of_text(swapped) != normal_form.of_text(swapped.replace("a / b", "b / a"))
    one = 'def f(a, b):\n    """Doc."""\n    total = a*b  # why\n    return torch.log(total)\n'
    other = "def g(x: int, y) -> int:\n\n    z: float = x * y\n    return torch.log(z)\n"
    assert normal_form.of_text(one) == normal_form.of_text(other) != []
    assert normal_form.of_text(one.replace("log", "exp")) != normal_form.of_text(one)
    for exercise in checks.EXERCISES:
        starter = hostile.notebooks.read((hostile.SOLUTIONS.parent / f"{exercise.stem}.ipynb").read_bytes())
        texts = dict(re.findall(r"# === answer: (\w+) ===\n(.*?)# === end", "\n".join(starter), re.DOTALL))
        assert set(texts) == set(exercise.answers)
        assert normal_form.of_exercise(exercise, texts) == []


@pytest.mark.parametrize("text", ["def f(:\n  pass # x", "", "%matplotlib", "x = '\x00'", "(" * 500, "class A:\n    pass"])
def test_what_is_not_python_has_tokens_too(text):
    assert all(isinstance(token, str) for token in normal_form.of_text(text))


@needs_rapidfuzz
def test_the_page_accuses_nobody_and_runs_nothing():
    rows = written(3, 15)
    texts = {name: f"{text}    # {EVIL[:-1]}" for name, text in rows[0].graded[0].texts.items()}
    rows.append(row(EVIL, texts))
    seen = Tags(alike_page.render(rows, alike.compare(rows)))
    assert not seen.tags & {"script", "img", "iframe", "object", "link", "base", "form"}
    assert seen.handlers == []
    assert "accuses nobody" in seen.text
    assert "The bar comes from the class itself" in seen.text
    assert "alert(1)" in seen.text
    assert "mark" in seen.tags


def test_without_the_library_it_is_said(monkeypatch):
    monkeypatch.setattr(alike, "Indel", None)
    rows = written(3, 15)
    assert alike.compare(rows) is None
    assert "rapidfuzz is not installed" in alike_page.render(rows, None)
    assert "not compared" in pages.report(rows, pages.file_names(rows), [], 7)
