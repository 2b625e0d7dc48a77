"""handed/: weights in their wrappers, a head that learns alone, folders and their splits, runs tied to their options."""

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib import handed
from course_lib.basics import seeded
from course_lib.handed.weights import differences, fit_names
from course_lib.loops import predict


def resnet(num_classes=3, seed=0):
    with seeded(seed):
        return handed.build_model("resnet18", num_classes)


def saved(folder, held):
    torch.save(held, folder / "handed.pt")
    return folder / "handed.pt"


# ---- weights ----


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module.model.", "model._orig_mod."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model", "weights"])
def test_weights_are_found_in_what_is_wrapped_around_them(tmp_path, prefix, wrapper):
    model = nn.Sequential(nn.Linear(2, 3))
    weights = {f"{prefix}{name}": value for name, value in model.state_dict().items()}
    found = handed.read_weights(saved(tmp_path, {"epoch": 3, wrapper: weights} if wrapper else weights))
    assert fit_names(found, model.state_dict(), "0").keys() == model.state_dict().keys()


def test_a_model_that_has_such_names_itself_keeps_them():
    model = nn.ModuleDict({"model": nn.Linear(2, 2)})
    assert fit_names(model.state_dict(), model.state_dict(), "model").keys() == model.state_dict().keys()


def test_safetensors_are_read(tmp_path):
    write = pytest.importorskip("safetensors.torch").save_file
    write({"weight": torch.ones(2)}, tmp_path / "handed.safetensors")
    assert handed.read_weights(tmp_path / "handed.safetensors")["weight"].tolist() == [1, 1]


def test_what_holds_no_weights_is_told_with_what_to_ask_for(tmp_path):
    with pytest.raises(ValueError, match=r"whole module.*Ask for torch.save\(model.state_dict") as error:
        handed.read_weights(saved(tmp_path, nn.Linear(2, 2)))
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="holds a dict of epoch"):
        handed.read_weights(saved(tmp_path, {"epoch": 3}))
    with pytest.raises(FileNotFoundError, match="not there"):
        handed.read_weights(tmp_path / "no.pt")


def test_differences_name_what_is_missing_unknown_or_of_another_shape():
    ours = {"a": torch.ones(2), "b": torch.ones(3)}
    assert differences(ours, ours) == ""
    assert differences({"a": torch.ones(4), "c": torch.ones(1)}, ours) == (
        "missing: b; not the model's: c; of another shape: a (4,) there, (2,) in the model"
    )


def test_a_fingerprint_is_of_the_contents(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"1")
    assert handed.fingerprint(tmp_path / "a") == handed.fingerprint(tmp_path / "b")
    (tmp_path / "b").write_bytes(b"2")
    assert handed.fingerprint(tmp_path / "a") != handed.fingerprint(tmp_path / "b")


# ---- models ----


@pytest.mark.parametrize("num_classes", [3, 1000])
def test_a_teacher_has_as_many_outputs_as_its_file(tmp_path, num_classes):
    theirs = resnet(num_classes)
    teacher = handed.load_teacher("resnet18", saved(tmp_path, theirs.state_dict()))
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in teacher.state_dict().items())
    assert not teacher.training


def test_a_head_behind_a_dropout_is_found(tmp_path):
    theirs = resnet()
    linear = theirs.fc
    theirs.fc = nn.Sequential(nn.Dropout(0.5), linear)
    teacher = handed.load_teacher("resnet18", saved(tmp_path, theirs.state_dict()))
    assert torch.equal(teacher.fc.weight, linear.weight)


def test_only_the_head_may_have_another_shape(tmp_path):
    theirs = resnet()
    theirs.conv1 = nn.Conv2d(1, 64, 7, bias=False)
    with pytest.raises(ValueError, match=r"of another shape: conv1.weight \(64, 1, 7, 7\) there"):
        handed.load_teacher("resnet18", saved(tmp_path, theirs.state_dict()))
    with pytest.raises(ValueError, match=r"must be those of resnet34; .* missing: layer1.2.conv1.weight"):
        handed.load_teacher("resnet34", saved(tmp_path, resnet().state_dict()))


