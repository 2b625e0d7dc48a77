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


def names_of() -> dict:
    """What the script defines."""
    names: dict = {"__name__": "distil"}
    exec(SOURCE, names)
    return names


def asked(folder, pictures, *more):
    """Arguments of a short run on pictures, with a teacher for ten classes."""
    if not (folder / "teacher.pt").exists():
        with seeded(0):
            torch.save(get_model("resnet18", num_classes=10).state_dict(), folder / "teacher.pt")
    given = ("--images", pictures, "--weights", folder / "teacher.pt", "--out", folder / "student.pt", "--device", "cpu")
    return [*map(str, given), "--size", "32", "--epochs", "1", "--workers", "0", *more]


def test_the_file_is_what_the_notebooks_cells_make_up():
    assert script_of(nbformat.read(NOTEBOOK, as_version=4)) == SOURCE
    assert len(SOURCE.splitlines()) <= 80
    ast.parse(SOURCE)


def test_a_change_of_a_cell_is_seen():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cell = next(cell for cell in notebook.cells if "def main" in cell.source)
    cell.source = cell.source.replace("T=o.T", "T=3")
    assert script_of(notebook) != SOURCE


def test_it_distils_resnet18_on_a_folder_of_pictures(tmp_path, pictures):
    arguments = asked(tmp_path, pictures)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run(tmp_path, *arguments, "--anyway", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "As it is, the teacher is right on" in done.stdout
    assert "epoch 1: loss" in done.stdout
    assert "right: teacher" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, SCRIPT.name, "student.pt"])
    student = torch.load(tmp_path / "student.pt", weights_only=True)
    assert len(list(student["weights"].values())[-1]) == len(student["classes"]) == 10
    assert student["inputs"]["size"] == 32

    written = (tmp_path / "student.pt").read_bytes()
    again = run(tmp_path, *arguments)
    assert again.returncode == 2
    assert "student.pt is there already" in again.stderr
    assert (tmp_path / "student.pt").read_bytes() == written


def test_what_is_wrong_ends_it_in_one_line(tmp_path):
    done = run(tmp_path, "--images", "nowhere")
    assert done.returncode == 1
    assert done.stderr == "Stopped: images must be a folder, got nowhere, which is not there\n"


def test_weights_that_nobody_would_read_are_told(tmp_path):
    done = run(tmp_path, "--weights", "resnet18.pt")
    assert done.returncode == 2
    assert "--weights goes with --images" in done.stderr


def test_without_pictures_it_takes_the_courses_sample(tmp_path):
    done = run(tmp_path, "--epochs", 1, "--out", "mine.pt", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "right: teacher 9" in done.stdout
    assert (tmp_path / "mine.pt").exists()


def test_a_head_for_other_classes_is_replaced_only_if_asked_for(tmp_path, pictures, capsys):
    torch.save(get_model("resnet18", num_classes=7).state_dict(), tmp_path / "teacher.pt")
    main = names_of()["main"]
    with pytest.raises(ValueError, match=r"each of the 10 classes \(class 0.*got 7.*--new-head"):
        main(asked(tmp_path, pictures, "--anyway"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["teacher.pt"]
    main(asked(tmp_path, pictures, "--anyway", "--new-head"))
    assert "The head is new" in capsys.readouterr().out
    kept = torch.load(tmp_path / "student.pt.teacher.pt", weights_only=True)
    theirs = torch.load(tmp_path / "teacher.pt", weights_only=True)
    assert [name for name in kept if not torch.equal(kept[name], theirs[name])] == ["fc.weight", "fc.bias"]


def test_another_file_of_weights_does_not_go_on_with_a_run(tmp_path, pictures):
    names = names_of()
    names["evaluate"] = lambda *_: 1 / 0  # it breaks off after the student has learned, or before
    with pytest.raises(ZeroDivisionError):
        names["main"](asked(tmp_path, pictures, "--alpha", "0"))
    assert (tmp_path / "student.pt.run").exists()
    torch.save(get_model("resnet18", num_classes=10).state_dict(), tmp_path / "teacher.pt")
    with pytest.raises(ValueError, match="fingerprint of weights"):
        names_of()["main"](asked(tmp_path, pictures, "--alpha", "0"))


def test_ctrl_c_keeps_what_is_done_and_the_same_call_goes_on(tmp_path, pictures):
    names = names_of()
    names["say"] = lambda history: True  # which ends fit as Ctrl-C does
    arguments = asked(tmp_path, pictures, "--alpha", "0", "--epochs", "2")
    with pytest.raises(SystemExit, match=r"Stopped after 1 epochs\. Call again"):
        names["main"](arguments)
    assert not (tmp_path / "student.pt").exists()
    names_of()["main"](arguments)
    assert (tmp_path / "student.pt").exists()
    assert not (tmp_path / "student.pt.run").exists()


def test_at_alpha_0_no_teacher_is_needed_and_a_student_may_be_named(tmp_path, pictures):
    given = ["--images", str(pictures), "--out", str(tmp_path / "student.pt"), "--alpha", "0", "--student", "resnet18"]
    names_of()["main"]([*given, "--size", "32", "--epochs", "1", "--workers", "0", "--device", "cpu"])
    assert "layer1.0.conv1.weight" in torch.load(tmp_path / "student.pt", weights_only=True)["weights"]


def test_a_student_may_start_from_a_file_at_a_rate_of_ones_own(tmp_path, pictures):
    with seeded(1):
        theirs = get_model("resnet18", num_classes=7).state_dict()
    torch.save(theirs, tmp_path / "theirs.pt")
    student = ["--student", "resnet18", "--student-weights", str(tmp_path / "theirs.pt"), "--lr", "0", "--alpha", "0"]
    names_of()["main"](asked(tmp_path, pictures, *student))
    saved = torch.load(tmp_path / "student.pt", weights_only=True)["weights"]
    moved = {name for name, value in theirs.items() if saved[name].shape != value.shape or not torch.equal(saved[name], value)}
    assert {name for name in moved if "running" not in name and "tracked" not in name} == {"fc.weight", "fc.bias"}


def test_the_scripts_own_student_may_start_from_one_that_it_saved(tmp_path, pictures):
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    names_of()["main"](asked(first, pictures, "--alpha", "0"))
    names_of()["main"](asked(second, pictures, "--alpha", "0", "--lr", "0", "--student-weights", str(first / "student.pt")))
    one, other = (torch.load(folder / "student.pt", weights_only=True)["weights"] for folder in (first, second))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
