"""The frame: what is promised of requirements, imports and the README's commands."""

import ast
import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
KNOWS_DISTILLATION = ("losses", "schedules", "loops", "history", "data", "models", "metrics", "figures", "assets", "soft_gradients", "humps")
MODULES = sorted(module.relative_to(ROOT).as_posix() for module in (ROOT / "course_lib").rglob("*.py"))
FORBIDDEN = {  # of a module, or of all those in a folder: what it must not import
    "course_lib/losses.py": ("course_lib", "numpy", "torchvision", "matplotlib", "ipywidgets"),
    "course_lib/schedules.py": ("course_lib", "torch", "numpy"),
    "course_lib/soft_gradients.py": ("course_lib.figures", "course_lib.loops", "matplotlib", "numpy"),
    "course_lib/humps.py": ("course_lib.figures", "course_lib.loops", "matplotlib"),
    "course_lib/live/": ("torch", "matplotlib.pyplot", *(f"course_lib.{name}" for name in KNOWS_DISTILLATION)),
    "course_lib/figures/": ("course_lib.loops", "matplotlib.pyplot"),
    "": ("exercises", "tests"),
}


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


def imports(source: str, top_level_only=False):
    tree = ast.parse(source)
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)  # which may be a module itself


def wrong_imports(module: str, source: str) -> list[str]:
    forbidden = [bad for place, names in FORBIDDEN.items() if module.startswith(place) for bad in names]
    return [name for name in imports(source) if any(f"{name}.".startswith(f"{bad}.") for bad in forbidden)]


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    assert not wrong_imports(module, (ROOT / module).read_text(encoding="utf8"))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("course_lib/schedules.py", "import torch"),
        ("course_lib/losses.py", "from course_lib import schedules"),
        ("course_lib/live/__init__.py", "from torch import nn"),
        ("course_lib/live/figure.py", "from course_lib import loops"),
        ("course_lib/figures/schedules.py", "def draw():\n    from matplotlib import pyplot"),
        ("course_lib/figures/__init__.py", "from course_lib.loops import fit"),
        ("course_lib/soft_gradients.py", "from matplotlib.figure import Figure"),
        ("course_lib/humps.py", "from course_lib.figures import style"),
        ("course_lib/metrics.py", "from tests import hygiene"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert module in MODULES
    assert len(wrong_imports(module, source)) == 1


def test_what_each_module_may_import_is_its_own():
    assert not wrong_imports("course_lib/figures/schedules.py", "import torch\nfrom course_lib.losses import soft_targets")
    assert not wrong_imports("course_lib/live/figure.py", "from matplotlib.figure import Figure")


@pytest.mark.parametrize("module", MODULES)
def test_torchvision_is_imported_where_it_is_used(module):
    found = imports((ROOT / module).read_text(encoding="utf8"), top_level_only=True)
    assert not [name for name in found if name.startswith("torchvision")]


def test_ci_runs_the_readmes_own_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    commands = dict(re.findall(r"<!-- (\w+) command -->\n```bash\n(.+)\n```", readme))
    assert all("pytest" in command for command in commands.values())
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf8")
    assert f"for name in {' '.join(commands)}; do" in ci
    assert "<!-- $name command -->/" in ci


def test_the_map_in_the_readme_names_every_notebook():
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{notebook.name})" in readme


def test_every_link_in_the_readmes_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "course_lib").rglob("README.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page}: {target}"
