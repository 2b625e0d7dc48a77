"""What grading a submission of all exercises costs, beside nbgrader's autograde of the same notebooks.

    python tests/benchmarks/bench_grading.py [SUBMISSIONS]      needs pip install nbgrader, which nothing else here does

Both grade the same solutions on the same cores in the same run. For nbgrader every check cell becomes a graded test cell, as
an instructor would make it; it runs each notebook from top to bottom in a kernel, so the cells that train and draw run as well;
a second line gives its time without them. Neither is given results of an earlier run.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = sorted((ROOT / "exercises" / "solutions").glob("*.ipynb"))
NBGRADER = 2  # submissions that nbgrader grades; more of them cost the same each


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as folder:
        ours = _ours(Path(folder), number)
        _say("python -m exercises.grading", number, *ours)
        for name, bare in (
            ("nbgrader autograde, whole notebooks", False),
            ("nbgrader autograde, answers and checks only", True),
        ):
            theirs = _nbgrader(Path(folder) / str(bare), bare)
            _say(name, NBGRADER, *theirs)
            print(f"    {(theirs[0] / NBGRADER) / (ours[0] / number):.0f} times as long a submission")


def _say(name: str, number: int, seconds: float, megabytes: float) -> None:
    print(f"{name}: {number} submissions in {seconds:.1f} s, {seconds / number:.2f} s each, {megabytes:.0f} MB in a process")


def _timed(line: list[str], folder: Path) -> tuple[float, float]:
    """Seconds, and the largest resident size of any process so far, in MB."""
    started = time.perf_counter()
    run = subprocess.run(line, cwd=folder, capture_output=True, text=True, env=_environment())
    seconds = time.perf_counter() - started
    if run.returncode:
        raise SystemExit(f"{' '.join(line)} failed:\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}")
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls a program of its neighbours
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def _ours(folder: Path, number: int) -> tuple[float, float]:
    for student in range(number):
        place = folder / "class" / f"student{student:03}"
        place.mkdir(parents=True)
        for solution in SOLUTIONS:
            # A word of each student's own, or all but the first would be known already.
            text = solution.read_text(encoding="utf8").replace("# === end of answer", f"own = {student}\\n# === end of answer")
            text = re.sub(r'("def \w+\([^"]*\):)\\n"', rf'\1  # by {student}\\n"', text)
            (place / solution.name).write_text(text, encoding="utf8")
    line = [sys.executable, "-m", "exercises.grading", str(folder / "class"), "--out", str(folder / "out")]
    measured = _timed(line, ROOT)
    marks = (folder / "out" / "grades.csv").read_text().splitlines()
    totals = {row.rpartition(",")[2] for row in marks[1:]}
    kept = len(list((folder / "out" / ".grading" / "observations").iterdir()))
    if len(totals) != 1 or totals == {"0"} or kept != number * len(SOLUTIONS):
        raise SystemExit(f"not what a class of solutions should get: totals {totals}, {kept} observations")
    return measured


def _nbgrader(folder: Path, bare: bool) -> tuple[float, float]:
    """The time of autograde alone; the assignment is made before."""
    source = folder / "source" / "kd"
    source.mkdir(parents=True)
    for solution in SOLUTIONS:
        (source / solution.name).write_text(json.dumps(_as_assignment(json.loads(solution.read_text(encoding="utf8")), bare)))
    (folder / "nbgrader_config.py").write_text(
        "c = get_config()\nc.ExecutePreprocessor.timeout = 600\nc.CourseDirectory.course_id = 'kd'\n"
    )
    nbgrader = [sys.executable, "-m", "nbgrader"]
    _timed([*nbgrader, "generate_assignment", "kd", "--force"], folder)
    for student in range(NBGRADER):
        place = folder / "submitted" / f"s{student}" / "kd"
        shutil.copytree(source, place)
    return _timed([*nbgrader, "autograde", "kd", "--force"], folder)


def _as_assignment(notebook: dict, bare: bool) -> dict:
    """A solution as nbgrader wants it: answers are solution cells, check cells are locked tests of one point."""
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        ours = cell["metadata"].get("course_lib", {})
        answer, check = "answer" in ours, "check" in ours
        imports = cell["cell_type"] == "code" and number == 2
        if bare and not (answer or check or imports):
            continue
        cell["metadata"] = {}
        if answer or check:
            what = {"grade": check, "solution": answer, "locked": check, "task": False, "schema_version": 3}
            cell["metadata"] = {"nbgrader": {**what, "grade_id": f"cell{number}", **({"points": 1} if check else {})}}
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            if answer:
                cell["source"] = f"### BEGIN SOLUTION\n{source}\n### END SOLUTION"
        cells.append(cell)
    return {**notebook, "cells": cells}


if __name__ == "__main__":
    main()
