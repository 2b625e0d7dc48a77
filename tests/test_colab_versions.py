"""The notebooks with the versions that Colab ships, each run twice in one kernel.

The old versions are laid over the environment of the tests: what they do not bring, torch above all, is used as it is.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from headless import execute

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PINS = {"ipywidgets": "7.7.1", "ipython": "7.34.0", "ipykernel": "6.17.1", "matplotlib": "3.10.0", "numpy": "2.1.3"}
THEIR_OWN = ["backcall", "decorator", "ipython_genutils", "nest_asyncio", "pickleshare"]  # which newer ones do without

REPORT = """
import json, sys
import IPython, ipykernel, ipywidgets, matplotlib, numpy
print(json.dumps({
    "versions": {module.__name__.lower(): module.__version__ for module in (IPython, ipykernel, ipywidgets, matplotlib, numpy)},
    "pyplot figures": len(sys.modules["matplotlib.pyplot"].get_fignums()) if "matplotlib.pyplot" in sys.modules else 0,
    "open widgets": len(ipywidgets.Widget.widgets),
}))
"""


@pytest.fixture(scope="module")
def old_versions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old_versions")
    wanted = [*(f"{name}=={version}" for name, version in PINS.items()), *THEIR_OWN]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *wanted]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("the versions of Colab cannot be installed: no package index within reach")
    return folder


def outputs(cells) -> list:
    """What each cell said, in words: text of streams and text equivalents of pictures. Not where times are measured.

    As one text a cell: what is printed in one go may arrive in two pieces.
    """
    return [
        "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ()))
        for cell in cells
        if "NBVAL_IGNORE_OUTPUT" not in cell.source and "nbval-ignore-output" not in cell.metadata.get("tags", ())
    ]


def run_twice(path: Path, environment: dict) -> tuple[list, list]:
    """The cells of a notebook, a report as the last of them, as they ran first and then again in the same kernel."""
    notebook = nbformat.read(path, as_version=4)
    cells = [*notebook.cells, nbformat.v4.new_code_cell(REPORT)]
    notebook.cells = [nbformat.from_dict(json.loads(json.dumps(cell))) for cell in cells * 2]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    execute(notebook, path.parent, environment, timeout=900)
    return notebook.cells[: len(cells)], notebook.cells[len(cells) :]


@pytest.fixture(scope="module")
def runs(old_versions):
    """path -> the future of its two runs. As many notebooks at a time as there are cores, each on one thread of torch's."""
    environment = {**os.environ, "PYTHONPATH": str(old_versions), "OMP_NUM_THREADS": "1"}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        largest_first = sorted(NOTEBOOKS, key=lambda path: path.stat().st_size, reverse=True)
        yield {path: pool.submit(run_twice, path, environment) for path in largest_first}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_twice_with_colabs_versions_to_the_same_numbers_and_without_a_leak(path, runs):
    first, second = runs[path].result()
    reports = [json.loads(part[-1].outputs[0].text) for part in (first, second)]
    assert reports[0]["versions"] == PINS
    assert reports[0] == reports[1]
    assert reports[0]["pyplot figures"] == 0
    assert reports[0]["open widgets"] > 0
    assert outputs(first[:-1]) == outputs(second[:-1])
