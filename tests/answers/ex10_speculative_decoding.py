"""Answers to exercise 10: right ones in other words than ours, and wrong ones that learners tried."""

import torch


def chance_by_minimum(p, q):
    return torch.where(q == 0, torch.ones_like(q), torch.minimum(p, q) / q)


def chance_by_cases(p, q):
    chance = torch.ones_like(p)
    less = p < q
    chance[less] = p[less] / q[less]
    return chance


def chance_by_nan_to_num(p, q):
    return torch.nan_to_num(p / q, nan=1.0).clamp(0, 1)


def replacement_by_relu(p, q):
    missing = torch.relu(p - q)
    total = missing.sum(dim=-1, keepdim=True)
    result = p.clone()
    rows = (total > 0).expand_as(p)
    result[rows] = (missing / total)[rows]
    return result


def replacement_by_minimum(p, q):
    missing = p - torch.minimum(p, q)
    return torch.where(missing.sum(-1, keepdim=True) == 0, p, torch.nn.functional.normalize(missing, p=1, dim=-1, eps=1e-300))


def round_by_while(p, q, drafted, numbers):
    i = 0
    while i < len(drafted):
        x = int(drafted[i])
        if float(numbers[i]) * float(q[i, x]) >= float(p[i, x]):
            break
        i += 1
    else:
        return i, p[i]
    left = torch.relu(p[i] - q[i])
    return i, left / left.sum()


def round_at_once(p, q, drafted, numbers):
    steps = torch.arange(len(drafted))
    stands = numbers < (p[steps, drafted] / q[steps, drafted]).clamp(max=1)
    count = stands.long().cumprod(0).sum()
    q_too = torch.cat([q, torch.zeros_like(q[:1])])
    left = (p[count] - q_too[count]).clamp(min=0)
    return count, left / left.sum()


RIGHT = {
    "chance": [chance_by_minimum, chance_by_cases, chance_by_nan_to_num],
    "replacement": [replacement_by_relu, replacement_by_minimum],
    "round": [round_by_while, round_at_once],
}


# What learners tried.


def ratio_alone(p, q):
    return p / q


def softmax_of_the_difference(p, q):
    return torch.softmax(p - q, -1)


def chance_of_any(p, q, drafted, numbers):
    for i in range(len(drafted)):
        if numbers[i] >= torch.minimum(p[i], q[i]).sum():
            left = (p[i] - q[i]).clamp(min=0)
            return i, left / left.sum()
    return len(drafted), p[len(drafted)]


TRIED = [
    ("chance", ratio_alone, "a chance above 1"),
    ("replacement", softmax_of_the_difference, None),
    ("round", chance_of_any, None),
]

TOLD = [("round", lambda p, q, drafted, numbers: 2, "should return two things")]
