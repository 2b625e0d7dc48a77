"""The pictures of the README."""

from pathlib import Path

from PIL import Image

from notebooks.pictures import make

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


def test_the_animation_is_made_by_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "FRAMES", 3)
    monkeypatch.setattr(make, "PAUSE", 1)
    make.temperature_gif(tmp_path / "made.gif")
    with Image.open(tmp_path / "made.gif") as animation:
        assert animation.n_frames == 6  # T at three places there and back, where it rests as one long frame
