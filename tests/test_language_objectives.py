"""Objectives on names: padding and shift by hand, and the student's own names."""

import math
import re

import pytest
import torch
from torch.utils.data import TensorDataset

from course_lib.language import OnPolicy, bits_per_letter, encode, new_language_student, new_language_teacher, write_names
from course_lib.language import objectives as module
from course_lib.loops import Distillation, HardLabels, fit, with_teacher_logits
from course_lib.losses import soft_target_loss
from course_lib.schedules import linear


@pytest.fixture
def batch():
    return list(encode(["ann", "bo", "abcdefghijklm"]).tensors)


@pytest.fixture
def models():
    """A student and a teacher with opinions."""
    student, teacher = new_language_student(seed=1), new_language_teacher(seed=2)
    with torch.no_grad():
        for parameter in [*student.parameters(), *teacher.parameters()]:
            parameter.mul_(3)
    return student, teacher


def counted_positions(names):
    return [(row, t) for row, name in enumerate(names) for t in range(len(name) + 1)]


def test_labels_by_hand(models, batch):
    student, _ = models
    log_q = student(batch[0]).log_softmax(-1)
    terms = [-log_q[row, t, batch[1][row, t]] for row, t in counted_positions(["ann", "bo", "abcdefghijklm"])]
    assert len(terms) == 4 + 3 + 14
    loss = HardLabels()(student, batch, 0.0)
    assert torch.allclose(loss.total, torch.stack(terms).mean())
    assert bits_per_letter(student, TensorDataset(*batch)) == pytest.approx(loss.total.item() / math.log(2), rel=1e-5)


@pytest.mark.parametrize("T", [1.0, 2.0])
def test_token_by_token_by_hand(models, batch, T):
    student, teacher = models
    log_q, log_p = (student(batch[0]) / T).log_softmax(-1), (teacher(batch[0]) / T).log_softmax(-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)
    by_hand = torch.stack([kl[row, t] for row, t in counted_positions(["ann", "bo", "abcdefghijklm"])]).mean() * T * T
    assert torch.allclose(Distillation(teacher, T=T, alpha=1)(student, batch, 0.0).total, by_hand)
    cached = list(with_teacher_logits(teacher, TensorDataset(*batch)).tensors)
    assert torch.allclose(Distillation(teacher, T=T, alpha=1)(student, cached, 0.0).total, by_hand)


def test_what_stands_after_the_end_counts_nowhere(models, batch):
    student, teacher = models
    changed = [batch[0].masked_fill(batch[1] == -100, 7), batch[1]]
    for objective in (HardLabels(), Distillation(teacher, T=1, alpha=1), OnPolicy(teacher, own_share=0)):
        assert torch.equal(objective(student, batch, 0.0).total, objective(student, changed, 0.0).total)


# ---- on the student's own names ----


def test_no_share_of_its_own_is_distillation_on_the_names_given(models, batch):
    student, teacher = models
    for divergence in ("forward", "reverse"):
        loss = OnPolicy(teacher, own_share=0, divergence=divergence, T=2.0)(student, batch, 0.0)
        mask = batch[1] != -100
        by_hand = soft_target_loss(student(batch[0]), teacher(batch[0]), 2.0, divergence=divergence, mask=mask)
        assert torch.equal(loss.total, by_hand)


@pytest.mark.parametrize("beta", [0, 0.1, 0.5, 1])
def test_the_generalised_divergence_has_its_beta(models, batch, beta):
    student, teacher = models
    objective = OnPolicy(teacher, own_share=0, divergence="jsd", beta=beta)
    z, v, mask = student(batch[0]), teacher(batch[0]), batch[1] != -100
    by_hand = soft_target_loss(z, v, 1.0, divergence="jsd", beta=beta, mask=mask)
    assert torch.equal(objective(student, batch, 0.0).total, by_hand)
    assert f"divergence='jsd', beta={beta}, T=1.0" in repr(objective)
    if beta in (0, 1):  # as in TRL
        end = OnPolicy(teacher, own_share=0, divergence="reverse" if beta else "forward")
        assert torch.equal(end(student, batch, 0.0).total, by_hand)


def test_all_its_own_is_the_divergence_on_what_it_writes(models, batch):
    student, teacher = models
    torch.manual_seed(3)
    loss = OnPolicy(teacher)(student, batch, 0.0)
    inputs, labels = encode_as_written(student, 3, seed=3)
    by_hand = soft_target_loss(student(inputs), teacher(inputs), 1.0, divergence="reverse", mask=labels != -100)
    assert torch.equal(loss.total, by_hand)
    assert set(loss.log) == {"soft", "T", "own_share"}


