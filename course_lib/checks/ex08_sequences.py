"""Exercise 8: distillation over sequences: padding, the mean per real token, vocabularies of different size."""

import torch
import torch.nn.functional as F

from course_lib import losses
from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes

wrong = Mistakes()


def _batch(seed, purpose, B=3, L=5, V=6, teacher_V=None):
    g = make_generator(seed, purpose)
    z, v = random_normal(g, B, L, V, scale=2), random_normal(g, B, L, teacher_V or V, scale=2)
    # One sequence is full, the others are shorter, so that every way to count the tokens differs.
    lengths = torch.cat([torch.tensor([L]), random_integers(g, 1, L - 2, B - 1)])
    return {"student_logits": z, "teacher_logits": v, "mask": torch.arange(L) < lengths[:, None]}


_COUNT = "Which tokens are added up, and by how many do you divide?"


def _observe_per_token(recorder, answers, seed):
    for purpose, (shape, T) in enumerate([((3, 5, 6), 1.0), ((2, 7, 4), 2.0), ((4, 4, 9), 3.0)]):
        inputs = {**_batch(seed, purpose, *shape), "T": T}
        label = f"the soft term of logits {shape} at T = {T:g}"
        recorder.call(label, answers["sequence_soft_term"], inputs, gradient="student_logits", hint=_COUNT)


def _observe_padding(recorder, answers, seed):
    for purpose, junk in enumerate((1e4, torch.inf, torch.nan)):
        inputs = _batch(seed, 10 + purpose)
        for name in ("student_logits", "teacher_logits"):
            inputs[name][~inputs["mask"]] = junk
        label = f"the soft term where {junk:g} stands at the padding"
        recorder.call(label, answers["sequence_soft_term"], {**inputs, "T": 2.0}, gradient="student_logits")
    inputs = _batch(seed, 21)
    inputs["mask"] = F.one_hot(torch.tensor([7]), 15).bool().view(3, 5)
    label = "the soft term of a batch with one real token"
    recorder.call(label, answers["sequence_soft_term"], {**inputs, "T": 4.0}, gradient="student_logits")
    inputs = _batch(seed, 20)
    inputs["mask"] = torch.zeros_like(inputs["mask"])
    label = "the soft term of a batch that is all padding"
    recorder.call(label, answers["sequence_soft_term"], {**inputs, "T": 2.0}, gradient="student_logits")


def _observe_vocabulary(recorder, answers, seed):
    for purpose, (V, teacher_V, T) in enumerate([(5, 8, 1.0), (8, 5, 2.0), (6, 6, 2.0)]):
        inputs = {**_batch(seed, 30 + purpose, V=V, teacher_V=teacher_V), "T": T}
        label = f"the soft term for vocabularies of {V} (student) and {teacher_V} (teacher) at T = {T:g}"
        recorder.call(label, answers["shared_vocabulary_term"], inputs, gradient="student_logits")


def sequence_soft_term(student_logits, teacher_logits, mask, T):
    return losses.soft_target_loss(student_logits, teacher_logits, T, mask=mask)


def shared_vocabulary_term(student_logits, teacher_logits, mask, T):
    V = min(student_logits.shape[-1], teacher_logits.shape[-1])
    return losses.soft_target_loss(student_logits[..., :V], teacher_logits[..., :V], T, mask=mask)


# The same, written out: what mistakes are edits of. The first does not know yet what padding may hold.


def term_written_out(student_logits, teacher_logits, mask, T):
    log_q = F.log_softmax(student_logits / T, -1)
    p = F.softmax(teacher_logits / T, -1)
    tokens = F.kl_div(log_q, p, reduction="none").sum(-1)
    return T**2 * tokens[mask].mean()


