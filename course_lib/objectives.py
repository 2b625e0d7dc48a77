"""Objectives: a batch goes in, a `Loss` comes out. An objective alone knows what the columns of a batch mean.

An objective is any callable `objective(student, batch, progress)`, where batch is what the data gave, on the student's
device, and progress runs from 0 at the first step to 1 at the last. It returns a `Loss` or a scalar tensor. One that has
parameters of its own, such as a projector between features, offers them by a method `parameters()`; `fit` trains them too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.basics import device_of, eval_mode, to_eval
from course_lib.batches import read_batch, to_device
from course_lib.calling import call, call_teacher, check_apart, check_module, dtype_of, logits_in, logits_of, versions_of
from course_lib.features import Match, check_layers
from course_lib.losses import (
    check_alpha,
    check_temperature,
    distillation_loss,
    find_divergence,
    hard_label_loss,
    soft_target_loss,
)
from course_lib.schedules import check_not_negative
from course_lib.tapping import check_gradients, tapped

FloatOrSchedule = float | Callable[[float], float]  # a number, or a schedule: progress in [0, 1] -> number
IGNORE_INDEX = -100  # the label of rows that count nowhere; torch's default


@dataclass(frozen=True)
class Loss:
    """What an objective makes of one batch.

    total: a scalar with a gradient, what `fit` minimises. logits: the student's, where there are classes, (..., num_classes).
    log: further numbers by name, scalar tensors or floats, which become the columns of the `History`; one that a batch does
    not have is None.
    """

    total: Tensor
    logits: Tensor | None = None
    log: Mapping[str, Tensor | float | None] = field(default_factory=dict)


Objective = Callable[[nn.Module, Any, float], Loss | Tensor]


class HardLabels:
    """Cross-entropy with the labels: training as usual. Teacher logits that travel with a batch are left unread.

    A batch is what `read_batch` takes. Rows whose label is ignore_index count nowhere. It logs hard, in nats, and accuracy.
    """

    def __init__(self, ignore_index: int = IGNORE_INDEX):
        self.ignore_index = ignore_index

    def __call__(self, student: nn.Module, batch, progress: float) -> Loss:
        inputs, labels, _ = read_batch(batch)
        student_logits = logits_of(student, inputs)
        hard = hard_label_loss(student_logits, labels, ignore_index=self.ignore_index)
        return Loss(hard, student_logits, {"hard": hard, "accuracy": _accuracy(student_logits, labels, self.ignore_index)})

    def __repr__(self) -> str:
        return f"HardLabels({_unless_default(self.ignore_index)})"


class Distillation:
    """`alpha * soft + (1 - alpha) * hard`, the teacher's outputs being the soft targets (Hinton et al. 2015, section 2).

    teacher: a module from inputs to logits. It is put in eval mode at every step, gets no gradient, keeps its weights and
    statistics bit for bit, is moved to the inputs' device, and gets floating-point inputs in its own dtype. It may share
    frozen layers with the student, which then run in eval mode. T, alpha: a number, or a schedule of progress. divergence,
    beta: as in `soft_target_loss`.
    A batch is what `read_batch` takes; where the teacher's logits travel with it (`course_lib.loops.with_teacher_logits`),
    the teacher does not run. Rows whose label is ignore_index count nowhere. It logs soft (T² times the divergence, in nats),
    hard (cross-entropy, in nats), T, alpha and accuracy. Raises TypeError or ValueError, naming the argument that is wrong.
    """

    def __init__(
        self,
        teacher: nn.Module,
        T: FloatOrSchedule = 2.0,
        alpha: FloatOrSchedule = 0.5,
        divergence: str = "forward",
        ignore_index: int = IGNORE_INDEX,
        beta: float = 0.5,
    ):
        check_module("teacher", teacher)
        find_divergence(divergence, beta)
        for progress in (0.0, 1.0):  # both ends, since the last step is late for learning of a T that is 0 there
            check_temperature(value_at(T, progress))
            check_alpha(value_at(alpha, progress))
        self.teacher, self.T, self.alpha, self.divergence, self.beta = teacher, T, alpha, divergence, beta
        self.ignore_index = ignore_index

    def __call__(self, student: nn.Module, batch, progress: float) -> Loss:
        check_apart(self.teacher, student)
        inputs, labels, teacher_logits = read_batch(batch)
        # At every step: the teacher may be part of a module whose train() was called since the last one. And before the
        # student runs: frozen layers that it shares with the teacher must keep their statistics.
        to_eval(self.teacher)
        versions = versions_of(inputs)
        student_logits = logits_of(student, inputs)
        if teacher_logits is None:
            if versions_of(inputs) != versions:
                raise ValueError("student must leave its inputs as they are, for the teacher; it changes them in place")
            teacher_logits = self.teacher_logits(inputs)
        T, alpha = value_at(self.T, progress), value_at(self.alpha, progress)
        options = {"divergence": self.divergence, "beta": self.beta, "ignore_index": self.ignore_index}
        total, soft, hard = distillation_loss(student_logits, teacher_logits, labels, T, alpha, **options, return_terms=True)
        accuracy = _accuracy(student_logits, labels, self.ignore_index)
        log = {"soft": soft, "hard": hard, "T": T, "alpha": float(alpha), "accuracy": accuracy}
        return Loss(total, student_logits, log)

    def teacher_logits(self, inputs: Tensor | dict) -> Tensor:
        """Return the teacher's logits for a batch of inputs, in its own dtype, on the inputs' device."""
        return logits_in(call_teacher(self.teacher, inputs))

    def __repr__(self) -> str:
        settings = f"T={self.T}, alpha={self.alpha}, divergence={self.divergence!r}"
        more = _unless_default(self.ignore_index)
        return f"Distillation({type(self.teacher).__name__}, {settings}{self._beta()}{more and ', ' + more})"

    def _beta(self) -> str:
        return f", beta={self.beta}" if self.divergence == "jsd" else ""


class Features:
    """`base + weight * distance`, the distance being that of features of the student from the teacher's, layer by layer.

    teacher: as in `Distillation`, and it runs once a step for both; student: the model to be trained; inputs: an example of
    what they are called on, two rows are enough, by which sizes are found. layers: {"student's layer": "teacher's layer"},
    names as in `named_modules()`; the distances of several pairs are added. What counts as a layer's output says
    `course_lib.tapping.tapped`. loss: a name in FEATURE_LOSSES: "mse" (after a projector, trained with the student),
    "cosine" (after one where widths differ), "attention" or "relations". weight: a number of at least 0, or a schedule of
    progress. base: the objective that the distance is added to, `HardLabels()` or e.g. `Distillation(teacher, …)`.
    All rows and positions count in the distance, without a label too. `fit` trains the projectors, which lie on the
    student's device as it was here; between processes their gradients are not averaged. It logs features, the distance,
    and what base logs. Raises TypeError or ValueError, naming the argument that is wrong, before the first step.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        inputs: Tensor | dict,
        layers: Mapping[str, str],
        *,
        loss: str = "mse",
        weight: FloatOrSchedule = 1.0,
        base: Objective | None = None,
    ):
        check_module("teacher", teacher)
        check_module("student", student)
        check_apart(teacher, student)
        check_layers(layers, loss)
        if not isinstance(inputs, Tensor | Mapping):
            raise TypeError(f"inputs must be what a model is called on, a tensor or a dict; got {type(inputs).__name__}")
        for progress in (0.0, 1.0):
            check_not_negative("weight", value_at(weight, progress))
        self.teacher, self.weight, self.base = teacher, weight, HardLabels() if base is None else base
        check_objective("base", self.base)
        inputs = to_device(inputs, device_of(student))
        with eval_mode(student), tapped(student, layers) as ours:
            call(student, inputs)
        with tapped(teacher, layers.values()) as theirs:
            call_teacher(teacher, inputs)
        self.match = Match(layers, loss, ours, theirs).to(device_of(student), dtype_of(student))

    def __call__(self, student: nn.Module, batch, progress: float) -> Loss:
        check_apart(self.teacher, student)
        inputs, labels, teacher_logits = read_batch(batch)
        with tapped(self.teacher, self.match.layers.values()) as theirs:
            output = call_teacher(self.teacher, inputs)
        logits = getattr(output, "logits", output)
        if teacher_logits is None and getattr(self.base, "teacher", None) is self.teacher and isinstance(logits, Tensor):
            batch = {**batch, "teacher_logits": logits} if isinstance(batch, Mapping) else [inputs, labels, logits]
        with tapped(student, self.match.layers) as ours:
            loss = self.base(student, batch, progress)
        loss = Loss(loss) if isinstance(loss, Tensor) else loss
        check_gradients(ours)
        distance = self.match(ours, theirs)
        total = loss.total + value_at(self.weight, progress) * distance
        return replace(loss, total=total, log={**loss.log, "features": distance.detach()})

    def parameters(self) -> list[nn.Parameter]:
        """Return those of the projectors, and of the base if it has some."""
        return [*self.match.parameters(), *(self.base.parameters() if hasattr(self.base, "parameters") else ())]

    def state_dict(self) -> dict:
        """Return what base keeps beside its parameters."""
        return self.base.state_dict() if hasattr(self.base, "state_dict") else {}

    def load_state_dict(self, state: Mapping) -> None:
        """Give that back to base."""
        if state:
            self.base.load_state_dict(state)

    @property
    def ignore_index(self) -> int:
        return getattr(self.base, "ignore_index", IGNORE_INDEX)

    def __repr__(self) -> str:
        settings = f"{self.match.layers}, loss={self.match.loss!r}, weight={self.weight}, base={self.base!r}"
        return f"Features({type(self.teacher).__name__}, {settings})"


