"""Files as they come: broken, renamed, zipped, in any folder; each is told apart, and none does harm."""

import io
import json
import os
import zipfile

import hostile
import pytest
from grading_runs import EX4, EX4_FILE, LIMITS, RIGHT4, Spy, grade, only_linux, rows_of, snapshot

from exercises.grading import submissions, whose


def zipped(members: dict[str, bytes], level=zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", level) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def nbformat3() -> str:
    cells = [{"cell_type": "code", "language": "python", "input": text.splitlines(keepends=True), "outputs": []}
             for text in hostile.solution(EX4.stem)]  # fmt: skip
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]})


def odd_cells() -> str:
    whole = json.loads(RIGHT4)
    for cell in whole["cells"]:
        cell["id"] = "same"
        cell["source"] = cell["source"].splitlines(keepends=True)
        cell["metadata"] = {"id": "Xy", "colab": {"base_uri": "https://localhost/"}, "executionInfo": None}
        del cell["outputs"]
    whole["cells"] += [{"cell_type": "code"}, {"cell_type": "code", "source": None}, "no cell", {"source": 3}, None]
    return json.dumps({**whole, "nbformat": 4, "nbformat_minor": 99, "metadata": {"colab": {}, "kernelspec": 0}})


GOOD_TERM = hostile.SIGNATURE + hostile.RIGHT
MAGIC = [
    f"!pip install torch\n%matplotlib inline\n%load_ext autoreload\n{hostile.IMPORTS}files = !ls\n",
    "%%bash\nrm -rf /\n",
    f"%%time\n{GOOD_TERM}",
    "?torch\nF.kl_div?\nraise SystemExit",
    hostile.marked("distillation_loss", hostile.WHOLE),
    "checks.distillation_loss = lambda *a: 'passed'",
    "while True: pass",
]
UNMARKED = [
    hostile.IMPORTS,
    "SCALE = 2\nhalf = lambda x: x / SCALE",
    "def helper(z, T):\n    return half(2 * F.log_softmax(z / T, -1))",
    "def soft_term(z, v, T):\n    a, b = helper(z, T), helper(v, T)\n    return T**2 * (b.exp() * (b - a)).sum(-1).mean()",
    "print(soft_term(undefined, 1, 2))",
    hostile.WHOLE,
]
SECOND_TRY = [*hostile.solution(EX4.stem), hostile.marked("soft_term", hostile.body(hostile.RETURN_ZERO))]
NO_END = [
    hostile.IMPORTS,
    f"# === answer: soft_term ===\n{GOOD_TERM}# === answer: distillation_loss ===\n{hostile.WHOLE}",
]
ONE_OF_TWO = [hostile.IMPORTS, hostile.marked("soft_term", GOOD_TERM)]
OVER_ITS_STUB = [  # which is in a comment now; a draft stands below
    hostile.IMPORTS,
    hostile.marked("soft_term", GOOD_TERM + '    # raise NotImplementedError("soft_term is not answered yet")'),
    hostile.marked("distillation_loss", hostile.WHOLE),
    hostile.body(hostile.RETURN_ZERO),
]
BORROWED = "from course_lib.losses import soft_target_loss as soft_term"
UTF16 = json.dumps(json.loads(RIGHT4), ensure_ascii=False).encode("utf-16")
WINDOWS = json.dumps(json.loads(RIGHT4), ensure_ascii=False).replace("²", "\u00b2").encode("cp1252", "ignore")
FAR_DOWN = zipped({"b.zip": zipped({"c.zip": zipped({"d.zip": zipped({EX4_FILE: RIGHT4.encode()})})})})


def one(data: bytes | str | list[str], name: str = EX4_FILE) -> dict[str, bytes]:
    """A folder with one file: bytes, text, or a notebook of these cells."""
    text = hostile.notebook(data) if isinstance(data, list) else data
    return {name: text.encode() if isinstance(text, str) else text}


