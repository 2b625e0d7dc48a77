"""Film the live figures of a notebook: run the cells that they need, and pack what they show under their controls.

    python -m tests.tools.site.filming NOTEBOOK FOLDER

`films_of` does this for many notebooks, two at a time, and keeps what it made in build/films until the code of a notebook or
the library changes. Whatever a cell shows that is a LiveFigure is filmed; nothing is listed.
"""

import ast
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from filelock import FileLock
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from IPython.utils.capture import capture_output

from course_lib.live import Guess, LiveFigure
from course_lib.live.film import Film, Reel, film
from tests.live_cells import cells_of_figures, needed
from tests.tools import address

CACHE = address.ROOT / "build" / "films"
AT_A_TIME = 2
FILM = "application/x-film"  # what a LiveFigure gives of itself while it is filmed
REFERENCE = "state-"  # how the names of pictures begin that only tests need
PICTURES = ("image/png", FILM)


@dataclasses.dataclass
class Question:
    """What a Guess asks: `answers` are words, or (low, high, step)."""

    question: str
    answers: list
    unit: str


def films_of(notebooks: Sequence[Path]) -> dict[Path, Path]:
    """Return notebook -> the folder with its films, made now where they are not there yet.

    RuntimeError, with what the notebook said, if it can't be run.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    library = _digest_of_library()
    with FileLock(CACHE / ".lock"), ThreadPoolExecutor(AT_A_TIME) as pool:  # one build at a time, also of several processes
        folders = list(pool.map(lambda path: _cached(path, library), notebooks))
    return dict(zip(notebooks, folders, strict=True))


def _cached(path: Path, library: str) -> Path:
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    digest = hashlib.sha256("\0".join([library, *code]).encode()).hexdigest()[:16]
    folder = CACHE / f"{path.stem}-{digest}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(prefix=".new-", dir=CACHE) as temporary:
            made = Path(temporary) / "films"
            command = [sys.executable, "-m", "tests.tools.site.filming", str(path), str(made)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, cwd=address.ROOT, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{path.name} could not be filmed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            made.rename(folder)
        for old in CACHE.glob(f"{path.stem}-*"):
            if old != folder:
                shutil.rmtree(old)
    return folder


def _digest_of_library() -> str:
    files = [*(address.ROOT / "course_lib").rglob("*"), Path(__file__), address.ROOT / "tests" / "live_cells.py"]
    files = sorted(path for path in files if path.is_file() and path.suffix != ".pyc")
    content = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256("".join(content).encode()).hexdigest()


def shoot(path: Path, folder: Path) -> None:
    """Run the cells of a notebook that its figures need, and write the films and what its guesses ask to `folder`.

    `CELL-PICTURE` holds the film of what a cell shows as its PICTURE-th picture, both counted from 0.
    """
    notebook = nbformat.read(path, as_version=4)
    questions = {number: dataclasses.asdict(asked) for number, asked in _questions(notebook).items()}
    folder.mkdir(parents=True)
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf8")
    shell, reels, shown = InteractiveShell.instance(), {}, []
    LiveFigure.recorder = staticmethod(lambda live: reels.setdefault(live, Reel())(live))
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type(LiveFigure, lambda live, **_: shown.append(live) or {FILM: len(shown) - 1, "text/plain": live.text})
    # The last line of a cell is an output like any other.
    shell.display_trap.hook = lambda value: None if value is None else display(value)
    os.chdir(path.parent)
    for number in cells_of_figures(path):
        with capture_output() as captured:
            result = shell.run_cell(notebook.cells[number].source, store_history=False)
        if not result.success:
            raise RuntimeError(f"cell {number} failed: {captured.stdout[-500:]}{captured.stderr[-500:]}") from (
                result.error_in_exec or result.error_before_exec
            )
        for place, picture in enumerate(_pictures(captured.outputs)):
            if FILM in picture:
                live = shown[picture[FILM]]
                made = film(live, reels.get(live))
                if made is not None:
                    write(made, folder / f"{number}-{place}")
                    write_references(made, live, folder / f"{number}-{place}")


def _pictures(outputs: list) -> list[dict]:
    """Return the data of those outputs of a cell that are pictures, each as it was shown last."""
    shown = {}
    for number, output in enumerate(outputs):
        shown[(output.transient or {}).get("display_id", number)] = output.data
    return [data for data in shown.values() if any(kind in data for kind in PICTURES)]


def write(made: Film, folder: Path) -> None:
    """Write a film: its pictures, and film.json with all else."""
    folder.mkdir()
    (folder / "below.webp").write_bytes(made.below)
    for number, frame in enumerate(made.frames):
        (folder / f"{number:03d}.webp").write_bytes(frame)
    tracks = [{**track._asdict(), "values": [_plain(value) for value in track.values]} for track in made.tracks]
    rest = {
        "tracks": tracks,
        "size": made.size,
        "region": made.region,
        "states": made.states,
        "shown": made.shown,
        "texts": made.texts,
    }
    (folder / "film.json").write_text(json.dumps({**rest, "start": made.start}), encoding="utf8")


def write_references(made: Film, live: LiveFigure, folder: Path) -> None:
    """Write what the figure itself shows in a few states: tests tell by them that a page shows the same. Not published."""
    before = live.values
    for number in sorted({0, len(made.states) // 2, len(made.states) - 1} if live.controls else ()):
        live.set(**made.values(number))
        (folder / f"{REFERENCE}{number}.png").write_bytes(live.png())
    live.set(**before)


def _plain(value):
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def _questions(notebook) -> dict[int, Question]:
    """Return what the guesses of a notebook ask: number of the cell -> question. Only what they are made of is run."""
    shell, statements = InteractiveShell.instance(), []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            tree = ast.parse(shell.transform_cell(cell.source))
            statements += [(number, ast.unparse(statement), _is_guess(statement)) for statement in tree.body]
    sources = {place: source for place, (_, source, _) in enumerate(statements)}
    guesses = [place for place, (_, _, is_guess) in enumerate(statements) if is_guess]
    namespace, found = {}, {}
    for place in needed(sources, guesses):
        exec(sources[place], namespace)
        if place in guesses:
            guess = namespace[ast.parse(sources[place]).body[0].targets[0].id]
            found[statements[place][0]] = _asked(guess)
    return found


def _is_guess(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Assign) and isinstance(value, ast.Call) and getattr(value.func, "id", "") == Guess.__name__


def _asked(guess: Guess) -> Question:
    control = guess._control
    if control.has_trait("options"):
        answers = [str(label) for label in control._options_labels]
    else:
        answers = [control.min, control.max, control.step]
    return Question(guess.question, answers, guess.unit)


if __name__ == "__main__":
    shoot(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
