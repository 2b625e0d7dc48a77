"""What every room above uses: a check of counts; seeds, modes and devices that are left as they were found."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda):
        # Not torch.manual_seed: that would also reseed the devices that are not restored here.
        torch.default_generator.manual_seed(seed)
        for each in cuda:  # pragma: no cover - where there is a GPU
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Put the model in eval mode, without gradients; afterwards put each of its modules back in the mode that it was in."""
    with restore_modes(model), torch.no_grad():
        yield model.eval()


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
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device(default)
