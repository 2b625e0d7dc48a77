"""The channel from the child: results of its own job, once each, with the secret of that job. All else is told as forged."""

import os
import sys

import pytest
from grading_runs import EX4, EX4_FILE, RIGHT4, Spy, grade, only_linux

from exercises.grading import running, sandbox

# A child that answers each job with what a compromised one might. SECRET stands for the right one.
IMPOSTOR = """
import json, sys
print(json.dumps({"ready": True, "walls": True}), flush=True)
for line in sys.stdin:
    secret, _, job = line.partition(" ")
    parts = [(e["name"], part) for e in json.loads(job)["exercises"] for part in e["parts"]]
    messages = [json.dumps({"exercise": e, "part": p, "status": "observed", "text": "{}"}) for e, p in parts]
    lines = [f"{secret}:{message}" for message in messages] + [f"{secret}."]
    if json.loads(job)["seed"]:
        CHANGE
    print("\\n".join(lines), flush=True)
"""
FITS = {part.name: {} for part in EX4.parts}


@pytest.fixture
def impostor(monkeypatch):
    """A Child whose process changes its lines in this way if the seed of the job is not 0, and the processes it has had."""

    def start(change: str):
        text = IMPOSTOR.replace("CHANGE", change)
        monkeypatch.setattr(sandbox, "command", lambda *a, **k: ([sys.executable, "-c", text], dict(os.environ)))
        return running.Child(sandbox.Limits(timeout=5), None)

    return start


JOB = {"exercises": [{"name": EX4.name, "parts": [part.name for part in EX4.parts]}]}


@only_linux
@pytest.mark.parametrize(
    "change",
    [
        "lines[0] = lines[0].replace(secret, '0' * 32)",
        "lines[0] = messages[0]",
        "lines = ['{\"end\": true}']",
        "lines.insert(1, lines[0])",
        "lines[1] = lines[1].replace(parts[1][0], 'schedule')",
        "lines[1] = lines[1].replace(parts[1][1], 'linear')",
        "lines[1] = secret + ':[1]'",
        "lines[1] = secret + ':{'",
        'lines[1] = secret + \':{"exercise": [], "part": {}}\'',
        "lines[1] = ''",
        "lines[1] = '0' * 32 + '.'",
        "lines[1] = secret + ':' + 'x' * 20_000_000",
        "print('x' * 20_000_000, end='')",
    ],
)
def test_a_message_that_does_not_fit_ends_the_child_and_is_told(impostor, change):
    child = impostor(change)
    try:
        assert child.observe({**JOB, "seed": 0}) == {EX4.name: FITS}
        first = child._process.pid
        assert child.observe({**JOB, "seed": 1}) == {EX4.name: {part: {"status": "forged"} for part in FITS}}
        assert child.observe({**JOB, "seed": 0}) == {EX4.name: FITS}
        assert child._process.pid != first
    finally:
        child.stop()


@only_linux
def test_what_comes_after_the_end_is_nobodys(impostor):
    child = impostor("lines += lines")
    try:
        assert child.observe({**JOB, "seed": 1}) == {EX4.name: FITS}
        first = child._process.pid
        assert child.observe({**JOB, "seed": 0}) == {EX4.name: FITS}
        assert child._process.pid != first
    finally:
        child.stop()


@only_linux
def test_each_job_has_a_secret_of_its_own(impostor):
    child = impostor(
        "told = json.dumps({'secret': secret})\n"
        "        lines = [secret + ':' + json.dumps({**json.loads(m), 'text': told}) for m in messages] + [secret + '.']"
    )
    try:
        found = [child.observe({**JOB, "seed": 1})[EX4.name]["soft term"]["secret"] for _ in range(3)]
    finally:
        child.stop()
    assert len(set(found)) == 3
    assert min(map(len, found)) >= 32


def test_the_report_says_that_something_was_forged(tmp_path, monkeypatch):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / EX4_FILE).write_text(RIGHT4)
    forged = {EX4.name: {part.name: {"status": "forged"} for part in EX4.parts}}
    monkeypatch.setattr(running, "observe", lambda *job: (forged, "bubblewrap"))
    spy = Spy(monkeypatch)
    assert grade(tmp_path / "class", tmp_path / "out") == 0
    (row,) = spy.rows.values()
    assert row.points == 0
    assert [kind for kind, _ in row.graded[EX4.number - 1].notes] == ["forged"] * len(EX4.parts)
    look = (tmp_path / "out" / "report.html").read_text().partition('id="look"')[2].partition('id="missing"')[0]
    assert look.count(">forged<") == len(EX4.parts)
