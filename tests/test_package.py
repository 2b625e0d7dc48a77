"""The frame: what is promised of requirements, imports and the README's commands."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import commands

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
MODULES = sorted(module.relative_to(ROOT).as_posix() for module in (ROOT / "course_lib").rglob("*.py"))
# course_lib from low to high. A module imports from lower layers, and from its own layer what stands before it. A folder
# counts as one; inside of it any module may import any other, without a circle.
LAYERS = (
    ("losses", "loss_blocks", "vocabulary_losses", "schedules", "basics"),
    ("metrics", "history", "batches", "calling", "tapping", "fashion_files", "budget", "mixture"),
    ("calibration", "soft_gradients", "humps", "sweeps", "checkpoints", "features"),
    ("data", "models", "objectives", "driving", "dyed"),
    ("loops",),
    ("pairs", "language", "deploy", "handed"),
    ("checks",),
)
BESIDE = {  # what is in no layer, so that no layer imports it, and what of course_lib it may import
    "__init__": (),
    "assets": (),
    "live": (),
    "figures": ("losses", "schedules", "metrics", "calibration", "soft_gradients", "humps", "sweeps", "budget", "data", "live"),
    "doctor": ("fashion_files", "models"),
}
FORBIDDEN = {  # of a module, or of all those in a folder: what else it must not import
    "course_lib/losses.py": ("course_lib", "numpy", "torchvision", "matplotlib", "ipywidgets"),
    "course_lib/loss_blocks.py": ("numpy", "torchvision", "matplotlib", "ipywidgets"),
    "course_lib/schedules.py": ("course_lib", "torch", "numpy"),
    "course_lib/soft_gradients.py": ("matplotlib", "numpy"),
    "course_lib/humps.py": ("matplotlib",),
    "course_lib/live/": ("torch", "matplotlib.pyplot"),
    "course_lib/figures/": ("matplotlib.pyplot",),
    "": ("exercises", "tests"),
}
# What a module looks for above itself at run time, and is complete without: it makes no order and no circle.
DONE_WITHOUT = {"course_lib/losses.py": {"course_lib.loss_blocks.summed_in_blocks"}}


def floors_with_reasons():
    for line in (ROOT / "requirements.txt").read_text(encoding="utf8").splitlines():
        if line and not line.startswith("#"):
            requirement, _, reason = line.partition("#")
            yield requirement.strip(), reason.strip()


def test_requirements_are_floors_with_a_reason_each():
    for requirement, reason in floors_with_reasons():
        assert reason, requirement
        assert requirement == "-e ." or re.fullmatch(r"[a-z]+>=\d+(\.\d+)*", requirement)


def test_the_package_asks_for_the_same_floors():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    listed = {requirement for requirement, _ in floors_with_reasons()}
    assert set(project["dependencies"]) <= listed
    only_local = {requirement.partition(">=")[0] for requirement in listed - set(project["dependencies"])}
    assert only_local == {"jupyterlab", "isal", "-e ."}


def imports(module: str, source: str, top_level_only=False):
    """Yield the full name of all that a module imports: of `from a import b`, a.b, which may be a module itself."""
    tree = ast.parse(source)
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split("/")[: -node.level] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def wrong_imports(module: str, source: str) -> list[str]:
    forbidden = [bad for start, names in FORBIDDEN.items() if module.startswith(start) for bad in names]
    names = set(imports(module, source)) - DONE_WITHOUT.get(module, set())
    return [name for name in sorted(names) if any(f"{name}.".startswith(f"{bad}.") for bad in forbidden)]


def part(name: str) -> str:
    """Return the module or folder of course_lib that a full name is of: losses of course_lib.losses.soft_targets."""
    found = name.split(".")[1:2]
    return found[0] if found and ((ROOT / "course_lib" / found[0]).exists() or found[0] in listed()) else "__init__"


def listed() -> list[str]:
    return [*(name for layer in LAYERS for name in layer), *BESIDE]


def allowed(name: str) -> set[str]:
    """Return what a module or folder of course_lib may import of the others. LookupError if it is in no list."""
    if name in BESIDE:
        return set(BESIDE[name])
    order = listed()[: -len(BESIDE)]
    if name not in order:
        raise LookupError(
            f"course_lib/{name} is new: add it to LAYERS in tests/test_package.py, after all that it imports and before all "
            "that import it, or to BESIDE, with what it may import, if no layer may import it"
        )
    return set(order[: order.index(name)])


def imports_upwards(module: str, source: str) -> list[str]:
    """Return what a module imports of course_lib that is not below it."""
    own = part(module.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    names = set(imports(module, source)) - DONE_WITHOUT.get(module, set())
    ours = [name for name in sorted(names) if f"{name}.".startswith("course_lib.")]
    return [name for name in ours if part(name) not in allowed(own) | {own}]


def circle(sources: dict[str, str]) -> list[str]:
    """Return modules that import each other in a circle, or an empty list: module's path -> source."""
    paths = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in sources}

    def imported(path):
        names = set(imports(path, sources[path])) - DONE_WITHOUT.get(path, set())
        found = {paths.get(name) or paths.get(name.rpartition(".")[0]) for name in names}
        return found - {None}

    left = {path: imported(path) for path in sources}
    while free := [path for path, needs in left.items() if not needs & left.keys()]:
        for path in free:
            del left[path]
    return sorted(left)


