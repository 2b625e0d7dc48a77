"""What `fit` remembers of a run: by step and by epoch, printable, and ready for matplotlib."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import SupportsFloat

OWN = ("loss", "lr", "validation_accuracy")  # the columns that every run has; the others are those that its objective names


@dataclass
class History:
    """The record of one call of `fit`.

    by_step, by_epoch: columns of floats, one entry a step or a finished epoch. Both hold the loss that was minimised, what
    the objective logged by name, and lr; of `Distillation` these are soft (T² times the divergence, in nats), hard
    (cross-entropy, in nats), T, alpha and accuracy (of the training batches, as they were met, in [0, 1]). by_epoch holds
    their means over the epoch, and validation_accuracy. What a run does not have is NaN, which matplotlib leaves out.
    stopped_early: a Ctrl-C or a callback ended the run.
    """

    objective: str = ""
    planned_epochs: int = 0
    steps_per_epoch: int = 0
    by_epoch: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in OWN})
    stopped_early: bool = False
    _by_step: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "lr": []})
    _this_epoch: dict[str, list[float]] = field(default_factory=dict, repr=False, compare=False)  # without what was None
    _unread: list[dict] = field(default_factory=list, repr=False, compare=False)  # steps whose numbers a GPU may still compute

    @property
    def by_step(self) -> dict[str, list[float]]:
        self._read()
        return self._by_step

    @by_step.setter
    def by_step(self, columns: dict[str, list[float]]) -> None:
        self._by_step = columns

    @property
    def steps(self) -> int:
        return len(self._by_step["loss"]) + len(self._unread)

    @property
    def epochs(self) -> int:
        return len(self.by_epoch["loss"])

    @property
    def first_nan(self) -> int | None:
        """The first step, counted from 1, whose loss was NaN; None where there is none."""
        return next((step for step, loss in enumerate(self.by_step["loss"], 1) if math.isnan(loss)), None)

    def add_step(self, loss: SupportsFloat, lr: float, log: Mapping[str, SupportsFloat | None] | None = None) -> None:
        """Record one step; what is None, or was logged in other steps only, is recorded as NaN.

        What lies on a GPU is read when someone asks for it, or at the end of the epoch, so that no step waits for it. Raises
        ValueError if `log` names a column that every run has anyway.
        """
        if taken := set(log or ()) & set(OWN):
            raise ValueError(f"log must not name {', '.join(OWN)}, which a history has anyway; got {', '.join(sorted(taken))}")
        row = {"loss": loss, **(log or {}), "lr": lr}
        if self._unread or any(map(_on_gpu, row.values())):
            self._unread.append({name: _kept(name, value) if _on_gpu(value) else _number(value) for name, value in row.items()})
        else:
            self._add_row({name: _number(value) for name, value in row.items()})

    def _read(self) -> None:
        """Take the steps that are unread into the columns."""
        while self._unread:
            row = {name: _number(value) for name, value in self._unread[0].items()}
            del self._unread[0]
            self._add_row(row)

    def _add_row(self, row: Mapping[str, float | None]) -> None:
        """All are numbers by now, so that an error or a Ctrl-C in a float() has left no half of a row."""
        self._add_columns(row)
        for name, column in self._by_step.items():
            value = row.get(name)
            column.append(math.nan if value is None else value)
            if value is not None:
                self._this_epoch.setdefault(name, []).append(value)

    def _add_columns(self, names: Mapping) -> None:
        new = [name for name in names if name not in self._by_step]
        steps = len(self._by_step["loss"])
        for table, rows, last in ((self._by_step, steps, OWN[1:2]), (self.by_epoch, self.epochs, OWN[1:])):
            for name in new:
                table[name] = [math.nan] * rows
            for name in last if new else ():  # they stand behind what the objective names
                table[name] = table.pop(name)

    def add_epoch(self, validation_accuracy: float | None = None) -> None:
        """Record the means of the steps since the last epoch, of each column over the steps that had it."""
        self._read()
        if not self._this_epoch:
            raise ValueError("an epoch must have at least one step, got none: the data gave no batch")
        for name in self.by_step:
            values = self._this_epoch.get(name, [math.nan])
            self.by_epoch[name].append(math.fsum(values) / len(values))
        self._this_epoch.clear()
        self.by_epoch["validation_accuracy"].append(math.nan if validation_accuracy is None else validation_accuracy)

    def curve(self, name: str, by: str = "epoch") -> tuple[list[float], list[float]]:
        """(x, y) for `Axes.plot`, x in epochs; by is "epoch" or "step"."""
        if by not in ("epoch", "step"):
            raise ValueError(f"by must be 'epoch' or 'step', got {by!r}")
        table, per_epoch = (self.by_epoch, 1) if by == "epoch" else (self.by_step, self.steps_per_epoch)
        if name not in table:
            raise ValueError(f"name must be one of {', '.join(table)}; got {name!r}")
        return [(i + 1) / per_epoch for i in range(len(table[name]))], table[name]

    def __repr__(self) -> str:
        head = f"{self.objective}: {self.epochs} of {self.planned_epochs} epochs, {self.steps} steps"
        lines = [head + (", stopped early" if self.stopped_early else "")]
        if self.first_nan is not None:
            lines.append(f"the loss is no number (NaN) from step {self.first_nan} on")
        shown = [name for name, column in self.by_epoch.items() if name == "loss" or not all(map(math.isnan, column))]
        if self.epochs:
            lines.append("epoch  " + "  ".join(f"{name.replace('validation_accuracy', 'val. acc.'):>9}" for name in shown))
        rows = range(self.epochs)
        for row in rows if len(rows) <= 8 else [*rows[:3], None, *rows[-3:]]:
            if row is None:
                lines.append("    …")
            else:
                lines.append(f"{row + 1:5d}  " + "  ".join(f"{self.by_epoch[name][row]:9.4g}" for name in shown))
        return "\n".join(lines)


def says_stop(callback: Callable[[History], object] | None, history: History) -> bool:
    """Whether it returns True, numpy's and torch's included; not whatever else it returns, such as the text of a figure."""
    answer = None if callback is None else callback(history)
    return answer is True or (getattr(answer, "ndim", None) == 0 and answer.item() is True)


def _on_gpu(value: object) -> bool:
    return getattr(getattr(value, "device", None), "type", "cpu") != "cpu"


def _kept(name: str, value):
    """A number that a GPU computes, so that no graph is kept for it, and nothing that writes to its place changes it."""
    if value.numel() != 1:
        raise ValueError(f"{name} must be one number, got a tensor of shape {tuple(value.shape)}")
    return value.detach().clone()


def _number(value: SupportsFloat | None) -> float | None:
    if value is None:
        return None
    return float(value.item() if hasattr(value, "item") else value)  # torch warns of float(loss), which has a gradient
