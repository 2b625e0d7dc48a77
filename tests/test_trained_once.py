"""A result is recalled where every bit of what goes in is the same, and computed where anything differs."""

import copy

import pytest
import torch
import trained_once
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

from course_lib import loops, schedules
from course_lib.models import new_point_student


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return TensorDataset(torch.randn(12, 2, generator=generator), torch.arange(12) % 4)


def arguments():
    """What `fit` is called with: model, data, objective, and by name all else."""
    teacher = new_point_student(seed=7)
    return [new_point_student(), data(), loops.Distillation(teacher, T=schedules.linear(5, 1), alpha=0.5)], {
        "epochs": 3, "lr": 0.01, "batch_size": 4, "seed": 1, "validation": data(1),
    }  # fmt: skip


def change_a_weight(places, named):
    with torch.no_grad():
        places[0][0].weight[0, 0] += 1e-6


def change_a_soft_target(places, named):
    places[1] = TensorDataset(*places[1].tensors, torch.zeros(12, 4))


def change_the_teacher(places, named):
    with torch.no_grad():
        places[2].teacher[0].bias[0] += 1e-6


def change_the_schedule(places, named):
    places[2].T = schedules.cosine(5, 1)


def change_the_objective(places, named):
    places[2] = loops.HardLabels()


def freeze_a_layer(places, named):
    places[0][0].requires_grad_(False)


CHANGES = [change_a_weight, change_a_soft_target, change_the_teacher, change_the_schedule, change_the_objective, freeze_a_layer]


def watched(name, tmp_path, monkeypatch):
    """(a function of `loops` that recalls, what was computed)"""
    computed = []

    def function(*places, **named):
        computed.append(named)
        return getattr(loops, name)(*places, **named)

    function.__name__ = name
    monkeypatch.delenv(trained_once.COMPUTE_ALL, raising=False)
    return trained_once.once(function, tmp_path, **trained_once.ONCE["course_lib.loops"][name]), computed


@pytest.fixture
def recall(tmp_path, monkeypatch):
    return watched("fit", tmp_path, monkeypatch)


@pytest.fixture
def recall_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(trained_once, "MANY", 12)
    return watched("predict", tmp_path, monkeypatch)


def test_the_second_time_gives_the_same_model_and_history_without_training(recall):
    fit, trained = recall
    results = []
    for _ in range(2):
        places, named = arguments()
        places[0](torch.ones(1, 2)).sum().backward()  # an older gradient, which fit clears
        history = fit(*places, **named)
        results.append((places[0].state_dict(), history, places[0].training, [p.grad for p in places[0].parameters()]))
    assert len(trained) == 1
    (first, one, *rest), (second, other, *rest_again) = results
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert repr(one) == repr(other)
    assert one.by_step == other.by_step
    assert rest == rest_again


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_differs_in_anything_is_trained(recall, change):
    fit, trained = recall
    places, named = arguments()
    fit(*places, **named)
    places, named = arguments()
    change(places, named)
    fit(*places, **named)
    assert len(trained) == 2


def name_of(settings: dict) -> str:
    """The same in every process, unlike the text of a function."""
    return next(iter(settings))


@pytest.mark.parametrize(
    "other", [{"epochs": 2}, {"lr": 0.02}, {"batch_size": 3}, {"seed": 2}, {"validation": None}], ids=name_of
)
def test_other_settings_are_another_training(recall, other):
    fit, trained = recall
    for changes in ({}, other):
        places, named = arguments()
        fit(*places, **{**named, **changes})
    assert len(trained) == 2


@pytest.mark.parametrize("other", [{"epochs": 1}, {"on_step": lambda history: None}, {"on_epoch": print}], ids=name_of)
def test_what_is_watched_or_timed_is_trained_each_time(recall, other):
    fit, trained = recall
    for _ in range(2):
        places, named = arguments()
        fit(*places, **{**named, **other})
    assert len(trained) == 2


def test_a_loader_is_read_each_time(recall):
    fit, trained = recall
    for _ in range(2):
        places, named = arguments()
        fit(places[0], DataLoader(places[1], batch_size=4), places[2], **named)
    assert len(trained) == 2


def test_what_was_broken_off_is_not_kept(recall, monkeypatch):
    fit, trained = recall
    places, named = arguments()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loops.History, "add_epoch", interrupted)
        assert fit(*places, **named).stopped_early
    assert not fit(*arguments()[0], **named).stopped_early
    assert len(trained) == 2


