"""A run that is saved and gone on with gives what it gives in one go, to the last bit; a wrong file is told and kept."""

import contextlib
import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from course_lib.basics import seeded
from course_lib.checkpoints import hold_to
from course_lib.loops import Distillation, HardLabels, fit
from course_lib.objectives import Loss
from course_lib.schedules import cosine, linear


def data(n=40):
    inputs = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return TensorDataset(inputs, inputs[:, :3].argmax(-1))


def network(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))


class Projected(HardLabels):
    """Has a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def parameters(self):
        return [self.scale]

    def __call__(self, student, batch, progress):
        loss = super().__call__(student, batch, progress)
        return Loss(self.scale.exp() * loss.total, log=loss.log)

    def __repr__(self):
        return "Projected()"


def objectives():
    return {"distillation": Distillation(network(1), T=linear(5, 1), alpha=linear(1, 0)), "own parameters": Projected()}


@pytest.mark.parametrize("loader", [False, True])
@pytest.mark.parametrize("name", list(objectives()))
def test_two_epochs_and_two_more_are_four_in_one_go(tmp_path, name, loader):
    settings = {"epochs": 4, "lr": cosine(1e-2, 0), "batch_size": 16, "seed": 3, "validation": data()}
    examples = (lambda: DataLoader(data(), batch_size=16, shuffle=True)) if loader else data
    whole, objective = network(), objectives()[name]
    expected = fit(whole, examples(), objective, **settings)

    first = fit(
        network(), examples(), objectives()[name], **settings,
        checkpoint=tmp_path / "runs" / "a.pt", on_epoch=lambda history: history.epochs == 2,
    )  # fmt: skip
    assert (first.epochs, first.stopped_early) == (2, True)
    again, resumed_objective = network(9), objectives()[name]
    resumed = fit(again, examples(), resumed_objective, **settings, checkpoint=str(tmp_path / "runs" / "a.pt"))
    assert resumed == expected
    assert all(map(torch.equal, whole.state_dict().values(), again.state_dict().values()))
    if name == "own parameters":
        assert torch.equal(objective.scale, resumed_objective.scale)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["a.pt"]


@pytest.mark.parametrize("place", ["loader", "sampler", "batch_sampler"])
def test_a_loader_that_draws_its_order_by_itself_goes_on_with_it(tmp_path, place):
    def examples():
        own = {"generator": torch.Generator().manual_seed(5)}
        if place == "loader":
            return DataLoader(data(), batch_size=16, shuffle=True, **own)
        sampler = RandomSampler(data(), **own)
        if place == "sampler":
            return DataLoader(data(), batch_size=16, sampler=sampler)
        return DataLoader(data(), batch_sampler=BatchSampler(sampler, 16, drop_last=False))

    settings, path = {"epochs": 3, "validation": data()}, tmp_path / "a.pt"
    whole, resumed = network(), network(9)
    expected = fit(whole, examples(), HardLabels(), **settings)
    fit(network(), examples(), HardLabels(), **settings, checkpoint=path, on_epoch=lambda history: history.epochs == 2)
    assert fit(resumed, examples(), HardLabels(), **settings, checkpoint=path) == expected
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


def test_a_run_that_is_done_is_read_and_not_trained_again(tmp_path):
    path, model = tmp_path / "a.pt", network()
    history = fit(model, data(), HardLabels(), epochs=2, validation=data(), checkpoint=path)
    content, other = path.read_bytes(), network(4)
    assert fit(other, data(), HardLabels(), epochs=2, validation=data(), checkpoint=path) == history
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))
    assert path.read_bytes() == content


def test_an_interrupt_in_an_epoch_goes_back_to_its_start(tmp_path):
    path, settings = tmp_path / "a.pt", {"epochs": 3, "batch_size": 16, "validation": data()}
    fit(network(), data(), HardLabels(), **settings, checkpoint=path, on_step=lambda history: history.steps == 5)
    resumed, whole = network(), network()
    assert fit(resumed, data(), HardLabels(), **settings, checkpoint=path) == fit(whole, data(), HardLabels(), **settings)
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


def test_what_on_epoch_changes_belongs_to_the_run(tmp_path):
    def change(model, stop):
        def on_epoch(history):
            with torch.no_grad():
                model[0].weight.mul_(0.9 + 0.1 * torch.rand(()))  # both the weights and the random numbers
            return history.epochs == stop

        return on_epoch

    settings, path = {"epochs": 3, "batch_size": 16, "validation": data()}, tmp_path / "a.pt"
    whole, first, resumed = network(), network(), network(9)
    expected = fit(whole, data(), HardLabels(), **settings, on_epoch=change(whole, 3))
    fit(first, data(), HardLabels(), **settings, checkpoint=path, on_epoch=change(first, 2))
    assert fit(resumed, data(), HardLabels(), **settings, checkpoint=path, on_epoch=change(resumed, 3)) == expected
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


def test_an_epoch_whose_on_epoch_fails_is_kept(tmp_path):
    def fail(history):
        raise OSError("no space for my picture")

    path, settings = tmp_path / "a.pt", {"epochs": 2, "batch_size": 16}
    with pytest.raises(OSError, match="no space"):
        fit(network(), data(), HardLabels(), **settings, checkpoint=path, on_epoch=fail)
    seen = []
    assert fit(network(), data(), HardLabels(), **settings, checkpoint=path, on_epoch=seen.append).epochs == 2
    assert len(seen) == 2  # for the first epoch once more


def test_a_run_that_on_epoch_ended_asks_it_again(tmp_path):
    settings = {"epochs": 4, "batch_size": 16, "checkpoint": tmp_path / "a.pt"}
    modes = []
    for calls in (2, 3, 4):
        model = network().eval()
        history = fit(
            model, data(), HardLabels(), **settings,
            on_epoch=lambda history, model=model: modes.append(model.training) or history.epochs >= 2,
        )  # fmt: skip
        assert (history.epochs, history.stopped_early) == (2, True)
        assert modes == [True] * calls  # as in one go
    assert fit(network(), data(), HardLabels(), **settings).epochs == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_on_epoch_that_was_cut_off_is_called_anew(tmp_path, error):
    def halving(model, cut_off):
        def on_epoch(history):
            with torch.no_grad():
                model[0].weight.mul_(0.5)
                if history.epochs == cut_off:
                    raise error
                model[3].weight.mul_(0.5)

        return on_epoch

    settings, path = {"epochs": 3, "batch_size": 16, "validation": data()}, tmp_path / "a.pt"
    whole, first, resumed = network(), network(), network(9)
    expected = fit(whole, data(), HardLabels(), **settings, on_epoch=halving(whole, None))
    with contextlib.suppress(ZeroDivisionError):
        fit(first, data(), HardLabels(), **settings, checkpoint=path, on_epoch=halving(first, 2))
    assert fit(resumed, data(), HardLabels(), **settings, checkpoint=path, on_epoch=halving(resumed, None)) == expected
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


class Centred(nn.Module):
    """Keeps a mean of what it has seen, which no gradient reaches."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, student, batch, progress):
        logits = student(batch[0])
        self.mean.lerp_(logits.detach().mean(0), 0.3)
        return HardLabels()(lambda inputs: logits - self.mean, batch, progress)


