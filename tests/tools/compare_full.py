"""What a teacher is worth where nothing is short: all 60,000 images, patient training, students of three widths.

    python -m tests.tools.compare_full --out full.json [--seeds 3] [--epochs 20] [--tuning 6] [--workers 2]

Each time that an image comes up it is one of ten views: flipped or not, as it is or moved by a pixel up, down, left or right.
Student and teacher see the same view (Beyer et al. 2022, arXiv:2106.05237, "consistent teaching"); the teacher has looked at
every view of every image beforehand, once for all runs. Labels and distillation have four settings each to choose from, tried
for --tuning epochs on 55,000 images and judged on the other 5,000 of the training set, seed 100. Then both train for --epochs
epochs on those 55,000 with what was chosen; the test images are looked at once, at the end. Runs with the same seed share
start, batches and views. The teacher has been trained on all 60,000. It takes about an hour and a half of computing.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from course_lib.data import fashion_mnist, take_rows
from course_lib.loops import Distillation, evaluate, fit, predict
from course_lib.metrics import count_parameters
from course_lib.models import new_student, pretrained_teacher
from course_lib.schedules import cosine
from tests.tools.compare_baselines import Labels
from tests.tools.recording import record
from tests.tools.train_teacher import BLACK

WIDTHS, BATCH_SIZE, ALPHA, TUNING_SEED, HELD_OUT = (16, 8, 4), 256, 0.9, 100, 5_000  # the longest runs first
SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))  # by how much the window moves, down and right
VIEWS = tuple(product((False, True), SHIFTS))
RATES = (5e-3, 1.5e-2)
SETTINGS = {
    "labels": [{"lr": lr, "smoothing": smoothing} for lr in RATES for smoothing in (0.0, 0.1)],
    "distilled": [{"lr": lr, "T": T} for lr in RATES for T in (1.0, 4.0)],
}


def seen_as(images: Tensor, view: int) -> Tensor:
    """Return all images (n, 1, 28, 28) in one of the VIEWS, black coming in."""
    flipped, (down, right) = VIEWS[view]
    padded = F.pad(images.flip(-1) if flipped else images, (1,) * 4, value=BLACK)
    return padded[..., 1 + down : 29 + down, 1 + right : 29 + right].contiguous()


class Views(Dataset):
    """Whole batches, each image in a view drawn at random: images, labels, and the teacher's logits for these very views.

    images (n, 1, 28, 28) and labels (n,); teacher_logits: an array (views, n, num_classes).
    """

    def __init__(self, images: Tensor, labels: Tensor, teacher_logits: np.ndarray):
        self.images, self.labels, self.teacher_logits = images, labels, teacher_logits

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        chosen, drawn = torch.tensor(rows), torch.randint(len(VIEWS), (len(rows),))
        images = self.images[chosen]
        for view in range(len(VIEWS)):
            here = drawn == view
            images[here] = seen_as(images[here], view)
        return images, self.labels[chosen], torch.from_numpy(self.teacher_logits[drawn, rows])


def ask_teacher(view: int) -> np.ndarray:
    """Return the teacher's logits for all training images in that view."""
    torch.set_num_threads(1)
    return predict(pretrained_teacher(), seen_as(fashion_mnist("full").train.tensors[0], view)).numpy()


def train(width: int, way: str, settings: dict, data: Views, epochs: int, seed: int) -> nn.Module:
    """Return a student trained that way."""
    options, student = dict(settings), new_student(width, seed)
    lr = options.pop("lr")
    objective = Labels(**options) if way == "labels" else Distillation(pretrained_teacher(), alpha=ALPHA, **options)
    order = RandomSampler(data, generator=torch.Generator().manual_seed(seed))
    loader = DataLoader(data, sampler=BatchSampler(order, BATCH_SIZE, drop_last=True), batch_size=None)
    fit(student, loader, objective, epochs=epochs, lr=cosine(lr, lr / 100), seed=seed)
    return student


def compare_width(width: int, file: Path, seeds: int, epochs: int, tuning: int) -> dict:
    """Return for each way what was tried, what was chosen, and the test accuracies in percent, one a seed."""
    torch.set_num_threads(1)
    whole, test = fashion_mnist("full")
    teacher_logits = np.load(file, mmap_mode="r")[:, HELD_OUT:]
    data, held_out = Views(*take_rows(whole, slice(HELD_OUT, None)).tensors, teacher_logits), take_rows(whole, slice(HELD_OUT))
    found, started = {}, time.process_time()
    for way, choices in SETTINGS.items():
        tried = []
        for settings in choices:
            right = evaluate(train(width, way, settings, data, tuning, TUNING_SEED), held_out)
            tried.append({**settings, "validation": round(100 * right, 2)})
        best = max(tried, key=lambda each: each["validation"])
        chosen = {key: value for key, value in best.items() if key != "validation"}
        runs = [100 * evaluate(train(width, way, chosen, data, epochs, seed), test) for seed in range(seeds)]
        found[way] = {"tried": tried, "chosen": chosen, "test": [round(run, 2) for run in runs]}
        print(f"width {width}, {way}: {found[way]} ({time.process_time() - started:.0f} s)", flush=True)
    return {"parameters": count_parameters(new_student(width)), "ways": found}


def compare(seeds: int, epochs: int, tuning: int, workers: int, log: Callable[[str], None] = print) -> dict:
    """Return the accuracies of each width and way; how many processes work on it changes nothing."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        started = time.perf_counter()
        answers = np.stack(list(pool.map(ask_teacher, range(len(VIEWS)))))
        np.save(file := Path(folder) / "teacher_logits.npy", answers)
        seconds = time.perf_counter() - started
        log(f"the teacher has seen {answers.shape[0]} views of {answers.shape[1]:,} images ({seconds:.0f} s)")
        jobs = {width: pool.submit(compare_width, width, file, seeds, epochs, tuning) for width in WIDTHS}
        found = {width: jobs[width].result() for width in sorted(WIDTHS)}
    recipe = {"epochs": epochs, "tuning_epochs": tuning, "batch_size": BATCH_SIZE, "alpha": ALPHA, "views": len(VIEWS)}
    teacher = round(100 * evaluate(pretrained_teacher(), fashion_mnist("full").test), 2)
    seeds_of = {"seeds": list(range(seeds)), "tuning_seeds": [TUNING_SEED]}
    return {"torch": torch.__version__, **recipe, **seeds_of, "teacher": teacher, "widths": found}


if __name__ == "__main__":
    record(__doc__.splitlines()[0], compare, seeds=3, epochs=20, tuning=6, workers=2)
