"""Answers to exercise 1: right ones in other words than ours, and wrong ones that learners tried."""

import math

import torch


def torchs_softmax(logits, T):
    return torch.softmax(logits / T, -1)


def softmax_by_einsum(logits, T):
    powers = torch.exp(logits / T)
    return torch.einsum("...i,...->...i", powers, 1 / powers.sum(-1))


def softmax_by_logsumexp(logits, T):
    logits = logits.double() / T
    return torch.exp(logits - torch.logsumexp(logits, -1, keepdim=True))


def softmax_by_shifting(logits, T):
    shifted = (logits - logits.max(dim=-1, keepdim=True).values) / T
    return shifted.exp() / shifted.exp().sum(dim=-1, keepdim=True)


def entropy_by_entr(probabilities):
    return torch.special.entr(probabilities).sum(-1) / math.log(2)


def entropy_by_clamping(probabilities):
    return -(probabilities.double() * probabilities.double().clamp_min(1e-300).log2()).sum(-1)


def entropy_by_einsum(probabilities):
    return -torch.einsum("...i,...i->...", probabilities, torch.nan_to_num(probabilities.log2(), neginf=0.0))


RIGHT = {
    "formula": [torchs_softmax, softmax_by_einsum, softmax_by_logsumexp, softmax_by_shifting],
    "stable": [torchs_softmax, softmax_by_logsumexp, softmax_by_shifting],
    "entropy": [entropy_by_entr, entropy_by_clamping, entropy_by_einsum],
}


# What learners tried: each of these once got only numbers, a wrong name, or a hint that led astray.


def powers_over_T(logits, T):
    powers = torch.exp(logits) / T
    return powers / powers.sum(-1, keepdim=True)


def powers_in_double(logits, T):
    powers = torch.exp(logits.double() / T)
    return powers / powers.sum(-1, keepdim=True)


def nats_and_nan(probabilities):
    return -(probabilities * torch.log(probabilities)).sum(-1)


TRIED = [
    ("formula", powers_over_T, "T has no effect"),
    ("stable", powers_in_double, "the exponential of a large number"),
    ("entropy", nats_and_nan, "natural logarithms"),
]
