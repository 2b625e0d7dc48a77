"""Running an answer: on inputs of its own, for a limited time, without a trace in the session, its results written down."""

import contextlib
import functools
import io
import random
import signal
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib.checks.engine.records import MAX_TEXT, digest, record

MAX_OBSERVATION = 262_144  # characters of JSON that the observation of a part has at most
_MAX_RECORDS = 120
_ROOM = MAX_OBSERVATION // 2  # characters for the values; labels, fingerprints and an error take less than the rest
GRADIENT = ", its gradient with respect to "
STUB_SAYS = "not answered yet"  # how the NotImplementedError of an unanswered question is told from others
_RANDOM = 20  # where random numbers start: an answer can ask for that, so it is not the seed of the inputs
_LIBRARIES = tuple({*sysconfig.get_paths().values(), str(Path(__file__).parents[1]), str(Path(torch.__file__).parent)})


@dataclass(frozen=True)
class Item:
    """One recorded value. The rest says how to judge it, and stays where it was made: only label and value travel.

    rtol, atol: how near is right. verdict: value -> what is wrong with it, or None, where being near is not the question.
    brief: single values say nothing to a reader. hint: what to say when it is wrong and no mistake is recognised.
    """

    label: str
    value: dict
    rtol: float = 1e-4
    atol: float = 1e-5
    verdict: Callable | None = None
    brief: bool = False
    hint: str = ""


class Recorder:
    """What the observation of a part writes to. `during` says what was going on, should an answer fail."""

    def __init__(self):
        self.items: list[Item] = []
        self.during = ""
        self._room = _ROOM

    def value(self, label: str, value, *, verdict: Callable | None = None, **judging) -> None:
        """Record a value; `judging` as in `Item`."""
        if len(self.items) >= _MAX_RECORDS:
            return
        plain = record(value)
        if _length(plain) > self._room:  # what it is and its shape, no values
            plain = {"kind": "other", "dtype": "list"} if "items" in plain else {**plain, "text": ""}
            plain.pop("values", None)
        self._room -= _length(plain)
        if verdict:  # asked again for every mistake that an answer is compared with
            judging["verdict"] = functools.lru_cache(verdict)
        self.items.append(Item(label, plain, **judging))

    def call(self, label: str, answer: Callable, inputs: dict, *, gradient: str | None = None, keep: bool = True, **judging):
        """Call `answer` with the values of `inputs`, in their order; record what it returns and what became of the inputs.

        gradient: the name of an input that the result is differentiated by; keep: whether the result itself is recorded.
        Returns the result.
        """
        self.during = label
        if gradient:
            inputs = {**inputs, gradient: inputs[gradient].clone().requires_grad_()}
        result = answer(*inputs.values())
        if keep:
            self.value(label, result, **judging)
        if gradient:
            self.value(f"{label}{GRADIENT}{gradient}", _gradient(result, inputs[gradient]), **judging)
        for name, value in inputs.items():
            if isinstance(value, Tensor):
                self.unchanged(name, value)
        return result

    def unchanged(self, name: str, *tensors: Tensor) -> None:
        """Record a fingerprint of what an answer must leave as it was."""
        self.items.append(Item(f"unchanged: {name}", {"kind": "text", "text": digest(*tensors)}))


def _gradient(result, tensor: Tensor) -> Tensor | None:
    if not isinstance(result, Tensor) or not result.requires_grad:
        return None
    return torch.autograd.grad(result if result.dim() == 0 else result.sum(), tensor, allow_unused=True)[0]


def _length(plain: dict) -> int:
    """An upper bound of the characters of JSON: a number takes 25 at most, a character 12, if it is an emoji."""
    text = len(plain.get("text", "")) + len(plain.get("dtype", ""))
    inside = sum(map(_length, plain.get("items", ())))
    return 200 + 25 * len(plain.get("values", ())) + 12 * text + inside