def encode_as_written(student, count, seed):
    return encode(write_names(student, count, seed=seed)).tensors


@pytest.mark.parametrize(("share", "own"), [(0.0, 0), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_the_share_of_own_names(models, monkeypatch, share, own):
    student, teacher = models
    seen = {}
    given = list(encode(["aaa", "aaa", "aaa", "aaa"]).tensors)

    def wrote(model, begin, length, temperature):
        assert (begin.shape[1], length) == (1, 14)
        seen["own"] = len(begin)
        return (column.clone() for column in encode(["z"] * len(begin)).tensors)

    def watch(self, student, batch, progress):
        seen["batch"] = batch
        return whole(self, student, batch, progress)

    whole = Distillation.__call__
    monkeypatch.setattr(module, "write_own", wrote)
    monkeypatch.setattr(Distillation, "__call__", watch)
    # Teacher logits that travel with the batch are those of other names: wrong ones must change nothing.
    OnPolicy(teacher, own_share=share)(student, [*given, torch.full((4, 14, 27), math.nan)], 0.0)
    assert seen.get("own", 0) == own
    inputs, labels = seen["batch"]
    assert inputs[:, 1].tolist() == [26] * own + [1] * (4 - own)
    assert (labels != -100).sum(-1).tolist() == [2] * own + [4] * (4 - own)


def test_own_sequences_go_on_from_the_prompts_of_those_they_replace(models, monkeypatch):
    student, teacher = models
    seen = {}

    def watch(self, student, batch, progress):
        seen["batch"] = batch
        return whole(self, student, batch, progress)

    whole = Distillation.__call__
    monkeypatch.setattr(Distillation, "__call__", watch)
    OnPolicy(teacher, prompt_length=2)(student, list(encode(["abc", "bca", "z"]).tensors), 0.0)
    inputs, labels = seen["batch"]
    assert inputs[:, :3].tolist() == [[0, 1, 2], [0, 2, 3], [0, 26, 0]]
    assert (labels[:, :2] == -100).all()
    assert (labels[:2, 2] != -100).all()
    assert "prompt_length=2" in repr(OnPolicy(teacher, prompt_length=2))


def test_no_gradient_through_the_writing_and_none_for_the_teacher(models, batch):
    student, teacher = models
    OnPolicy(teacher)(student, batch, 0.0).total.backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_fit_with_a_share_that_grows_is_seeded(models):
    _, teacher = models
    data = encode(["ann", "bob", "cy", "dora"] * 4)

    def train():
        student = new_language_student()
        history = fit(student, data, OnPolicy(teacher, own_share=linear(0, 1)), epochs=2, batch_size=8, lr=1e-2)
        return student.state_dict(), history

    (one, history), (same, _) = train(), train()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert history.by_step["own_share"] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert "own_share=linear(start=0, end=1)" in history.objective


def test_training_on_own_names_brings_the_student_to_its_teacher(models):
    _, teacher = models
    student, data = new_language_student(), encode(["a"] * 16)
    history = fit(student, data, OnPolicy(teacher), epochs=30, batch_size=16, lr=1e-2)
    assert sum(history.by_epoch["soft"][-5:]) < 0.8 * sum(history.by_epoch["soft"][:5])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"own_share": 1.5}, ValueError, "own_share must lie in [0, 1], got 1.5"),
        ({"own_share": linear(0, 2)}, ValueError, "own_share must lie in [0, 1], got 2.0"),
        ({"own_share": "all"}, TypeError, "own_share must be a real number, got str"),
        ({"divergence": "sideways"}, ValueError, "divergence must be one of"),
        ({"divergence": "jsd", "beta": 1.5}, ValueError, "beta must lie in [0, 1], got 1.5"),
        ({"beta": 0.1}, ValueError, "beta goes with divergence='jsd' alone"),
        ({"T": 0}, ValueError, "T must be a finite number above 0, got 0"),
        ({"prompt_length": -1}, ValueError, "prompt_length must be 0 or above, got -1"),
        ({"prompt_length": 1.0}, TypeError, "prompt_length must be an int, got float"),
        ({"temperature": -1}, ValueError, "temperature must be a finite number, 0 or above; got -1"),
    ],
)
def test_wrong_arguments(models, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        OnPolicy(models[1], **arguments)
    with pytest.raises(TypeError, match=r"teacher must be a torch\.nn\.Module"):
        OnPolicy("teacher")
