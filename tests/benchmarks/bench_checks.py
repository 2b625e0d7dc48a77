"""How long a check takes, right and wrong: the first time in a session, and again.

python tests/benchmarks/bench_checks.py
"""

import time

import torch

from course_lib import checks


def milliseconds(exercise, answers) -> float:
    started = time.perf_counter()
    exercise.judge(exercise.observe(answers, checks.SEED), checks.SEED)
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads; milliseconds for all parts of an exercise")
    print(f"{'exercise':<18}{'first':>8}{'again':>8}{'slowest mistake':>18}{'again':>8}")
    for exercise in checks.EXERCISES:
        first, *more = (milliseconds(exercise, exercise.right) for _ in range(4))
        wrong, again = [], []
        for mistake in exercise.mistakes:
            exercise._known.clear()  # as in a session in which nothing was checked yet
            answers = {**exercise.right, **mistake.answers}
            wrong.append(milliseconds(exercise, answers))
            again.append(milliseconds(exercise, answers))
        print(f"{exercise.name:<18}{first:8.0f}{min(more):8.0f}{max(wrong):18.0f}{max(again):8.0f}")
