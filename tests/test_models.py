"""The models: their sizes, their seeds, and the teacher that ships."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_lib import data, fashion_files
from course_lib.data import fashion_mnist
from course_lib.loops import HardLabels, evaluate, fit
from course_lib.models import TEACHER_WEIGHTS, Student, Teacher, new_point_student, new_student, pretrained_teacher
from tests.tools import train_teacher


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("width", "parameters"), [(3, 3_148), (8, 9_098), (80, 194_570)])
def test_the_sizes_that_the_docstrings_name(width, parameters):
    assert size(Student(width)) == parameters
    assert f"{parameters:,} at" in Student.__doc__
    assert parameters == 18 * width**2 + 992 * width + 10


def test_the_default_student_is_the_one_of_the_course():
    assert size(new_student()) == 9_098
    assert new_student()(torch.zeros(5, 1, 28, 28)).shape == (5, 10)


def test_the_size_of_the_teacher():
    assert size(Teacher()) == 283_386
    assert "283,386" in Teacher.__doc__


@pytest.mark.parametrize("make", [new_student, new_point_student])
def test_new_models_are_seeded_and_leave_the_global_state_alone(make):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = make(seed=7).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    other, third = make(seed=7).state_dict(), make(seed=8).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not any(torch.equal(one[name], third[name]) for name in one)


@pytest.mark.parametrize("width", [0, -1])
def test_a_wrong_width(width):
    with pytest.raises(ValueError, match=f"width must be at least 1, got {width}"):
        Student(width)
    with pytest.raises(ValueError, match=f"hidden must be at least 1, got {width}"):
        new_point_student(width)
    with pytest.raises(TypeError, match="width must be an int, got float"):
        Student(8.0)


def test_everything_takes_a_device():
    for model in (new_student(device="meta"), new_point_student(device="meta"), pretrained_teacher("meta")):
        assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


# ---- the teacher that ships ----


def test_the_teachers_weights_are_small_and_plain_arrays():
    assert TEACHER_WEIGHTS.stat().st_size <= 2e6
    with np.load(TEACHER_WEIGHTS, allow_pickle=False) as weights:
        assert all(weights[name].dtype in (np.float32, np.int64) for name in weights.files)


def test_the_teacher_comes_in_eval_mode_and_does_not_depend_on_random_state():
    one, other = pretrained_teacher(), pretrained_teacher()
    assert not any(module.training for module in one.modules())
    assert torch.equal(one(torch.ones(2, 1, 28, 28)), other(torch.ones(2, 1, 28, 28)))


def test_the_teacher_on_the_sample():
    assert evaluate(pretrained_teacher(), fashion_mnist().test) > 0.92


@pytest.mark.skipif(not fashion_files.INSTALLED_FOLDER.is_dir(), reason="no installed Fashion-MNIST")
def test_the_teacher_scores_what_its_log_says_and_at_least_93_percent_on_the_official_test_set():
    log = (TEACHER_WEIGHTS.parent / "teacher.log").read_text(encoding="utf8")
    logged = float(re.search(r"^test accuracy (0\.\d+)$", log, re.MULTILINE)[1])
    accuracy = evaluate(pretrained_teacher(), fashion_mnist("full").test)
    assert accuracy >= 0.93
    assert accuracy == pytest.approx(logged, abs=0.0005)


def test_augmentation_flips_and_shifts_and_keeps_the_labels():
    image = torch.full((1, 1, 28, 28), train_teacher.BLACK)
    image[0, 0, 10, 5] = 2.0
    torch.manual_seed(0)
    images, labels = train_teacher.augment((image.expand(4000, -1, -1, -1), torch.arange(4000)))
    assert torch.equal(labels, torch.arange(4000))
    assert images.shape == (4000, 1, 28, 28)
    _, _, rows, columns = (images == 2.0).nonzero(as_tuple=True)
    assert sorted(set(rows.tolist())) == [8, 9, 10, 11, 12]
    assert sorted(set(columns.tolist())) == [3, 4, 5, 6, 7, 20, 21, 22, 23, 24]
    counts = torch.bincount(rows * 28 + columns)
    assert (counts[counts > 0] > 40).all()
    assert int((counts > 0).sum()) == 50


def test_augmented_batches_hold_every_image_once():
    n = 300
    dataset = torch.utils.data.TensorDataset(torch.zeros(n, 1, 28, 28), torch.arange(n))
    batches = list(train_teacher.batches(dataset))
    assert [len(labels) for _, labels in batches] == [128, 128, 44]
    assert torch.equal(torch.cat([labels for _, labels in batches]).sort().values, torch.arange(n))


# ---- students learn ----


def test_a_point_student_learns_the_mixture():
    mixture = data.Mixture()
    train, test = mixture.sample(500, seed=0), mixture.sample(4000, seed=1)
    student = new_point_student()
    fit(student, train, HardLabels(), epochs=60, lr=1e-2)
    best = (mixture(test.tensors[0]).argmax(-1) == test.tensors[1]).float().mean().item()
    assert evaluate(student, test) > best - 0.03
    gap = F.kl_div(student(test.tensors[0]).log_softmax(-1), mixture(test.tensors[0]), reduction="batchmean", log_target=True)
    assert gap < 0.2
