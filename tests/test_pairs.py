"""check_pair: each mismatch, made on purpose, is named; right pairs, trained or not, are met with silence."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.basics import seeded
from course_lib.data import fashion_mnist
from course_lib.dyed import DyedTeacher, dyed_fashion, to_rgb
from course_lib.loops import predict
from course_lib.models import pretrained_teacher
from course_lib.pairs import Finding, Findings, check_pair
from course_lib.pairs.changes import declared
from course_lib.pairs.trials import _by_luck, _order

ROWS = 160
GREY = tuple(column[:ROWS] for column in fashion_mnist().test.tensors)
COLOUR = tuple(column[:ROWS] for column in dyed_fashion().test.tensors)
TEACHERS = {"grey": (pretrained_teacher(), GREY), "colour": (DyedTeacher(), COLOUR)}


class Student(nn.Module):
    """One that takes any image."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.layer = nn.LazyLinear(num_classes)

    def forward(self, images):
        return self.layer(F.adaptive_avg_pool2d(images, 4).flatten(1))


class Columns(nn.Module):
    """A teacher whose classes stand in another order, or are others."""

    def __init__(self, teacher, columns):
        super().__init__()
        self.teacher, self.columns = teacher, columns

    def forward(self, images):
        return self.teacher(images)[:, self.columns]


def found(*pair, **options):
    return [finding.what for finding in check_pair(*pair, **options)]


@pytest.mark.parametrize("kind", TEACHERS)
def test_silent_on_a_right_pair(kind):
    teacher, batch = TEACHERS[kind]
    findings = check_pair(teacher, Student(), batch)
    assert findings == []
    assert "No mismatch found.\nAs it is, the teacher is right on 9" in str(findings)


@pytest.mark.parametrize(
    "as_inputs",
    [
        lambda pixels: pixels,
        lambda pixels: 255 * pixels,
        lambda pixels: 2 * pixels - 1,
    ],
    ids=["0 to 1", "0 to 255", "-1 to 1"],
)
@pytest.mark.parametrize("kind", TEACHERS)
def test_another_normalisation(kind, as_inputs):
    teacher, (images, labels) = TEACHERS[kind]
    pixels = to_rgb(images) if kind == "colour" else images * 0.353 + 0.286
    findings = check_pair(teacher, Student(), (as_inputs(pixels), labels))
    assert [finding.what for finding in findings] == ["normalisation"]
    assert "on 9" in findings[0].words
    if kind == "colour":
        assert "normalised to ImageNet's mean and deviation" in findings[0].words


def test_a_normalisation_of_ones_own():
    teacher, (images, labels) = TEACHERS["grey"]
    findings = check_pair(teacher, Student(), (images * 0.353 + 0.286, labels), normalisations={"ours": (0.286, 0.353)})
    assert "normalised to ours" in findings[0].words


def test_the_order_of_the_channels():
    teacher, (images, labels) = TEACHERS["colour"]
    assert found(teacher, Student(), (images.flip(1), labels)) == ["channel order"]


def test_another_resolution():
    teacher, (images, labels) = TEACHERS["grey"]
    large = F.interpolate(images[:64], (56, 56), mode="bilinear")
    findings = check_pair(teacher, Student(), (large, labels[:64]))
    assert [finding.what for finding in findings] == ["resolution"]
    assert "at 28×28 pixels" in findings[0].words


def test_another_order_of_the_classes():
    order = [3, 1, 4, 5, 9, 2, 6, 8, 7, 0]
    teacher, batch = TEACHERS["grey"]
    (finding,) = check_pair(Columns(teacher, order), Student(), batch)
    assert finding.what == "class order"
    back = [order.index(k) for k in range(10)]
    assert f"teacher(inputs)[:, {back}]" in finding.words


def test_two_classes_that_changed_places():
    teacher, batch = TEACHERS["grey"]
    (finding,) = check_pair(Columns(teacher, [0, 1, 2, 3, 4, 7, 6, 5, 8, 9]), Student(), batch)
    assert finding.what == "class order"
    assert "[0, 1, 2, 3, 4, 7, 6, 5, 8, 9]" in finding.words


