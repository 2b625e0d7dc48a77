"""What a teacher is worth on a thousand names, and what forgetting the shift costs: one seed, shorter than in the notebooks."""

import math

import pytest
import torch
from torch.utils.data import TensorDataset

from course_lib.language import (
    bits_per_letter,
    encode,
    mean_acceptance,
    new_language_student,
    pretrained_language_teacher,
    surnames,
    write_names,
)
from course_lib.loops import Distillation, HardLabels, fit, with_teacher_logits
from course_lib.schedules import cosine


@pytest.fixture(scope="module")
def held_out():
    return encode(surnames().held_out)


def train(data, objective, epochs):
    student = new_language_student()
    history = fit(student, data, objective, epochs=epochs, batch_size=64, lr=cosine(1e-2, 0))
    return student, history


def test_a_teacher_is_worth_more_than_labels_on_the_same_thousand_names(held_out):
    teacher, names = pretrained_language_teacher(), encode(surnames().train[:1000])
    labels, _ = train(names, HardLabels(), epochs=25)
    distilled, _ = train(with_teacher_logits(teacher, names), Distillation(teacher, T=1, alpha=1), epochs=25)
    bits = bits_per_letter(labels, held_out), bits_per_letter(distilled, held_out)
    assert bits[0] - bits[1] > 0.25
    written = encode(write_names(teacher, 1000))
    accepted = mean_acceptance(teacher, labels, written), mean_acceptance(teacher, distilled, written)
    assert accepted[1] - accepted[0] > 0.07


def test_without_the_shift_a_model_learns_to_copy(held_out):
    inputs, labels = encode(surnames().train[:1000]).tensors
    unshifted = inputs.masked_fill(labels == -100, -100)
    student, history = train(TensorDataset(inputs, unshifted), HardLabels(), epochs=16)
    assert history.by_epoch["loss"][-1] / math.log(2) < 0.02
    assert bits_per_letter(student, held_out) > 8
    assert torch.equal(student(inputs[:50]).argmax(-1)[labels[:50] != -100], inputs[:50][labels[:50] != -100])
