"""Make the pictures of the README anew, from the figures of the course.

    python -m tests.tools.pictures

temperature.gif: the first live figure of notebook 02 while its slider moves, drawn by LiveFigure itself.
main_result.png: the main result of notebook 01, taken from the notebook as it is saved.
"""

import base64
import io
import math
from pathlib import Path

import nbformat
from PIL import Image

from course_lib.data import CLASSES, fashion_mnist, to_pixels
from course_lib.figures import temperature
from course_lib.live import LiveFigure
from course_lib.loops import predict
from course_lib.losses import soft_targets
from course_lib.metrics import entropy_bits
from course_lib.models import pretrained_teacher

HERE = Path(__file__).parent
FRAMES, PAUSE, MILLISECONDS = 48, 8, 60
WIDTH = 860


def temperature_gif(path: Path) -> None:
    """T from 1/8 to 128 and back, the image changed at each end."""
    images, labels = fashion_mnist()[1].tensors
    v = predict(pretrained_teacher(), images)
    shown = entropy_bits(soft_targets(v, T=1)).argsort(descending=True)[:600:25].flip(0)
    figure, update = temperature.live_mass(to_pixels(images[shown])[:, 0], v[shown], CLASSES, labels[shown], 1 / 8, 128)
    live = LiveFigure(figure, update, picture=(0, len(shown) - 1), T=(1 / 8, 128.0, 1e-6))
    up = [2 ** (-3 + 10 * (1 - math.cos(math.pi * k / (FRAMES - 1))) / 2) for k in range(FRAMES)]
    frames = []
    for picture, way in ((16, up), (20, up[::-1])):
        for T in [way[0]] * PAUSE + way:
            live.set(T=T, picture=picture)
            frames.append(_small(live.png()))
    palette = frames[FRAMES // 2].quantize(128)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0, optimize=True)


def main_result_png(path: Path) -> None:
    cells = nbformat.read(HERE.parents[2] / "notebooks" / "01_dark_knowledge.ipynb", as_version=4).cells
    cell = next(cell for cell in cells if "experiments.plot_ways(" in cell.source)
    (png,) = (output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {}))
    path.write_bytes(base64.b64decode(png))


def _small(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    for make, name in ((temperature_gif, "temperature.gif"), (main_result_png, "main_result.png")):
        make(HERE / name)
        print(f"{name}: {(HERE / name).stat().st_size / 1e6:.2f} MB")
