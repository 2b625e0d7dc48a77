"""A play of Colab: its versions, its module, an empty folder with one notebook in it, and the course only in git.

Every notebook is run, and after its end once more from the set-up cell to the first live figure; every starter is run once.
pytest runs this file only where it is named. The course that they install is this repository as it was last committed, since
pip is told to find the public address here. Torch, and
what else Colab ships that is not named below, is the one of the tests' own environment; tests/tools/versions.py makes one that
has Colab's torch as well.
"""

import copy
import json
import os
import shutil
import subprocess
import sysconfig
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from headless import execute

from tests.live_cells import cells_of_figures
from tests.tools.address import address
from tests.tools.versions import PINS

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STARTERS = sorted((ROOT / "exercises").glob("*.ipynb"))
THEIR_OWN = ["backcall", "decorator", "ipython_genutils", "nest_asyncio", "pickleshare"]  # which newer ones do without

REPORT = """
import json, sys
import course_lib, IPython, ipykernel, ipywidgets, matplotlib, numpy
print(json.dumps({
    "course_lib": course_lib.__file__,
    "versions": {module.__name__.lower(): module.__version__ for module in (IPython, ipykernel, ipywidgets, matplotlib, numpy)},
    "pyplot figures": len(sys.modules["matplotlib.pyplot"].get_fignums()) if "matplotlib.pyplot" in sys.modules else 0,
    "open widgets": len(ipywidgets.Widget.widgets),
}))
"""


class Colab:
    """A virtual environment with Colab's versions over those of the tests, without the course, and with `google.colab`."""

    def __init__(self, folder: Path):
        self.folder, self.counter = folder, 0
        venv.create(folder / "env", with_pip=True)
        base = {"base": str(folder / "env"), "platbase": str(folder / "env")}
        self.site, scripts = (Path(sysconfig.get_path(kind, vars=base)) for kind in ("purelib", "scripts"))
        self.python = scripts / "python"
        # A path in a .pth file is searched, but the .pth files in it are not read: so the course itself is not found there.
        (self.site / "of_the_tests.pth").write_text(f"{sysconfig.get_path('purelib')}\nimport google.colab\n")
        (self.site / "google" / "colab").mkdir(parents=True)
        (self.site / "google" / "colab" / "__init__.py").touch()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            # The public address leads here.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{ROOT}.insteadOf",
            "GIT_CONFIG_VALUE_0": address(),
        }
        wanted = [*(f"{name}=={version}" for name, version in PINS.items()), *THEIR_OWN]
        command = [self.python, "-m", "pip", "install", "--quiet", "--no-deps", *wanted]
        self.reachable = subprocess.run(command, env=self.environment, capture_output=True).returncode == 0

    def run(self, path: Path, again: Sequence[int] = ()) -> tuple[list, list]:
        """Return the cells of a notebook as they ran, and those numbered in `again` as they ran once more in the same kernel,
        with a report as the last of each.
        """
        notebook = nbformat.read(path, as_version=4)
        report, first = nbformat.v4.new_code_cell(REPORT), len(notebook.cells) + 1
        cells = [*notebook.cells, report, *(notebook.cells[number] for number in again), report]
        notebook.cells = [nbformat.from_dict({**copy.deepcopy(cell), "id": f"cell-{n}"}) for n, cell in enumerate(cells)]
        empty = self.folder / path.parent.name / path.stem
        empty.mkdir(parents=True)
        shutil.copy(path, empty)
        execute(notebook, empty, self.environment, timeout=900, python=self.python)
        assert [file.name for file in empty.iterdir()] == [path.name]
        return notebook.cells[:first], notebook.cells[first:]


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the course is installed from git, and there is no git repository here")
    made = Colab(tmp_path_factory.mktemp("colab"))
    if not made.reachable:
        pytest.skip("the versions of Colab cannot be installed: no package index within reach")
    return made


@pytest.fixture(scope="module")
def installed(colab):
    """The output of the first cell, run in an environment that lacks the course, and then once more."""
    cell = nbformat.v4.new_code_cell(next(c for c in nbformat.read(NOTEBOOKS[0], 4).cells if c.cell_type == "code").source)
    said = []
    for _ in range(2):
        notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell(REPORT)])
        execute(notebook, colab.folder, colab.environment, timeout=300, python=colab.python)
        said.append(notebook.cells)
    return said


@pytest.fixture(scope="module")
def runs(colab, installed, request):
    """path -> the future of its run, for the tests that were selected. As many notebooks at a time as there are cores, each
    on one thread of torch's.
    """
    ours = [item.callspec.params["path"] for item in request.session.items if "runs" in getattr(item, "fixturenames", ())]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        largest_first = sorted(ours, key=lambda path: path.stat().st_size, reverse=True)
        yield {path: pool.submit(colab.run, path, opening(path)) for path in largest_first}


def opening(path: Path) -> list[int]:
    """Return the numbers of the cells from the set-up to the first live figure; none of a starter."""
    return cells_of_figures(path, 1) if path in NOTEBOOKS else []


def outputs(cells) -> list:
    """Return what each cell said, in words: text of streams and text equivalents of pictures. Not where times are measured.

    As one text a cell: what is printed in one go may arrive in two pieces.
    """
    return [
        "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ()))
        for cell in cells
        if "times" not in cell.metadata.get("tags", ())
    ]


def test_the_first_cell_installs_the_course_once_and_quietly_and_nothing_else(colab, installed):
    first, second = installed
    report = json.loads(first[-1].outputs[0].text)
    assert Path(report["course_lib"]).is_relative_to(colab.site)
    assert report["versions"] == PINS
    assert len(outputs(first)[0].splitlines()) <= 1  # of IPython itself: that the kernel may need a restart
    assert outputs(second)[0] == ""
    assert json.loads(second[-1].outputs[0].text) == report


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_opening_once_more_to_the_same_numbers_and_without_a_leak(path, runs):
    first, again = runs[path].result()
    reports = [json.loads(part[-1].outputs[0].text) for part in (first, again)]
    assert reports[0]["versions"] == PINS
    assert reports[0] == reports[1]
    assert reports[0]["pyplot figures"] == 0
    assert reports[0]["open widgets"] > 0
    assert len(again) >= 4  # the set-up cell is one of them
    assert outputs([first[number] for number in opening(path)]) == outputs(again[:-1])


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.stem)
def test_a_starter_runs_and_stops_at_nothing_but_its_stubs(path, runs):
    cells, _ = runs[path].result()
    errors = [out for cell in cells for out in cell.get("outputs", ()) if out.output_type == "error"]
    assert any("Not answered yet" in "\n".join(error.traceback) for error in errors)
    assert all("not answered yet" in "\n".join(error.traceback).lower() for error in errors)
