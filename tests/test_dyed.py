"""Fashion-MNIST in colour: what it holds, and that its teacher needs shape and colour both."""

import torch

from course_lib.data import fashion_mnist, to_pixels
from course_lib.dyed import COLOURS, MEAN_DYE, DyedTeacher, dyed_fashion, normalise, to_rgb
from course_lib.loops import predict
from course_lib.metrics import accuracy

TRAIN, TEST = dyed_fashion()
IMAGES, LABELS = (column[:200] for column in TEST.tensors)


def right(images):
    return accuracy(predict(DyedTeacher(), images), LABELS)


def test_the_same_images_dyed():
    grey = fashion_mnist()
    assert TRAIN.tensors[0].shape == (6000, 3, 28, 28)
    assert torch.equal(TEST.tensors[1], grey.test.tensors[1])
    pixels = to_rgb(IMAGES)
    assert pixels.min() > -1e-5
    assert pixels.max() < 1 + 1e-5
    ratio = pixels.sum((1, 2, 3)) / to_pixels(grey.test.tensors[0][:200]).sum((1, 2, 3))
    assert (ratio <= 3 * MEAN_DYE + 1e-3).all()
    assert ratio.mean() > 0.95 * 3 * MEAN_DYE  # a channel that is full loses a little


def test_the_same_for_the_same_seed_and_another_for_another():
    again, other = dyed_fashion(), dyed_fashion(seed=5)
    assert torch.equal(again.train.tensors[0], TRAIN.tensors[0])
    assert not torch.equal(other.train.tensors[0], TRAIN.tensors[0])


def test_normalising_there_and_back():
    pixels = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(to_rgb(normalise(pixels)), pixels)
    torch.testing.assert_close(normalise(pixels)[0, 0, 0, 0], (pixels[0, 0, 0, 0] - 0.485) / 0.229)


def test_the_teacher_needs_shape_and_colour():
    as_they_are = right(IMAGES)
    grey = normalise(to_rgb(IMAGES).mean(1, keepdim=True).expand(-1, 3, -1, -1))
    assert as_they_are > 0.94
    assert right(IMAGES.flip(1)) < as_they_are - 0.1
    assert right(grey) < as_they_are
    assert right(IMAGES.flip(2)) < as_they_are - 0.2  # upside down


def test_the_teachers_colours_have_one_brightness():
    torch.testing.assert_close(DyedTeacher().colours.mean(1), torch.full((10,), MEAN_DYE))
    assert len(COLOURS) == 10