def read(module: str) -> str:
    return (ROOT / module).read_text(encoding="utf8")


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    assert not imports_upwards(module, read(module))
    assert not wrong_imports(module, read(module))


def test_no_modules_import_each_other_in_a_circle():
    assert not circle({module: read(module) for module in MODULES})


def test_no_name_is_in_two_layers():
    assert len(set(listed())) == len(listed())
    assert all(set(below) <= set(listed()) for below in BESIDE.values())


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("course_lib/schedules.py", "import torch"),
        ("course_lib/losses.py", "from course_lib import schedules"),
        ("course_lib/schedules.py", "from . import losses"),
        ("course_lib/live/__init__.py", "from torch import nn"),
        ("course_lib/figures/schedules.py", "def draw():\n    from matplotlib import pyplot"),
        ("course_lib/soft_gradients.py", "from matplotlib.figure import Figure"),
        ("course_lib/metrics.py", "from tests import hygiene"),
        ("course_lib/checks/engine/core.py", "def grade():\n    import exercises.grading"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert module in MODULES
    assert len(wrong_imports(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("course_lib/basics.py", "from course_lib.metrics import entropy_bits"),
        ("course_lib/basics.py", "import course_lib.history as remembering"),
        ("course_lib/losses.py", "from course_lib import schedules"),  # the same layer, but after it
        ("course_lib/losses.py", "from . import basics"),
        ("course_lib/losses.py", "import course_lib"),
        ("course_lib/losses.py", "from course_lib import *"),
        ("course_lib/metrics.py", "from .history import History"),
        ("course_lib/data.py", "def fashion_mnist():\n    from course_lib.objectives import HardLabels"),
        ("course_lib/models.py", "if TYPE_CHECKING:\n    from course_lib.loops import fit"),
        ("course_lib/loops.py", "from .deploy.costs import measure_latency"),
        ("course_lib/language/model.py", "from course_lib.deploy import costs"),
        ("course_lib/deploy/costs.py", "from ..checks.engine import core"),
        ("course_lib/checks/engine/inputs.py", "from ...figures import style"),
        ("course_lib/checks/__init__.py", "from course_lib import live"),
        ("course_lib/live/__init__.py", "from course_lib.figures import style"),
        ("course_lib/live/figure.py", "from course_lib import loops"),
        ("course_lib/live/figure.py", "from .. import losses"),
        ("course_lib/figures/__init__.py", "from course_lib.loops import fit"),
        ("course_lib/figures/production.py", "from course_lib.deploy.compare import compare"),
        ("course_lib/figures/training.py", "from course_lib import objectives"),
        ("course_lib/doctor.py", "from course_lib.live import LiveFigure"),
        ("course_lib/__init__.py", "from course_lib import losses"),
    ],
)
def test_an_import_that_runs_up_or_sideways_is_found(module, source):
    assert len(imports_upwards(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("course_lib/basics.py", "from course_lib.schedules import constant"),
        ("course_lib/models.py", "from . import data"),
        ("course_lib/deploy/compare.py", "from course_lib.language import model\nfrom .costs import measure_latency"),
        ("course_lib/figures/schedules.py", "import torch\nfrom course_lib.losses import soft_targets\nfrom . import style"),
        ("course_lib/live/figure.py", "from matplotlib.figure import Figure\nfrom course_lib.live.png import PngWriter"),
        ("course_lib/checks/ex01_soft_targets.py", "from course_lib import losses, metrics"),
    ],
)
def test_what_each_module_may_import_is_its_own(module, source):
    assert not imports_upwards(module, source)
    assert not wrong_imports(module, source)


def test_a_module_that_is_in_no_list_is_an_error_that_says_where_to_add_it():
    with pytest.raises(LookupError, match=r"course_lib/ghosts is new: add it to LAYERS in tests/test_package.py, after all"):
        allowed("ghosts")
    assert not [name for name in {part(module[:-3].replace("/", ".")) for module in MODULES} if name not in listed()]


def test_a_circle_is_found():
    one, two = "course_lib/live/one.py", "course_lib/live/two.py"
    assert circle({one: "from course_lib.live import two", two: "def late():\n    from .one import name"}) == [one, two]
    assert circle({one: "from . import two", two: "import torch"}) == []
    assert circle({one: "from .two import name", two: ""}) == []


def test_importing_the_losses_loads_nothing_but_torch_and_the_standard_library():
    code = """import sys, torch
        before = set(sys.modules)
        import course_lib.losses
        print(sorted(set(sys.modules) - before - {name for name in sys.modules if name.startswith("torch.")}))
        print(sorted(name for name in sys.modules if name.startswith("course_lib")))"""
    code = "\n".join(line.strip() for line in code.splitlines())
    fresh = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    added, ours = map(ast.literal_eval, fresh.stdout.splitlines())
    assert ours == ["course_lib", "course_lib.losses"]
    assert {name.partition(".")[0] for name in added} - set(sys.stdlib_module_names) == {"course_lib"}


@pytest.mark.parametrize("module", MODULES)
def test_torchvision_is_imported_where_it_is_used(module):
    found = imports(module, read(module), top_level_only=True)
    assert not [name for name in found if name.startswith("torchvision")]


def test_ci_runs_the_readmes_own_commands():
    marked = commands.commands()
    assert all("pytest" in command for command in marked.values())
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf8")
    first, *others = marked
    assert f"names=({first})" in ci
    assert f"all) names+=({' '.join(others)})" in ci
    assert 'command=$(python3 -m tests.tools.commands "$name")' in ci


@pytest.mark.skipif(sys.platform == "win32", reason="bash may be that of another system there")
def test_ci_asked_for_what_it_does_not_know_says_what_it_knows():
    done = subprocess.run(["bash", ROOT / ".ci" / "run", "some"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: .ci/run [all]\n")


def test_every_way_to_set_up_does_the_same_in_the_same_parts():
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    start = readme[readme.index("## Start") : readme.index("## The course")]
    (pip, _, uv), (windows,) = (re.findall(rf"```{kind}\n(.+?)\n```", start, re.DOTALL) for kind in ("bash", "bat"))
    parts = pip.split(" && ")
    # One a line: Windows' own PowerShell has no &&. A program without quotes: PowerShell would take it for a text.
    there = [part.replace("python3 ", "py ").replace(".venv/bin/", ".venv\\Scripts\\") for part in parts]
    assert windows.splitlines() == there
    made, installed, opened = uv.split(" && ")
    assert made == "uv venv --seed --python 3.12"
    assert installed.removeprefix("uv ") == parts[1].removeprefix(".venv/bin/python -m ")
    assert opened == parts[2]
    for line in (made, installed):  # told for Windows, and for Linux without CUDA
        assert f"`{line}`" in start
    assert f"`{installed.replace('install', 'install --torch-backend cpu')}`" in start


def test_the_map_in_the_readme_names_every_notebook():
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{notebook.name})" in readme


def test_every_link_in_the_readmes_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "course_lib").rglob("README.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page}: {target}"
