"""Every check against answers: right ones written in many ways, and the wrong ones that it knows by name.

The answers to an exercise lie in a file of its own, answers/exNN_name.py, where they are found by its name. It holds
RIGHT: part -> right answers, each a function for the part's answer, two or more, written as learners write them; and, if
there is something to tell, TRIED: (part, answer, the name of the mistake that it must get, or None) and
TOLD: (part, answer, words that its message must have).
"""

import importlib
import itertools
import multiprocessing
import os
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
import torch

from course_lib import checks
from course_lib.checks.engine.mistakes import Edited, Mistakes

ANSWERS = {exercise.name: importlib.import_module(f"answers.ex{exercise.stem}") for exercise in checks.EXERCISES}
PARTS = [(exercise, part) for exercise in checks.EXERCISES for part in exercise.parts]
MISTAKES = [(exercise, mistake) for exercise in checks.EXERCISES for mistake in exercise.mistakes]
every_part = pytest.mark.parametrize(("exercise", "part"), PARTS, ids=lambda it: it.name)
every_mistake = pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=lambda it: it.name)
every_exercise = pytest.mark.parametrize("exercise", checks.EXERCISES, ids=lambda it: it.name)


def result(exercise, part, answers, seed):
    observation = exercise.observe(answers, seed, [part], time_limit=None)
    return exercise.judge(observation, seed, [part]).parts[0]


@every_part
def test_every_part_has_right_answers_written_differently(exercise, part):
    answers = ANSWERS[exercise.name].RIGHT[part.name]
    assert len(answers) >= 2
    for answer in answers:
        for seed in range(3):
            found = result(exercise, part.name, {part.answers[0]: answer}, seed)
            assert found.passed, f"{answer.__name__}, seed {seed}: {found}"
            assert found.points == part.points


@every_exercise
def test_at_least_five_mistakes_and_every_part_knows_some(exercise):
    assert len(exercise.mistakes) >= 5
    assert {mistake.part for mistake in exercise.mistakes} == {part.name for part in exercise.parts}
    names = [(mistake.part, mistake.name) for mistake in exercise.mistakes]
    assert len(set(names)) == len(names)


@every_mistake
def test_a_mistake_fails_by_its_own_name(exercise, mistake):
    found = result(exercise, mistake.part, {**exercise.right, **mistake.answers}, 0)
    assert (found.points, found.mistake, found.hint) == (0, mistake.name, mistake.hint), str(found)
    assert found.message


@every_mistake
def test_the_text_of_a_mistake_is_the_mistake(exercise, mistake):
    """What a grader's tests paste into a notebook: it needs only what the notebook imports."""
    namespace = run_text(imports_of(exercise), mistake.source)
    answers = {name: namespace[name] for name in mistake.answers}
    found = result(exercise, mistake.part, {**exercise.right, **answers}, 0)
    assert found.mistake == mistake.name


TRIED = [(exercise, *tried) for exercise in checks.EXERCISES for tried in getattr(ANSWERS[exercise.name], "TRIED", ())]
TOLD = [(exercise, *told) for exercise in checks.EXERCISES for told in getattr(ANSWERS[exercise.name], "TOLD", ())]


def answer_of(exercise, part):
    return next(it.answers[0] for it in exercise.parts if it.name == part)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize(("exercise", "part", "answer", "name"), TRIED, ids=lambda it: getattr(it, "__name__", ""))
def test_what_learners_tried_gets_its_name(exercise, part, answer, name, seed):
    found = result(exercise, part, {answer_of(exercise, part): answer}, seed)
    assert not found.passed
    assert found.mistake == name, str(found)


@pytest.mark.parametrize(("exercise", "part", "answer", "words"), TOLD, ids=lambda it: getattr(it, "__name__", ""))
def test_what_learners_tried_is_told_apart(exercise, part, answer, words):
    assert words in result(exercise, part, {answer_of(exercise, part): answer}, 0).message


# ---- mistakes as edits ----

EDITED = [
    (exercise, mistake.part, answer)
    for exercise, mistake in MISTAKES
    for answer in mistake.answers.values()
    if isinstance(answer, Edited)
]


def test_what_is_edited_is_a_right_answer():
    bases = {(exercise, part, answer.__name__, answer.right) for exercise, part, answer in EDITED if answer.edits}
    assert len(bases) > 10
    for exercise, part, name, right in bases:
        for seed in (0, 1):
            found = result(exercise, part, {**exercise.right, name: right}, seed)
            assert found.passed, f"{right.__name__}: {found}"


