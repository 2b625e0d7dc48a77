"""The objectives, called as `fit` calls them; and one of another kind, which trains without a line changed elsewhere."""

import copy
import pickle
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import seeded
from course_lib.features import FEATURE_LOSSES, squared_error
from course_lib.history import History
from course_lib.loops import evaluate, fit, with_teacher_logits
from course_lib.losses import distillation_loss
from course_lib.objectives import Distillation, Features, HardLabels, Loss, check_objective, value_at
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
    with pytest.raises(
        ValueError, match=r"labels must have shape \(24,\), a label for each row, int64; got \(24, 1\), torch.int64"
    ):
        evaluate(network(), TensorDataset(inputs, labels[:, None]))


def test_a_class_may_be_what_is_ignored():
    logits, labels = torch.eye(3), torch.tensor([0, 0, 2])
    loss = HardLabels(ignore_index=2)(lambda inputs: inputs, (logits, labels), 0.0)
    assert loss.log["accuracy"] == 0.5  # of the two rows that count one is right


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


# ---- features ----


def wide_teacher(dtype=torch.float32):
    """Has BatchNorm and dropout, so that what is done to it wrongly shows."""
    with seeded(1):
        body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.5))
        return nn.Sequential(body, nn.Linear(16, 3)).to(dtype)


LAYERS = {"1": "0.2"}  # 8 wide and 16


def features_of(teacher, student, **settings):
    return Features(teacher, student, columns()[0][:2], LAYERS, **settings)


def count_runs(model):
    runs = []
    model.register_forward_pre_hook(lambda *_: runs.append(1))
    return runs


def hooks_of(*models):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for model in models for module in model.modules())


@pytest.mark.parametrize("weight", [0.3, linear(0.6, 0)])
def test_features_add_a_weighted_distance_to_what_the_base_gives_and_logs(weight):
    student, teacher, (inputs, labels) = network(), wide_teacher(), columns()
    base = Distillation(teacher, T=4, alpha=0.9)
    loss = features_of(teacher, student, weight=weight, base=base)(student, [inputs, labels], 0.5)
    with seeded(0):
        projector = nn.Linear(8, 16)
    distance = squared_error(projector(student[:2](inputs)), teacher.eval()[0][:3](inputs))
    alone = base(student, [inputs, labels], 0.5)
    torch.testing.assert_close(loss.total, alone.total + 0.3 * distance)
    torch.testing.assert_close(loss.log["features"], distance.detach())
    assert not loss.log["features"].requires_grad
    assert list(loss.log) == [*alone.log, "features"]
    assert torch.equal(loss.logits, alone.logits)


def test_features_beside_labels_are_the_default():
    student, teacher, (inputs, labels) = network(), wide_teacher(), columns()
    loss = features_of(teacher, student, loss="relations")(student, [inputs, labels], 0.0)
    assert list(loss.log) == ["hard", "accuracy", "features"]
    torch.testing.assert_close(loss.total, F.cross_entropy(student(inputs), labels) + loss.log["features"])


@pytest.mark.parametrize("loss", [name for name in FEATURE_LOSSES if name != "attention"])
def test_features_train_in_fit_as_they_are_and_leave_nothing_behind(loss):
    student, teacher, data = network(), wide_teacher().train(), TensorDataset(*columns())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    objective = features_of(teacher, student, loss=loss, base=Distillation(teacher, T=2))
    start = [parameter.detach().clone() for parameter in objective.parameters()]
    history = fit(student, data, objective, epochs=30, lr=1e-2, batch_size=24)
    assert history.by_step["features"][-1] < 0.7 * history.by_step["features"][0]
    assert history.by_step["loss"][-1] < history.by_step["loss"][0]
    assert len(start) == (0 if loss == "relations" else 2)
    assert not any(map(torch.equal, start, objective.parameters()))
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert hooks_of(student, teacher) == 0
    assert not any(module.training for module in teacher.modules())


def test_to_build_features_leaves_the_student_as_it_was():
    teacher, student = wide_teacher(), wide_teacher().train()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    Features(teacher, student, columns()[0][:2], {"0.1": "0.1", "0": "0.3"})
    assert all(module.training for module in student.modules())
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())
    assert hooks_of(student, teacher) == 0


