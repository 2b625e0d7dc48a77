"""Train the language teacher that ships with the course, with the course's own loop, on all names but those held out.

    python -m tests.tools.train_language_teacher --out language_teacher.npz --log language_teacher.log

4 epochs of Adam over 84,799 names, 2,652 steps of 128, learning rate from 0.004 to 0 along a cosine. The last epoch is the
one that ships: nothing was chosen by looking at the names held out.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from course_lib.language.measures import bits_per_letter
from course_lib.language.names import Surnames, encode, surnames
from course_lib.language.transformer import Transformer, new_language_teacher
from course_lib.loops import HardLabels, fit
from course_lib.schedules import cosine

SEED, EPOCHS, BATCH_SIZE, LR = 1, 4, 128, 4e-3


def train(names: Surnames, log, epochs: int = EPOCHS) -> Transformer:
    """The trained teacher; a line an epoch goes to `log`."""
    teacher, held_out = new_language_teacher(SEED), encode(names.held_out)
    started = time.perf_counter()
    print(f"seed {SEED}, torch {torch.__version__}, {torch.get_num_threads()} threads", file=log, flush=True)

    def report(history):
        print(
            f"epoch {history.epochs}  {history.steps} steps  loss {history.by_epoch['loss'][-1]:.4f}  "
            f"held out {bits_per_letter(teacher, held_out):.4f} bits a letter  {time.perf_counter() - started:4.0f} s",
            file=log, flush=True,
        )  # fmt: skip

    train = encode(names.train)
    fit(teacher, train, HardLabels(), epochs=epochs, batch_size=BATCH_SIZE, lr=cosine(LR, 0.0), seed=SEED, on_epoch=report)
    return teacher


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write; must not exist")
    parser.add_argument("--log", type=Path, required=True, help="the log to write; must not exist")
    options = parser.parse_args()
    names = surnames()  # first, since where it fails no empty file may stay behind
    with open(options.out, "xb") as out, open(options.log, "x", encoding="utf8") as log:
        teacher = train(names, log)
        np.savez(out, **{name: value.numpy() for name, value in teacher.state_dict().items()})
