"""Every check against answers: right ones written in many ways, and the wrong ones that it knows by name."""

import itertools
import multiprocessing
import os
import random
import re
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from right_answers import RIGHT

from course_lib import checks
from course_lib.losses import distillation_loss

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


# What learners tried: each of these once got only numbers, a wrong name, or a hint that led astray.


def nats_and_nan(probabilities):
    return -(probabilities * torch.log(probabilities)).sum(-1)


def powers_in_double(logits, T):
    powers = torch.exp(logits.double() / T)
    return powers / powers.sum(-1, keepdim=True)


def powers_over_T(logits, T):
    powers = torch.exp(logits) / T
    return powers / powers.sum(-1, keepdim=True)


def soft_by_item(student_logits, teacher_logits, T):
    return RIGHT["distillation_loss"]["soft term"][0](student_logits, teacher_logits, T).item()


def soft_within_no_grad(student_logits, teacher_logits, T):
    with torch.no_grad():
        return RIGHT["distillation_loss"]["soft term"][0](student_logits, teacher_logits, T)


def whole_with_soft_item(student_logits, teacher_logits, labels, T, alpha):
    return alpha * soft_by_item(student_logits, teacher_logits, T) + (1 - alpha) * F.cross_entropy(student_logits, labels)


def order_of_the_formula_without_T(student_logits, teacher_logits, T):
    return F.kl_div(F.softmax(teacher_logits / T, 1), F.log_softmax(student_logits / T, 1))


def student_within_no_grad(student, teacher, batch, optimizer, T, alpha):
    student.train(), teacher.eval()
    with torch.no_grad():
        loss = distillation_loss(student(batch[0]), teacher(batch[0]), batch[1], T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def cleared_after_the_step(student, teacher, batch, optimizer, T, alpha):
    student.train(), teacher.eval()
    loss = distillation_loss(student(batch[0]), teacher(batch[0]).detach(), batch[1], T, alpha)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def loss_as_a_tensor_without_a_graph(*arguments):
    return torch.tensor(RIGHT["training"]["step"][0](*arguments))


def shuffled_loop(student, teacher, batches, optimizer, epochs, T, alpha):
    batches = random.sample(batches, len(batches))
    return RIGHT["training"]["loop"][0](student, teacher, batches, optimizer, epochs, T, alpha)


def adam_loop(student, teacher, batches, optimizer, epochs, T, alpha):
    adam = torch.optim.Adam(student.parameters(), lr=1e-3)
    return RIGHT["training"]["loop"][0](student, teacher, batches, adam, epochs, T, alpha)


def zero_without_a_graph(student_logits, teacher_logits, mask, T):
    if mask.sum() == 0:
        return torch.tensor(0.0, requires_grad=True)
    return RIGHT["sequences"]["padding"][0](student_logits, teacher_logits, mask, T)


def times_zero_and_divided_by_zero(student_logits, teacher_logits, mask, T):
    log_q, p = torch.log_softmax(student_logits / T, -1), torch.softmax(teacher_logits / T, -1)
    return T**2 * (F.kl_div(log_q, p, reduction="none").sum(-1) * mask).sum() / mask.sum()


def filled_after_the_divergence(student_logits, teacher_logits, mask, T):
    log_q, p = torch.log_softmax(student_logits / T, -1), torch.softmax(teacher_logits / T, -1)
    tokens = F.kl_div(log_q, p, reduction="none").sum(-1).masked_fill(~mask, 0)
    return T**2 * tokens.sum() / mask.sum().clamp(min=1)


TRIED = [
    ("soft_targets", "formula", powers_over_T, "T has no effect"),
    ("soft_targets", "stable", powers_in_double, "the exponential of a large number"),
    ("soft_targets", "entropy", nats_and_nan, "natural logarithms"),
    ("distillation_loss", "soft term", soft_by_item, "the student's side is cut from the graph"),
    ("distillation_loss", "soft term", soft_within_no_grad, "the student's side is cut from the graph"),
    ("distillation_loss", "whole", whole_with_soft_item, "no gradient comes through the soft term"),
    ("distillation_loss", "soft term", order_of_the_formula_without_T, "`F.kl_div` takes its arguments in another order"),
    ("training", "step", student_within_no_grad, "the loss does not depend on the student's parameters"),
    ("training", "step", cleared_after_the_step, "the gradients of earlier steps are still there"),
    ("training", "step", loss_as_a_tensor_without_a_graph, "the loss is returned as a tensor"),
    ("training", "loop", shuffled_loop, "the batches come in another order"),
    ("training", "loop", adam_loop, "an optimizer of its own"),
    ("sequences", "padding", zero_without_a_graph, "a constant for a batch without tokens"),
    ("sequences", "padding", times_zero_and_divided_by_zero, "padding is multiplied by zero"),
    ("sequences", "padding", filled_after_the_divergence, "padding is computed, and left out afterwards"),
]


@pytest.mark.parametrize(("exercise", "part", "answer", "name"), TRIED, ids=lambda it: getattr(it, "__name__", ""))
def test_what_learners_tried_gets_its_name(exercise, part, answer, name):
    exercise = getattr(checks, exercise)
    (answer_name,) = next(it.answers for it in exercise.parts if it.name == part)
    found = result(exercise, part, {answer_name: answer}, 0)
    assert found.mistake == name, str(found)


def test_a_loss_that_is_no_float_is_told_apart():
    for returned, says in ((torch.tensor(1.0), "It is a tensor."), (None, "Is there a `return`?"), ([1.0], "a single number")):

        def step(*arguments, returned=returned):
            RIGHT["training"]["step"][0](*arguments)
            return returned

        found = result(checks.training, "step", {"train_step": step}, 0)
        assert says in found.message


def test_an_unknown_mistake_gets_no_name():
    found = result(checks.distillation_loss, "soft term", {"soft_term": lambda z, v, T: 1.7 * (z - v).square().mean()}, 0)
    assert found.status == "wrong"
    assert found.mistake is None


# ---- many seeds ----


def failures(number: int, seeds: int) -> list[str]:
    """For one exercise: right answers that fail on a seed (two for each part), wrong ones that pass or get another name.

    A mistake is run once for each part and seed: what it gives is both what came in, and what the check knows of it.
    """
    torch.set_num_threads(1)
    exercise, wrong = checks.EXERCISES[number], []
    for part, seed in itertools.product(exercise.parts, range(seeds)):
        for answer in RIGHT[exercise.name][part.name][:2]:
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
