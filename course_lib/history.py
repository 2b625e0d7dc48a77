"""What `fit` remembers of a run: by step and by epoch, printable, and ready for matplotlib."""

import math
from dataclasses import dataclass, field

COLUMNS = ("loss", "soft", "hard", "T", "alpha", "lr", "accuracy")


def _table(*extra: str) -> dict[str, list[float]]:
    return {name: [] for name in (*COLUMNS, *extra)}


@dataclass
class History:
    """The record of one call of `fit`.

    by_step, by_epoch: columns of floats, one entry a step or a finished epoch. Both hold loss, its terms soft (T² times
    the divergence, in nats) and hard (cross-entropy, in nats), T, alpha, lr and accuracy (of the training batches, as
    they were met, in [0, 1]); by_epoch holds their means over the epoch, and validation_accuracy. What a run does not
    have is NaN, which matplotlib leaves out. stopped_early: a Ctrl-C or a callback ended the run.
    """

    objective: str = ""
    planned_epochs: int = 0
    steps_per_epoch: int = 0
    by_step: dict[str, list[float]] = field(default_factory=_table)
    by_epoch: dict[str, list[float]] = field(default_factory=lambda: _table("validation_accuracy"))
    stopped_early: bool = False
    _counted: int = field(default=0, repr=False, compare=False)  # steps that are in an epoch; a loader may give more or fewer

    @property
    def steps(self) -> int:
        return len(self.by_step["loss"])

    @property
    def epochs(self) -> int:
        return len(self.by_epoch["loss"])

    def add_step(self, **values: float | None) -> None:
        """Record one step; what is None is recorded as NaN."""
        row = {name: math.nan if values[name] is None else float(values[name]) for name in COLUMNS}
        for name, value in row.items():  # only now, so that an error or a Ctrl-C in a float() leaves no half of a row
            self.by_step[name].append(value)

    def add_epoch(self, validation_accuracy: float | None = None) -> None:
        """Record the means of the steps since the last epoch, of the accuracy over the batches that had labels."""
        if self.steps == self._counted:
            raise ValueError("an epoch must have at least one step, got none: the data gave no batch")
        for name in COLUMNS:
            values = self.by_step[name][self._counted :]
            if name == "accuracy":
                values = [value for value in values if not math.isnan(value)] or [math.nan]
            self.by_epoch[name].append(math.fsum(values) / len(values))
        self._counted = self.steps
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
        shown = [name for name in self.by_epoch if not all(math.isnan(value) for value in self.by_epoch[name])]
        if self.epochs:
            lines.append("epoch  " + "  ".join(f"{name:>9}" for name in map(_heading, shown)))
        rows = range(self.epochs)
        for row in rows if len(rows) <= 8 else [*rows[:3], None, *rows[-3:]]:
            if row is None:
                lines.append("    …")
            else:
                lines.append(f"{row + 1:5d}  " + "  ".join(f"{self.by_epoch[name][row]:9.4g}" for name in shown))
        return "\n".join(lines)


def _heading(name: str) -> str:
    return {"validation_accuracy": "val. acc."}.get(name, name)
