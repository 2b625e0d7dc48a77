"""What the fast path of `fit` saves, and what `fit` itself costs: ratios of epochs, measured in turn in one run.

python tests/benchmarks/bench_loop.py [--rounds 7]
"""

import argparse
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from course_lib.data import PIXEL_MEAN, PIXEL_STD, fashion_mnist, to_pixels
from course_lib.loops import Distillation, fit, with_teacher_logits
from course_lib.losses import distillation_loss
from course_lib.models import new_student, pretrained_teacher


class Pictures(Dataset):
    """Fashion-MNIST as torchvision serves it: a PIL image and a label, through a list of transforms, one by one."""

    def __init__(self, dataset):
        images, labels = dataset.tensors
        self.pixels, self.labels = (to_pixels(images) * 255).round().byte()[:, 0].numpy(), labels.tolist()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((PIXEL_MEAN,), (PIXEL_STD,))])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        return self.transform(Image.fromarray(self.pixels[row])), self.labels[row]


def as_torch_builds_it(model) -> nn.Module:
    """The same layers without what the course's networks add to them: tensors stay channels first, torch's default."""
    return nn.Sequential(model.features, model.head).to(memory_format=torch.contiguous_format)


def tutorial_epoch(pictures, teacher, student):
    """The common style: a DataLoader over PIL images, and the teacher run at every step."""
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    T, alpha = 2.0, 0.5
    for images, labels in DataLoader(pictures, batch_size=128, shuffle=True):
        student_logits = student(images)
        with torch.no_grad():
            teacher_logits = teacher(images)
        soft = F.kl_div(F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1), reduction="batchmean")
        loss = alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def bare_epoch(cached, student):
    """The least that a loop over the same batches can do."""
    images, labels, logits = cached.tensors
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    for rows in torch.randperm(len(images)).split(128):
        loss = distillation_loss(student(images[rows]), logits[rows], labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def import_seconds(statement: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", statement], check=True))


def main(rounds: int) -> None:
    train, teacher = fashion_mnist().train, pretrained_teacher()
    pictures, cached = Pictures(train), with_teacher_logits(teacher, train)
    objective, plain_teacher = Distillation(teacher), as_torch_builds_it(pretrained_teacher()).eval()
    sides = {
        "tutorial style": lambda: tutorial_epoch(pictures, plain_teacher, as_torch_builds_it(new_student())),
        "the same, channels last": lambda: tutorial_epoch(pictures, teacher, new_student()),
        "fit, teacher in the loop": lambda: fit(new_student(), train, objective, epochs=1),
        "fit, cached logits": lambda: fit(new_student(), cached, objective, epochs=1),
        "bare loop, cached logits": lambda: bare_epoch(cached, new_student()),
    }
    times = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, side in sides.items():
            times[name].append(seconds(side))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first round warms up
    for name, value in medians.items():
        print(f"{name:28s}{1000 * value:8.0f} ms an epoch of {len(train):,} images")
    for name in ("tutorial style", "the same, channels last"):
        print(f"{name} / fit, cached logits: {medians[name] / medians['fit, cached logits']:.1f}")
    pairs = zip(times["fit, cached logits"][1:], times["bare loop, cached logits"][1:], strict=True)
    overhead = statistics.median(fit / bare for fit, bare in pairs)
    print(f"fit / bare loop: {overhead:.3f} (at most 1.05)")

    imports = [[import_seconds(f"import {name}") for name in ("torch", "course_lib.losses")] for _ in range(rounds)]
    torch_alone, losses = map(statistics.median, zip(*imports, strict=True))
    extra = 1000 * (losses - torch_alone)
    print(f"import course_lib.losses: {extra:+.0f} ms on top of torch's {1000 * torch_alone:.0f} (at most +50)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    main(parser.parse_args().rounds)
