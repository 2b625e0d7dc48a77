"""One training loop, `fit`, for any model, data and objective; `evaluate` and `predict` for a model in eval mode.

The objectives live in `course_lib.objectives`; the two that every notebook uses can be imported from here as well.
"""

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import check_positive_int, device_of, eval_mode, restore_modes, seeded
from course_lib.batches import batches_in_order, check_last_batch, read_batch, to_device, training_batches
from course_lib.calling import check_module, in_dtype_of, logits_of
from course_lib.checkpoints import Run
from course_lib.history import History
from course_lib.objectives import (
    IGNORE_INDEX,
    Distillation,
    FloatOrSchedule,
    HardLabels,
    Loss,
    Objective,
    check_objective,
    rows_right,
    value_at,
)
from course_lib.schedules import check_not_negative

__all__ = ["Distillation", "HardLabels", "evaluate", "fit", "predict", "with_teacher_logits"]

EVAL_BATCH_SIZE = 128  # inputs at a time; what a model makes of many more no longer fits into a CPU's cache


def fit(
    model: nn.Module,
    data: TensorDataset | DataLoader,
    objective: Objective,
    *,
    epochs: int,
    lr: FloatOrSchedule = 1e-3,
    batch_size: int = 128,
    seed: int = 0,
    validation: TensorDataset | DataLoader | None = None,
    on_step: Callable[[History], bool | None] | None = None,
    on_epoch: Callable[[History], bool | None] | None = None,
    checkpoint: str | PathLike | None = None,
) -> History:
    """Train `model` in place with Adam (Kingma & Ba 2015), on the device that it is on; return the `History` of the run.

    data: a TensorDataset, shuffled here and cut into batches by indexing, or any DataLoader that knows its length; it then
    makes the batches. What a batch must hold is up to the objective, whose own `parameters()`, where it has some, are trained
    too; they must be on the model's device. lr: a number, or a schedule of progress. validation: data whose accuracy is
    measured after every epoch. on_step, on_epoch: called with the history so far; one that returns True ends the run, as
    Ctrl-C does. Either way the model and the history stay usable, and the history says `stopped_early` where epochs are
    missing; an error carries the history so far as its attribute `history`. checkpoint: a file, written after every epoch;
    where it is there already, the run goes on from it, to the same result as in one go. All of torch's randomness comes from
    `seed`, and its global state is left as it was found. The model is trained in train mode; afterwards each of its modules
    is in the mode that it was in. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    _check_fit(model, objective, seed, validation)
    device = device_of(model)
    batches = training_batches(data, batch_size, seed, device)
    check_last_batch(model, batches)
    check_positive_int("epochs", epochs)
    history = History(_name(objective), epochs, len(batches))
    last_step = max(1, epochs * len(batches) - 1)  # max: a run of one step starts, and stays, at progress 0
    _learning_rate(lr, 1.0)  # tried before the first step, lest the last one fails
    optimizer = torch.optim.Adam(_trained(model, objective), lr=_learning_rate(lr, 0.0), fused=True)
    run = Run(model, objective, optimizer, batches, history, device, batch_size, seed)

    with seeded(seed, device), restore_modes(model):
        try:
            if checkpoint is not None and Path(checkpoint).exists():
                run.load(Path(checkpoint))
            for _ in range(history.epochs, epochs):
                for batch in batches:
                    model.train()
                    progress = history.steps / last_step
                    optimizer.param_groups[0]["lr"] = _learning_rate(lr, progress)

                    loss = _as_loss(objective(model, to_device(batch, device), progress))
                    optimizer.zero_grad()
                    loss.total.backward()
                    optimizer.step()

                    history.add_step(loss.total, optimizer.param_groups[0]["lr"], loss.log)
                    if on_step and _says_stop(on_step(history)):
                        raise KeyboardInterrupt
                history.add_epoch(None if validation is None else evaluate(model, validation, ignore_index=_ignored(objective)))
                if checkpoint is not None:
                    run.save(Path(checkpoint))
                if on_epoch and _says_stop(on_epoch(history)):
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            history.stopped_early = history.epochs < epochs
        except Exception as error:
            error.history = history
            raise
        finally:
            optimizer.zero_grad()
    return history


def evaluate(
    model: nn.Module,
    data: TensorDataset | DataLoader,
    batch_size: int = EVAL_BATCH_SIZE,
    *,
    ignore_index: int = IGNORE_INDEX,
) -> float:
    """Return the accuracy of `model` in eval mode, in [0, 1], over all rows whose label is not ignore_index.

    The model is left as it was. Raises ValueError if no row has a label, or the labels do not fit the logits.
    """
    device, right, rows = device_of(model), 0, 0
    for batch in batches_in_order(data, batch_size):
        inputs, labels, _ = read_batch(to_device(batch, device))
        logits = predict(model, inputs, batch_size)
        found = rows_right(logits, labels, ignore_index)
        right, rows = right + int(found.sum()), rows + len(found)
    if not rows:
        raise ValueError("data must hold at least one row with a label, got none")
    return right / rows


def predict(model: nn.Module, inputs: Tensor | dict, batch_size: int = EVAL_BATCH_SIZE) -> Tensor:
    """Return the logits of `model` in eval mode for (n, …) inputs, in their order and on their device.

    Floating-point inputs are given in the model's dtype. A dict of inputs by name is one batch, on the model's device. The
    model is left as it was.
    """
    with eval_mode(model):
        if isinstance(inputs, Mapping):
            return logits_of(model, in_dtype_of(model, inputs))
        device, batches = device_of(model, default=inputs.device), inputs.split(batch_size)
        return torch.cat([logits_of(model, in_dtype_of(model, batch.to(device))).to(inputs.device) for batch in batches])


def with_teacher_logits(teacher: nn.Module, dataset: TensorDataset, batch_size: int = EVAL_BATCH_SIZE) -> TensorDataset:
    """(inputs, labels) -> (inputs, labels, teacher logits): each example carries its own soft target through any shuffle.

    Right as long as the inputs stay what they are; with augmentation the teacher has to see each new picture.
    """
    if not isinstance(dataset, TensorDataset):
        raise TypeError(f"dataset must be a TensorDataset, got {type(dataset).__name__}")
    if len(dataset.tensors) != 2:
        raise ValueError(f"dataset must have two columns, inputs and labels; got {len(dataset.tensors)}")
    return TensorDataset(*dataset.tensors, predict(teacher, dataset.tensors[0], batch_size))


# ---- behind the loop ----


def _check_fit(model: nn.Module, objective: Objective, seed: int, validation: TensorDataset | DataLoader | None) -> None:
    check_module("model", model)
    check_objective("objective", objective)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}")
    if not (validation is None or isinstance(validation, TensorDataset | DataLoader)):
        raise TypeError(f"validation must be a TensorDataset or a DataLoader, got {type(validation).__name__}")


def _says_stop(answer: object) -> bool:
    """True, numpy's and torch's included; not whatever else a callback returns, such as the text of a figure."""
    return answer is True or (getattr(answer, "ndim", None) == 0 and answer.item() is True)


def _name(objective: Objective) -> str:
    return getattr(objective, "__name__", None) or repr(objective)


def _trained(model: nn.Module, objective: Objective) -> list[nn.Parameter]:
    """The parameters of the model and of the objective, each once."""
    own = objective.parameters() if hasattr(objective, "parameters") else ()
    return list(dict.fromkeys([*model.parameters(), *own]))


def _as_loss(result: Loss | Tensor) -> Loss:
    loss = Loss(result) if isinstance(result, Tensor) else result
    total = getattr(loss, "total", None)
    if not isinstance(loss, Loss) or not isinstance(total, Tensor) or total.dim():
        got = f"a tensor of shape {tuple(total.shape)}" if isinstance(total, Tensor) else type(result).__name__
        raise TypeError(f"objective must return a Loss or a scalar tensor, got {got}")
    return loss


def _ignored(objective: Objective) -> int:
    return getattr(objective, "ignore_index", IGNORE_INDEX)


def _learning_rate(lr: FloatOrSchedule, progress: float) -> float:
    value = value_at(lr, progress)
    check_not_negative("lr", value)
    return value
