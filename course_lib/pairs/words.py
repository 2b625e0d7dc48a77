"""What was found of a pair, in words."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from course_lib.pairs.changes import declared, images_of
from course_lib.pairs.trials import Trial, chance_of, least_share


class Finding(NamedTuple):
    """One thing that does not fit. what: its name, such as "channel order"; words: how it shows, and what fixes it."""

    what: str
    words: str


class Findings(list):
    """The `Finding`s of a pair, empty where nothing was found. Its text says them, and how much there was to see, in words."""

    def __init__(self, findings: Sequence[Finding], seen: str):
        super().__init__(findings)
        self.seen = seen

    def __repr__(self) -> str:
        found = [f"{finding.what.upper()}: {finding.words}" for finding in self] or ["No mismatch found."]
        return "\n".join([*found, self.seen])


def say_refusal(trial: Trial, said: str) -> list[Finding]:
    """Say what form the teacher takes where it refused the batch, saying `said`."""
    return [Finding(trial.change, f"the teacher refuses the batch ({said}) and takes it {trial.detail}.")] if said else []


def say(before: Trial, after: Trial, num_classes: int) -> list[Finding]:
    """Say what the change from one trial to a better one means, for a student of so many classes."""
    n = len(after.right)
    gain = f"The teacher is right on {before.share:.0%} of {n} examples as they are, on {after.share:.0%}"
    found = []
    if after.change:
        found.append(Finding(after.change, f"{gain} {after.detail}. Give both models such inputs."))
    if after.reading == "labels off by one":
        word = "after" if after.columns[0] == 1 else "before"
        cut = f" Take its columns {_listed(after.columns)}." if after.logits.shape[1] != num_classes else " Shift the labels."
        found.append(Finding(after.reading, f"{gain} if label k is its class {word} k.{cut}"))
    if after.reading == "class order":
        what = "class order" if after.logits.shape[1] == num_classes else "class subset"
        words = f"{gain} if label k stands for another of its classes. Take teacher(inputs)[:, {after.columns}]."
        if -1 in after.columns:
            words += " −1: never named, look this one up."
        found.append(Finding(what, words))
    return found


def say_widths(trial: Trial, labels: Tensor, num_classes: int, found: Sequence[Finding]) -> list[Finding]:
    """Say what the numbers of outputs tell, where nothing found before explains it."""
    theirs, names = trial.logits.shape[1], {finding.what for finding in found}
    knows = trial.share >= least_share(labels)
    if int(labels.max()) >= num_classes and "labels off by one" not in names:
        span = f"labels run from {int(labels.min())} to {int(labels.max())}, the student's outputs from 0 to {num_classes - 1}."
        one = int(labels.max()) == num_classes and int(labels.min()) > 0
        return [Finding("labels off by one" if one else "labels", span)]
    if theirs != num_classes and not names & {"class subset", "labels off by one"}:
        words = f"the teacher has {theirs} outputs, the student {num_classes}"
        how = "; the first ones fit, cut off the others." if knows else ", and no choice of its outputs names these labels."
        return [Finding("head for other classes", words + how)]
    if not knows and trial.share < chance_of(labels) + 0.1 and _sure_of_many(trial.logits):
        words = f"the teacher is sure of what it names and right on {trial.share:.0%} of the examples; no change tried helps."
        return [Finding("head for other classes", words)]
    return []


def _sure_of_many(logits: Tensor) -> bool:
    """Return whether a model is sure of its answers and they depend on the image, as after training, if for other classes."""
    p = logits.float().softmax(-1)
    return p.max(-1).values.mean().item() > 0.6 and 1 / (p.mean(0) ** 2).sum().item() > 3


def _listed(columns: Sequence[int]) -> str:
    return f"{columns[0]} to {columns[-1]}" if columns[-1] - columns[0] == len(columns) - 1 else str(list(columns))


def say_what_was_seen(teacher: nn.Module, trial: Trial, labels: Tensor) -> str:
    """Say how often the teacher is right on the batch as it is, and what it declares of its inputs if they are not so."""
    words = f"As it is, the teacher is right on {trial.share:.0%} of {len(labels)} examples"
    images = images_of(trial.inputs)[1]
    size = declared(teacher).get("size")
    if images is not None and size and size != images.shape[-1]:
        words += f". It declares inputs of {size}×{size} pixels"
    return words + "."


def say_limits(trial: Trial, labels: Tensor) -> str:
    """Say what cannot be seen of a teacher that is right no more often than one class for all would be."""
    if trial.share > chance_of(labels) + 0.1:
        return ""
    return f" One class for all would be right on {chance_of(labels):.0%}: who knows so little shows only shapes."
