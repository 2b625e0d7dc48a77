"""What stands around an answer, piece by piece: the deadline, calls that are forbidden, memory of all processes together."""

import json
import os
import subprocess
import sys
import time

import hostile
import pytest
from grading_runs import EX4, EX4_FILE, Spy, grade, only_linux

from course_lib import checks
from course_lib.checks.engine import observing
from exercises.grading import control_group, forbidden_calls, supervisor

SEED = 987_654_321


def collect(action, parts: int = 2, most: int = 2000, patience: float = 0.5) -> tuple[bytes, str, list[float]]:
    """What the supervisor reads from a process that does `action` with the end of its pipe."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            action(writing)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return supervisor._collect(pid, reading, parts, most, patience)
    finally:
        supervisor._end_all({"walls": False}, pid)
        os.close(reading)


def trickle(end: bytes):
    def write(out):
        while True:
            os.write(out, end)
            time.sleep(0.01)

    return write


@only_linux
def test_a_byte_now_and_then_outlives_no_deadline():
    data, status, times = collect(trickle(b"x"))
    assert status == "timeout"
    assert len(data) < 2000
    assert not times


@only_linux
def test_lines_beyond_those_asked_for_outlive_no_deadline():
    _, status, times = collect(trickle(b"\n"))
    assert status == "timeout"
    assert len(times) == 2


@only_linux
def test_lines_in_time_are_taken():
    """Together they take longer than one alone may; each keeps a second in reserve, for a machine that is busy."""

    def two_lines(out):
        for line in (b"ab\n", b"c\n"):
            os.write(out, line)
            time.sleep(1.1)

    data, status, times = collect(two_lines, patience=2.1)
    assert (data, status, len(times)) == (b"ab\nc\n", "crash", 2)
    assert times[1] - times[0] > 0.1


FORBIDDEN = {
    "memfd_create": "os.memfd_create('x')",
    "unshare of users": "call(libc.unshare(0x10000000))",
    "clone of users": "call(libc.syscall({clone}, 0x10000000 | 17, 0, 0, 0, 0))",
    "SysV memory": "call(libc.shmget(0, 4096, 0o1600))",
    "a ring of requests": "call(libc.syscall(425, 1, 0))",
    "programs in the kernel": "call(libc.syscall({bpf}, 0, 0, 0))",
    "keys": "call(libc.syscall({keyctl}, 0, 0, 0))",
}
NUMBERS = {"x86_64": {"clone": 56, "bpf": 321, "keyctl": 250}, "aarch64": {"clone": 220, "bpf": 280, "keyctl": 219}}


@only_linux
@pytest.mark.skipif(os.uname().machine not in NUMBERS, reason="a machine whose calls are not listed")
def test_calls_that_no_answer_needs_are_refused():
    program = f"""
import ctypes, errno, os, subprocess, sys, threading
from exercises.grading import forbidden_calls, walls
libc = ctypes.CDLL(None, use_errno=True)
def call(result):
    if result < 0: raise OSError(ctypes.get_errno(), "")
walls.prctl(38, 1)  # no new privileges
print(forbidden_calls.forbid())
for text in {[text.format(**NUMBERS[os.uname().machine]) for text in FORBIDDEN.values()]!r}:
    try:
        eval(text)
        print('worked', text)
    except OSError as problem:
        print(errno.errorcode[problem.errno])
thread = threading.Thread(target=print, args=['thread'])
thread.start(); thread.join()
print(subprocess.run([sys.executable, '-c', 'import os; os.memfd_create("x")'], capture_output=True).returncode)
if os.fork() == 0: os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run([sys.executable, "-u", "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["True", *["EPERM"] * len(FORBIDDEN), "thread", "1", "7"], done.stdout + done.stderr


needs_group = pytest.mark.skipif(not control_group.is_available(), reason="no control group can be made here")


@only_linux
@needs_group
def test_memory_of_all_processes_together_is_limited(tmp_path, monkeypatch):
    """Sixteen processes, each below the limit of one."""
    spy, hungry = (
        Spy(monkeypatch),
        "import os, time\nfor k in range(16):\n    if os.fork() == 0:\n        x = b'x' * 150_000_000",
    )
    (tmp_path / "class" / "ana").mkdir(parents=True)
    text = hostile.body(f"{hungry}\n        time.sleep(600)\nfor k in range(16): os.wait()\n{hostile.RETURN_ZERO}")
    (tmp_path / "class" / "ana" / EX4_FILE).write_text(hostile.exercise4(text))
    taken = []
    real = control_group.ControlGroup.remove
    monkeypatch.setattr(control_group.ControlGroup, "remove", lambda self: [taken.append(self.kills()), real(self)])
    assert grade(tmp_path / "class", tmp_path / "out", "--memory", "250", "--timeout", "60") == 0
    parts = spy.parts("ana", EX4)
    assert parts["soft term"].points == 0
    assert sum(taken) > 0, parts
    assert parts["whole"].passed
    assert parts["safe"].passed


@only_linux
@needs_group
def test_a_group_is_gone_with_its_child():
    group = control_group.make(2**30, f"test-{os.getpid()}")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        group.take(process.pid)
        assert str(process.pid) in (group.folder / "cgroup.procs").read_text().split()
        assert group.kills() == 0
    finally:
        process.kill()
        process.wait()
    group.remove()
    assert not group.folder.exists()


def test_where_no_group_can_be_made_it_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(control_group, "_candidates", lambda: [tmp_path / "no such folder" / "deeper"])
    assert control_group.make(1, "x") is None
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / EX4_FILE).write_text(hostile.exercise4("soft_term = 1"))
    assert grade(tmp_path / "class", tmp_path / "out") == 0
    assert "the limit on memory is for each process" in capsys.readouterr().err


# ---- the seed ----

LOOKS = [
    "torch.initial_seed()",
    "torch.default_generator.initial_seed()",
    "[int(x) for x in np.random.get_state()[1][:3]]",
    "random.getstate()[1][:3]",
    "arguments",
]


def test_what_an_answer_can_ask_for_does_not_tell_the_seed():
    import random

    import numpy as np
    import torch

    names = {"torch": torch, "np": np, "random": random}
    for exercise in checks.EXERCISES:
        for look in LOOKS:
            said = {}
            for seed in (SEED, SEED + 1):

                def answer(*arguments, look=look, **named):
                    raise ValueError(repr(eval(look, {**names, "arguments": [x for x in arguments if isinstance(x, int)]})))

                found = exercise.observe(dict.fromkeys(exercise.answers, answer), seed, time_limit=None)
                said[seed] = json.dumps(found)
                assert str(seed) not in said[seed], (exercise, look)
            if look != "arguments":
                assert said[SEED] == said[SEED + 1], (exercise, look)


def test_an_exception_named_like_ours_is_not_told_as_ours():
    kind = type("Unusable", (Exception,), {"__module__": observing.__name__})

    def answer(*arguments):
        raise kind("Full marks.")

    for part in checks.soft_targets.judge(
        checks.soft_targets.observe({"soft_targets": answer, "entropy": answer}, SEED), SEED
    ).parts:
        assert part.message.startswith("It raised an exception named Unusable: Full marks.")


def test_the_filter_knows_the_machines_that_it_names():
    for machine, numbers, clone in forbidden_calls._MACHINES.values():
        assert len(numbers) == len(forbidden_calls._NAMES) == len(set(numbers))
        lines = forbidden_calls._filter(machine, numbers, clone)
        assert all(position + 1 + max(so, no) < len(lines) for position, (_, so, no, _) in enumerate(lines[:-1]))
