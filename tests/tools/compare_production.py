"""Students by length of training and by width, with seeds: the runs behind notebook 07's tables.

    python -m tests.tools.compare_production --out production.json [--seeds 5]

The thousand images, the teacher and the recipe of notebook 07: T = 2, alpha = 1 against labels alone, batches of 50, the rate
from 1.5e-2 to 7.5e-4 along a cosine. The two students of a pair share
their seed: the start and the batches. Nothing is tuned here.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from course_lib.calibration import expected_calibration_error
from course_lib.data import fashion_mnist, take_rows
from course_lib.loops import Distillation, HardLabels, fit, predict, with_teacher_logits
from course_lib.losses import soft_targets
from course_lib.metrics import accuracy, agreement
from course_lib.models import new_student, pretrained_teacher
from course_lib.schedules import cosine
from tests.tools.recording import record

IMAGES, BATCH_SIZE, LR = 1_000, 50, (1.5e-2, 7.5e-4)
RUNS = {"8 epochs": (8, 8), "20 epochs": (8, 20), "width 2": (2, 8), "width 4": (4, 8)}  # name -> (width, epochs)
STEPS_OF_T = [2 ** (k / 16) for k in range(-16, 49)]  # from 1/2 to 8
CHOICE, RESULT = slice(0, None, 2), slice(1, None, 2)  # T is chosen on one half of the test images, judged on the other


def calibration_error(logits: torch.Tensor, labels: torch.Tensor, T: float = 1.0) -> float:
    """Return the expected calibration error on the second half, in percent."""
    return 100 * expected_calibration_error(soft_targets(logits[RESULT], T), labels[RESULT])


def own_T(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the T with the lowest cross-entropy on the first half."""
    return min(STEPS_OF_T, key=lambda T: F.cross_entropy(logits[CHOICE] / T, labels[CHOICE]).item())


def measure(logits: torch.Tensor, teacher_logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Return what the notebook shows of a student, in percent."""
    found = {
        "right": 100 * accuracy(logits, labels),
        "as the teacher": 100 * agreement(logits, teacher_logits),
        "ECE": calibration_error(logits, labels),
        "ECE at its own T": calibration_error(logits, labels, own_T(logits, labels)),
    }
    return {name: round(value, 3) for name, value in found.items()}


def compare(seeds: int, log: Callable[[str], None] = print) -> dict:
    """Return for each run and kind of student what `measure` gives, one a seed."""
    train, test = fashion_mnist()
    images, labels = test.tensors
    teacher = pretrained_teacher()
    teacher_logits = predict(teacher, images)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:IMAGES]
    data = with_teacher_logits(teacher, take_rows(train, chosen))
    objectives = {"labels": HardLabels(), "distilled": Distillation(teacher, T=2, alpha=1.0)}
    found: dict[str, dict[str, list]] = {name: {kind: [] for kind in objectives} for name in RUNS}
    for name, (width, epochs) in RUNS.items():
        for kind, objective in objectives.items():
            started = time.perf_counter()
            for seed in range(seeds):
                student = new_student(width, seed)
                fit(student, data, objective, epochs=epochs, lr=cosine(*LR), batch_size=BATCH_SIZE, seed=seed)
                found[name][kind].append(measure(predict(student, images), teacher_logits, labels))
            log(f"{name}, {kind}: {found[name][kind]}, {time.perf_counter() - started:.0f} s")
    return {"torch": torch.__version__, "seeds": list(range(seeds)), "students": found}


if __name__ == "__main__":
    record(__doc__.splitlines()[0], compare)
