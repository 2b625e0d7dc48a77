"""Checks for the exercises: pass your answer in, and read what is right, what is wrong, and which mistake it looks like.

    from course_lib import checks
    checks.distillation_loss(my_loss)

Every module exNN_name.py of this package holds an `Exercise`, called `exercise`, with that number and name. It is found by
its file alone: `EXERCISES` lists them in order, and each is `checks.name`.
"""

import importlib
import pkgutil
import re

from course_lib.checks.engine.core import SEED, TIME_LIMIT, Exercise, Part
from course_lib.checks.engine.mistakes import Mistake
from course_lib.checks.engine.observing import MAX_OBSERVATION
from course_lib.checks.engine.report import CheckFailed, PartResult, Report
from course_lib.checks.engine.trying import your_turn


def _find_exercises() -> tuple[Exercise, ...]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__) if re.match(r"ex\d\d_", module.name))
    found = tuple(importlib.import_module(f"{__name__}.{module}").exercise for module in modules)
    for module, exercise in zip(modules, found, strict=True):
        if module != f"ex{exercise.stem}":
            raise ImportError(f"{module}.py must hold the exercise of that number and name; it holds {exercise.stem}")
    return found


EXERCISES = _find_exercises()
globals().update({exercise.name: exercise for exercise in EXERCISES})

__all__ = [
    "EXERCISES",
    "MAX_OBSERVATION",
    "SEED",
    "TIME_LIMIT",
    "CheckFailed",
    "Exercise",
    "Mistake",
    "Part",
    "PartResult",
    "Report",
    "your_turn",
]
__all__ += [exercise.name for exercise in EXERCISES]
