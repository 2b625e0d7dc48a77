"""One exercise of one submission, in a process of its own: define the answers, observe them, write down what they did."""

import gc
import json
import linecache
import os
import resource
import signal
import sys
import tempfile

from course_lib import checks
from exercises.grading import forbidden_calls

_BY_NAME = {exercise.name: exercise for exercise in checks.EXERCISES}
_FILES = 256
_WARM_SEED = 1
_MOST_WORDS = 200  # characters of an error in a cell before an answer

# Raises an error again that happened before: without a file, so that no message points at it.
_AGAIN = compile("def again(*arguments, **named):\n    raise problem", "<elsewhere>", "exec")


def warm_up() -> None:
    """Load what torch loads when it is first used; forks then find it loaded."""
    for exercise in checks.EXERCISES:
        exercise.observe(exercise.right, _WARM_SEED, time_limit=None)


def run(exercise: dict, seed: int, settings: dict, scratch: str, out: int) -> None:
    """Write a line of JSON for each of the parts to `out`, and end the process."""
    os.setsid()
    _keep_only(out)
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = scratch  # what torch asked for while it was imported is remembered
    sys.argv, sys.stdin, sys.stdout, sys.stderr = [""], *(open(os.devnull, mode) for mode in "rww")  # noqa: SIM115
    limit(settings)
    forbidden_calls.forbid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    write, dumps, end, check = os.write, json.dumps, os._exit, _BY_NAME[exercise["name"]]
    asked = {part.name: part.answers for part in check.parts}
    for part in exercise["parts"]:
        problems: list[str] = []
        answers = define(exercise, [name for name in asked[part] if name in exercise["answers"]], problems)
        observation = check.observe(answers, seed, [part], settings["timeout"] / exercise["of"])[part]
        if problems:
            observation["before"] = problems[0]
        data = dumps(observation, allow_nan=False).encode() + b"\n"
        while data:
            data = data[write(out, data) :]
    end(0)


def _keep_only(out: int) -> None:
    """Close every channel but our own, above all the one by which the supervisor speaks."""
    os.closerange(3, out)
    os.closerange(out + 1, 4096)


def limit(settings: dict) -> None:
    """Limits of the kernel on this process and its children: memory beyond what torch takes, time, processes, files."""
    for name, value in (
        ("RLIMIT_AS", settings["taken"] + settings["memory"]),
        ("RLIMIT_CPU", int(settings["timeout"]) + 2),
        ("RLIMIT_NPROC", settings["processes"]),
        ("RLIMIT_FSIZE", settings["disk"]),
        ("RLIMIT_NOFILE", _FILES),
        ("RLIMIT_CORE", 0),
    ):
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))


def define(exercise: dict, names: list[str] | None = None, problems: list[str] | None = None) -> dict:
    """The answers by name, all or those named, each with all that it needs in a namespace of its own.

    Where cells before an answer run, an error ends its cell, as in a notebook, and is added to `problems`.
    """
    return {name: _define_one(exercise, name, [] if problems is None else problems) for name in names or exercise["answers"]}


def _define_one(exercise: dict, name: str, problems: list[str]):
    if name in exercise["broken"]:
        return _raises(SyntaxError(exercise["broken"][name]))
    needed = exercise["needed"][name]
    cells = needed["before"] is not None and not exercise.get("alone")
    namespace, ended, failed = {"__name__": "__main__", "display": print}, None, None
    for number in needed["before"] if cells else needed["alone"]:
        piece = exercise["pieces"][number]
        if cells and (piece["cell"] == ended or (number in needed["late"] and namespace.keys() >= set(piece["binds"]))):
            continue
        try:
            exec(_compiled(exercise, number, piece), namespace)
        except KeyboardInterrupt:
            raise
        except BaseException as problem:
            failed = problem
            if cells:
                ended = piece["cell"]
                problems.append(_words(problem))
            else:  # what it should have defined fails again when it is called, with the same error
                for missing in set(piece["binds"]) - set(namespace):
                    namespace[missing] = _raises(problem)
    return namespace.get(name) if name in namespace or failed is None else _raises(failed)


def _compiled(exercise: dict, number: int, piece: dict):
    file, text = f"<{exercise['name']}, part {number} of what you wrote>", "\n" * (piece["line"] - 1) + piece["text"]
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    return compile(text, file, "exec")


def _words(problem: BaseException) -> str:
    try:
        return f"{type(problem).__name__}: {problem}"[:_MOST_WORDS]
    except BaseException:  # its text is the learner's code as well
        return "an error"


def _raises(problem: BaseException):
    namespace = {"problem": problem.with_traceback(None) if isinstance(problem, SyntaxError) else problem}
    exec(_AGAIN, namespace)
    return namespace["again"]