def distillation_terms(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, T: float = 2.0, *, ignore_index: int = -100, **options
) -> tuple[Tensor, Tensor]:
    """Return the two terms of `distillation_loss`, (soft, hard), for those who weigh them otherwise. Arguments as there.

    Each keeps a gradient of its own: twice the memory of their sum. For a log take `return_terms` there, which costs little.
    """
    hard = hard_label_loss(student_logits, labels, ignore_index=ignore_index, dim=options.get("dim", -1))
    return soft_target_loss(student_logits, teacher_logits, T, mask=labels != ignore_index, **options), hard


def check_objective(name: str, objective: Objective) -> None:
    """Raise TypeError, naming the argument, unless it can be called on a student: no class, and none of torch's losses."""
    torchs = type(objective).__module__ == nn.modules.loss.__name__
    if torchs or isinstance(objective, type) or not callable(objective):
        what = f"the class {objective.__name__}" if isinstance(objective, type) else type(objective).__name__
        raise TypeError(f"{name} must be such as HardLabels() or Distillation(teacher), got {what}")


def _unless_default(ignore_index: int) -> str:
    return "" if ignore_index == IGNORE_INDEX else f"ignore_index={ignore_index}"


def value_at(setting: FloatOrSchedule, progress: float) -> float:
    """Return the number that a setting has at `progress` in [0, 1]."""
    return setting(progress) if callable(setting) else setting


@torch.no_grad()
def rows_right(logits: Tensor, labels: Tensor, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Return for each labelled row whether its largest logit is that of its label, bools of shape (labelled rows,).

    logits: (..., num_classes); labels: int64 (...), or probabilities (..., num_classes), whose largest counts. Raises
    ValueError if they do not fit.
    """
    right, labelled = _right_and_labelled(logits, labels, ignore_index)
    return right[labelled]


def _accuracy(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor | None:
    """The share of the labelled rows that are right, in [0, 1]. Without one None, or NaN on a GPU, which is not waited for."""
    right, labelled = _right_and_labelled(logits, labels, ignore_index)
    if logits.device.type == "cpu" and not labelled.any():
        return None
    return (right & labelled).sum() / labelled.sum()


def _right_and_labelled(logits: Tensor, labels: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    rows, soft = tuple(logits.shape[:-1]), labels.is_floating_point()
    if labels.shape != (logits.shape if soft else rows):
        got = f"{tuple(labels.shape)}, {labels.dtype}"
        raise ValueError(f"labels must have shape {rows}, a label for each row, int64; got {got}")
    labels = labels.argmax(-1) if soft else labels
    return logits.argmax(-1) == labels, labels != ignore_index