def test_the_student_and_the_teacher_run_once_a_step():
    student, teacher, batch = network(), wide_teacher(), columns()
    for base in (None, HardLabels(), Distillation(teacher)):
        objective = features_of(teacher, student, base=base)
        ours, theirs = count_runs(student), count_runs(teacher)
        objective(student, batch, 0.0)
        assert (len(ours), len(theirs)) == (1, 1)
    other = wide_teacher()  # a base with a teacher of its own asks that one
    objective, theirs = features_of(teacher, student, base=Distillation(other)), count_runs(other)
    expected = distillation_loss(student(batch[0]), other.eval()(batch[0]), batch[1])
    loss = objective(student, batch, 0.0)
    torch.testing.assert_close(loss.total - loss.log["features"], expected)
    assert len(theirs) == 2


def test_logits_that_travel_with_the_batch_stay_the_bases_and_named_inputs_work():
    student, teacher, (inputs, labels) = network(), wide_teacher(), columns()
    other = torch.randn(24, 3, generator=torch.Generator().manual_seed(5))
    loss = features_of(teacher, student, base=Distillation(teacher))(student, [inputs, labels, other], 0.0)
    torch.testing.assert_close(loss.total - loss.log["features"], distillation_loss(student(inputs), other, labels))
    data = with_teacher_logits(teacher, TensorDataset(inputs, labels))
    assert fit(network(), data, features_of(teacher, student, base=Distillation(teacher)), epochs=1).steps == 1
    student, teacher = Named(), Named(1)
    named = {"pixel_values": inputs, "scale": torch.full((24,), 2.0)}
    objective = Features(teacher, student, named, {"body.1": "body.1"}, loss="cosine", base=Distillation(teacher))
    loss, theirs = objective(student, {**named, "labels": labels}, 0.0), count_runs(teacher)
    expected = distillation_loss(student.body(2 * inputs), teacher.body(2 * inputs), labels)
    torch.testing.assert_close(loss.total - loss.log["features"], expected)
    objective(student, {**named, "labels": labels}, 0.0)
    assert len(theirs) == 1


def test_an_error_in_a_step_leaves_no_hook_behind():
    student, teacher, (inputs, labels) = network(), wide_teacher(), columns()
    objective = features_of(teacher, student)
    with pytest.raises(ValueError, match="labels must have shape"):
        objective(student, [inputs, labels[:3]], 0.0)
    teacher[1].register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        objective(student, [inputs, labels], 0.0)
    assert hooks_of(student, teacher) == 1


def test_a_step_in_eval_mode_and_without_gradients_gives_the_same_numbers():
    student, teacher, batch = network(), wide_teacher(), columns()
    objective = features_of(teacher, student)
    with torch.no_grad():
        quiet = objective(student.eval(), batch, 0.0)
    assert not student.training
    assert torch.equal(quiet.total, objective(student.train(), batch, 0.0).total)


@pytest.mark.parametrize("wrapped_before", [False, True])
def test_features_of_a_student_that_is_wrapped_for_parallel_data(wrapped_before):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        results = []
        for parallel in (False, True):
            student, teacher = network(), wide_teacher()
            wrapped = nn.parallel.DistributedDataParallel(student) if parallel else student
            built_for = wrapped if parallel and wrapped_before else student
            names = {"module.1": "0.2"} if parallel and wrapped_before else LAYERS
            objective = Features(teacher, built_for, columns()[0][:2], names, base=Distillation(teacher))
            fit(wrapped, TensorDataset(*columns()), objective, epochs=2, lr=1e-2, batch_size=8)
            results.append([*student.parameters(), *objective.parameters()])
            assert hooks_of(student) == 0
        assert all(map(torch.equal, *results))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_teacher_and_student_of_other_dtypes_get_their_own(dtype):
    student, teacher, (inputs, labels) = network(), wide_teacher(dtype), columns()
    assert features_of(teacher, student)(student, [inputs, labels], 0.0).log["features"].isfinite()
    student, teacher = network().to(dtype), wide_teacher()
    objective = features_of(teacher, student)
    assert {parameter.dtype for parameter in objective.parameters()} == {dtype}
    assert objective(student, [inputs.to(dtype), labels], 0.0).log["features"].isfinite()


