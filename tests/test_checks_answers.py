"""Every check against answers: right ones written in many ways, and the wrong ones that it knows by name."""

import dataclasses
import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from right_answers import RIGHT

from course_lib import checks

SEEDS = range(200)
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
    answers = RIGHT[exercise.name][part.name]
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
    for seed in (0, 1, 77):
        found = result(exercise, mistake.part, {**exercise.right, **mistake.answers}, seed)
        assert (found.points, found.mistake, found.hint) == (0, mistake.name, mistake.hint), f"seed {seed}: {found}"
        assert found.message


@every_mistake
def test_the_text_of_a_mistake_is_the_mistake(exercise, mistake):
    """What a grader's tests paste into a notebook: it needs only what the notebook imports."""
    namespace = run_text(imports_of(exercise), mistake.source)
    answers = {name: namespace[name] for name in mistake.answers}
    found = result(exercise, mistake.part, {**exercise.right, **answers}, 5)
    assert found.mistake == mistake.name


def test_the_original_lessons_swapped_kl_is_known():
    lesson = run_text(
        "import torch.nn.functional as F",
        "def soft_term(student_logits, teacher_logits, T):\n"
        "    return F.kl_div(F.log_softmax(teacher_logits / T, dim=1), F.softmax(student_logits / T, dim=1),"
        " reduction='batchmean')",
    )["soft_term"]
    found = result(checks.distillation_loss, "soft term", {"soft_term": lesson}, 0)
    assert found.mistake == "the arguments of KL swapped, and T² left out"


def test_a_mistake_is_known_in_other_words_and_beside_right_code():
    def swapped_by_hand(student_logits, teacher_logits, T):
        q, p = torch.softmax(student_logits.double() / T, 1), torch.softmax(teacher_logits.double() / T, 1)
        return T**2 * (q * (q / p).log()).sum(1).mean()

    def log_of_softmax_but_detached(student_logits, teacher_logits, labels, T, alpha):
        q, p = torch.softmax(student_logits / T, 1), torch.softmax(teacher_logits.detach() / T, 1)
        soft = T**2 * (p * (p.log() - q.log())).sum(1).mean()
        return alpha * soft + (1 - alpha) * torch.nn.functional.cross_entropy(student_logits, labels)

    exercise = checks.distillation_loss
    assert result(exercise, "soft term", {"soft_term": swapped_by_hand}, 3).mistake == "the arguments of KL swapped"
    found = result(exercise, "safe", {"distillation_loss": log_of_softmax_but_detached}, 3)
    assert found.mistake == "the logarithm of a softmax"


def test_two_mistakes_at_once_are_told_by_the_first_that_shows():
    def nats_and_nan(probabilities):
        return -(probabilities * torch.log(probabilities)).sum(-1)

    def times_zero_and_divided_by_zero(student_logits, teacher_logits, mask, T):
        log_q, p = torch.log_softmax(student_logits / T, -1), torch.softmax(teacher_logits / T, -1)
        return T**2 * (torch.nn.functional.kl_div(log_q, p, reduction="none").sum(-1) * mask).sum() / mask.sum()

    assert result(checks.soft_targets, "entropy", {"entropy": nats_and_nan}, 0).mistake == "natural logarithms"
    found = result(checks.sequences, "padding", {"sequence_soft_term": times_zero_and_divided_by_zero}, 0)
    assert found.mistake == "padding is multiplied by zero"


def test_a_right_value_without_a_gradient_is_not_called_something_else():
    def by_item(student_logits, teacher_logits, T):
        return RIGHT["distillation_loss"]["soft term"][0](student_logits, teacher_logits, T).item()

    found = result(checks.distillation_loss, "soft term", {"soft_term": by_item}, 0)
    assert found.mistake is None
    assert "no gradient reaches `student_logits`" in found.message


def test_an_unknown_mistake_gets_no_name():
    found = result(checks.distillation_loss, "soft term", {"soft_term": lambda z, v, T: 1.7 * (z - v).square().mean()}, 0)
    assert found.status == "wrong"
    assert found.mistake is None


# ---- two hundred seeds ----


def failures(number: int) -> list[str]:
    """For one exercise and 200 seeds: the right answers that fail (two for each part), the wrong ones that pass."""
    torch.set_num_threads(1)
    exercise = checks.EXERCISES[number]
    judge_only = dataclasses.replace(exercise, mistakes=(), _known={})  # without looking for names, which takes longer
    wrong = []
    for part in exercise.parts:
        right = [({part.answers[0]: answer}, answer.__name__, True) for answer in RIGHT[exercise.name][part.name][:2]]
        mistaken = [(m.answers, m.name, False) for m in exercise.mistakes if m.part == part.name]
        for answers, name, passes in right + mistaken:
            answers = {**exercise.right, **answers}
            bad = next((seed for seed in SEEDS if result(judge_only, part.name, answers, seed).passed != passes), None)
            if bad is not None:
                wrong.append(f"{exercise.name}, {part.name}, {name}: wrongly {'failed' if passes else 'passed'} on seed {bad}")
    return wrong


@pytest.fixture(scope="module")
def of_all_seeds():
    # New processes, each with one thread: this is most of the time that the tests of the checks take.
    pool = ProcessPoolExecutor(max(1, min(2, os.cpu_count() or 1)), multiprocessing.get_context("spawn"))
    with pool:
        order = sorted(range(len(checks.EXERCISES)), key=lambda n: -len(checks.EXERCISES[n].mistakes))
        yield dict(zip(order, pool.map(failures, order), strict=True))


@pytest.mark.parametrize("number", range(len(checks.EXERCISES)), ids=lambda n: checks.EXERCISES[n].name)
def test_two_hundred_seeds(of_all_seeds, number):
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