def test_a_student_starts_untrained_or_from_a_file(tmp_path):
    theirs = resnet(4)
    file = saved(tmp_path, theirs.state_dict())
    assert handed.load_student("resnet18", 4).fc.out_features == 4
    same = handed.load_student("resnet18", 4, file)
    assert same.training
    assert torch.equal(same.fc.weight, theirs.fc.weight)
    other = handed.load_student("resnet18", 3, file)
    assert other.training
    assert other.fc.out_features == 3
    assert torch.equal(other.conv1.weight, theirs.conv1.weight)
    assert all(each.requires_grad for each in other.parameters())
    with pytest.raises(ValueError, match="must be those of resnet34"):
        handed.load_student("resnet34", 4, file)


def test_a_student_of_ones_own_starts_from_a_file_too(tmp_path):
    def own(num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, num_classes))

    student = own(3).eval()
    assert handed.load_student(student, 3) is student
    assert student.training
    theirs = own(3)
    torch.save({"weights": theirs.state_dict()}, tmp_path / "theirs.pt")
    same = handed.load_student(own(3), 3, tmp_path / "theirs.pt")
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in same.state_dict().items())
    other = handed.load_student(own(4), 4, tmp_path / "theirs.pt")  # a new head: four classes were not learned
    assert torch.equal(other[1].weight, theirs[1].weight)
    assert other[3].out_features == 4
    with pytest.raises(
        ValueError, match=r"weights must be those of the student, a Sequential; .* differs\. of another shape: 1\.weight"
    ):
        handed.load_student(
            nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)), 3, tmp_path / "theirs.pt"
        )


def test_an_unknown_name_is_told_with_the_ways_to_name_one(tmp_path):
    with pytest.raises(ValueError, match="timm:NAME"):
        handed.load_teacher("vit_base_patch16_224", saved(tmp_path, {"a": torch.ones(1)}))
    with pytest.raises(ValueError, match="got none"):
        handed.load_teacher("resnet18")


def test_timm_is_loaded_and_declares_its_inputs(tmp_path):
    timm = pytest.importorskip("timm")
    with seeded(0):
        model = timm.create_model("resnet10t", num_classes=3).eval()
    teacher = handed.load_teacher("timm:resnet10t", saved(tmp_path, model.state_dict()))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(predict(teacher, images), predict(model, images))
    assert handed.inputs_of("timm:vit_base_patch16_224.augreg_in1k")["mean"] == (0.5, 0.5, 0.5)


def test_hugging_face_is_loaded_and_declares_its_inputs(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    with seeded(0):
        config = transformers.ViTConfig(**sizes, image_size=32, patch_size=8, num_labels=3)
        model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    teacher = handed.load_teacher(f"hf:{tmp_path}")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(predict(teacher, images), predict(model, images))
    assert handed.inputs_of(f"hf:{tmp_path}")["size"] == 32
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3]}', "utf8")
    assert handed.inputs_of(f"hf:{tmp_path}")["mean"] == (0.1, 0.2, 0.3)
    with pytest.raises(ValueError, match=r"no config.json"):
        handed.load_teacher("hf:nowhere")


def test_what_is_given_of_the_inputs_counts():
    assert handed.inputs_of("resnet18") == {"size": 224, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    given = handed.inputs_of("resnet18", size=32, mean="0.5", std="0.1,0.2,0.3")
    assert given == {"size": 32, "mean": (0.5, 0.5, 0.5), "std": (0.1, 0.2, 0.3)}
    for wrong in ({"mean": "a"}, {"mean": "1,2"}, {"std": "0"}):
        with pytest.raises(ValueError, match="must be 1 or 3 numbers"):
            handed.inputs_of("resnet18", **wrong)


def batches(n=8):
    random = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(n, 3, 32, 32, generator=random), torch.arange(n) % 4)
    return DataLoader(data, 4)


