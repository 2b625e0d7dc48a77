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
LIVE = [module.stem for module in (ROOT / "course_lib" / "live").glob("*.py")]
KNOWS_DISTILLATION = ("losses", "schedules", "loops", "history", "data", "models", "metrics", "figures", "assets")
FIGURES = [module.stem for module in (ROOT / "course_lib" / "figures").glob("*.py")]
MODULES = sorted((ROOT / "course_lib").rglob("*.py"))


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


def imports(module: Path, top_level_only=False):
    tree = ast.parse(module.read_text(encoding="utf8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_imports_point_one_way(module):
    found = set(imports(module))
    assert not any(name.split(".")[0] in ("exercises", "tests") for name in found)
    forbidden = {
        "losses": ("course_lib", "numpy", "torchvision", "matplotlib", "ipywidgets"),
        "schedules": ("course_lib", "torch", "numpy"),
        **dict.fromkeys(LIVE, ("torch", "matplotlib.pyplot", *(f"course_lib.{name}" for name in KNOWS_DISTILLATION))),
        **dict.fromkeys(FIGURES, ("course_lib.loops", "matplotlib.pyplot")),
    }.get(module.stem, ())
    assert not [name for name in found if any(name == bad or name.startswith(bad + ".") for bad in forbidden)]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_torchvision_is_imported_where_it_is_used(module):
    assert not [name for name in imports(module, top_level_only=True) if name.startswith("torchvision")]


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
