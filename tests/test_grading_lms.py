"""Four learning management systems: their names, their lists of a course, and the marks and feedback that they take back."""

import csv
import io
import json
import zipfile
from pathlib import Path

import hostile
import pytest
from grading_runs import RIGHT4

from course_lib import checks
from exercises.grading import gradebook, lms, pages, roster, scoring, submissions
from exercises.grading.grading import Graded, Row
from exercises.grading.lms import base
from exercises.grading.lms.base import Table
from exercises.grading.overrides import Override

EX1, EX4 = checks.soft_targets, checks.distillation_loss
RIGHT1 = hostile.notebook(hostile.solution(EX1.stem))
SIX_SCRIPTS = ["Jörg Müller", "Zoë Ñandú", "Анна Иванова", "学生小明", "محمد علي", "Παύλος Γ", "अनिल कुमार"]

# name in a download -> (LMS, student, identity, file, late)
NAMES = {
    "muellerana_4711_99_04.ipynb": ("Canvas", "muellerana", "4711", "04.ipynb", False),
    "müllerjörg_LATE_4711_99_a_1_2.ipynb": ("Canvas", "müllerjörg", "4711", "a_1_2.ipynb", True),
    "mary_annsmith_77_905_01_soft_targets.ipynb": ("Canvas", "mary_annsmith", "77", "01_soft_targets.ipynb", False),
    "anon_aB3dE_901_01_soft_targets.ipynb": ("Canvas", "anon aB3dE", "aB3dE", "01_soft_targets.ipynb", False),
    "LATE_anon_aB3dE_901_x.ipynb": ("Canvas", "anon aB3dE", "aB3dE", "x.ipynb", True),
    "muellerana_4711_text.html": ("Canvas", "muellerana", "4711", "text.html", False),
    "Ana Müller_123_assignsubmission_file_": ("Moodle", "Ana Müller", "123", "", False),
    "Ana Müller_123_assignsubmission_file": ("Moodle", "Ana Müller", "123", "", False),
    "Ana Müller_123_assignsubmission_file_04_1_2.ipynb": ("Moodle", "Ana Müller", "123", "04_1_2.ipynb", False),
    "Participant_88_assignsubmission_file_": ("Moodle", "Participant 88", "88", "", False),
    "Home_work 1_ab12_attempt_2026-02-12-21-30-34_04.ipynb": ("Blackboard", "ab12", "ab12", "04.ipynb", False),
    "Homework_ab12_attempt_2026-02-12-21-30-34.txt": ("Blackboard", "ab12", "ab12", "", False),
    "152711-351765 - John Doe - May 18, 2026 1224 PM": ("Brightspace", "John Doe", "152711", "", False),
    "152711-351765 - A - B - Sep 1, 2026 905 AM - my - 04.ipynb": ("Brightspace", "A - B", "152711", "my - 04.ipynb", False),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_each_says_in_a_name(name):
    named = lms.parse(name)
    assert (named.lms, named.student, named.identity, named.file, named.late) == NAMES[name]


@pytest.mark.parametrize(
    "name", ["ana", "04_distillation_loss.ipynb", "hw_4.ipynb", "1-2 - Ana", "Ana_x_assignsubmission_file_", ""]
)
def test_other_names_are_of_no_lms(name):
    assert lms.parse(name) is None


@pytest.mark.parametrize(
    ("name", "own", "student"),
    [
        ("mallory_7_99_Ana_1001_assignsubmission_file_01.ipynb", "Canvas", "mallory"),
        ("Mallory_7_assignsubmission_file_ana_1001_99_01.ipynb", "Moodle", "Mallory"),
        ("HW_mallory_attempt_2026-02-12-21-30-34_Ana_1001_assignsubmission_file_01.ipynb", "Blackboard", "mallory"),
        ("7-8 - Mallory - May 1, 2026 905 AM - ana_1001_99_01.ipynb", "Brightspace", "Mallory"),
    ],
)
def test_what_a_student_wrote_after_it_does_not_count(name, own, student):
    named = lms.parse(name)
    assert (named.lms, named.student) == (own, student)


@pytest.mark.parametrize("name", ["_1_2_" * 9_000, "1-2 - " + "a - " * 9_000, "a_attempt_" * 9_000, "_attempt_2026-" * 9_000])
def test_long_names_are_read_at_once(name):
    lms.parse(name + "\n")


def test_every_module_is_a_format_that_offers_all():
    modules = {path.stem for path in Path(lms.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert {form.__name__.rpartition(".")[2] for form in lms.FORMATS} == modules
    for form in lms.FORMATS:
        assert lms.format_of(form.NAME) is form
        assert all(hasattr(form, name) for name in ("MARK", "OWN", "SURE", "LASTING", "parse", "people", "marks", "feedback"))


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Soft targets (88),Lab safety training (89),Essay (90),Final Score
    Points Possible,,,,,12,5,10,(read only)
"Müller, Jörg",4711,s1,jmueller,A,,5,7,70
"Smith, Mary Ann",77,s2,msmith,A,3,5,,10
"Student, Test",1,,,A,,,,
"""
WORKSHEET = """Identifier,"Full name","Email address",Status,Grade,"Maximum Grade","Changeable","Last modified (grade)"
"Participant 123","Ana Müller",ana@x.org,Submitted,,100.00,Yes,-
"Participant 124","Ben Koch",ben@x.org,"No submission",,100.00,Yes,-
"""
SECOND = WORKSHEET.replace("123", "923").replace("124", "924")
BRIGHTSPACE = """OrgDefinedId,Username,Last Name,First Name,01 soft targets Points Grade <MaxPoints:12>,End-of-Line Indicator
#400,#doej,Doe,John,,#
#401,#roej,Roe,Jane,,#
"""
BLACKBOARD = """"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"01 soft targets [Total Pts: 12 Score] |1281892"
"Doe"\t"John"\t"j_doe"\t"400"\t""
"Roe"\t"Jane"\t"roej"\t"401"\t""
"""
LISTS = {"Canvas": CANVAS, "Moodle": WORKSHEET, "Brightspace": BRIGHTSPACE, "Blackboard": BLACKBOARD}


def people_in(folder: Path, *texts: str, encoding: str = "utf8") -> roster.Roster:
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"list{number}.csv")
        paths[-1].write_text(text, encoding=encoding)
    return roster.read(paths)


@pytest.mark.parametrize("encoding", ["utf8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("name", LISTS)
def test_the_list_of_each_is_read_in_any_encoding(tmp_path, name, encoding):
    known = people_in(tmp_path, LISTS[name], encoding=encoding)
    assert [table.lms for table in known.tables] == [name]
    assert len(known.people) == 2
    assert [person.name for person in known if "ö" in person.name or "ü" in person.name] == {
        "Canvas": ["Müller, Jörg"],
        "Moodle": ["Ana Müller"],
    }.get(name, [])


@pytest.mark.parametrize(("text", "says"), [("a,b\n1,2\n", "begins: a, b"), ("", "is empty")])
def test_another_list_is_refused(tmp_path, text, says):
    with pytest.raises(base.RosterError, match=says):
        people_in(tmp_path, text)


def test_lists_of_two_assignments_are_about_the_same_people(tmp_path):
    known = people_in(tmp_path, WORKSHEET, SECOND)
    assert [(person.name, {number for _, number in person.identities}) for person in known] == [
        ("Ana Müller", {"123", "923"}),
        ("Ben Koch", {"124", "924"}),
    ]
    same_name = people_in(tmp_path, WORKSHEET.replace("Ben Koch", "Ana Müller"))
    assert len(same_name.people) == 2


def rows_from(folder: Path, names: dict[str, str], known: roster.Roster | None = None) -> list[Row]:
    """Rows for files of these names, as if all parts of what can be read were right."""
    for name, text in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    rows = []
    for student in submissions.collect(folder, known):
        graded = []
        for exercise in checks.EXERCISES[:4]:
            notebook = student.notebooks.get(exercise.name, [None])[-1]
            parts = scoring.judge(exercise, exercise.observe(exercise.right, 7), 7) if notebook else ()
            graded.append(Graded(exercise, parts or scoring.all_of(exercise, "missing"), notebook=notebook))
            graded[-1].file = notebook.file.path if notebook else ""
        rows.append(Row(student, graded))
    return rows


def uploaded(rows: list[Row], known: roster.Roster | None = None, *wanted: str) -> dict[str, list[list[str]] | bytes]:
    files = gradebook.uploads(rows, known.tables if known else [], [pages.feedback(row) for row in rows], wanted)
    tables = {name: list(csv.reader(io.StringIO(text))) for name, text in files.items() if isinstance(text, str)}
    return {**files, **tables}


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_canvas_takes_marks_and_feedback_back(tmp_path):
    names = {"müllerjörg_4711_99_01_soft_targets.ipynb": RIGHT1, "mary_annsmith_LATE_77_905_04.ipynb": RIGHT4}
    rows = rows_from(tmp_path, names)
    files = uploaded(rows)
    assert files["canvas.csv"] == [
        ["\ufeffStudent", "ID", "SIS User ID", "SIS Login ID", "Section", EX1.stem, EX4.stem],
        ["    Points Possible", "", "", "", "", "6", "8"],
        ["mary_annsmith", "77", "", "", "", "", "8"],
        ["müllerjörg", "4711", "", "", "", "6", ""],
    ]
    returned = members(files["canvas-feedback.zip"])
    assert set(returned) == set(names)
    for data in returned.values():  # under the name of a notebook a notebook
        assert "points" in json.loads(data)["cells"][0]["source"]
    assert uploaded(rows)["canvas-feedback.zip"] == files["canvas-feedback.zip"]
    assert "Total" not in files["canvas.csv"][0]


def test_canvas_gets_its_own_columns_back(tmp_path):
    known = people_in(tmp_path, CANVAS)
    rows = rows_from(tmp_path / "class", {"anybody_4711_99_01_soft_targets.ipynb": RIGHT1}, known)
    assert uploaded(rows, known)["canvas.csv"] == [
        ["\ufeffStudent", "ID", "SIS User ID", "SIS Login ID", "Section", "Soft targets (88)"],
        ["    Points Possible", "", "", "", "", "12"],
        ["Müller, Jörg", "4711", "s1", "jmueller", "A", "12"],  # of twelve, as Canvas has it
        ["Smith, Mary Ann", "77", "s2", "msmith", "A", "3"],  # what is there stays where nothing was handed in
    ]


@pytest.mark.parametrize("kind", ["{}_{}_assignsubmission_file_/{}", "{}_{}_assignsubmission_file_{}"])
def test_moodle_takes_marks_and_feedback_back(tmp_path, kind):
    names = {kind.format("Ana Müller", 123, "01.ipynb"): RIGHT1, kind.format("Ana Müller", 923, "04.ipynb"): RIGHT4}
    rows = rows_from(tmp_path / "class", names)
    assert [row.student.name for row in rows] == ["Ana Müller"]
    files = uploaded(rows)
    assert files["moodle.csv"] == [
        ["\ufeffIdentifier", "Full name", "Grade", "Last modified (grade)"],
        ["Participant 123", "Ana Müller", "6", ""],
        ["Participant 923", "Ana Müller", "8", ""],
    ]
    folders = {f"Ana Müller_{number}_assignsubmission_file_/feedback.html" for number in (123, 923)}
    assert set(members(files["moodle-feedback.zip"])) == folders


def test_moodle_gets_its_own_worksheets_back(tmp_path):
    known = people_in(tmp_path, WORKSHEET, SECOND)
    names = {
        "hw1/Ana Müller_123_assignsubmission_file_/01.ipynb": RIGHT1,
        "hw2/Ana Müller_923_assignsubmission_file_/04.ipynb": RIGHT4,
        "hw2/Ben Koch_924_assignsubmission_file_/04.ipynb": RIGHT4,
    }
    rows = rows_from(tmp_path / "class", names, known)
    assert [row.student.name for row in rows] == ["Ana Müller", "Ben Koch"]
    files = uploaded(rows, known)
    for number, grades in enumerate([["100", ""], ["100", "100"]]):
        lines = files[f"moodle-list{number}.csv"]
        assert [line[4] for line in lines[1:]] == grades
        assert lines[0][1:] == known.tables[number].header[1:]
        assert [line[7] for line in lines[1:]] == ["-", "-"]


def test_a_mark_by_hand_goes_out_where_nothing_was_handed_in(tmp_path):
    known = people_in(tmp_path, WORKSHEET)
    rows = rows_from(tmp_path / "class", {"Ana Müller_123_assignsubmission_file_/01.ipynb": RIGHT1}, known)
    rows[1].graded[0].override = Override(3, "shown on paper")
    assert [line[4] for line in uploaded(rows, known)["moodle.csv"][1:]] == ["100", "50"]


def test_brightspace_takes_marks_and_feedback_back(tmp_path):
    known = people_in(tmp_path, BRIGHTSPACE)
    folder = "152711-351765 - John Doe - May 18, 2026 1224 PM"
    rows = rows_from(tmp_path / "class", {f"{folder}/01.ipynb": RIGHT1, "index.html": "<html>"}, known)
    files = uploaded(rows, known)
    title = "01 soft targets Points Grade <MaxPoints:12>"
    assert files["brightspace.csv"] == [
        ["OrgDefinedId", "Username", title, "End-of-Line Indicator"],
        ["#400", "#doej", "12", "#"],
        ["#401", "#roej", "", "#"],
    ]
    assert set(members(files["brightspace-feedback.zip"])) == {f"{folder}/feedback.html"}


def test_blackboard_takes_marks_back_by_its_number_of_a_column(tmp_path):
    known = people_in(tmp_path, BLACKBOARD)
    name = "My_homework_j_doe_attempt_2026-02-12-21-30-34"
    rows = rows_from(tmp_path / "class", {f"{name}_01.ipynb": RIGHT1, f"{name}.txt": "Name: John Doe (j_doe)"}, known)
    assert [(row.student.name, row.student.identity) for row in rows] == [("Doe, John", "j_doe"), ("Roe, Jane", "roej")]
    lines = uploaded(rows, known)["blackboard.csv"]
    assert lines[0][-1].endswith("|1281892")
    assert lines[1:] == [["Doe", "John", "j_doe", "400", "12"], ["Roe", "Jane", "roej", "401", ""]]
    assert "blackboard.csv" not in uploaded(rows_from(tmp_path / "class", {}))  # without its list there is no such number


def test_an_lms_that_left_no_trace_can_be_asked_for(tmp_path):
    rows = rows_from(tmp_path, {"ana/01.ipynb": RIGHT1})
    assert uploaded(rows) == {}
    assert uploaded(rows, None, "canvas")["canvas.csv"][2][0] == "ana"


@pytest.mark.parametrize("name", SIX_SCRIPTS)
def test_names_in_many_scripts_are_found_again(tmp_path, name):
    last, first = name[-1], name[:-1].strip()
    text = CANVAS.replace("Müller, Jörg", f"{last}, {first}")
    handed_in = "".join(c for c in f"{last}, {first}".lower() if c.isalnum() or c == "_")
    known = people_in(tmp_path, text.replace("4711", "5"))
    assert known.find(submissions.whose.see(f"{handed_in}_4711_99_01.ipynb", "?")).name == f"{last}, {first}"
    rows = rows_from(tmp_path / "class", {f"{name}/01.ipynb": RIGHT1})
    assert rows[0].student.name == name
    assert name in gradebook.marks(rows)
    assert gradebook.marks(rows).startswith("\ufeff")


@pytest.mark.parametrize(
    ("title", "exercise"),
    [
        ("01_soft_targets (88)", EX1),
        ("Exercise 4: the distillation loss", EX4),
        ("Homework 3 - Gradient of the Soft Term", checks.gradient),
        ("05 training", checks.training),
        ("Lab safety training (89)", None),
        ("Total", None),
        ("Schedule", None),
        ("A temperature schedule", checks.schedule),
    ],
)
def test_which_exercise_a_column_is_for(title, exercise):
    assert base.exercise_of(title) is exercise


def test_marks_are_scaled_to_what_the_lms_counts():
    assert [base.scale(3, 6, most) for most in ("", "6", "100.00", "12,5", "0", "(read only)")] == [3, 3, 50, 6.25, 3, 3]
    assert Table(Path("x"), [["a"], ["1", "2"]]).cell(1, "b") == ""
