"""Items analysed, judged by classes made by hand."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from course_lib import checks
from exercises.grading import gradebook, items, pages, scoring, second_chance
from exercises.grading.grading import Graded, Row
from exercises.grading.submissions import Student

A, B = checks.soft_targets, checks.schedule


def graded(exercise, points: list[int], mistake: str | None = None, seconds: float | None = None) -> Graded:
    """An exercise with these points, part by part; a mistake in the first part."""
    parts = [
        replace(part, points=got, status="passed" if got == part.max_points else "wrong")
        for part, got in zip(scoring.all_of(exercise, "missing"), points, strict=True)
    ]
    parts[0] = replace(parts[0], mistake=mistake)
    return Graded(exercise, tuple(parts), file="x.ipynb", seconds=seconds)


def row(name: str, a: Graded, b: Graded) -> Row:
    return Row(Student(name), [a, b])


def class_of_four() -> list[Row]:
    """Two have all points in A, and 7 and 5 in B; one made a mistake in A and has 2; one has 0 in A and 2 in B."""
    return [
        row("ana", graded(A, [2, 2, 2], seconds=0.2), graded(B, [2, 2, 3], seconds=3.0)),
        row("ben", graded(A, [2, 2, 2], seconds=0.4), graded(B, [2, 0, 3], seconds=2.0)),
        row("cleo", graded(A, [0, 2, 2], "upside down", seconds=9.0), graded(B, [2, 0, 0], seconds=4.4)),
        row("dan", graded(A, [0, 0, 0], seconds=1.0), graded(B, [2, 0, 0])),
    ]


def test_a_class_by_hand():
    found = {(item.exercise, item.mistake): item for item in items.analyse(class_of_four())}
    assert list(found) == [(A, ""), (A, "upside down"), (B, "")]
    whole, mistake, other = found.values()
    assert (whole.students, whole.share, whole.seconds) == (4, 0.5, 0.7)
    # (6 - 2) / sqrt(4.5) * sqrt(1/4), where 4.5 is the variance of 7, 5, 2, 2
    assert whole.discrimination == pytest.approx(4 / 4.5**0.5 / 2)
    assert (mistake.share, mistake.seconds) == (0.25, 9.0)
    assert mistake.discrimination == pytest.approx(np.corrcoef([0, 0, 1, 0], [7, 5, 2, 2])[0, 1])
    assert (other.share, other.seconds) == (0.25, 3.0)
    assert other.discrimination == pytest.approx(np.corrcoef([1, 0, 0, 0], [6, 6, 4, 0])[0, 1])


def test_only_those_who_handed_in_count():
    absent = Graded(A, scoring.all_of(A, "missing"))
    rows = [*class_of_four(), row("eve", absent, graded(B, [2, 2, 3]))]
    assert items.analyse(rows)[:2] == items.analyse(class_of_four())[:2]
    nobody = [row("eve", absent, Graded(B, scoring.all_of(B, "missing")))]
    assert items.analyse(nobody) == []
    assert items.analyse([]) == []


def test_the_correlation_is_that_of_numpy():
    rng = np.random.default_rng(0)
    for students in (2, 3, 15, 200):
        has, marks = rng.random(students) < 0.5, rng.integers(0, 50, students)
        has[:2] = True, False
        marks[:2] = 3, 8
        expected = np.corrcoef(has, marks)[0, 1]
        assert items.point_biserial(has.tolist(), marks.tolist()) == pytest.approx(expected)


@pytest.mark.parametrize(("has", "marks"), [([1, 1], [3, 4]), ([0, 0], [3, 4]), ([1, 0], [3, 3]), ([1], [3])])
def test_where_it_is_undefined_it_is_blank(has, marks):
    assert items.point_biserial(list(map(bool, has)), marks) is None


def test_one_exercise_alone_has_no_rest():
    rows = [Row(one.student, one.graded[:1]) for one in class_of_four()]
    lines = list(csv.reader(io.StringIO(gradebook.sheet(items.table(items.analyse(rows))))))
    assert lines[1:] == [
        ["01_soft_targets", "all points", "4", "0.50", "", "under 1"],
        ["01_soft_targets", "upside down", "4", "0.25", "", "9"],
    ]


def test_the_report_shows_the_items():
    rows = class_of_four()
    page = pages.report(rows, pages.file_names(rows), [], 7)
    assert "mistake: upside down" in page
    assert f"{items.analyse(rows)[0].discrimination:.2f}" in page


def test_seconds_are_those_that_answers_took():
    cost, job = second_chance.Cost(), {"asked": {}, "needed": {}}
    assert cost.add(job, {"x": {"took": 1.25}, "y": {"took": 0.5}}) == 1.75
    assert cost.add(job, {"x": {}}) is None
