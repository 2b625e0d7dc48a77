"""Submissions that mean harm or are broken, as text; nothing here is stored as a notebook.

Every one is otherwise right, so what it costs can be said exactly: `costs` maps the part to the status it must get.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from exercises.grading import notebooks

SOLUTIONS = Path(__file__).parents[1] / "exercises" / "solutions"
SIGNATURE = "def soft_term(student_logits, teacher_logits, T):\n"
RIGHT = (
    "    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)\n"
    "    return T**2 * F.kl_div(log_q, p, reduction='batchmean')\n"
)
FINISH = RIGHT.replace("    ", "").strip()  # the same, for body()
WHOLE = """
def distillation_loss(student_logits, teacher_logits, labels, T, alpha):
    teacher_logits = teacher_logits.detach()
    soft = T**2 * F.kl_div(F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1), reduction="batchmean")
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
"""
IMPORTS = "import torch\nimport torch.nn.functional as F\n"


def solution(stem: str) -> list[str]:
    """The code cells of a solution."""
    return notebooks.read((SOLUTIONS / f"{stem}.ipynb").read_bytes())


def notebook(cells: list[str], **more) -> str:
    """The text of an .ipynb with these code cells."""
    kinds = [{"cell_type": "code", "source": c, "metadata": {}, "outputs": [], "execution_count": None} for c in cells]
    return json.dumps({"cells": kinds, "metadata": {}, "nbformat": 4, "nbformat_minor": 4, **more})


def marked(name: str, text: str) -> str:
    return f"# === answer: {name} ===\n{text}\n# === end of answer ===\n"


def exercise4(soft_term: str, whole: str = WHOLE) -> str:
    """A notebook of exercise 4 with this text as the answer soft_term."""
    return notebook([IMPORTS, marked("soft_term", soft_term), marked("distillation_loss", whole)])


def body(code: str) -> str:
    """soft_term with this code in it; what it returns, if it gets there, is right only if it says so itself."""
    return SIGNATURE + "".join(f"    {line}\n" for line in code.strip("\n").split("\n"))


@dataclass(frozen=True)
class Case:
    """A hostile soft_term. status: what the part "soft term" gets."""

    text: str
    status: str | tuple[str, ...]
    costs: dict = field(default_factory=dict)


RETURN_ZERO = "return student_logits.sum() * 0"
FORGED = '{"status": "observed", "items": [], "error": null, "printed": 0}'
# What would be believed, or would cost another exercise its marks, if it came where only our own processes write.
PASSED = "\n".join(
    json.dumps({"exercise": exercise, "part": part, "status": "passed", "points": 8, "text": "{}"})
    for exercise, part in (("distillation_loss", "soft term"), ("schedule", "linear"))
)

CASES = {
    "endless loop": Case(body("while True: pass"), "timeout"),
    "endless loop that swallows": Case(
        body("while True:\n    try:\n        while True: pass\n    except BaseException: pass"), "timeout"
    ),
    "sleeps": Case(body("import time\ntime.sleep(600)"), "timeout"),
    "hangs without signals": Case(
        body("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\nwhile True: pass"), "timeout"
    ),
    "regular expression": Case(body("import re\nre.match('(a+)+$', 'a' * 60 + 'b')"), "timeout"),
    "os._exit": Case(body("import os\nos._exit(0)"), "crash"),
    "sys.exit": Case(body("import sys\nsys.exit(0)"), "raised"),
    "raises KeyboardInterrupt": Case(body("raise KeyboardInterrupt"), ("raised", "crash")),
    "raises GeneratorExit": Case(body("raise GeneratorExit"), ("raised", "crash")),
    "exception that can't be printed": Case(
        "class Odd(Exception):\n    def __str__(self):\n        raise SystemExit(1)\n\n\n" + body("raise Odd"),
        ("raised", "crash"),
    ),
    "abort": Case(body("import os\nos.abort()"), "crash"),
    "segmentation fault": Case(body("import ctypes\nctypes.string_at(0)"), "crash"),
    "kills its group": Case(body("import os\nos.killpg(0, 9)"), "crash"),
    "kills its parent": Case(body(f"import os\nos.kill(os.getppid(), 9)\n{RETURN_ZERO}"), "wrong"),
    "kills everyone": Case(body("import os\nos.kill(-1, 9)"), "raised"),  # there is nobody
    "stops its parent": Case(body(f"import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n{RETURN_ZERO}"), "wrong"),
    "a byte now and then": Case(
        body(
            "import os, time\nwhile True:\n    for fd in range(3, 64):\n        try: os.write(fd, b'x')\n"
            "        except OSError: pass\n    time.sleep(0.01)"
        ),
        ("timeout", "invalid"),
    ),
    "memory behind descriptors": Case(body(f"import os\nos.memfd_create('hidden')\n{FINISH}"), "raised"),
    "rights in a namespace of its own": Case(
        body(f"import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError\n{FINISH}"), "raised"
    ),
    "fork bomb": Case(body("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"), "timeout"),
    "a hundred threads": Case(  # whose stacks are small, so that it is their number that is too large
        body(
            "import threading, time\nthreading.stack_size(65536)\n"
            "for _ in range(100): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
            f"{FINISH}"
        ),
        "raised",
    ),
    "thread bomb": Case(
        body("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"),
        "raised",
    ),
    "memory bomb": Case(body("x = []\nwhile True: x.append(bytearray(90_000_000))"), "oom"),
    "memory bomb of torch": Case(body("torch.ones(10**10)"), "oom"),
    "gigabytes of prints": Case(body("while True: print('x' * 10**6)"), "timeout"),
    "gigabytes to every descriptor": Case(
        body(
            "import os\nwhile True:\n    for fd in range(64):\n"
            "        try: os.write(fd, b'x' * 65536)\n        except OSError: pass"
        ),
        ("output", "timeout"),
    ),
    "gigabytes on the disk": Case(
        body("with open('big', 'wb') as f:\n    while True: f.write(b'x' * 10**6)"), ("raised", "crash")
    ),
    "deep recursion": Case(body("return soft_term(student_logits, teacher_logits, T)"), "raised"),
    "recursion without a limit": Case(
        body("import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return repr([f(x)])\nreturn f(1)"),
        ("crash", "oom", "raised", "timeout"),
    ),
    "asks": Case(body("input('Your marks? ')"), "raised"),
    "opens a socket": Case(body("import socket\nsocket.create_connection(('127.0.0.1', PORT), 2)\n" + RETURN_ZERO), "raised"),
    "daemon grandchild": Case(
        body(
            "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True: time.sleep(1)\n"
            f"    os._exit(0)\n{FINISH}"
        ),
        "passed",
    ),
    "thread left running": Case(
        body(f"import threading, time\nthreading.Thread(target=lambda: time.sleep(999)).start()\n{FINISH}"), "passed"
    ),
    "changes global defaults": Case(
        body(
            "import random, builtins\ntorch.set_default_dtype(torch.float64)\ntorch.set_num_threads(7)\ntorch.manual_seed(1)\n"
            f"torch.set_grad_enabled(False)\nrandom.seed(0)\n{RETURN_ZERO}"
        ),
        "wrong",
    ),
    "patches torch": Case(
        body("torch.Tensor.tolist = lambda self: [0.0]\ntorch.allclose = lambda *a, **k: True\n" + RETURN_ZERO),
        ("wrong", "invalid"),
        costs=dict.fromkeys(("whole", "safe"), ("passed", "wrong", "invalid")),  # of the same exercise, in the same process
    ),
    "patches builtins": Case(
        body(
            "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.all = lambda x: True\nbuiltins.any = lambda x: False\n"
            + RETURN_ZERO
        ),
        ("wrong", "raised", "crash", "invalid"),
    ),
    "patches the checks": Case(
        body(
            "from course_lib.checks.engine import comparing, core, report\ncomparing.describe_difference = lambda *a: None\n"
            "core._differences = lambda *a: {}\nreport.PartResult.passed = True\ncore.Exercise.judge = lambda *a: None\n"
            f"core.Part.points = 99\n{RETURN_ZERO}"
        ),
        ("wrong", "raised"),
    ),
    "forges on stdout": Case(
        body(f"import os\nprint({PASSED!r}, flush=True)\nos.write(1, {PASSED.encode()!r})\nos.write(2, b'ok')\n{RETURN_ZERO}"),
        "wrong",
    ),
    "forges on every channel": Case(
        body(
            f"import os\nfor fd in range(256):\n    for line in ({FORGED!r}, {PASSED!r}):\n"
            "        try: os.write(fd, line.encode() + b'\\n')\n        except OSError: pass\nos._exit(0)"
        ),
        ("wrong", "invalid"),
        costs={"whole": "invalid", "safe": ("invalid", "wrong", "crash")},
    ),
    "megabytes on its channel": Case(
        body("import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'x' * 2_000_000)\n    except OSError: pass"), "output"
    ),
    "half a line on its channel": Case(
        body(
            "import os\nfor fd in range(3, 256):\n"
            f"    try: os.write(fd, b'[[[[' * 1000)\n    except OSError: pass\n{RETURN_ZERO}"
        ),
        "invalid",
    ),
    "bottomless JSON": Case(
        body(
            "import os\nfor fd in range(3, 256):\n"
            "    try: os.write(fd, b'[' * 60000 + b'\\n')\n    except OSError: pass\nos._exit(0)"
        ),
        "invalid",
        costs={"whole": "crash"},
    ),
    "returns NaN and infinity": Case(body("return student_logits.sum() * float('nan')"), "wrong"),
    "returns its own class": Case(
        "class Sly(torch.Tensor):\n    def __eq__(self, other):\n        return True\n\n\n"
        + body("return torch.zeros(()).as_subclass(Sly)"),
        "wrong",
    ),
    "lies about its shape": Case(
        "class Sly:\n    shape = property(lambda self: 1 / 0)\n    def __getattr__(self, name): raise SystemExit\n\n\n"
        + body("return Sly()"),
        ("wrong", "raised"),
    ),
    "hostile default argument": Case(
        "import os\ndef soft_term(student_logits, teacher_logits, T, x=os._exit(0)):\n    pass",
        "crash",
    ),
    "syntax error": Case("def soft_term(student_logits, teacher_logits, T)\n    return 0", "raised"),
    "a brace too many": Case(SIGNATURE + "    return ((((0)", "raised"),
    "tabs and spaces": Case("def soft_term(a, b, T):\n\tx = 1\n        return x", "raised"),
    "nested beyond reason": Case(SIGNATURE + "    return " + "(" * 3000 + "0" + ")" * 3000, "raised"),
    "null bytes": Case(SIGNATURE + "    return '\x00'", "raised"),
    "not a function": Case("soft_term = 42", ("raised", "wrong")),
    "a missing library": Case("import no_such_library\n\n\n" + body("return no_such_library.f()"), "raised"),
}


def prober(secrets: list[str], canary: str, processes: int = 0) -> str:
    """An answer that looks for what it may not see (as more than so many processes), tries to write, and says what it found."""
    return body(
        f"""
