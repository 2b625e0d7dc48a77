"""A car on a winding road, steered in moves that are tokens: what notebook 09 shows of learning on roads of one's own.

The teacher is a formula. The student is a small network that sees the road through a camera. Both answer a state with logits
of the same five turns, so that this is distillation as anywhere else; only where the states come from can be chosen. A state is
(offset, heading, curvature): how far the car is to the left of the middle of the road, how far it points to the left of its
direction, in radians, and how sharply the road bends to the left there. The unit of length is half the width of the road.
"""

import torch
from torch import Tensor, nn

from course_lib.basics import check_positive_int, eval_mode, seeded
from course_lib.losses import check_alpha, find_divergence, soft_target_loss
from course_lib.objectives import FloatOrSchedule, Loss, value_at

TURNS = (-0.3, -0.15, 0.0, 0.15, 0.3)  # the five tokens: radians to the left, before the car goes on
STEP = 0.5  # what the car goes on by in a move, along the road
EDGE, FENCE, STEEPEST = 1.0, 4.0, 1.3  # offset of the road's edge, of a fence that stops the car; the largest angle to the road
GUST_ANGLE = 0.3  # a gust that pushes the car by 1 turns it by this
_BENDS = ((0.12, 0.15), (0.10, 0.31), (0.08, 0.57))  # largest curvature, and frequency, of the waves that make a road


def winding_roads(count: int, length: int, seed: int = 0) -> Tensor:
    """Return the curvatures of random roads, (count, length), one a move; the same for the same seed."""
    check_positive_int("count", count)
    check_positive_int("length", length)
    generator = torch.Generator().manual_seed(seed)
    along = STEP * torch.arange(length)
    roads = torch.zeros(count, length)
    for largest, frequency in _BENDS:
        size, speed, start = torch.rand(3, count, 1, generator=generator)
        roads += largest * size * torch.sin(frequency * (0.8 + 0.4 * speed) * along + 2 * torch.pi * start)
    return roads


def random_gusts(count: int, length: int, chance: float, size: float = 1.5, seed: int = 0) -> Tensor:
    """Return pushes to the left or right, (count, length), for `drive`: each move has one with this chance, else 0."""
    check_alpha(chance, "chance")
    generator = torch.Generator().manual_seed(seed)
    happens, left = torch.rand(2, count, length, generator=generator)
    return size * (happens < chance) * torch.where(left < 0.5, 1.0, -1.0)


class SteeringTeacher(nn.Module):
    """States (..., 3) in, logits (..., 5) of the turns out, by a formula that is right wherever the car is.

    It points the car at the middle, by at most 0.8 radians against the road. The nearer a turn is to the one that does so, the
    likelier it is: logits fall with the square of the difference.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("turns", torch.tensor(TURNS))

    def forward(self, states: Tensor) -> Tensor:
        offset, heading, curvature = states.unbind(-1)
        wanted = -(0.6 * offset).clamp(-0.8, 0.8) - heading + STEP * curvature
        return -((wanted[..., None] - self.turns) ** 2) / (2 * 0.08**2)


class Camera(nn.Module):
    """States (..., 3) in, what a camera on the car sees out: (..., 34), two rows of 17 pixels.

    A row shows where the middle of the road lies, at a distance of 1 or 3 ahead, from 3 to the right of the car to 3 to its
    left: a bright spot, two pixels wide. A pixel stays dark as long as the car is never where it would see the road there.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("ahead", torch.tensor([1.0, 3.0]))
        self.register_buffer("across", torch.linspace(-3, 3, 17))

    def forward(self, states: Tensor) -> Tensor:
        offset, heading, curvature = (column[..., None] for column in states.unbind(-1))
        middle = curvature * self.ahead**2 / 2 - offset - heading * self.ahead
        width = 0.6 * (self.across[1] - self.across[0])
        return torch.exp(-(((middle[..., None] - self.across) / width) ** 2) / 2).flatten(-2)


def new_steering_student(seed: int = 0) -> nn.Sequential:
    """Return an untrained student of 645 parameters: the camera, a hidden layer of 16 units, five logits."""
    with seeded(seed):
        return nn.Sequential(Camera(), nn.Linear(34, 16), nn.Tanh(), nn.Linear(16, len(TURNS)))


