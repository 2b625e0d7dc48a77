"""What `distillation_loss` costs, forward and backward, beside what others use, and how exact each is: all in turn in one run.

python tests/benchmarks/bench_loss.py [--rounds 9] [--small] [--device cuda]

The others are written here from their definitions: torchdistill's KDLoss (log-softmax and softmax, cross-entropy beside it),
TRL's generalised JSD at beta 0 (no T², no labels), and torchtune's forward KL in 8 chunks (no T, no labels).

On a CPU the plain lines can spend half of their time on memory: what they made at the last step was given back to the system.
Whether it is hangs on what else the process has allocated. So each size is measured twice: as malloc comes, and where malloc
(glibc's) gives nothing back.
"""

import argparse
import multiprocessing
import os
import statistics
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from unittest import mock

os.environ.setdefault("KINETO_LOG_LEVEL", "9")  # before torch is there: its profiler tells of every start
import torch
import torch.nn.functional as F

from course_lib.losses import distillation_loss, soft_target_loss

SHAPES = [(128, 10), (64, 1000), (1024, 2000), (512, 32000), (8, 128, 2000)]
ALPHA = 0.5
KEPT = {"MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "4000000000"}  # glibc reads these as a process starts


def as_rows(z, v, labels):
    return z.reshape(-1, z.shape[-1]), v.reshape(-1, v.shape[-1]), labels.flatten()


def plain(z, v, labels, T):
    z, v, labels = as_rows(z, v, labels)
    soft = F.kl_div(F.log_softmax(z / T, -1), F.log_softmax(v / T, -1), reduction="batchmean", log_target=True)
    return ALPHA * T**2 * soft + (1 - ALPHA) * F.cross_entropy(z, labels)


def kd_loss(z, v, labels, T):
    z, v, labels = as_rows(z, v, labels)
    soft = F.kl_div(torch.log_softmax(z / T, dim=1), torch.softmax(v / T, dim=1), reduction="batchmean")
    return (1 - ALPHA) * F.cross_entropy(z, labels) + ALPHA * T**2 * soft


def generalised_jsd(z, v, labels, T):
    log_q, log_p = F.log_softmax(z / T, dim=-1), F.log_softmax(v / T, dim=-1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum() / labels.numel()


def chunked_forward_kl(z, v, labels, T):
    z, v, labels = as_rows(z, v, labels)
    total = 0
    for z_part, v_part in zip(z.chunk(8), v.chunk(8), strict=True):
        p, log_q = F.softmax(v_part, -1, dtype=torch.float32), F.log_softmax(z_part, -1, dtype=torch.float32)
        total = total - torch.masked_fill(p * log_q, torch.isinf(z_part), 0).sum()
    return total / len(labels)


SIDES = {
    "plain four lines": plain,
    "distillation_loss": lambda z, v, labels, T: distillation_loss(z, v, labels, T, ALPHA),
    "torchdistill KDLoss": kd_loss,
    "TRL GKD": generalised_jsd,
    "torchtune chunked": chunked_forward_kl,
}


def logits(shape, apart=1.0):
    generator = torch.Generator().manual_seed(0)
    v = 3 * torch.randn(shape, generator=generator)
    z = v + apart * 3 * torch.randn(shape, generator=generator)
    return z, v, torch.randint(shape[-1], shape[:-1], generator=generator)


def seconds(side, z, v, labels, repeats: int) -> float:
    z = z.detach().requires_grad_()
    ready(z)
    started = time.perf_counter()
    for _ in range(repeats):
        z.grad = None
        side(z, v, labels, 4.0).backward()
    ready(z)
    return (time.perf_counter() - started) / repeats


def ready(x) -> None:
    if x.is_cuda:
        torch.cuda.synchronize()


def waits(side, z, v, labels) -> int:
    """How often the CPU waits for the GPU, forward and backward."""
    z = z.detach().requires_grad_()
    side(z, v, labels, 4.0).backward()  # the first time, torch itself may wait
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        side(z, v, labels, 4.0).backward()
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(each.message) for each in told)


def peak_bytes(side, z, v, labels) -> int:
    """The most that torch held at a time beyond the inputs."""
    z = z.detach().requires_grad_()
    if z.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        side(z, v, labels, 4.0).backward()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        side(z, v, labels, 4.0).backward()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def errors(T: float, apart: float) -> dict[str, tuple[float, float]]:
    """Of the soft term and of its gradient in float32, relative to float64, for those who have a T² and all its digits."""
    z, v, _ = logits((64, 1000), apart)
    exact = z.double().requires_grad_()
    value = soft_target_loss(exact, v.double(), T)
    (gradient,) = torch.autograd.grad(value, exact)
    found = {}
    for name, loss in (
        ("plain", lambda z: T**2 * F.kl_div(F.log_softmax(z / T, -1), F.log_softmax(v / T, -1), None, None, "batchmean", True)),
        ("ours", lambda z: soft_target_loss(z, v, T)),
    ):
        given = z.clone().requires_grad_()
        ours = loss(given)
        (its_gradient,) = torch.autograd.grad(ours, given)
        away = (its_gradient.double() - gradient).norm() / gradient.norm()
        found[name] = abs(ours.item() / value.item() - 1), away.item()
    return found


def measure(shape: tuple[int, ...], rounds: int, device: str) -> dict[str, tuple[float, float, float, int | None]]:
    """Of each side: its seconds, times those of the plain lines, peak memory over that of the logits, waits for a GPU."""
    torch.set_num_threads(1)
    given = [each.to(device) for each in logits(shape)]
    repeats = max(1, 200_000 // given[0].numel())
    times = {name: [] for name in SIDES}
    for _ in range(rounds + 2):
        for name, side in SIDES.items():
            times[name].append(seconds(side, *given, repeats))
    found = {}
    for name, side in SIDES.items():
        ratio = statistics.median(a / b for a, b in zip(times[name][2:], times["plain four lines"][2:], strict=True))
        held = peak_bytes(side, *given) / (4 * given[0].numel())
        waited = waits(side, *given) if given[0].is_cuda else None
        found[name] = statistics.median(times[name][2:]), ratio, held, waited
    return found


def in_a_process(settings: dict[str, str], *arguments) -> dict:
    """What `measure` finds in a new process with these settings of its environment: what one leaves would change the next."""
    with mock.patch.dict(os.environ, settings), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def compare(shape: tuple[int, ...], rounds: int, device: str) -> None:
    again = "; the same where malloc keeps what it has" if device == "cpu" else ""  # malloc has no part in a GPU's memory
    print(f"{shape}: time, and times that of the plain four lines{again}; peak memory / logits")
    runs = [in_a_process(settings, shape, rounds, device) for settings in ([{}, KEPT] if again else [{}])]
    found = runs[0]
    for name in SIDES:
        columns = "   ".join(f"{1e3 * each[name][0]:9.3f} ms {each[name][1]:5.2f}" for each in runs)
        waited = f"  waits {found[name][3]} times" if found[name][3] is not None else ""
        print(f"  {name:20s}{columns} {found[name][2]:6.1f}{waited}", flush=True)


def main(rounds: int, shapes: list[tuple[int, ...]], device: str) -> None:
    if device != "cpu":
        print(torch.cuda.get_device_name())
    for shape in shapes:
        compare(shape, rounds, device)
    print("relative error in float32 of the soft term, and of its gradient, (64, 1000)")
    for apart in (1.0, 0.01):
        for T in (1, 4, 20, 100):
            sides = "; ".join(f"{name} {value:.0e}, {gradient:.0e}" for name, (value, gradient) in errors(T, apart).items())
            print(f"  T = {T:3d}, logits {3 * apart:g} apart: {sides}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--small", action="store_true", help="without (512, 32000)")
    arguments = parser.parse_args()
    main(arguments.rounds, [shape for shape in SHAPES if not arguments.small or shape != (512, 32000)], arguments.device)
