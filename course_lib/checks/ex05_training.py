"""Exercise 5: the training step and the loop, with a teacher that stays as it is."""

import math

import torch
import torch.nn.functional as F

from course_lib.checks.core import Exercise, Mistakes, Part
from course_lib.checks.inputs import bell, generator, network, state, whole
from course_lib.checks.observing import Unusable
from course_lib.losses import distillation_loss

wrong = Mistakes()


def _world(seed, purpose, steps=3, n=8):
    """A student, a teacher, batches and an optimizer. Both networks are in the mode that they must not be in."""
    g = generator(seed, purpose)
    student, teacher = network(g, 2, 6, 3), network(g, 2, 8, 3, scale=1.5)
    batches = [(bell(g, n, 2), whole(g, 0, 2, n)) for _ in range(steps)]
    optimizer = torch.optim.SGD(student.parameters(), lr=0.2)
    return student.eval(), teacher.train(), batches, optimizer


_IN_ORDER = "Go through the step in order: the mode of each network, the teacher's logits, the loss, the gradients, the update."
_BIT_FOR_BIT = "Which mode is it in, and what does the optimizer hold?"


def _step(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 0)
    for number, batch in enumerate(batches, 1):
        recorder.during = f"step {number}"
        answers["train_step"](student, teacher, batch, optimizer, 2.0, 0.7)
        label = f"the student's weights and statistics after {number} step{'s' * (number > 1)}"
        recorder.value(label, state(student), brief=True, rtol=1e-3, atol=1e-4, hint=_IN_ORDER)


def _frozen(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 1)
    for number, batch in enumerate(batches, 1):
        recorder.during = f"step {number}"
        answers["train_step"](student, teacher, batch, optimizer, 2.0, 0.7)
    recorder.value(
        "the teacher's weights and statistics after 3 steps", state(teacher), brief=True, rtol=0, atol=0, hint=_BIT_FOR_BIT
    )
    recorder.value("the gradients of the teacher's parameters", [p.grad for p in teacher.parameters()], verdict=_no_gradients)
    recorder.unchanged("the data", *(tensor for batch in batches for tensor in batch))


def _no_gradients(found):
    if found.kind == "list" and found.items and all(entry.kind == "none" for entry in found.items):
        return None
    return "The parameters of the teacher have gradients (`.grad`) after the step. Nobody may ask for those."


def _loop(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 2, steps=2)
    recorder.during = "training for 3 epochs"
    losses = answers["train"](student, teacher, batches, optimizer, 3, 2.0, 0.7)
    if not isinstance(losses, (list, tuple)):
        raise Unusable(f"`train` should return a list with the mean loss of each epoch; it returned {type(losses).__name__}.")
    label = "the losses that are returned after 3 epochs"
    recorder.value(f"{label}, their number", list(losses), verdict=_one_an_epoch)
    recorder.value(
        "the student's weights and statistics after 3 epochs", state(student), brief=True, rtol=3e-3, atol=3e-4, hint=_IN_ORDER
    )
    recorder.value(label, list(losses), rtol=1e-3, hint="Each should be the mean over the batches of one epoch.")
    recorder.value(
        "the teacher's weights and statistics after 3 epochs", state(teacher), brief=True, rtol=0, atol=0, hint=_BIT_FOR_BIT
    )


def _one_an_epoch(found):
    if len(found.items) != 3:
        return f"3 epochs should return 3 losses, one an epoch; there are {len(found.items)}."
    if not all(entry.values and entry.shape == () and math.isfinite(entry.values[0]) for entry in found.items):
        return "Each of the returned losses should be one finite number."
    return None


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


@wrong("train_step", "step", "the teacher is in train mode")
def teacher_in_train_mode(student, teacher, batch, optimizer, T, alpha):
    """BatchNorm takes its statistics from the batch in one mode and from training in the other; dropout throws the
    dice in only one. Which does a teacher need?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the student is in eval mode")
def student_in_eval_mode(student, teacher, batch, optimizer, T, alpha):
    """The student may come from an evaluation. In which mode does it learn?"""
    inputs, labels = batch
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the gradients of earlier steps are still there")
def never_zeroed(student, teacher, batch, optimizer, T, alpha):
    """backward() adds to what is in `.grad`. What is in there at the start of the second step?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the optimizer makes no step, or one without gradients")
def no_step(student, teacher, batch, optimizer, T, alpha):
    """The statistics move, the weights don't. In which order do backward, the step and clearing the gradients
    come?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "the loss does not depend on the student's parameters")
def exchanged(student, teacher, batch, optimizer, T, alpha):
    """backward() found nothing to differentiate. Is the student's forward pass recorded, and who comes first in the loss?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(teacher_logits, student(inputs), labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "alpha and 1 − alpha exchanged")
def alpha_flipped(student, teacher, batch, optimizer, T, alpha):
    """alpha weighs the teacher's part."""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, 1 - alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "T and alpha are not passed on")
def defaults(student, teacher, batch, optimizer, T, alpha):
    """The loss has defaults of its own for them. Does it get yours?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher.eval()(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "step", "only the labels are learned from")
def labels_only(student, teacher, batch, optimizer, T, alpha):
    """Nothing of the teacher arrives at the student."""
    inputs, labels = batch
    student.train()
    loss = F.cross_entropy(student(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train_step", "frozen", "eval() taken for frozen: the teacher got gradients")
def gradients_for_the_teacher(student, teacher, batch, optimizer, T, alpha):
    """eval() changes what some layers do, not what autograd records. What switches the recording off?"""
    inputs, labels = batch
    student.train()
    teacher_logits, student_logits = teacher.eval()(inputs), student(inputs)
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    optimizer.zero_grad()
    (alpha * soft + (1 - alpha) * hard).backward()
    optimizer.step()
    return soft.item()


@wrong("train_step", "frozen", "the teacher is in train mode")
def statistics_move(student, teacher, batch, optimizer, T, alpha):
    """The weights did not move, but the statistics of BatchNorm are part of the teacher, too. In which mode do they
    move with every batch?"""
    inputs, labels = batch
    student.train()
    with torch.no_grad():
        teacher_logits = teacher(inputs)
    loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("train", "loop", "one epoch, however many are asked for")
def one_epoch(student, teacher, batches, optimizer, epochs, T, alpha):
    """How often does your loop go through the batches?"""
    losses = []
    for inputs, labels in batches:
        student.train()
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [sum(losses) / len(losses)]


@wrong("train", "loop", "only the first batch of each epoch")
def first_batch(student, teacher, batches, optimizer, epochs, T, alpha):
    """Is there a `return` or a `break` in the inner loop?"""
    history = []
    for _ in range(epochs):
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
            break
    return history


@wrong("train", "loop", "the loss of the last batch instead of the mean")
def last_batch(student, teacher, batches, optimizer, epochs, T, alpha):
    """The student is right, the list is not. Which batches does each of its numbers speak of?"""
    history = []
    for _ in range(epochs):
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        history.append(loss.item())
    return history


@wrong("train", "loop", "the sum of an epoch's losses instead of the mean")
def epoch_sum(student, teacher, batches, optimizer, epochs, T, alpha):
    """The student is right, the list is not. With twice as many batches, what would your numbers be?"""
    history = []
    for _ in range(epochs):
        total = 0.0
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        history.append(total)
    return history


@wrong("train", "loop", "a loss for every step instead of every epoch")
def every_step(student, teacher, batches, optimizer, epochs, T, alpha):
    """How many numbers should come back from 3 epochs?"""
    history = []
    for _ in range(epochs):
        for inputs, labels in batches:
            student.train()
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
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
