"""The core on an NVIDIA GPU, where there is one: the CPU's numbers, seeds, autocast, and no step that waits for the card."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from course_lib.basics import seeded
from course_lib.history import History
from course_lib.loops import Distillation, HardLabels, evaluate, fit, with_teacher_logits
from course_lib.losses import DIVERGENCES, distillation_loss, soft_target_loss
from course_lib.objectives import Features
from course_lib.schedules import linear

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
GPU = torch.device("cuda")


def logits(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [(3 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype) for _ in range(2)]


def value_and_gradient(loss, z, *others, device, **settings):
    z = z.to(device).requires_grad_()
    value = loss(z, *(x.to(device) if isinstance(x, torch.Tensor) else x for x in others), **settings)
    return value.cpu(), torch.autograd.grad(value, z)[0].cpu()


def network(seed=0, width=16):
    with seeded(seed):
        return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 3))


def points(n=192):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, x[:, :3].argmax(-1))


@pytest.fixture
def set_waiting():
    """What makes waiting an "error" for torch; afterwards it is allowed again."""
    yield torch.cuda.set_sync_debug_mode
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("shape", [(16, 10), (3, 8, 2000)])
def test_the_loss_is_that_of_the_cpu(dtype, divergence, shape):
    z, v = logits(*shape, dtype=dtype)
    labels = torch.randint(shape[-1], shape[:-1], generator=torch.Generator().manual_seed(0))
    labels.view(-1)[::3] = -100
    settings = {"T": 3.0, "alpha": 0.7, "divergence": divergence}
    expected, its_gradient = value_and_gradient(distillation_loss, z.double(), v.double(), labels, device="cpu", **settings)
    loss, gradient = value_and_gradient(distillation_loss, z, v, labels, device=GPU, **settings)
    assert gradient.dtype == dtype
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10 if dtype == torch.float64 else 2e-5)
    if divergence != "tvd":  # whose gradient jumps where p and q cross
        unit, size = torch.finfo(dtype).eps, its_gradient.abs().max().item()
        torch.testing.assert_close(gradient.double(), its_gradient, rtol=8 * max(unit, 1e-7), atol=8 * max(unit, 1e-7) * size)


@pytest.mark.parametrize("T", [0.05, 1000])
def test_the_loss_keeps_its_digits_at_the_ends(T):
    z, v = logits(32, 10)
    expected, its_gradient = value_and_gradient(soft_target_loss, z.double(), v.double(), T, device="cpu")
    loss, gradient = value_and_gradient(soft_target_loss, z, v, T, device=GPU)
    assert loss.item() == pytest.approx(expected.item(), rel=2e-5)
    torch.testing.assert_close(gradient.double(), its_gradient, rtol=1e-6, atol=1e-6 * its_gradient.abs().max().item())


def test_no_step_waits_for_the_card(set_waiting):
    teacher, student, (x, labels) = network(1, 32).to(GPU), network(2).to(GPU), [column.to(GPU) for column in points().tensors]
    labels[::5] = -100
    soft = Distillation(teacher, T=linear(5, 1), alpha=0.7)
    objectives = (HardLabels(), soft, Features(teacher, student, x, {"2": "2"}, loss="mse", base=soft))
    optimizer, history = torch.optim.Adam(student.parameters(), fused=True), History("mine", 1, 6)
    student.train()
    for mode in ("default", "error"):  # the first time, torch itself may wait: it prepares what it keeps
        set_waiting(mode)
        for objective in objectives:
            loss = objective(student, (x, labels), 0.5)
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
            history.add_step(loss.total, 1e-3, loss.log)
    set_waiting("default")
    assert all(map(torch.isfinite, torch.tensor(history.by_step["loss"])))


def test_a_seed_gives_the_same_run_and_leaves_the_cards_random_numbers_alone():
    data, teacher, before = points(), network(1, 32).to(GPU), torch.cuda.get_rng_state(GPU)
    runs = []
    for _ in range(2):
        student = network(2).to(GPU)
        history = fit(student, data, Distillation(teacher), epochs=3, batch_size=32, lr=0.01, seed=5, validation=data)
        runs.append((history, student))
    (first, one), (second, other) = runs
    assert first.by_step == second.by_step
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert first.by_epoch["validation_accuracy"][-1] == evaluate(one, data) > 0.6
    assert torch.equal(torch.cuda.get_rng_state(GPU), before)


def test_a_run_goes_on_as_if_nothing_had_come_between(tmp_path):
    def run(epochs_of_a_call):
        for stop in epochs_of_a_call:
            student = network(2).to(GPU)  # a new one each time: all that it has learned is in the file
            settings = {"epochs": 4, "batch_size": 32, "checkpoint": tmp_path / f"{len(epochs_of_a_call)}.pt"}
            fit(student, points(), HardLabels(), on_epoch=lambda history, stop=stop: history.epochs == stop, **settings)
        return student.state_dict()

    one, two = run([4]), run([2, 4])
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_teacher_logits_are_cached_where_the_data_is():
    data = with_teacher_logits(network(1).to(GPU), points())
    assert {column.device.type for column in data.tensors} == {"cpu"}
    assert evaluate(network(2).to(GPU), data) == evaluate(network(2).to(GPU), points())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_autocast(dtype):
    student, teacher, (x, labels) = network().to(GPU), network(1, 32).to(GPU), [column.to(GPU) for column in points().tensors]
    optimizer, scaler = torch.optim.Adam(student.parameters(), lr=0.01), torch.amp.GradScaler("cuda")
    losses = []
    for _ in range(40):
        with torch.autocast("cuda", dtype):
            loss = Distillation(teacher, T=4.0)(student, (x, labels), 0.5).total
        assert loss.dtype == torch.float32
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_script_distils_on_the_card(tmp_path):
    script = Path(__file__).parents[1] / "notebooks" / "distil.py"
    (tmp_path / "distil.py").write_bytes(script.read_bytes())
    command = [sys.executable, "distil.py", "--device", "cuda", "--epochs", "1", "--out", "mine.pt"]
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "right: teacher 9" in done.stdout
    weights = torch.load(tmp_path / "mine.pt", weights_only=True)["weights"]
    assert {value.device.type for value in weights.values()} == {"cpu"}
