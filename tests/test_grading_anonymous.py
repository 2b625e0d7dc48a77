"""Pseudonyms on all that is read; real names in what goes back, and in a key apart."""

import csv
import json
import random
import re
import zipfile

import hostile
import pytest
import written_alone
from grading_runs import grade, pages_of, whole_notebook
from test_grading_again import without_children  # noqa: F401 (a fixture)

from course_lib import checks
from exercises.grading import alike, anonymous
from exercises.grading.submissions import Student

pytestmark = pytest.mark.usefixtures("without_children")
EX6 = checks.schedule
PEOPLE = {"Ana Lopez": "1001", "Ben Roth": "1002", "Cleo Itō": "1003"}
LINE = ["--exercise", "6", "--anonymous"]


@pytest.fixture
def moodle(tmp_path):
    """A class in Moodle's folders: two files that are the same, a name in a comment, a file of no exercise, one of nobody."""
    place = tmp_path / "class"
    for who, number in PEOPLE.items():
        folder = place / f"{who}_{number}_assignsubmission_file_"
        folder.mkdir(parents=True)
        text = whole_notebook(EX6)
        if who == "Cleo Itō":
            cells = [f"# by {who}, {number}\n{cell}" if "linear_T" in cell else cell for cell in hostile.solution(EX6.stem)]
            text = hostile.notebook([cell.replace("# === end", f"# {who}\n# === end") for cell in cells])
        (folder / f"06_schedule {who}.ipynb").write_text(text, encoding="utf8")
        (folder / f"{who}.rar").write_text("x")
    return place


def key_of(out) -> dict[str, str]:
    return {row["Student"]: row["Pseudonym"] for row in csv.DictReader((out / "key.csv").open(encoding="utf-8-sig"))}


def test_no_name_and_no_number_on_what_is_read(moodle, tmp_path):
    out = tmp_path / "out"
    assert grade(moodle, out, *LINE) == 0
    key = key_of(out)
    assert set(key) == set(PEOPLE)
    assert all(re.fullmatch(r"student [A-Z2-9]{5}", pseudonym) for pseudonym in key.values())
    read = {name: data.decode() for name, data in pages_of(out).items() if not name.startswith(("upload/", "key.csv"))}
    assert set(read) == {
        "grades.csv", "items.csv", "report.html", "alike.html", *(f"feedback/{pseudonym}.html" for pseudonym in key.values()),
    }  # fmt: skip
    for name, text in read.items():
        for told in (*PEOPLE, *PEOPLE.values(), *(who.split()[0] for who in PEOPLE)):
            assert told not in text, (name, told)
    for pseudonym in key.values():
        assert pseudonym in read["report.html"]
        assert pseudonym in read["grades.csv"]
    assert "to the last byte" in read["report.html"]


def test_what_goes_back_has_real_names(moodle, tmp_path):
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert grade(moodle, out, *LINE, "--nbgrader") == 0
    assert grade(moodle, plain, "--exercise", "6", "--nbgrader") == 0
    for name in ("upload/moodle.csv", "upload/moodle-feedback.zip", "grades_nbgrader.csv"):
        assert (out / name).read_bytes() == (plain / name).read_bytes()
    with zipfile.ZipFile(out / "upload" / "moodle-feedback.zip") as archive:
        assert any("Ana Lopez" in archive.read(name).decode() for name in archive.namelist())
    assert not (plain / "key.csv").exists()


def test_a_pseudonym_can_be_used_to_change_a_mark_and_to_grade_again(moodle, tmp_path, capsys):
    out = tmp_path / "out"
    assert grade(moodle, out, *LINE) == 0
    pseudonym = key_of(out)["Ben Roth"]
    (out / "overrides.csv").write_text(f"Student,Exercise,Points,Reason\n{pseudonym},6,1,late talk with Ben Roth\n")
    assert grade(moodle, out, "--only", pseudonym) == 0
    rows = {row["Student"]: row for row in csv.DictReader((out / "grades.csv").open(encoding="utf-8-sig"))}
    assert rows[pseudonym]["06_schedule"] == "1"
    assert f"late talk with {pseudonym}" in (out / "report.html").read_text()
    assert set(key_of(out)) == set(PEOPLE)
    assert json.loads((out / ".grading" / "gradebook.json").read_text())["settings"]["anonymous"] is True


def test_pseudonyms_are_stable_and_differ():
    class_ = [Student(f"s{number}", str(number)) for number in range(500)]
    found = anonymous.pseudonyms(class_, 7)
    assert len(found) == 500
    again = {student.name: pseudonym for pseudonym, student in anonymous.pseudonyms(class_[:50], 7).items()}
    assert all(found[pseudonym].name == name for name, pseudonym in again.items())
    assert not set(anonymous.pseudonyms(class_, 8)) & set(found)
    renamed = anonymous.pseudonyms([Student("other", "3")], 7)
    assert found[next(iter(renamed))].name == "s3"


@pytest.mark.skipif(alike.Indel is None, reason="rapidfuzz is not installed; pip install -e '.[grading]'")
def test_answers_alike_stand_under_pseudonyms(tmp_path):
    rng, place = random.Random(3), tmp_path / "class"
    texts = {f"Person {letter * 3}": written_alone.answers(rng) for letter in "abcdefgh"}
    texts["Person zzz"] = written_alone.renamed(texts["Person aaa"])
    for name, own in texts.items():
        (place / name).mkdir(parents=True)
        cells = [hostile.IMPORTS, *(hostile.marked(*one) for one in own.items())]
        (place / name / "04_distillation_loss.ipynb").write_text(hostile.notebook(cells), encoding="utf8")
    assert grade(place, tmp_path / "out", "--exercise", "4", "--anonymous") == 0
    page = (tmp_path / "out" / "alike.html").read_text()
    key = key_of(tmp_path / "out")
    assert "Person" not in page
    assert all(key[name] in page for name in ("Person aaa", "Person zzz"))
    assert "1 pair agrees more than chance explains" in (tmp_path / "out" / "report.html").read_text()


def test_a_name_of_another_in_an_answer_stays(moodle, tmp_path):
    cells = [cell.replace("# === end", "# with Ben Roth\n# === end") for cell in hostile.solution(EX6.stem)]
    (moodle / "Ana Lopez_1001_assignsubmission_file_" / "06_schedule.ipynb").write_text(hostile.notebook(cells))
    assert grade(moodle, tmp_path / "out", *LINE) == 0
    key = key_of(tmp_path / "out")
    assert "with Ben Roth" in (tmp_path / "out" / "feedback" / f"{key['Ana Lopez']}.html").read_text()
