"""The car of notebook 09: roads, moves and gusts by hand, the camera, and who drives in training."""

import math
import re

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from course_lib.driving import (
    EDGE,
    FENCE,
    STEP,
    TURNS,
    Camera,
    OnTheRoad,
    SteeringTeacher,
    drive,
    new_steering_student,
    off_road,
    on_the_map,
    random_gusts,
    winding_roads,
)
from course_lib.loops import fit
from course_lib.losses import soft_target_loss
from course_lib.schedules import linear


class Always(nn.Module):
    """A driver that always turns the same way."""

    def __init__(self, turn):
        super().__init__()
        self.logits = torch.full((5,), -1e9)
        self.logits[turn] = 0

    def forward(self, states):
        self.asked = states
        return self.logits.expand(*states.shape[:-1], 5)


STRAIGHT, LEFT = 2, 4


def seeded_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_roads_are_seeded_wind_and_are_never_too_sharp_for_the_turns():
    roads = winding_roads(200, 50, seed=1)
    assert roads.shape == (200, 50)
    assert torch.equal(roads, winding_roads(200, 50, seed=1))
    assert not torch.equal(roads, winding_roads(200, 50, seed=2))
    assert (roads > 0.05).any()
    assert (roads < -0.05).any()
    assert roads.abs().max() * STEP <= 0.3 * 0.5 == max(TURNS) / 2


def test_moves_by_hand():
    road = torch.tensor([[0.0, 0.2, 0.0]])
    states = drive(Always(LEFT), road)[0]
    assert states[0].tolist() == [0, 0, 0]
    heading = 0.3
    assert states[1].tolist() == pytest.approx([STEP * math.sin(heading), heading, 0.2])
    heading += 0.3 - STEP * 0.2
    assert states[2].tolist() == pytest.approx([STEP * (math.sin(0.3) + math.sin(heading)), heading, 0])


def test_a_gust_pushes_before_its_move_and_a_fence_stops_the_car():
    road, gusts = torch.zeros(2, 40), torch.zeros(2, 40)
    gusts[0, 3] = 1.5
    states = drive(Always(STRAIGHT), road, gusts)
    assert states[0, 2].tolist() == [0, 0, 0]
    assert states[0, 3].tolist() == pytest.approx([1.5, 0.45, 0])
    assert states[0, -1, 0] == FENCE
    assert (states[1] == 0).all()
    assert off_road(states).sum(1).tolist() == [37, 0]
    assert off_road(torch.tensor([[EDGE, 0, 0], [-EDGE - 0.01, 0, 0]])).tolist() == [False, True]
    with pytest.raises(ValueError, match=re.escape("gusts must have the shape of roads, (2, 40); got (2, 39)")):
        drive(Always(STRAIGHT), road, gusts[:, 1:])


def test_gusts_come_as_often_as_they_should_from_both_sides():
    gusts = random_gusts(400, 100, chance=0.05, size=1.5, seed=1)
    assert gusts.unique().tolist() == [-1.5, 0, 1.5]
    assert (gusts != 0).double().mean().item() == pytest.approx(0.05, abs=0.005)
    assert (gusts > 0).sum() / (gusts != 0).sum() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(gusts, random_gusts(400, 100, chance=0.05, size=1.5, seed=1))
    assert (random_gusts(3, 4, chance=0.0) == 0).all()


def test_the_teacher_by_hand():
    logits = SteeringTeacher()(torch.tensor([[0.5, 0.1, 0.2], [3.0, 0.0, 0.0]]))
    wanted = [-0.3 - 0.1 + 0.1, -0.8]
    by_hand = [[-((want - turn) ** 2) / (2 * 0.08**2) for turn in TURNS] for want in wanted]
    assert torch.allclose(logits, torch.tensor(by_hand))
    assert logits.argmax(-1).tolist() == [0, 0]


def test_moves_are_drawn_from_the_logits():
    states = drive(SteeringTeacher(), torch.zeros(20_000, 2), generator=seeded_generator())
    turned = (states[:, 1, 1:2] - torch.tensor(TURNS)).abs().argmin(-1)
    found = torch.bincount(turned, minlength=5) / len(turned)
    assert torch.allclose(found, SteeringTeacher()(torch.zeros(3)).softmax(-1), atol=0.01)


def test_the_teacher_comes_back_from_every_gust():
    roads, gusts = winding_roads(100, 60, seed=3), torch.zeros(100, 60)
    gusts[:50, 20], gusts[50:, 20] = 1.5, -1.5
    away = off_road(drive(SteeringTeacher(), roads, gusts, seeded_generator()))
    assert away[:, 20].all()
    assert not away[:, :20].any()
    assert not away[:, 35:].any()


