"""One training loop, `fit`, and the objectives that it minimises: `HardLabels` and `Distillation`."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.history import History
from course_lib.losses import DIVERGENCES, check_alpha, check_temperature, distillation_terms, hard_label_loss
from course_lib.schedules import check_positive

Setting = float | Callable[[float], float]  # a number, or a schedule: progress in [0, 1] -> number
IGNORE_INDEX = -100  # the label of rows that count nowhere; torch's default
AT_ONCE = 128  # inputs that a model is asked about at a time; what it makes of many more no longer fits into a CPU's cache


class Terms(NamedTuple):
    """What an objective says of one batch. `soft`, `T` and `alpha` are None where there is no soft term."""

    loss: Tensor
    soft: Tensor | None
    hard: Tensor
    T: float | None
    alpha: float | None
    student_logits: Tensor


Objective = Callable[[nn.Module, list[Tensor], float], Terms]


class HardLabels:
    """Cross-entropy with the labels: training as usual. A third column of teacher logits is left unread."""

    def __call__(self, student: nn.Module, batch: list[Tensor], progress: float) -> Terms:
        inputs, labels = batch[:2]
        student_logits = student(inputs)
        hard = hard_label_loss(student_logits, labels, ignore_index=IGNORE_INDEX)
        return Terms(hard, None, hard, None, None, student_logits)

    def __repr__(self) -> str:
        return "HardLabels()"


class Distillation:
    """`alpha * soft + (1 - alpha) * hard`, the teacher's outputs being the soft targets (Hinton et al. 2015, section 2).

    teacher: a module from inputs to logits. It is put in eval mode at every step, gets no gradient, keeps its weights
    and statistics bit for bit, and is moved to the inputs' device. T, alpha: a number, or a schedule of progress.
    A batch that carries teacher logits as its third entry (see `with_teacher_logits`) is trained on those, and the
    teacher does not run. Raises TypeError or ValueError, naming the argument that is wrong.
    """

    def __init__(self, teacher: nn.Module, T: Setting = 2.0, alpha: Setting = 0.5, divergence: str = "forward"):
        if not isinstance(teacher, nn.Module):
            raise TypeError(f"teacher must be a torch.nn.Module, got {type(teacher).__name__}")
        if divergence not in DIVERGENCES:
            raise ValueError(f"divergence must be one of {', '.join(map(repr, DIVERGENCES))}; got {divergence!r}")
        check_temperature(_at(T, 0.0))
        check_alpha(_at(alpha, 0.0))
        self.teacher, self.T, self.alpha, self.divergence = teacher, T, alpha, divergence

    def __call__(self, student: nn.Module, batch: list[Tensor], progress: float) -> Terms:
        self._check_student(student)
        inputs, labels, *cached = batch
        student_logits = student(inputs)
        teacher_logits = cached[0] if cached else self.teacher_logits(inputs)
        T, alpha = _at(self.T, progress), _at(self.alpha, progress)
        check_alpha(alpha)
        alpha = float(alpha)
        soft, hard = distillation_terms(
            student_logits, teacher_logits, labels, T, divergence=self.divergence, ignore_index=IGNORE_INDEX
        )
        return Terms(alpha * soft + (1 - alpha) * hard, soft, hard, T, alpha, student_logits)

    @torch.no_grad()
    def teacher_logits(self, inputs: Tensor) -> Tensor:
        """The teacher's logits for a batch of inputs."""
        # eval() at every step: the teacher may be part of a module whose train() was called since the last one.
        return self.teacher.to(inputs.device).eval()(inputs)

    def _check_student(self, student: nn.Module) -> None:
        theirs = {id(parameter) for parameter in self.teacher.parameters()}
        if student is self.teacher or any(id(parameter) in theirs for parameter in student.parameters()):
            raise ValueError("teacher and student must be different modules, got two that share parameters")

    def __repr__(self) -> str:
        teacher = type(self.teacher).__name__
        return f"Distillation({teacher}, T={self.T}, alpha={self.alpha}, divergence={self.divergence!r})"


