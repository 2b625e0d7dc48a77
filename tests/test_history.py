"""The record of a run: its columns, its curves, and how it prints."""

import math

import pytest
import torch

from course_lib.history import OWN, History


def run(epochs, steps_per_epoch=2, soft=0.5, validation=None):
    history = History("HardLabels()", epochs, steps_per_epoch)
    for epoch in range(epochs):
        for step in range(steps_per_epoch):
            history.add_step(epoch + step, 0.1, {"soft": soft, "hard": 1, "T": None, "accuracy": step})
        history.add_epoch(validation)
    return history


def test_columns_by_step_and_by_epoch():
    history = run(3, validation=0.75)
    assert (history.steps, history.epochs) == (6, 3)
    assert history.by_step["loss"] == [0, 1, 1, 2, 2, 3]
    assert history.by_epoch["loss"] == [0.5, 1.5, 2.5]
    assert history.by_epoch["accuracy"] == [0.5] * 3
    assert history.by_epoch["validation_accuracy"] == [0.75] * 3
    assert all(map(math.isnan, history.by_step["T"] + history.by_epoch["T"]))
    assert list(history.by_step) == ["loss", "soft", "hard", "T", "accuracy", "lr"]
    assert list(history.by_epoch) == [*history.by_step, "validation_accuracy"]


def test_a_batch_without_labels_takes_no_accuracy_from_its_epoch():
    history = History("HardLabels()", 2, 2)
    for accuracy in (0.25, None, None, None):
        history.add_step(1, 0.1, {"hard": 1, "accuracy": accuracy})
        if history.steps % 2 == 0:
            history.add_epoch()
    assert history.by_epoch["accuracy"] == pytest.approx([0.25, math.nan], nan_ok=True)


def test_a_loss_that_is_no_number_shows_in_its_epoch():
    history = History("HardLabels()", 1, 2)
    for loss in (math.nan, 1):
        history.add_step(loss, 0.1)
    history.add_epoch()
    assert math.isnan(history.by_epoch["loss"][0])


def test_a_step_that_fails_leaves_no_half_of_a_row():
    history = run(1)
    with pytest.raises(TypeError):
        history.add_step(1, 0.1, {"soft": 1, "new": [], "other": 2})
    assert {len(column) for column in history.by_step.values()} == {2}


def test_a_column_that_comes_late_or_goes_is_nan_where_it_is_not():
    history = History("mine", 2, 2)
    for step, log in enumerate([{"a": 1}, {"a": 2, "b": 3}, {"b": 5}, {"b": None}]):
        history.add_step(step, 0.1, log)
        if step % 2:
            history.add_epoch()
    nan = pytest.approx(math.nan, nan_ok=True)
    assert history.by_step == {"loss": [0, 1, 2, 3], "a": [1, 2, nan, nan], "b": [nan, 3, 5, nan], "lr": [0.1] * 4}
    assert (history.by_epoch["a"], history.by_epoch["b"]) == ([1.5, nan], [3, 5])


def test_a_logged_nan_is_not_left_out_of_its_epoch():
    history = History("mine", 1, 2)
    for value in (math.nan, 1.0):
        history.add_step(1, 0.1, {"soft": value})
    history.add_epoch()
    assert math.isnan(history.by_epoch["soft"][0])


class OnAGpu:
    """Stands for a scalar whose number a GPU may still be computing: `read` counts how often someone waited for it."""

    device = torch.device("cuda")
    read = 0

    def __init__(self, value):
        self.value = value

    def numel(self):
        return 1

    def detach(self):
        return self

    clone = detach

    def item(self):
        OnAGpu.read += 1
        return self.value


def test_what_lies_on_a_gpu_is_read_when_someone_asks(monkeypatch):
    monkeypatch.setattr(OnAGpu, "read", 0)
    history = History("mine", 1, 3)
    for step in range(3):
        history.add_step(OnAGpu(float(step)), 0.1, {"soft": OnAGpu(0.5), "T": 2})
    assert history.steps == 3
    assert OnAGpu.read == 0
    assert history.by_step == {"loss": [0, 1, 2], "soft": [0.5] * 3, "T": [2] * 3, "lr": [0.1] * 3}
    assert OnAGpu.read == 6
    history.add_epoch()
    assert (history.by_epoch["loss"], history.by_epoch["soft"], OnAGpu.read) == ([1], [0.5], 6)
    for loss in (3.0, 5.0):
        history.add_step(OnAGpu(loss), 0.1)
    history.add_epoch()  # which reads what nobody asked for
    assert history.by_epoch["loss"] == [1, 4]
    history.add_step(OnAGpu(math.nan), 0.1)
    history.add_step(7.0, 0.1)  # which does not overtake what waits
    assert history.first_nan == 6
    assert history.by_step["loss"][6] == 7


def test_what_lies_on_a_gpu_must_be_a_number_and_is_kept_as_it_was_logged():
    history, value = History("mine", 1, 1), torch.zeros((), device="meta", requires_grad=True)
    history.add_step(value, 0.1)
    (kept,) = (row["loss"] for row in history._unread)
    assert kept is not value
    assert not kept.requires_grad
    with pytest.raises(ValueError, match=r"soft must be one number, got a tensor of shape \(2,\)"):
        history.add_step(value, 0.1, {"soft": torch.zeros(2, device="meta")})
    assert history.steps == 1


@pytest.mark.parametrize("name", OWN)
def test_a_log_may_not_take_the_name_of_a_column_that_every_run_has(name):
    history = History()
    with pytest.raises(ValueError, match=f"log must not name .*; got {name}$"):
        history.add_step(1, 0.1, {name: 1})
    assert history.steps == 0


def test_curves_are_in_epochs():
    history = run(2, steps_per_epoch=4)
    assert history.curve("loss") == ([1, 2], history.by_epoch["loss"])
    x, y = history.curve("loss", by="step")
    assert x == [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    assert y == history.by_step["loss"]
    with pytest.raises(ValueError, match=r"name must be one of loss, .* got 'loos'"):
        history.curve("loos")
    with pytest.raises(ValueError, match="by must be 'epoch' or 'step', got 'batch'"):
        history.curve("loss", by="batch")


def test_repr_shows_only_what_there_is():
    text = repr(run(2, validation=0.75))
    assert text.splitlines()[0] == "HardLabels(): 2 of 2 epochs, 4 steps"
    assert "val. acc." in text
    assert "0.75" in text
    assert " T" not in text.splitlines()[1]
    assert "val. acc." not in repr(run(2))


def test_repr_of_a_long_run_is_short():
    lines = repr(run(40)).splitlines()
    assert len(lines) == 9
    assert lines[5].strip() == "…"
    assert lines[-1].split()[0] == "40"


def test_repr_of_nothing_and_of_a_run_that_was_stopped():
    assert repr(History("HardLabels()", 5, 10)) == "HardLabels(): 0 of 5 epochs, 0 steps"
    stopped = run(1)
    stopped.stopped_early = True
    assert "stopped early" in repr(stopped).splitlines()[0]


def test_a_loss_that_becomes_nan_is_told_with_its_step_and_never_left_out_of_the_table():
    history = History("mine", 2, 2)
    for loss in (1.0, math.nan, math.nan, math.nan):
        history.add_step(loss, 0.1)
        if history.steps % 2 == 0:
            history.add_epoch()
    assert history.first_nan == 2
    _, told, heading, *rows = repr(history).splitlines()
    assert told == "the loss is no number (NaN) from step 2 on"
    assert heading.split() == ["epoch", "loss", "lr"]
    assert [row.split()[1] for row in rows] == ["nan", "nan"]
    assert run(1).first_nan is None
