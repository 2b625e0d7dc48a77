"""Runs that go on, repeat or follow a change: only what has to runs again, and nothing stale stays."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import hostile
import pytest
from grading_runs import (
    OURS,
    ROOT,
    Spy,
    children_of_graders,
    content,
    grade,
    only_linux,
    pages_of,
    rows_of,
    small_class,
    whole_notebook,
)

import course_lib
from course_lib import checks
from exercises.grading import cache, exercise_run, output, running, sandbox


@pytest.fixture
def without_children(monkeypatch):
    """Answers that we wrote ourselves, observed in this process: for what does not depend on how they are walled off."""
    by_name, one_by_one = {exercise.name: exercise for exercise in checks.EXERCISES}, threading.Lock()

    def observe(job, limits, avoid, require):
        with one_by_one:
            found = {
                e["name"]: by_name[e["name"]].observe(exercise_run.define(e), job["seed"], e["parts"]) for e in job["exercises"]
            }
        return json.loads(json.dumps(found, allow_nan=False)), "bubblewrap"

    monkeypatch.setattr(running, "observe", observe)


def test_only_what_changed_runs_again(tmp_path, capsys, without_children):
    place, out = tmp_path / "class", tmp_path / "out"
    small_class(place)

    def said(*more, to=out):
        assert grade(place, to, *more) == 0
        return capsys.readouterr().err

    assert "3 submissions to run" in said()
    first = content(out)
    assert "nothing has changed" in said()
    assert content(out) == first
    assert "3 submissions to run" in said(to=tmp_path / "elsewhere")
    assert pages_of(tmp_path / "elsewhere") == pages_of(out)

    (place / "s1" / "06_schedule.ipynb").write_text(whole_notebook(checks.schedule), encoding="utf8")
    (place / "s2" / "06_schedule.ipynb").unlink()
    assert "1 submission to run" in said()
    marks = rows_of(out)
    assert marks["s1"]["06_schedule"] == str(checks.schedule.points)
    assert marks["s2"]["06_schedule"] == "0"
    assert set(json.loads((out / ".grading" / "written.json").read_text())) == set(pages_of(out))

    (place / "s0").rename(place / "renamed")
    assert "nothing has changed" in said("--nbgrader")
    assert not (out / "feedback" / "s0.html").exists()
    header = (out / "grades_nbgrader.csv").read_text().splitlines()[0].split(",")
    assert {"assignment", "student_id", "score", "max_score"} <= set(header)


@pytest.mark.parametrize("more", [["--seed", "8"], ["--timeout", "20"], ["--memory", "999"]])
def test_other_inputs_or_limits_run_all_again(tmp_path, capsys, without_children, more):
    small_class(tmp_path / "class")
    grade(tmp_path / "class", tmp_path / "out")
    capsys.readouterr()
    assert grade(tmp_path / "class", tmp_path / "out", *more) == 0
    assert "3 submissions to run" in capsys.readouterr().err


def test_another_version_of_the_checks_runs_all_again(tmp_path, monkeypatch):
    library = tmp_path / "course_lib"
    library.mkdir()
    for name in ("__init__.py", "checks.py"):
        (library / name).write_text("x = 1\n")
    monkeypatch.setattr(course_lib, "__file__", str(library / "__init__.py"))
    first = cache.versions()
    assert cache.versions() == first
    (library / "checks.py").write_text("x = 2\n")
    assert cache.versions() != first
    job = {"name": "schedule", "pieces": []}
    keys = [cache.key_of(job, 7, first), cache.key_of(job, 7, cache.versions()), cache.key_of(job, 8, first)]
    keys += [cache.key_of({**job, "pieces": ["x"]}, 7, first)]
    assert len(set(keys)) == 4


def test_a_file_from_two_students_is_pointed_out_and_runs_once(tmp_path, capsys, without_children, monkeypatch):
    spy, text = Spy(monkeypatch), whole_notebook(checks.schedule)
    for student in ("ana", "ben", "cleo"):
        (tmp_path / "class" / student).mkdir(parents=True)
        (tmp_path / "class" / student / "06_schedule.ipynb").write_text(text if student != "cleo" else text + "\n")
    grade(tmp_path / "class", tmp_path / "out")
    assert "1 submission to run" in capsys.readouterr().err
    notes = {name: row.graded[checks.schedule.number - 1].notes for name, row in spy.rows.items()}
    assert notes == {"ana": [("duplicate", "the same file, to the last byte, from ana; ben")], "ben": [], "cleo": []}


def test_what_ran_without_bubblewrap_runs_again_with_it(tmp_path, capsys, without_children, monkeypatch):
    small_class(tmp_path / "class")
    inside = running.observe
    monkeypatch.setattr(running, "observe", lambda *job: (inside(*job)[0], "limits"))
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: None)
    grade(tmp_path / "class", tmp_path / "out")
    grade(tmp_path / "class", tmp_path / "out")
    assert "nothing has changed" in capsys.readouterr().err
    monkeypatch.setattr(running, "observe", inside)
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: "/usr/bin/bwrap")
    grade(tmp_path / "class", tmp_path / "out")
    assert "3 submissions to run" in capsys.readouterr().err
    assert "NO sandbox" not in (tmp_path / "out" / "report.html").read_text()


@only_linux
def test_an_interrupt_keeps_what_is_done(tmp_path):
    place, out = tmp_path / "class", tmp_path / "out"
    small_class(place, 2)
    slow = hostile.exercise4(hostile.body("import time\ntime.sleep(999)"))
    (place / "z slow").mkdir()
    (place / "z slow" / "04_distillation_loss.ipynb").write_text(slow)
    line = [sys.executable, "-m", "exercises.grading", str(place), "--out", str(out), "--jobs", "1", "--timeout", f"900{OURS}"]
    line += ["--without-sandbox"]
    run = subprocess.Popen(
        line,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background has it ignored
    )
    observations = out / ".grading" / "observations"
    while run.poll() is None and len(list(observations.glob("*.json") if observations.exists() else ())) < 4:
        time.sleep(0.1)
    assert children_of_graders()
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 130, said
    assert "goes on from there" in said
    assert not (out / "grades.csv").exists()
    assert len(list(observations.glob("*.json"))) == 4
    while children_of_graders():
        time.sleep(0.1)


def test_nothing_is_written_over_and_nothing_stale_stays(tmp_path):
    first = output.Output(tmp_path)
    (tmp_path / "grades.csv").write_text("mine")
    first.write("grades.csv", "first")
    first.write("feedback/ana.html", "ana")
    first.finish()
    assert (tmp_path / "grades.kept-1.csv").read_text() == "mine"
    again = output.Output(tmp_path)
    again.write("grades.csv", "second")
    again.finish()
    assert (tmp_path / "grades.csv").read_text() == "second"
    assert not (tmp_path / "feedback" / "ana.html").exists()
    assert again.put_aside == []
