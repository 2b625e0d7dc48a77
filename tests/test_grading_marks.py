"""Marks that go out: changed by hand, for some exercises only, late, safe in a spreadsheet, and within bounds in the report."""

import csv
import io
import json
import zipfile

import pytest
from grading_runs import RIGHT4, content, grade, pages_of, rows_of, small_class
from matplotlib.backends.backend_agg import FigureCanvasAgg
from test_grading_again import without_children  # noqa: F401 (a fixture)
from test_grading_everybody import EX1, RIGHT1, handed_in
from test_grading_lms import CANVAS

from course_lib import checks
from exercises.grading import gradebook, overrides, pages, scoring
from exercises.grading.grading import Graded, Row
from exercises.grading.submissions import Student

pytestmark = pytest.mark.usefixtures("without_children")
FORMULAS = {
    "=1+1": "'=1+1",
    "a;=1+1": "a;'=1+1",
    "a,+cmd": "a,'+cmd",
    "a|@x": "a|'@x",
    " =1": " '=1",
    '";"=1': '";"\'=1',
    "\uff1d1+1": "'\uff1d1+1",
    "a;\uff0b1": "a;'\uff0b1",
    "\t=1": "\t'=1",
    "a\n-x": "a\n'-x",
    "a\r=1": "a\n'=1",
}


def row(name: str = "ana", *right: object, stray: int = 0) -> Row:
    """A student with these exercises right and nothing else handed in."""
    graded = []
    for exercise in checks.EXERCISES:
        answered = exercise in right
        parts = (
            scoring.judge(exercise, exercise.observe(exercise.right, 7), 7) if answered else scoring.all_of(exercise, "missing")
        )
        graded.append(Graded(exercise, parts, file="x.ipynb" if answered else ""))
    return Row(Student(name, stray=[("x" * 200, "no notebook")] * stray), graded)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_for_any_spreadsheet(text):
    assert gradebook._inert(text) == FORMULAS[text]
    assert next(csv.DictReader(io.StringIO(gradebook.marks([row(text)]), newline="")))["\ufeffStudent"] == FORMULAS[text]


@pytest.mark.parametrize("text", ["Ana-Maria O'Neil", "-5", "+3,5", "-", "müllerjörg", "Smith, Jo", "a=b"])
def test_other_cells_stay_as_they_are(text):
    assert gradebook._inert(text) == text


def test_marks_are_readable_in_excel_and_canvas_does_not_take_their_total(tmp_path):
    text = gradebook.marks([row("müllerjörg", EX1)])
    assert text.startswith("\ufeff")
    header = next(csv.reader(io.StringIO(text)))
    assert "Section" not in header  # without which Canvas refuses it, total and all
    assert header[-1] == "Total"


def test_a_mark_changed_by_hand_stays_and_is_shown(tmp_path, capsys):
    place, out = tmp_path / "class", tmp_path / "out"
    small_class(place)
    assert grade(place, out) == 0
    before = rows_of(out)["s1"]["06_schedule"]
    (out / "overrides.csv").write_text(
        '\ufeffStudent;Exercise;Points;Reason\ns1;6;6,5;"right but for <b>"\neve;6;1;\n', encoding="utf8"
    )
    written = content(out)["overrides.csv"]
    for _ in range(2):
        assert grade(place, out) == 0
        assert "eve" in capsys.readouterr().err
        found = rows_of(out)["s1"]
        assert (found["06_schedule"], found["Changed by hand"]) == ("6.5", "06_schedule")
        for page in ("report.html", "feedback/s1.html"):
            text = (out / page).read_text()
            assert "right but for &lt;b&gt;" in text
            assert "6.5" in text
            assert before in text
        assert "eve" in (out / "report.html").read_text()
    assert content(out)["overrides.csv"] == written
    (out / "overrides.csv").unlink()
    assert grade(place, out) == 0
    assert rows_of(out)["s1"]["06_schedule"] == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Student,Exercise,Points\nana,1,7", "points of 01_soft_targets must be a number from 0 to 6"),
        ("Student,Exercise,Points\nana,1,-1", "from 0 to 6"),
        ("Student,Exercise,Points\nana,1,nan", "from 0 to 6"),
        ("Student,Exercise,Points\nana,1,x", "line 2"),
        ("Student,Exercise,Points\nana,,3", "line 2: there must be Student, Exercise and Points"),
        ("Name,Points\nana,3", "line 2: there must be Student, Exercise and Points"),
        ("Student,Exercise,Points\nben,1,3", "is the name of 2 students"),
    ],
)
def test_a_mark_by_hand_that_is_none_is_refused(tmp_path, text, says):
    (tmp_path / "overrides.csv").write_text(text)
    with pytest.raises(overrides.OverrideError, match=says):
        overrides.apply([row("ana"), row("ben"), row("ben")], tmp_path / "overrides.csv")