def test_a_subset_of_the_classes():
    teacher, (images, labels) = TEACHERS["grey"]
    odd = labels % 2 == 1
    (finding,) = check_pair(teacher, Student(5), (images[odd], labels[odd] // 2))
    assert finding.what == "class subset"
    assert "teacher(inputs)[:, [1, 3, 5, 7, 9]]" in finding.words


@pytest.mark.parametrize(
    "move", [lambda labels: (labels + 1) % 10, lambda labels: labels + 1, lambda labels: (labels - 1) % 10]
)
def test_labels_off_by_one(move):
    teacher, (images, labels) = TEACHERS["grey"]
    assert found(teacher, Student(), (images, move(labels))) == ["labels off by one"]


def test_a_teacher_with_a_class_for_the_background():
    teacher, batch = TEACHERS["grey"]

    class WithBackground(nn.Module):
        def forward(self, images):
            logits = teacher(images)
            return torch.cat([logits.new_full((len(logits), 1), -9.0), logits], 1)

    (finding,) = check_pair(WithBackground(), Student(), batch)
    assert finding.what == "labels off by one"
    assert "Take its columns 1 to 10." in finding.words


def test_a_head_for_other_classes_of_another_number():
    with seeded(0):
        student = Student(10)
    (finding,) = check_pair(Student(1000), student, GREY)
    assert finding.what == "head for other classes"
    assert "the teacher has 1000 outputs, the student 10" in finding.words


class Brightness(nn.Module):
    """Sure of its answer, which is how bright the image is, in ten steps, whatever it shows."""

    def forward(self, images):
        rank = images.mean((1, 2, 3)).argsort().argsort()
        return 9.0 * F.one_hot(10 * rank // len(images), 10)


def test_a_head_for_as_many_other_classes():
    findings = check_pair(Brightness(), Student(), GREY)
    assert [finding.what for finding in findings] == ["head for other classes"]
    assert "is sure of what it names" in findings[0].words


def test_two_at_once():
    teacher, (images, labels) = TEACHERS["grey"]
    inputs = images * 0.353 + 0.286
    assert sorted(found(teacher, Student(), (inputs, (labels + 1) % 10))) == ["labels off by one", "normalisation"]


def test_a_batch_that_the_teacher_refuses():
    class Strict(nn.Module):
        def forward(self, images):
            if images.shape[-1] != 28:
                raise ValueError("I want 28 pixels")
            return pretrained_teacher()(images)

    images, labels = GREY
    findings = check_pair(Strict(), Student(), (F.interpolate(images, (14, 14)), labels))
    assert findings[0].what == "resolution"
    assert "refuses the batch (I want 28 pixels) and takes it at 28×28 pixels" in findings[0].words
    with pytest.raises(ValueError, match="teacher must accept the batch's inputs; it says: "):
        check_pair(nn.Linear(3, 10), Student(), GREY)


def test_one_channel_for_three():
    images, labels = GREY
    with seeded(0):
        teacher = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    assert found(teacher, Student(), (images, labels)) == ["number of channels"]


# ---- models of others, which know nothing yet ----


def other_peoples():
    for seed in (0, 1):
        for name in ("resnet18", "mobilenet_v3_small"):
            yield pytest.param("torchvision", name, {}, seed, id=f"torchvision {name} {seed}")
        for name, options in (("resnet10t", {}), ("vit_tiny_patch16_224", {"img_size": 28, "patch_size": 7})):
            yield pytest.param("timm", name, options, seed, id=f"timm {name} {seed}")


@pytest.mark.parametrize("num_classes", [10, 2])
@pytest.mark.parametrize(("library", "name", "options", "seed"), list(other_peoples()))
def test_silent_on_random_weights(library, name, options, seed, num_classes):
    library = pytest.importorskip(library)
    with seeded(seed):
        make = library.create_model if library.__name__ == "timm" else library.models.get_model
        teacher, student = make(name, num_classes=num_classes, **options), Student(num_classes)
    images, labels = COLOUR
    rows = (labels < num_classes).nonzero()[:40, 0]
    findings = check_pair(teacher, student, (images[rows], labels[rows]))
    assert findings == [], findings


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_silent_where_others_models_are_right_and_not_where_labels_are_shifted(library):
    """Random weights that name what they were taught by a linear layer on their features: a right pair of their own."""
    module = pytest.importorskip(library)
    with seeded(0):
        make = module.models.get_model if library == "torchvision" else module.create_model
        body = make({"torchvision": "resnet18", "timm": "resnet10t"}[library], num_classes=512).eval()
        images, labels = COLOUR
        features = predict(body, images)
        features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
        weights = torch.linalg.lstsq(features, F.one_hot(labels, 10).float(), driver="gelsd").solution

    class Taught(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.mean, self.std = body, predict(body, images).mean(0), predict(body, images).std(0).clamp(min=1e-6)

        def forward(self, inputs):
            return 20 * ((self.body(inputs) - self.mean) / self.std) @ weights

    assert check_pair(Taught(), Student(), (images, labels)) == []
    assert found(Taught(), Student(), (images, (labels + 1) % 10)) == ["labels off by one"]


def test_silent_on_one_that_only_tells_bright_from_dark():
    """As random weights do: another order of its classes would make it right far more often, and still it knows nothing."""

    class BrightOrDark(nn.Module):
        def forward(self, images):
            return F.one_hot((images.mean((1, 2, 3)) > 0).long() * 5 + 2, 10).float()

    assert check_pair(BrightOrDark(), Student(), GREY) == []


def test_what_timm_and_hugging_face_declare():
    model = nn.Linear(1, 1)
    assert declared(model) == {}
    model.pretrained_cfg = {"input_size": (3, 160, 160), "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
    assert declared(model) == {"size": 160, "normalisation": ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))}
    hugging = nn.Linear(1, 1)
    hugging.config = type("Config", (), {"image_size": 224})()
    assert declared(hugging) == {"size": 224}


# ---- the whole ----


def test_the_models_are_left_as_they_were():
    teacher, student = pretrained_teacher().train(), Student()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    check_pair(teacher, student, GREY)
    assert teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_batch_by_names_and_rows_without_a_label():
    teacher = pretrained_teacher()

    class ByName(nn.Module):
        def forward(self, pixel_values):
            return teacher(pixel_values)

    class StudentByName(Student):
        def forward(self, pixel_values):
            return super().forward(pixel_values)

    images, labels = GREY
    labels = torch.where(torch.arange(ROWS) % 5 == 0, -100, labels)
    findings = check_pair(
        ByName(), StudentByName(), {"pixel_values": images, "labels": (labels + 1).where(labels >= 0, -100) % 10}
    )
    assert [finding.what for finding in findings] in (["labels off by one"], ["class order"])


def test_inputs_that_are_no_images():
    with seeded(0):
        points = torch.randn(200, 4)
    teacher, student = nn.Linear(4, 4), nn.Linear(4, 4)
    nn.init.eye_(teacher.weight), nn.init.zeros_(teacher.bias)
    assert found(teacher, student, (points, points.argmax(-1))) == []
    assert found(teacher, student, (points, (points.argmax(-1) + 1) % 4)) == ["labels off by one"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("teacher", Student(), GREY), "teacher must be a torch.nn.Module, got str"),
        ((Student(), None, GREY), "student must be a torch.nn.Module, got NoneType"),
        ((Student(), Student(), (GREY[0][:9], GREY[1][:9])), "batch must hold at least 32 labelled examples, got 9"),
        ((Student(), Student(), (GREY[0], GREY[1][:, None])), r"batch must have one label for each input.*\(160, 1\)"),
        ((Student(), nn.Identity(), GREY), r"student must give logits of shape \(n, num_classes\), got \(160, 1, 28, 28\)"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_pair(*arguments)


def test_findings_read_as_text():
    findings = Findings([Finding("channel order", "Reverse it.")], "Seen.")
    assert str(findings) == repr(findings) == "CHANNEL ORDER: Reverse it.\nSeen."


def test_by_luck_against_the_binomial():
    right, other = torch.tensor([True] * 8 + [False] * 2), torch.tensor([False] * 8 + [True] * 2)
    assert _by_luck(right, other) == pytest.approx((45 + 10 + 1) / 1024)
    assert _by_luck(right, right) == 1


def test_an_order_takes_no_class_twice_and_the_clearest_first():
    named, labels = torch.tensor([3, 3, 3, 1, 3, 3, 1]), torch.tensor([0, 0, 0, 0, 1, 1, 1])
    assert _order(named, labels, 4, 2) == [3, 1]
    assert _order(named, labels, 4, 3) == [3, 1, -1]
