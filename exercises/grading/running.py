"""The trusted side of the child: send a submission, take back observations, whatever becomes of the child.

What comes back is bounded, strict JSON, checked for its outer form here and for the rest by those who judge it.
"""

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from exercises.grading import control_group, sandbox, second_chance, walls
from exercises.grading.sandbox import Limits

_START = 180.0  # seconds until torch is there, on a slow and busy machine
_TOGETHER = 384 * 2**20  # bytes that a submission's processes may take beyond the limit of one: files in memory, our own
_SLACK = 15.0  # seconds that a submission may take beyond the limits of its exercises
_STATUSES = ("crash", "timeout", "output")


class NoChildError(RuntimeError):
    """The child does not even start: nothing can be graded here."""


@dataclass
class Child:
    """A process behind walls that takes one submission after the other, or one only where it can't wall each off."""

    limits: Limits
    program: str | None
    avoid_walls: bool = False
    walls: bool = False
    closed: bool = False
    took: dict = field(default_factory=dict)  # (exercise, part) of the last job -> seconds that it took
    _process: subprocess.Popen | None = None
    _group: control_group.ControlGroup | None = None
    _buffer: bytearray = field(default_factory=bytearray)

    @property
    def isolation(self) -> str:
        """In a word what stands between a submission and the machine."""
        return "bubblewrap" if self.program else "namespaces" if self.walls else "limits"

    def start(self) -> None:
        """Start the process unless it runs. Raises NoChildError with what it said."""
        if self.closed:
            raise NoChildError("The child was stopped.")
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        if self.program is None:
            walls.forbid_tracing()  # this process, too: a submission may see it
        line, environment = sandbox.command(self.limits, self.program, avoid_walls=self.avoid_walls)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            line, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, bufsize=0
        )
        hello = strict(self._line(time.monotonic() + _START).decode("utf8", "replace"))
        if not (isinstance(hello, dict) and hello.get("ready")):
            self._process.kill()
            said = self._process.stderr.read(4000).decode("utf8", "replace")
            self.stop()
            raise NoChildError(f"The process that runs the submissions does not start:\n{said}")
        self.walls = hello["walls"] is True
        self._group = control_group.make(self.limits.memory + _TOGETHER, f"grading-{os.getpid()}-{self._process.pid}")
        if self._group:
            self._group.take(self._process.pid)

    def stop(self) -> None:
        """End the process and all that it started."""
        process, self._process = self._process, None
        self._buffer = bytearray()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        if self._group:
            self._group.remove()

    def observe(self, job: dict) -> dict[str, dict]:
        """{exercise: {part: observation}} for a job {"seed": …, "exercises": [{"name", "parts", "pieces", …}, …]}.

        An exercise that ends the child loses the part that it was at; the rest goes to a new child. A message that does not
        fit ends the child, too, and then nothing that came of this job is believed.
        """
        results, self.took = {exercise["name"]: {} for exercise in job["exercises"]}, {}
        while True:
            left = [{**e, "parts": [p for p in e["parts"] if p not in results[e["name"]]]} for e in job["exercises"]]
            left = [exercise for exercise in left if exercise["parts"]]
            if not left:
                return results
            status = self._pass({**job, "exercises": left}, results)
            if status:
                self.stop()
            if status == "forged":
                return {e["name"]: {part: {"status": status} for part in e["parts"]} for e in job["exercises"]}
            if status:
                exercise, part = next((e["name"], p) for e in left for p in e["parts"] if p not in results[e["name"]])
                results[exercise][part] = {"status": status}

    def _pass(self, job: dict, results: dict) -> str | None:
        """Send a job and collect what comes; what ended the child before all was there, or None."""
        if self._process is not None and self._has_more():
            self.stop()  # something speaks though nobody has asked
        self.start()
        ends = time.monotonic() + self.limits.timeout * len(job["exercises"]) + _SLACK
        waiting = {(exercise["name"], part) for exercise in job["exercises"] for part in exercise["parts"]}
        secret, killed = secrets.token_hex(16), self._group.kills() if self._group else 0
        try:
            _write(self._process.stdin.fileno(), f"{secret} {json.dumps(job)}\n".encode(), ends)
            while line := self._line(ends):
                if line == f"{secret}.".encode():
                    break
                message = _message(line, f"{secret}:".encode(), waiting)
                if message is None:
                    return "forged"
                waiting.remove((message["exercise"], message["part"]))
                observation = observation_of(message)
                if observation == {"status": "crash"} and self._group and self._group.kills() > killed:
                    killed, observation = self._group.kills(), {"status": "oom"}
                results[message["exercise"]][message["part"]] = observation
                self.took[message["exercise"], message["part"]] = _seconds(message)
            else:
                return "timeout" if time.monotonic() >= ends else "crash"
        except OSError:
            return "crash"
        if not self.walls:
            self.stop()  # the next submission gets a process that no other has met
        return "crash" if waiting else None

    def _has_more(self) -> bool:
        return bool(self._buffer or select.select([self._process.stdout], [], [], 0)[0])

    def _line(self, ends: float) -> bytes:
        """The next line without its end; nothing if there is none in time, one that is too long as far as it came."""
        stream = self._process.stdout.fileno()
        while b"\n" not in self._buffer and len(self._buffer) <= 2 * self.limits.line:
            left = ends - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                return b""
            chunk = os.read(stream, 1 << 16)
            if not chunk:
                return b""
            self._buffer += chunk
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        return line or b" "  # an empty line is one, too


