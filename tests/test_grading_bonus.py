"""A bonus: its marks are added, and its points are not among those that can be had."""

import csv

import pytest
from grading_runs import grade, rows_of, whole_notebook
from test_grading_again import without_children  # noqa: F401 (a fixture)

from course_lib import checks
from exercises.grading import pages

pytestmark = pytest.mark.usefixtures("without_children")
EX1, EX6 = checks.soft_targets, checks.schedule


def test_marks_are_added_and_points_are_not(tmp_path):
    place, out = tmp_path / "class", tmp_path / "out"
    place.mkdir()
    for name, exercises in {"anal_4_9": (EX1, EX6), "benr_5_8": (EX1,)}.items():
        for exercise in exercises:
            (place / f"{name}_{exercise.stem}.ipynb").write_text(whole_notebook(exercise), encoding="utf8")
    line = ["--exercise", "1", "--exercise", "6", "--nbgrader"]
    assert grade(place, out, *line, "--bonus", "6,2") == 0
    assert {name: row["Total"] for name, row in rows_of(out).items()} == {"anal": "13", "benr": "6"}
    page = (out / "feedback" / "anal.html").read_text()
    assert "13 of 6 points" in page
    assert "7 bonus points, of 7" in page
    assert "of 6 points" in (out / "report.html").read_text()
    canvas = list(csv.reader((out / "upload" / "canvas.csv").open(encoding="utf-8-sig")))
    assert canvas[1][5:] == ["6", "0"]  # no points possible: what Canvas calls extra credit
    assert canvas[2][5:] == ["6", "7"]
    nbgrader = list(csv.DictReader((out / "grades_nbgrader.csv").open()))
    assert {(row["assignment"], row["max_score"]) for row in nbgrader} == {("01_soft_targets", "6"), ("06_schedule", "0")}
    assert grade(place, out, *line) == 0
    assert "13 of 13 points" in (out / "feedback" / "anal.html").read_text()


@pytest.mark.parametrize(("points", "possible"), [([13, 6], 6), ([6.5, 0], 0), ([0], 53)])
def test_the_figure_shows_marks_beyond_what_is_possible(points, possible):
    axes = pages.draw_distribution(points, possible).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == len(points)


def test_a_bonus_that_is_no_exercise_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        grade(tmp_path, tmp_path.parent / "out", "--bonus", "6,99")
    assert "--bonus must be" in capsys.readouterr().err
