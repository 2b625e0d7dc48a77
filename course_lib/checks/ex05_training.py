"""Exercise 5: the training step and the loop, with a teacher that stays as it is."""

import math
from collections import Counter

import torch

from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import bell, generator, network, state, whole
from course_lib.checks.engine.observing import Unusable
from course_lib.checks.ex05_mistakes import wrong
from course_lib.losses import distillation_loss


def _world(seed, purpose, steps, n=8):
    """A student, a teacher, batches and an optimizer. Both networks are in the mode that they must not be in."""
    g = generator(seed, purpose)
    student, teacher = network(g, 2, 6, 3), network(g, 2, 8, 3, scale=1.5)
    batches = [(bell(g, n, 2), whole(g, 0, 2, n)) for _ in range(steps)]
    optimizer = torch.optim.SGD(student.parameters(), lr=0.2)
    return student.eval(), teacher.train(), batches, optimizer


_IN_ORDER = "Go through the step in order: the mode of each network, the teacher's logits, the loss, the gradients, the update."
_STEP_FIRST = "Is `train_step` right yet? If it is: one step for each batch, in every epoch, with the given T and alpha."
_BIT_FOR_BIT = "Which mode is it in, and what does the optimizer hold?"


def _step(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 0, steps=2)
    g, losses = generator(seed, 3), []
    for parameter in student.parameters():  # what somebody's last step may have left behind
        parameter.grad = bell(g, *parameter.shape)
    for number, batch in enumerate(batches, 1):
        recorder.during = f"step {number}"
        losses.append(answers["train_step"](student, teacher, batch, optimizer, 2.0, 0.7))
        label = f"the student's weights and statistics after {number} step{'s' * (number > 1)}"
        recorder.value(label, state(student), brief=True, rtol=1e-3, atol=1e-4, hint=_IN_ORDER)
    recorder.value("what the steps return", losses, verdict=_floats)
    hint = "It should be the loss of this batch, as `distillation_loss` gave it before the update."
    recorder.value("the losses that 2 steps return", losses, rtol=1e-3, hint=hint)


def _floats(found):
    for entry in found.items:
        if entry.kind == "none":
            return "A step returns None instead of its loss. Is there a `return`?"
        if entry.kind == "tensor" and entry.shape == ():
            return "The loss that is returned should be a float. It is a tensor."
        if entry.kind != "number":
            return "The loss that is returned should be a float, a single number."
    return None


def _frozen(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 1, steps=2)
    for number, batch in enumerate(batches, 1):
        recorder.during = f"step {number}"
        answers["train_step"](student, teacher, batch, optimizer, 2.0, 0.7)
    label = "the teacher's weights and statistics after 2 steps"
    recorder.value(label, state(teacher), brief=True, rtol=0, atol=0, hint=_BIT_FOR_BIT)
    recorder.value("the gradients of the teacher's parameters", [p.grad for p in teacher.parameters()], verdict=_no_gradients)
    recorder.unchanged("the data", *(tensor for batch in batches for tensor in batch))


def _no_gradients(found):
    if found.kind == "list" and found.items and all(entry.kind == "none" for entry in found.items):
        return None
    return "The parameters of the teacher have gradients (`.grad`) after the step. Nobody may ask for those."


def _loop(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 2, steps=3)
    before, seen, updates = state(student), [], []
    student.register_forward_pre_hook(lambda module, arguments: seen.append(_which(arguments, batches)))
    optimizer.register_step_post_hook(lambda *_: updates.append(1))
    recorder.during = "training for 2 epochs"
    losses = answers["train"](student, teacher, batches, optimizer, 2, 2.0, 0.7)
    if not isinstance(losses, (list, tuple)):
        raise Unusable(f"`train` should return a list with the mean loss of each epoch; it returned {type(losses).__name__}.")
    learned = not torch.equal(before, state(student))
    label = "the losses that are returned after 2 epochs"
    recorder.value(f"{label}, their number", list(losses), verdict=_one_an_epoch)
    recorder.value(
        "whether it is the given optimizer that moves the weights", int(bool(updates) or not learned), verdict=_given
    )
    in_order = seen == [0, 1, 2] * 2 or Counter(seen) != Counter([0, 1, 2] * 2)  # how often is asked below
    recorder.value("whether the batches come in their order", int(in_order), verdict=_in_order)
    weights = "the student's weights and statistics after 2 epochs"
    recorder.value(weights, state(student), brief=True, rtol=3e-3, atol=3e-4, hint=_STEP_FIRST)
    recorder.value("what kind of numbers is returned", list(losses), verdict=_floats)
    recorder.value(label, list(losses), rtol=1e-3, hint="Each should be the mean over the batches of one epoch.")
    label = "the teacher's weights and statistics after 2 epochs"
    recorder.value(label, state(teacher), brief=True, rtol=0, atol=0, hint=_BIT_FOR_BIT)


def _which(arguments, batches):
    """The number of the batch that a network is given; -1 if it is none of them."""
    given = arguments[0] if arguments else None
    return next((number for number, (inputs, _) in enumerate(batches) if given is inputs or _same(given, inputs)), -1)


def _same(given, inputs):
    return isinstance(given, torch.Tensor) and torch.equal(given, inputs)


def _one_an_epoch(found):
    if len(found.items) != 2:
        return f"2 epochs should return 2 losses, one an epoch; the list has {len(found.items)}."
    if not all(entry.values and entry.shape == () and math.isfinite(entry.values[0]) for entry in found.items):
        return "Each of the returned losses should be one finite number."
    return None


def _given(found):
    return None if found.values[0] else "The weights move, but the optimizer that was passed in has made no step."


def _in_order(found):
    return None if found.values[0] else "The batches come in another order than they have in the list."


def train_step(student, teacher, batch, optimizer, T, alpha):
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def train(student, teacher, batches, optimizer, epochs, T, alpha):
    history = []
    for _ in range(epochs):
        losses = [train_step(student, teacher, batch, optimizer, T, alpha) for batch in batches]
        history.append(sum(losses) / len(losses))
    return history


exercise = Exercise(
    number=5,
    name="training",
    title="the training step and loop",
    minutes=25,
    parts=(
        Part("step", "One step", 3, ("train_step",), _step),
        Part("frozen", "The teacher stays as it is", 2, ("train_step",), _frozen),
        Part("loop", "The loop", 2, ("train",), _loop),
    ),
    right={"train_step": train_step, "train": train},
    mistakes=tuple(wrong),
    library=("course_lib.loops", "course_lib.checks"),
)
