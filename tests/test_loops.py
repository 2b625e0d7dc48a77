"""The loop: what it computes, what it leaves alone, and how it ends."""

import copy
import inspect
import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from course_lib.basics import seeded
from course_lib.loops import Distillation, HardLabels, evaluate, fit, predict, with_teacher_logits
from course_lib.losses import distillation_loss
from course_lib.schedules import constant, cosine, linear


def points(n=50, num_classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    return TensorDataset(x, (x[:, :num_classes]).argmax(-1))


def network(seed=0, num_classes=3, dropout=0.0, norm=False):
    with seeded(seed):
        return nn.Sequential(
            nn.Linear(4, 8),
            nn.BatchNorm1d(8) if norm else nn.Identity(),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Linear(8, num_classes),
        )


def state(model):
    return copy.deepcopy(model.state_dict())


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def global_random_state():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


# ---- what it computes ----


@pytest.mark.parametrize("cached", [False, True])
def test_fit_is_the_loop_that_anyone_would_write(cached):
    data, teacher, ours, theirs = points(), network(1), network(2), network(2)
    history = fit(
        ours, with_teacher_logits(teacher, data) if cached else data, Distillation(teacher, T=linear(5, 1), alpha=0.7),
        epochs=3, lr=0.01, batch_size=16, seed=5,
    )  # fmt: skip
    x, y = data.tensors
    v = teacher(x).detach()
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(5)
    losses, step = [], 0
    for _ in range(3):
        for rows in torch.randperm(50, generator=generator).split(16):
            loss = distillation_loss(theirs(x[rows]), v[rows], y[rows], 5 - 4 * step / 11, 0.7)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
    assert history.by_step["loss"] == pytest.approx(losses, rel=1e-4)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_a_student_learns_from_labels_and_from_a_teacher():
    data = points(400)
    teacher = network(1)
    fit(teacher, data, HardLabels(), epochs=30, lr=0.02)
    student = network(2)
    fit(student, data, Distillation(teacher), epochs=30, lr=0.02)
    test = points(400, seed=9)
    assert evaluate(teacher, test) > 0.95
    assert evaluate(student, test) > 0.95


def test_alpha_0_is_training_on_labels_to_the_last_bit():
    data, one, other = points(), network(2), network(2)
    fit(one, data, HardLabels(), epochs=2)
    fit(other, data, Distillation(network(1), alpha=0.0), epochs=2)
    assert same(state(one), state(other))


def test_alpha_1_does_not_look_at_the_labels():
    data, one, other = points(), network(2), network(2)
    x, y = data.tensors
    fit(one, data, Distillation(network(1), alpha=1.0), epochs=2)
    fit(other, TensorDataset(x, (y + 1) % 3), Distillation(network(1), alpha=1), epochs=2)
    assert same(state(one), state(other))


def test_a_dataset_and_a_loader_of_the_same_batches_train_the_same():
    data, one, other = points(), network(2), network(2)
    fit(one, data, HardLabels(), epochs=1, batch_size=50)
    fit(other, DataLoader(data, batch_size=50), HardLabels(), epochs=1)
    torch.testing.assert_close(one[0].weight, other[0].weight, rtol=1e-4, atol=1e-6)


def test_the_teacher_in_the_loop_and_its_cached_logits_train_the_same():
    data, teacher, one, other = points(), network(1, norm=True), network(2), network(2)
    fit(one, data, Distillation(teacher), epochs=2)
    fit(other, with_teacher_logits(teacher, data), Distillation(teacher), epochs=2)
    torch.testing.assert_close(one[0].weight, other[0].weight, rtol=1e-4, atol=1e-6)


def test_sequences():
    class PerToken(nn.Linear):
        pass

    x, y = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(6, 5, dtype=torch.int64)
    y[:, 3:] = -100
    student, teacher = PerToken(4, 3), PerToken(4, 3)
    history = fit(student, TensorDataset(x, y), Distillation(teacher), epochs=2, batch_size=4)
    right = (predict(student, x).argmax(-1) == y)[y != -100]
    assert evaluate(student, TensorDataset(x, y)) == pytest.approx(right.float().mean().item())
    assert history.steps == 4


def test_rows_that_are_all_ignored_have_no_accuracy():
    x, y = torch.randn(4, 4), torch.full((4,), -100)
    history = fit(network(), TensorDataset(x, y), HardLabels(), epochs=1)
    assert math.isnan(history.by_step["accuracy"][0])
    with pytest.raises(ValueError, match="data must hold at least one row with a label, got none"):
        evaluate(network(), TensorDataset(x, y))


# ---- schedules ----


def test_the_schedule_runs_from_the_first_step_to_the_last():
    student = network(2)
    objective = Distillation(network(1), T=cosine(5, 1), alpha=linear(0.9, 0.1))
    history = fit(student, points(), objective, epochs=2, batch_size=16, lr=linear(0.01, 0.001))
    T = history.by_step["T"]
    assert (T[0], T[-1]) == (5, 1)
    assert T == sorted(T, reverse=True)
    assert (history.by_step["alpha"][0], history.by_step["alpha"][-1]) == (0.9, 0.1)
    assert (history.by_step["lr"][0], history.by_step["lr"][-1]) == (0.01, 0.001)


def test_a_run_of_one_step_works():
    history = fit(network(2), points(8), Distillation(network(1), T=linear(5, 1)), epochs=1)
    assert history.by_step["T"] == [5.0]


def test_a_number_is_a_constant_schedule():
    one, other = network(2), network(2)
    fit(one, points(), Distillation(network(1), T=3), epochs=1)
    fit(other, points(), Distillation(network(1), T=constant(3)), epochs=1)
    assert same(state(one), state(other))


# ---- the teacher is left alone ----


class Family(nn.Module):
    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher


def test_the_teacher_stays_what_it_was_bit_for_bit():
    teacher = network(1, dropout=0.5, norm=True)
    fit(teacher, points(), HardLabels(), epochs=1)
    before, student = state(teacher), network(2)
    family = Family(student, teacher)
    modes = []
    teacher.register_forward_hook(lambda module, *_: modes.append(module.training))
    untrained = state(student)
    fit(student, points(), Distillation(teacher), epochs=3, batch_size=16, on_step=lambda history: family.train() and None)
    assert same(before, state(teacher))
    assert not same(untrained, state(student))
    assert len(modes) == 12
    assert not any(modes)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_the_teacher_does_not_run_when_its_logits_are_there():
    teacher = network(1)
    data = with_teacher_logits(teacher, points())
    teacher.register_forward_hook(lambda *_: pytest.fail("the teacher ran"))
    fit(network(2), data, Distillation(teacher), epochs=1)


def test_the_teacher_is_moved_to_the_students_device_and_records_no_graph():
    teacher = network(1).to("meta")
    moved = Distillation(network(1).to("cpu"))
    assert moved.teacher_logits(torch.zeros(2, 4)).device.type == "cpu"
    assert not moved.teacher_logits(torch.zeros(2, 4)).requires_grad
    objective = Distillation(teacher)
    with pytest.raises(NotImplementedError):  # a meta tensor cannot be moved to the CPU: it was tried
        objective.teacher_logits(torch.zeros(2, 4))


def test_teacher_and_student_must_be_different_modules():
    student = network(1)
    for teacher in (student, student[0], nn.Sequential(student)):
        with pytest.raises(ValueError, match="teacher and student must be different modules"):
            fit(student, points(), Distillation(teacher), epochs=1)
    statistics_only = nn.BatchNorm1d(4, affine=False)
    with pytest.raises(ValueError, match="teacher and student must be different modules"):
        Distillation(statistics_only)(statistics_only, [torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64)], 0)


