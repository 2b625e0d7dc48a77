"""One training loop, `fit`, for any model, data and objective; `evaluate` and `predict` for a model in eval mode.

The objectives live in `course_lib.objectives`; the two that every notebook uses can be imported from here as well.
"""

from collections.abc import Callable
from contextlib import suppress
from os import PathLike

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import check_positive_int, device_of, eval_mode, random_kept, restore_modes, seeded
from course_lib.batches import (
    batches_in_order,
    begin_epoch,
    check_last_batch,
    makes_examples,
    read_batch,
    to_device,
    training_batches,
)
from course_lib.calling import check_module, logits_of
from course_lib.checkpoints import Run, file_of
from course_lib.history import History, says_stop
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
    measured after every epoch. on_step, on_epoch: called with the history so far; one that returns True ends the run, as Ctrl-C
    does. Either way the model and the history stay usable, and the history says `stopped_early` where epochs are missing; an
    error carries the history so far as its attribute `history`. checkpoint: a file, written after every epoch, before and after
    its on_epoch; where it is there already, the run goes on from it, to the same result as in one go: so an on_epoch that ended
    the run, or failed, is called anew. It holds the model, Adam, the objective's `parameters()` and `state_dict()`, the history
    and torch's random numbers; numpy's and Python's are yours. All of torch's randomness comes from `seed`, and its global
    state is left as it was found. The model is trained in train mode; afterwards each of its modules is in the mode that it was
    in. Raises TypeError or ValueError, naming the argument.
    """
    _check_fit(model, objective, seed, validation, on_step=on_step, on_epoch=on_epoch)
    path = file_of(checkpoint)
    device = device_of(model)
    batches = training_batches(data, batch_size, seed, device)
    check_last_batch(model, batches)
    check_positive_int("epochs", epochs)
    history = History(_name(objective), epochs, len(batches))
    last_step = max(1, epochs * len(batches) - 1)  # max: a run of one step starts, and stays, at progress 0
    _learning_rate(lr, 1.0)  # tried before the first step, lest the last one fails
    optimizer = torch.optim.Adam(_trained(model, objective), lr=_learning_rate(lr, 0.0), fused=True)
    run = Run(model, objective, optimizer, batches, history, device, batch_size, seed, lr, path)

    with seeded(seed, device), restore_modes(model):
        try:
            if run.resume(on_epoch):
                raise KeyboardInterrupt
            for epoch in range(history.epochs, epochs):
                for batch in begin_epoch(batches, epoch):
                    model.train()
                    progress = history.steps / last_step
                    optimizer.param_groups[0]["lr"] = _learning_rate(lr, progress)

                    loss = _as_loss(objective(model, to_device(batch, device), progress))
                    optimizer.zero_grad()
                    loss.total.backward()
                    optimizer.step()
                    torch.clear_autocast_cache()  # in it are the weights before this step

                    history.add_step(loss.total, optimizer.param_groups[0]["lr"], loss.log)
                    if says_stop(on_step, history):
                        raise KeyboardInterrupt
                history.add_epoch(None if validation is None else _validated(model, validation, objective, device))
                if run.end_epoch(on_epoch):
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            history.stopped_early = history.epochs < epochs
        except Exception as error:
            with suppress(AttributeError):  # of an error that takes none
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
    check_module("model", model)
    check_positive_int("batch_size", batch_size)
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

    Floating-point inputs are given in the model's dtype. A dict of inputs by name, or a list of them, is one batch, on the
    model's device. The model is left as it was, and so is a tensor of inputs, whatever the model does in place.
    """
    check_module("model", model)
    check_positive_int("batch_size", batch_size)
    with eval_mode(model):
        if not isinstance(inputs, Tensor):
            return logits_of(model, inputs)
        device, batches = device_of(model, default=inputs.device), inputs.split(batch_size)
        return torch.cat([logits_of(model, batch.to(device, copy=True)).to(inputs.device) for batch in batches])


def with_teacher_logits(teacher: nn.Module, dataset: TensorDataset, batch_size: int = EVAL_BATCH_SIZE) -> TensorDataset:
    """(inputs, labels) -> (inputs, labels, teacher logits): each example carries its own soft target through any shuffle.

    Right as long as the inputs stay what they are; with augmentation the teacher has to see each new picture, so no class
    derived from TensorDataset that makes its examples itself is taken.
    """
    if not isinstance(dataset, TensorDataset) or makes_examples(dataset):
        raise TypeError(f"dataset must be a TensorDataset whose examples stay what they are, got {type(dataset).__name__}")
    if len(dataset.tensors) != 2:
        raise ValueError(f"dataset must have two columns, inputs and labels; got {len(dataset.tensors)}")
    return TensorDataset(*dataset.tensors, predict(teacher, dataset.tensors[0], batch_size))


# ---- behind the loop ----


def _check_fit(
    model: nn.Module, objective: Objective, seed: int, validation: TensorDataset | DataLoader | None, **callbacks: object
) -> None:
    check_module("model", model)
    check_objective("objective", objective)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed must fit into 64 bits, got {seed}")
    if not any(parameter.requires_grad for parameter in _trained(model, objective)):
        raise ValueError("model must have a parameter that can be trained; it has none, or none that requires a gradient")
    for name, callback in callbacks.items():
        if not (callback is None or callable(callback)):
            raise TypeError(f"{name} must be a function of the history, got {type(callback).__name__}")
    if not (validation is None or isinstance(validation, TensorDataset | DataLoader)):
        raise TypeError(f"validation must be a TensorDataset or a DataLoader, got {type(validation).__name__}")
    whole = isinstance(validation, TensorDataset) and not makes_examples(validation)
    if whole and not (len(validation.tensors) in (2, 3) and len(validation)):
        got = f"{len(validation.tensors)} columns of {len(validation)} rows"
        raise ValueError(f"validation must have columns inputs and labels, of at least one row; got {got}")


def _validated(model: nn.Module, validation: TensorDataset | DataLoader, objective: Objective, device: torch.device) -> float:
    with random_kept(device):  # a DataLoader draws a number each time
        return evaluate(model, validation, ignore_index=getattr(objective, "ignore_index", IGNORE_INDEX))


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


def _learning_rate(lr: FloatOrSchedule, progress: float) -> float:
    value = value_at(lr, progress)
    check_not_negative("lr", value)
    return float(value)  # a numpy float could be saved, but not read again
