"""Checks for the exercises: pass your answer in, and read what is right, what is wrong, and which mistake it looks like.

    from course_lib import checks
    checks.distillation_loss(my_loss)

Every check is an `Exercise`. `EXERCISES` lists them in order.
"""

from course_lib.checks.engine.core import SEED, TIME_LIMIT, Exercise, Mistake, Part
from course_lib.checks.engine.observing import MAX_OBSERVATION
from course_lib.checks.engine.report import CheckFailed, PartResult, Report
from course_lib.checks.ex01_soft_targets import exercise as soft_targets
from course_lib.checks.ex02_dark_knowledge import exercise as dark_knowledge
from course_lib.checks.ex03_gradient import exercise as gradient
from course_lib.checks.ex04_distillation_loss import exercise as distillation_loss
from course_lib.checks.ex05_training import exercise as training
from course_lib.checks.ex06_schedule import exercise as schedule
from course_lib.checks.ex07_cached_logits import exercise as cached_logits
from course_lib.checks.ex08_sequences import exercise as sequences

EXERCISES = (
    soft_targets,
    dark_knowledge,
    gradient,
    distillation_loss,
    training,
    schedule,
    cached_logits,
    sequences,
)

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
    "cached_logits",
    "dark_knowledge",
    "distillation_loss",
    "gradient",
    "schedule",
    "sequences",
    "soft_targets",
    "training",
]
