"""What a student can learn from, name by name: three ways that need nothing new, and one that does.

Logits (B, L, V) with labels (B, L) are what `HardLabels` and `Distillation` take, and padding, whose label is -100, counts
nowhere. So these are the ways to train on names:

    fit(student, encode(names), HardLabels(), …)                           labels: the next letter of real names
    fit(student, encode(names), Distillation(teacher, T=1, alpha=1), …)    token by token: what the teacher says at each letter
    fit(student, encode(write_names(teacher, 20_000)), HardLabels(), …)    sequence level (Kim & Rush 2016): what it writes
    fit(student, encode(names), OnPolicy(teacher), …)                      token by token, on what the student writes itself
"""

from numbers import Real

import torch
from torch import Tensor, nn

from course_lib.language.names import shift
from course_lib.language.writing import check_temperature, write_rows
from course_lib.objectives import IGNORE_INDEX, Distillation, FloatOrSchedule, Loss, read_batch, value_at


class OnPolicy(Distillation):
    """The teacher's soft targets on sequences that the student writes itself, at every step anew (GKD, Agarwal et al. 2023).

    Of each batch, `own_share` of the sequences, a number or a schedule of progress, are replaced by the student's own; the
    rest stay as they are. In TRL's GKDTrainer this is lmbda, the probability that a whole batch is replaced. No gradient flows
    through the drawing of letters, as in GKD: own sequences are inputs like any other. Reverse KL on them is what "on-policy
    distillation" (Thinking Machines 2025) trains with, and MiniLLM (Gu et al. 2023), which also credits a letter with what
    comes after it. divergence, beta, T: as in `soft_target_loss`, over all symbols but padding; the generalised JSD of GKD is
    "jsd" with its beta. temperature: of the writing. prompt_length: how many symbols after the "." are given, a question, say;
    the student goes on from those of the sequence that it replaces, and they count nowhere.

    A batch is (inputs, labels) of sequences that begin with "." and end with it, as `encode` gives; the data's own is used
    for what share is left, and for how many and how long. Teacher logits that travel with it are not: they belong to other
    sequences. It logs soft (T² times the divergence, in nats a symbol), T and own_share. Raises as `Distillation` does.
    """

    def __init__(
        self,
        teacher: nn.Module,
        own_share: FloatOrSchedule = 1.0,
        divergence: str = "reverse",
        T: FloatOrSchedule = 1.0,
        temperature: float = 1.0,
        prompt_length: int = 0,
        beta: float = 0.5,
    ):
        super().__init__(teacher, T, alpha=1.0, divergence=divergence, beta=beta)
        for progress in (0.0, 1.0):  # both ends, as Distillation tries T
            _check_share(value_at(own_share, progress))
        check_temperature(temperature)
        if isinstance(prompt_length, bool) or not isinstance(prompt_length, int):
            raise TypeError(f"prompt_length must be an int, got {type(prompt_length).__name__}")
        if prompt_length < 0:
            raise ValueError(f"prompt_length must be 0 or above, got {prompt_length}")
        self.own_share, self.temperature, self.prompt_length = own_share, temperature, prompt_length

    def __call__(self, student: nn.Module, batch, progress: float) -> Loss:
        inputs, labels, _ = read_batch(batch)
        share = value_at(self.own_share, progress)
        _check_share(share)
        own = round(share * len(inputs))
        if own:  # they replace the first: the order of a batch is random
            begin = inputs[:own, : 1 + self.prompt_length]
            own_inputs, own_labels = write_own(student, begin, inputs.shape[1], self.temperature)
            inputs, labels = torch.cat([own_inputs, inputs[own:]]), torch.cat([own_labels, labels[own:]])
        loss = super().__call__(student, (inputs, labels), progress)
        return Loss(loss.total, loss.logits, {"soft": loss.log["soft"], "T": loss.log["T"], "own_share": share})

    def __repr__(self) -> str:
        settings = f"own_share={self.own_share}, divergence={self.divergence!r}{self._beta()}, T={self.T}"
        settings += f", temperature={self.temperature}"
        prompt = f", prompt_length={self.prompt_length}" if self.prompt_length else ""
        return f"OnPolicy({type(self.teacher).__name__}, {settings}{prompt})"


def write_own(model: nn.Module, begin: Tensor, length: int, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return inputs and labels, int64 (n, length), of sequences in which the model goes on from `begin`, (n, k).

    Drawn by torch's default random numbers. Labels within `begin` are -100.
    """
    inputs, labels = shift(write_rows(model, begin, length - 1, temperature))
    labels[:, : begin.shape[1] - 1] = IGNORE_INDEX
    return inputs, labels


def _check_share(share: float) -> None:
    if isinstance(share, bool) or not isinstance(share, Real):
        raise TypeError(f"own_share must be a real number, got {type(share).__name__}")
    if not 0 <= share <= 1:
        raise ValueError(f"own_share must lie in [0, 1], got {share}")
