"""The commands that made what ships with the course; what they make is tested in test_data.py and test_models.py."""

import json
import runpy
import statistics
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from course_lib.basics import seeded
from course_lib.data import DataError, FashionMNIST, fashion_mnist, take_rows
from course_lib.loops import predict
from course_lib.metrics import mean_interval, paired_interval
from course_lib.models import new_student, pretrained_teacher
from course_lib.objectives import Distillation, Features
from tests.tools import (
    compare_baselines,
    compare_driving,
    compare_features,
    compare_full,
    compare_letters,
    compare_own_words,
    compare_production,
    recording,
    train_teacher,
)

ASSETS = Path(train_teacher.__file__).parents[2] / "course_lib/assets"
NAMES = ("baselines", "driving", "features", "full", "letters", "own_words", "production")
BASELINES, DRIVING, FEATURES, FULL, LETTERS, OWN_WORDS, PRODUCTION = (
    json.loads((ASSETS / f"{name}.json").read_text("utf8")) for name in NAMES
)


def test_without_data_no_empty_files_stand_in_the_way_of_the_next_training(tmp_path, monkeypatch):
    nowhere, files = tmp_path / "nowhere", [tmp_path / "teacher.npz", tmp_path / "teacher.log"]
    command = ["train_teacher", "--out", files[0], "--log", files[1], "--full", nowhere]
    monkeypatch.setattr("sys.argv", [str(word) for word in command])
    with pytest.raises(DataError):
        runpy.run_path(train_teacher.__file__, run_name="__main__")
    assert not any(file.exists() for file in files)


def test_the_comparison_tried_what_its_command_tries_and_chose_the_best():
    assert list(BASELINES["ways"]) == list(compare_baselines.ways())
    for name, (_, choices) in compare_baselines.ways().items():
        way = BASELINES["ways"][name]
        tried = {tuple(sorted((key, each[key]) for key in each if key != "validation")): each for each in way["tried"]}
        if len(choices) == 1:
            assert (way["chosen"], way["tried"]) == (choices[0], [])
            continue
        assert set(tried) == {tuple(sorted(each.items())) for each in choices}
        best = max(tried.values(), key=lambda each: statistics.mean(each["validation"]))
        assert way["chosen"] == {key: value for key, value in best.items() if key != "validation"}
        assert all(len(each["validation"]) == len(BASELINES["tuning_seeds"]) for each in tried.values())


def test_the_comparison_names_its_seeds_and_has_a_run_for_each():
    assert BASELINES["seeds"] == list(range(5))
    assert not set(BASELINES["seeds"]) & set(BASELINES["tuning_seeds"])
    assert BASELINES["tuning_seeds"] == list(compare_baselines.TUNING_SEEDS)
    settings = (compare_baselines.BATCH_SIZE, compare_baselines.T, compare_baselines.ALPHA)
    assert (BASELINES["batch_size"], BASELINES["T"], BASELINES["alpha"]) == settings
    for way in BASELINES["ways"].values():
        assert len(way["test"]) == len(BASELINES["seeds"])
        assert all(0 <= accuracy <= 100 for accuracy in way["test"])


def test_the_drives_are_those_of_their_command():
    assert list(DRIVING["students"]) == list(compare_driving.WAYS)
    assert tuple(DRIVING["lengths"]) == compare_driving.LENGTHS
    assert (DRIVING["roads"], DRIVING["chance"]) == (compare_driving.ROADS, compare_driving.CHANCE)
    for runs in DRIVING["students"].values():
        assert len(runs) == len(DRIVING["seeds"]) == 5
        assert all(len(run["off the road"]) == len(DRIVING["lengths"]) for run in runs)


def test_the_teachers_own_drive_comes_out_again():
    found = compare_driving.measure(compare_driving.SteeringTeacher())
    assert found["off the road"] == pytest.approx(DRIVING["teacher"]["off the road"], rel=0.02)
    assert found["loss"] == 0


def test_the_students_of_names_are_those_of_their_command():
    assert list(OWN_WORDS["students"]) == ["labels", "distilled", *compare_own_words.ways()]
    for runs in OWN_WORDS["students"].values():
        assert len(runs) == len(OWN_WORDS["seeds"]) == 5
        assert all(len(run["names"]) == compare_own_words.SHOWN for run in runs)
        assert all(0 < run["accepted"] < 100 for run in runs)


