"""The exercises as they are handed out: starters made from solutions, and nothing given away."""

import ast
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from headless import execute

from course_lib import checks
from exercises import release
from tests.tools import address

STARTERS = sorted(release.STARTERS.glob("*.ipynb"))
SOLUTIONS = sorted(release.SOLUTIONS.glob("*.ipynb"))
by_starter = pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.stem)
by_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
EXERCISE = {exercise.stem: exercise for exercise in checks.EXERCISES}


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def answers_of(notebook) -> dict[str, str]:
    """Answer name -> what stands between its marks."""
    found = {}
    for cell in code_cells(notebook):
        for mark in release.ANSWER.finditer(cell.source):
            found[mark[1]] = cell.source[mark.end() : release.END.search(cell.source, mark.end()).start()]
    return found


# ---- what is handed out ----


def test_a_starter_and_a_solution_for_each_exercise():
    assert [path.stem for path in STARTERS] == [path.stem for path in SOLUTIONS] == list(EXERCISE)


@by_solution
def test_the_starter_is_the_one_that_the_solution_gives_byte_for_byte(path):
    made = release.to_text(release.make_starter(read(path)))
    assert (release.STARTERS / path.name).read_bytes() == made.encode("utf8")


@by_starter
def test_a_starter_asks_for_every_answer_of_its_exercise(path):
    notebook, exercise = read(path), EXERCISE[path.stem]
    answers = answers_of(notebook)
    assert set(answers) == set(exercise.answers)
    for name, text in answers.items():
        assert text.endswith(f'    raise NotImplementedError("{name} is not answered yet")\n')
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))
    first = notebook.cells[0].source
    assert f"{exercise.minutes} minutes" in first
    assert f"{exercise.points} points" in first


@by_starter
def test_the_first_code_cell_is_that_of_the_notebooks(path):
    notebooks = sorted((release.STARTERS.parent / "notebooks").glob("*.ipynb"))
    assert code_cells(read(path))[0].source == code_cells(read(notebooks[0]))[0].source


@by_solution
def test_a_solution_is_saved_as_run_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1))
    for cell in code_cells(read(path)):
        assert not [out for out in cell.outputs if out.output_type == "error" or out.get("name") == "stderr"]


# ---- a starter, run as it is ----


def run_through(path: Path, environment: dict):
    notebook = read(path)
    execute(notebook, path.parent, environment, timeout=120)
    return notebook


@pytest.fixture(scope="module")
def run():
    # Copied here, once: pytest changes its own environment between tests, while the threads of the pool would read it.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {path: pool.submit(run_through, path, environment) for path in STARTERS}


@by_starter
def test_a_starter_runs_to_its_end_and_stops_at_nothing_but_its_stubs(path, run):
    checked = 0
    for cell in code_cells(run[path].result()):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if cell.source.lstrip().startswith("checks."):
            checked += 1
            (error,) = errors
            assert error.ename == "CheckFailed"
            assert "Not answered yet. Still to write: " in "\n".join(error.traceback)
            assert "Traceback" not in "\n".join(error.traceback)
        for error in errors:
            assert error.ename == "CheckFailed" or (error.ename, "not answered yet" in error.evalue) == (
                "NotImplementedError",
                True,
            )
    assert checked >= 2


# ---- release.py ----


def test_check_tells_what_is_out_of_date(tmp_path, capsys):
    assert release.main(["--check"]) == 0
    assert release.main(["--check", "--folder", str(tmp_path)]) == 1
    assert "01_soft_targets.ipynb is not what its solution gives" in capsys.readouterr().err


# ---- the tables of the README ----


def test_the_readme_has_the_tables_that_the_exercises_give():
    text = release.README.read_text(encoding="utf8")
    assert release.fill_tables(text, checks.EXERCISES) == text
    for exercise in checks.EXERCISES:
        assert exercise.asks
        assert exercise.goes_with


def test_a_changed_number_is_written_into_both_tables_and_told_before(tmp_path, monkeypatch, capsys):
    text = release.README.read_text(encoding="utf8")
    stale = tmp_path / "README.md"
    stale.write_text(
        re.sub(r"\| 6 \| 15 min \|", "| 6 | 99 min |", text).replace("entropy 2 |", "entropy 9 |"), encoding="utf8"
    )
    monkeypatch.setattr(release, "README", stale)
    assert release.main(["--check"]) == 1
    assert "README.md are not what the exercises give" in capsys.readouterr().err
    assert release.main([]) == 0
    assert capsys.readouterr().out == "README.md written\n"
    assert stale.read_text(encoding="utf8") == text


def test_a_readme_without_its_comments_is_told():
    with pytest.raises(ValueError, match="must hold <!-- exercises"):
        release.fill_tables("# A page", checks.EXERCISES)
    with pytest.raises(ValueError, match="end of marks"):
        release.fill_tables(release.README.read_text(encoding="utf8").replace("<!-- end of marks -->", ""), checks.EXERCISES)


