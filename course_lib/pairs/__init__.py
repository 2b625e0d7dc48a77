"""Do a teacher, a student and a labelled batch fit together? `check_pair` finds, from behaviour, what no error tells.

Each usual mismatch is undone on a trial basis: the channels reversed, the inputs normalised otherwise or resized, the labels
shifted, the classes put in another order. Where the teacher is then right far more often, that is what does not fit.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from course_lib.batches import read_batch
from course_lib.calling import check_module
from course_lib.loops import predict
from course_lib.objectives import IGNORE_INDEX
from course_lib.pairs.trials import check_logits, find_better, try_as_it_is
from course_lib.pairs.words import Finding, Findings, say, say_limits, say_refusal, say_what_was_seen, say_widths

__all__ = ["Finding", "Findings", "check_pair"]

FEWEST = 32  # labelled examples: of fewer, chance explains too much


def check_pair(teacher: nn.Module, student: nn.Module, batch, *, normalisations: Mapping[str, tuple] | None = None) -> Findings:
    """Say what does not fit between a teacher, a student and a batch: `Findings`, a list that reads as text.

    batch: inputs and labels, as `read_batch` takes them: the very tensors that teacher and student will get, without random
    augmentation. At least 32 labelled examples; 256, with 4 or more of each class, see much more. normalisations: further
    ones to try, name -> (mean, deviation) of pixels from 0 to 1, each a number or one a channel.
    Named are another normalisation, channel order or resolution than the teacher's, another order or a subset of its classes,
    a head for other classes, labels off by one. A change is named if, with it, the teacher is right on at least 3 points more
    of the images (6 for a resolution), which luck would do in one of a thousand batches, and far more often than one class
    for all would be. Not seen are what hardly changes how often the teacher is right, two mismatches neither of which helps
    alone, and all but shapes where the teacher knows nothing about these inputs, as one that was never trained; the text
    says so. The models are left as they were. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    for name, model in (("teacher", teacher), ("student", student)):
        check_module(name, model)
    inputs, labels = _labelled(batch)
    logits = predict(student, inputs)
    check_logits("student", logits)
    num_classes = logits.shape[1]
    trial, refusal = try_as_it_is(teacher, inputs, labels)
    findings, seen = say_refusal(trial, refusal), say_what_was_seen(teacher, trial, labels)
    for _ in range(3):
        better = find_better(teacher, trial, labels, normalisations or {})
        if better is None:
            break
        findings += say(trial, better, num_classes)
        trial = better
    findings += say_widths(trial, labels, num_classes, findings)
    return Findings(findings, seen if findings else seen + say_limits(trial, labels))


def _labelled(batch) -> tuple[Tensor | dict, Tensor]:
    inputs, labels, _ = read_batch(batch)
    labels = labels.argmax(-1) if labels.is_floating_point() else labels
    if labels.dim() != 1:
        raise ValueError(f"batch must have one label for each input, of shape (n,); got {tuple(labels.shape)}")
    kept = labels != IGNORE_INDEX
    if kept.sum() < FEWEST:
        raise ValueError(f"batch must hold at least {FEWEST} labelled examples, got {int(kept.sum())}")
    if labels[kept].min() < 0:
        raise ValueError(f"batch must have labels of at least 0, got {int(labels[kept].min())}")
    if isinstance(inputs, Mapping):
        return {name: value[kept] for name, value in inputs.items()}, labels[kept]
    return inputs[kept], labels[kept]