def test_most_mistakes_are_edits_and_nothing_is_compiled_before_it_is_needed():
    assert len(EDITED) > len(MISTAKES) / 2
    text = (
        "from course_lib import checks; answers = [answer for exercise in checks.EXERCISES for mistake in exercise.mistakes"
        " for answer in mistake.answers.values()]; print([vars(a).keys() & {'source', 'function'} for a in answers"
        " if hasattr(a, 'edits')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([set()] * len(EDITED))


def tripled(x):
    return 2 * x + x


def test_an_edit_is_made_in_the_text_of_the_right_answer():
    wrong = Mistakes()
    wrong.edit(tripled, "only", answer="triple")("doubled", "Once more.", {"2 * x + x": "2 * x"})
    (mistake,) = wrong
    assert (mistake.name, mistake.part, mistake.hint) == ("doubled", "only", "Once more.")
    assert mistake.source == "def triple(x):\n    return 2 * x"
    assert mistake.answers["triple"](x=5) == 10


@pytest.mark.parametrize(("old", "times"), [("3 * x", 0), ("x", 3)])
def test_an_edit_that_is_not_of_one_text_is_told(old, times):
    wrong = Mistakes()
    wrong.edit(tripled, "only")("doubled", "Once more.", {old: ""})
    with pytest.raises(ValueError, match=rf"must occur once in tripled; it occurs {times} times"):
        wrong[0].answers["tripled"](5)


# ---- many seeds ----


def failures(number: int, seeds: int) -> list[str]:
    """For one exercise: right answers that fail on a seed (two for each part), wrong ones that pass or get another name.

    A mistake is run once for each part and seed: what it gives is both what came in, and what the check knows of it.
    """
    torch.set_num_threads(1)
    exercise, wrong = checks.EXERCISES[number], []
    for part, seed in itertools.product(exercise.parts, range(seeds)):
        for answer in ANSWERS[exercise.name].RIGHT[part.name][:2]:
            found = result(exercise, part.name, {**exercise.right, part.answers[0]: answer}, seed)
            if not found.passed:
                wrong.append(f"{part.name}, {answer.__name__}, seed {seed}: {found}")
        for mistake in (mistake for mistake in exercise.mistakes if mistake.part == part.name):
            observation = {part.name: exercise._expected(part, mistake, seed).observed.plain()}
            (found,) = exercise.judge(observation, seed, [part.name]).parts
            if found.passed or found.mistake != mistake.name:
                wrong.append(f"{part.name}, {mistake.name}, seed {seed}: {found}")
    return wrong


@pytest.fixture(scope="module")
def of_all_seeds(request):
    failing = partial(failures, seeds=request.config.getoption("seeds"))
    # New processes, each with one thread: this is most of the time that the tests of the checks take.
    pool = ProcessPoolExecutor(max(1, min(2, os.cpu_count() or 1)), multiprocessing.get_context("spawn"))
    with pool:
        order = sorted(range(len(checks.EXERCISES)), key=lambda n: -len(checks.EXERCISES[n].mistakes))
        yield dict(zip(order, pool.map(failing, order), strict=True))


@pytest.mark.parametrize("number", range(len(checks.EXERCISES)), ids=lambda n: checks.EXERCISES[n].name)
def test_many_seeds(of_all_seeds, number):
    assert of_all_seeds[number] == []


# ---- the words ----


def test_hints_and_names_are_short_and_say_no_more_than_they_should():
    for exercise, mistake in MISTAKES:
        assert 0 < len(mistake.name) < 80
        assert 20 < len(mistake.hint) < 220, mistake.name
        assert "!" not in mistake.hint + mistake.name
        for statement in re.split(r"[\n;]", "".join(mistake.source)):
            assert len(statement.strip()) < 12 or statement.strip() not in mistake.hint, exercise


def imports_of(exercise):
    """The imports of the exercise's notebook."""
    import nbformat

    from exercises.release import SOLUTIONS

    return nbformat.read(SOLUTIONS / f"{exercise.stem}.ipynb", as_version=4).cells[2].source


def run_text(*texts):
    namespace = {}
    for text in texts:
        exec(text, namespace)
    return namespace
