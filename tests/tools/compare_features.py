"""What features add to logits: the same student, taught by the teacher's logits alone and by its features as well.

    python -m tests.tools.compare_features --out features.json [--seeds 5]

Twice: on 300 images, other ones for each seed, and on all 6,000 of the sample; Adam, its rate falling along a cosine to a
twentieth. The weight of each distance is chosen on 1,000 training images that no student of that choice has seen: seeds 100
and 101, the best mean. Then the students of the other seeds are trained; the test images are looked at once, at the end. Runs
with the same seed share images, start and order of the batches. Nothing is augmented, so the teacher runs once for all.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from course_lib.calling import call_teacher
from course_lib.data import fashion_mnist, take_rows
from course_lib.loops import evaluate, fit
from course_lib.models import new_student, pretrained_teacher
from course_lib.objectives import Distillation, Features, HardLabels, Loss
from course_lib.schedules import cosine
from course_lib.tapping import tapped
from tests.tools.recording import record

T, ALPHA = 4.0, 0.9
LAYERS = {"features.5": "features.17"}  # the last maps of both: (n, 16, 7, 7) and (n, 128, 7, 7)
WEIGHTS = {
    "mse": (0.03, 0.3, 3.0),
    "cosine": (0.3, 3.0, 30.0),
    "attention": (0.3, 3.0, 30.0),
    "relations": (3.0, 30.0, 300.0),
}
TUNING_SEEDS = (100, 101)


class Recipe(NamedTuple):
    """images: how many each student is trained on."""

    images: int
    epochs: int
    batch_size: int
    lr: float


RECIPES = {"300 images": Recipe(300, 20, 30, 1e-2), "6,000 images": Recipe(6000, 6, 64, 1e-2)}


class SavedTeacher(nn.Module):
    """Gives the features and logits that it was last handed, whatever it is called on."""

    def __init__(self, features: Tensor, logits: Tensor):
        super().__init__()
        self.features, self.saved = nn.Identity(), (features, logits)

    def forward(self, images: Tensor) -> Tensor:
        features, logits = self.saved
        self.features(features)
        return logits


class WithSavedFeatures:
    """`Features` for batches of images, labels, the teacher's logits and its features."""

    def __init__(self, student: nn.Module, examples: tuple[Tensor, ...], loss: str, weight: float):
        images, _, logits, features = examples
        self.teacher = SavedTeacher(features, logits)
        layers, base = dict.fromkeys(LAYERS, "features"), Distillation(self.teacher, T=T, alpha=ALPHA)
        self.features = Features(self.teacher, student, images, layers, loss=loss, weight=weight, base=base)
        self.parameters = self.features.parameters

    def __call__(self, student: nn.Module, batch: list[Tensor], progress: float) -> Loss:
        images, labels, logits, features = batch
        self.teacher.saved = features, logits
        return self.features(student, [images, labels], progress)


def with_features(data: TensorDataset) -> TensorDataset:
    """(images, labels) -> (images, labels, the teacher's logits, its features)."""
    teacher, logits, features = pretrained_teacher(), [], []
    for images in data.tensors[0].split(128):
        with tapped(teacher, LAYERS.values()) as found:
            logits.append(call_teacher(teacher, images))
        features.extend(found.values())
    return TensorDataset(*data.tensors, torch.cat(logits), torch.cat(features))


def train(recipe: Recipe, data: TensorDataset, loss: str, weight: float, seed: int) -> nn.Module:
    """Return a student of logits and features by that loss; of "logits" or "labels" alone."""
    student = new_student(seed=seed)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[: recipe.images]
    if loss in WEIGHTS:
        objective = WithSavedFeatures(student, data[:2], loss, weight)
    else:
        objective = HardLabels() if loss == "labels" else Distillation(pretrained_teacher(), T=T, alpha=ALPHA)
        data = TensorDataset(*data.tensors[:3])
    settings = {"epochs": recipe.epochs, "batch_size": recipe.batch_size, "lr": cosine(recipe.lr, recipe.lr / 20)}
    fit(student, take_rows(data, rows), objective, seed=seed, **settings)
    return student


def compare_recipe(recipe: Recipe, tuning, validation, whole, test, seeds: int, log: Callable[[str], None]) -> dict:
    """Return for each way what was tried and chosen, and the test accuracies in percent, one a seed."""
    found = {}
    for loss in ("labels", "logits", *WEIGHTS):
        tried = []
        for weight in WEIGHTS.get(loss, ()):
            runs = [100 * evaluate(train(recipe, tuning, loss, weight, seed), validation) for seed in TUNING_SEEDS]
            tried.append({"weight": weight, "validation": [round(run, 2) for run in runs]})
        chosen = max(tried, key=lambda each: statistics.mean(each["validation"]), default={"weight": 0.0})["weight"]
        runs = [100 * evaluate(train(recipe, whole, loss, chosen, seed), test) for seed in range(seeds)]
        found[loss] = {"tried": tried, "chosen": chosen, "test": [round(run, 2) for run in runs]}
        log(f"{loss}: {found[loss]} ({time.process_time():.0f} s)")
    return found


def compare(seeds: int, log: Callable[[str], None] = print) -> dict:
    """Return for each recipe the accuracies of each way, in percent."""
    whole, test = fashion_mnist()
    whole = with_features(whole)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    tuning, validation = take_rows(whole, order[1000:]), take_rows(whole, order[:1000])
    validation = TensorDataset(*validation.tensors[:2])
    results = {}
    for name, recipe in RECIPES.items():
        log(f"{name}: {recipe}")
        results[name] = recipe._asdict() | {"ways": compare_recipe(recipe, tuning, validation, whole, test, seeds, log)}
    settings = {"torch": torch.__version__, "T": T, "alpha": ALPHA, "layers": LAYERS}
    return {**settings, "seeds": list(range(seeds)), "tuning_seeds": list(TUNING_SEEDS), "recipes": results}


if __name__ == "__main__":
    record(__doc__.splitlines()[0], compare)
