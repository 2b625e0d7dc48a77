"""Objectives: a batch goes in, a `Loss` comes out. An objective alone knows what the columns of a batch mean.

An objective is any callable `objective(student, batch, progress)`, where batch is what the data gave, on the student's
device, and progress runs from 0 at the first step to 1 at the last. It returns a `Loss` or a scalar tensor. One that has
parameters of its own, such as a projector between features, offers them by a method `parameters()`; `fit` trains them too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.losses import DIVERGENCES, check_alpha, check_temperature, distillation_terms, hard_label_loss

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
    """Cross-entropy with the labels: training as usual. Of a batch it reads inputs and labels, the first two columns."""

    def __call__(self, student: nn.Module, batch: list[Tensor], progress: float) -> Loss:
        inputs, labels, *_ = _columns(batch)
        student_logits = student(inputs)
        hard = hard_label_loss(student_logits, labels, ignore_index=IGNORE_INDEX)
        return Loss(hard, student_logits, {"hard": hard, "accuracy": _accuracy(student_logits, labels)})

    def __repr__(self) -> str:
        return "HardLabels()"


class Distillation:
    """`alpha * soft + (1 - alpha) * hard`, the teacher's outputs being the soft targets (Hinton et al. 2015, section 2).

    teacher: a module from inputs to logits. It is put in eval mode at every step, gets no gradient, keeps its weights
    and statistics bit for bit, and is moved to the inputs' device. T, alpha: a number, or a schedule of progress.
    A batch holds inputs, labels and, if wanted, the teacher's logits (see `course_lib.loops.with_teacher_logits`), for which
    the teacher then does not run. It logs soft (T² times the divergence, in nats), hard (cross-entropy, in nats), T, alpha
    and accuracy. Raises TypeError or ValueError, naming the argument that is wrong.
    """

    def __init__(self, teacher: nn.Module, T: FloatOrSchedule = 2.0, alpha: FloatOrSchedule = 0.5, divergence: str = "forward"):
        if not isinstance(teacher, nn.Module):
            raise TypeError(f"teacher must be a torch.nn.Module, got {type(teacher).__name__}")
        if divergence not in DIVERGENCES:
            raise ValueError(f"divergence must be one of {', '.join(map(repr, DIVERGENCES))}; got {divergence!r}")
        check_temperature(value_at(T, 0.0))
        check_alpha(value_at(alpha, 0.0))
        self.teacher, self.T, self.alpha, self.divergence = teacher, T, alpha, divergence

    def __call__(self, student: nn.Module, batch: list[Tensor], progress: float) -> Loss:
        self._check_student(student)
        inputs, labels, *cached = _columns(batch)
        student_logits = student(inputs)
        teacher_logits = cached[0] if cached else self.teacher_logits(inputs)
        T, alpha = value_at(self.T, progress), value_at(self.alpha, progress)
        check_alpha(alpha)
        alpha = float(alpha)
        soft, hard = distillation_terms(
            student_logits, teacher_logits, labels, T, divergence=self.divergence, ignore_index=IGNORE_INDEX
        )
        log = {"soft": soft, "hard": hard, "T": T, "alpha": alpha, "accuracy": _accuracy(student_logits, labels)}
        return Loss(alpha * soft + (1 - alpha) * hard, student_logits, log)

    @torch.no_grad()
    def teacher_logits(self, inputs: Tensor) -> Tensor:
        """Return the teacher's logits for a batch of inputs."""
        # eval() at every step: the teacher may be part of a module whose train() was called since the last one.
        return self.teacher.to(inputs.device).eval()(inputs)

    def _check_student(self, student: nn.Module) -> None:
        theirs = {id(parameter) for parameter in self.teacher.parameters()}
        if student is self.teacher or any(id(parameter) in theirs for parameter in student.parameters()):
            raise ValueError("teacher and student must be different modules, got two that share parameters")

    def __repr__(self) -> str:
        teacher = type(self.teacher).__name__
        return f"Distillation({teacher}, T={self.T}, alpha={self.alpha}, divergence={self.divergence!r})"


def value_at(setting: FloatOrSchedule, progress: float) -> float:
    """Return the number that a setting has at `progress` in [0, 1]."""
    return setting(progress) if callable(setting) else setting


def _columns(batch: list[Tensor]) -> list[Tensor]:
    if not isinstance(batch, list | tuple) or len(batch) not in (2, 3):
        what = f"{len(batch)} columns" if isinstance(batch, list | tuple) else f"a {type(batch).__name__}"
        raise ValueError(f"data must have columns inputs, labels and, if wanted, teacher logits; got {what}")
    return batch


@torch.no_grad()
def _accuracy(logits: Tensor, labels: Tensor) -> Tensor | None:
    """The share of the labelled rows that are right, in [0, 1]; None where no row has a label."""
    counted = labels != IGNORE_INDEX
    right = (logits.argmax(-1) == labels)[counted]
    return right.float().mean() if len(right) else None
