"""The first process in the walls around a submission: it runs each exercise in a process of its own, and ends what is left.

All that an exercise holds is a pipe of its own; what it writes there is passed on unread, and only for that exercise.
"""

import itertools
import json
import os
import select
import shutil
import signal
import tempfile
import time

from exercises.grading import exercise_run, walls

_CHUNK = 1 << 16
_GRACE = 1.0  # seconds between the alarm that an answer can be told by and the end that it can't escape


def supervise(job: dict, settings: dict, out: int) -> None:
    """Write a line of JSON for each part of each exercise of the job to `out`."""
    walls.end_with_parent()
    if settings["walls"]:
        walls.mount_private_dirs(settings["scratch"], settings["disk"])
    else:
        walls.adopt_orphans()
        walls.drop_privileges()
    if settings["walls"] and settings["scratch"]:  # nobody else is there, and messages name the same folder in every run
        os.mkdir(scratch := os.path.join(settings["scratch"], "scratch"))
    else:
        scratch = tempfile.mkdtemp()
    try:
        for exercise in job["exercises"]:
            for part, status, text, seconds in _observe(exercise, job["seed"], settings, scratch):
                text = text[: settings["output"] + 1]  # longer than is taken, so the line has a limit, too
                send(out, {"exercise": exercise["name"], "part": part, "status": status, "text": text, "seconds": seconds})
    finally:
        _end_all(settings)
        shutil.rmtree(scratch, ignore_errors=True)


def send(out: int, message) -> None:
    """Write a message as a line of JSON."""
    write(out, json.dumps(message).encode() + b"\n")


def write(out: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(out, data) :]


def _observe(exercise: dict, seed: int, settings: dict, scratch: str):
    """(part, status, text, seconds) for each part. When a part ends the process, the others go on in a new one."""
    left, patience = list(exercise["parts"]), settings["timeout"] / exercise["of"] + _GRACE
    while left:
        lines, status, times = _one_fork({**exercise, "parts": left}, seed, settings, scratch, patience)
        took = [end - start for start, end in itertools.pairwise(times)]
        yield from ((part, "observed", line, seconds) for part, line, seconds in zip(left, lines, took, strict=False))
        left = left[len(lines) :]
        if left:
            yield left.pop(0), status, "", took[-1]


def _one_fork(exercise: dict, seed: int, settings: dict, scratch: str, patience: float) -> tuple[list[str], str, list[float]]:
    """The lines that an exercise wrote, one a part; "crash", "timeout" or "output" for the part after the last; and times."""
    started = time.monotonic()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            exercise_run.run(exercise, seed, settings, scratch, writing)
        finally:
            os._exit(1)
    os.close(writing)
    data, status, times = _collect(pid, reading, len(exercise["parts"]), settings["output"], patience)
    os.close(reading)
    _end_all(settings, pid)
    lines = data.split(b"\n")[:-1][: len(exercise["parts"])]
    return [line.decode("utf8", "replace") for line in lines], status, [started, *times, time.monotonic()]


def _collect(pid: int, reading: int, parts: int, most: int, patience: float) -> tuple[bytes, str, list[float]]:
    """Read until the process has ended, or a part takes longer than `patience` seconds or more than `most` bytes.

    Descendants may hold the pipe for longer than the process; nobody waits for them. The times are those of the lines' ends.
    """
    data, ended, status, times, ends = bytearray(), False, "crash", [], time.monotonic() + patience
    while True:
        chunk = os.read(reading, _CHUNK) if select.select([reading], [], [], 0 if ended else 0.02)[0] else b""
        data += chunk
        now = time.monotonic()
        if len(data) > parts * most:
            return b"", "output", times
        new = min(parts - len(times), chunk.count(b"\n"))
        if new:
            times += [now] * new
            ends = now + patience
        if now >= ends:  # though there is more: a byte now and then keeps nobody alive
            return bytes(data), "timeout", times
        if chunk:
            continue
        if ended:
            return bytes(data), status, times
        time.sleep(0.002)  # it may have closed the pipe, and be about to end
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            ended = True
            if os.WIFSIGNALED(code) and os.WTERMSIG(code) in (signal.SIGXCPU, signal.SIGALRM):
                status = "timeout"


def _end_all(settings: dict, pid: int | None = None) -> None:
    """End everything that an exercise has started."""
    if settings["walls"]:
        try:
            os.kill(-1, signal.SIGKILL)  # all but ourselves in this namespace
        except ProcessLookupError:
            return
        _reap()
    else:
        if pid:
            for kill in (os.killpg, os.kill):
                try:
                    kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    continue
        sweep()


def _reap() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def sweep() -> None:
    """Without walls: kill our children until there are none. Orphans have become ours."""
    for _ in range(1000):
        ours = _children()
        for pid in ours:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError, PermissionError):
                continue
        if not ours:
            return


def _children() -> list[int]:
    me, found = str(os.getpid()), []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = file.read().rpartition(b")")[2].split()[1]
            except (OSError, IndexError):
                continue
            if parent.decode() == me:
                found.append(int(name))
    return found
