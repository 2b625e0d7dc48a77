"""The objectives, called as `fit` calls them; and one of another kind, which trains without a line changed elsewhere."""

from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import seeded
from course_lib.loops import evaluate, fit
from course_lib.losses import distillation_loss
from course_lib.objectives import Distillation, HardLabels, Loss, value_at
from course_lib.schedules import linear


def network(seed=0, inputs=4, outputs=3):
    with seeded(seed):
        return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


def columns(n=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=generator), torch.randint(3, (n,), generator=generator)


def test_hard_labels_are_the_cross_entropy_with_what_it_logs():
    student, (inputs, labels) = network(), columns()
    loss = HardLabels()(student, [inputs, labels], 0.0)
    torch.testing.assert_close(loss.total, F.cross_entropy(student(inputs), labels))
    torch.testing.assert_close(loss.logits, student(inputs))
    assert list(loss.log) == ["hard", "accuracy"]
    assert loss.log["accuracy"] == (student(inputs).argmax(-1) == labels).float().mean()


def test_distillation_takes_its_settings_at_this_progress_and_logs_both_terms():
    student, teacher, (inputs, labels) = network(), network(1), columns()
    loss = Distillation(teacher, T=linear(5, 1), alpha=linear(0.9, 0.1))(student, [inputs, labels], 0.25)
    T, alpha = 4.0, 0.7
    torch.testing.assert_close(loss.total, distillation_loss(student(inputs), teacher(inputs), labels, T, alpha))
    assert (loss.log["T"], loss.log["alpha"]) == (T, pytest.approx(alpha))
    torch.testing.assert_close(alpha * loss.log["soft"] + (1 - alpha) * loss.log["hard"], loss.total)


def test_distillation_with_a_generalised_divergence():
    student, teacher, (inputs, labels) = network(), network(1), columns()
    settings = {"T": 2.0, "alpha": 0.7, "divergence": "jsd", "beta": 0.1}
    loss = Distillation(teacher, **settings)(student, [inputs, labels], 0.0)
    torch.testing.assert_close(loss.total, distillation_loss(student(inputs), teacher(inputs), labels, **settings))
    assert "divergence='jsd', beta=0.1" in repr(Distillation(teacher, **settings))
    with pytest.raises(ValueError, match="beta goes with divergence='jsd' alone; got beta"):
        Distillation(teacher, beta=0.1)


def test_logits_that_travel_with_the_batch_are_used_and_the_teacher_is_not_asked():
    student, teacher, (inputs, labels) = network(), network(1), columns()
    teacher.register_forward_pre_hook(lambda *_: pytest.fail("the teacher ran"))
    other = torch.randn(24, 3, generator=torch.Generator().manual_seed(5))
    loss = Distillation(teacher)(student, [inputs, labels, other], 0.0)
    torch.testing.assert_close(loss.total, distillation_loss(student(inputs), other, labels))


def test_without_labels_there_is_no_accuracy():
    inputs, labels = columns()
    assert HardLabels()(network(), [inputs, torch.full_like(labels, -100)], 0.0).log["accuracy"] is None


@pytest.mark.parametrize("objective", [HardLabels(), Distillation(network(1))])
@pytest.mark.parametrize(
    ("batch", "got"),
    [((1,), "1 columns"), ((1, 2, 3, 4), "4 columns"), ({"x": 1}, "a dict of 'x'"), ({}, "a dict of nothing"), (3, "a int")],
)
def test_a_batch_of_another_form_is_told(objective, batch, got):
    with pytest.raises(ValueError, match=f"data must have columns inputs, labels .*; got {got}"):
        objective(network(), batch, 0.0)


# ---- batches and outputs of other people's stacks ----


class Output(NamedTuple):
    logits: torch.Tensor


class Named(nn.Module):
    """Takes its inputs by name and gives an output with .logits, as the models of Hugging Face do."""

    def __init__(self, seed=0):
        super().__init__()
        self.body = network(seed)

    def forward(self, pixel_values, scale):
        return Output(self.body(scale[:, None] * pixel_values))


def named_examples(n=24):
    inputs, labels = columns(n)
    return [{"pixel_values": x, "scale": torch.tensor(2.0), "labels": y} for x, y in zip(inputs, labels, strict=True)]


def test_batches_of_dicts_and_outputs_with_logits_train_as_tensors_do():
    data, (inputs, labels) = DataLoader(named_examples(), batch_size=8), columns()
    plain = DataLoader(TensorDataset(2 * inputs, labels), batch_size=8)
    for make, examples in ((lambda student, teacher: (student, teacher), data), (lambda s, t: (s.body, t.body), plain)):
        student, teacher = make(Named(), Named(1))
        history = fit(student, examples, Distillation(teacher), epochs=2, validation=examples)
        results = history.by_step["loss"], history.by_epoch["validation_accuracy"], evaluate(student, examples)
        if examples is data:
            first = results
    assert first == results


def test_a_dict_may_bring_the_teachers_logits():
    inputs, labels = columns()
    batch = {"pixel_values": inputs, "scale": torch.ones(24), "labels": labels, "teacher_logits": torch.zeros(24, 3)}
    student, teacher = Named(), Named(1)
    teacher.register_forward_pre_hook(lambda *_: pytest.fail("the teacher ran"))
    loss = Distillation(teacher)(student, batch, 0.0)
    torch.testing.assert_close(loss.total, distillation_loss(student.body(inputs), torch.zeros(24, 3), labels))