def test_where_all_is_to_be_trained_nothing_is_recalled(recall, monkeypatch):
    fit, trained = recall
    monkeypatch.setenv(trained_once.COMPUTE_ALL, "yes")
    for _ in range(2):
        places, named = arguments()
        fit(*copy.deepcopy(places), **named)
    assert len(trained) == 2


def of_other_code():
    class Mine(torch.nn.Linear):
        pass

    return Mine(2, 4)


def that_is_watched():
    model = new_point_student()
    model[0].register_forward_hook(lambda *_: None)
    return model


def whose_inputs_are_watched():
    model = new_point_student()
    model[0].register_forward_pre_hook(lambda *_: None)
    return model


def whose_gradients_are_watched():
    model = new_point_student()
    model[-1].register_full_backward_hook(lambda *_: None)
    return model


def whose_gradients_are_watched_first():
    model = new_point_student()
    model[-1].register_full_backward_pre_hook(lambda *_: None)
    return model


def with_a_watched_parameter():
    model = new_point_student()
    model[0].weight.register_hook(lambda gradient: None)
    return model


def with_a_parameter_watched_afterwards():
    model = new_point_student()
    model[0].weight.register_post_accumulate_grad_hook(lambda parameter: None)
    return model


def that_answers_otherwise():
    model = new_point_student()
    model[-1].forward = lambda x, answer=model[-1].forward: 2 * answer(x)
    return model


NOT_AS_IT_CAME = [
    of_other_code,
    that_is_watched,
    whose_inputs_are_watched,
    whose_gradients_are_watched,
    whose_gradients_are_watched_first,
    with_a_watched_parameter,
    with_a_parameter_watched_afterwards,
    that_answers_otherwise,
]


@pytest.mark.parametrize("start", NOT_AS_IT_CAME, ids=lambda start: start.__name__)
def test_a_model_is_trained_each_time(recall, start):
    fit, trained = recall
    for _ in range(2):
        (_, *places), named = arguments()
        fit(start(), *places, **named)
    assert len(trained) == 2


def test_answers_are_recalled_to_the_last_bit_and_asked_for_where_a_bit_differs(recall_answers):
    predict, asked = recall_answers
    (model, *_), _ = arguments()
    (inputs, _) = data().tensors
    first, again = predict(model, inputs), predict(model, inputs, loops.EVAL_BATCH_SIZE)
    assert len(asked) == 2  # with a batch size that is named
    assert torch.equal(first, predict(model, inputs.clone()))
    assert torch.equal(first, again)
    assert len(asked) == 2
    inputs[3, 1] += 1e-6
    predict(model, inputs)
    assert len(asked) == 3


def test_a_pruned_model_is_told_from_one_with_another_mask(recall_answers):
    predict, asked = recall_answers
    inputs = data().tensors[0]
    for share in (0.5, 0.5, 0.25):
        model = new_point_student()
        prune.l1_unstructured(model[0], "weight", amount=share)
        predict(model, inputs)
    assert len(asked) == 2


def test_an_accuracy_is_recalled_for_the_same_model_and_data(tmp_path, monkeypatch):
    evaluate, computed = watched("evaluate", tmp_path, monkeypatch)
    for seed in (0, 0, 1):
        assert evaluate(new_point_student(), data(seed)) == loops.evaluate(new_point_student(), data(seed))
    assert len(computed) == 2


def test_a_few_answers_are_asked_for_each_time(recall_answers):
    predict, asked = recall_answers
    (model, *_), _ = arguments()
    for _ in range(2):
        predict(model, data().tensors[0][:11])
    assert len(asked) == 2


def test_an_onnx_model_answers_each_time_since_nothing_shows_what_it_is(recall_answers):
    class OnnxModel(torch.nn.Module):
        __module__ = "course_lib.deploy.onnx_models"  # the course's, but without weights that could be told apart

        def __init__(self, logits):
            super().__init__()
            self.logits = logits

        def forward(self, inputs):
            return self.logits[: len(inputs)]

    predict, asked = recall_answers
    for logits in (torch.zeros(12, 4), torch.ones(12, 4)):
        assert torch.equal(predict(OnnxModel(logits), data().tensors[0]), logits)
    assert len(asked) == 2
