"""Answers to exercise 5: right ones in other words than ours, and wrong ones that learners tried."""

import random
import statistics

import torch
import torch.nn.functional as F

from course_lib import loops
from course_lib.losses import distillation_loss


def step_with_cross_entropy(student, teacher, batch, optimizer, T, alpha):
    optimizer.zero_grad(set_to_none=False)
    inputs, labels = batch
    teacher.eval()
    student.train()
    p = F.softmax(teacher(inputs).detach() / T, -1)
    z = student(inputs)
    loss = alpha * T**2 * F.cross_entropy(z / T, p) + (1 - alpha) * F.cross_entropy(z, labels)
    loss.backward()
    optimizer.step()
    return loss.item() - alpha * T**2 * torch.special.entr(p).sum(-1).mean().item()


def step_with_a_frozen_teacher(student, teacher, batch, optimizer, T, alpha):
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    teacher.train(False)
    student.train(True)
    x, y = batch
    loss = distillation_loss(student(x), teacher(x), y, T=T, alpha=alpha)
    for parameter in student.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()
    return float(loss)


def step_with_predict(student, teacher, batch, optimizer, T, alpha):
    student.train()
    parameters = list(student.parameters())
    loss = distillation_loss(student(batch[0]), loops.predict(teacher, batch[0]), batch[1], T, alpha)
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss.item()


def loop_over(step):
    def train(student, teacher, batches, optimizer, epochs, T, alpha):
        history = []
        for _ in range(epochs):
            history.append(statistics.mean(float(step(student, teacher, batch, optimizer, T, alpha)) for batch in batches))
        return history

    return train


def loop_with_a_cache(student, teacher, batches, optimizer, epochs, T, alpha):
    cached = [loops.predict(teacher, inputs) for inputs, _ in batches]
    student.train()
    total = torch.zeros(epochs)
    for epoch in range(epochs):
        for (inputs, labels), v in zip(batches, cached, strict=True):
            loss = distillation_loss(student(inputs), v, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total[epoch] += loss.detach() / len(batches)
    return total.tolist()


RIGHT = {
    "step": [step_with_cross_entropy, step_with_a_frozen_teacher, step_with_predict],
    "frozen": [step_with_cross_entropy, step_with_a_frozen_teacher, step_with_predict],
    "loop": [loop_over(step_with_a_frozen_teacher), loop_with_a_cache],
}


# What learners tried: each of these once got only numbers, a wrong name, or a hint that led astray.


def student_within_no_grad(student, teacher, batch, optimizer, T, alpha):
    student.train(), teacher.eval()
    with torch.no_grad():
        loss = distillation_loss(student(batch[0]), teacher(batch[0]), batch[1], T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def cleared_after_the_step(student, teacher, batch, optimizer, T, alpha):
    student.train(), teacher.eval()
    loss = distillation_loss(student(batch[0]), teacher(batch[0]).detach(), batch[1], T, alpha)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def loss_as_a_tensor_without_a_graph(*arguments):
    return torch.tensor(RIGHT["step"][0](*arguments))


def shuffled_loop(student, teacher, batches, optimizer, epochs, T, alpha):
    batches = random.sample(batches, len(batches))
    return RIGHT["loop"][0](student, teacher, batches, optimizer, epochs, T, alpha)


def adam_loop(student, teacher, batches, optimizer, epochs, T, alpha):
    adam = torch.optim.Adam(student.parameters(), lr=1e-3)
    return RIGHT["loop"][0](student, teacher, batches, adam, epochs, T, alpha)


TRIED = [
    ("step", student_within_no_grad, "the loss does not depend on the student's parameters"),
    ("step", cleared_after_the_step, "the gradients of earlier steps are still there"),
    ("step", loss_as_a_tensor_without_a_graph, "the loss is returned as a tensor"),
    ("loop", shuffled_loop, "the batches come in another order"),
    ("loop", adam_loop, "an optimizer of its own"),
]


def returning(value):
    def step(*arguments):
        RIGHT["step"][0](*arguments)
        return value

    step.__name__ = f"returning {type(value).__name__}"
    return step


TOLD = [
    ("step", returning(torch.tensor(1.0)), "It is a tensor."),
    ("step", returning(None), "Is there a `return`?"),
    ("step", returning([1.0]), "a single number"),
]