def test_the_commands_train_and_measure(monkeypatch):
    """Each made so short that it only shows that it runs."""
    monkeypatch.setattr(compare_driving, "STEPS", 2)
    monkeypatch.setattr(compare_driving, "ROADS", 4)
    found = compare_driving.compare(1, lambda line: None)
    assert found.keys() == DRIVING.keys()
    for name, small in {
        "EPOCHS": 1,
        "NAMES": 64,
        "MORE_NAMES": 64,
        "MEASURED": 20,
        "BETAS": (0.0, 1.0),
        "OWN_BETAS": (1.0,),
    }.items():
        monkeypatch.setattr(compare_own_words, name, small)
    found = compare_own_words.compare(1, lambda line: None)
    assert found.keys() == OWN_WORDS.keys()
    assert found["students"]["own names, beta 1"][0].keys() == OWN_WORDS["students"]["labels"][0].keys()


def test_the_students_by_length_and_width_are_those_of_their_command(monkeypatch):
    assert list(PRODUCTION["students"]) == list(compare_production.RUNS)
    for by_kind in PRODUCTION["students"].values():
        assert list(by_kind) == ["labels", "distilled"]
        assert all(len(runs) == len(PRODUCTION["seeds"]) == 5 for runs in by_kind.values())
    monkeypatch.setattr(compare_production, "RUNS", {"short": (2, 1)})
    (runs,) = {len(each) for each in compare_production.compare(1, lambda line: None)["students"]["short"].values()}
    assert runs == 1


def test_what_is_measured_of_a_student_by_hand():
    """Right on 3 of 4, sure of 0.9 each time; T is chosen on rows 0 and 2, both right: the coldest; judged on 1 and 3."""
    labels, logits = torch.tensor([0, 0, 1, 1]), torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]).log()
    found = compare_production.measure(logits, logits, labels)
    assert (found["right"], found["as the teacher"]) == (75, 100)
    assert found["ECE"] == pytest.approx(40, abs=1e-3)  # half of them right
    assert compare_production.own_T(logits, labels) == 0.5
    assert found["ECE at its own T"] == pytest.approx(100 * (81 / 82 - 0.5), abs=1e-3)


# ---- features ----


def test_the_weights_of_features_were_chosen_by_their_command():
    assert list(FEATURES["recipes"]) == list(compare_features.RECIPES)
    assert (FEATURES["T"], FEATURES["alpha"], FEATURES["layers"]) == (
        compare_features.T,
        compare_features.ALPHA,
        compare_features.LAYERS,
    )
    assert (FEATURES["seeds"], FEATURES["tuning_seeds"]) == ([*range(5)], list(compare_features.TUNING_SEEDS))
    for name, recipe in compare_features.RECIPES.items():
        found = FEATURES["recipes"][name]
        assert {key: value for key, value in found.items() if key != "ways"} == recipe._asdict()
        assert list(found["ways"]) == ["labels", "logits", *compare_features.WEIGHTS]
        for loss, way in found["ways"].items():
            assert len(way["test"]) == len(FEATURES["seeds"])
            assert [each["weight"] for each in way["tried"]] == list(compare_features.WEIGHTS.get(loss, ()))
            best = max(way["tried"], key=lambda each: statistics.mean(each["validation"]), default={"weight": 0})
            assert way["chosen"] == best["weight"]


def test_the_readme_says_what_features_added():
    readme = (ASSETS / "README.md").read_text("utf8")
    names = dict.fromkeys(compare_features.WEIGHTS) | {"for comparison: labels alone": "labels"}
    for row, name in names.items():
        ways = [recipe["ways"] for recipe in FEATURES["recipes"].values()]
        gaps = [paired_interval(way[name or row]["test"], way["logits"]["test"]) for way in ways]
        assert f"| {row} | {' | '.join(map(str, gaps))} |".replace("-", "−") in readme
        if row in compare_features.WEIGHTS:
            assert all(gap.mean < 0 < gap.high for gap in gaps)


def test_features_that_were_saved_teach_as_those_of_the_teacher_that_runs():
    data, student = take_rows(fashion_mnist().train, slice(8)), new_student()
    saved = compare_features.with_features(data)
    batch = list(take_rows(saved, slice(2, 8)).tensors)
    for loss in compare_features.WEIGHTS:
        ours = compare_features.WithSavedFeatures(student, saved[:2], loss, 0.7)
        teacher = pretrained_teacher()
        base = Distillation(teacher, T=compare_features.T, alpha=compare_features.ALPHA)
        live = Features(teacher, student, batch[0][:2], compare_features.LAYERS, loss=loss, weight=0.7, base=base)
        torch.testing.assert_close(ours(student, batch, 0.0).total, live(student, batch[:2], 0.0).total)
        assert len(ours.parameters()) == len(live.parameters())


