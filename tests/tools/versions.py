"""Make an environment with certain versions, and run tests in it.

    python -m tests.tools.versions newest     the newest of everything, all tests, the play of Colab among them
    python -m tests.tools.versions floors     the oldest that requirements.txt and pyproject.toml allow, on Python 3.10
    python -m tests.tools.versions colab      what Colab ships today, on Python 3.13: its test only

The environment is made in a temporary folder, or in the one named with --folder, which is used again if it is there. Another
Python is chosen with --python; what follows `--` goes to pytest. Needs a package index and some 6 GB of disk.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PINS = {"ipywidgets": "7.7.1", "ipython": "7.34.0", "ipykernel": "6.17.1", "matplotlib": "3.10.0", "numpy": "2.1.3"}
COLAB = {"torch": "2.11.0", "torchvision": "0.26.0", "notebook": "6.5.7", **PINS}
# Ruff reads no version of anything; a browser shows the same page whatever is below it.
FOR_STYLE = ("ruff",)


def asked() -> list[str]:
    """Return what a learner and the tests need, as requirements: name>=floor."""
    learner = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf8").splitlines()]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]["optional-dependencies"]
    wanted = [each for each in learner if each and not each.startswith("-")]
    wanted += [each for extra in extras.values() for each in extra if not each.startswith(("course-lib", *FOR_STYLE))]
    return list(dict.fromkeys(wanted))


def requirements(which: str) -> list[str]:
    if which == "floors":
        return [re.sub(r">=", "==", each, count=1) for each in asked()]
    if which == "colab":
        return [f"{name}=={version}" for name, version in COLAB.items()] + ["pytest", "nbval", "hypothesis", "pytest-cov"]
    return asked()


def tests(which: str) -> list[str]:
    if which == "colab":
        return ["tests/test_colab.py"]
    if which == "newest":
        return ["tests", "tests/test_colab.py"]
    # The oldest ipywidgets is there for Colab, whose versions have a test of their own: JupyterLab 4 shows none before 7.8.
    return ["tests", "--ignore", "tests/browser"]


def python_of(which: str) -> str:
    wanted = {"floors": "python3.10", "colab": "python3.13"}.get(which)
    found = shutil.which(wanted) if wanted else sys.executable
    # pyenv leaves a command of that name for a version that it has but does not run.
    if found is None or subprocess.run([found, "-c", ""], capture_output=True).returncode:
        raise SystemExit(f"there is no {wanted} here; name another with --python")
    return found


def make(folder: Path, python: str, wanted: list[str]) -> str:
    """Make an environment in `folder` and return its interpreter, with the course and what is wanted installed."""
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not inside.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
    subprocess.run([inside, "-m", "pip", "install", "--quiet", *wanted], check=True)
    subprocess.run([inside, "-m", "pip", "install", "--quiet", "--no-deps", "-e", ROOT], check=True)
    return str(inside)


def main() -> int:
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    ours, theirs = sys.argv[1:end], sys.argv[end + 1 :]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=("newest", "floors", "colab"))
    parser.add_argument("--python", help="the interpreter")
    parser.add_argument("--folder", type=Path, help="where the environment is made and kept")
    options = parser.parse_args(ours)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "environment"
        inside = make(folder, options.python or python_of(options.which), requirements(options.which))
        subprocess.run([inside, "-m", "course_lib.doctor"])
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [inside, "-m", "pytest", "-q", *(theirs or tests(options.which))]
        return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