def test_cached_logits_travel_with_their_example_through_any_shuffle():
    teacher, data = network(1, norm=True, dropout=0.5), points()
    cached = with_teacher_logits(teacher, data, batch_size=7)
    teacher.eval()
    for x, _, v in DataLoader(cached, batch_size=8, shuffle=True):
        torch.testing.assert_close(v, teacher(x).detach())
    assert not cached.tensors[2].requires_grad


# ---- randomness ----


@pytest.mark.parametrize("loader", [False, True])
def test_same_seed_same_result_whatever_ran_before(loader):
    def run(disturbance):
        torch.manual_seed(disturbance)
        data = DataLoader(points(), batch_size=16, shuffle=True) if loader else points()
        model = network(2, dropout=0.3)
        return fit(model, data, HardLabels(), epochs=2, batch_size=16, seed=3).by_step["loss"], state(model)

    (losses, weights), (again, weights_again) = run(1), run(2)
    assert losses == again
    assert same(weights, weights_again)
    other = network(2, dropout=0.3)
    assert fit(other, points(), HardLabels(), epochs=2, batch_size=16, seed=4).by_step["loss"] != losses


def test_the_global_random_state_is_left_as_it_was():
    before = global_random_state()
    model = network(2, dropout=0.3)
    fit(model, points(), Distillation(network(1)), epochs=1, validation=points())
    fit(model, DataLoader(points(), shuffle=True), HardLabels(), epochs=1)
    fit(model, points(), HardLabels(), epochs=1, on_step=lambda history: True)
    assert global_random_state() == before


