"""notebooks/distil.py: it is what the cells of notebook 10 make up, and runs by itself in an empty folder."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from torchvision.models import get_model
from torchvision.utils import save_image

from course_lib.basics import seeded
from course_lib.dyed import dyed_fashion, to_rgb
from course_lib.loops import predict
from tests.tools.script import NOTEBOOK, SCRIPT, script_of

SOURCE = SCRIPT.read_text("utf8")


def run(folder, *arguments):
    (folder / SCRIPT.name).write_text(SOURCE, "utf8")
    command = [sys.executable, SCRIPT.name, *map(str, arguments)]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "pictures"
    images, labels = (column[:240] for column in dyed_fashion().train.tensors)
    for number, (image, label) in enumerate(zip(to_rgb(images), labels.tolist(), strict=True)):
        (folder / f"class {label}").mkdir(parents=True, exist_ok=True)
        save_image(image, folder / f"class {label}" / f"{number}.png")
    return folder


def names_of(notebook=NOTEBOOK) -> dict:
    """What the script defines, and the two loaders that the notebook shows beside it."""
    names: dict = {"__name__": "distil"}
    exec(SOURCE, names)
    cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells]
    (shown,) = [source for source in cells if source.startswith("def from_timm")]
    exec(shown[: shown.index("\nfile =")], names)
    return names


def test_the_file_is_what_the_notebooks_cells_make_up():
    assert script_of(nbformat.read(NOTEBOOK, as_version=4)) == SOURCE
    assert len(SOURCE.splitlines()) <= 80
    ast.parse(SOURCE)


def test_a_change_of_a_cell_is_seen():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cell = next(cell for cell in notebook.cells if "def main" in cell.source)
    cell.source = cell.source.replace("T=2", "T=3")
    assert script_of(notebook) != SOURCE


def test_it_distils_resnet18_on_a_folder_of_pictures(tmp_path, pictures):
    with seeded(0):
        torch.save(get_model("resnet18", num_classes=10).state_dict(), tmp_path / "teacher.pt")
    before = sorted(path.name for path in tmp_path.iterdir())
    arguments = ("--images", pictures, "--teacher", "resnet18", "--weights", "teacher.pt", "--device", "cpu")
    done = run(tmp_path, *arguments, "--size", 32, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    assert "right: teacher" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, SCRIPT.name, "student.pt"])
    student = torch.load(tmp_path / "student.pt", weights_only=True)
    assert len(list(student["weights"].values())[-1]) == len(student["classes"]) == 10

    written = (tmp_path / "student.pt").read_bytes()
    again = run(tmp_path, *arguments)
    assert again.returncode == 2
    assert "student.pt is there already" in again.stderr
    assert (tmp_path / "student.pt").read_bytes() == written


def test_without_pictures_it_takes_the_courses_sample(tmp_path):
    done = run(tmp_path, "--epochs", 1, "--out", "mine.pt")
    assert done.returncode == 0, done.stderr
    assert "right: teacher 9" in done.stdout
    assert (tmp_path / "mine.pt").exists()


def test_a_teacher_without_weights_learns_from_the_labels_first(tmp_path, pictures):
    names = names_of()
    told = []
    names["fit"] = lambda model, data, objective, real=names["fit"], **rest: (
        told.append(repr(objective)) or real(model, data, objective, **rest)
    )
    names["main"](["--images", str(pictures), "--size", "32", "--epochs", "1", "--out", str(tmp_path / "student.pt")])
    assert told[0] == "HardLabels()"
    assert told[1].startswith("Distillation(ResNet, T=2, alpha=0.9")


def test_a_mismatch_ends_it_before_the_student_learns_unless_told_otherwise(tmp_path, pictures):
    names = names_of()
    names["check_pair"] = lambda *pair: ["class order"]
    given = ["--images", str(pictures), "--size", "32", "--epochs", "1", "--out", str(tmp_path / "student.pt")]
    with pytest.raises(SystemExit, match="--anyway yes"):
        names["main"](given)
    assert not (tmp_path / "student.pt").exists()
    names["main"]([*given, "--anyway", "yes"])
    assert (tmp_path / "student.pt").exists()


def test_folders_of_splits_are_no_classes(tmp_path, pictures):
    (tmp_path / "train").symlink_to(pictures, target_is_directory=True)
    with pytest.raises(SystemExit, match="folders are the classes"):
        names_of()["main"](["--images", str(tmp_path), "--out", str(tmp_path / "student.pt")])


# ---- loading ----


def test_a_checkpoint_of_a_wrapped_model_is_unwrapped(tmp_path):
    with seeded(0):
        handed = get_model("resnet18", num_classes=3)
    wrapped = {f"module.{name}": value for name, value in handed.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "handed.pt")
    loaded, ready = names_of()["load_teacher"]("resnet18", tmp_path / "handed.pt", 3)
    assert ready
    assert all(torch.equal(value, handed.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_a_part_of_a_larger_model_is_not_its_weights(tmp_path):
    torch.save(get_model("resnet18", num_classes=3).state_dict(), tmp_path / "handed.pt")
    with pytest.raises(SystemExit, match="does not hold the weights of resnet34"):
        names_of()["load_teacher"]("resnet34", tmp_path / "handed.pt", 3)


def test_a_head_for_other_classes_is_new_and_the_body_stays(tmp_path):
    with seeded(0):
        handed = get_model("resnet18", num_classes=7)
    torch.save(handed.state_dict(), tmp_path / "handed.pt")
    load = names_of()["load_teacher"]
    same, ready = load("resnet18", tmp_path / "handed.pt", 7)
    assert ready
    assert all(torch.equal(value, handed.state_dict()[name]) for name, value in same.state_dict().items())
    other, ready = load("resnet18", tmp_path / "handed.pt", 10)
    assert not ready
    assert other.fc.out_features == 10
    assert torch.equal(other.layer4[1].conv2.weight, handed.layer4[1].conv2.weight)


def test_weights_of_another_model_are_told(tmp_path):
    torch.save(get_model("mobilenet_v3_small", num_classes=3).state_dict(), tmp_path / "handed.pt")
    with pytest.raises(SystemExit, match=r"handed.pt does not hold the weights of resnet18"):
        names_of()["load_teacher"]("resnet18", tmp_path / "handed.pt", 3)


def test_timm_loads_a_saved_file(tmp_path):
    timm = pytest.importorskip("timm")
    with seeded(0):
        model = timm.create_model("resnet10t", num_classes=3).eval()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    loaded = names_of()["from_timm"]("resnet10t", str(tmp_path / "model.pt"), 3)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(predict(loaded, images), predict(model, images))


def test_hugging_face_loads_a_saved_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )
    with seeded(0):
        model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    loaded = names_of()["from_hugging_face"](tmp_path)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(predict(loaded, images), predict(model, images))
