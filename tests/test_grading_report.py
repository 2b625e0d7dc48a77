"""The report in a minute: what comes first, and what is folded away."""

from dataclasses import replace

from test_grading_items import A, B, graded, row
from test_grading_pages import Tags

from exercises.grading import pages, scoring
from exercises.grading.overrides import Override
from exercises.grading.rows import Graded


def absent(exercise) -> Graded:
    return Graded(exercise, scoring.all_of(exercise, "missing"))


def report(rows, **more) -> str:
    return " ".join(Tags(pages.report(rows, pages.file_names(rows), [], 7, **more)).text.split())


def test_the_first_lines_say_it_all():
    rows = [
        row("ana", graded(A, [2, 2, 2]), graded(B, [2, 2, 3])),
        row("ben", graded(A, [2, 2, 0], "upside down"), graded(B, [2, 0, 3])),
        row("cleo", graded(A, [0, 2, 0], "upside down"), absent(B)),
        row("dan", absent(A), absent(B)),
    ]
    rows[0].graded[0].notes = [("library", "x"), ("duplicate", "y")]
    rows[1].graded[0].notes = [("library", "x")]
    text = report(rows, alike=1)
    first = text[text.index("4 students, 3 handed in") : text.index("MarksNeeds a look")]
    assert "half of those who handed in have 9 of 13 points or more" in first  # 13, 9 and 2; the fourth handed in nothing
    assert "Hardest: entropy in bits (exercise 1), right for 33 %" in first.replace(A.parts[2].title, "entropy in bits")
    assert "Needs a look: 2 library, 1 duplicate; 1 pair of answers alike" in first
    assert "To explain again: upside down (exercise 1, 2 students)" in first
    assert "Missing: everything from 1 student; something from 1" in first


def test_where_nothing_is_wrong_nothing_is_told():
    text = report([row("ana", graded(A, [2, 2, 2]), graded(B, [2, 2, 3]))], alike=0)
    assert "1 student, 1 handed in" in text
    assert "Hardest" not in text
    assert "Needs a look: nothing." in text
    assert "To explain again:" not in text
    assert "Missing:" not in text
    assert "1 student, 0 handed in" in report([row("ana", absent(A), absent(B))])


def test_a_mark_by_hand_is_nothing_handed_in():
    rows = [row("ana", graded(A, [2, 2, 2]), graded(B, [2, 2, 3])), row("ben", absent(A), absent(B))]
    rows[1].graded[0].override = Override(3, "an oral answer")
    assert "2 students, 1 handed in" in report(rows)


def test_mistakes_of_one_student_each_are_folded_if_they_are_many():
    def made(number: int):
        one = graded(A, [0, 2, 2], f"mistake {number}")
        parts = tuple(replace(part, hint="think again") for part in one.parts)
        return row(f"s{number}", replace(one, parts=parts), absent(B))

    few, many = [made(number) for number in range(3)], [made(number) for number in range(8)]
    assert "more, each made by one student" not in report(few)
    assert report(few).count("think again") == 3
    text = report([*many, made(0)])
    assert "7 more, each made by one student" in text
    assert text.count("think again") == 1
    assert all(f"mistake {number}" in text for number in range(8))
