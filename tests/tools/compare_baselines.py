"""Distillation against labels tuned as hard, and against soft targets that know less: the runs behind notebook 01's figure.

    python -m tests.tools.compare_baselines --out baselines.json [--seeds 5] [--epochs 20]

Six ways to tell the same student about the same 6,000 images, for as many steps, the rate falling along a cosine to a
twentieth. What a way leaves open (learning rate, weight decay, smoothing) is chosen on 1,000 of the training images, the
student having seen the other 5,000: seeds 100 and 101, the best mean. Then five students are trained on all 6,000 with what
was chosen; the test images are looked at once, at the end. Runs with the same seed share start and order of the batches.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from course_lib.basics import seeded
from course_lib.data import fashion_mnist, take_rows
from course_lib.loops import Distillation, evaluate, fit, with_teacher_logits
from course_lib.models import new_student, pretrained_teacher
from course_lib.schedules import cosine
from tests.tools.recording import record

BATCH_SIZE, T, ALPHA = 64, 4.0, 0.9
RATES = (2.5e-3, 5e-3, 1e-2, 2e-2)
TUNING_SEEDS = (100, 101)


def shuffled_within_class(teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """Return the same soft targets, each given to another image of its class: softness and class are right, not the image."""
    mixed = teacher_logits.clone()
    with seeded(0):
        for label in labels.unique():
            rows = (labels == label).nonzero()[:, 0]
            mixed[rows] = teacher_logits[rows[torch.randperm(len(rows))]]
    return mixed


def average_of_class(teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """Return one soft target for all images of a class, the mean of theirs at T, as logits."""
    means = [torch.softmax(teacher_logits[labels == label] / T, -1).mean(0) for label in labels.unique()]
    return T * torch.stack(means).log()[labels]


class Labels:
    """Cross-entropy with labels that are smoothed, and weight decay as a penalty: decay/2 times the squared weights."""

    def __init__(self, smoothing: float = 0.0, decay: float = 0.0):
        self.smoothing, self.decay = smoothing, decay

    def __call__(self, student: nn.Module, batch, progress: float) -> Tensor:
        images, labels = batch[:2]
        loss = cross_entropy(student(images), labels, label_smoothing=self.smoothing)
        if self.decay:
            loss = loss + self.decay / 2 * sum(each.square().sum() for each in student.parameters())
        return loss


def ways() -> dict[str, tuple[Callable[[Tensor, Tensor], Tensor] | None, list[dict]]]:
    """name -> (what becomes of the teacher's logits, the settings to choose from)."""
    rates = [{"lr": lr} for lr in RATES]
    tuned = [{"lr": lr, "decay": decay} for lr in RATES for decay in (0.0, 1e-4, 1e-3)]
    smoothed = [{"lr": lr, "smoothing": smoothing} for lr in RATES for smoothing in (0.05, 0.1, 0.2)]
    return {
        "labels": (None, [{"lr": 1e-2}]),
        "labels, tuned": (None, tuned),
        "labels, smoothed": (None, smoothed),
        "average per class": (average_of_class, rates),
        "shuffled within class": (shuffled_within_class, rates),
        "per image": (lambda teacher_logits, labels: teacher_logits, rates),
    }


def accuracy_of(settings: dict, targets, data: TensorDataset, test: TensorDataset, seed: int, epochs: int) -> float:
    """Train one student and return its accuracy on `test` in percent."""
    options = dict(settings)
    lr, student = options.pop("lr"), new_student(seed=seed)
    images, labels, teacher_logits = data.tensors
    if targets is None:
        objective = Labels(**options)
    else:
        objective = Distillation(pretrained_teacher(), T=T, alpha=ALPHA)
        data = TensorDataset(images, labels, targets(teacher_logits, labels))
    fit(student, data, objective, epochs=epochs, lr=cosine(lr, lr / 20), batch_size=BATCH_SIZE, seed=seed)
    return 100 * evaluate(student, test)


def compare(seeds: int, epochs: int, log: Callable[[str], None] = print) -> dict:
    """Return for each way what was tried, what was chosen, and the test accuracies in percent, one a seed."""
    train, test = fashion_mnist()
    train = with_teacher_logits(pretrained_teacher(), train)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    tuning, validation = take_rows(train, order[1000:]), take_rows(train, order[:1000])
    validation = TensorDataset(*validation.tensors[:2])
    found = {}
    for name, (targets, choices) in ways().items():
        tried = []
        for settings in choices if len(choices) > 1 else ():
            started = time.perf_counter()
            runs = [accuracy_of(settings, targets, tuning, validation, seed, epochs) for seed in TUNING_SEEDS]
            tried.append({**settings, "validation": [round(run, 2) for run in runs]})
            log(f"{name}: {settings} {statistics.mean(runs):.2f} ({time.perf_counter() - started:.0f} s)")
        best = max(tried, key=lambda each: statistics.mean(each["validation"]), default=choices[0])
        chosen = {key: value for key, value in best.items() if key != "validation"}
        accuracies = [round(accuracy_of(chosen, targets, train, test, seed, epochs), 2) for seed in range(seeds)]
        log(f"{name}: chosen {chosen}, test {accuracies}")
        found[name] = {"tried": tried, "chosen": chosen, "test": accuracies}
    recipe = {"epochs": epochs, "batch_size": BATCH_SIZE, "T": T, "alpha": ALPHA}
    seeds_of = {"seeds": list(range(seeds)), "tuning_seeds": list(TUNING_SEEDS)}
    return {"torch": torch.__version__, **recipe, **seeds_of, "ways": found}


if __name__ == "__main__":
    record(__doc__.splitlines()[0], compare, epochs=20)
