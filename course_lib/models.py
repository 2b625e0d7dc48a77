"""The teacher, whose weights ship with the course, and the students. All give logits (n, num_classes).

Networks for images keep them channels last: pooling, which is most of a small network's work on a CPU, is then several
times faster. What they compute is the same.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.basics import check_positive_int, seeded

TEACHER_WEIGHTS = Path(__file__).parent / "assets" / "teacher.npz"


class Teacher(nn.Module):
    """Six 3×3 convolutions with BatchNorm, two poolings, a global mean and dropout: 283,386 parameters for 10 classes.

    Called on images (n, 1, 28, 28).
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            *_block(1, 16), *_block(16, 32), nn.MaxPool2d(2),
            *_block(32, 64), *_block(64, 64), nn.MaxPool2d(2),
            *_block(64, 128), *_block(128, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(128, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images.to(memory_format=torch.channels_last)))


class Student(nn.Module):
    """Two 3×3 convolutions, of `width` and 2·`width` channels, and a linear layer, for images (n, 1, 28, 28).

    18·width² + 992·width + 10 parameters: 3,148 at width 3, 9,098 at width 8 (the student of the course), 194,570 at 80.
    """

    def __init__(self, width: int = 8, num_classes: int = 10):
        super().__init__()
        check_positive_int("width", width)
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
        )  # fmt: skip - ReLU after the pooling gives the same numbers and has a quarter of the work
        self.head = nn.Linear(2 * width * 7 * 7, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images.to(memory_format=torch.channels_last)))


def pretrained_teacher(device: torch.device | str = "cpu") -> Teacher:
    """Return the course's teacher, in eval mode. `course_lib/assets/README.md` says how it was trained and what it scores."""
    teacher = Teacher()
    with np.load(TEACHER_WEIGHTS, allow_pickle=False) as weights:
        teacher.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
    return teacher.to(device, memory_format=torch.channels_last).eval()


def new_student(width: int = 8, seed: int = 0, device: torch.device | str = "cpu") -> Student:
    """Return an untrained student for Fashion-MNIST; the same weights for the same seed, whatever ran before."""
    with seeded(seed):
        return Student(width).to(device, memory_format=torch.channels_last)


def new_point_student(
    hidden: int = 32, num_classes: int = 4, seed: int = 0, device: torch.device | str = "cpu"
) -> nn.Sequential:
    """Return an untrained network for the points of `course_lib.data.Mixture`: two hidden layers of `hidden` units."""
    check_positive_int("hidden", hidden)
    with seeded(seed):
        return nn.Sequential(
            nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, num_classes)
        ).to(device)


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    # No bias in the convolution: BatchNorm would take it out again.
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
