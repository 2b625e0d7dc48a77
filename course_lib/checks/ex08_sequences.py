"""Exercise 8: distillation over sequences: padding, the mean per real token, vocabularies of different size."""

import torch
import torch.nn.functional as F

from course_lib import losses
from course_lib.checks.engine.core import Exercise, Mistakes, Part
from course_lib.checks.engine.inputs import bell, generator, whole

wrong = Mistakes()


def _batch(seed, purpose, B=3, L=5, V=6, teacher_V=None):
    g = generator(seed, purpose)
    z, v = bell(g, B, L, V, scale=2), bell(g, B, L, teacher_V or V, scale=2)
    # One sequence is full, the others are shorter, so that every way to count the tokens differs.
    lengths = torch.cat([torch.tensor([L]), whole(g, 1, L - 2, B - 1)])
    return {"student_logits": z, "teacher_logits": v, "mask": torch.arange(L) < lengths[:, None]}


_COUNT = "Which tokens are added up, and by how many do you divide?"


def _per_token(recorder, answers, seed):
    for purpose, (shape, T) in enumerate([((3, 5, 6), 1.0), ((2, 7, 4), 2.0), ((4, 4, 9), 3.0)]):
        inputs = {**_batch(seed, purpose, *shape), "T": T}
        label = f"the soft term of logits {shape} at T = {T:g}"
        recorder.call(label, answers["sequence_soft_term"], inputs, gradient="student_logits", hint=_COUNT)


def _padding(recorder, answers, seed):
    for purpose, junk in enumerate((1e4, torch.inf, torch.nan)):
        inputs = _batch(seed, 10 + purpose)
        for name in ("student_logits", "teacher_logits"):
            inputs[name][~inputs["mask"]] = junk
        label = f"the soft term where {junk:g} stands at the padding"
        recorder.call(label, answers["sequence_soft_term"], {**inputs, "T": 2.0}, gradient="student_logits")
    inputs = _batch(seed, 20)
    inputs["mask"] = torch.zeros_like(inputs["mask"])
    label = "the soft term of a batch that is all padding"
    recorder.call(label, answers["sequence_soft_term"], {**inputs, "T": 2.0}, gradient="student_logits")


def _vocabulary(recorder, answers, seed):
    for purpose, (V, teacher_V, T) in enumerate([(5, 8, 1.0), (8, 5, 2.0), (6, 6, 2.0)]):
        inputs = {**_batch(seed, 30 + purpose, V=V, teacher_V=teacher_V), "T": T}
        label = f"the soft term for vocabularies of {V} (student) and {teacher_V} (teacher) at T = {T:g}"
        recorder.call(label, answers["shared_vocabulary_term"], inputs, gradient="student_logits")


def sequence_soft_term(student_logits, teacher_logits, mask, T):
    return losses.soft_target_loss(student_logits, teacher_logits, T, mask=mask)


def shared_vocabulary_term(student_logits, teacher_logits, mask, T):
    V = min(student_logits.shape[-1], teacher_logits.shape[-1])
    return losses.soft_target_loss(student_logits[..., :V], teacher_logits[..., :V], T, mask=mask)


@wrong("sequence_soft_term", "per token", "the mean over sequences, not over tokens")
def batchmean(student_logits, teacher_logits, mask, T):
    """A batch of longer sequences gives a larger loss. `batchmean` divides by the first dimension only: what is in
    yours?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * (F.kl_div(log_q, p, reduction="none").sum(-1) * mask).sum() / len(mask)


@wrong("sequence_soft_term", "per token", '`reduction="batchmean"` on sequences')
def batchmean_of_all(student_logits, teacher_logits, mask, T):
    """Sequences twice as long give twice your loss: by what does it divide? And what does the mask say?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


@wrong("sequence_soft_term", "per token", "padding counts as tokens")
def all_tokens(student_logits, teacher_logits, mask, T):
    """What does the mask say, and where do you use it?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1).mean()


@wrong("sequence_soft_term", "per token", "the sum is masked, the count is not")
def divided_by_all(student_logits, teacher_logits, mask, T):
    """You add up the real tokens. By the number of which tokens do you divide?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * (F.kl_div(log_q, p, reduction="none").sum(-1) * mask).mean()