def test_a_mark_by_hand_that_is_none_is_refused_before_anything_runs(tmp_path, capsys):
    place, out = tmp_path / "class", tmp_path / "out"
    small_class(place)
    out.mkdir()
    (out / "overrides.csv").write_text('Student,Exercise,Points,Reason\nsomebody,1,3,"in two\nlines"\ns1,6,many,')
    assert grade(place, out) == 1
    said = capsys.readouterr().err
    assert "overrides.csv, line 4: points of 06_schedule must be a number from 0 to" in said
    assert "to run" not in said
    assert list(out.iterdir()) == [out / "overrides.csv"]


@pytest.mark.parametrize("named", [["6"], ["06_schedule"], ["schedule", "--exercise", "06"]])
def test_one_exercise_alone(tmp_path, named):
    small_class(tmp_path / "class")
    assert grade(tmp_path / "class", tmp_path / "out", "--exercise", *named) == 0
    found = rows_of(tmp_path / "out")
    assert set(found["s1"]) == {"Student", "Number", "06_schedule", "Total"}
    assert f"of {checks.schedule.points} points" in (tmp_path / "out" / "feedback" / "s1.html").read_text()
    assert "soft_targets" not in (tmp_path / "out" / "report.html").read_text()


def test_an_exercise_that_there_is_not_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        grade(tmp_path, tmp_path.parent / "out", "--exercise", "99")
    assert "--exercise must be" in capsys.readouterr().err


def test_a_class_from_canvas_with_its_list(tmp_path):
    names = {"müllerjörg_LATE_4711_99_01_soft_targets.ipynb": RIGHT1, "eve_5_98_04.ipynb": RIGHT4, "eve_5_97_x.rar": b"x"}
    (tmp_path / "list.csv").write_text(CANVAS)
    out = tmp_path / "out"
    assert grade(handed_in(tmp_path / "class", names), out, "--roster", str(tmp_path / "list.csv")) == 0
    found = rows_of(out)
    assert set(found) == {"Müller, Jörg", "Smith, Mary Ann", "eve"}
    assert [found[name]["Late"] for name in sorted(found)] == ["01_soft_targets", "", ""]
    assert "handed in late" in (out / "feedback" / "Müller, Jörg.html").read_text()
    report = (out / "report.html").read_text()
    assert "No notebook from 1 student" in report
    assert "eve_5_97_x.rar" in report
    assert "Nobody in the roster" in report
    lines = list(csv.reader((out / "upload" / "canvas.csv").open(encoding="utf-8-sig")))
    assert lines[0][5:] == ["Soft targets (88)", "04_distillation_loss"]
    assert lines[1][5:] == ["12", "8"]
    with zipfile.ZipFile(out / "upload" / "canvas-feedback.zip") as archive:
        assert set(archive.namelist()) == set(names) - {"eve_5_97_x.rar"}
    assert set(json.loads((out / ".grading" / "written.json").read_text())) == set(pages_of(out))


def test_a_list_that_is_none_is_refused(tmp_path, capsys):
    (tmp_path / "list.csv").write_text("a,b\n")
    assert grade(tmp_path, tmp_path.parent / "out", "--roster", str(tmp_path / "list.csv")) == 1
    assert "--roster must be" in capsys.readouterr().err


def test_shares_are_of_those_who_handed_in():
    rows = [row("ana", EX1), row("ben"), row("cleo")]
    entry = pages._exercise(rows, 0)
    assert entry["handed_in"] == 1
    assert entry["mean"] == EX1.points
    assert {part["share"] for part in entry["parts"]} == {1.0}
    assert pages._exercise(rows, 1)["mean"] is None
    pages.report(rows, pages.file_names(rows), [], 7)


@pytest.mark.parametrize("points", [[0] * 30, [0] * 30 + [53], [53] * 9, list(range(54))])
def test_the_legend_covers_no_bar(points):
    figure = pages.draw_distribution(points, 53)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    legend = axes.get_legend().get_window_extent()
    assert not any(bar.get_height() and legend.overlaps(bar.get_window_extent()) for bar in axes.patches)


def test_the_report_is_bounded():
    rows = [row(f"s{number}", stray=20) for number in range(100)]
    look = [("y" * 200, "nobody's")] * 100_000
    page = pages.report(rows, pages.file_names(rows), [], 7, look)
    assert len(page) < 500_000
    assert "101,500 more" in page
