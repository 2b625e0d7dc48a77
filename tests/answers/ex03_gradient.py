"""Answers to exercise 3: right ones in other words than ours, and wrong ones that learners tried."""

import math

import torch
import torch.nn.functional as F


def gradient_by_hand(student_logits, teacher_logits, T):
    q, p = (torch.exp(logits / T) for logits in (student_logits, teacher_logits))
    return T * (q / q.sum(1, keepdim=True) - p / p.sum(1, keepdim=True))


def gradient_by_autograd(student_logits, teacher_logits, T):
    z = student_logits.clone().requires_grad_()
    log_q, log_p = F.log_softmax(z / T, -1), F.log_softmax(teacher_logits / T, -1)
    (T**2 * F.kl_div(log_q, log_p, log_target=True, reduction="sum")).backward()
    return z.grad


def gradient_by_einsum(student_logits, teacher_logits, T):
    both = torch.softmax(torch.stack([student_logits, teacher_logits]) / T, -1)
    return T * torch.einsum("s,sni->ni", torch.tensor([1.0, -1.0], dtype=both.dtype), both)


def log_size(z, v, T):
    return ((torch.softmax(z / T, -1) - torch.softmax(v / T, -1)) / T).square().sum(-1).sqrt().mean().log()


def slope_by_difference(student_logits, teacher_logits, T):
    h = 1e-3
    up, down = (log_size(student_logits, teacher_logits, T * math.exp(step)) for step in (h, -h))
    return float(up - down) / (2 * h)


def slope_by_one_side(student_logits, teacher_logits, T):
    here, there = (log_size(student_logits, teacher_logits, t) for t in (T, T * (1 + 1e-5)))
    return (there - here) / math.log(1 + 1e-5)


def slope_by_autograd(student_logits, teacher_logits, T):
    T = torch.tensor(float(T), dtype=torch.float64, requires_grad=True)
    log_size(student_logits, teacher_logits, T).backward()
    return (T * T.grad).item()


def limit_centred(student_logits, teacher_logits):
    z = student_logits - student_logits.mean(1, keepdim=True)
    v = teacher_logits - teacher_logits.mean(1, keepdim=True)
    return (z - v) / z.size(1)


def limit_by_matrix(student_logits, teacher_logits):
    N = student_logits.shape[1]
    centring = torch.eye(N, dtype=student_logits.dtype) - 1 / N
    return torch.einsum("ni,ij->nj", student_logits - teacher_logits, centring) / N


RIGHT = {
    "closed form": [gradient_by_hand, gradient_by_autograd, gradient_by_einsum],
    "slope": [slope_by_difference, slope_by_one_side, slope_by_autograd],
    "limit": [limit_centred, limit_by_matrix],
}
