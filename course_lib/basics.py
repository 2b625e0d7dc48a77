"""What every room above uses: a check of counts; seeds, modes and devices that are left as they were found."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn


def check_positive_int(name: str, value: int) -> None:
    """Raise TypeError or ValueError, naming the argument, unless value is an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Start torch's default random numbers on `device` from `seed`; afterwards let them go on as if nothing had happened."""
    device = torch.device(device)
    with random_kept(device):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: it also reseeds devices that are not restored here
        if device.type == "cuda":  # pragma: no cover - where there is such a GPU
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        if device.type == "mps":
            torch.mps.manual_seed(seed)
        yield


@contextmanager
def random_kept(device: torch.device) -> Iterator[None]:
    """Afterwards torch's default random numbers on `device` go on as if nothing had happened."""
    before = random_state(device)
    try:
        yield
    finally:
        set_random_state(before, device)


def random_state(device: torch.device) -> list[torch.Tensor]:
    """Return the state of torch's default random numbers on the CPU and, where it is a GPU, on `device`."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":  # pragma: no cover
        states.append(torch.cuda.get_rng_state(device))
    if device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def set_random_state(states: list[torch.Tensor], device: torch.device) -> None:
    """Take torch's default random numbers back to where `random_state` found them."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":  # pragma: no cover
        torch.cuda.set_rng_state(states[1], device)
    if device.type == "mps":
        torch.mps.set_rng_state(states[1])


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Put the model in eval mode, without gradients; afterwards put each of its modules back in the mode that it was in."""
    with restore_modes(model), torch.no_grad():
        try:
            yield model.eval()
        finally:  # under autocast, torch 2.4 would use the weights that it cast here, without gradients, in later steps too
            torch.clear_autocast_cache()


def to_eval(model: nn.Module) -> nn.Module:
    """Put the model in eval mode, in a quarter of the time of `model.eval()` where each of its modules is in it already."""
    return model.eval() if any(module.training for module in model.modules()) else model


@contextmanager
def restore_modes(model: nn.Module) -> Iterator[None]:
    """Afterwards put each module of the model back in the mode that it was in, be it train or eval."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(model: nn.Module, default: torch.device | str = "cpu") -> torch.device:
    """Return the device of the model's first parameter or buffer; `default` where it has none."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device(default) if first is None else first.device