# ---- one exercise more ----

DOUBLING = """
from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_normal
from course_lib.checks.engine.mistakes import Mistakes

wrong = Mistakes()


def observe(recorder, answers, seed):
    recorder.call("twice x", answers["twice"], {"x": random_normal(make_generator(seed), 3)})


def twice(x):
    return 2 * x


wrong.edit(twice, "only")("trebled", "That is too much of it.", {"2 * x": "3 * x"})
exercise = Exercise(
    number=20, name="doubling", title="doubling", minutes=5, parts=(Part("only", "Twice", 3, ("twice",), observe),),
    right={"twice": twice}, mistakes=tuple(wrong), asks="twice a number", goes_with="05",
)
"""
USED = """
from pathlib import Path
from course_lib import checks
from course_lib.checks import EXERCISES, doubling
from exercises import release
from exercises.grading import answers, submissions

assert EXERCISES[-1] is doubling is checks.doubling and "doubling" in checks.__all__
checks.doubling(lambda x: x + x)
try:
    checks.doubling(lambda x: x + x + x)
except checks.CheckFailed as failed:
    assert failed.report.parts[0].mistake == "trebled"
assert submissions.owner("ana_20_doubling.ipynb", "?")[0] == "ana"
assert answers.named_by("20_doubling-2") is doubling
assert answers.which(["# === answer: twice ===\\ndef twice(x): return 2 * x"], "") is doubling
assert "raise NotImplementedError" in (release.STARTERS / "20_doubling.ipynb").read_text()
print([line for line in release.README.read_text(encoding="utf8").split("\\n") if "20 Doubling" in line])
"""


def test_an_exercise_with_two_digits_is_found_checked_released_and_listed(tmp_path):
    """Its check and its solution are all that is written; nothing that was there is changed."""
    root = release.STARTERS.parent
    shutil.copytree(root / "course_lib", tmp_path / "course_lib", ignore=shutil.ignore_patterns("__pycache__", "assets"))
    shutil.copytree(root / "exercises", tmp_path / "exercises", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "README.md", tmp_path)
    (tmp_path / "course_lib" / "checks" / "ex20_doubling.py").write_text(DOUBLING)
    answer = "# === answer: twice ===\ndef twice(x):\n    '''Return twice x.'''\n    return x + x\n# === end of answer ==="
    solution = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(answer)])
    nbformat.write(solution, tmp_path / "exercises" / "solutions" / "20_doubling.ipynb")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*command):
        return subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)

    released = run("exercises/release.py")
    assert released.stdout.split("\n") == ["20_doubling.ipynb written", "README.md written", ""], released.stderr
    used = run("-c", USED)
    assert used.returncode == 0, used.stderr
    assert used.stdout.splitlines()[-1] == str(
        [
            "| [20 Doubling](exercises/20_doubling.ipynb) | twice a number | 3 | 5 min | 05 |",
            "| 20 Doubling | 3 | only 3 |",
        ]
    )


def test_a_check_under_a_wrong_name_is_told(tmp_path):
    shutil.copytree(Path(checks.__file__).parent, tmp_path / "checks", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "checks" / "ex21_doubling.py").write_text(DOUBLING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "__path__", [str(tmp_path / "checks")])
        with pytest.raises(ImportError, match=r"ex21_doubling\.py must hold .* it holds 20_doubling"):
            checks._find_exercises()
    sys.modules.pop("course_lib.checks.ex21_doubling")


# ---- starters that somebody wrote into ----


def replaced(pattern, text):
    def write(notebook):
        for cell in code_cells(notebook):
            cell.source = re.sub(pattern, text, cell.source, flags=re.MULTILINE)

    return write


ANSWERED = {
    "an answer": replaced(r"^    raise NotImplementedError\(.*\)$", "    return 1"),
    "an answer over its stub": replaced(r"^    raise NotImplementedError", "    return 1\n    # raise NotImplementedError"),
    "an answer without its mark": replaced(r"^# === answer: \w+ ===\n", "x = 1\n"),
    "a cell more": lambda notebook: notebook.cells.append(nbformat.v4.new_code_cell("x = 1")),
    "words in an empty text": lambda notebook: notebook.cells.append(nbformat.v4.new_markdown_cell("Because.")),
    "no digest": lambda notebook: (notebook.metadata.pop("course_lib"), notebook.cells.pop()),
}


@pytest.fixture
def released(tmp_path):
    """One of the starters, in a folder where all of them were written."""
    assert release.main(["--folder", str(tmp_path)]) == 0
    path = tmp_path / STARTERS[0].name
    assert path.read_bytes() == STARTERS[0].read_bytes()
    return path