import os, stat
found = []
for path in {secrets!r}:
    try:
        found.append(path + ' ' + repr(os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(20)))
    except OSError: pass
for key, value in os.environ.items():
    if 'INSTRUCTOR' in key or 'canary' in value: found.append(key)
for path in ({canary!r}, '/course/course_lib/losses.py', '/usr/planted', '/planted', os.__file__, torch.__file__):
    for action in (lambda: open(path, 'a').write('x'), lambda: os.remove(path), lambda: os.chmod(path, 0o777)):
        try:
            action()
            found.append('changed ' + path)
        except OSError: pass
for path in ('/', '/usr', '/course/course_lib', os.path.dirname(os.__file__), os.path.dirname(torch.__file__)):
    if not os.statvfs(path).f_flag & os.ST_RDONLY: found.append('not read-only: ' + path)
others = set(filter(str.isdigit, os.listdir('/proc'))) - {{str(os.getpid())}}
if len(others) > {processes}: found.append('processes ' + repr(others))
def is_channel(fd):
    try: return not stat.S_ISCHR(os.fstat(fd).st_mode)
    except OSError: return False
channels = [fd for fd in range(256) if is_channel(fd)]
if len(channels) != 1: found.append('channels ' + repr(channels))
raise ValueError('FOUND ' + repr(found))
"""
    )


def before(case: Case) -> str:
    """A notebook of exercise 4 that does in a cell before the answer what the case does in it; the answer is wrong."""
    call = "soft_term(torch.zeros(2, 3, requires_grad=True), torch.zeros(2, 3), 2.0)"
    answer = body("return student_logits.sum() * FACTOR[0]")
    cells = [IMPORTS, "FACTOR = []", case.text, f"{call}\nprint('went on')", "FACTOR.append(0.0)", marked("soft_term", answer)]
    return notebook([*cells, marked("distillation_loss", WHOLE)])