def test_the_state_of_an_objective_belongs_to_the_run(tmp_path):
    settings, path = {"epochs": 3, "batch_size": 16, "validation": data()}, tmp_path / "a.pt"
    expected = fit(network(), data(), Centred(), **settings)
    fit(network(), data(), Centred(), **settings, checkpoint=path, on_epoch=lambda history: history.epochs == 2)
    assert fit(network(9), data(), Centred(), **settings, checkpoint=path) == expected


@pytest.mark.parametrize("lr", [lambda progress: 1e-2 * np.cos(progress), np.float64(1e-2)])
def test_numbers_of_numpy_can_be_read_again(tmp_path, lr):
    settings = {"epochs": 2, "batch_size": 16, "lr": lr, "checkpoint": tmp_path / "a.pt"}
    objective = Distillation(network(1), T=lambda progress: np.float64(5 - 4 * progress), alpha=np.float32(0.5))
    fit(network(), data(), objective, **settings, on_epoch=lambda history: history.epochs == 1)
    assert fit(network(), data(), objective, **settings).epochs == 2


def test_a_function_is_the_same_in_another_process(tmp_path):
    def objective():
        return Distillation(network(1), T=lambda progress: 4 - 3 * progress)

    one, other, settings = objective(), objective(), {"epochs": 2, "batch_size": 16, "checkpoint": tmp_path / "a.pt"}
    assert repr(one) != repr(other)  # their lambdas lie at two addresses
    fit(network(), data(), one, **settings, on_epoch=lambda history: history.epochs == 1)
    assert fit(network(), data(), other, **settings).epochs == 2


def test_a_file_of_another_model_is_told_before_anything_is_changed(tmp_path):
    path = tmp_path / "a.pt"
    fit(network(), data(), HardLabels(), epochs=1, checkpoint=path)
    wider = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 9))
    longer = nn.Sequential(*network(), nn.Linear(3, 3))
    for model, says in (
        (wider, r"[^$]*3\.weight: .*\[3, 8\]\) from checkpoint, .*\[9, 8\]\)"),
        (longer, r"[^$]*Missing key\(s\) in state_dict: \"4\.weight\""),
    ):
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(ValueError, match=f"checkpoint must be of this model; .* is of another: {says}"):
            fit(model, data(), HardLabels(), epochs=1, checkpoint=path)
        assert all(map(torch.equal, before.values(), model.state_dict().values()))


