"""A class of hostile submissions: each costs its own marks, none gains any, and nothing else changes."""

import json
import os
import socket
import sys
import threading
from pathlib import Path

import hostile
import intruders
import pytest
from grading_runs import (
    EX4,
    EX4_FILE,
    EX6,
    LIMITS,
    RIGHT4,
    RIGHT6,
    ROOT,
    Spy,
    children_of_graders,
    grade,
    needs_bubblewrap,
    only_linux,
    snapshot,
)

from exercises.grading import running, sandbox


@pytest.fixture(scope="module")
def listener():
    """A server in the instructor's machine that no submission may reach."""
    server = socket.create_server(("127.0.0.1", 0))
    reached = []

    def listen():
        while True:
            try:
                reached.append(server.accept())
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    yield server.getsockname()[1], reached
    server.close()


def write_class(place: Path, cases: dict, port: int) -> None:
    """A folder for every case, with an honest exercise 6 beside the hostile exercise 4, and honest students in between."""
    for number, (name, case) in enumerate(cases.items()):
        folder = place / name
        folder.mkdir(parents=True)
        (folder / "04_distillation_loss.ipynb").write_text(hostile.exercise4(case.text.replace("PORT", str(port))))
        (folder / "06_schedule.ipynb").write_text(RIGHT6)
        if number % 8 == 0:
            honest = place / f"honest {number}"
            honest.mkdir()
            (honest / "04_distillation_loss.ipynb").write_text(RIGHT4.replace("log_q", f"log_q{number}"))
            (honest / "06_schedule.ipynb").write_text(RIGHT6)


def check_class(spy: Spy, cases: dict) -> None:
    for name, case in cases.items():
        expected = {"soft term": case.status, "whole": "passed", "safe": "passed", **case.costs}
        for part, result in spy.parts(name, EX4).items():
            wanted = expected[part] if isinstance(expected[part], tuple) else (expected[part],)
            assert result.status in wanted, f"{name}, {part}: {result.status} ({result.message})"
            assert result.points == (result.max_points if result.status == "passed" else 0)
        assert spy.rows[name].graded[EX6.number - 1].points == EX6.points, f"{name} lost marks of another exercise"
    for name, row in spy.rows.items():
        if name.startswith("honest"):
            assert row.points == EX4.points + EX6.points, f"{name} lost marks to a neighbour"


def write_prober(place: Path, outside: Path, out: Path, processes: int) -> None:
    """A student who looks for all that is not theirs; `processes` others may be seen."""
    secrets = [*map(str, (outside, place, out, place.parent, ROOT / "exercises" / "solutions")), "/course/exercises/solutions"]
    secrets += ["/etc/passwd", "/home"]
    if not processes:  # else what is there is that of its own sandbox
        secrets += ["/proc/1/environ", "/proc/self/environ", "/proc/self/cmdline"]
    pythons = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]  # often in the home folder; has to be there
    secrets += [str(path) for path in Path.home().iterdir() if not any(python.is_relative_to(path) for python in pythons)]
    (place / "prober").mkdir()
    (place / "prober" / EX4_FILE).write_text(hostile.exercise4(hostile.prober(secrets, str(outside / "diary.txt"), processes)))


