"""The workflows: valid, with no more rights than they use, and running what the README says; their shell steps are run here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # comes with JupyterLab

from tests.tools import address, commands

ROOT = address.ROOT
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {path.stem: path.read_text(encoding="utf8") for path in FILES}
WORKFLOWS = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
STEPS = [
    (f"{name}-{job}-{number}", step)
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
    for number, step in enumerate(content["steps"])
]
SHELL = [(name, step["run"]) for name, step in STEPS if "run" in step]
README = (ROOT / "README.md").read_text(encoding="utf8")


def step(workflow: str, name: str) -> str:
    """Return the shell lines of a step, by its name."""
    jobs = WORKFLOWS[workflow]["jobs"].values()
    return next(step["run"] for job in jobs for step in job["steps"] if step.get("name") == name)


def run(lines: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run shell lines in a folder as the runner does, where `python` is this one."""
    (folder / "bin").mkdir(exist_ok=True)
    for name in ("python", "python3"):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept["PATH"] = f"{folder / 'bin'}{os.pathsep}{kept['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines]
    return subprocess.run(command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True)


needs_posix = pytest.mark.skipif(os.name == "nt", reason="the steps of Windows's runner are those of its bash")


@pytest.fixture
def copy(tmp_path):
    """A copy of what the steps read: the pages that name the address, and the tools."""
    for path in [*address.pages(), ROOT / "pyproject.toml", *(ROOT / "tests" / "tools").glob("*.py")]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


# ---- the files ----


def complaints(path: Path) -> str:
    """Return what the schema of workflow files has against one."""
    pytest.importorskip("check_jsonschema", reason="pip install check-jsonschema brings the schema of workflow files")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_is_valid(path):
    assert complaints(path) == ""


