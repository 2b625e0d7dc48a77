"""Say what is wrong with this environment, and the one command that fixes it.

    python -m course_lib.doctor        prints what is installed and what is wrong; exit status 1 if something is

Needs nothing but Python's standard library to start, since what it looks for may be missing; versions are compared by
`packaging`, which comes with matplotlib.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "jupyterlab", "ipykernel")
OLDEST_PYTHON = (3, 10)
MEMORY = 1.5e9  # bytes that a notebook of the course may need at its peak, with some room
HERE = Path(__file__).parent
CGROUP = Path("/sys/fs/cgroup")


class Fault(NamedTuple):
    """Something that keeps the course from working: what it is, and the command that fixes it."""

    what: str
    fix: str


def check() -> None:
    """For the first cell of a notebook: print what is wrong and how to fix it, and nothing if all is well."""
    for fault in quick_faults():
        print(f"{fault.what}\n    To fix it: {fault.fix}")


def quick_faults() -> list[Fault]:
    """Return the faults that can be seen in a few milliseconds, in a notebook as well."""
    return [*python_too_old(), *packages_missing_or_old(), *torchvision_unfit(), *front_end_missing(), *memory_short()]


def all_faults() -> list[Fault]:
    """Return all faults: also whether the packages can be imported, the files are whole, and the folder can be written to."""
    faults = [*quick_faults(), *nothing_to_open_notebooks_with(), *folder_read_only()]
    # One after the other: a package that is missing can't be imported, and one that can't be imported reads no file.
    return faults or import_fails() or files_damaged()


def python_too_old(version: tuple = sys.version_info[:2]) -> list[Fault]:
    if version >= OLDEST_PYTHON:
        return []
    oldest = ".".join(map(str, OLDEST_PYTHON))
    newer = "py -3.12" if os.name == "nt" else "python3.12"
    what = f"Python {'.'.join(map(str, version))} is too old: the course needs {oldest} or newer."
    return [Fault(what, f"{newer} -m venv --clear .venv    (after installing Python 3.12, from python.org for example)")]


def packages_missing_or_old() -> list[Fault]:
    """Look for those that the course itself asks for, by the floors of its own metadata."""
    if not version_of("packaging"):
        return [Fault("packaging is missing, so versions can't be compared.", pip("packaging"))]
    from packaging.requirements import Requirement

    asked = metadata.requires("course-lib") if version_of("course-lib") else None
    if asked is None:
        return [Fault("The course is not installed as a package.", install_course())]
    return [fault for each in asked for fault in _unmet(Requirement(each), "the course")]


def torchvision_unfit() -> list[Fault]:
    """Compare the two: up to 0.28 a release of torchvision is built for one of torch, 0.19 for 2.4, 0.20 for 2.5, and so on.

    From 0.29 on it says in its own metadata what it runs with: torch 2.14 and newer.
    """
    torch, torchvision = (_numbers(version_of(name)) for name in ("torch", "torchvision"))
    if not (torch and torchvision) or torch[0] != 2:
        return []
    if torchvision >= (0, 29):
        return _unmet_of("torchvision", "torch")
    if torchvision[1] == torch[1] + 15:
        return []
    what = f"torchvision {version_of('torchvision')} was not built for torch {version_of('torch')}."
    return [Fault(what, pip(f"torchvision==0.{torch[1] + 15}.*" if torch < (2, 14) else "torchvision>=0.29"))]


def front_end_missing() -> list[Fault]:
    """ipywidgets is the half of a slider that runs in the kernel; the other half is a package of the page's."""
    if on_colab() or not (version_of("ipywidgets") and version_of("packaging") and version_of("jupyterlab")):
        return []
    unmet = _unmet_of("ipywidgets", "jupyterlab-widgets")
    halves = [version_of(name) for name in ("ipywidgets", "jupyterlab_widgets")]
    what = None
    if _numbers(halves[0]) < (7, 8) and _numbers(version_of("jupyterlab")) >= (4,):
        what = f"ipywidgets {halves[0]} is too old for JupyterLab {version_of('jupyterlab')}"
    elif (_numbers(halves[0]) >= (8,)) != (_numbers(halves[1]) >= (3,)):
        # ipywidgets 7 admits every newer page, but only 1 and 2 speak its language.
        what = f"jupyterlab_widgets {halves[1]} does not belong to ipywidgets {halves[0]}"
    if unmet or what is None:
        return unmet
    return [Fault(f"No slider would be shown: {what}.", pip("--upgrade", "ipywidgets", "jupyterlab_widgets"))]


def nothing_to_open_notebooks_with() -> list[Fault]:
    if on_colab() or version_of("jupyterlab") or version_of("notebook"):
        return []
    return [Fault("There is no JupyterLab to open the notebooks with.", pip("jupyterlab"))]


def memory_short(available: float | None = None) -> list[Fault]:
    available = available_memory() if available is None else available
    if available is None or available >= MEMORY:
        return []
    what = f"{available / 1e9:.1f} GB of memory are free; a notebook may need {MEMORY / 1e9:.1f} GB."
    return [Fault(what, "JupyterLab's menu Kernel, Shut Down All Kernels…: each keeps what it has loaded")]


def folder_read_only(folder: Path | None = None) -> list[Fault]:
    folder = folder or Path.cwd()
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            return []
    except OSError as error:
        home = Path.home() / "distillation-course"
        copy = f'xcopy /E /I "{folder}" "{home}"' if os.name == "nt" else f'cp -R "{folder}" "{home}"'
        return [Fault(f"Nothing can be written to {folder}, so no notebook can be saved there ({error.strerror}).", copy)]


