"""The pages of grading on a phone: however long a path or a name is, nothing sticks out."""

import pytest
from lab import browser, why_not

from course_lib import checks
from exercises.grading import pages, scoring
from exercises.grading.grading import Graded, Row
from exercises.grading.overrides import Override
from exercises.grading.submissions import Student

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")
LONG = "folder_" * 30 + "/01_soft_targets.ipynb"


def test_nothing_sticks_out_on_a_phone(tmp_path):
    graded = [Graded(e, scoring.all_of(e, "missing"), file=LONG, notes=[("duplicate", LONG)]) for e in checks.EXERCISES]
    graded[0].override = Override(1, LONG)
    graded[1].problem = LONG
    row = Row(Student("x" * 120, stray=[(LONG, LONG)], doubts=[LONG]), graded)
    other = Row(Student("ana"), [Graded(e, scoring.all_of(e, "missing")) for e in checks.EXERCISES])
    (tmp_path / "feedback.html").write_text(pages.feedback(row), encoding="utf8")
    report = pages.report([row, other], ["a.html", "b.html"], ["limits"], 7, [(LONG, LONG)], [LONG])
    (tmp_path / "report.html").write_text(report, encoding="utf8")
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 360, "height": 740})
        for name in ("feedback", "report"):
            page.goto((tmp_path / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
            page.screenshot(path=str(tmp_path / f"{name}.png"), full_page=True)