def test_objectives_with_the_same_seed_meet_the_same_batches():
    class Watched(nn.Module):
        def __init__(self, dropout):
            super().__init__()
            self.inner, self.seen = network(2, dropout=dropout), []

        def forward(self, x):
            self.seen.append(x.clone())
            return self.inner(x)

    one, other = Watched(dropout=0.0), Watched(dropout=0.3)  # one draws random numbers at every step, the other none
    fit(one, points(), HardLabels(), epochs=2, batch_size=16)
    fit(other, points(), Distillation(network(1, dropout=0.5)), epochs=2, batch_size=16)
    assert all(torch.equal(a, b) for a, b in zip(one.seen, other.seen, strict=True))


# ---- how it ends ----


@pytest.mark.parametrize("where", ["on_step", "on_epoch", "forward"])
def test_an_interrupt_leaves_a_usable_model_and_history(where):
    model, calls = network(2, dropout=0.3).eval(), []

    def interrupt(*_):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    if where == "forward":
        model.register_forward_hook(interrupt)
    callbacks = {where: interrupt} if where != "forward" else {}
    history = fit(model, points(), HardLabels(), epochs=5, batch_size=16, **callbacks)
    assert history.stopped_early
    assert history.steps == {"on_step": 3, "on_epoch": 12, "forward": 2}[where]
    assert history.epochs == {"on_step": 0, "on_epoch": 3, "forward": 0}[where]
    assert "stopped early" in repr(history)
    assert not model.training
    assert evaluate(model, points()) >= 0
    assert not fit(model, points(), HardLabels(), epochs=1).stopped_early


@pytest.mark.parametrize("where", ["on_step", "on_epoch"])
def test_a_callback_that_returns_true_ends_the_run(where):
    history = fit(network(2), points(), HardLabels(), epochs=5, batch_size=16, **{where: lambda history: history.steps >= 6})
    assert history.stopped_early
    assert history.steps == {"on_step": 6, "on_epoch": 8}[where]


def test_an_error_in_a_callback_is_not_swallowed():
    model = network(2).eval()
    with pytest.raises(ZeroDivisionError):
        fit(model, points(), HardLabels(), epochs=1, on_step=lambda history: 1 / 0)
    assert not model.training


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_restored(training):
    model = network(2, norm=True).train(training)
    model[1].training = False
    before = [module.training for module in model.modules()]
    predict(model, torch.zeros(3, 4))
    evaluate(model, points())
    assert [module.training for module in model.modules()] == before
    fit(model, points(), HardLabels(), epochs=1)
    assert [module.training for module in model.modules()] == before
    fit(model, points(), HardLabels(), epochs=1, on_step=lambda history: True)
    assert [module.training for module in model.modules()] == before


@pytest.mark.parametrize(
    ("answer", "stops"),
    [(True, 1), (np.True_, 1), (torch.tensor(True), 1), (np.ones(2, bool), 0), ("text", 0), (1, 0), (None, 0)],
)
def test_a_callback_stops_by_true_and_by_nothing_else(answer, stops):
    history = fit(network(), points(), HardLabels(), epochs=2, on_epoch=lambda history: answer)
    assert (history.epochs, history.stopped_early) == (2 - stops, bool(stops))