def test_a_new_head_alone_learns_and_is_kept(tmp_path):
    teacher = handed.with_new_head(resnet(), 4)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    history = handed.learn_head(teacher, batches(), kept=tmp_path / "kept.pt", passes=2, epochs=3)
    changed = {name for name, value in teacher.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"fc.weight", "fc.bias"}
    assert history.by_epoch["loss"][-1] < history.by_epoch["loss"][0]
    again = handed.load_teacher("resnet18", tmp_path / "kept.pt")
    assert torch.equal(again.fc.weight, teacher.fc.weight)
    other = handed.with_new_head(resnet(seed=1), 4)
    assert handed.learn_head(other, batches(), kept=tmp_path / "kept.pt").steps == 0
    assert torch.equal(other.conv1.weight, teacher.conv1.weight)


def test_columns_are_read_in_their_order():
    model = nn.Flatten()
    assert handed.Columns(model, [2, 0])(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[3.0, 1.0]]
    with pytest.raises(ValueError, match="below 3"):
        handed.Columns(model, [3])(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="counted from 0"):
        handed.Columns(model, [-1, 0])


# ---- pictures ----

INPUTS = {"size": 8, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def fill(folder, count=80, classes=("cat", "dog")):
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (12, 10), (200 * k, number, 0)).save(folder / name / f"{number}.png")
    return folder


def test_a_folder_is_split_and_prepared(tmp_path):
    data = handed.open_images(fill(tmp_path), INPUTS, batch_size=16)
    assert (len(data.train.dataset), len(data.held_out.dataset)) == (128, 32)
    assert not set(data.train.dataset.indices) & set(data.held_out.dataset.indices)
    images, labels = next(iter(data.held_out))
    assert images.shape == (32, 3, 8, 8)
    assert images.min() == -1  # a black pixel: (0 - 0.5) / 0.5
    assert set(labels.tolist()) == {0, 1}
    assert data.classes == ["cat", "dog"]
    assert data.inputs == INPUTS
    as_input = handed.prepare(**data.inputs)
    path, _ = data.held_out.dataset.dataset.pictures[data.held_out.dataset.indices[0]]
    assert torch.equal(as_input(Image.open(path)), images[0])


def test_strays_are_no_classes(tmp_path):
    fill(tmp_path)
    fill(tmp_path, 2, (".ipynb_checkpoints", "__MACOSX", "cat/.ipynb_checkpoints"))
    data = handed.open_images(tmp_path, INPUTS)
    assert data.classes == ["cat", "dog"]
    assert len(data.train.dataset) + len(data.held_out.dataset) == 160


@pytest.mark.parametrize("name", ["val", "valid", "validation", "test"])
def test_splits_are_used_where_they_are(tmp_path, name):
    fill(tmp_path / "train", 3)
    fill(tmp_path / name, 20)
    data = handed.open_images(tmp_path, INPUTS, batch_size=2)
    assert (len(data.train.dataset), len(data.held_out.dataset)) == (6, 40)
    labels = next(iter(data.held_out))[1].tolist()
    assert labels != sorted(labels)  # not one class after the other: check_pair gets the first batch
    assert name in data.split


def test_a_class_may_be_called_train(tmp_path):
    assert handed.open_images(fill(tmp_path, classes=("bus", "train")), INPUTS).classes == ["bus", "train"]


def test_what_is_wrong_with_a_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="not there"):
        handed.open_images(tmp_path / "no", INPUTS)
    with pytest.raises(ValueError, match=r"at least 160.*has 20"):
        handed.open_images(fill(tmp_path / "few", 10), INPUTS)
    fill(tmp_path / "half" / "train", 1)
    with pytest.raises(ValueError, match="holds only train"):
        handed.open_images(tmp_path / "half", INPUTS)
    fill(tmp_path / "half" / "val", 1, ("cat",))
    (tmp_path / "half" / "val" / "cow").mkdir()
    with pytest.raises(ValueError, match="none of cow"):
        handed.open_images(tmp_path / "half", INPUTS)


# ---- runs ----


def options(folder, **more):
    return {"out": str(folder / "student.pt"), "weights": "", "size": 32, "workers": 2, **more}


