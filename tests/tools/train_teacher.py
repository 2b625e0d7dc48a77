"""Train the teacher that ships with the course, with the course's own loop, on the full official training set.

    python -m tests.tools.train_teacher --out teacher.npz --log teacher.log [--full FOLDER] [--device cuda]

20 epochs of Adam, learning rate from 0.003 to 0.00001 along a cosine, batches of 128, random flips and shifts by up to
2 pixels. The last epoch is the one that ships: nothing was chosen by looking at the test set.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from course_lib.basics import seeded
from course_lib.data import PIXEL_MEAN, PIXEL_STD, FashionMNIST, fashion_mnist
from course_lib.loops import HardLabels, evaluate, fit
from course_lib.models import Teacher
from course_lib.schedules import cosine

SEED, EPOCHS, BATCH_SIZE, SHIFT = 1, 20, 128, 2
BLACK = -PIXEL_MEAN / PIXEL_STD


def augment(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Each image flipped or not, and shifted by -2 to 2 pixels each way, black coming in. Draws torch's random numbers."""
    images, labels = batch
    n, rows = len(images), torch.arange(28)
    images = torch.where(torch.rand(n, 1, 1, 1) < 0.5, images.flip(-1), images)
    padded = F.pad(images, (SHIFT,) * 4, value=BLACK)[:, 0]
    down, right = torch.randint(2 * SHIFT + 1, (2, n))
    shifted = padded[torch.arange(n)[:, None, None], (down[:, None] + rows)[:, :, None], (right[:, None] + rows)[:, None]]
    return shifted[:, None], labels


def batches(train: TensorDataset) -> DataLoader:
    """Augmented batches: the sampler gives the loader whole lists of rows, so that each batch is cut in one go."""
    sampler = BatchSampler(RandomSampler(train), BATCH_SIZE, drop_last=False)
    return DataLoader(train, sampler=sampler, batch_size=None, collate_fn=augment)


def train(data: FashionMNIST, device: str, log) -> Teacher:
    """Return the trained teacher; a line an epoch goes to `log`."""
    with seeded(SEED):
        teacher = Teacher().to(device, memory_format=torch.channels_last)
    started = time.perf_counter()
    print(f"seed {SEED}, torch {torch.__version__}, {device}, {torch.get_num_threads()} threads", file=log, flush=True)

    def report(history):
        row = {name: values[-1] for name, values in history.by_epoch.items()}
        print(
            f"epoch {history.epochs:2d}  loss {row['loss']:.4f}  train {row['accuracy']:.4f}  "
            f"test {row['validation_accuracy']:.4f}  lr {row['lr']:.6f}  {time.perf_counter() - started:6.0f} s",
            file=log, flush=True,
        )  # fmt: skip

    lr = cosine(3e-3, 1e-5)
    fit(teacher, batches(data.train), HardLabels(), epochs=EPOCHS, lr=lr, seed=SEED, validation=data.test, on_epoch=report)
    print(f"test accuracy {evaluate(teacher, data.test):.4f}", file=log, flush=True)
    return teacher


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write; must not exist")
    parser.add_argument("--log", type=Path, required=True, help="the log to write; must not exist")
    parser.add_argument("--full", type=Path, help="where the official files are, if not installed")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    data = fashion_mnist("full", folder=options.full)  # first, since where it fails no empty file may stay behind
    with open(options.out, "xb") as out, open(options.log, "x", encoding="utf8") as log:
        teacher = train(data, options.device, log)
        np.savez(out, **{name: value.cpu().contiguous().numpy() for name, value in teacher.state_dict().items()})
