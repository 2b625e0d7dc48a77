"""Answers to exercise 4: right ones in other words than ours, and wrong ones that learners tried."""

import torch
import torch.nn.functional as F


def soft_by_kl_div(student_logits, teacher_logits, T):
    log_q, p = F.log_softmax(student_logits / T, dim=1), F.softmax(teacher_logits / T, dim=1)
    return F.kl_div(log_q, p, reduction="batchmean") * T * T


def soft_in_double(student_logits, teacher_logits, T):
    log_q, log_p = ((logits.double() / T).log_softmax(1) for logits in (student_logits, teacher_logits))
    total = 0.0
    for row_q, row_p in zip(log_q, log_p, strict=True):
        total = total + (row_p.exp() * (row_p - row_q)).sum()
    return T**2 * total / len(log_q)


def soft_by_cross_entropy(student_logits, teacher_logits, T):
    p = F.softmax(teacher_logits / T, dim=1)
    entropy = torch.special.entr(p).sum(1).mean()
    return T**2 * (F.cross_entropy(student_logits / T, p) - entropy)


def soft_by_einsum(student_logits, teacher_logits, T):
    z, v = (F.log_softmax(logits / T, 1) for logits in (student_logits, teacher_logits))
    return T**2 * torch.einsum("bi,bi->", v.exp(), v - z) / z.shape[0]


def whole(soft):
    def loss(student_logits, teacher_logits, labels, T, alpha):
        hard = F.cross_entropy(student_logits, labels)
        return alpha * soft(student_logits, teacher_logits.detach(), T) + (1 - alpha) * hard

    return loss


def whole_by_gathering(student_logits, teacher_logits, labels, T, alpha):
    with torch.no_grad():
        log_p = torch.log_softmax(teacher_logits / T, -1)
    soft = T**2 * F.kl_div(torch.log_softmax(student_logits / T, -1), log_p, log_target=True, reduction="none").sum(-1)
    hard = -torch.log_softmax(student_logits, -1).gather(1, labels[:, None])[:, 0]
    return torch.lerp(hard, soft, alpha).mean()


RIGHT = {
    "soft term": [soft_by_kl_div, soft_in_double, soft_by_cross_entropy, soft_by_einsum],
    "whole": [whole(soft_by_kl_div), whole(soft_in_double), whole_by_gathering],
    "safe": [whole(soft_by_kl_div), whole(soft_by_cross_entropy), whole_by_gathering],
}


# What learners tried: each of these once got only numbers, a wrong name, or a hint that led astray.


def soft_by_item(student_logits, teacher_logits, T):
    return RIGHT["soft term"][0](student_logits, teacher_logits, T).item()


def soft_within_no_grad(student_logits, teacher_logits, T):
    with torch.no_grad():
        return RIGHT["soft term"][0](student_logits, teacher_logits, T)


def whole_with_soft_item(student_logits, teacher_logits, labels, T, alpha):
    return alpha * soft_by_item(student_logits, teacher_logits, T) + (1 - alpha) * F.cross_entropy(student_logits, labels)


def order_of_the_formula_without_T(student_logits, teacher_logits, T):
    return F.kl_div(F.softmax(teacher_logits / T, 1), F.log_softmax(student_logits / T, 1))


def the_original_lesson(student_logits, teacher_logits, T):
    return F.kl_div(F.log_softmax(teacher_logits / T, dim=1), F.softmax(student_logits / T, dim=1), reduction="batchmean")


def swapped_by_hand(student_logits, teacher_logits, T):
    q, p = torch.softmax(student_logits.double() / T, 1), torch.softmax(teacher_logits.double() / T, 1)
    return T**2 * (q * (q / p).log()).sum(1).mean()


def log_of_softmax_but_detached(student_logits, teacher_logits, labels, T, alpha):
    q, p = torch.softmax(student_logits / T, 1), torch.softmax(teacher_logits.detach() / T, 1)
    soft = T**2 * (p * (p.log() - q.log())).sum(1).mean()
    return alpha * soft + (1 - alpha) * torch.nn.functional.cross_entropy(student_logits, labels)


def of_another_kind(student_logits, teacher_logits, T):
    return 1.7 * (student_logits - teacher_logits).square().mean()


TRIED = [
    ("soft term", soft_by_item, "the student's side is cut from the graph"),
    ("soft term", soft_within_no_grad, "the student's side is cut from the graph"),
    ("whole", whole_with_soft_item, "no gradient comes through the soft term"),
    ("soft term", order_of_the_formula_without_T, "`F.kl_div` takes its arguments in another order"),
    ("soft term", the_original_lesson, "the arguments of KL swapped, and T² left out"),
    ("soft term", swapped_by_hand, "the arguments of KL swapped"),
    ("safe", log_of_softmax_but_detached, "the logarithm of a softmax"),
    ("soft term", of_another_kind, None),
]
