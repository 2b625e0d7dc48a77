"""Names that a model writes, letter by letter, and what it would say next."""

import math
from numbers import Real

import torch
from torch import Tensor, nn

from course_lib.basics import check_positive_int, device_of, eval_mode
from course_lib.calling import logits_of
from course_lib.language.names import BOUNDARY, MAX_LETTERS, decode, to_numbers
from course_lib.losses import soft_targets


def next_letter(model: nn.Module, prefix: str = "", temperature: float = 1.0) -> Tensor:
    """Return the probabilities of the symbol after `prefix`, (27,), in the order of SYMBOLS: the end first, then a to z.

    temperature: divides the logits; at 0 the likeliest symbol has all. Raises ValueError for what is not the beginning of
    a name, and for a temperature below 0.
    """
    row = torch.tensor([to_numbers(prefix)], device=device_of(model))
    with eval_mode(model):
        return probabilities(logits_of(model, row)[0, -1], temperature)


def write_names(
    model: nn.Module,
    count: int,
    *,
    prefix: str = "",
    temperature: float = 1.0,
    seed: int = 0,
    max_letters: int = MAX_LETTERS,
    batch_size: int = 1000,
) -> list[str]:
    """Return `count` names that the model writes, each beginning with `prefix`; the same for the same seed and batch_size.

    Each letter is drawn from what the model says at `temperature`: below 1 it keeps to the likely ones, at 0 it takes the
    likeliest. A name that has not ended after max_letters ends there. `encode` makes data of them, to train on. The model is
    left as it was. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    check_positive_int("count", count)
    check_positive_int("batch_size", batch_size)
    check_length(max_letters, prefix)
    generator = torch.Generator(device_of(model)).manual_seed(seed)
    row = torch.tensor(to_numbers(prefix), device=device_of(model))
    names = []
    while len(names) < count:
        rows = row.repeat(min(batch_size, count - len(names)), 1)
        names += decode(write_rows(model, rows, max_letters, temperature, generator))
    return names


def write_rows(
    model: nn.Module,
    rows: Tensor,
    max_letters: int = MAX_LETTERS,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Write each row of symbols (n, k), which begins with ".", to its end: int64 (n, max_letters + 2), "." after the end.

    The whole row is read again for each letter. Large models keep what they made of it before (a KV cache); names are short.
    generator: of the model's device; without one, torch's default random numbers are used.
    """
    first = rows.shape[1]
    rows = nn.functional.pad(rows, (0, max_letters + 2 - first), value=BOUNDARY)
    going = torch.arange(len(rows), device=rows.device)  # the rows that have not ended
    with eval_mode(model):
        for t in range(first, max_letters + 1):
            if not len(going):
                break
            p = probabilities(logits_of(model, rows[going, :t])[:, -1], temperature)
            drawn = torch.multinomial(p, 1, generator=generator)[:, 0]
            rows[going, t] = drawn
            going = going[drawn != BOUNDARY]
    return rows


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Return the softmax of `logits / temperature`, same shape; at temperature 0 its limit: 1 for the largest, 0 else."""
    check_temperature(temperature)
    if temperature == 0:
        return nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return soft_targets(logits, temperature)


def check_temperature(temperature: float) -> None:
    """Raise unless temperature is a finite number, 0 or above."""
    if isinstance(temperature, bool) or not isinstance(temperature, Real):
        raise TypeError(f"temperature must be a real number, got {type(temperature).__name__}")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be a finite number, 0 or above; got {temperature}")


def check_length(max_letters: int, prefix: str) -> None:
    """Raise unless max_letters is an int from 1, or the length of prefix, to 13."""
    check_positive_int("max_letters", max_letters)
    if not len(prefix) <= max_letters <= MAX_LETTERS:
        raise ValueError(f"max_letters must lie in {max(1, len(prefix))}..{MAX_LETTERS}, got {max_letters}")