def test_a_workflow_that_is_not_valid_is_told(tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(TEXTS["site"].replace("runs-on: ubuntu-latest", "runs_on: ubuntu-latest", 1), encoding="utf8")
    assert "runs-on" in complaints(broken)


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="there is no actionlint here, which reads expressions as well")
def test_actionlint_finds_nothing():
    done = subprocess.run(["actionlint", *map(str, FILES)], capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def test_nothing_may_write_but_the_job_that_publishes():
    assert all(workflow["permissions"] == {"contents": "read"} for workflow in WORKFLOWS.values())
    rights = {
        job: content["permissions"]
        for w in WORKFLOWS.values()
        for job, content in w["jobs"].items()
        if "permissions" in content
    }
    assert rights == {"publish": {"pages": "write", "id-token": "write"}}
    assert "pull_request_target" not in "".join(TEXTS.values())


def test_only_actions_of_github_are_used_and_each_with_its_version():
    used = [step["uses"] for _, step in STEPS if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in used)


def test_every_job_ends_by_itself():
    assert all("timeout-minutes" in job for workflow in WORKFLOWS.values() for job in workflow["jobs"].values())


def test_no_expression_is_put_into_a_shell():
    """What it stands for, such as the name of a branch, could be a command."""
    assert not [name for name, lines in SHELL if "${{" in lines]


@needs_posix
@pytest.mark.parametrize(("name", "lines"), SHELL, ids=[name for name, _ in SHELL])
def test_the_shell_reads_every_step(name, lines):
    assert subprocess.run(["bash", "-n", "-c", lines], capture_output=True, text=True).stderr == ""


# ---- the README's commands ----


def test_every_system_is_tested():
    matrix = WORKFLOWS["tests"]["jobs"]["newest"]["strategy"]["matrix"]
    assert matrix == {"system": ["ubuntu-latest", "macos-latest", "windows-latest"]}


def test_each_marked_command_is_run_and_none_is_copied():
    assert "tests.tools.commands test)" in step("tests", "The test command")
    rest = re.search(r"for name in (.+); do", step("tests", "The commands of what takes long"))[1].split()
    assert ["test", *rest] == list(commands.commands())
    assert not [command for command in commands.commands().values() if command[:30] in "".join(TEXTS.values())]
    assert "pytest" not in "".join(TEXTS.values())


def test_what_the_site_needs_and_how_it_is_built_stand_in_the_readme():
    assert '`pip install -e ".[site]"`' in README
    assert step("site", "What the site needs") == '.venv/bin/python -m pip install -r requirements.txt -e ".[site]"'
    assert "`python -m tests.tools.site`" in README
    assert step("site", "The site") == ".venv/bin/python -m tests.tools.site"


def test_torch_without_cuda_comes_the_way_the_readme_tells():
    assert "uv pip install --torch-backend cpu -r requirements.txt" in README
    for workflow in ("tests", "site"):
        assert "uv pip install --torch-backend cpu torch torchvision" in step(workflow, "torch without CUDA")


def test_every_tool_that_a_step_starts_is_there():
    started = {name for _, lines in SHELL for name in re.findall(r"-m (tests\.tools\.\w+)", lines)}
    assert started == {f"tests.tools.{name}" for name in ("commands", "versions", "address", "site")}
    assert all((ROOT / f"{name.replace('.', '/')}.py").exists() or (ROOT / name.replace(".", "/")).is_dir() for name in started)


def test_a_command_as_windows_has_it():
    said = commands.on_this_system("python3 -m venv .venv && .venv/bin/python -m pytest", windows=True)
    assert said == "python -m venv .venv && .venv/Scripts/python -m pytest"
    for name, command in commands.commands().items():
        assert commands.on_this_system(command, windows=False) == command, name
        assert "bin/" not in commands.on_this_system(command, windows=True)


def test_a_name_that_the_readme_does_not_mark_is_an_error_that_names_those_it_does(capsys):
    with pytest.raises(SystemExit):
        commands.main(["tests"])
    said = capsys.readouterr().err
    assert all(name in said for name in commands.commands())


# ---- the steps, run ----


@needs_posix
@pytest.mark.parametrize(("command", "status"), [("echo one && echo two", 0), ("echo one && false && echo two", 1)])
def test_the_step_runs_the_test_command_and_fails_with_it(copy, command, status):
    written = re.sub(r"(<!-- test command -->\n```bash\n).+", rf"\1{command}", README)
    (copy / "README.md").write_text(written, encoding="utf8")
    done = run(step("tests", "The test command"), copy)
    assert (done.returncode, done.stdout) == (status, "one\ntwo\n" if status == 0 else "one\n"), done.stderr


@needs_posix
def test_a_readme_without_the_command_is_no_success(copy):
    (copy / "README.md").write_text(README.replace("<!-- test command -->", ""), encoding="utf8")
    assert run(step("tests", "The test command"), copy).returncode != 0


@needs_posix
def test_the_step_runs_both_long_commands_and_stops_at_the_first_that_fails(copy):
    short = re.sub(r"(<!-- (colab|seeds) command -->\n```bash\n).+", r"\1echo \2", README)
    (copy / "README.md").write_text(short, encoding="utf8")
    assert run(step("tests", "The commands of what takes long"), copy).stdout == "colab\nseeds\n"
    (copy / "README.md").write_text(short.replace("echo colab", "false"), encoding="utf8")
    done = run(step("tests", "The commands of what takes long"), copy)
    assert done.returncode != 0
    assert done.stdout == ""


@needs_posix
def test_a_forks_own_address_is_written_everywhere(copy, monkeypatch):
    done = run(step("site", "This repository's own address"), copy, GITHUB_REPOSITORY="some-body/a.fork")
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(address, "ROOT", copy)
    assert address.address() == "https://github.com/some-body/a.fork"
    assert address.others() == {}


@needs_posix
def test_an_address_that_is_none_stops_the_workflow(copy):
    done = run(step("site", "This repository's own address"), copy, GITHUB_REPOSITORY="nothing")
    assert done.returncode != 0
    assert "https://github.com/OWNER/REPOSITORY" in done.stderr
