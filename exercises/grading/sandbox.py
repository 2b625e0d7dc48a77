"""Start the child: in bubblewrap where there is one, else as it is; and say which of the two it was."""

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import course_lib

_HERE = Path(__file__).resolve().parent
PROGRAM = ("__init__.py", "child.py", "exercise_run.py", "forbidden_calls.py", "supervisor.py", "walls.py", "zygote.py")
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
_COURSE = "/course"
_SCRATCH = "/private"  # not /tmp: Python itself may lie there


@dataclass(frozen=True)
class Limits:
    """Limits for one exercise of one submission. timeout in seconds, the others in bytes; processes counts threads, too."""

    timeout: float = 12.0
    memory: int = 1024 * 2**20
    output: int = 300_000  # of each part; the checks allow an observation 256 kB
    disk: int = 64 * 2**20
    processes: int = 64

    @property
    def line(self) -> int:
        """Bytes of a message with an observation in it; JSON writes a character in up to twelve."""
        return 16 * self.output


def bubblewrap() -> str | None:
    """The path of a bwrap that works here, or None."""
    program = _program()
    return program if program and not _problem(program) else None


def why_unavailable() -> str:
    """In words, what keeps bubblewrap from being used here."""
    program = _program()
    if program is None:
        return "bubblewrap is not installed" if sys.platform == "linux" else "bubblewrap needs Linux"
    return f"bubblewrap does not work on this machine: {_problem(program)}"


def _program() -> str | None:
    return shutil.which("bwrap") if sys.platform == "linux" else None


@functools.lru_cache
def _problem(program: str) -> str:
    try:
        command = [*_bwrap(program), "--", sys.executable, "-c", "import json, ctypes, resource"]
        tried = subprocess.run(command, capture_output=True, timeout=60, env=environment(_COURSE))
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    said = tried.stderr.decode("utf8", "replace").strip()
    return "" if tried.returncode == 0 else said[-500:] or f"it ended with {tried.returncode}"


def command(limits: Limits, program: str | None, *, avoid_walls: bool = False) -> tuple[list[str], dict[str, str]]:
    """The command line of the child and its environment. program: what bubblewrap() gave."""
    settings = {
        **asdict(limits),
        "line": limits.line,
        "become_nobody": os.getuid() == 0 and (program is not None or _readable_by_all()),
        "scratch": _SCRATCH if program else None,
        "avoid_walls": avoid_walls,
    }
    python = [sys.executable, "-s", "-m", "exercises.grading.child", json.dumps(settings)]
    if program is None:
        return python, environment(os.pathsep.join(map(str, (_course(), _HERE.parents[1]))))
    return [*_bwrap(program), "--", *python], {**environment(_COURSE), "TMPDIR": _SCRATCH}


def environment(path: str) -> dict[str, str]:
    """Nothing of the instructor's. One thread, and the same order in sets, whatever the machine."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    quiet = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf8", "CUDA_VISIBLE_DEVICES": ""}
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/",
        "PYTHONPATH": path,
        "MPLBACKEND": "agg",
        **threads,
        **quiet,
    }


def _bwrap(program: str) -> list[str]:
    """A file system of what Python and the course need to run, read only; no network; processes of its own."""
    line = [program, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    line += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if os.getuid() == 0:  # the child becomes nobody with these two, and loses them by it
        # bwrap's own first process stays root's: nobody can't trace it, and it alone may be ended when bwrap is.
        line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        line += ["--unshare-user"]
        line += ["--as-pid-1"]  # or bwrap's own first process, which all of the same user may trace, would hold our pipes
    made: set[str] = set()
    for path in _python():
        line += [*_parents(path, made), "--ro-bind", path, path]
    for path in filter(os.path.lexists, _SYSTEM):
        link = os.path.islink(path)
        line += ["--symlink", os.readlink(path), path] if link else ["--ro-bind", path, path]
    line += ["--perms", "0755", "--dir", _COURSE]
    line += ["--ro-bind", str(_course() / "course_lib"), f"{_COURSE}/course_lib"]
    line += ["--perms", "0755", "--dir", f"{_COURSE}/exercises", "--perms", "0755", "--dir", f"{_COURSE}/exercises/grading"]
    for name in PROGRAM:
        line += ["--ro-bind", str(_HERE / name), f"{_COURSE}/exercises/grading/{name}"]
    line += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", _SCRATCH]
    return [*line, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


def _course() -> Path:
    return Path(course_lib.__file__).resolve().parents[1]


def _python() -> list[str]:
    """The folders of this Python and its packages, as far as they are not among those of the system."""
    paths = {sys.prefix, sys.base_prefix, *map(os.path.realpath, (sys.prefix, sys.base_prefix))}
    paths |= {entry for entry in sys.path if entry.rstrip("/").endswith(("site-packages", "dist-packages"))}
    chosen: list[str] = []
    for path in sorted(filter(os.path.isdir, paths)):
        if not any(os.path.commonpath([path, other]) == other for other in ["/usr", *chosen]):
            chosen.append(path)
    return chosen


def _parents(path: str, made: set[str]) -> list[str]:
    """bwrap would make the folders on the way for their owner alone."""
    line = []
    for parent in [str(parent) for parent in reversed(Path(path).parents)][1:]:
        if parent not in made:
            made.add(parent)
            line += ["--perms", "0755", "--dir", parent]
    return line


def _readable_by_all() -> bool:
    """Tell whether another user could import from this Python and from the course."""
    folders = {Path(os.__file__).resolve().parent, _course(), _HERE, *map(Path, _python())}
    steps = {step for folder in folders for step in (folder, *folder.parents)}
    return all(step.stat().st_mode & 0o005 == 0o005 for step in steps)
