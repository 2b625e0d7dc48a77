"""Answers to exercise 9: right ones in other words than ours, and wrong ones that learners tried."""

import torch
import torch.nn.functional as F


def labels_by_loop(symbols):
    labels = torch.full((len(symbols), symbols.shape[1] - 1), -100)
    for row, name in enumerate(symbols.tolist()):
        for t, symbol in enumerate(name[1:]):
            labels[row, t] = symbol
            if symbol == 0:
                break
    return labels


def labels_by_length(symbols):
    length = (symbols > 0).sum(1, keepdim=True)  # row t = length is asked for the end
    return torch.where(torch.arange(symbols.shape[1] - 1) <= length, symbols[:, 1:], -100)


def labels_by_rows_before(symbols):
    inside = symbols[:, :-1] > 0
    inside[:, 0] = True
    return symbols[:, 1:].masked_fill(~inside, -100)


def loss_by_kl_div(student_logits, teacher_logits, symbols, T, alpha):
    labels = labels_by_length(symbols)
    real = labels != -100
    z, v = student_logits[:, :-1][real], teacher_logits[:, :-1][real].detach()
    soft = F.kl_div(F.log_softmax(z / T, -1), F.log_softmax(v / T, -1), reduction="batchmean", log_target=True)
    return alpha * T * T * soft + (1 - alpha) * F.cross_entropy(z, labels[real])


def loss_by_whole_rows(student_logits, teacher_logits, symbols, T, alpha):
    B, L, V = student_logits.shape
    labels = F.pad(labels_by_loop(symbols), (0, 1), value=-100)  # the last row says nothing
    with torch.no_grad():
        p = torch.softmax(teacher_logits / T, -1)
    log_q = torch.log_softmax(student_logits / T, -1)
    rows = torch.special.entr(p).neg().sum(-1) - (p * log_q).sum(-1)
    real = (labels != -100).float()
    soft = (rows * real).sum() / real.sum()
    hard = F.cross_entropy(student_logits.reshape(B * L, V), labels.reshape(-1), ignore_index=-100)
    return alpha * T**2 * soft + (1 - alpha) * hard


RIGHT = {
    "labels": [labels_by_loop, labels_by_length, labels_by_rows_before],
    "loss": [loss_by_kl_div, loss_by_whole_rows],
    "student": [loss_by_kl_div, loss_by_whole_rows],
}


# What learners tried.


def shifted_like_hugging_face_but_padding_kept(student_logits, teacher_logits, symbols, T, alpha):
    z, v = student_logits[..., :-1, :].flatten(0, 1), teacher_logits[..., :-1, :].flatten(0, 1)
    soft = F.kl_div(F.log_softmax(z / T, -1), F.softmax(v / T, -1), reduction="batchmean") * T**2
    return alpha * soft + (1 - alpha) * F.cross_entropy(z, symbols[..., 1:].flatten())


def zero_ignored(student_logits, teacher_logits, symbols, T, alpha):
    z, v, labels = student_logits[:, :-1], teacher_logits[:, :-1], symbols[:, 1:]
    soft = F.kl_div(F.log_softmax(z / T, -1), F.softmax(v / T, -1), reduction="none").sum(-1)[labels != 0].mean() * T**2
    return alpha * soft + (1 - alpha) * F.cross_entropy(z.transpose(1, 2), labels, ignore_index=0)


TRIED = [
    ("loss", shifted_like_hugging_face_but_padding_kept, "padding counts in both terms"),
    ("loss", zero_ignored, "the end of a name counts as padding"),
]