def _message(line: bytes, mark: bytes, waiting: set) -> dict | None:
    """The message in a line that belongs to this job and tells of a part that is waited for; None for any other line."""
    message = strict(line[len(mark) :].decode("utf8", "replace")) if line.startswith(mark) else None
    if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("exercise", "part")):
        return None
    return message if (message["exercise"], message["part"]) in waiting else None


def _seconds(message: dict) -> float:
    """How long a part took, as far as it is said; nothing is decided by it."""
    seconds = message.get("seconds")
    return float(seconds) if type(seconds) in (int, float) and 0 <= seconds < 1e6 else 0.0


def _write(stream: int, data: bytes, ends: float) -> None:
    os.set_blocking(stream, False)
    while data:
        if not select.select([], [stream], [], max(0, ends - time.monotonic()))[1]:
            raise BrokenPipeError
        data = data[os.write(stream, data) :]


def strict(text: str):
    """JSON without NaN, infinity or bottomless nesting; None for anything else."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(name: str):
    raise ValueError(f"{name} is not JSON")


def observation_of(message: dict) -> dict:
    """The observation in a message of the child, as far as its outer form is right; else {"status": "invalid"}."""
    status, text = message.get("status"), message.get("text")
    if status != "observed":
        return {"status": status if status in _STATUSES else "invalid"}
    observation = strict(text) if isinstance(text, str) and len(text) <= Limits.output else None
    return observation if isinstance(observation, dict) else {"status": "invalid"}


_mine = threading.local()
_all: list[Child] = []


def observe(job: dict, limits: Limits, avoid: tuple[str, ...] = (), require: bool = False) -> tuple[dict, str]:
    """Return what `Child.observe` does, with the child of this thread, and how it was isolated. Dask's workers call it, too.

    avoid: "bubblewrap", "namespaces", to do without; require: raise NoChildError rather than do without bubblewrap.
    """
    program = None if "bubblewrap" in avoid else sandbox.bubblewrap()
    if require and program is None:
        raise NoChildError(
            f"without bubblewrap nothing runs unless --without-sandbox is given, and {sandbox.why_unavailable()}."
        )
    settings = limits, program, "namespaces" in avoid
    if getattr(_mine, "settings", None) != settings or _mine.child.closed:
        _mine.settings, _mine.child = settings, Child(*settings)
        _all.append(_mine.child)
    results = second_chance.observe(_mine.child, job)
    return results, _mine.child.isolation


def stop_all() -> None:
    """End all children of this process, for good."""
    while _all:
        child = _all.pop()
        child.closed = True
        child.stop()