def test_in_autocast_projectors_keep_float32():
    student, teacher, (inputs, labels) = network(), wide_teacher(), columns()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        objective = features_of(teacher, student)
        loss = objective(student, [inputs, labels], 0.0)
    loss.total.backward()
    assert {parameter.grad.dtype for parameter in objective.parameters()} == {torch.float32}
    plain = features_of(teacher, student)(student, [inputs, labels], 0.0)
    torch.testing.assert_close(loss.log["features"], plain.log["features"], rtol=0.02, atol=0)


def test_features_of_a_model_without_logits_beside_an_objective_that_is_a_function():
    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = wide_teacher()[0]

        def forward(self, inputs):
            return {"hidden": self.body(inputs)}

    def squares(student, batch, progress):
        return student(batch[0]).square().mean()

    student, (inputs, labels) = network(), columns()
    objective = Features(Body(), student, inputs[:2], {"1": "body.2"}, base=squares)
    loss = objective(student, [inputs, labels], 0.0)
    torch.testing.assert_close(loss.total, student(inputs).square().mean() + loss.log["features"])
    assert (loss.logits, objective.ignore_index, len(objective.parameters())) == (None, -100, 2)
    twice = Features(objective.teacher, student, inputs[:2], {"1": "body.2"}, loss="relations", base=objective)
    assert twice(student, [inputs, labels], 0.0).total > loss.total


def test_features_on_features_train_the_projectors_of_both_and_ignore_the_bases_labels():
    student, teacher, (inputs, labels) = network(), wide_teacher(), columns()
    inner = features_of(teacher, student, base=Distillation(teacher, ignore_index=255))
    outer = Features(teacher, student, inputs[:2], {"0": "0.0"}, loss="cosine", weight=2.0, base=inner)
    assert len(outer.parameters()) == 4
    assert outer.ignore_index == 255
    loss, alone = outer(student, [inputs, labels], 0.0), inner(student, [inputs, labels], 0.0)
    torch.testing.assert_close(loss.total, alone.total + 2 * loss.log["features"])


def test_a_run_with_features_goes_on_from_a_checkpoint_and_objectives_are_copied_and_pickled(tmp_path):
    data = TensorDataset(*columns())
    settings = {"epochs": 4, "lr": 1e-2, "batch_size": 8, "validation": data}

    def pair():
        student, teacher = network(), wide_teacher()
        return student, features_of(teacher, student, weight=linear(1, 0.1), base=Distillation(teacher))

    student, objective = pair()
    expected = fit(student, data, objective, **settings)
    first, its_objective = pair()
    fit(first, data, its_objective, **settings, checkpoint=tmp_path / "a.pt", on_epoch=lambda history: history.epochs == 2)
    assert not any(map(torch.equal, its_objective.parameters(), objective.parameters()))
    again, resumed = pair()
    assert fit(again, data, resumed, **settings, checkpoint=tmp_path / "a.pt") == expected
    assert all(map(torch.equal, [*student.parameters(), *objective.parameters()], [*again.parameters(), *resumed.parameters()]))
    for other in (copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert other.base.teacher is other.teacher
        assert torch.equal(other(student, columns(), 0.5).total, objective(student, columns(), 0.5).total)
    assert repr(objective) == (
        "Features(Sequential, {'1': '0.2'}, loss='mse', weight=linear(start=1, end=0.1), "
        "base=Distillation(Sequential, T=2.0, alpha=0.5, divergence='forward'))"
    )


def test_maps_of_a_residual_network_train_a_small_student():
    from torchvision.models import resnet18

    with seeded(0):
        teacher = resnet18(num_classes=3)
        student = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 3),
        )  # fmt: skip
        data = TensorDataset(torch.randn(8, 3, 32, 32), torch.randint(3, (8,)))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    for loss in FEATURE_LOSSES:
        layers = {"1": "layer1.0.bn1", "2": "layer2.1.relu"}
        one = copy.deepcopy(student)
        objective = Features(teacher, one, data.tensors[0][:2], layers, loss=loss, base=Distillation(teacher, T=4))
        history = fit(one, data, objective, epochs=6, lr=1e-2, batch_size=4)
        assert history.by_epoch["features"][-1] < history.by_epoch["features"][0]
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert hooks_of(teacher) == 0


