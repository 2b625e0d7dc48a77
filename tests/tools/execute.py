"""Run notebooks from top to bottom and save them with their outputs: how every saved output came about.

    python -m tests.tools.execute [NOTEBOOK ...]        without names: every notebook of the course

A notebook that fails is left as it was. What belongs to a live kernel or to one machine is not saved: the state and
views of widgets (GitHub shows nothing of a notebook that has them), the version of Python, the times of execution.
"""

import argparse
import base64
import io
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from course_lib.live import strip_widgets

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def execute(path: Path) -> None:
    """Run one notebook in a kernel of this Python and save it in place."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}, coalesce_streams=True
    )
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1"})  # the last digits depend on the number of torch's threads
    strip_widgets(notebook)
    shrink_pictures(notebook)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


LARGE = 150_000  # bytes


def shrink_pictures(notebook) -> None:
    """Compress every saved PNG as far as it goes, without loss; a large one, of several stills, in 256 colours.

    Live figures are encoded for speed, files are kept.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            png = output.get("data", {}).get("image/png")
            if png:
                image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
                small = _as_png(image)
                if len(small) > LARGE:
                    small = _as_png(image.quantize(256, dither=Image.Dither.NONE))
                output.data["image/png"] = base64.b64encode(small).decode()


def _as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    failed = False
    for path in parser.parse_args().notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        started = time.perf_counter()
        try:
            execute(path)
        except CellExecutionError as error:
            failed = True
            print(f"{path.name} failed and was left as it was.\n{error}", file=sys.stderr)
        else:
            print(f"{path.name}: {time.perf_counter() - started:.0f} s, {path.stat().st_size / 1e3:.0f} kB")
    sys.exit(failed)