def test_a_run_that_is_ended_after_its_last_epoch_was_not_stopped_early():
    history = fit(network(), points(), HardLabels(), epochs=2, on_epoch=lambda history: history.epochs == 2)
    assert not history.stopped_early


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": None}, "model must be a torch.nn.Module, got NoneType"),
        ({"objective": HardLabels}, "objective must be such as .* got the class HardLabels"),
        ({"objective": None}, "objective must be such as .* got NoneType"),
        ({"seed": 1.5}, "seed must be an int, got float"),
        ({"validation": points().tensors}, "validation must be a TensorDataset or a DataLoader, got tuple"),
    ],
)
def test_what_fit_cannot_use_is_told_before_a_step_is_made(change, says):
    model = network()
    before = state(model)
    arguments = {"model": model, "data": points(), "objective": HardLabels(), "epochs": 1} | change
    with pytest.raises(TypeError, match=says):
        fit(**arguments)
    assert same(before, state(model))


class Promised(IterableDataset):
    """Says that it has n rows, and gives others."""

    def __init__(self, says, gives):
        self.says, self.gives = says, gives

    def __len__(self):
        return self.says

    def __iter__(self):
        return iter([points().tensors[0][k], points().tensors[1][k]] for k in range(self.gives))


@pytest.mark.filterwarnings("ignore:Length of IterableDataset")
def test_an_epoch_is_what_the_loader_gave_whatever_length_it_said():
    history = fit(network(), DataLoader(Promised(8, 16), batch_size=4), HardLabels(), epochs=2)
    assert history.steps == 8
    assert history.by_epoch["loss"] == pytest.approx([sum(history.by_step["loss"][i : i + 4]) / 4 for i in (0, 4)])
    with pytest.raises(ValueError, match="at least one step, got none"):
        fit(network(), DataLoader(Promised(8, 0), batch_size=4), HardLabels(), epochs=1)


def test_the_loop_fits_on_one_screen():
    lines = inspect.getsource(fit).split("\n")
    body = lines[next(i for i, line in enumerate(lines) if "device = device_of" in line) :]
    assert len(body) <= 45
    assert len(lines) <= 75


def test_under_autocast_each_step_sees_the_weights_of_the_last():
    def by_step(student, batch, progress):
        with torch.autocast("cpu", torch.bfloat16):
            return HardLabels()(student, batch, progress)

    expected = fit(network(2), points(), by_step, epochs=5, lr=0.03).by_epoch["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        assert fit(network(2), points(), HardLabels(), epochs=5, lr=0.03).by_epoch["loss"] == expected


@pytest.mark.parametrize("validation", [points(), DataLoader(points(), batch_size=10, shuffle=True)])
def test_validation_changes_nothing_of_the_training(validation):
    plain, validated = network(2, dropout=0.5), network(2, dropout=0.5)
    fit(plain, points(), HardLabels(), epochs=3)
    fit(validated, points(), HardLabels(), epochs=3, validation=validation)
    assert same(state(plain), state(validated))


class InPlace(nn.Module):
    """Scales what it is given where it lies."""

    def __init__(self):
        super().__init__()
        self.body = network(2)

    def forward(self, x):
        return self.body(x.mul_(2))


def test_a_model_that_works_in_place_changes_no_data():
    data = points()
    before = data.tensors[0].clone()
    fit(InPlace(), data, HardLabels(), epochs=2, validation=data)
    predict(InPlace(), data.tensors[0])
    assert torch.equal(with_teacher_logits(InPlace(), data).tensors[0], before)
    with pytest.raises(
        ValueError, match="student must leave its inputs as they are, for the teacher; it changes them in place"
    ):
        fit(InPlace(), data, Distillation(network(1)), epochs=1)
    assert fit(InPlace(), with_teacher_logits(network(1), data), Distillation(network(1)), epochs=1).epochs == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_student_gets_numbers_in_its_own_dtype(dtype):
    model = network(2).to(dtype)
    history = fit(model, points(), Distillation(network(1)), epochs=2, validation=points())
    assert history.epochs == 2
    assert model[0].weight.dtype == dtype


def test_an_error_that_takes_no_history_is_raised_all_the_same():
    class BareError(Exception):
        history = property()

    def fail(history):
        raise BareError

    with pytest.raises(BareError):
        fit(network(), points(), HardLabels(), epochs=1, on_step=fail)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"on_step": 5}, TypeError, "on_step must be a function of the history, got int"),
        ({"on_epoch": "stop"}, TypeError, "on_epoch must be a function of the history, got str"),
        ({"seed": 2**70}, ValueError, "seed must fit into 64 bits, got 1180591620717411303424"),
        ({"objective": nn.CrossEntropyLoss()}, TypeError, r"objective must be such as HardLabels\(\).*, got CrossEntropyLoss"),
        ({"model": nn.ReLU()}, ValueError, "model must have a parameter that can be trained"),
        ({"model": network().requires_grad_(False)}, ValueError, "model must have a parameter that can be trained"),
        (
            {"validation": TensorDataset(torch.zeros(3, 4))},
            ValueError,
            "validation must have columns .*; got 1 columns of 3 rows",
        ),
        (
            {"validation": TensorDataset(*(x[:0] for x in points().tensors))},
            ValueError,
            "validation must have columns .*; got 2 columns of 0 rows",
        ),
    ],
)
def test_what_would_fail_in_a_step_or_after_an_epoch_is_told_before(change, error, says):
    model = network()
    given = {"model": model, "data": points(), "objective": HardLabels(), "epochs": 1, **change}
    before = state(model)
    with pytest.raises(error, match=says):
        fit(**given)
    assert same(before, state(model))


