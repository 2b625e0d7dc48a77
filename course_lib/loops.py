"""One training loop, `fit`, for any model, data and objective; `evaluate` and `predict` for a model in eval mode.

The objectives live in `course_lib.objectives`; the two that every notebook uses can be imported from here as well.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import check_positive_int, device_of, eval_mode, restore_modes, seeded
from course_lib.history import History
from course_lib.objectives import IGNORE_INDEX, Distillation, FloatOrSchedule, HardLabels, Loss, Objective, value_at
from course_lib.schedules import check_positive

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
) -> History:
    """Train `model` in place with Adam (Kingma & Ba 2015), on the device that it is on; return the `History` of the run.

    data: a TensorDataset (inputs, labels[, teacher logits]), shuffled here and cut into batches by indexing, or any
    DataLoader that knows its length; it then makes the batches. lr: a number, or a schedule of progress.
    validation: data whose accuracy is measured after every epoch. on_step, on_epoch: called with the history so far;
    one that returns True ends the run, as Ctrl-C does. Either way the model and the history stay usable, and the
    history says `stopped_early` where epochs are missing. All of torch's randomness comes from `seed`, and its global
    state is left as it was found. The model is trained in train mode; afterwards each of its modules is in the mode that
    it was in. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    _check_fit(model, objective, seed, validation)
    device = device_of(model)
    batches = _batches(data, batch_size, seed, device)
    check_positive_int("epochs", epochs)
    history = History(_name(objective), epochs, len(batches))
    last_step = max(1, epochs * len(batches) - 1)  # max: a run of one step starts, and stays, at progress 0
    optimizer = torch.optim.Adam(_trained(model, objective), lr=_learning_rate(lr, 0.0), fused=True)

    with seeded(seed, device), restore_modes(model):
        try:
            for _ in range(epochs):
                for batch in batches:
                    model.train()
                    progress = history.steps / last_step
                    optimizer.param_groups[0]["lr"] = _learning_rate(lr, progress)

                    loss = _as_loss(objective(model, _to(batch, device), progress))
                    optimizer.zero_grad()
                    loss.total.backward()
                    optimizer.step()

                    history.add_step(loss.total, optimizer.param_groups[0]["lr"], loss.log)
                    if on_step and _says_stop(on_step(history)):
                        raise KeyboardInterrupt
                history.add_epoch(None if validation is None else evaluate(model, validation))
                if on_epoch and _says_stop(on_epoch(history)):
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            history.stopped_early = history.epochs < epochs
        finally:
            optimizer.zero_grad()
    return history


def evaluate(model: nn.Module, data: TensorDataset | DataLoader, batch_size: int = EVAL_BATCH_SIZE) -> float:
    """The accuracy of `model` in eval mode, in [0, 1], over all rows whose label is not -100. The model is left as it was."""
    device, right, rows = device_of(model), 0, 0
    for inputs, labels, *_ in _in_order(data, batch_size):
        logits, labels = predict(model, inputs.to(device), batch_size), labels.to(device)
        counted = labels != IGNORE_INDEX
        right += int((logits.argmax(-1) == labels)[counted].sum())
        rows += int(counted.sum())
    if not rows:
        raise ValueError("data must hold at least one row with a label, got none")
    return right / rows


def predict(model: nn.Module, inputs: Tensor, batch_size: int = EVAL_BATCH_SIZE) -> Tensor:
    """Logits of `model` in eval mode for (n, …) inputs, in their order and on their device. The model is left as it was."""
    device = device_of(model, default=inputs.device)
    with eval_mode(model):
        return torch.cat([model(part.to(device)).to(inputs.device) for part in inputs.split(batch_size)])


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
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if isinstance(objective, type) or not callable(objective):
        what = f"the class {objective.__name__}" if isinstance(objective, type) else type(objective).__name__
        raise TypeError(f"objective must be such as HardLabels() or Distillation(teacher), got {what}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}")
    if not (validation is None or isinstance(validation, TensorDataset | DataLoader)):
        raise TypeError(f"validation must be a TensorDataset or a DataLoader, got {type(validation).__name__}")


def _says_stop(answer: object) -> bool:
    """True, numpy's and torch's included; not whatever else a callback returns, such as the text of a figure."""
    return answer is True or (getattr(answer, "ndim", None) == 0 and answer.item() is True)


class _ShuffledBatches:
    """The batches of a TensorDataset in a new order each time, cut by indexing on the device: no workers, no collating."""

    def __init__(self, dataset: TensorDataset, batch_size: int, seed: int, device: torch.device):
        self.tensors = [tensor.to(device) for tensor in dataset.tensors]
        self.batch_size = batch_size
        # A generator of its own: two objectives with the same seed meet the same batches, whatever else draws numbers.
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return math.ceil(len(self.tensors[0]) / self.batch_size)

    def __iter__(self) -> Iterator[list[Tensor]]:
        order = torch.randperm(len(self.tensors[0]), generator=self.generator).to(self.tensors[0].device)
        for rows in order.split(self.batch_size):
            yield [tensor.index_select(0, rows) for tensor in self.tensors]  # a quarter of the time of tensor[rows]


def _batches(data, batch_size: int, seed: int, device: torch.device) -> "_ShuffledBatches | DataLoader":
    if isinstance(data, DataLoader):
        try:
            steps = len(data)
        except TypeError as error:
            raise ValueError(
                "data must know its length, since schedules run over the whole training; got a DataLoader that does not"
            ) from error
        if not steps:
            raise ValueError("data must hold at least one batch, got an empty DataLoader")
        return data
    if not isinstance(data, TensorDataset):
        raise TypeError(f"data must be a TensorDataset or a DataLoader, got {type(data).__name__}")
    check_positive_int("batch_size", batch_size)
    if not data.tensors or not len(data):
        raise ValueError("data must hold at least one example, got none")
    return _ShuffledBatches(data, batch_size, seed, device)


def _in_order(data, batch_size: int):
    if isinstance(data, TensorDataset):
        return zip(*(tensor.split(batch_size) for tensor in data.tensors), strict=True)
    if isinstance(data, DataLoader):
        return data
    raise TypeError(f"data must be a TensorDataset or a DataLoader, got {type(data).__name__}")


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


def _to(batch, device: torch.device):
    """The batch, on `device`: a tensor, or a list, tuple or dict of what can be moved; anything else as it is."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: _to(value, device) for name, value in batch.items()}
    return [_to(value, device) for value in batch] if isinstance(batch, list | tuple) else batch


def _learning_rate(lr: FloatOrSchedule, progress: float) -> float:
    value = value_at(lr, progress)
    check_positive("lr", value)
    return value