def test_a_model_without_logits_is_told():
    class Two(nn.Module):
        def forward(self, inputs):
            return inputs, inputs

    with pytest.raises(TypeError, match=r"model must give a tensor of logits, or an output with one in .logits; got tuple"):
        HardLabels()(Two(), columns(), 0.0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_teacher_of_another_dtype_gets_inputs_in_its_own(dtype):
    student, teacher, (inputs, labels) = network(), network(1).to(dtype), columns()
    loss = Distillation(teacher)(student, [inputs, labels], 0.0)
    torch.testing.assert_close(loss.total, distillation_loss(student(inputs), teacher(inputs.to(dtype)), labels))
    assert teacher[0].weight.dtype == dtype


def test_a_teacher_that_refuses_to_be_moved_is_not_where_it_is_right_already():
    class Quantized(nn.Sequential):
        def to(self, *args, **kwargs):
            raise ValueError("a quantized model can't be moved")

    assert Distillation(Quantized(*network(1)))(network(), columns(), 0.0).total.isfinite()


def test_labels_of_another_shape_are_told():
    inputs, labels = columns()
    with pytest.raises(ValueError, match=r"labels must have shape \(24,\), a label for each row; got \(24, 1\)"):
        evaluate(network(), TensorDataset(inputs, labels[:, None]))


def test_void_labels_of_another_number_count_nowhere():
    student, teacher, (inputs, labels) = network(), network(1), columns()
    void = labels.clone()
    void[::3] = 255
    kept = void != 255
    for make in (HardLabels, lambda **settings: Distillation(teacher, **settings)):
        partly, alone = make(ignore_index=255)(student, [inputs, void], 0.0), make()(student, [inputs[kept], labels[kept]], 0.0)
        torch.testing.assert_close(partly.total, alone.total)
        assert partly.log["accuracy"] == alone.log["accuracy"]
    data = TensorDataset(inputs, void)
    expected = (student(inputs).argmax(-1) == labels)[kept].double().mean().item()
    assert evaluate(student, data, ignore_index=255) == pytest.approx(expected)
    history = fit(network(), data, HardLabels(ignore_index=255), epochs=1, lr=0, validation=data)
    assert history.by_epoch["validation_accuracy"] == pytest.approx([expected])


def test_a_frozen_body_in_common_is_allowed_and_stays_as_it_is():
    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)).requires_grad_(False)
    student, teacher = nn.Sequential(body, nn.Linear(8, 3)), nn.Sequential(body, nn.Linear(8, 3))
    before = {name: value.clone() for name, value in body.state_dict().items()}
    history = fit(student, TensorDataset(*columns()), Distillation(teacher), epochs=4, lr=1e-2)
    assert all(torch.equal(before[name], value) for name, value in body.state_dict().items())
    assert history.by_step["loss"][-1] < history.by_step["loss"][0]
    with pytest.raises(ValueError, match=r"must be different modules, .* layers in common must be frozen"):
        fit(student, TensorDataset(*columns()), Distillation(teacher.requires_grad_(True)), epochs=1)


def test_a_setting_is_a_number_or_a_schedule():
    assert (value_at(2.5, 0.3), value_at(linear(5, 1), 0.5)) == (2.5, 3.0)


# ---- an objective of another kind ----


class MatchFeatures:
    """A projector's output against features of the teacher, beside a regression; four columns, parameters of its own."""

    def __init__(self):
        self.projector = network(7, inputs=8, outputs=5)

    def parameters(self):
        return self.projector.parameters()

    def __call__(self, student, batch, progress):
        inputs, features, targets, weights = batch
        hidden = student[1](student[0](inputs))
        match = F.mse_loss(self.projector(hidden), features)
        error = (weights * (student[2](hidden) - targets).square().mean(-1)).mean()
        return Loss(match + error, log={"match": match, "error": error, "progress": progress})


def four_columns(n=40):
    g = torch.Generator().manual_seed(3)
    inputs = torch.randn(n, 4, generator=g)
    return TensorDataset(inputs, inputs @ torch.randn(4, 5, generator=g), inputs[:, :3].sin(), torch.rand(n, generator=g))


def test_four_columns_and_a_projector_train_and_are_logged_by_name():
    objective, student = MatchFeatures(), network()
    before = [parameter.detach().clone() for parameter in objective.parameters()]
    history = fit(student, four_columns(), objective, epochs=30, lr=1e-2, batch_size=20)
    assert list(history.by_step) == ["loss", "match", "error", "progress", "lr"]
    assert history.by_epoch["loss"][-1] < 0.5 * history.by_epoch["loss"][0]
    assert not any(map(torch.equal, before, objective.parameters()))
    assert all(parameter.grad is None for parameter in objective.parameters())
    assert (history.by_step["progress"][0], history.by_step["progress"][-1]) == (0, 1)


def test_parameters_that_the_student_has_as_well_are_trained_once():
    class Same(HardLabels):
        def parameters(self):
            return student.parameters()

    student, plain = network(), network()
    inputs, labels = columns()
    for model, objective in ((student, Same()), (plain, HardLabels())):
        fit(model, TensorDataset(inputs, labels), objective, epochs=2)
    assert all(map(torch.equal, student.parameters(), plain.parameters()))


def test_a_plain_function_may_return_a_tensor_and_gives_the_history_its_name():
    def squares(student, batch, progress):
        return student(batch[0]).square().mean()

    history = fit(network(), TensorDataset(columns()[0]), squares, epochs=3)
    assert history.objective == "squares"
    assert list(history.by_step) == ["loss", "lr"]
    assert history.by_step["loss"][-1] < history.by_step["loss"][0]


@pytest.mark.parametrize(
    ("result", "got"),
    [(None, "NoneType"), (1.5, "float"), (torch.zeros(2), r"a tensor of shape \(2,\)"), (Loss(None), "Loss")],
)
def test_what_is_no_loss_is_told(result, got):
    with pytest.raises(TypeError, match=f"objective must return a Loss or a scalar tensor, got {got}"):
        fit(network(), TensorDataset(*columns()), lambda student, batch, progress: result, epochs=1)
