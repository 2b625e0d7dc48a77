"""Rules for every file of the course, each a function: complaints(path), a list of texts, empty where all is well."""

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
NOTEBOOK_RULES: dict[str, Callable[[Path], list[str]]] = {}
FILE_RULES: dict[str, Callable[[Path], list[str]]] = {}
TEXT = (".py", ".md", ".ipynb", ".toml", ".txt", ".html", ".css", ".yml")
# Not there on Windows.
POSIX_MODULES = {"resource", "fcntl", "pwd", "grp", "pty", "termios", "posix"}
POSIX_NAMES = {"fork", "setsid", "killpg", "getuid", "geteuid", "SIGKILL", "SIGALRM", "alarm", "setitimer", "mkfifo", "uname"}
RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10))}
OUR_WORDS = "loos"  # the misspelled name in a test of what is said of misspelled names
# Where Windows is not meant: the README says where grading runs, tests skip what is not there, and observing.py looks first.
NOT_WINDOWS = ("exercises/grading/", "tests/", "course_lib/checks/engine/observing.py")


def _rule(rules: dict, rule: Callable) -> Callable:
    rules[rule.__name__] = rule
    return rule


def of_notebooks(rule):
    return _rule(NOTEBOOK_RULES, rule)


def of_files(rule):
    return _rule(FILE_RULES, rule)


def tracked() -> list[Path]:
    """The files of the repository, as git knows them."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).exists()]


def cells(path: Path, kind: str) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def outputs(path: Path) -> list:
    return [output for cell in cells(path, "code") for output in cell.outputs]


# ---- notebooks ----


@of_notebooks
def is_valid(path: Path) -> list[str]:
    try:
        nbformat.validate(nbformat.read(path, as_version=4))
    except nbformat.ValidationError as error:
        return [str(error)]
    return []


@of_notebooks
def was_executed_in_order_or_not_at_all(path: Path) -> list[str]:
    counts = [cell.execution_count for cell in cells(path, "code")]
    return [] if counts in ([None] * len(counts), list(range(1, len(counts) + 1))) else [f"execution counts are {counts}"]


@of_notebooks
def saves_nothing_of_a_widget(path: Path) -> list[str]:
    shaped = [mime for output in outputs(path) for mime in output.get("data", {}) if "widget" in mime]
    return shaped + ["state of widgets in the metadata"] * ("widgets" in nbformat.read(path, as_version=4).metadata)


@of_notebooks
def saves_no_error_and_no_warning(path: Path) -> list[str]:
    return [output.get("evalue") or output.text for output in outputs(path) if _is_complaint(output)]


def _is_complaint(output) -> bool:
    return output.output_type == "error" or output.get("name") == "stderr"


@of_notebooks
def ends_no_cell_with_a_semicolon(path: Path) -> list[str]:
    return [cell.source for cell in cells(path, "code") if cell.source.rstrip().endswith(";")]


@of_notebooks
def says_by_a_tag_which_outputs_may_differ(path: Path) -> list[str]:
    # In a comment, nbval overlooks it as soon as a word follows; and readers have no use for it.
    return [cell.source for cell in cells(path, "code") if "NBVAL" + "_" in cell.source]


@of_notebooks
def gives_every_picture_a_text_equivalent(path: Path) -> list[str]:
    pictures = [output for output in outputs(path) if "image/png" in output.get("data", {})]
    untold = [picture for picture in pictures if not re.search(r"\d", picture.metadata.get("image/png", {}).get("alt", ""))]
    in_text = re.findall(r"!\[\]\(|<img(?![^>]*\balt=)", "\n".join(cell.source for cell in cells(path, "markdown")))
    nameless = [picture for picture in pictures if "object at 0x" in picture.data.get("text/plain", "")]
    return ["a picture without numbers in its alternative text"] * len(untold + in_text) + ["an address in memory"] * len(
        nameless
    )


@of_notebooks
def shows_no_raw_html_of_widgets_or_scripts(path: Path) -> list[str]:
    return re.findall(r"<script|<iframe", "\n".join(cell.source for cell in cells(path, "markdown")))


@of_notebooks
def loads_no_data_in_other_processes(path: Path) -> list[str]:
    sources = "\n".join(cell.source for cell in cells(path, "code"))
    return [number for number in re.findall(r"num_workers\s*=\s*(\w+)", sources) if number != "0"]


@of_notebooks
def weighs_at_most_a_megabyte(path: Path) -> list[str]:
    return [f"{path.stat().st_size / 1e6:.2f} MB"] if path.stat().st_size > 1e6 else []


# ---- all files ----


@of_files
def has_a_name_that_windows_accepts(path: Path) -> list[str]:
    inside = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)
    odd = [part for part in inside.parts if re.search(r'[<>:"|?*\\\x00-\x1f]', part) or part[-1] in " ."]
    return odd + [part for part in inside.parts if part.split(".")[0].lower() in RESERVED]


@of_files
def ends_lines_as_unix_does(path: Path) -> list[str]:
    return ["a carriage return"] if path.suffix in TEXT and b"\r" in path.read_bytes() else []


@of_files
def names_no_path_of_a_machine(path: Path) -> list[str]:
    return (
        re.findall(r"(?<![\w.<])/(?:home|root|Users|tmp|work|content)/\w+", path.read_text("utf8"))
        if path.suffix in TEXT
        else []
    )


@of_files
def calls_nothing_that_only_posix_has(path: Path) -> list[str]:
    if path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix().startswith(NOT_WINDOWS):
        return []
    if path.suffix == ".ipynb":
        source = "\n".join(
            line for cell in cells(path, "code") for line in cell.source.splitlines() if line.strip()[:1] not in "%!"
        )
        source = re.sub(r"^(\s+)$", "", source, flags=re.MULTILINE)
    elif path.suffix == ".py":
        source = path.read_text("utf8")
    else:
        return []
    found = []
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in POSIX_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Attribute) and node.attr in POSIX_NAMES and getattr(node.value, "id", "") in ("os", "signal"):
            found.append(f"{node.value.id}.{node.attr}")
    return found


def _parsed(source: str) -> ast.AST:
    """A magic that was the whole of an indented block leaves nothing behind: `pass` stands for it."""
    return ast.parse(re.sub(r"^(if .*:)\n(?!\s)", r"\1 pass\n", source, flags=re.MULTILINE))


@of_files
def links_to_what_is_there(path: Path) -> list[str]:
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in cells(path, "markdown"))
    elif path.suffix == ".md":
        text = path.read_text("utf8")
    else:
        return []
    page = path if path.is_relative_to(ROOT) else ROOT / "notebooks" / path.name
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [t for t in targets if t and not t.startswith(("http://", "https://")) and not (page.parent / t).exists()]


def misspelled(paths: list[Path]) -> list[str]:
    """By codespell, which knows the usual misspellings and no grammar. Outputs of notebooks are not looked at."""
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(paths):
            if path.suffix == ".ipynb":
                text = "\n".join(cell.source for kind in ("markdown", "code") for cell in cells(path, kind))
            elif path.suffix in (".py", ".md") and path != Path(__file__):
                text = path.read_text("utf8")
            else:
                continue
            Path(folder, f"{number:03d}-{path.name}.txt").write_text(text, "utf8")
        command = [sys.executable, "-m", "codespell_lib", "--ignore-words-list", OUR_WORDS, "."]
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert said.returncode in (0, 65), said.stderr  # 65: something was found
    return said.stdout.splitlines()
