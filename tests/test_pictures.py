"""The pictures of the README, and the numbers beside them."""

import json
import re
from pathlib import Path

from PIL import Image

from course_lib.metrics import mean_interval, paired_interval
from tests.tools.pictures import __main__ as make

PICTURES = Path(make.__file__).parent


def test_the_animation_moves_and_is_small_enough():
    path = PICTURES / "temperature.gif"
    assert path.stat().st_size <= 2e6
    with Image.open(path) as animation:
        assert animation.n_frames > 30
        assert animation.width == make.WIDTH


def test_the_main_result_is_the_one_of_the_notebook(tmp_path):
    make.main_result_png(tmp_path / "made.png")
    assert (tmp_path / "made.png").read_bytes() == (PICTURES / "main_result.png").read_bytes()


def test_the_numbers_of_the_main_result_are_those_of_its_runs():
    ways = json.loads((PICTURES.parents[2] / "course_lib" / "assets" / "baselines.json").read_text("utf8"))["ways"]
    tests = {name: way["test"] for name, way in ways.items()}
    per_image = tests.pop("per image")
    rows = {f"| {mean_interval(runs)} % | {paired_interval(per_image, runs)} |" for runs in tests.values()}
    readme = (PICTURES.parents[2] / "README.md").read_text(encoding="utf8")
    found = set(re.findall(r"\| [\d.]+ ± [\d.]+ % \| .*\|", readme))
    assert found == rows | {f"| {mean_interval(per_image)} % |  |"}
    softness = paired_interval(tests["average per class"], tests["labels, tuned"])
    assert f"by {softness} points: five seeds cannot tell that from nothing" in readme
    assert softness.low < 0 < softness.high


def test_the_animation_is_made_by_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "FRAMES", 3)
    monkeypatch.setattr(make, "PAUSE", 1)
    make.temperature_gif(tmp_path / "made.gif")
    with Image.open(tmp_path / "made.gif") as animation:
        assert animation.n_frames == 6  # T at three values there and back, where it rests as one long frame
