"""Answers to exercise 6: right ones in other words than ours, and wrong ones that learners tried."""

import math

import numpy as np
import torch
from answers.ex05_training import step_with_a_frozen_teacher, step_with_cross_entropy

from course_lib import schedules


def linear_by_weights(step, steps, start=5.0, end=1.0):
    if steps == 1:
        return start
    progress = step / (steps - 1)
    return (1 - progress) * start + progress * end


def linear_by_numpy(step, steps, start=5.0, end=1.0):
    return np.linspace(start, end, steps)[step]


def cosine_by_square(step, steps, start=5.0, end=1.0):
    angle = torch.tensor(0.0 if steps == 1 else math.pi / 2 * step / (steps - 1))
    return end + (start - end) * torch.cos(angle) ** 2


def cosine_by_the_library(step, steps, start=5.0, end=1.0):
    return schedules.cosine(start, end)(1.0 if steps < 2 else step / (steps - 1))


def wired_by_a_list(student, teacher, batches, optimizer, epochs, alpha, schedule):
    temperatures = [schedule(step, epochs * len(batches)) for step in range(epochs * len(batches))]
    for step, T in enumerate(temperatures):
        step_with_a_frozen_teacher(student, teacher, batches[step % len(batches)], optimizer, T, alpha)
    return temperatures


def wired_by_counting(student, teacher, batches, optimizer, epochs, alpha, schedule):
    used = []
    for epoch in range(epochs):
        for number, batch in enumerate(batches):
            T = schedule(epoch * len(batches) + number, epochs * len(batches))
            step_with_cross_entropy(student, teacher, batch, optimizer, T, alpha)
            used += [T]
    return tuple(used)


RIGHT = {
    "linear": [linear_by_weights, linear_by_numpy],
    "cosine": [cosine_by_square, cosine_by_the_library],
    "wired": [wired_by_a_list, wired_by_counting],
}
