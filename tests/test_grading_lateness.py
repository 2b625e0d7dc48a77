"""Lateness by the LMS's dates: a rule that is said, and nobody is punished for a date that nobody knows."""

from datetime import timedelta

import pytest
from grading_runs import grade, rows_of, whole_notebook
from test_grading_again import without_children  # noqa: F401 (a fixture)

from course_lib import checks
from exercises.grading import arguments, lateness
from exercises.grading.overrides import Override
from exercises.grading.rows import Graded, Late

pytestmark = pytest.mark.usefixtures("without_children")
EX6 = checks.schedule
DUE = ["--due", "2026-12-01T12:00+01:00", "--late", "10% a day, at most 50%"]


@pytest.mark.parametrize(
    ("words", "late", "fraction"),
    [
        ("10% a day, at most 50%", timedelta(), 0),
        ("10% a day, at most 50%", timedelta(minutes=1), 0.1),
        ("10% a day, at most 50%", timedelta(days=1), 0.1),
        ("10% a day, at most 50%", timedelta(days=1, seconds=1), 0.2),
        ("10% a day, at most 50%", timedelta(days=30), 0.5),
        ("2.5 % per hour up to 20%", timedelta(hours=2), 0.05),
        ("40% each day", timedelta(days=9), 1),
    ],
)
def test_what_the_rule_takes(words, late, fraction):
    assert lateness.rule(words).fraction(late) == pytest.approx(fraction)
    assert lateness.rule(words).fraction(-late) == 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--due", "1.12.2026"], "--due must be as 2026-12-01T12:00+01:00"),
        (["--due", "99=2026-12-01"], "--due must name an exercise"),
        (["--due", "2026-12-01", "--late", "a bit"], '--late must be as "10% a day, at most 50%"'),
        (["--due", "2026-12-01", "--late", "110% a day"], "--late must be"),
        (["--late", "10% a day"], "--late needs --due"),
    ],
)
def test_a_rule_that_is_none_is_refused(tmp_path, capsys, more, says):
    with pytest.raises(SystemExit):
        grade(tmp_path, tmp_path.parent / "out", *more)
    assert says in capsys.readouterr().err


def test_an_exercise_may_have_a_date_of_its_own():
    dates = arguments.due_dates(["2026-12-01T12:00", "04=2026-12-08T12:00"])
    assert dates[checks.distillation_loss].day == 8
    assert {when.day for exercise, when in dates.items() if exercise is not checks.distillation_loss} == {1}
    assert list(arguments.due_dates(["4=2026-12-08"])) == [checks.distillation_loss]


def class_of(place, names):
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(whole_notebook(EX6), encoding="utf8")
    return place


def test_brightspace_and_blackboard_tell_dates_in_their_names(tmp_path):
    names = [
        "11-22 - Ana Lopez - Dec 1, 2026 1159 AM/06_schedule.ipynb",
        "12-22 - Ben Roth - Dec 1, 2026 1201 PM/06_schedule.ipynb",
        "13-22 - Cleo Ito - Dec 20, 2026 900 AM/06_schedule.ipynb",
    ]
    assert grade(class_of(tmp_path / "class", names), tmp_path / "out", "--exercise", "6", *DUE) == 0
    found = rows_of(tmp_path / "out")
    assert [found[name]["06_schedule"] for name in ("Ana Lopez", "Ben Roth", "Cleo Ito")] == ["7", "6.3", "3.5"]
    assert [found[name]["Taken off for lateness"] for name in sorted(found)] == ["0", "0.7", "3.5"]
    page = (tmp_path / "out" / "feedback" / "Cleo Ito.html").read_text()
    assert "3.5 of the 7 points are taken off for lateness (10% a day, at most 50%)" in page
    assert "late by 18 days 21 hours" in page
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Taken off for lateness: 10% a day, at most 50%" in report
    assert "no time of submission" not in report
    blackboard = class_of(tmp_path / "bb", ["hw_ana_attempt_2026-12-03-10-00-00_06_schedule.ipynb"])
    assert grade(blackboard, tmp_path / "out2", "--exercise", "6", *DUE) == 0
    assert rows_of(tmp_path / "out2")["ana"]["06_schedule"] == "5.6"


def test_moodle_tells_dates_in_its_worksheet_and_who_is_unknown_loses_nothing(tmp_path, capsys):
    names = [f"{who}_{number}_assignsubmission_file_/06_schedule.ipynb" for who, number in (("Ana Lopez", 1), ("Ben Roth", 2))]
    names.append("Cleo Ito_3_assignsubmission_file_/06_schedule.ipynb")
    (tmp_path / "list.csv").write_text(
        "Identifier,Full name,Grade,Maximum Grade,Last modified (submission),Last modified (grade)\n"
        'Participant 1,Ana Lopez,,7.00,"Wednesday, 2 December 2026, 3:14 PM",-\n'
        'Participant 2,Ben Roth,,7.00,"2. prosince 2026, 15.14",-\n'
        "Participant 3,Cleo Ito,,7.00,-,-\n"
    )
    line = ["--exercise", "6", "--roster", str(tmp_path / "list.csv"), *DUE]
    assert grade(class_of(tmp_path / "class", names), tmp_path / "out", *line) == 0
    found = rows_of(tmp_path / "out")
    assert [found[name]["06_schedule"] for name in ("Ana Lopez", "Ben Roth", "Cleo Ito")] == ["5.6", "7", "7"]
    words = "06_schedule: the LMS gives no time of submission for Ben Roth; Cleo Ito. Nothing was taken off."
    assert words in capsys.readouterr().err
    assert words in (tmp_path / "out" / "report.html").read_text()
    assert "5.6" in (tmp_path / "out" / "upload" / "moodle.csv").read_text()
    before = (tmp_path / "out" / "grades.csv").read_bytes()
    assert grade(tmp_path / "class", tmp_path / "out", "--only", "Cleo Ito") == 0  # the rule is that of the run before
    assert (tmp_path / "out" / "grades.csv").read_bytes() == before


def test_canvas_says_late_without_a_time(tmp_path):
    place = class_of(tmp_path / "class", ["anal_LATE_4_99_06_schedule.ipynb", "benr_5_98_06_schedule.ipynb"])
    assert grade(place, tmp_path / "out", "--exercise", "6", *DUE) == 0
    assert {row["06_schedule"] for row in rows_of(tmp_path / "out").values()} == {"7"}
    report = (tmp_path / "out" / "report.html").read_text()
    assert "the LMS says that it came late, but not how late; nothing was taken off" in report


def test_a_mark_by_hand_stands_as_it_was_given():
    graded = Graded(EX6, (), late_by=Late("2 days", 1.4, "10% a day"))
    graded.override = Override(5, "agreed")
    assert (graded.points, graded.taken, graded.late) == (5, 0, True)
