"""The commands that made what ships with the course; what they make is tested in test_data.py and test_models.py."""

import runpy

import pytest

from course_lib.data import DataError
from tests.tools import train_teacher


def test_without_data_no_empty_files_stand_in_the_way_of_the_next_training(tmp_path, monkeypatch):
    nowhere, files = tmp_path / "nowhere", [tmp_path / "teacher.npz", tmp_path / "teacher.log"]
    command = ["train_teacher", "--out", files[0], "--log", files[1], "--full", nowhere]
    monkeypatch.setattr("sys.argv", [str(word) for word in command])
    with pytest.raises(DataError):
        runpy.run_path(train_teacher.__file__, run_name="__main__")
    assert not any(file.exists() for file in files)