@needs_bubblewrap
@pytest.mark.parametrize("walls", ["both", "bubblewrap alone"])
def test_hostile_answers_in_the_sandbox(tmp_path, monkeypatch, listener, walls):
    port, reached = listener
    place, outside, out, spy = tmp_path / "class", tmp_path / "private", tmp_path / "out", Spy(monkeypatch)
    outside.mkdir()
    (outside / "diary.txt").write_text("canary")
    monkeypatch.setenv("INSTRUCTORS_TOKEN", "canary")
    cases = hostile.CASES if walls == "both" else {name: hostile.CASES[name] for name in ("opens a socket", "os._exit")}
    write_class(place, cases, port)
    ours = 4 + (os.getuid() == 0)  # zygote, relay, entrance, supervisor, and for root bubblewrap's own
    write_prober(place, outside, out, processes=0 if walls == "both" else ours)
    before = snapshot(place, outside, ROOT / "course_lib", ROOT / "exercises")
    avoided = [] if walls == "both" else ["--avoid", "namespaces"]
    assert grade(place, out, *avoided, *LIMITS, sandbox_required=True) == 0
    assert spy.isolations == ["bubblewrap"]
    check_class(spy, cases)
    probed = spy.parts("prober", EX4)["soft term"]
    assert "FOUND []" in probed.message, probed.message
    assert not reached
    assert snapshot(place, outside, ROOT / "course_lib", ROOT / "exercises") == before
    assert not children_of_graders()
    assert set(os.listdir(out)) == {"grades.csv", "items.csv", "feedback", "report.html", "alike.html", ".grading"}


@needs_bubblewrap
def test_a_hostile_cell_before_the_answer_gains_nothing(tmp_path, monkeypatch, listener):
    """The same cases, in a cell that runs before the answer; what needs it is wrong, and stays so."""
    place, spy = tmp_path / "class", Spy(monkeypatch)
    for number, (name, case) in enumerate(hostile.CASES.items()):
        (place / name).mkdir(parents=True)
        (place / name / EX4_FILE).write_text(hostile.before(hostile.Case(case.text.replace("PORT", str(listener[0])), "")))
        (place / name / "06_schedule.ipynb").write_text(RIGHT6)
        if number % 8 == 0:
            (place / f"honest {number}").mkdir()
            (place / f"honest {number}" / EX4_FILE).write_text(RIGHT4.replace("log_q", f"log_q{number}"))
    before = snapshot(place, ROOT / "course_lib", ROOT / "exercises")
    assert grade(place, tmp_path / "out", "--timeout", LIMITS[1].replace("5", "3", 1), *LIMITS[2:]) == 0
    for name, row in spy.rows.items():
        if name.startswith("honest"):
            assert row.points == EX4.points
            continue
        parts = spy.parts(name, EX4)
        assert parts["soft term"].points == 0, f"{name}: {parts['soft term']}"
        for part in ("whole", "safe"):
            costs = hostile.CASES[name].costs.get(part, ())
            assert parts[part].status in ("passed", *((costs,) if isinstance(costs, str) else costs)), f"{name}: {parts}"
        assert row.graded[EX6.number - 1].points == EX6.points, f"{name} lost marks of another exercise"
    assert snapshot(place, ROOT / "course_lib", ROOT / "exercises") == before
    assert not listener[1]
    assert not children_of_graders()


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"status": "passed"},
        {"status": "observed", "text": None},
        {"status": "observed", "text": "{"},
        {"status": "observed", "text": '{"items": [NaN]}'},
        {"status": "observed", "text": "[" * 100_000},
        {"status": "observed", "text": '"text"'},
        {"status": "observed", "text": json.dumps({"x": "x" * 300_000})},
    ],
    ids=lambda message: str(message)[:50],
)
def test_what_is_no_observation_is_invalid(message):
    assert running.observation_of(message) == {"status": "invalid"}


FEW = ("endless loop", "memory bomb", "daemon grandchild", "os._exit", "kills its group", "changes global defaults",
       "forges on every channel", "thread left running")  # fmt: skip


@only_linux
@pytest.mark.parametrize("avoid", [("bubblewrap",), ("bubblewrap", "namespaces")], ids=["namespaces", "limits"])
def test_hostile_answers_without_bubblewrap(tmp_path, monkeypatch, avoid, capsys):
    place, spy = tmp_path / "class", Spy(monkeypatch)
    few = FEW if "namespaces" not in avoid else FEW[:3]  # each of these waits for torch in a process of its own
    cases = {name: hostile.CASES[name] for name in few}
    write_class(place, cases, 0)
    before = snapshot(place, ROOT / "course_lib", ROOT / "exercises")
    avoided = [word for name in avoid for word in ("--avoid", name)]
    assert grade(place, tmp_path / "out", *avoided, *LIMITS) == 0
    check_class(spy, cases)
    assert "WARNING: bubblewrap" in capsys.readouterr().err
    report = (tmp_path / "out" / "report.html").read_text()
    assert ('class="bad"') in report
    assert ("NO sandbox" in report) == (spy.isolations == ["limits"])
    assert snapshot(place, ROOT / "course_lib", ROOT / "exercises") == before
    assert not children_of_graders()


