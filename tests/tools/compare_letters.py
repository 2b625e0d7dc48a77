"""What a teacher of names tells beyond the names, and how much of it survives the ways to pass it on: notebook 08's runs.

    python -m tests.tools.compare_letters --out letters.json [--seeds 5] [--steps 608]

One student, told in many ways, for as many steps of 64 names, the rate falling along a cosine from 0.01 to 0. Nothing was
tuned. Seed s has its own start and batches, its own thousand names (the s-th of those to train on), and its own names
written by the teacher. The 4,000 held-out names are looked at once, at the end.
"""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.data import TensorDataset

from course_lib.language import (
    bits_per_letter,
    encode,
    kl_per_name,
    new_language_student,
    pretrained_language_teacher,
    surnames,
    write_names,
)
from course_lib.loops import Distillation, HardLabels, fit, predict, with_teacher_logits
from course_lib.objectives import IGNORE_INDEX
from course_lib.schedules import cosine
from course_lib.vocabulary_losses import top_k_soft_target_loss
from tests.tools.recording import record

BATCH_SIZE, LR, FEW, KEPT = 64, 1e-2, 1_000, 3
WRITTEN_FROM = 100  # seed s reads the names that the teacher writes with seed 100 + s


def keep_largest(data: TensorDataset, k: int) -> TensorDataset:
    """Return (inputs, labels, log-probabilities (…, k), their symbols, that of all others together)."""
    inputs, labels, logits = data.tensors
    values, symbols = logits.double().log_softmax(-1).topk(k)
    rest = torch.log1p(-values.exp().sum(-1))
    return TensorDataset(inputs, labels, values.float(), symbols, rest.float())


def kept_largest(rest: str) -> Callable:
    """Return the objective for `keep_largest`, at T = 1; rest: as in `top_k_soft_target_loss`."""

    def objective(student: nn.Module, batch, progress: float) -> Tensor:
        inputs, labels, values, symbols, bucket = batch
        settings = {"rest": rest, "bucket": bucket if rest == "bucket" else None, "mask": labels != IGNORE_INDEX}
        return top_k_soft_target_loss(student(inputs), values, symbols, 1.0, **settings)

    return objective


def keep_draws(data: TensorDataset, count: int, seed: int) -> TensorDataset:
    """Return the data with the teacher's logits replaced by the logarithm of how often each symbol comes in `count` draws."""
    inputs, labels, logits = data.tensors
    p = logits.softmax(-1)
    draws = torch.multinomial(p.flatten(0, 1), count, replacement=True, generator=torch.Generator().manual_seed(seed))
    shares = one_hot(draws, p.shape[-1]).float().mean(1).view_as(p)
    return TensorDataset(inputs, labels, shares.log())


def runs(seed: int, steps: int) -> dict[str, tuple[Callable[[], TensorDataset], object, int]]:
    """name -> (what gives its data, objective, steps)."""
    teacher, names = pretrained_language_teacher(), surnames().train
    few, many = names[FEW * seed : FEW * (seed + 1)], steps * BATCH_SIZE // 2
    epoch = -(-len(names) // BATCH_SIZE)  # the steps of one pass over all names
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    everything = [names[i] for i in order]
    written = write_names(teacher, many, seed=WRITTEN_FROM + seed)

    def real() -> TensorDataset:
        return with_teacher_logits(teacher, encode(few))

    def soft(T: float = 1.0) -> Distillation:
        return Distillation(teacher, T=T, alpha=1.0)

    return {
        "labels": (lambda: encode(few), HardLabels(), steps),
        "labels, all names": (lambda: encode(everything[: 2 * many]), HardLabels(), steps),
        "labels, all names, one epoch": (lambda: encode(everything), HardLabels(), epoch),
        "token by token": (real, soft(), steps),
        "token by token, as long as that epoch": (real, soft(), epoch),
        "token by token, T = 2": (real, soft(2.0), steps),
        "token by token, T = 4": (real, soft(4.0), steps),
        "labels, a thousand written": (lambda: encode(written[:FEW]), HardLabels(), steps),
        "labels, many written": (lambda: encode(written), HardLabels(), steps),
        "token by token, many written": (lambda: with_teacher_logits(teacher, encode(written)), soft(), steps),
        "3 largest, renormalised": (lambda: keep_largest(real(), KEPT), kept_largest("renormalise"), steps),
        "3 largest and the rest": (lambda: keep_largest(real(), KEPT), kept_largest("bucket"), steps),
        "9 draws": (lambda: keep_draws(real(), 9, seed), soft(), steps),
    }


def train(data: TensorDataset, objective, steps: int, seed: int) -> nn.Module:
    """Return a student after `steps` steps: as many epochs as that takes."""
    student = new_language_student(seed)
    epochs = round(steps / math.ceil(len(data) / BATCH_SIZE))
    fit(student, data, objective, epochs=epochs, lr=cosine(LR, 0), batch_size=BATCH_SIZE, seed=seed)
    return student


def judge(student: nn.Module, teacher: nn.Module, held_out: TensorDataset, written: TensorDataset) -> dict[str, float]:
    """Return bits a letter, held out; KL(p‖q), bits a name; what share is outside of the teacher's 3 likeliest symbols."""
    counted = held_out.tensors[1] != IGNORE_INDEX
    p, q = (predict(model, held_out.tensors[0])[counted].softmax(-1) for model in (teacher, student))
    outside = 1 - q.gather(-1, p.topk(KEPT).indices).sum(-1).mean().item()
    return {
        "bits": round(bits_per_letter(student, held_out), 4),
        "kl_per_name": round(kl_per_name(teacher, student, written), 3),
        "outside": round(outside, 4),
    }


def compare(seeds: int, steps: int, log: Callable[[str], None] = print) -> dict:
    """Return for each way what `judge` says of its students, one value a seed, and the same of the teacher."""
    teacher, held_out = pretrained_language_teacher(), encode(surnames().held_out)
    written = encode(write_names(teacher, 2_000, seed=WRITTEN_FROM - 1))
    ways: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        for name, (make, objective, length) in runs(seed, steps).items():
            started = time.perf_counter()
            found = judge(train(make(), objective, length, seed), teacher, held_out, written)
            log(f"seed {seed}, {name}: {found} ({time.perf_counter() - started:.0f} s)")
            for key, value in found.items():
                ways.setdefault(name, {}).setdefault(key, []).append(value)
    recipe = {"steps": steps, "batch_size": BATCH_SIZE, "lr": LR, "few": FEW, "many": steps * BATCH_SIZE // 2, "kept": KEPT}
    teachers = judge(teacher, teacher, held_out, written)
    return {"torch": torch.__version__, **recipe, "seeds": list(range(seeds)), "teacher": teachers, "ways": ways}


if __name__ == "__main__":
    record(__doc__.splitlines()[0], compare, steps=608)
