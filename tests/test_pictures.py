"""The pictures of the README, and the numbers beside them."""

import re
from pathlib import Path

import nbformat
from PIL import Image

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


def test_the_numbers_of_the_main_result_are_those_of_the_notebook():
    cells = nbformat.read(PICTURES.parents[2] / "notebooks" / "01_dark_knowledge.ipynb", as_version=4).cells
    printed = "".join(out.text for cell in cells for out in cell.get("outputs", ()) if out.output_type == "stream")
    labels, distilled = re.search(r"^labels (.+) %, distilled (.+) %, gain", printed, re.MULTILINE).groups()
    best = re.search(r"as the test set sees it: (.+) %", printed)[1]
    readme = (PICTURES.parents[2] / "README.md").read_text(encoding="utf8")
    rows = re.findall(r"^\| student, .+ \| (.+) % \|$", readme, re.MULTILINE)
    assert rows == [labels, best, distilled]
    assert f"on labels, {labels} %, and five distilled, {distilled} %]" in readme


def test_the_animation_is_made_by_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "FRAMES", 3)
    monkeypatch.setattr(make, "PAUSE", 1)
    make.temperature_gif(tmp_path / "made.gif")
    with Image.open(tmp_path / "made.gif") as animation:
        assert animation.n_frames == 6  # T at three values there and back, where it rests as one long frame
