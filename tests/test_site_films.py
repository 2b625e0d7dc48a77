"""From a notebook to films: what is run and kept, what is put in place of which output, and what is said where it can't be."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

pytest.importorskip("sphinx", reason="the site needs pip install -e '.[site]'")

from tests.tools.site import filming, fragments, front, moving

SET_UP = "import os"
FIGURE = """
from matplotlib.figure import Figure
from course_lib.live import Guess, LiveFigure
figure = Figure((2, 1), dpi=50)
(line,) = figure.add_subplot(ylim=(0, 9)).plot([0, 1], [0, 0])
def update(x):
    line.set_ydata([0, x])
    return f"x = {x}"
"""
SHOW = 'LiveFigure(figure, update, x=(0, 9), stills=[{"x": 4}])'
ASK = 'words = list("AB")\nwhich = Guess("Which one?", words)\nwhich'
ASK_NUMBER = 'number = Guess("How many?", (0, 10), unit="points")\nnumber'
RUN = """
with LiveFigure(figure, lambda: "before").running(update) as on_step:
    for step in range(4):
        on_step(step)
        on_step.finish()
on_step.live
"""
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def write(path, *sources):
    cells = [new_markdown_cell("# A"), *(new_code_cell(source) for source in (SET_UP, *sources))]
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(filming, "CACHE", tmp_path / "films")
    return tmp_path / "films"


def test_what_a_notebook_shows_is_filmed_once_and_again_when_its_code_changes(cache, tmp_path):
    path = write(tmp_path / "a.ipynb", FIGURE, SHOW, ASK, ASK_NUMBER, "1 / 0", RUN)
    folder = filming.films_of([path])[path]
    films = moving.films_in(folder)
    assert list(films) == [(3, 0), (7, 0)]  # the cell that fails is not needed
    assert films[3, 0]["texts"] == [f"x = {x}" for x in range(10)]
    assert films[3, 0]["start"] == 4
    assert films[7, 0]["texts"] == [f"x = {x}" for x in range(4)]  # of long work: what was shown
    assert {file.name for file in (folder / "3-0").iterdir()} == {
        *(f"{number:03d}.webp" for number in range(10)),
        *(f"{filming.REFERENCE}{number}.png" for number in (0, 5, 9)),
        "below.webp",
        "film.json",
    }
    assert json.loads((folder / "questions.json").read_text("utf8")) == {
        "4": {"question": "Which one?", "answers": ["A", "B"], "unit": ""},
        "5": {"question": "How many?", "answers": [0, 10, 1], "unit": "points"},
    }
    made = (folder / "3-0" / "film.json").stat().st_mtime_ns
    assert filming.films_of([path]) == {path: folder}
    assert (folder / "3-0" / "film.json").stat().st_mtime_ns == made
    write(path, FIGURE.replace("0, 9", "0, 20"), SHOW)
    another = filming.films_of([path])[path]
    assert another != folder
    assert not folder.exists()


def test_a_notebook_that_fails_says_where_and_leaves_nothing(cache, tmp_path):
    path = write(tmp_path / "a.ipynb", FIGURE, "update = 1 / 0", SHOW)
    with pytest.raises(RuntimeError, match=r"a\.ipynb could not be filmed(.|\n)*cell 3 failed(.|\n)*ZeroDivisionError"):
        filming.films_of([path])
    assert {file.name for file in cache.iterdir()} <= {".lock"}


# ---- into the page ----

FILM = {
    "tracks": [{"name": "x", "label": "x < 1", "kind": "slider", "values": [0, 1], "words": ["0", "1"], "start": 1}],
    "size": [100, 50],
    "region": [20, 10, 120, 60],
    "states": [[0], [1]],
    "shown": [0, 1],
    "texts": ["x = 0", "x </script> 1"],
    "start": 1,
}


def saved(data, metadata=None):
    return new_output("display_data", data=data, metadata=metadata or {})


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    (folder / "1-1").mkdir(parents=True)
    (folder / "1-1" / "film.json").write_text(json.dumps(FILM), "utf8")
    for name in ("below.webp", "000.webp", "001.webp", "state-0.png"):
        (folder / "1-1" / name).write_bytes(b"")
    asked = {"0": {"question": "How many?", "answers": [0, 10, 1], "unit": "points"}}
    (folder / "questions.json").write_text(json.dumps(asked), "utf8")
    return folder


def page(*pictures):
    size = {"image/png": {"width": 1, "height": 2, "alt": "said"}}
    asks = new_code_cell(ASK_NUMBER, outputs=[saved({"text/plain": "Your guess: How many?"})])
    shows = new_code_cell("", outputs=[saved({"image/png": PICTURE, "text/plain": text}, size) for text in pictures])
    says = new_code_cell("number.beside(3.5)", outputs=[new_output("stream", name="stdout", text="It is 3.5 points.\n")])
    return new_notebook(cells=[asks, shows, says])


def test_a_film_takes_the_place_of_its_own_picture_and_keeps_it_for_those_without_a_script(films, tmp_path):
    notebook = page("a plot", "the figure")
    moving.put_films(notebook, films, tmp_path / "out", "../films/a")
    plot, figure = notebook.cells[1].outputs
    assert "text/html" not in plot.data
    assert "image/png" not in figure.data
    assert (
        '<noscript><img src="../films/a/1-1/still.webp" width="1" height="2" alt="said"></noscript>' in figure.data["text/html"]
    )
    assert {file.name for file in (tmp_path / "out" / "1-1").iterdir()} == {"below.webp", "000.webp", "001.webp", "still.webp"}


def test_a_film_without_a_saved_picture_is_an_error(films, tmp_path):
    with pytest.raises(RuntimeError, match="cell 1 shows a live figure as picture 1, and saved 1 pictures"):
        moving.put_films(page("a plot"), films, tmp_path / "out", "../films/a")


def test_words_of_a_film_cannot_leave_it():
    made = fragments.film_figure("films/1-1", FILM, "still.webp", (1, 2), '"<b>')
    assert made.count("</script>") == 1
    assert "x &lt; 1" in made
    assert 'alt="&quot;&lt;b&gt;"' in made
    assert "left: 10.0000%; top: 10.0000%; width: 50.0000%; height: 50.0000%" in made
    assert 'min="0" max="1" value="1" aria-valuetext="1"' in made


def test_a_guess_becomes_a_form_where_its_answer_was_saved(films):
    notebook = page("a plot", "the figure")
    moving.put_guesses(notebook, films)
    form = notebook.cells[0].outputs[0].data["text/html"]
    assert 'data-answer="3.5 points"' in form
    assert 'min="0" max="10" step="1" value="0"' in form
    notebook = page("a plot", "the figure")
    notebook.cells[2].outputs = []
    moving.put_guesses(notebook, films)
    assert "text/html" not in notebook.cells[0].outputs[0].data


def test_a_number_is_not_answered_by_words():
    with pytest.raises(ValueError, match=r"How many\?.*'none'"):
        fragments.guess_form({"question": "How many?", "answers": [0, 10, 1], "unit": ""}, "none", "guess-0")


def test_the_front_page_takes_its_words_from_the_readme():
    text = "# T\n\nA course in A.\nMore.\n\n| [01 One](notebooks/01_a.ipynb) | asks? | 25 min | needs |\n\n![M](a/b.gif)\n"
    assert front.ROW.findall(text) == [("01 One", "notebooks/01_a", "asks?", "25 min")]
    assert front.MOVING.search(text)[1] == "M"