@wrong("sequence_soft_term", "per token", "a mean of the sequences' means")
def mean_of_means(student_logits, teacher_logits, mask, T):
    """A token of a short sequence weighs more than one of a long sequence. Should it?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    rows = F.kl_div(log_q, p, reduction="none").sum(-1) * mask
    return T**2 * (rows.sum(1) / mask.sum(1)).mean()


@wrong("sequence_soft_term", "per token", "a mean of the positions' means")
def mean_over_positions(student_logits, teacher_logits, mask, T):
    """Late positions occur in long sequences only, yet each position weighs the same in yours. Which dimensions should be
    added up before you divide?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    rows = F.kl_div(log_q, p, reduction="none").sum(-1) * mask
    return T**2 * (rows.sum(0) / mask.sum(0)).mean()


@wrong("sequence_soft_term", "per token", "the mask the wrong way round")
def inverted(student_logits, teacher_logits, mask, T):
    """Which tokens are left when you have used the mask: the real ones?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[~mask].mean()


@wrong("sequence_soft_term", "per token", "divided by the vocabulary, too")
def mean_over_vocabulary(student_logits, teacher_logits, mask, T):
    """The sum over the vocabulary belongs to the divergence. Only the tokens are averaged."""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none")[mask].mean()


@wrong("sequence_soft_term", "per token", "the softmax runs along the sequence")
def along_the_sequence(student_logits, teacher_logits, mask, T):
    """Over which dimension should the probabilities of one token add up to 1?"""
    log_q, p = F.log_softmax(student_logits / T, 1), F.softmax(teacher_logits / T, 1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


@wrong("sequence_soft_term", "per token", "the arguments of KL swapped")
def swapped(student_logits, teacher_logits, mask, T):
    """Which of the two distributions weighs the logarithms: the one that teaches, or the one that learns?"""
    log_p, q = F.log_softmax(teacher_logits / T, -1), F.softmax(student_logits / T, -1)
    return T**2 * F.kl_div(log_p, q, reduction="none").sum(-1)[mask].mean()


@wrong("sequence_soft_term", "per token", "T² is left out")
def no_square(student_logits, teacher_logits, mask, T):
    """At T = 1 you would not notice."""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


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


@wrong("shared_vocabulary_term", "vocabulary", "cut after the softmax")
def cut_late(student_logits, teacher_logits, mask, T):
    """What do the teacher's remaining probabilities add up to?"""
    V = min(student_logits.shape[-1], teacher_logits.shape[-1])
    log_q, p = F.log_softmax(student_logits / T, -1)[..., :V], F.softmax(teacher_logits / T, -1)[..., :V]
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


@wrong("shared_vocabulary_term", "vocabulary", "only one side is cut before the softmax")
def one_side(student_logits, teacher_logits, mask, T):
    """Both distributions should live on the tokens that both know."""
    V = min(student_logits.shape[-1], teacher_logits.shape[-1])
    log_q, p = F.log_softmax(student_logits[..., :V] / T, -1), F.softmax(teacher_logits / T, -1)[..., :V]
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


@wrong("shared_vocabulary_term", "vocabulary", "the smaller one is filled up with zeros")
def filled_up(student_logits, teacher_logits, mask, T):
    """A logit of 0 is a token like any other: e⁰ = 1. Which tokens do both know?"""
    V = max(student_logits.shape[-1], teacher_logits.shape[-1])
    z, v = (F.pad(logits, (0, V - logits.shape[-1])) for logits in (student_logits, teacher_logits))
    log_q, p = F.log_softmax(z / T, -1), F.softmax(v / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


@wrong("shared_vocabulary_term", "vocabulary", "the last tokens are kept instead of the first")
def last_tokens(student_logits, teacher_logits, mask, T):
    """A token's number is its position from the front."""
    V = min(student_logits.shape[-1], teacher_logits.shape[-1])
    log_q, p = F.log_softmax(student_logits[..., -V:] / T, -1), F.softmax(teacher_logits[..., -V:] / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


@wrong("shared_vocabulary_term", "vocabulary", "only the teacher's side is cut")
def teacher_cut(student_logits, teacher_logits, mask, T):
    """If the student has the larger vocabulary, what then?"""
    V = student_logits.shape[-1]
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits[..., :V] / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[mask].mean()


exercise = Exercise(
    number=8,
    name="sequences",
    title="distillation over sequences",
    minutes=25,
    parts=(
        Part("per token", "The mean per real token", 3, ("sequence_soft_term",), _per_token),
        Part("padding", "Padding that does no harm", 2, ("sequence_soft_term",), _padding),
        Part("vocabulary", "Vocabularies of different size", 2, ("shared_vocabulary_term",), _vocabulary),
    ),
    right={"sequence_soft_term": sequence_soft_term, "shared_vocabulary_term": shared_vocabulary_term},
    mistakes=tuple(wrong),
    library=("course_lib.losses", "course_lib.checks"),
)