# name of the student -> (files, points of exercise 4 or None if that is open, kind of the note in the report or None)
FILES = {
    "invalid JSON": (one(RIGHT4[:-20]), 0, "invalid"),
    "JSON of something else": (one(b"[1, 2, 3]"), 0, "invalid"),
    "deep JSON": (one(b"[" * 200_000), 0, "invalid"),
    "a web page": (one(b"<html>Please log in</html>"), 0, "invalid"),
    "an empty file": (one(b""), 0, "invalid"),
    "bytes": (one(b"\x00\x81\x8d" * 99), 0, "invalid"),
    "format 3": (one(nbformat3()), 8, None),
    "format 3, damaged": (one(b'{"worksheets": [3], "nbformat": 3}'), 0, "invalid"),
    "odd cells": (one(odd_cells()), 8, None),
    "UTF-16": (one(UTF16), 8, None),
    "byte order mark": (one(b"\xef\xbb\xbf" + RIGHT4.encode()), 8, None),
    "Windows": (one(WINDOWS), 8, None),
    "renamed": (one(RIGHT4, "Untitled17.ipynb"), 8, None),
    "wrongly named": (one(RIGHT4, "06_schedule.ipynb"), 8, None),
    "magics": (one(MAGIC), 8, None),
    "without marks": (one(UNMARKED), 8, None),
    "without end marks": (one(NO_END), 8, None),
    "over its stub": (one(OVER_ITS_STUB), 8, None),
    "answered twice": (one(SECOND_TRY), None, "duplicate"),
    "missing cells": (one(ONE_OF_TWO), 3, "missing"),
    "no code": (one([]), 0, "missing"),
    "two files": ({**one(RIGHT4), **one(hostile.exercise4("x = 1"), "04_distillation_loss (2).ipynb")}, 5, "duplicate"),
    "damaged second": ({**one(RIGHT4), **one(b"{", "04_distillation_loss-1.ipynb")}, 8, "duplicate"),
    "uses the library": (one(hostile.exercise4(BORROWED)), 8, "library"),
    "zip": (one(zipped({f"deep/{EX4_FILE}": RIGHT4.encode(), "__MACOSX/._04.ipynb": b"x"}), "work.zip"), 8, None),
    "zip with a way out": (one(zipped({f"../../../escaped/{EX4_FILE}": RIGHT4.encode()}), "work.zip"), 8, None),
    "zip bomb": (one(zipped({EX4_FILE: b" " * 40_000_000}), "work.zip"), 0, "invalid"),
    "damaged zip": (one(b"PK\x03\x04 no", "04_distillation_loss.zip"), 0, "invalid"),
    "Zoë Ñandú 学生": (one(RIGHT4), 8, None),
    "with [brackets] (and more) & 'quotes' $x #1": (one(RIGHT4, f"my  {EX4_FILE}"), 8, None),
    "=SUM(A1:A9)": (one(RIGHT4), 8, None),
}