@dataclass
class Observed:
    """What came of running a part. status: "observed", "unanswered", "raised" or "timeout"."""

    status: str
    items: list[Item]
    error: dict | None = None
    printed: int = 0

    def plain(self) -> dict:
        """As strict JSON knows it."""
        items = [{"label": item.label, "value": item.value} for item in self.items]
        return {"status": self.status, "items": items, "error": self.error, "printed": self.printed}


class Unusable(Exception):  # noqa: N818 - a message for the learner, not an error of ours
    """What an answer returned cannot be used any further; the message says what was wanted."""


class TimeUp(BaseException):
    """Not an Exception, so that an answer's own `except Exception` does not swallow it."""


def run(observe: Callable[[Recorder], None], time_limit: float | None) -> Observed:
    """Run one part's observation, whatever the answers in it do. A KeyboardInterrupt is passed on."""
    recorder, sink, status, error = Recorder(), _Sink(), "observed", None
    with untouched(_RANDOM), contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        try:
            with at_most(time_limit):
                observe(recorder)
        except KeyboardInterrupt:
            raise
        except BaseException as problem:
            error = _describe(problem, recorder.during)
            status = _status(problem, error["message"])
    return Observed(status, recorder.items, error, sink.written)


def _status(problem: BaseException, message: str) -> str:
    if isinstance(problem, TimeUp):
        return "timeout"
    # Torch raises NotImplementedError too, with a message of its own, where an operation does not exist for a dtype.
    stub = isinstance(problem, NotImplementedError) and (not message or STUB_SAYS in message)
    return "unanswered" if stub else "raised"


def _describe(problem: BaseException, during: str) -> dict:
    try:
        message = str(problem)[:MAX_TEXT]
    except Exception:
        message = ""
    # The innermost line that is neither ours nor a library's: what is typed in a notebook has no file, or a temporary one.
    own = [frame for frame in traceback.extract_tb(problem.__traceback__) if not frame.filename.startswith(_LIBRARIES)]
    line, code = (own[-1].lineno, (own[-1].line or "")[:MAX_TEXT]) if own else (None, "")
    name = type(problem).__name__
    foreign = name == Unusable.__name__ and type(problem) is not Unusable  # whose message is told as ours
    return {
        "type": f"an exception named {name}" if foreign else name[:MAX_TEXT],
        "message": message,
        "line": line,
        "code": code,
        "during": during,
    }


class _Sink(io.TextIOBase):
    """Where the output of answers goes: counted, not kept."""

    written = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written += len(text)
        return len(text)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


@contextlib.contextmanager
def untouched(seed: int):
    """Inside, random numbers start from `seed` and torch is as it starts up; afterwards everything is as it was found."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    dtype, device, threads = torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads()
    deterministic = _deterministic()
    grad = torch.is_grad_enabled()
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.autocast("cpu", enabled=False):
            warnings.simplefilter("ignore")
            torch.set_default_dtype(torch.float32)
            if device.type != "cpu":
                torch.set_default_device("cpu")
            torch.set_grad_enabled(True)
            # Not torch.manual_seed: that would reseed other devices, too.
            torch.default_generator.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
    finally:
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device if device.type != "cpu" else None)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if _deterministic() != deterministic:  # only then: the call imports torch's compiler, which takes a second or more
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


@contextlib.contextmanager
def at_most(seconds: float | None):
    """Raise TimeUp inside after so many seconds, where that is possible: in the main thread, with Unix signals.

    Elsewhere (Windows, other threads) there is no limit and the kernel has to be interrupted by hand. An alarm that was
    set before goes on afterwards.
    """
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not main or not hasattr(signal, "setitimer"):
        yield
        return

    running = True

    def stop(signum, frame):
        if running:
            raise TimeUp

    started, handler = time.monotonic(), signal.signal(signal.SIGALRM, stop)
    # Again and again, in case an answer swallows the first with a bare `except:`.
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.25)
    try:
        try:
            yield
        finally:
            running = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if remaining:
            left = max(remaining - (time.monotonic() - started), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left, interval)
