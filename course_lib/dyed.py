"""Fashion-MNIST in colour, and a teacher for it: an example in which the order of the channels matters.

Each garment is dyed. Its class says which colour it has on average, and each single one deviates, so that colour and shape
together tell more than shape alone. The teacher knows both: it needs no training.
"""

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from course_lib.data import PIXEL_MEAN, PIXEL_STD, FashionMNIST, fashion_mnist, to_pixels
from course_lib.models import pretrained_teacher

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as most teachers that one is handed want them
MEAN_DYE = 0.6  # of the three channels, for all dyes: only then can brightness be told from colour
SPREAD = 0.18  # of each channel of a dye around its class's colour
COLOURS = (  # of a dye, red, green and blue, by class, in the order of `course_lib.data.CLASSES`
    (0.9, 0.5, 0.5), (0.4, 0.5, 0.9), (0.8, 0.7, 0.4), (0.9, 0.4, 0.6), (0.6, 0.5, 0.4),
    (0.8, 0.6, 0.4), (0.5, 0.7, 0.9), (0.9, 0.8, 0.4), (0.5, 0.8, 0.5), (0.6, 0.4, 0.3),
)  # fmt: skip


def dyed_fashion(seed: int = 0) -> FashionMNIST:
    """Return the sample in colour: images (n, 3, 28, 28), pixels less `MEAN`, over `DEVIATION`; the same for the same seed."""
    train, test = fashion_mnist()
    return FashionMNIST(_dyed(train, seed), _dyed(test, seed + 1))


def normalise(pixels: Tensor) -> Tensor:
    """Return pixels (n, 3, height, width) in [0, 1] as the teacher wants them."""
    return (pixels - _of_channels(pixels, MEAN)) / _of_channels(pixels, DEVIATION)


def to_rgb(inputs: Tensor) -> Tensor:
    """Return normalised inputs (n, 3, height, width) as pixels in [0, 1], as far as they are some."""
    return inputs * _of_channels(inputs, DEVIATION) + _of_channels(inputs, MEAN)


class DyedTeacher(nn.Module):
    """The course's teacher for the shape, and Bayes' rule for the dye: logits (n, 10) of images (n, 3, height, width)."""

    def __init__(self):
        super().__init__()
        self.shape = pretrained_teacher()
        self.register_buffer("colours", _of_one_brightness(torch.tensor(COLOURS)))

    def forward(self, images: Tensor) -> Tensor:
        pixels = to_rgb(images)
        brightness = pixels.mean(1, keepdim=True) / MEAN_DYE
        dyes = pixels.sum((2, 3)) / brightness.sum((2, 3)).clamp(min=1e-3)
        distances = (dyes[:, None] - self.colours).square().sum(-1)
        return self.shape((brightness - PIXEL_MEAN) / PIXEL_STD) - distances / (2 * SPREAD**2)


def _of_one_brightness(dyes: Tensor) -> Tensor:
    return dyes * (MEAN_DYE / dyes.mean(1, keepdim=True))


def _of_channels(images: Tensor, values: tuple) -> Tensor:
    return images.new_tensor(values)[:, None, None]


def _dyed(dataset: TensorDataset, seed: int) -> TensorDataset:
    images, labels = dataset.tensors
    noise = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(seed))
    dyes = _of_one_brightness((torch.tensor(COLOURS)[labels] + SPREAD * noise).clamp(0.1, 1))
    return TensorDataset(normalise((to_pixels(images) * dyes[:, :, None, None]).clamp(0, 1)), labels)
