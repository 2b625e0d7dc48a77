"""Divergences, own names and drafts, with seeds: the runs behind notebook 09's figures of letters.

    python -m tests.tools.compare_own_words --out own_words.json [--seeds 5]

For each seed, a thousand surnames, others for each: a student learns them from labels, and one from the teacher, token by token
(600 steps of 64, rate from 1e-2 to 0 along a cosine). The second one goes on for 400 steps, rate from 3e-3 to 0, under each
divergence, on 25,600 names that the teacher wrote, or at every step on as many that it writes itself. Nothing is tuned here.
"""

import copy
import time
from collections.abc import Callable

import torch

from course_lib.language import (
    OnPolicy,
    Transformer,
    bits_per_letter,
    encode,
    kl_per_name,
    mean_acceptance,
    new_language_student,
    pretrained_language_teacher,
    surnames,
    write_names,
)
from course_lib.loops import Distillation, HardLabels, fit, with_teacher_logits
from course_lib.schedules import cosine
from tests.tools.recording import record

NAMES, BATCH_SIZE, EPOCHS, LR = 1_000, 64, 38, 1e-2  # 38 epochs of 16 steps
MORE_NAMES, MORE_LR = 25_600, 3e-3  # 400 steps
MEASURED, SHOWN, SEED_OF_NAMES = 4_000, 10, 1_000
BETAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
OWN_BETAS = (0.0, 0.5, 1.0)


def first_students(seed: int, teacher: Transformer) -> dict[str, Transformer]:
    """Return the students of a thousand names: from labels, and token by token from the teacher."""
    data = with_teacher_logits(teacher, encode(surnames().train[NAMES * seed : NAMES * (seed + 1)]))
    made = {}
    for name, objective in {"labels": HardLabels(), "distilled": Distillation(teacher, T=1, alpha=1)}.items():
        made[name] = new_language_student(seed=seed)
        fit(made[name], data, objective, epochs=EPOCHS, batch_size=BATCH_SIZE, lr=cosine(LR, 0.0), seed=seed)
    return made


def ways() -> dict[str, tuple[str, dict]]:
    """name -> (whose names, the divergence)."""
    jsd = {beta: {"divergence": "jsd", "beta": beta} for beta in BETAS}
    teachers = {f"teacher's names, beta {beta:g}": ("teacher", jsd[beta]) for beta in BETAS}
    own = {f"own names, beta {beta:g}": ("own", jsd[beta]) for beta in OWN_BETAS}
    return teachers | own | {"teacher's names, total variation": ("teacher", {"divergence": "tvd"})}


def go_on(student: Transformer, teacher: Transformer, data, whose: str, divergence: dict, seed: int) -> Transformer:
    """Return a copy of the student, trained for one epoch more over `data`, or over as many names of its own."""
    student = copy.deepcopy(student)
    objective = OnPolicy(teacher, **divergence) if whose == "own" else Distillation(teacher, T=1, alpha=1, **divergence)
    fit(student, data, objective, epochs=1, batch_size=BATCH_SIZE, lr=cosine(MORE_LR, 0.0), seed=seed)
    return student


def measure(student: Transformer, teacher: Transformer, teachers_names, held_out) -> dict:
    """Return what the notebook shows of a student; a divergence in bits a name, the rest in bits a letter or percent."""
    own = write_names(student, MEASURED, seed=SEED_OF_NAMES)
    found = {
        "bits": bits_per_letter(student, held_out),
        "forward": kl_per_name(teacher, student, teachers_names),
        "reverse": kl_per_name(student, teacher, encode(own)),
        "teacher's bits": bits_per_letter(teacher, encode(own)),
        "own bits": bits_per_letter(student, encode(own)),
        "accepted": 100 * mean_acceptance(teacher, student, teachers_names),
        "different names": len(set(own)),
    }
    return {name: round(value, 4) for name, value in found.items()} | {"names": own[:SHOWN]}


def compare(seeds: int, log: Callable[[str], None] = print) -> dict:
    """Return for each student what `measure` gives, one a seed; and the same of the teacher, as `teacher`."""
    teacher, held_out = pretrained_language_teacher(), encode(surnames().held_out)
    teachers_names = encode(write_names(teacher, MEASURED, seed=SEED_OF_NAMES))
    found: dict[str, list] = {}
    for seed in range(seeds):
        started = time.perf_counter()
        students = first_students(seed, teacher)
        data = with_teacher_logits(teacher, encode(write_names(teacher, MORE_NAMES, seed=seed)))
        for name, (whose, divergence) in ways().items():
            students[name] = go_on(students["distilled"], teacher, data, whose, divergence, seed)
        for name, student in students.items():
            found.setdefault(name, []).append(measure(student, teacher, teachers_names, held_out))
            log(f"{seed} {name}: {found[name][-1]}")
        log(f"{time.perf_counter() - started:.0f} s")
    of_teacher = {
        "bits": round(bits_per_letter(teacher, held_out), 4),
        "own bits": round(bits_per_letter(teacher, teachers_names), 4),
    }
    return {"torch": torch.__version__, "seeds": list(range(seeds)), "teacher": of_teacher, "students": found}


if __name__ == "__main__":
    record(__doc__.splitlines()[0], compare)