def test_what_speaks_against_a_run(tmp_path):
    assert handed.refusal(options(tmp_path, images="")) == ""
    assert handed.refusal(options(tmp_path, images="folder", weights="theirs.pt")) == ""
    assert handed.refusal(options(tmp_path, images="", weights="theirs.pt")).startswith("--weights goes with --images")
    (tmp_path / "student.pt").write_bytes(b"mine")
    assert handed.refusal(options(tmp_path, images="")).startswith(f"{tmp_path / 'student.pt'} is there already")


def test_a_run_goes_on_only_as_it_began(tmp_path):
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"1")
    assert handed.run_file(options(tmp_path, weights=str(weights)), ".run") == tmp_path / "student.pt.run"
    handed.run_file(options(tmp_path, weights=str(weights), workers=0), ".run")
    with pytest.raises(ValueError, match="size 32 there, 64 here"):
        handed.run_file(options(tmp_path, weights=str(weights), size=64), ".run")
    weights.write_bytes(b"2")
    with pytest.raises(ValueError, match="fingerprint of weights"):
        handed.run_file(options(tmp_path, weights=str(weights)), ".run")


def test_the_file_that_a_student_starts_from_counts_by_its_contents(tmp_path):
    file = tmp_path / "student_weights.pt"
    file.write_bytes(b"1")
    given = options(tmp_path, student_weights=str(file))
    handed.run_file(given, ".run")
    file.write_bytes(b"2")
    with pytest.raises(ValueError, match="fingerprint of student_weights"):
        handed.run_file(given, ".run")


def test_a_student_is_saved_with_its_inputs_and_never_over_another(tmp_path):
    data = handed.open_images(fill(tmp_path / "pictures"), INPUTS)
    given = options(tmp_path)
    handed.run_file(given, ".run").write_bytes(b"1")
    handed.save_student(nn.Linear(2, 2), data, given, {"student": 0.5})
    assert not list(tmp_path.glob("student.pt.*"))
    held = torch.load(tmp_path / "student.pt", weights_only=True)
    assert held["inputs"] == INPUTS
    assert (held["classes"], held["right"], held["options"]["size"]) == (["cat", "dog"], {"student": 0.5}, 32)
    with pytest.raises(FileExistsError, match="must not be there yet"):
        handed.save_student(nn.Linear(2, 2), data, given, {})


class Knows(nn.Module):
    """A teacher of the two colours above, with so many outputs."""

    def __init__(self, outputs=2, swapped=False):
        super().__init__()
        self.outputs, self.swapped = outputs, swapped

    def forward(self, images):
        second = (images[:, 0].mean((1, 2)) > 0) ^ self.swapped
        return 9.0 * nn.functional.one_hot(second.long(), self.outputs)


def test_what_is_found_of_a_pair_is_told_in_any_case(tmp_path, capsys):
    data, student = handed.open_images(fill(tmp_path), INPUTS), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    handed.check_teacher(Knows(), student, data)
    said = capsys.readouterr().out
    assert "As it is, the teacher is right on 100%" in said
    assert "as augmented, it is right on 100%" in said
    with pytest.raises(ValueError, match="--anyway"):
        handed.check_teacher(Knows(swapped=True), student, data)
    handed.check_teacher(Knows(swapped=True), student, data, anyway=True)
    with pytest.raises(ValueError, match=r"each of the 2 classes \(cat, dog\), got 5.*--new-head"):
        handed.check_teacher(Knows(5), student, data, anyway=True)


class Fussy(Knows):
    def forward(self, images):
        if images.shape[-1] != 16:
            raise AssertionError("Input height (8) doesn't match model (16)")
        return super().forward(images)


def test_a_teacher_that_refuses_the_size_is_told(tmp_path, capsys):
    data, student = handed.open_images(fill(tmp_path), INPUTS), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    with pytest.raises(ValueError, match=r"must take the images as prepared, \{'size': 8.*doesn't match model"):
        handed.check_teacher(Fussy(), student, data, anyway=True)
    assert "RESOLUTION: the teacher refuses the batch" in capsys.readouterr().out
