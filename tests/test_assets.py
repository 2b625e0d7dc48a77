"""The commands that made what ships with the course; what they make is tested in test_data.py and test_models.py."""

import json
import runpy
import statistics
from pathlib import Path

import pytest

from course_lib.data import DataError
from tests.tools import compare_baselines, train_teacher

BASELINES = json.loads((Path(train_teacher.__file__).parents[2] / "course_lib/assets/baselines.json").read_text())


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
