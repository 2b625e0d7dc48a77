"""Nobody vanishes, and nobody is somebody else: every folder, file and name ends in a row or among what needs a look."""

import zipfile

import hostile
import pytest
from grading_runs import EX4, EX4_FILE, RIGHT4
from test_grading_files import zipped
from test_grading_lms import CANVAS, RIGHT1, SECOND, WORKSHEET, people_in

from course_lib import checks
from exercises.grading import reading, submissions, walking, whose
from exercises.release import STARTERS

EX1 = checks.soft_targets
BLANK1 = (STARTERS / f"{EX1.stem}.ipynb").read_text(encoding="utf8")
ENDINGS = [
    ".ipynb.txt", ".ipynb.json", ".json", ".py", ".rar", ".7z", ".tar.gz", ".txt", ".html", ".pdf", ".docx", "",
]  # fmt: skip


def handed_in(place, names: dict[str, str | bytes]):
    """Write these files; a name that ends in a slash is an empty folder."""
    for name, content in names.items():
        path = place / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


def seen(place, known=None) -> dict[str, list[str]]:
    """The files that count of each student."""
    found = submissions.collect(place, known)
    return {student.name: [own[-1].file.path for own in student.notebooks.values()] for student in found}


@pytest.mark.parametrize("title", ["01_soft_targets", "work"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("place", ["ana/", "ana_7_99_", "Ana_7_assignsubmission_file_/", "HW_ana_attempt_2026-02-12-21-30-34_"])
def test_whatever_the_ending_there_is_a_row_and_a_word(tmp_path, place, ending, title):
    handed_in(tmp_path, {f"{place}{title}{ending}": "no notebook", "ben/01_soft_targets.ipynb": RIGHT1})
    student = submissions.collect(tmp_path).students[0]
    assert student.name.lower() == "ana"
    problems = [why for _, why in student.stray] + [one[-1].file.problem for one in student.notebooks.values()]
    assert len(problems) == 1
    assert problems[0]


@pytest.mark.parametrize("ending", [".ipynb.txt", ".ipynb.json", ".json"])
def test_a_notebook_under_another_ending_is_read_and_told(tmp_path, ending):
    handed_in(tmp_path, {f"ana/01_soft_targets{ending}": RIGHT1})
    file = submissions.collect(tmp_path).students[0].notebooks[EX1.name][-1].file
    assert file.code
    assert f"ends in {ending}" in file.remark


@pytest.mark.parametrize("zip_it", [False, True])
def test_an_empty_folder_is_a_row(tmp_path, zip_it):
    folder = handed_in(tmp_path / "class", {"ana/01.ipynb": RIGHT1, "ben/": "", "cleo/.DS_Store": b"x", "dan/__MACOSX/x": "y"})
    if zip_it:
        with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(tmp_path))
        folder = tmp_path / "class.zip"
    found = submissions.collect(folder)
    assert [student.name for student in found] == ["ana", "ben", "cleo", "dan"]
    assert [bool(student.stray) for student in found] == [False, True, True, True]


def test_what_is_nobodys_is_told(tmp_path):
    found = submissions.collect(
        handed_in(tmp_path, {"ana/01.ipynb": RIGHT1, "notes.txt": "x", "list.csv": "x", "ben.rar": b"x"})
    )
    assert [student.name for student in found] == ["ana", "ben"]
    assert [path for path, _ in found.unclaimed] == ["list.csv", "notes.txt"]


FORGED = [
    {"Mallory_7_assignsubmission_file_/Ana_1001_assignsubmission_file_01_soft_targets.ipynb": RIGHT1},
    {"Mallory_7_assignsubmission_file_/work.zip": zipped({"ana_1001_999_01.ipynb": RIGHT1.encode(), "b_2_3_04.ipynb": b""})},
    {"mallory_7_99_work.zip": zipped({"ana_1001_999_01.ipynb": RIGHT1.encode(), "ben_2_3_01.ipynb": RIGHT1.encode()})},
    {"mallory_7_99_Ana_1001_assignsubmission_file_01.ipynb": RIGHT1},
    {"mallory/ana_1001_999_01.ipynb": RIGHT1, "mallory/ben_2_3_01.ipynb": RIGHT1},
    {"mallory/x/Ana_1001_assignsubmission_file_/01.ipynb": RIGHT1},
    {"mallory/Ana_1001_assignsubmission_file_/01.ipynb": RIGHT1, "mallory/Ben_2_assignsubmission_file_/01.ipynb": RIGHT1},
    {"7-8 - Mallory - May 1, 2026 905 AM/1-8 - Ana - May 1, 2026 905 AM/01.ipynb": RIGHT1},
    {
        "mallory/HW_ana_attempt_2026-02-12-21-30-34_01.ipynb": RIGHT1,
        "mallory/HW_ben_attempt_2026-02-12-21-30-34_01.ipynb": RIGHT1,
    },
]


# Alone, a folder around everybody is not a student's.
@pytest.mark.parametrize(
    ("names", "alone"), [(one, alone) for one in FORGED for alone in (False, True) if not (alone and "mallory/" in str(one))]
)
def test_a_name_below_that_of_the_lms_or_a_folder_makes_nobody_else(tmp_path, names, alone):
    others = {} if alone else {"Ana/01_soft_targets.ipynb": RIGHT1, "Ben/01_soft_targets.ipynb": RIGHT1}
    found = seen(handed_in(tmp_path, {**names, **others}))
    assert sorted(name.lower() for name in found) == sorted({"mallory", *(name.partition("/")[0].lower() for name in others)})


@pytest.mark.parametrize("blank", ["01_soft_targets (1).ipynb", "starter/01_soft_targets.ipynb", "z/01_soft_targets-9.ipynb"])
def test_a_blank_starter_replaces_nothing(tmp_path, blank):
    assert seen(handed_in(tmp_path, {"ana/01_soft_targets.ipynb": RIGHT1, f"ana/{blank}": BLANK1})) == {
        "ana": ["ana/01_soft_targets.ipynb"]
    }


def test_a_wrong_attempt_after_a_right_one_counts(tmp_path):
    wrong = hostile.exercise4(hostile.body(hostile.RETURN_ZERO))
    found = seen(handed_in(tmp_path, {f"ana/{EX4_FILE}": RIGHT4, "ana/04_distillation_loss (1).ipynb": wrong}))
    assert found == {"ana": ["ana/04_distillation_loss (1).ipynb"]}


@pytest.mark.parametrize(
    ("names", "students"),
    [
        (("anon_aB3dE_901_01_soft_targets.ipynb", "anon_aB3dE_902_04.ipynb"), ["anon aB3dE"]),
        (("mary_annsmith_77_905_01.ipynb", "mary_annsmith_LATE_77_906_04.ipynb"), ["mary_annsmith"]),
        (("ann_77_905_01.ipynb", "ann_78_906_04.ipynb"), ["ann 77", "ann 78"]),
        (("hw1/Ann_7_assignsubmission_file_/01.ipynb", "hw2/Ann_9_assignsubmission_file_/04.ipynb"), ["Ann"]),
        (("Ann_7_assignsubmission_file_01.ipynb", "Ann_9_assignsubmission_file_04.ipynb"), ["Ann"]),
        (("Ann_7_assignsubmission_file_/01.ipynb", "Ann_9_assignsubmission_file_/01_soft_targets.ipynb"), ["Ann 7", "Ann 9"]),
        (("Participant_7_assignsubmission_file_/01.ipynb", "Participant_9_assignsubmission_file_/04.ipynb"),
         ["Participant 7", "Participant 9"]),
        (("HW_ann_attempt_2026-02-12-21-30-34_01.ipynb", "HX_ann_attempt_2026-02-12-21-30-35_04.ipynb"), ["ann"]),
    ],
)  # fmt: skip
def test_who_is_one_student_and_who_are_two(tmp_path, names, students):
    handed_in(tmp_path, {name: RIGHT1 if "01" in name.rpartition("assignsub")[2] else RIGHT4 for name in names})
    assert list(seen(tmp_path)) == students


def test_the_last_attempt_by_its_time(tmp_path):
    first, last = (f"1-2 - Ana - {when}/01.ipynb" for when in ("Sep 9, 2026 905 AM", "Sep 10, 2026 1205 AM"))
    assert seen(handed_in(tmp_path, {first: RIGHT1, last: RIGHT1})) == {"Ana": [last]}


def test_a_roster_adds_who_handed_in_nothing_and_says_who_is_not_in_it(tmp_path):
    known = people_in(tmp_path, CANVAS)
    found = submissions.collect(handed_in(tmp_path / "c", {"x_4711_99_01.ipynb": RIGHT1, "eve_5_99_01.ipynb": RIGHT1}), known)
    assert [(student.name, student.identity, bool(student.doubts)) for student in found] == [
        ("eve", "5", True),
        ("Müller, Jörg", "4711", False),
        ("Smith, Mary Ann", "77", False),
    ]


@pytest.mark.parametrize("name", ["jmueller", "Jörg Müller", "Müller, Jörg", "müllerjörg", "JÖRG MÜLLER", "s1"])
def test_a_folder_by_any_form_of_the_name_is_that_person(tmp_path, name):
    known = people_in(tmp_path, CANVAS)
    assert list(seen(handed_in(tmp_path / "class", {f"{name}/01.ipynb": RIGHT1}), known)) == ["Müller, Jörg", "Smith, Mary Ann"]


def test_participants_without_names_are_those_of_the_worksheets(tmp_path):
    known = people_in(tmp_path, WORKSHEET, SECOND)
    names = {
        "h1/Participant_123_assignsubmission_file_/01.ipynb": RIGHT1,
        "h2/Participant_923_assignsubmission_file_/04.ipynb": RIGHT4,
    }
    assert list(map(len, seen(handed_in(tmp_path / "class", names), known).values())) == [2, 0]


def test_one_students_files_are_bounded(tmp_path, monkeypatch):
    many = {f"{number}.txt": b"" for number in range(5_000)}
    repeated = {f"{number}/{EX4_FILE}": b'{"cells": []}' + b" " * 900_000 for number in range(400)}
    handed_in(tmp_path, {"ana/many.zip": zipped(many), "ben/big.zip": zipped(repeated), "cleo/01.ipynb": RIGHT1})
    read = []
    real = reading.notebooks.read
    monkeypatch.setattr(reading.notebooks, "read", lambda data: read.append(len(data)) or real(data))
    found = {student.name: student for student in submissions.collect(tmp_path)}
    assert sum(read) < 310_000_000
    assert found["cleo"].notebooks
    for name in ("ana", "ben"):
        assert len(found[name].stray) <= 20
        assert any("were not read" in words for words in found[name].doubts)


def test_seconds_are_bounded_as_well():
    budget = reading.Budget(seconds=0.001)
    assert budget.allows(1)
    with budget.clock():
        sum(range(10**6))
    assert not budget.allows(1)
    assert budget.left_out == 1


def test_a_long_list_of_files_in_a_zip_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(walking, "MAX_DIRECTORY", 1_000)
    handed_in(tmp_path, {"ana/many.zip": zipped({f"{number}.txt": b"" for number in range(99)}), "ben/01.ipynb": RIGHT1})
    assert "more files than anybody" in submissions.collect(tmp_path).students[0].stray[0][1]


@pytest.mark.parametrize("inside", [True, False])
def test_zips_of_assignments_in_a_zip_or_folder(tmp_path, inside):
    zips = {
        f"hw{n}.zip": zipped({f"Ana_{n}_assignsubmission_file_/x.ipynb": text.encode(), "Ben_5_assignsubmission_file_/": b""})
        for n, text in ((1, RIGHT1), (2, RIGHT4))
    }
    if inside:
        (tmp_path / "all.zip").write_bytes(zipped(zips))
    else:
        handed_in(tmp_path / "all", zips)
    found = submissions.collect(tmp_path / ("all.zip" if inside else "all"))
    assert [(student.name, len(student.notebooks)) for student in found] == [("Ana", 2), ("Ben", 0)]


def test_paths_are_shown_shortened(tmp_path):
    (tmp_path / "class.zip").write_bytes(zipped({"ana/" + "x" * 9_000 + ".txt": b"", "ben/01.ipynb": RIGHT1.encode()}))
    path = submissions.collect(tmp_path / "class.zip").students[0].stray[0][0]
    assert len(path) < 300
    assert path.startswith("ana/xxx")
    assert path.endswith(".txt")


def test_a_layout_says_what_is_around():
    paths = ["e/hw1/A_1_assignsubmission_file_/x", "e/hw2/B_2_assignsubmission_file_/x"]
    layout = whose.layout(paths)
    assert [layout.split(path) for path in paths] == [("hw1", paths[0][6:]), ("hw2", paths[1][6:])]
    assert whose.layout(["ana/x.ipynb", "readme.txt"]).split("ana/x.ipynb") == ("", "ana/x.ipynb")
    assert EX4.stem in EX4_FILE
