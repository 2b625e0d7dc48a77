"""Students of a driver, with seeds: the runs behind notebook 09's figure of roads.

    python -m tests.tools.compare_driving --out driving.json [--seeds 5]

Each student sees 300 batches of 16 roads, 40 moves long, without gusts; rate from 1e-2 to 0 along a cosine. What differs is
who drives those roads, and the divergence. One control watches the teacher drive in gusts. Then each drives 1,000 other
roads of every length, with a gust in one of 400 moves; the roads and their gusts are the same for all. Nothing is tuned here.
"""

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import TensorDataset

from course_lib.driving import OnTheRoad, SteeringTeacher, drive, new_steering_student, off_road, random_gusts, winding_roads
from course_lib.loops import fit
from course_lib.losses import soft_target_loss
from course_lib.schedules import cosine
from tests.tools.recording import record

STEPS, BATCH_SIZE, MOVES, LR = 300, 16, 40, 1e-2
LENGTHS, ROADS, CHANCE, TRAINING_CHANCE = (25, 50, 100, 200, 400), 1_000, 0.0025, 0.02
WAYS = {
    **{f"own share {share:g}": {"own_share": share} for share in (0.0, 0.125, 0.25, 0.5, 1.0)},
    "own share 0, reverse": {"own_share": 0.0, "divergence": "reverse"},
    "own share 1, reverse": {"own_share": 1.0, "divergence": "reverse"},
    "own share 0, in gusts": {"own_share": 0.0, "gust_chance": TRAINING_CHANCE},
}


def train(seed: int, **settings) -> nn.Module:
    """Return a student; settings: of `OnTheRoad`."""
    student, roads = new_steering_student(seed), TensorDataset(winding_roads(STEPS * BATCH_SIZE, MOVES, seed=seed))
    objective = OnTheRoad(SteeringTeacher(), **settings)
    fit(student, roads, objective, epochs=1, batch_size=BATCH_SIZE, lr=cosine(LR, 0.0), seed=seed)
    return student


def measure(driver: nn.Module) -> dict:
    """Return the moves off the road, the mean over the roads of each length, and the soft loss where the teacher drives."""
    moves = []
    for length in LENGTHS:
        roads = winding_roads(ROADS, length, seed=1_000)
        gusts = random_gusts(ROADS, length, CHANCE, seed=1_000)
        states = drive(driver, roads, gusts, torch.Generator().manual_seed(1_000))
        moves.append(round(off_road(states).sum(1).float().mean().item(), 4))
    return {"off the road": moves, "loss": round(loss_on_the_teachers_roads(driver), 5)}


@torch.no_grad()
def loss_on_the_teachers_roads(driver: nn.Module) -> float:
    teacher = SteeringTeacher()
    states = drive(teacher, winding_roads(200, 100, seed=2_000), None, torch.Generator().manual_seed(2_000))
    return soft_target_loss(driver(states), teacher(states), T=1.0).item()


def compare(seeds: int, log: Callable[[str], None] = print) -> dict:
    """Return for each way what `measure` gives, one a seed; and the teacher's own, as `teacher`."""
    found: dict[str, list] = {name: [] for name in WAYS}
    for seed in range(seeds):
        for name, settings in WAYS.items():
            started = time.perf_counter()
            found[name].append(measure(train(seed, **settings)))
            log(f"{seed} {name}: {found[name][-1]} ({time.perf_counter() - started:.0f} s)")
    recipe = {"lengths": list(LENGTHS), "roads": ROADS, "chance": CHANCE}
    return {"torch": torch.__version__, "seeds": list(range(seeds)), **recipe, "teacher": measure(SteeringTeacher())} | {
        "students": found
    }


if __name__ == "__main__":
    record(__doc__.splitlines()[0], compare)