# ---- predict and evaluate ----


def test_predict_keeps_the_order_and_takes_eval_mode():
    model, (x, y) = network(2, dropout=0.9, norm=True), points(25).tensors
    whole = predict(model, x)
    torch.testing.assert_close(predict(model, x, batch_size=4), whole)
    assert not whole.requires_grad
    accuracy = (whole.argmax(-1) == y).float().mean().item()
    assert evaluate(model, points(25)) == pytest.approx(accuracy)
    assert evaluate(model, points(25), batch_size=4) == pytest.approx(accuracy)
    assert evaluate(model, DataLoader(points(25), batch_size=4)) == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("given", "asked"), [({}, [128, 22]), ({"batch_size": 4}, [4] * 37 + [2]), ({"batch_size": 200}, [150])]
)
def test_a_model_is_asked_about_as_many_at_a_time_as_was_said(given, asked):
    model, data, sizes = network(), points(150), []
    model.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    for ask in (evaluate, with_teacher_logits, lambda model, data, **given: predict(model, data.tensors[0], **given)):
        ask(model, data, **given)
        assert sizes == asked
        sizes.clear()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_teacher_in_another_dtype_is_given_its_own(dtype):
    teacher = nn.Linear(3, 2).to(dtype)
    inputs, labels = torch.randn(5, 3), torch.zeros(5, dtype=torch.int64)
    expected = teacher(inputs.to(dtype))
    assert torch.equal(predict(teacher, inputs, batch_size=5), expected)
    cached = with_teacher_logits(teacher, TensorDataset(inputs, labels))
    assert cached.tensors[0].dtype == torch.float32
    assert torch.equal(cached.tensors[2], expected)


def test_a_model_without_parameters_predicts():
    assert predict(nn.Identity(), torch.ones(3, 2)).tolist() == [[1, 1]] * 3


# ---- wrong arguments ----


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(4), torch.tensor(0)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"data": [1]}, TypeError, "data must be a TensorDataset or a DataLoader, got list"),
        ({"data": TensorDataset(torch.zeros(3, 4))}, ValueError, "data must have columns inputs, labels and, .* got 1 columns"),
        ({"data": points(0)}, ValueError, "data must hold at least one example, got none"),
        ({"data": DataLoader(points(0))}, ValueError, "data must hold at least one batch, got an empty DataLoader"),
        ({"data": DataLoader(Endless())}, ValueError, "data must know its length"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be an int, got float"),
        ({"epochs": True}, TypeError, "epochs must be an int, got bool"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"lr": -1.0}, ValueError, "lr must be a finite number, 0 or above; got -1.0"),
        ({"lr": math.nan}, ValueError, "lr must be a finite number, 0 or above; got nan"),
        ({"lr": "fast"}, TypeError, "lr must be a real number, got str"),
    ],
)
def test_wrong_arguments_of_fit(change, error, says):
    model = network()
    before = state(model)
    arguments = {"data": points(), "epochs": 1, **change}
    with pytest.raises(error, match=says):
        fit(model, arguments.pop("data"), HardLabels(), **arguments)
    assert same(before, state(model))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"teacher": "teacher"}, TypeError, "teacher must be a torch.nn.Module, got str"),
        ({"T": 0}, ValueError, "T must be a finite number above 0, got 0"),
        ({"T": "hot"}, TypeError, "T must be a real number, got str"),
        ({"T": lambda progress: -1}, ValueError, "T must be a finite number above 0, got -1"),
        ({"alpha": 1.5}, ValueError, r"alpha must lie in \[0, 1\], got 1.5"),
        ({"divergence": "kl"}, ValueError, "divergence must be one of 'forward', 'reverse', 'jsd', 'tvd'; got 'kl'"),
    ],
)
def test_wrong_arguments_of_distillation(change, error, says):
    with pytest.raises(error, match=says):
        Distillation(**{"teacher": network(), **change})