def shared_term_written_out(student_logits, teacher_logits, mask, T):
    V = min(student_logits.shape[-1], teacher_logits.shape[-1])
    log_q = F.log_softmax(student_logits[..., :V] / T, -1)
    p = F.softmax(teacher_logits[..., :V] / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


in_mean = wrong.edit(term_written_out, "per token", answer="sequence_soft_term")
in_mean(
    "the mean over sequences, not over tokens",
    "A batch of longer sequences gives a larger loss. `batchmean` divides by the first dimension only: what is in yours?",
    {"tokens[mask].mean()": "(tokens * mask).sum() / len(mask)"},
)
in_mean(
    '`reduction="batchmean"` on sequences',
    "Sequences twice as long give twice your loss: by what does it divide? And what does the mask say?",
    {'"none").sum(-1)': '"batchmean")', "tokens[mask].mean()": "tokens"},
)
in_mean("padding counts as tokens", "What does the mask say, and where do you use it?", {"tokens[mask]": "tokens"})
in_mean(
    "the sum is masked, the count is not",
    "You add up the real tokens. By the number of which tokens do you divide?",
    {"tokens[mask]": "(tokens * mask)"},
)
in_mean(
    "a mean of the sequences' means",
    "A token of a short sequence counts more than one of a long sequence. Should it?",
    {"tokens[mask]": "((tokens * mask).sum(1) / mask.sum(1))"},
)
in_mean(
    "a mean of the positions' means",
    "Late positions occur in long sequences only, yet each position counts the same in yours. Which dimensions should be "
    "added up before you divide?",
    {"tokens[mask]": "((tokens * mask).sum(0) / mask.sum(0))"},
)
in_mean(
    "the mask the wrong way round", "Which tokens are left when you have used the mask: the real ones?", {"[mask]": "[~mask]"}
)
in_mean(
    "divided by the vocabulary, too",
    "The sum over the vocabulary belongs to the divergence. Only the tokens are averaged.",
    {".sum(-1)": ""},
)
in_mean(
    "the softmax runs along the sequence",
    "Over which dimension should the probabilities of one token add up to 1?",
    {"student_logits / T, -1": "student_logits / T, 1", "teacher_logits / T, -1": "teacher_logits / T, 1"},
)
in_mean(
    "the arguments of KL swapped",
    "Which of the two distributions weights the logarithms: the one that teaches, or the one that learns?",
    {
        "log_q = F.log_softmax(student_logits": "log_q = F.log_softmax(teacher_logits",
        "p = F.softmax(teacher_logits": "p = F.softmax(student_logits",
    },
)
in_mean("T² is left out", "At T = 1 you would not notice.", {"T**2 * ": ""})


@wrong("sequence_soft_term", "padding", "padding is multiplied by zero")
def times_zero(student_logits, teacher_logits, mask, T):
    """0 times infinity is not 0, and neither is 0 times NaN. Is there a way not to compute those tokens at all?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * (F.kl_div(log_q, p, reduction="none").sum(-1) * mask).sum() / mask.sum().clamp(min=1)


@wrong("sequence_soft_term", "padding", "padding is computed, and left out afterwards")
def left_out_late(student_logits, teacher_logits, mask, T):
    """The loss is right, its gradient is NaN: going back, 0 meets what was computed for the padding. Leave it out earlier."""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    tokens = F.kl_div(log_q, p, reduction="none").sum(-1)
    return T**2 * torch.where(mask, tokens, torch.zeros_like(tokens)).sum() / mask.sum().clamp(min=1)


@wrong("sequence_soft_term", "padding", "no tokens, and a division by zero")
def mean_of_nothing(student_logits, teacher_logits, mask, T):
    """The mean of nothing is NaN, and a NaN ends a training run. What should a batch without a real token cost?"""
    log_q, p = F.log_softmax(student_logits[mask] / T, -1), F.softmax(teacher_logits[mask] / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1).mean()


@wrong("sequence_soft_term", "padding", "a constant for a batch without tokens")
def constant_zero(student_logits, teacher_logits, mask, T):
    """The number is right, but it does not come from the logits, so no gradient reaches them, not even a zero."""
    if not mask.any():
        return torch.tensor(0.0)
    log_q, p = F.log_softmax(student_logits[mask] / T, -1), F.softmax(teacher_logits[mask] / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1).mean()


in_cutting = wrong.edit(shared_term_written_out, "vocabulary", answer="shared_vocabulary_term")
in_cutting(
    "cut after the softmax",
    "What do the teacher's remaining probabilities add up to?",
    {
        "student_logits[..., :V] / T, -1)": "student_logits / T, -1)[..., :V]",
        "teacher_logits[..., :V] / T, -1)": "teacher_logits / T, -1)[..., :V]",
    },
)
in_cutting(
    "only one side is cut before the softmax",
    "Both distributions should live on the tokens that both know.",
    {"teacher_logits[..., :V] / T, -1)": "teacher_logits / T, -1)[..., :V]"},
)


@wrong("shared_vocabulary_term", "vocabulary", "the smaller one is filled up with zeros")
def filled_up(student_logits, teacher_logits, mask, T):
    """A logit of 0 is a token like any other: e⁰ = 1. Which tokens do both know?"""
    V = max(student_logits.shape[-1], teacher_logits.shape[-1])
    z, v = (F.pad(logits, (0, V - logits.shape[-1])) for logits in (student_logits, teacher_logits))
    log_q, p = F.log_softmax(z / T, -1), F.softmax(v / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


in_cutting(
    "the last tokens are kept instead of the first",
    "A token's number is its position from the front.",
    {"student_logits[..., :V]": "student_logits[..., -V:]", "teacher_logits[..., :V]": "teacher_logits[..., -V:]"},
)
in_cutting(
    "only the teacher's side is cut",
    "If the student has the larger vocabulary, what then?",
    {"min(student_logits.shape[-1], teacher_logits.shape[-1])": "student_logits.shape[-1]"},
)


exercise = Exercise(
    number=8,
    name="sequences",
    title="distillation over sequences",
    minutes=25,
    parts=(
        Part("per token", "The mean per real token", 3, ("sequence_soft_term",), _observe_per_token, "mean per token"),
        Part("padding", "Padding that does no harm", 2, ("sequence_soft_term",), _observe_padding),
        Part(
            "vocabulary", "Vocabularies of different size", 2, ("shared_vocabulary_term",), _observe_vocabulary, "vocabularies"
        ),
    ),
    right={"sequence_soft_term": sequence_soft_term, "shared_vocabulary_term": shared_vocabulary_term},
    mistakes=tuple(wrong),
    library=("course_lib.losses", "course_lib.checks"),
    asks="the loss for sequences, with padding and vocabularies of different size",
    goes_with="04; a language model is not needed",
)
