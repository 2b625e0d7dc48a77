"""Answers to exercise 8: right ones in other words than ours, and wrong ones that learners tried."""

import torch
import torch.nn.functional as F


def sequences_by_kl_div(student_logits, teacher_logits, mask, T):
    if not mask.any():
        return 0.0 * student_logits[mask].sum()
    log_q, p = (student_logits[mask] / T).log_softmax(-1), (teacher_logits[mask] / T).softmax(-1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


def sequences_by_filling(student_logits, teacher_logits, mask, T):
    z, v = (logits.masked_fill(~mask[..., None], 0.0).double() / T for logits in (student_logits, teacher_logits))
    log_q, log_p = z.log_softmax(-1), v.log_softmax(-1)
    tokens = torch.einsum("blv,blv->bl", log_p.exp(), log_p - log_q)
    return T**2 * (tokens * mask).sum() / mask.sum().clamp(min=1)


def sequences_by_loop(student_logits, teacher_logits, mask, T):
    total = student_logits[mask].sum() * 0
    for b, position in mask.nonzero().tolist():
        log_q = F.log_softmax(student_logits[b, position] / T, 0)
        log_p = F.log_softmax(teacher_logits[b, position] / T, 0)
        total = total + (log_p.exp() * (log_p - log_q)).sum()
    return T * T * total / max(1, int(mask.sum()))


def vocabulary_cut(student_logits, teacher_logits, mask, T):
    V, W = student_logits.size(-1), teacher_logits.size(-1)
    if V > W:
        student_logits = student_logits[:, :, :W]
    else:
        teacher_logits = teacher_logits[:, :, :V]
    return sequences_by_kl_div(student_logits, teacher_logits, mask, T)


def vocabulary_renormalised(student_logits, teacher_logits, mask, T):
    both = min(student_logits.shape[-1], teacher_logits.shape[-1])
    p, q = (torch.softmax(logits[mask] / T, -1)[:, :both] for logits in (teacher_logits, student_logits))
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    return T**2 * (p * (p / q).log()).sum(-1).mean()


def vocabulary_masked(student_logits, teacher_logits, mask, T):
    V, W = student_logits.shape[-1], teacher_logits.shape[-1]
    wide = max(V, W)
    z, v = (F.pad(logits, (0, wide - logits.shape[-1]))[mask] for logits in (student_logits, teacher_logits))
    unknown = torch.arange(wide) >= min(V, W)
    z, v = (logits.masked_fill(unknown, -1e9) / T for logits in (z, v))
    return T**2 * F.kl_div(z.log_softmax(-1), v.softmax(-1), reduction="batchmean")


RIGHT = {
    "per token": [sequences_by_kl_div, sequences_by_filling, sequences_by_loop],
    "padding": [sequences_by_kl_div, sequences_by_filling, sequences_by_loop],
    "vocabulary": [vocabulary_cut, vocabulary_renormalised, vocabulary_masked],
}


# What learners tried: each of these once got only numbers, a wrong name, or a hint that led astray.


def zero_without_a_graph(student_logits, teacher_logits, mask, T):
    if mask.sum() == 0:
        return torch.tensor(0.0, requires_grad=True)
    return RIGHT["padding"][0](student_logits, teacher_logits, mask, T)


def times_zero_and_divided_by_zero(student_logits, teacher_logits, mask, T):
    log_q, p = torch.log_softmax(student_logits / T, -1), torch.softmax(teacher_logits / T, -1)
    return T**2 * (F.kl_div(log_q, p, reduction="none").sum(-1) * mask).sum() / mask.sum()


def filled_after_the_divergence(student_logits, teacher_logits, mask, T):
    log_q, p = torch.log_softmax(student_logits / T, -1), torch.softmax(teacher_logits / T, -1)
    tokens = F.kl_div(log_q, p, reduction="none").sum(-1).masked_fill(~mask, 0)
    return T**2 * tokens.sum() / mask.sum().clamp(min=1)


TRIED = [
    ("padding", zero_without_a_graph, "a constant for a batch without tokens"),
    ("padding", times_zero_and_divided_by_zero, "padding is multiplied by zero"),
    ("padding", filled_after_the_divergence, "padding is computed, and left out afterwards"),
]