def test_the_comparison_of_features_runs(monkeypatch):
    train, test = fashion_mnist()
    monkeypatch.setattr(compare_features, "fashion_mnist", lambda: (take_rows(train, slice(1040)), take_rows(test, slice(40))))
    monkeypatch.setattr(compare_features, "RECIPES", {"few": compare_features.Recipe(20, 1, 10, 1e-2)})
    monkeypatch.setattr(compare_features, "WEIGHTS", {"mse": (0.1, 1.0), "relations": (1.0,)})
    found = compare_features.compare(2, lambda line: None)
    assert found.keys() == FEATURES.keys()
    assert found["recipes"]["few"].keys() == FEATURES["recipes"]["300 images"].keys()
    ways = found["recipes"]["few"]["ways"]
    assert [len(way["tried"]) for way in ways.values()] == [0, 0, 2, 1]
    assert ways["mse"].keys() == FEATURES["recipes"]["300 images"]["ways"]["mse"].keys()


# ---- all 60,000 images ----


def test_the_full_comparison_tried_what_its_command_tries_and_chose_the_best():
    assert sorted(map(int, FULL["widths"])) == sorted(compare_full.WIDTHS)
    assert (FULL["views"], FULL["alpha"]) == (len(compare_full.VIEWS), compare_full.ALPHA)
    assert not set(FULL["seeds"]) & set(FULL["tuning_seeds"])
    for width in FULL["widths"].values():
        assert {way: len(choices) for way, choices in compare_full.SETTINGS.items()} == {"labels": 4, "distilled": 4}
        for way, choices in compare_full.SETTINGS.items():
            found = width["ways"][way]
            assert [{key: each[key] for key in each if key != "validation"} for each in found["tried"]] == choices
            best = max(found["tried"], key=lambda each: each["validation"])
            assert found["chosen"] == {key: value for key, value in best.items() if key != "validation"}
            assert len(found["test"]) == len(FULL["seeds"]) == 3


def test_the_readme_says_what_a_teacher_is_worth_where_nothing_is_short():
    readme = (ASSETS / "README.md").read_text("utf8")
    for name, width in FULL["widths"].items():
        runs = [width["ways"][way]["test"] for way in ("labels", "distilled")]
        cells = [name, f"{width['parameters']:,}", *map(mean_interval, runs), paired_interval(*reversed(runs))]
        assert f"| {' | '.join(map(str, cells))} |".replace("-", "−") in readme


def test_a_view_is_flipped_and_moved_by_a_pixel():
    images = torch.arange(2 * 784.0).view(2, 1, 28, 28)
    seen = dict(zip(compare_full.VIEWS, map(partial(compare_full.seen_as, images), range(10)), strict=True))
    assert torch.equal(seen[False, (0, 0)], images)
    assert torch.equal(seen[True, (0, 0)], images.flip(-1))
    assert torch.equal(seen[False, (1, 0)][..., :-1, :], images[..., 1:, :])
    assert torch.equal(seen[True, (0, -1)][..., 1:], images.flip(-1)[..., :-1])
    assert (seen[False, (0, 1)][..., -1] == compare_full.BLACK).all()


def test_each_view_brings_the_teachers_logits_for_it():
    images, labels = (column[:40] for column in fashion_mnist().train.tensors)
    teacher_logits = torch.stack([predict(pretrained_teacher(), compare_full.seen_as(images, k)) for k in range(10)])
    with seeded(0):
        shown, given, logits = compare_full.Views(images, labels, teacher_logits.numpy())[[3, 30, 3, 7, 3]]
    assert torch.equal(given, labels[[3, 30, 3, 7, 3]])
    torch.testing.assert_close(logits, predict(pretrained_teacher(), shown), atol=1e-4, rtol=1e-4)
    assert not torch.equal(shown[0], shown[2]) or not torch.equal(shown[0], shown[4])


