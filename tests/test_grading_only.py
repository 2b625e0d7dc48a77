"""One student graded again: that row changes, and nothing of anybody else is lost."""

import csv
import json
import shutil

import pytest
from grading_runs import grade, pages_of, rows_of, small_class, whole_notebook
from test_grading_again import without_children  # noqa: F401 (a fixture)
from test_grading_lms import CANVAS

from course_lib import checks
from exercises.grading import chosen, kept
from exercises.grading.lms import Named
from exercises.grading.submissions import Student

pytestmark = pytest.mark.usefixtures("without_children")
RIGHT6 = whole_notebook(checks.schedule)


@pytest.fixture
def marked(tmp_path):
    """(submissions, output) of three students with two exercises each, graded."""
    small_class(tmp_path / "class")
    assert grade(tmp_path / "class", tmp_path / "out", "--exercise", "1", "--exercise", "6", "--nbgrader") == 0
    return tmp_path / "class", tmp_path / "out"


def test_only_this_row_changes_and_all_else_stays(marked, capsys):
    place, out = marked
    (place / "s1" / "06_schedule.ipynb").write_text(RIGHT6, encoding="utf8")
    other = whole_notebook(checks.schedule, checks.schedule.mistakes[3])
    (place / "s2" / "06_schedule.ipynb").write_text(other, encoding="utf8")
    before, pages = rows_of(out), pages_of(out)
    capsys.readouterr()
    assert grade(place, out, "--only", "S1") == 0
    said = capsys.readouterr()
    assert "1 submission to run" in said.err
    assert "students graded: 3" in said.out
    after = rows_of(out)
    assert after["s1"]["06_schedule"] == str(checks.schedule.points) != before["s1"]["06_schedule"]
    assert {name: after[name] for name in ("s0", "s2")} == {name: before[name] for name in ("s0", "s2")}
    now = pages_of(out)
    assert set(now) == set(pages)
    assert {name for name in now if now[name] != pages[name]} == {
        "grades.csv", "grades_nbgrader.csv", "feedback/s1.html", "report.html", "items.csv",
    }  # fmt: skip
    assert grade(place, out, "--exercise", "1", "--exercise", "6", "--nbgrader") == 0
    assert "1 submission to run" in capsys.readouterr().err  # that of s2: what is known of the others is still there


def test_where_nothing_changed_the_same_bytes_are_written(tmp_path):
    place, out = tmp_path / "class", tmp_path / "out"
    place.mkdir()
    (tmp_path / "list.csv").write_text(CANVAS)
    files = {"müllerjörg_LATE_4711_99_06_schedule.ipynb": RIGHT6, "eve_5_98_06.ipynb": RIGHT6, "eve_5_97_x.rar": "x"}
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf8")
    assert grade(place, out, "--roster", str(tmp_path / "list.csv")) == 0
    (out / "overrides.csv").write_text("Student,Exercise,Points\neve,6,1\n")
    assert grade(place, out, "--roster", str(tmp_path / "list.csv")) == 0
    first = pages_of(out)
    for who in ("eve", "4711", "Smith, Mary Ann"):  # a name, a number, somebody of whom there is nothing
        assert grade(place, out, "--only", who) == 0
        assert pages_of(out) == first, who
    assert "to the last byte" in first["report.html"].decode()


def test_one_new_file_alone_loses_no_other_mark(marked, tmp_path):
    _, out = marked
    before = rows_of(out)
    (tmp_path / "mail" / "s1").mkdir(parents=True)
    (tmp_path / "mail" / "s1" / "06_schedule.ipynb").write_text(RIGHT6, encoding="utf8")
    assert grade(tmp_path / "mail", out, "--only", "s1") == 0
    after = rows_of(out)
    assert (after["s1"]["06_schedule"], after["s1"]["01_soft_targets"]) == ("7", before["s1"]["01_soft_targets"])
    assert after["s0"] == before["s0"]
    shutil.move(tmp_path / "mail" / "s1", tmp_path / "mail" / "new")
    assert grade(tmp_path / "mail", out, "--only", "new") == 0
    assert list(rows_of(out)) == ["new", "s0", "s1", "s2"]
    assert rows_of(out)["new"]["01_soft_targets"] == "0"


def test_one_exercise_of_one_student(marked):
    place, out = marked
    before = rows_of(out)
    for exercise in (checks.soft_targets, checks.schedule):
        (place / "s1" / f"{exercise.stem}.ipynb").write_text(whole_notebook(exercise), encoding="utf8")
    assert grade(place, out, "--only", "s1", "--exercise", "6") == 0
    after = rows_of(out)
    assert after["s1"]["06_schedule"] == "7"
    assert after["s1"]["01_soft_targets"] == before["s1"]["01_soft_targets"] != "6"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--only", "03"], 'nobody is called "03"; for an exercise: --exercise 03'),
        (["--only", "schedule"], "for an exercise: --exercise schedule"),
        (["--only", "s7"], 'got "s7"; near to it: s'),
        (["--only", "s1", "--seed", "8"], "--seed must be 7 with --only"),
        (["--only", "s1", "--exercise", "3"], "--exercise 03_gradient has no column"),
    ],
)
def test_what_can_not_be_done_is_said_and_changes_nothing(marked, capsys, more, says):
    place, out = marked
    before = pages_of(out)
    assert grade(place, out, *more) == 1
    assert says in capsys.readouterr().err
    assert pages_of(out) == before


def test_without_a_gradebook_that_fits_nobody_is_graded_alone(marked, tmp_path, capsys):
    place, out = marked
    assert grade(place, tmp_path / "other", "--only", "s1") == 1
    assert "there is none; run once without --only" in capsys.readouterr().err
    path = out / kept.NAME
    whole = json.loads(path.read_text())
    whole["rows"][0]["graded"][0]["parts"].pop()
    for text in (json.dumps(whole), "[]", "{"):
        path.write_text(text)
        assert grade(place, out, "--only", "s1") == 1
        assert "run once without --only" in capsys.readouterr().err
    assert len(list(csv.reader((out / "grades.csv").open()))) == 4


def test_a_student_called_like_an_exercise_is_a_student():
    students = [Student("03"), Student("Kim 1", "1"), Student("Kim", "2"), Student("Lee", "3"), Student("LEE", "4")]
    assert chosen.choose(students, ["03", "kim", "1", "KIM"]) == [students[0], students[2], students[1]]
    with pytest.raises(chosen.NobodyError, match="the name of 2 students"):
        chosen.choose(students, ["lee"])


def test_who_is_the_same_in_two_runs():
    def student(name, number, lms="Canvas"):
        return Student(name, number, named=[Named(lms, name, number)])

    assert kept.is_same(student("Kim", "1"), student("Kim 1", "1"))
    assert not kept.is_same(student("Kim", "1"), student("Kim", "2"))
    assert kept.is_same(student("Kim", "1", "Moodle"), student("Kim", "2", "Moodle"))  # its numbers are of one assignment
    assert kept.is_same(Student("Kim"), Student("KIM"))