def test_arguments_of_features_that_are_wrong_are_told_before_the_first_step():
    student, teacher, inputs = network(), wide_teacher(), columns()[0][:2]
    with pytest.raises(TypeError, match=r"teacher must be a torch.nn.Module, got str"):
        Features("resnet18", student, inputs, LAYERS)
    with pytest.raises(TypeError, match=r"student must be a torch.nn.Module, got NoneType"):
        Features(teacher, None, inputs, LAYERS)
    with pytest.raises(ValueError, match="teacher and student must be different modules"):
        Features(teacher, teacher, inputs, {"0": "0"})
    with pytest.raises(ValueError, match="loss must be one of 'mse', 'cosine', 'attention', 'relations'; got 'l2'"):
        features_of(teacher, student, loss="l2")
    with pytest.raises(ValueError, match="weight must be a finite number, 0 or above; got nan"):
        features_of(teacher, student, weight=float("nan"))
    with pytest.raises(ValueError, match="weight must be a finite number, 0 or above; got -1"):
        features_of(teacher, student, weight=lambda progress: -progress)
    with pytest.raises(TypeError, match="inputs must be what a model is called on, a tensor or a dict; got list"):
        Features(teacher, student, [inputs, columns()[1]], LAYERS)
    with pytest.raises(TypeError, match=r"base must be such as HardLabels\(\) .*, got the class HardLabels"):
        features_of(teacher, student, base=HardLabels)
    with pytest.raises(ValueError, match=r"Sequential has no '0.22', but '0.2', "):
        Features(teacher, student, inputs, {"1": "0.22"})
    with pytest.raises(ValueError, match=r"is inside of what torch.compile made"):
        features_of(teacher, torch.compile(student, backend="eager"))
    assert hooks_of(student, teacher) == 0
    objective = features_of(teacher, student)
    with pytest.raises(ValueError, match=r"is inside of what torch.compile made"):
        objective(torch.compile(student, backend="eager"), columns(), 0.0)
    with pytest.raises(ValueError, match="layer '1' must give an output with a gradient; it is frozen"):
        objective(copy.deepcopy(student).requires_grad_(False), columns(), 0.0)
    with pytest.raises(ValueError, match="teacher and student must be different modules"):
        objective(teacher, columns(), 0.0)


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


@pytest.mark.parametrize("loss", [None, "mse", "cosine", "relations"])
def test_no_step_reads_a_value_but_on_the_cpu(loss):
    """The meta device has no values, so whatever reads one fails there where it would wait on a GPU."""
    teacher, student = network(1).to("meta"), network(2).to("meta")
    x, labels = torch.randn(6, 4, device="meta"), torch.zeros(6, dtype=torch.int64, device="meta")
    objective = Distillation(teacher, T=linear(5, 1), divergence="jsd")
    if loss:
        objective = Features(teacher, student, x, {"1": "1"}, loss=loss, base=objective)
    history = History("mine", 1, 2)
    for each in (objective, HardLabels()):
        result = each(student, (x, labels), 0.5)
        result.total.backward()
        history.add_step(result.total, 0.1, result.log)
    assert history.steps == 2
    with pytest.raises(RuntimeError):  # there is nothing to read: the steps above did not try
        history.by_step["loss"]


def test_what_the_base_of_features_keeps_is_kept_with_it():
    class Counting(HardLabels):
        seen = 0

        def __call__(self, student, batch, progress):
            self.seen += 1
            return super().__call__(student, batch, progress)

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    student, teacher = network(), wide_teacher()
    first, second = (features_of(teacher, student, base=Counting()) for _ in range(2))
    first(student, columns(), 0.0)
    second.load_state_dict(first.state_dict())
    assert second.base.seen == 1
    plain = features_of(teacher, student)
    plain.load_state_dict(plain.state_dict())


def test_a_loss_of_torchs_is_no_objective_and_a_class_derived_from_one_may_be():
    class Mine(torch.nn.CrossEntropyLoss):
        def forward(self, student, batch, progress):
            return super().forward(student(batch[0]), batch[1])

    check_objective("objective", Mine())
    with pytest.raises(TypeError, match=r"objective must be such as HardLabels\(\) .*, got CrossEntropyLoss"):
        check_objective("objective", torch.nn.CrossEntropyLoss())
