"""Every right answer with one small thing changed in it loses marks, unless the change changes nothing that was asked for."""

import re

import hostile
import pytest
import torch
from mutants import mutants

from course_lib import checks
from exercises.release import ANSWER, END

SEED = 5
SECONDS = 1.0  # that a changed answer may take; more is no pass


def answers_of(exercise) -> tuple[str, dict[str, str]]:
    """The imports of a solution, and its answers by name."""
    code, texts = hostile.solution(exercise.stem), {}
    for cell in code:
        for mark in ANSWER.finditer(cell):
            texts[mark[1]] = cell[mark.end() : END.search(cell, mark.end()).start()].strip("\n")
    return code[1], texts


def namespace_of(exercise) -> dict:
    imports, texts = answers_of(exercise)
    namespace = {}
    for text in (imports, *texts.values()):
        exec(text, namespace)
    return namespace


def values_seen(exercise, name: str, right) -> dict[str, set]:
    """argument -> the numbers with which the checks call the answer, as far as they are numbers."""
    names, seen = right.__code__.co_varnames[: right.__code__.co_argcount], {}

    def spy(*given, **named):
        for key, value in {**dict(zip(names, given, strict=False)), **named}.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                seen.setdefault(key, set()).add(value)
        return right(*given, **named)

    exercise.observe({**exercise.right, name: spy}, SEED, time_limit=None)
    return seen


def passes(exercise, name: str, answer, seed: int = SEED) -> bool:
    """Tell whether an answer gets the marks of all parts that ask for it."""
    parts = [part.name for part in exercise.parts if name in part.answers]
    return all(
        exercise.judge(exercise.observe({**exercise.right, name: answer}, seed, [part], SECONDS), seed, [part]).passed
        for part in parts
    )


ASKED = [(exercise, name) for exercise in checks.EXERCISES for name in exercise.answers]
# (answers, changes, why they are still right): all that passes though something was changed in it
SAME = [
    (
        "class_similarity|nearest_classes|name_unseen",
        "1 -> -1 in .*(argmax|max|shape)",
        "the last dimension of two, by either number",
    ),
    (
        "soft_term_gradient|gradient_.*|soft_term",
        r"(no minus|1 -> -1) in .*(softmax|dim=-1|\(-1|\[-1)",
        "the last dimension of two",
    ),
    ("sequence_soft_term|shifted_loss", r"(no minus|1 -> -1) in .*softmax", "real tokens alone: the last dimension of two"),
    (
        "soft_term|sequence_soft_term|shifted_loss",
        "without dim in .*softmax",
        "torch takes the last dimension of two by itself",
    ),
    ("entropy", "1 -> 2 in .*log2", "a logarithm that is multiplied by zero"),
    ("class_similarity", "teacher_logits -> p in .*shape", "of the same shape"),
    ("nearest_classes", "1 -> [02] in .*fill_diagonal", "no probability is below zero"),
    ("gradient_slope", r"without \.item\(\)", "a tensor with a single number is a number, too"),
    ("gradient_slope", "mean -> sum", "a factor that does not depend on T has no slope"),
    ("gradient_limit", "student_logits -> (centred_v|centred_z|teacher_logits) in .*shape", "of the same shape"),
    ("train_step|train_with_schedule", "optimizer -> student in .*zero_grad", "the optimizer holds the student's parameters"),
    ("train", "losses -> batches in .*len", "as many losses as batches"),
    (
        "train_with_schedule",
        "not within `with torch.no_grad",
        "distillation_loss takes the teacher's logits as constants; not asked for",
    ),
    (
        "linear_T|cosine_T|shared_.*|sequence_soft_term",
        "two arguments exchanged in .*(max|min)",
        "the larger or smaller of two",
    ),
    ("shuffled_batches", "inputs -> (labels|teacher_logits) in .*len", "of the same length"),
    ("shuffled_batches", r"without \.Generator\(\)", "torch.manual_seed gives a generator with that seed, too"),
    ("choose_model", r"1 -> -1 in .*\[1\]", "the last of two"),
    ("sequence_soft_term", "z -> (v|p|log_q) in .*len", "of the same length"),
    ("replacement", "p -> q in .*where", "where nothing is missing both are the same"),
    ("check_drafts", r"without \.tolist\(\)", "an index may be a tensor"),
    ("check_drafts", "drafted -> (numbers|q) in .*len", "of the same length"),
]


@pytest.mark.parametrize(("exercise", "name"), ASKED, ids=lambda it: getattr(it, "name", it))
def test_a_changed_answer_loses_marks(exercise, name):
    torch.set_num_threads(1)
    text, base = answers_of(exercise)[1][name], namespace_of(exercise)
    assert passes(exercise, name, base[name])
    left = []
    for what, changed in mutants(text, name, values_seen(exercise, name, base[name])):
        namespace = dict(base)
        try:
            exec(changed, namespace)
        except Exception:
            continue
        if passes(exercise, name, namespace[name]) and not why_same(name, what):
            left.append((name, what))
    assert not left, "\n".join(map(str, left))


def why_same(name: str, what: str) -> str:
    return next((why for names, changes, why in SAME if re.fullmatch(names, name) and re.match(changes, what)), "")


@pytest.mark.parametrize(("exercise", "name"), ASKED, ids=lambda it: getattr(it, "name", it))
def test_every_number_that_an_answer_is_given_varies(exercise, name):
    seen = values_seen(exercise, name, namespace_of(exercise)[name])
    assert all(len(values) > 1 for values in seen.values()), seen