def fit(
    model: nn.Module,
    data: TensorDataset | DataLoader,
    objective: Objective,
    *,
    epochs: int,
    lr: Setting = 1e-3,
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
    history = History(repr(objective), epochs, len(batches))
    last_step = max(1, epochs * len(batches) - 1)  # max: a run of one step starts, and stays, at progress 0
    optimizer = torch.optim.Adam(model.parameters(), lr=_learning_rate(lr, 0.0), fused=True)

    with own_randomness(seed, device), modes_kept(model):
        try:
            for _ in range(epochs):
                for batch in batches:
                    model.train()
                    progress = history.steps / last_step
                    optimizer.param_groups[0]["lr"] = _learning_rate(lr, progress)

                    terms = objective(model, [tensor.to(device) for tensor in batch], progress)
                    optimizer.zero_grad()
                    terms.loss.backward()
                    optimizer.step()

                    _record(history, terms, batch[1], optimizer.param_groups[0]["lr"])
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


def evaluate(model: nn.Module, data: TensorDataset | DataLoader, batch_size: int = AT_ONCE) -> float:
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


def predict(model: nn.Module, inputs: Tensor, batch_size: int = AT_ONCE) -> Tensor:
    """Logits of `model` in eval mode for (n, …) inputs, in their order and on their device. The model is left as it was."""
    device = device_of(model, default=inputs.device)
    with evaluating(model):
        return torch.cat([model(part.to(device)).to(inputs.device) for part in inputs.split(batch_size)])


def with_teacher_logits(teacher: nn.Module, dataset: TensorDataset, batch_size: int = AT_ONCE) -> TensorDataset:
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
    if len(data.tensors) not in (2, 3) or not len(data):
        raise ValueError(
            "data must hold at least one example in columns inputs, labels and, if wanted, teacher logits; "
            f"got {len(data.tensors)} columns of {len(data)}"
        )
    return _ShuffledBatches(data, batch_size, seed, device)


def _in_order(data, batch_size: int):
    if isinstance(data, TensorDataset):
        return zip(*(tensor.split(batch_size) for tensor in data.tensors), strict=True)
    if isinstance(data, DataLoader):
        return data
    raise TypeError(f"data must be a TensorDataset or a DataLoader, got {type(data).__name__}")


@torch.no_grad()
def _record(history: History, terms: Terms, labels: Tensor, lr: float) -> None:
    labels = labels.to(terms.student_logits.device)
    counted = labels != IGNORE_INDEX
    right = (terms.student_logits.argmax(-1) == labels)[counted]
    accuracy = right.float().mean() if len(right) else None
    history.add_step(loss=terms.loss, soft=terms.soft, hard=terms.hard, T=terms.T, alpha=terms.alpha, lr=lr, accuracy=accuracy)


@contextmanager
def own_randomness(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Inside, torch's default random numbers on `device` start from `seed`; afterwards they go on as if nothing happened."""
    device = torch.device(device)
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda):
        # Not torch.manual_seed: that would also reseed the devices that are not restored here.
        torch.default_generator.manual_seed(seed)
        for each in cuda:  # pragma: no cover - where there is a GPU
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in eval mode and without gradients; afterwards each of its modules is in the mode that it was in."""
    with modes_kept(model), torch.no_grad():
        yield model.eval()


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Afterwards each module of the model is in the mode that it was in, be it train or eval."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(model: nn.Module, default: torch.device | str = "cpu") -> torch.device:
    """The device of the model's first parameter or buffer."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device(default)


def _at(setting: Setting, progress: float) -> float:
    return setting(progress) if callable(setting) else setting


def _learning_rate(lr: Setting, progress: float) -> float:
    value = _at(lr, progress)
    check_positive("lr", value)
    return value


def check_positive_int(name: str, value: int) -> None:
    """Raise unless value is an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