@only_linux
def test_broken_files(tmp_path, monkeypatch):
    place, out, spy = tmp_path / "class", tmp_path / "out", Spy(monkeypatch)
    for student, (members, *_) in {**FILES, "zip of zips": (one(FAR_DOWN, "work.zip"),)}.items():
        (place / student).mkdir(parents=True)
        for name, data in members.items():
            (place / student / name).write_bytes(data)
    (place / "a folder" / "04_distillation_loss.ipynb").mkdir(parents=True)
    (place / "a link").mkdir()
    (place / "a link" / "04_distillation_loss.ipynb").symlink_to(place / "format 3" / "04_distillation_loss.ipynb")
    (place / "a folder that is a link").symlink_to(place / "format 3")
    (place / "a pipe").mkdir()
    os.mkfifo(place / "a pipe" / "04_distillation_loss.ipynb")
    before = snapshot(place)
    assert grade(place, out, *LIMITS) == 0
    assert snapshot(place) == before
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path.parent / "escaped").exists()
    expected = {student: rest for student, (_, *rest) in FILES.items()}
    expected |= dict.fromkeys(("a folder", "a link", "a pipe"), (0, "invalid"))
    assert set(spy.rows) == {*expected, "zip of zips", "a folder that is a link"}
    assert "link" in spy.rows["a folder that is a link"].student.stray[0][1]
    for student, (points, kind) in expected.items():
        graded = spy.rows[student].graded[EX4.number - 1]
        assert points is None or graded.points == points, f"{student}: {graded}"
        kinds = {note for note, words in graded.notes if "to the last byte" not in words}
        assert kinds >= ({kind} if kind else set()), f"{student}: {graded.notes}"
        assert kind or not kinds, f"{student}: {graded.notes}"
    assert spy.parts("answered twice", EX4)["soft term"].points == 0
    assert "unpacks to far more" in spy.rows["zip bomb"].graded[EX4.number - 1].problem
    assert "too many zips" in spy.rows["zip of zips"].student.stray[0][1]
    assert "'=SUM(A1:A9)" in rows_of(out)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ana/04_distillation_loss.ipynb", ("ana", "", "04_distillation_loss.ipynb")),
        ("ana/sub/x.ipynb", ("ana", "", "x.ipynb")),
        ("muellerana_4711_99_04_distillation_loss-2.ipynb", ("muellerana", "4711", "04_distillation_loss-2.ipynb")),
        ("muellerana_LATE_4711_99_x.ipynb", ("muellerana", "4711", "x.ipynb")),
        ("Ana Müller_123_assignsubmission_file_/04.ipynb", ("Ana Müller", "123", "04.ipynb")),
        ("Ana Müller_123_assignsubmission_file_04.ipynb", ("Ana Müller", "123", "04.ipynb")),
        ("ana_b_04_distillation_loss.ipynb", ("ana_b", "", "04_distillation_loss.ipynb")),
        ("ana - distillation_loss (1).ipynb", ("ana", "", "distillation_loss (1).ipynb")),
        ("04_distillation_loss.ipynb", ("class", "", "04_distillation_loss.ipynb")),
        ("anna/hw_4_1_final.ipynb", ("anna", "", "hw_4_1_final.ipynb")),
        ("anna/hw_4_1_final/04.ipynb", ("anna", "", "04.ipynb")),
        ("muellerana_4711_99_work/deep/04.ipynb", ("muellerana", "4711", "04.ipynb")),
        ("Ana_1_assignsubmission_file_/hw_4_1_final.ipynb", ("Ana", "1", "hw_4_1_final.ipynb")),
        ("__schedule.ipynb", ("_", "", "schedule.ipynb")),
        ("ana__schedule_b__schedule.ipynb", ("ana", "", "schedule_b__schedule.ipynb")),
        ("ana_schedules.ipynb", ("class", "", "ana_schedules.ipynb")),
    ],
)
def test_whose_file_it_is(path, expected):
    assert submissions.owner(path, "class") == expected


def test_names_in_a_zip_lead_nowhere(tmp_path):
    names = ("../../ana/x/" + EX4_FILE, "/etc/ben/" + EX4_FILE, "C:\\cleo\\" + EX4_FILE, "../" + EX4_FILE)
    (tmp_path / "class.zip").write_bytes(zipped(dict.fromkeys(names, RIGHT4.encode())))
    found = {
        student.name: [file.file.path for file in student.notebooks[EX4.name]]
        for student in submissions.collect(tmp_path / "class.zip")
    }
    assert found == {
        "ana": [f"ana/x/{EX4_FILE}"],
        "etc": [f"etc/ben/{EX4_FILE}"],
        "C:": [f"C:/cleo/{EX4_FILE}"],
        "class": [EX4_FILE],
    }


@pytest.mark.parametrize("top", ["", "export/", "export/all/"])
def test_folders_around_all_submissions_are_no_students(tmp_path, top):
    for student in ("ana", "ben"):
        (tmp_path / top / student).mkdir(parents=True)
        (tmp_path / top / student / EX4_FILE).write_text(RIGHT4)
    assert [student.name for student in submissions.collect(tmp_path)] == ["ana", "ben"]