def test_the_camera_sees_the_middle_of_the_road_where_it_is():
    pixels = Camera()(
        torch.tensor([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.2], [9.0, 0.0, 0.0]])
    ).unflatten(-1, (2, 17))
    across = torch.linspace(-3, 3, 17)
    spots = across[pixels.argmax(-1)]
    assert spots[:4].tolist() == [[0, 0], [-1.5, -1.5], [-0.375, -1.5], [0, 0.75]]  # to the nearest of 17 pixels
    assert pixels[:4].amax(-1).min() > 0.5
    assert pixels[4].max() < 1e-3  # the road is out of sight
    assert pixels[0, 0].max() == 1


def test_the_student_is_seeded():
    one, same, other = (new_steering_student(seed) for seed in (1, 1, 2))
    states = torch.randn(4, 7, 3, generator=seeded_generator())
    assert torch.equal(one(states), same(states))
    assert not torch.equal(one(states), other(states))
    assert one(states).shape == (4, 7, 5)
    assert sum(parameter.numel() for parameter in one.parameters()) == 645


def test_the_map():
    road = torch.zeros(1, 4)
    assert on_the_map(road)[0].tolist() == [[0, 0], [0.5, 0], [1, 0], [1.5, 0]]
    assert on_the_map(road, torch.tensor([[0.0, 1, -1, 0]]))[0, :, 1].tolist() == [0, 1, -1, 0]
    bend = torch.full((1, 3), math.pi)  # a quarter of a circle a move
    assert torch.allclose(on_the_map(bend)[0], torch.tensor([[0, 0], [0.5, 0], [0.5, 0.5]]), atol=1e-6)
    roads = winding_roads(3, 50)
    left, middle = on_the_map(roads, torch.ones(3, 50)), on_the_map(roads)
    assert torch.allclose((left - middle).norm(dim=-1), torch.ones(3, 50), atol=1e-4)


# ---- training ----


@pytest.mark.parametrize(("share", "own"), [(0.0, 0), (0.25, 1), (1.0, 4)])
def test_who_drives_which_roads(share, own):
    student, teacher = nn.Sequential(Always(LEFT)), Always(STRAIGHT)
    seen = {}

    def watch(module, inputs):
        seen[inputs[0].dim(), len(inputs[0])] = inputs[0]

    teacher.register_forward_pre_hook(watch)
    OnTheRoad(teacher, share)(student, [torch.zeros(4, 6)], 0.0)
    states = seen[3, 4]  # the last question to the teacher: what it would have done
    assert (states[:own, 1:, 0] > 0).all()
    assert (states[own:, :, 0] == 0).all()


@pytest.mark.parametrize("divergence", ["forward", "reverse"])
def test_the_loss_is_the_divergence_in_the_states_of_the_drive(divergence):
    student, teacher, roads = new_steering_student(1), SteeringTeacher(), winding_roads(4, 10)
    torch.manual_seed(3)
    loss = OnTheRoad(teacher, 1.0, divergence)(student, [roads], 0.0)
    torch.manual_seed(3)
    states = drive(student, roads)
    by_hand = soft_target_loss(student(states), teacher(states), 1.0, divergence=divergence)
    assert torch.equal(loss.total, by_hand)
    loss.total.backward()
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_gusts_in_training():
    student, teacher = new_steering_student(), SteeringTeacher()
    torch.manual_seed(0)
    roads = winding_roads(64, 40)
    still, blown = (OnTheRoad(teacher, 0.0, gust_chance=chance)(student, [roads], 0.0).total for chance in (0.0, 0.2))
    assert blown != still


def test_fit_is_seeded_and_own_roads_bring_the_student_back_where_watching_does_not():
    roads, teacher = TensorDataset(winding_roads(16 * 120, 30, seed=5)), SteeringTeacher()

    def train(share):
        student = new_steering_student(2)
        fit(student, roads, OnTheRoad(teacher, share), epochs=1, batch_size=16, lr=1e-2)
        return student

    watched, own, same = train(0.0), train(1.0), train(1.0)
    assert all(map(torch.equal, own.parameters(), same.parameters()))
    test_roads, gusts = winding_roads(100, 60, seed=6), torch.zeros(100, 60)
    gusts[:, 20] = 1.5
    away = [
        off_road(drive(each, test_roads, gusts, seeded_generator())).sum(1).float().mean() for each in (watched, own, teacher)
    ]
    assert away[0] > 3 * away[1]
    assert away[1] < 2 * away[2]


def test_a_share_may_follow_a_schedule_and_repr_says_the_settings():
    objective = OnTheRoad(SteeringTeacher(), linear(0, 1), "reverse", 0.1)
    assert "own_share=linear(start=0, end=1), divergence='reverse', gust_chance=0.1" in repr(objective)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"own_share": 2.0}, "own_share must lie in [0, 1], got 2.0"),
        ({"own_share": linear(0, 3)}, "own_share must lie in [0, 1], got 3.0"),
        ({"divergence": "sideways"}, "divergence must be one of"),
        ({"gust_chance": -0.1}, "gust_chance must lie in [0, 1], got -0.1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        OnTheRoad(SteeringTeacher(), **arguments)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        winding_roads(0, 3)
    with pytest.raises(ValueError, match=re.escape("chance must lie in [0, 1], got 2")):
        random_gusts(1, 1, 2)