def assert_kept(path, capsys):
    before = path.read_bytes()
    assert release.main(["--folder", str(path.parent)]) == 1
    assert path.read_bytes() == before
    assert f"{path.name} was changed and is left as it is" in capsys.readouterr().err


@pytest.mark.parametrize("write", ANSWERED.values(), ids=ANSWERED)
def test_a_starter_with_answers_is_not_overwritten(released, capsys, write):
    notebook = read(released)
    write(notebook)
    nbformat.write(notebook, released)
    assert_kept(released, capsys)


@pytest.mark.parametrize("text", ["<<<<<<< HEAD", "[]", "{}", "\x80"])
def test_what_is_no_notebook_is_not_overwritten(released, capsys, text):
    released.write_bytes(text.encode("latin1"))
    assert_kept(released, capsys)


@pytest.mark.parametrize("earlier", [True, False], ids=["of an earlier solution", "without a digest"])
def test_a_starter_in_which_nobody_wrote_is_brought_up_to_date(released, earlier):
    notebook = read(released)
    if earlier:
        notebook.cells[0].source += " In other words, before."
        notebook.metadata.course_lib.written = release.digest(notebook)
    else:
        del notebook.metadata["course_lib"]
    code_cells(notebook)[0].update(execution_count=1, outputs=[nbformat.v4.new_output("stream", text="it was run")])
    nbformat.write(notebook, released)
    assert release.main(["--folder", str(released.parent)]) == 0
    assert released.read_bytes() == STARTERS[0].read_bytes()


def test_a_fork_that_writes_its_address_into_all_notebooks_leaves_starters_as_they_were(released):
    text = address.MENTIONS.sub("some-body/a.fork", released.read_text(encoding="utf8"))
    assert text.count("some-body/a.fork") == 2
    notebook = nbformat.reads(text, as_version=4)
    assert release.digest(notebook) == notebook.metadata.course_lib.written


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("# === answer: f ===\ndef f(x):\n    '''Doc.'''\n    return x\n", "has no end mark"),
        ("# === answer: f ===\ndef g(x):\n    '''Doc.'''\n    return x\n# === end of answer ===", "must define a function f"),
        ("# === answer: f ===\ndef f(x):\n    return x\n# === end of answer ===", "with a docstring"),
    ],
)
def test_an_answer_that_cannot_be_stubbed_is_told(source, needed):
    with pytest.raises(ValueError, match=needed):
        release.stub_answers(source)


def test_only_the_answer_becomes_a_stub():
    source = (
        "a = 1\n# === answer: f ===\nimport os\n\ndef helper():\n    return 7\n\n"
        "def f(x, y=2):\n    '''Doc.\n\n    More.\n    '''\n"
        "    return helper() + x\n# === end of answer ===\nb = 2"
    )
    assert release.stub_answers(source) == (
        "a = 1\n# === answer: f ===\ndef f(x, y=2):\n    '''Doc.\n\n    More.\n    '''\n"
        '    raise NotImplementedError("f is not answered yet")\n# === end of answer ===\nb = 2'
    )


# ---- nothing is given away ----


def told_lines(answer: str) -> set[str]:
    """The lines of an answer that say how it is done: not its signature, docstring, heads of blocks, or what is very short."""
    function = next(node for node in ast.parse(answer).body if isinstance(node, ast.FunctionDef))
    body = answer.splitlines()[function.body[0].end_lineno :]
    return {squeezed(line) for line in body if len(squeezed(line)) >= 16 and not line.endswith(":")}


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text.split("  #")[0])


def solution_lines() -> dict[str, set[str]]:
    return {name: told_lines(text) for path in SOLUTIONS for name, text in answers_of(read(path)).items()}


def test_solutions_have_lines_to_look_for():
    assert all(solution_lines().values())


@by_starter
def test_no_starter_holds_a_solution(path):
    own = solution_lines()
    text = squeezed("\n".join(cell.source for cell in read(path).cells))
    for name in answers_of(read(path)):
        assert not [line for line in own[name] if line in text]


def test_no_message_or_docstring_of_the_checks_holds_a_solution():
    modules = [module for name, module in sys.modules.items() if name.startswith("course_lib.checks")]
    said = [module.__doc__ for module in modules] + [checks.Exercise.__call__.__doc__, checks.Exercise.__doc__]
    said += [thing.__doc__ for module in modules for name, thing in vars(module).items() if not name.startswith("_")]
    said = [words for words in said if isinstance(words, str)]
    for exercise in checks.EXERCISES:
        said += [part.title for part in exercise.parts]
        for mistake in exercise.mistakes:
            said += [mistake.name, mistake.hint]
            report = exercise.judge(exercise.observe({**exercise.right, **mistake.answers}, 0), 0)
            said.append(str(report))
    text = squeezed("\n".join(said))
    for lines in solution_lines().values():
        assert not [line for line in lines if line in text]