def test_an_objective_of_other_sizes_is_told_before_anything_is_changed(tmp_path):
    path, model, wider = tmp_path / "a.pt", network(4), Projected()
    fit(network(), data(), Projected(), epochs=1, checkpoint=path)
    wider.scale = nn.Parameter(torch.ones(5))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"checkpoint must be of this objective; .* shapes \[\(\)\] there, \[\(5,\)\] here"):
        fit(model, data(), wider, epochs=1, checkpoint=path)
    assert all(map(torch.equal, before.values(), model.state_dict().values()))


def test_what_could_not_be_read_again_is_told_at_once(tmp_path):
    class Counting(HardLabels):
        def state_dict(self):
            return {"seen": np.float64(3)}

    with pytest.raises(ValueError, match="the states of model and objective must be tensors and plain numbers"):
        fit(network(), data(), Counting(), epochs=1, checkpoint=tmp_path / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_which_a_compiled_model_has_the_compilers_names_can_be_read(tmp_path):
    settings = {"epochs": 2, "batch_size": 16, "checkpoint": tmp_path / "a.pt"}
    fit(network(), data(), HardLabels(), **settings)
    state = torch.load(tmp_path / "a.pt", weights_only=True)
    state["model"] = {f"_orig_mod.{name}": value for name, value in state["model"].items()}
    del state["asked"]
    del state["objective"]
    torch.save(state, tmp_path / "a.pt")
    assert fit(torch.compile(network(8), backend="eager"), data(), HardLabels(), **settings).epochs == 2


def test_a_compiled_model_and_the_plain_one_read_each_others_files(tmp_path):
    settings = {"epochs": 2, "batch_size": 16, "checkpoint": tmp_path / "a.pt"}
    fit(network(), data(), HardLabels(), **settings, on_epoch=lambda history: history.epochs == 1)
    fit(torch.compile(network(9), backend="eager"), data(), HardLabels(), **settings)
    assert fit(network(8), data(), HardLabels(), **settings).epochs == 2


@pytest.mark.parametrize(
    ("checkpoint", "error"), [(True, TypeError), (".", ValueError), ("checkpoint must be a file/a.pt", OSError)]
)
def test_a_place_for_no_file_is_told_before_the_first_step(tmp_path, monkeypatch, checkpoint, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoint must be a file").touch()
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match="checkpoint must be a"):
        fit(model, data(), HardLabels(), epochs=1, checkpoint=checkpoint)
    assert all(map(torch.equal, before.values(), model.state_dict().values()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lr": 1.0}, "lr 0.001 there, 1.0 here"),
        ({"epochs": 5}, "epochs 2 there, 5 here"),
        ({"seed": 1}, "seed 0 there, 1 here"),
        ({"batch_size": 20}, "steps_per_epoch 3 there, 2 here; batch_size 16 there, 20 here"),
        ({"objective": Projected()}, r"objective 'HardLabels\(\)' there, 'Projected\(\)' here"),
    ],
)
def test_a_file_of_another_run_is_told_and_left_as_it_is(tmp_path, change, says):
    path, settings = tmp_path / "a.pt", {"objective": HardLabels(), "epochs": 2, "batch_size": 16, "seed": 0}
    fit(network(), data(), **settings, checkpoint=path)
    content, model = path.read_bytes(), network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=f"checkpoint must be of this run; .* is of another: {says}. Name another file"):
        fit(model, data(), **{**settings, **change}, checkpoint=path)
    assert path.read_bytes() == content
    assert all(map(torch.equal, before.values(), model.state_dict().values()))


def test_a_file_that_is_no_checkpoint_is_told_and_left_as_it_is(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine", encoding="utf8")
    with pytest.raises(ValueError, match=r"checkpoint must be a file that fit wrote, .*notes\.txt can't be read"):
        fit(network(), data(), HardLabels(), epochs=1, checkpoint=path)
    assert path.read_text(encoding="utf8") == "mine"


def test_a_run_is_held_to_what_it_was_started_with(tmp_path):
    path = tmp_path / "new" / "run.json"
    hold_to(path, {"size": 32, "mean": (0.5, 0.5), "weights": None})
    written = path.read_bytes()
    hold_to(path, {"size": 32, "mean": (0.5, 0.5), "weights": None})
    with pytest.raises(ValueError, match=r"size 32 there, 64 here; weights None there, 'a.pt' here\. Go back"):
        hold_to(path, {"size": 64, "mean": (0.5, 0.5), "weights": "a.pt"})
    assert path.read_bytes() == written
    path.write_text("no JSON")
    with pytest.raises(ValueError, match="can't be read"):
        hold_to(path, {})
