"""Trials: what a teacher makes of a batch that was changed in one way, and which change makes it right far more often."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.loops import predict
from course_lib.pairs.changes import changes

LEAST_GAIN = 0.03  # of the examples: what a change must make right beside those that are
LEAST_OF_RESOLUTION = 0.06  # a right teacher may gain a point or two from larger images
ENOUGH = 0.85  # of the examples: no further resolution is tried then, since large images take long
SCREENED = 32  # rows by which a resolution is looked at before all of them are
REFUSALS = (RuntimeError, ValueError, AssertionError, IndexError)  # what models raise at inputs of another shape


class Trial(NamedTuple):
    """What the teacher makes of inputs that were changed in one way, when its classes are read in one way."""

    inputs: Tensor | dict
    logits: Tensor
    columns: list[int]  # which of the teacher's classes each label is taken for, -1 for none
    right: Tensor  # bools, one a row
    change: str | None = None  # the kind of change of the inputs, None for none
    detail: str = ""
    reading: str | None = None  # the kind of change of the columns, None for none

    @property
    def share(self) -> float:
        return self.right.float().mean().item()

    @property
    def steps(self) -> float:
        return (self.change is not None) + {None: 0, "labels off by one": 1, "class order": 1.5}[self.reading]


def try_as_it_is(teacher: nn.Module, inputs: Tensor | dict, labels: Tensor) -> tuple[Trial, str]:
    """Try the batch as it is; where the teacher refuses it, the first change of it that it takes. Return what it said then."""
    try:
        logits = predict(teacher, inputs)
    except REFUSALS as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:100]
        for kind, detail, changed in changes(teacher, inputs, {}):
            logits = logits_or_none(teacher, changed)
            if logits is not None:
                return read_classes(changed, logits, labels)._replace(change=kind, detail=detail), said
        raise ValueError(f"teacher must accept the batch's inputs; it says: {said}") from error
    check_logits("teacher", logits)
    return read_classes(inputs, logits, labels), ""


def check_logits(name: str, logits: Tensor) -> None:
    """Raise ValueError, naming the model, unless its output is a row of logits for each input."""
    if logits.dim() != 2:
        raise ValueError(f"{name} must give logits of shape (n, num_classes), got {tuple(logits.shape)}")


def logits_or_none(teacher: nn.Module, inputs: Tensor | dict) -> Tensor | None:
    try:
        return predict(teacher, inputs)
    except REFUSALS:
        return None


def find_better(teacher: nn.Module, now: Trial, labels: Tensor, more: Mapping[str, tuple]) -> Trial | None:
    """Return the simplest change after which the teacher is right far more often; None where there is none."""
    if now.share > 1 - LEAST_GAIN:
        return None
    now = now._replace(change=None, detail="", reading=None)
    unread = now.columns == list(range(len(now.columns)))
    trials = _other_readings(now, labels) if unread else []
    for kind, detail, changed in changes(teacher, now.inputs, more):
        best = max(trial.share for trial in [now, *trials])
        if kind == "resolution" and (best > ENOUGH or not _may_help(teacher, changed, now, labels)):
            continue
        logits = logits_or_none(teacher, changed)
        if logits is not None:
            trial = read_classes(changed, logits, labels, now.columns)._replace(change=kind, detail=detail)
            trials += [trial, *(_other_readings(trial, labels) if unread else [])]
    good = [trial for trial in trials if _counts(trial, now, labels, 1e-3 / len(trials))]
    if not good:
        return None
    best = max(good, key=lambda trial: trial.share)
    as_good = [each for each in good if each.share > best.share - 0.02 or _by_luck(best.right, each.right) > 0.01]
    return min(as_good, key=lambda trial: (trial.steps, -trial.share))


def _may_help(teacher: nn.Module, changed: Tensor | dict, now: Trial, labels: Tensor) -> bool:
    """Return whether the change makes more right of a few rows: on all of them, large images take long."""
    few = slice(None, None, max(1, len(labels) // SCREENED))
    inputs = {name: value[few] for name, value in changed.items()} if isinstance(changed, Mapping) else changed[few]
    logits = logits_or_none(teacher, inputs)
    return logits is not None and read_classes(inputs, logits, labels[few], now.columns).right.sum() > now.right[few].sum()


def _counts(trial: Trial, now: Trial, labels: Tensor, luck: float) -> bool:
    least = LEAST_OF_RESOLUTION if trial.change == "resolution" and not trial.reading else LEAST_GAIN
    knows = trial.share >= least_share(labels) or now.share > chance_of(labels) + 0.25
    return knows and trial.share - now.share >= least and _by_luck(trial.right, now.right) < luck


def read_classes(inputs: Tensor | dict, logits: Tensor, labels: Tensor, columns: list[int] | None = None) -> Trial:
    """Return the trial in which label k is taken for the teacher's class columns[k]; without columns, for class k."""
    columns = columns or list(range(int(labels.max()) + 1))
    right = logits.argmax(-1) == torch.tensor(columns, device=labels.device)[labels]
    return Trial(inputs, logits, columns, right)


def _other_readings(trial: Trial, labels: Tensor) -> list[Trial]:
    """The same logits, each label taken for the class after it, for the one before it, or for that which it mostly gets."""
    named, num_classes, top = trial.logits.argmax(-1), trial.logits.shape[1], len(trial.columns)
    shifted = [[(k + shift) % num_classes for k in range(top)] for shift in (1, -1)]
    found = [read_classes(trial.inputs, trial.logits, labels, columns) for columns in shifted]
    found = [each._replace(reading="labels off by one") for each in found]
    right, half = torch.zeros_like(trial.right), _halves(labels)
    for judged in (half, ~half):  # an order is learned from one half of the images and judged on the other
        columns = torch.tensor(_order(named[~judged], labels[~judged], num_classes, top), device=labels.device)
        right[judged] = named[judged] == columns[labels[judged]]
    found.append(trial._replace(columns=_order(named, labels, num_classes, top), right=right, reading="class order"))
    return [each._replace(change=trial.change, detail=trial.detail) for each in found]


def _order(named: Tensor, labels: Tensor, num_classes: int, top: int) -> list[int]:
    """Return for each label the class that the teacher mostly names, the clearest pairs first, no class twice; -1 for none."""
    left = torch.bincount(labels * num_classes + named, minlength=top * num_classes).reshape(top, num_classes)
    columns = [-1] * top
    while left.numel() and left.max() > 0:
        label, column = divmod(int(left.argmax()), num_classes)
        columns[label] = column
        left[label], left[:, column] = 0, 0
    return columns


def _halves(labels: Tensor) -> Tensor:
    """Return bools (n,) that are true for every other row of each class."""
    first = torch.zeros_like(labels, dtype=torch.bool)
    for label in labels.unique():
        first[(labels == label).nonzero()[::2, 0]] = True
    return first


def _by_luck(right: Tensor, other: Tensor) -> float:
    """Return how probable it is that `right` wins so many of the rows on which the two differ, if each is a coin's toss."""
    wins, losses = int((right & ~other).sum()), int((other & ~right).sum())
    n = wins + losses
    return sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n


def chance_of(labels: Tensor) -> float:
    """Return how often one class for all images is right."""
    return labels.unique(return_counts=True)[1].max().item() / len(labels)


def least_share(labels: Tensor) -> float:
    """Return how often a teacher that knows the task must be right: random weights tell bright from dark, too."""
    return min(0.2 + 3 * chance_of(labels), 0.5 + 0.5 * chance_of(labels))