def test_a_student_alone_keeps_the_name(tmp_path):
    (tmp_path / "ana" / "homework").mkdir(parents=True)
    (tmp_path / "ana" / "homework" / EX4_FILE).write_text(RIGHT4)
    assert [student.name for student in submissions.collect(tmp_path)] == ["ana"]


def collected(place, *names: str) -> dict[str, str]:
    """The file of exercise 4 that counts of each student, of files with these names; what is before a `!` is a zip."""
    zips = {}
    for name in names:
        folder, _, member = name.rpartition("!")
        if folder:
            zips.setdefault(folder, {})[member] = RIGHT4.encode()
        else:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(RIGHT4)
    for name, members in zips.items():
        (place / name).write_bytes(zipped(members))
    return {student.name: student.notebooks[EX4.name][-1].file.path for student in submissions.collect(place)}


@pytest.mark.parametrize(("students", "top"), [(("anna",), ""), (("anna", "bob"), ""), (("anna", "bob"), "export/")])
def test_a_name_as_if_from_canvas_is_no_student_in_the_folder_of_one(tmp_path, students, top):
    names = [f"{student}/hw_{number}_1_final.ipynb" for student in students for number in (4, 5)]
    found = collected(tmp_path, *(top + name for name in names))
    assert list(found) == list(students)


@pytest.mark.parametrize("kind", ["{}/", "{}.zip!"])
def test_several_zips_or_folders_of_canvas_are_one_class(tmp_path, kind):
    names = ("anna_11_900_a.ipynb", "bob_12_901_b.ipynb"), ("anna_11_1000_a.ipynb", "bob_LATE_12_1001_b.ipynb")
    places = [kind.format(place) + name for place, inside in zip(("second", "first"), names, strict=True) for name in inside]
    found = collected(tmp_path, *places, "cleo/ex_4_1.ipynb")
    assert found == {"anna": "first/" + names[1][0], "bob": "first/" + names[1][1], "cleo": "cleo/ex_4_1.ipynb"}


@pytest.mark.parametrize(
    "names",
    [
        ("ana_11_9999_04.ipynb", "ana_11_10000_04.ipynb"),
        ("ana_11_9999_04-3.ipynb", "ana_11_10000_04.ipynb"),
        ("ana_11_99_work.zip!04.ipynb", "ana_11_100_work.zip!04.ipynb"),
        ("ana/04-2.ipynb", "ana/04-10.ipynb"),
        ("ana/04 (9).ipynb", "ana/04 (10).ipynb"),
        ("ana/final.ipynb", "ana/final2.ipynb"),
    ],
)
def test_the_last_attempt_counts(tmp_path, names):
    assert collected(tmp_path, "ben/04.ipynb", *names)["ana"] == names[-1].replace(".zip!", "/")


@pytest.mark.parametrize("level", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_any_byte_damaged_is_read_or_told(tmp_path, level):
    whole, path, told = zipped({EX4_FILE: RIGHT4.encode()[:500]}, level), tmp_path / "work.zip", set()
    for place in range(len(whole)):
        for byte in {0, 255, whole[place] ^ 1} - {whole[place]}:
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            told |= {file.problem for _, file in submissions.files(path)}
    assert {"The file is not a zip, or a damaged one.", "The file in the zip is damaged, or asks for a password."} <= told


# Each of these would take minutes if its time grew with the square of its length.
@pytest.mark.parametrize(
    ("path", "student"),
    [
        ("_" * 65_000, "class"),
        ("a" + "_" * 65_000 + "schedule.ipynb", "a"),
        ("_schedule" * 60_000 + "\n.ipynb", "_schedule"),
        ("_1_assignsubmission_file_" * 25_000 + "\n.ipynb", "_1_assignsubmission_file_"),
        (" " * 400_000 + ".ipynb", "class"),
    ],
    ids=["underscores", "underscores and an exercise", "exercises", "moodle", "spaces"],
)
def test_long_names(path, student):
    assert submissions.owner(path, "class")[0] == student
    assert whose.order(path)[1] == 0