def files_damaged() -> list[Fault]:
    """Read the sample of the data and the teacher's weights as the notebooks do."""
    import numpy as np

    from course_lib.fashion_files import SAMPLE_FOLDER, SAMPLE_SHA256, DataError, read_idx_file
    from course_lib.models import TEACHER_WEIGHTS

    damaged = []
    for name, sha256 in SAMPLE_SHA256.items():
        try:
            read_idx_file(SAMPLE_FOLDER, name, sha256)
        except DataError:
            damaged.append(name)
    try:
        with np.load(TEACHER_WEIGHTS, allow_pickle=False) as weights:
            for name in weights.files:
                weights[name]  # reading compares a checksum
    except Exception:  # numpy and zipfile raise many kinds
        damaged.append(TEACHER_WEIGHTS.name)
    if not damaged:
        return []
    restore = f'git -C "{HERE.parent}" checkout -- course_lib/assets'
    fix = restore if (HERE.parent / ".git").exists() else pip("--force-reinstall", "--no-deps", source())
    return [Fault(f"Files of the course are missing or damaged: {', '.join(damaged)}.", fix)]


def import_fails() -> list[Fault]:
    """Import everything in a process of its own, and in a folder of its own: in the course's it is found in any case."""
    code = "import torch, torchvision, numpy, matplotlib, ipywidgets, course_lib"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=sys.prefix)
    if done.returncode == 0:
        return []
    lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    if lines[-1] == "ModuleNotFoundError: No module named 'course_lib'":
        return [Fault("No notebook finds the course: it is not installed, or its folder was moved.", install_course())]
    exact = [f"{name}=={version_of(name)}" for name in ("torch", "torchvision") if version_of(name)]
    return [Fault(f"The packages are there, but can't be imported: {lines[-1]}", pip("--force-reinstall", *exact))]


# ---- what is there ----


def version_of(package: str) -> str | None:
    """Return the installed version, None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def on_colab() -> bool:
    return "google.colab" in sys.modules


def available_memory() -> int | None:
    """In bytes, as far as this process may have it; None where it can't be told."""
    found = []
    try:
        import psutil  # comes with ipykernel

        found.append(psutil.virtual_memory().available)
    except ImportError:
        pass
    limit, used = (_number_in(CGROUP / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:  # of a container
        # Files that were read stay in memory and count as used, but those not lately read make room when it is needed.
        kept = _number_in(CGROUP / "memory.stat", "inactive_file") or 0
        found.append(limit - max(0, used - kept))
    return min(found, default=None)


def source() -> str:
    """Return what pip installs the course from."""
    urls = metadata.metadata("course-lib").get_all("Project-URL") or [] if version_of("course-lib") else []
    return next(("git+" + url.partition(", ")[2] for url in urls if url.startswith("Repository, ")), "course-lib")


def install_course() -> str:
    where = HERE.parent if (HERE.parent / "pyproject.toml").exists() else "the folder of the course"
    return pip("-e", str(where))


def pip(*arguments: str) -> str:
    """Return the command that installs something into the environment that runs this."""
    return " ".join(["%pip" if on_colab() else f"{_program(sys.executable)} -m pip", "install", *map(_quoted, arguments)])


def _program(path: str, windows: bool = os.name == "nt") -> str:
    """Return how a shell starts a program. PowerShell takes a path in quotes for a text, unless there is an & before it."""
    if not windows:
        return f'"{path}"'
    return path if re.fullmatch(r"[\w\\:.-]+", path) else f'& "{path}"'


def _quoted(argument: str) -> str:
    return f'"{argument}"' if re.search(r"[^\w./+:@-]", argument) else argument


def _unmet(requirement, by: str) -> list[Fault]:
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return []
    version, asked = version_of(requirement.name), f"{requirement.name}{requirement.specifier}"
    if version is None:
        return [Fault(f"{requirement.name} is missing; {by} needs {asked}.", pip(asked))]
    if requirement.specifier.contains(version, prereleases=True):
        return []
    return [Fault(f"{requirement.name} {version} is installed; {by} needs {asked}.", pip(asked))]


def _unmet_of(package: str, other: str) -> list[Fault]:
    """What an installed package asks of another and does not get; nothing where that can't be compared."""
    if not version_of("packaging"):
        return []
    from packaging.requirements import Requirement

    asked = [Requirement(each) for each in metadata.requires(package) or ()]
    return [fault for each in asked if _plain(each.name) == other for fault in _unmet(each, package)]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version or "")[:2]))


def _number_in(path: Path, name: str = "") -> int | None:
    """The number that a file holds, or the one that follows a name in it."""
    try:
        words = path.read_text().split()
        return int(words[words.index(name) + 1 if name else 0])
    except (OSError, ValueError, IndexError):  # "max" where there is no limit
        return None


def main() -> int:
    print(f"Python {sys.version.split()[0]} in {sys.prefix}")
    for name in ("course-lib", *PACKAGES):
        print(f"  {name:<12} {version_of(name) or 'not installed'}")
    memory = available_memory()
    print(f"  {'memory':<12} {'unknown' if memory is None else f'{memory / 1e9:.1f} GB free'}")
    faults = all_faults()
    for number, fault in enumerate(faults, 1):
        print(f"\n{number}. {fault.what}\n   To fix it:\n   {fault.fix}")
    print("\nAll is well." if not faults else "\nThen run this again.")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
