"""Inputs for checks: the same for the same seed on every machine, to the last bit, since they are made of whole numbers."""

import torch
from torch import Tensor, nn


def make_generator(seed: int, purpose: int = 0) -> torch.Generator:
    """Return the generator for one purpose of one seed."""
    return torch.Generator().manual_seed(1_000_003 * (purpose + 1) + seed)


def random_normal(g: torch.Generator, *shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return nearly normal numbers of standard deviation `scale`, never beyond 3.5 of them."""
    total = torch.randint(-512, 513, (4, *shape), generator=g, device="cpu").sum(0)
    return (total.double() * (scale / 592)).to(dtype)


def random_integers(g: torch.Generator, low: int, high: int, *shape: int) -> Tensor:
    """Return whole numbers from low to high, int64, both ends possible."""
    return torch.randint(low, high + 1, shape, generator=g, device="cpu")


def make_network(g: torch.Generator, inputs: int, hidden: int, num_classes: int, scale: float = 1.0) -> nn.Sequential:
    """Return a small network with BatchNorm whose statistics are not those of the data it will see: train mode shows."""
    model = nn.Sequential(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, num_classes))
    sizes = [parameter.numel() for parameter in model.parameters()] + [hidden, hidden]
    *rows, mean, spread = random_normal(g, sum(sizes)).split(sizes)  # drawn at once, which is much quicker
    with torch.no_grad():
        for parameter, row in zip(model.parameters(), rows, strict=True):
            parameter.copy_(scale * row.view_as(parameter))
        model[1].weight.copy_(1 + 0.1 * rows[2])
        model[1].running_mean.copy_(0.7 * mean)
        model[1].running_var.copy_(1 + (0.4 * spread).square())
    return model


def flatten_state(model: nn.Module) -> Tensor:
    """Return all parameters and statistics of a model in one row, float32."""
    return torch.cat([tensor.detach().reshape(-1).float() for tensor in model.state_dict().values()])
