"""Speculative decoding (Leviathan et al. 2023): the student drafts some letters, the teacher reads them all in one call.

What is written has exactly the teacher's distribution, whatever the student drafts; the more alike the two are, the fewer
calls it takes. p are the teacher's probabilities and q the student's, as everywhere in the course.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from course_lib.basics import check_positive_int, device_of, eval_mode
from course_lib.calling import logits_of
from course_lib.language.names import BOUNDARY, MAX_LETTERS, SYMBOLS, decode, to_numbers
from course_lib.language.writing import check_length, check_temperature, probabilities


@dataclass
class Speculation:
    """A name, and what it took.

    teacher_calls, student_calls: how often each model was run. drafted, accepted: symbols of the student's, and those of
    them that stand. Drafts behind a rejected one were made in vain, so their share is below `mean_acceptance`. rounds: for
    each call of the teacher what was drafted, how many symbols of it stand, and the symbol that the teacher added ("" where
    the name had ended).
    """

    text: str = ""
    teacher_calls: int = 0
    student_calls: int = 0
    drafted: int = 0
    accepted: int = 0
    rounds: list[tuple[str, int, str]] = field(default_factory=list, repr=False)


def speculate(
    teacher: nn.Module,
    student: nn.Module,
    count: int,
    *,
    drafts: int = 4,
    prefix: str = "",
    temperature: float = 1.0,
    seed: int = 0,
    max_letters: int = MAX_LETTERS,
) -> list[Speculation]:
    """Return `count` names as the teacher would write them (`write_names`); the student drafts `drafts` symbols at a time.

    Both models are on one device and left as they were. temperature is that of both, so that at 0 what is written is the
    teacher's likeliest name. The same for the same seed. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    check_positive_int("count", count)
    check_positive_int("drafts", drafts)
    check_temperature(temperature)
    check_length(max_letters, prefix)
    generator = torch.Generator(device_of(teacher)).manual_seed(seed)
    with eval_mode(teacher), eval_mode(student):
        return [
            _write_one(teacher, student, to_numbers(prefix), drafts, temperature, max_letters, generator) for _ in range(count)
        ]


def _write_one(teacher, student, row: list[int], drafts: int, temperature: float, max_letters: int, generator) -> Speculation:
    made, device = Speculation(), device_of(teacher)
    ended = False
    while not ended and len(row) <= max_letters:  # row holds the boundary, too
        drafted, q = _draft(student, row, min(drafts, max_letters - len(row)), temperature, generator)
        logits = logits_of(teacher, torch.tensor([row + drafted], device=device))[0, len(row) - 1 :]
        accepted, added = accept_drafts(probabilities(logits, temperature), q, drafted, generator)
        ended = BOUNDARY in drafted[:accepted]  # then nothing comes after it
        new = drafted[:accepted] + ([] if ended else [added])
        row, ended = row + new, new[-1] == BOUNDARY
        made.teacher_calls += 1
        made.student_calls += len(drafted)
        made.drafted += len(drafted)
        made.accepted += accepted
        made.rounds.append((_text(drafted), accepted, _text(new[accepted:])))
    made.text = decode(torch.tensor([row]))[0]
    return made


def _draft(student, row: list[int], count: int, temperature: float, generator) -> tuple[list[int], list[Tensor]]:
    """Up to `count` symbols (none after the end) that the student would write after `row`, and its probabilities for each."""
    drafted, q = [], []
    while len(drafted) < count and BOUNDARY not in drafted:
        logits = logits_of(student, torch.tensor([row + drafted], device=device_of(student)))[0, -1]
        q.append(probabilities(logits, temperature))
        drafted.append(_draw(q[-1], generator))
    return drafted, q


def accept_drafts(p: Tensor, q: list[Tensor], drafted: list[int], generator: torch.Generator | None = None) -> tuple[int, int]:
    """Return how many of the k drafts stand, and the symbol that the teacher adds (Leviathan et al. 2023, algorithm 1).

    p: (k + 1, V), the teacher's probabilities for each draft and for what follows the last. q: k times (V,), the student's,
    from which the drafts were drawn. The first draft that is rejected is replaced by one from `residual`, and those after it
    are forgotten; where none is rejected, the teacher's call gives one symbol more for nothing.
    """
    for i, symbol in enumerate(drafted):
        chance = torch.rand((), generator=generator, device=p.device)
        if chance >= acceptance_probability(p[i], q[i])[symbol]:
            return i, _draw(residual(p[i], q[i]), generator)
    return len(drafted), _draw(p[len(drafted)], generator)


def acceptance_probability(p: Tensor, q: Tensor) -> Tensor:
    """Return min(1, p / q), (…, V): how likely each symbol stands once the student has drafted it. What q never drafts: 1."""
    return torch.where(p < q, p / q, 1.0)


def residual(p: Tensor, q: Tensor) -> Tensor:
    """Return max(0, p - q), made to add up to 1, (…, V): what replaces a rejected draft is what q gives too little of.

    Where p and q are the same nothing is ever rejected, and it is p.
    """
    missing = (p - q).clamp(min=0)
    total = missing.sum(-1, keepdim=True)
    return torch.where(total > 0, missing / total, p)


def expected_symbols(acceptance: float, drafts: int) -> float:
    """Return how many symbols a call of the teacher gives: (1 - a^(drafts + 1)) / (1 - a), between 1 and drafts + 1.

    acceptance: a, the mean of `course_lib.language.acceptance`, in [0, 1]. The formula takes each draft to be accepted
    independently of the others, and texts to be long (Leviathan et al. 2023, equation 1). Names are short: one that ends uses
    up no further drafts, so that a call gives less than this.
    """
    check_positive_int("drafts", drafts)
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance must lie in [0, 1], got {acceptance}")
    return sum(acceptance**i for i in range(drafts + 1))


def _draw(p: Tensor, generator: torch.Generator | None) -> int:
    return int(torch.multinomial(p, 1, generator=generator))


def _text(symbols: list[int]) -> str:
    return "".join(SYMBOLS[symbol] for symbol in symbols)
