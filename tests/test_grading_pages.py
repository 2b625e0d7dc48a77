"""The pages: what a learner wrote stays text, whatever it is, and every mark is on them."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from course_lib import checks
from exercises.grading import gradebook, pages, scoring
from exercises.grading.grading import Graded, Row
from exercises.grading.submissions import Student

EVIL = (
    "</pre></style></title><script>alert(1)</script><img src=x onerror=alert(1)>"
    "\" onload='x' &lt; \u202e {{ 7 * 7 }} {% raw %} \x00"
)


class Tags(HTMLParser):
    """The tags of a page, with what could run something."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.handlers, self.text = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.handlers += [name for name, value in attributes if name.startswith("on") or "javascript:" in (value or "")]

    def handle_data(self, data):
        self.text += data


def row(name: str = "ana") -> Row:
    """A student whose every text is hostile, with a timeout, a named mistake and a file for no exercise."""
    student = Student(name, stray=[(EVIL, EVIL)])
    graded = []
    for exercise in checks.EXERCISES:
        error = {"type": EVIL, "message": EVIL, "line": 3, "code": EVIL, "during": EVIL}
        observations = {part.name: {"status": "raised", "items": [], "error": error} for part in exercise.parts}
        parts = scoring.judge(exercise, observations, 7)
        graded.append(
            Graded(exercise, parts, {EVIL: EVIL}, EVIL, "", [("timeout", EVIL), ("missing", EVIL), ("library", EVIL)])
        )
    return Row(student, graded)


def test_what_a_learner_wrote_stays_text():
    rows = [row(EVIL), row("ben")]
    for page in (pages.feedback(rows[0]), pages.report(rows, pages.file_names(rows), ["limits"], 7)):
        seen = Tags(page)
        assert not seen.tags & {"script", "img", "iframe", "object", "link", "base", "form"}
        assert seen.handlers == []
        assert "alert(1)" in seen.text
        assert "{{ 7 * 7 }}" in seen.text
        assert "\u202e" not in seen.text
        assert "\x00" not in page
        assert "Content-Security-Policy" in page


def test_every_mark_is_on_the_pages():
    right = Graded(checks.schedule, scoring.judge(checks.schedule, checks.schedule.observe(checks.schedule.right, 7), 7))
    others = [Graded(e, scoring.all_of(e, "missing")) for e in checks.EXERCISES if e is not checks.schedule]
    one = Row(Student("ana", "17"), sorted([right, *others], key=lambda graded: graded.exercise.number))
    assert f"7 of {sum(exercise.points for exercise in checks.EXERCISES)} points" in pages.feedback(one)
    marks = ",".join("7" if exercise is checks.schedule else "0" for exercise in checks.EXERCISES)
    assert gradebook.marks([one]).splitlines()[1] == f"ana,17,{marks},7"
    assert "06_schedule,,,17,ana,,,7,0,7,7" in gradebook.nbgrader([one])


def test_the_most_common_mistakes_come_first_and_count_once_a_student():
    exercise = checks.distillation_loss
    first, second = exercise.mistakes[:2]

    def graded(mistake):
        answers = {**exercise.right, **mistake.answers}
        return Row(Student("x"), [Graded(exercise, scoring.judge(exercise, exercise.observe(answers, 7), 7))])

    found = pages.mistakes([graded(second), graded(first), graded(second)])
    assert [(entry["name"], entry["count"]) for entry in found] == [(second.name, 2), (first.name, 1)]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\\c:d*e?", ".hidden", "…" * 200, "学生" * 90, "", "con "])
def test_names_of_files_lead_nowhere(name):
    files = pages.file_names([row(name), row(name.upper()), row(name)])
    assert len({file.casefold() for file in files}) == 3
    for file in files:
        assert len(file.encode()) < 130
        assert not set(file) & set('/\\:*?"<>|')
        assert not file.startswith(".")


def test_the_marks_in_the_readme_are_those_of_the_checks():
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf8")
    rows = re.findall(r"^\| (\d+) ([^|\[]+) \| (\d+) \| ([^|]+) \|$", text[text.index("### Marks") :], re.MULTILINE)
    told = [
        (int(number), title.lower(), int(points), re.findall(r"(\d+)(?:,|$)", parts)) for number, title, points, parts in rows
    ]
    assert told == [(e.number, e.title.lower(), e.points, [str(part.points) for part in e.parts]) for e in checks.EXERCISES]
