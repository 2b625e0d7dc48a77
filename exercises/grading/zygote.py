"""The process that forks for each submission, and there once more for each exercise.

    zygote ── relay ── entrance ── supervisor ── exercise          (an answer runs in the last of them only)

Jobs come in as lines of JSON, observations go out the same way. The zygote never reads any of it and never runs anything of
a learner's, so the next submission starts as fresh as the first. Each job comes with a secret that marks what belongs to it.
Only the relay reads it, after it has forked the entrance, so the secret was never in the memory of a process in which an
answer runs; and what the supervisor sends reaches the outside only through the relay, marked as of this job. The supervisor
is the first process of its own namespace: an answer can't harm it, and what an answer leaves running ends with it.
"""

import functools
import gc
import json
import os

from exercises.grading import exercise_run, supervisor, walls

_CHUNK = 1 << 16


def run(settings: dict, jobs: int, out: int) -> None:
    """Get ready and say so, then serve jobs until there are no more."""
    exercise_run.warm_up()
    gc.collect()
    gc.freeze()  # or the collector touches, and so copies, all of it in every fork
    settings["walls"] = _try_walls(settings)
    settings["taken"] = _address_space()
    if not settings["walls"]:
        settings["processes"] += sum(name.isdigit() for name in os.listdir("/proc"))  # the limit counts those of the user
    supervisor.send(out, {"ready": True, "walls": settings["walls"]})
    os.dup2(0, 2)  # nobody listens to what is said from here on
    while _fork_and_wait(functools.partial(_relay, settings, jobs, out)) == 0:
        pass
    if not settings["walls"]:
        supervisor.sweep()


def _address_space() -> int:
    """Return the bytes that torch takes: the limit on memory comes on top of it."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _fork(action) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


def _fork_and_wait(action) -> int:
    return os.waitpid(_fork(action), 0)[1]


def _try_walls(settings: dict) -> bool:
    def attempt():
        walls.enter_namespaces()
        if _fork_and_wait(lambda: walls.mount_private_dirs(settings["scratch"], settings["disk"])):
            raise walls.ImpossibleError

    if settings["avoid_walls"]:
        return False
    silent = os.dup(2)
    os.dup2(1, 2)
    possible = _fork_and_wait(attempt) == 0
    os.dup2(silent, 2)
    os.close(silent)
    return possible


def _relay(settings: dict, jobs: int, out: int) -> None:
    """Take one job to a new entrance, and what comes from there to the outside. Raises EOFError if there is no job left."""
    walls.end_with_parent()
    if not settings["walls"]:
        walls.adopt_orphans()
    work, hand_over = os.pipe()
    results, report = os.pipe()

    def enter():
        for channel in (jobs, out, hand_over, results):
            os.close(channel)
        _entrance(settings, work, report)

    pid = _fork(enter)
    os.close(work)
    os.close(report)
    secret, _, job = _line(jobs).partition(b" ")  # not before the fork: from here on, the secret is in our memory
    supervisor.write(hand_over, job)
    os.close(hand_over)
    _forward(results, out, secret, settings["line"])
    os.waitpid(pid, 0)
    if not settings["walls"]:
        supervisor.sweep()
    supervisor.write(out, secret + b".\n")


def _line(jobs: int) -> bytes:
    pieces = []
    while not pieces or not pieces[-1].endswith(b"\n"):
        pieces.append(os.read(jobs, _CHUNK))
        if not pieces[-1]:
            raise EOFError
    return b"".join(pieces)


def _forward(results: int, out: int, secret: bytes, longest: int) -> None:
    """Write each line of `results` to `out` with the mark of the job; one without an end as a line that nobody takes."""
    rest = b""
    while chunk := os.read(results, _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > longest:
            supervisor.write(out, secret + b"!\n")
            return
        for line in lines:
            supervisor.write(out, secret + b":" + line + b"\n")


def _entrance(settings: dict, work: int, report: int) -> None:
    walls.end_with_parent()
    with os.fdopen(work, "rb") as file:
        text = file.read()
    if not text:
        return
    job = json.loads(text)
    if settings["walls"]:
        walls.enter_namespaces()
    _fork_and_wait(lambda: supervisor.supervise(job, settings, report))