@torch.no_grad()
def drive(driver, roads: Tensor, gusts: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
    """Return the states, (n, length, 3), that a car meets on each road (n, length), starting in the middle.

    driver: states (n, 3) -> logits (n, 5), from which each move is drawn. gusts: (n, length), pushes to the left before a move.
    generator: without one, torch's default random numbers are used.
    """
    if gusts is not None and gusts.shape != roads.shape:
        raise ValueError(f"gusts must have the shape of roads, {tuple(roads.shape)}; got {tuple(gusts.shape)}")
    n, length = roads.shape
    # Gumbel's noise: the largest of logits + noise is a draw from their softmax.
    noise = -torch.log(-torch.log(torch.rand(length, n, len(TURNS), generator=generator)))
    turns, offset, heading, states = torch.tensor(TURNS), torch.zeros(n), torch.zeros(n), []
    for t in range(length):
        if gusts is not None:
            offset, heading = offset + gusts[:, t], heading + GUST_ANGLE * gusts[:, t]
        states.append(torch.stack([offset, heading, roads[:, t]], -1))
        turn = turns[(driver(states[-1]) + noise[t]).argmax(-1)]
        heading = (heading + turn - STEP * roads[:, t]).clamp(-STEEPEST, STEEPEST)
        offset = (offset + STEP * heading.sin()).clamp(-FENCE, FENCE)
    return torch.stack(states, 1)


def off_road(states: Tensor) -> Tensor:
    """Return whether the car is beyond the edge, bool, the shape of states without the last dimension."""
    return states[..., 0].abs() > EDGE


def on_the_map(roads: Tensor, offsets: Tensor | float = 0.0) -> Tensor:
    """Return where a car with these offsets is, x and y, (n, length, 2): the middle of the road without them.

    roads: (n, length). A road begins at (0, 0) and points along x; offset: to the left of it.
    """
    angle = STEP * (roads.cumsum(-1) - roads)  # the direction before each move
    x, y = ((STEP * part).cumsum(-1) - STEP * part for part in (angle.cos(), angle.sin()))
    return torch.stack([x - offsets * angle.sin(), y + offsets * angle.cos()], -1)


class OnTheRoad:
    """The teacher's soft targets in the states of a drive, made at every step anew: `course_lib.language.OnPolicy` with a car.

    Of the roads in each batch, (n, length), `own_share` are driven by the student, the rest by the teacher; a number, or a
    schedule of progress. gust_chance: of a gust in each move. divergence: as in `soft_target_loss`, at T = 1. No gradient flows
    through the drive: its states are inputs like any other. It logs soft, in nats a move. Raises as `soft_target_loss` does.
    """

    def __init__(
        self, teacher: nn.Module, own_share: FloatOrSchedule = 1.0, divergence: str = "forward", gust_chance: float = 0.0
    ):
        find_divergence(divergence)
        check_alpha(gust_chance, "gust_chance")
        for progress in (0.0, 1.0):
            check_alpha(value_at(own_share, progress), "own_share")
        self.teacher, self.own_share, self.divergence, self.gust_chance = teacher, own_share, divergence, gust_chance

    def __call__(self, student: nn.Module, batch: list[Tensor], progress: float) -> Loss:
        (roads,) = batch
        own = round(value_at(self.own_share, progress) * len(roads))

        def both(states: Tensor) -> Tensor:
            return torch.cat([student(states[:own]), self.teacher(states[own:])])

        driver = self.teacher if own == 0 else student if own == len(roads) else both
        gusts = None
        if self.gust_chance:
            gusts = random_gusts(*roads.shape, self.gust_chance, seed=int(torch.randint(2**31, ())))
        with eval_mode(student):
            states = drive(driver, roads, gusts)
        soft = soft_target_loss(student(states), self.teacher(states), T=1.0, divergence=self.divergence)
        return Loss(soft, log={"soft": soft})

    def __repr__(self) -> str:
        settings = f"own_share={self.own_share}, divergence={self.divergence!r}, gust_chance={self.gust_chance}"
        return f"OnTheRoad({type(self.teacher).__name__}, {settings})"