AVOIDED = {"both": (), "bubblewrap": ("namespaces",), "namespaces": ("bubblewrap",), "limits": ("bubblewrap", "namespaces")}


def grade_avoiding(place: Path, out: Path, walls: str, *more: str) -> int:
    if walls in ("both", "bubblewrap") and sandbox.bubblewrap() is None:
        pytest.skip("bubblewrap is not there or does not work here")
    return grade(place, out, *(word for name in AVOIDED[walls] for word in ("--avoid", name)), *LIMITS, *more)


@only_linux
@pytest.mark.parametrize("walls", AVOIDED)
def test_an_answer_gets_hold_of_no_process_above_it(tmp_path, monkeypatch, walls):
    place, spy = tmp_path / "class", Spy(monkeypatch)
    write_class(place, {"tracer": hostile.Case(intruders.tracer(), "raised")}, 0)
    (place / "z honest").mkdir()
    (place / "z honest" / "06_schedule.ipynb").write_text(RIGHT6.replace("T_start", "T_first"))
    assert grade_avoiding(place, tmp_path / "out", walls, "--jobs", "1") == 0
    assert "FOUND []" in spy.parts("tracer", EX4)["soft term"].message, spy.parts("tracer", EX4)["soft term"]
    check_class(spy, {"tracer": hostile.Case("", "raised")})
    assert spy.rows["z honest"].points == EX6.points
    assert "forged" not in (tmp_path / "out" / "report.html").read_text()


@only_linux
@pytest.mark.parametrize("walls", ["both", "namespaces"])
def test_the_memory_of_an_answer_holds_no_secret_and_nothing_of_another_student(tmp_path, monkeypatch, walls):
    place, spy, secret = tmp_path / "class", Spy(monkeypatch), ("c0ffee" * 3, "f00d" * 4)
    canary = ("canary of", " somebody else")
    monkeypatch.setattr(running.secrets, "token_hex", lambda size: "".join(secret))
    own = ("a text that ", "is its own")
    answers = {"ana": hostile.body(f"text = {''.join(canary)!r}\n{hostile.FINISH}")}
    answers["ben"] = intruders.memory_reader([secret, canary, own], "".join(own))
    for name, text in answers.items():
        (place / name).mkdir(parents=True)
        (place / name / EX4_FILE).write_text(hostile.exercise4(text))
    assert grade_avoiding(place, tmp_path / "out", walls, "--jobs", "1", "--timeout", "30") == 0
    assert spy.rows["ana"].graded[EX4.number - 1].points == EX4.points
    assert f"FOUND ['{own[0]}'] in" in spy.parts("ben", EX4)["soft term"].message


def test_nothing_runs_without_the_sandbox_unless_told(tmp_path, capsys, monkeypatch):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "04_distillation_loss.ipynb").write_text(RIGHT4)
    monkeypatch.setattr(running, "observe", lambda *job: pytest.fail("it ran"))
    assert grade(tmp_path / "class", tmp_path / "out", "--avoid", "bubblewrap", sandbox_required=True) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "no sandbox" in said
    assert "read and change your files" in said
    assert "--without-sandbox" in said
    assert not (tmp_path / "out").exists()


def test_no_worker_runs_a_job_without_the_sandbox_unless_told():
    with pytest.raises(running.NoChildError, match="--without-sandbox"):
        running.observe({"seed": 1, "exercises": []}, sandbox.Limits(), avoid=("bubblewrap",), require=True)