@pytest.mark.parametrize(("name", "says"), [("T", "T must be a finite number above 0"), ("alpha", "alpha must lie in")])
def test_a_schedule_that_ends_wrong_is_told_before_anything_is_trained(name, says):
    with pytest.raises(ValueError, match=says):
        Distillation(network(1), **{name: lambda progress: 1 - 2 * progress})


@pytest.mark.parametrize(("name", "says"), [("T", "T must be a finite number above 0"), ("alpha", "alpha must lie in")])
def test_a_schedule_that_goes_wrong_on_its_way_keeps_the_history(name, says):
    objective = Distillation(network(1), **{name: lambda progress: 0.5 if progress < 0.5 or progress == 1 else -1})
    with pytest.raises(ValueError, match=says) as caught:
        fit(network(2), points(), objective, epochs=2, batch_size=16)
    assert caught.value.history.steps == 4
    assert caught.value.history.epochs == 1


def test_one_nan_in_the_data_is_told_with_the_step_that_met_it():
    inputs, labels = points().tensors
    inputs[7] = math.nan
    history = fit(network(), TensorDataset(inputs, labels), HardLabels(), epochs=2, batch_size=16, seed=5)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(5))
    met = (order == 7).nonzero().item() // 16 + 1
    assert met > 1
    assert history.first_nan == met
    assert [math.isnan(loss) for loss in history.by_step["loss"]] == [False] * (met - 1) + [True] * (9 - met)
    assert f"the loss is no number (NaN) from step {met} on" in repr(history)


def test_a_learning_rate_that_ends_wrong_is_told_before_the_first_step():
    model = network(2)
    before = state(model)
    with pytest.raises(ValueError, match=r"lr must be a finite number, 0 or above; got -0\.5"):
        fit(model, points(), HardLabels(), epochs=2, batch_size=16, lr=lambda progress: 0.5 - progress)
    assert same(state(model), before)


def test_settings_that_reach_zero_where_zero_means_something():
    objective = Distillation(network(1), alpha=linear(1, 0))
    history = fit(network(2), points(), objective, epochs=2, batch_size=16, lr=linear(1e-3, 0))
    assert (history.by_step["lr"][-1], history.by_step["alpha"][-1], history.steps) == (0, 0, 8)
    with pytest.raises(ValueError, match=r"T must be a finite number above 0, got 0\.0"):
        Distillation(network(1), T=linear(4, 0))


def test_teacher_and_student_with_different_numbers_of_classes():
    with pytest.raises(ValueError, match=r"same shape, got \(50, 3\) and \(50, 5\)"):
        fit(network(2), points(), Distillation(network(1, num_classes=5)), epochs=1)


def test_wrong_arguments_of_the_rest():
    with pytest.raises(TypeError, match="dataset must be a TensorDataset whose examples stay what they are, got list"):
        with_teacher_logits(network(), [1])
    with pytest.raises(ValueError, match="dataset must have two columns, inputs and labels; got 3"):
        with_teacher_logits(network(), with_teacher_logits(network(), points()))
    with pytest.raises(TypeError, match="data must be a TensorDataset or a DataLoader, got list"):
        evaluate(network(), [1])
    for measure in (lambda **more: evaluate(**more, data=points()), lambda **more: predict(**more, inputs=points().tensors[0])):
        with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
            measure(model=network(), batch_size=0)
        with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got int"):
            measure(model=3)


def test_objectives_print_as_what_they_are():
    assert repr(HardLabels()) == "HardLabels()"
    expected = "Distillation(Sequential, T=linear(start=5, end=1), alpha=0.5, divergence='forward')"
    assert repr(Distillation(network(), T=linear(5, 1))) == expected