def test_the_full_comparison_runs(tmp_path, monkeypatch):
    train, test = fashion_mnist()
    few = take_rows(train, slice(320)), take_rows(test, slice(40))
    monkeypatch.setattr(compare_full, "fashion_mnist", lambda size: FashionMNIST(*few))
    monkeypatch.setattr(compare_full, "HELD_OUT", 64)
    np.save(tmp_path / "logits.npy", np.stack([compare_full.ask_teacher(view) for view in range(len(compare_full.VIEWS))]))
    threads = torch.get_num_threads()
    try:
        found = compare_full.compare_width(4, tmp_path / "logits.npy", seeds=2, epochs=1, tuning=1)
    finally:
        torch.set_num_threads(threads)
    assert found.keys() == FULL["widths"]["4"].keys()
    assert [len(way["test"]) for way in found["ways"].values()] == [2, 2]


# ---- letters ----


def test_the_students_of_letters_were_told_in_the_ways_of_their_command():
    assert list(LETTERS["ways"]) == list(compare_letters.runs(0, steps=2))
    assert LETTERS["seeds"] == list(range(5))
    for way in LETTERS["ways"].values():
        assert set(way) == set(LETTERS["teacher"]) == {"bits", "kl_per_name", "outside"}
        assert all(len(values) == len(LETTERS["seeds"]) and min(values) > 0 for values in way.values())
        assert min(way["bits"]) > LETTERS["teacher"]["bits"]
    settings = compare_letters.BATCH_SIZE, compare_letters.LR, compare_letters.FEW, compare_letters.KEPT
    assert (LETTERS["batch_size"], LETTERS["lr"], LETTERS["few"], LETTERS["kept"]) == settings
    assert 2 * LETTERS["many"] == LETTERS["steps"] * LETTERS["batch_size"]


def three_positions():
    logits = torch.tensor([[[0.5, 0.25, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]]]).log()
    return TensorDataset(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 2, 0]]), logits + 5)


def test_what_is_kept_of_a_teachers_row():
    _, _, values, symbols, rest = compare_letters.keep_largest(three_positions(), 2).tensors
    assert symbols[0, :2].tolist() == [[0, 1], [3, 2]]
    assert values.exp()[0, :2].tolist() == [pytest.approx([0.5, 0.25]), pytest.approx([0.4, 0.3])]
    assert rest.exp()[0].tolist() == pytest.approx([0.25, 0.3, 0.5])
    drawn = compare_letters.keep_draws(three_positions(), 4000, seed=1).tensors[2].exp()
    assert torch.allclose(drawn, three_positions().tensors[2].softmax(-1), atol=0.03)
    shares = 4 * compare_letters.keep_draws(three_positions(), 4, seed=1).tensors[2].exp()
    assert torch.equal(shares, shares.round())
    assert shares.sum(-1).tolist() == [[4, 4, 4]]


def test_the_objectives_for_what_is_kept_are_right_and_count_no_padding():
    inputs, labels, logits = three_positions().tensors
    labels = torch.tensor([[1, 2, -100]])
    student = torch.nn.Embedding(4, 4)  # a table: symbol -> logits
    kept = compare_letters.keep_largest(TensorDataset(inputs, labels, logits), 2)
    p, q = logits.softmax(-1)[0, :2], student(inputs).softmax(-1)[0, :2].detach()
    top = p.topk(2).indices
    p, q = ([*each.gather(-1, top).T, 1 - each.gather(-1, top).sum(-1)] for each in (p, q))
    whole = sum(a * (a / b).log() for a, b in zip(p, q, strict=True)).mean()
    assert compare_letters.kept_largest("bucket")(student, kept.tensors, 0.0).item() == pytest.approx(whole.item(), rel=1e-4)
    p = [each / (p[0] + p[1]) for each in p[:2]]
    cut = sum(a * (a / b).log() for a, b in zip(p, q, strict=False)).mean()
    assert compare_letters.kept_largest("renormalise")(student, kept.tensors, 0.0).item() == pytest.approx(cut.item(), rel=1e-4)


def test_what_is_recorded_goes_to_a_new_file(tmp_path, monkeypatch):
    out = tmp_path / "found.json"
    monkeypatch.setattr("sys.argv", ["compare", "--out", str(out), "--steps", "3"])
    threads = torch.get_num_threads()
    try:
        recording.record("a comparison", lambda seeds, steps, log: {"asked": [seeds, steps]}, steps=7)
        assert json.loads(out.read_text()) == {"asked": [5, 3]}
        assert torch.get_num_threads() == 1
        with pytest.raises(FileExistsError, match=r"found\.json is there already"):
            recording.record("a comparison", lambda **options: pytest.fail("it computes"), steps=7)
    finally:
        torch.set_num_threads(threads)
