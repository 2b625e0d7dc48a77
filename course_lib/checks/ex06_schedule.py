"""Exercise 6: a temperature that changes while the student learns, 5 down to 1, and the loop that uses it."""

import math

import torch

from course_lib.checks.engine.core import Exercise, Mistakes, Part
from course_lib.checks.engine.inputs import bell, generator, network, state, whole
from course_lib.checks.engine.observing import Unusable
from course_lib.losses import distillation_loss

wrong = Mistakes()


def _schedule(name):
    def observe(recorder, answers, seed):
        g = generator(seed)
        cases = [(5.0, 1.0, 9), (5.0, 1.0, 2), *((start / 4, end / 4, 6) for start, end in whole(g, 2, 40, 2, 2).tolist())]
        for start, end, steps in cases:
            label = f"the temperatures of {steps} steps from {start:g} to {end:g}"
            recorder.during = label
            values = [_number(answers[name](step, steps, start, end)) for step in range(steps)]
            recorder.value(
                label, torch.tensor(values, dtype=torch.float64), hint="Print the temperatures of a run of nine steps."
            )
        recorder.during = "a run of one step"
        recorder.value("the temperature of the only step of a run", _number(answers[name](0, 1, 5.0, 1.0)), verdict=_in_range)

    return observe


def _number(value):
    if value is None:
        raise Unusable("It returned None. Is there a `return`?")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Unusable(f"A temperature should be a number; it returned {type(value).__name__}.") from None


def _in_range(found):
    return None if 1 <= found.values[0] <= 5 else "In a run of one step the temperature should lie between the two ends."


def _wired(recorder, answers, seed):
    g = generator(seed, 1)
    student, teacher = network(g, 2, 6, 3).eval(), network(g, 2, 8, 3, scale=2.5).train()
    batches = [(bell(g, 8, 2), whole(g, 0, 2, 8)) for _ in range(2)]
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    recorder.during = "training for 2 epochs of 2 batches"

    def schedule(step, steps):
        return 5.0 - 4.0 * step / max(1, steps - 1)

    used = answers["train_with_schedule"](student, teacher, batches, optimizer, 2, 0.8, schedule)
    if not isinstance(used, (list, tuple)):
        raise Unusable(
            f"`train_with_schedule` should return a list of the temperatures used; it returned {type(used).__name__}."
        )
    recorder.value(
        "the temperatures that are returned, one a step", list(used), hint="One temperature for every step, in order."
    )
    recorder.value(
        "the student's weights after 4 steps",
        state(student),
        brief=True,
        rtol=2e-3,
        atol=2e-4,
        hint="Go through a step in order: the batch, the modes, the temperature that the loss gets, the gradients, the update.",
    )


def linear_T(step, steps, start=5.0, end=1.0):
    return start + (end - start) * step / max(1, steps - 1)


def cosine_T(step, steps, start=5.0, end=1.0):
    return end + (start - end) * (1 + math.cos(math.pi * step / max(1, steps - 1))) / 2


def train_with_schedule(student, teacher, batches, optimizer, epochs, alpha, schedule):
    used, steps = [], epochs * len(batches)
    for step in range(steps):
        inputs, labels = batches[step % len(batches)]
        T = schedule(step, steps)
        used.append(T)
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student.train()(inputs), teacher_logits, labels, T, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return used


@wrong("linear_T", "linear", "the end is never reached")
def never_there(step, steps, start=5.0, end=1.0):
    """How many steps lie between the first and the last of nine? Print the temperature of the last."""
    return start + (end - start) * step / steps


@wrong("linear_T", "linear", "the first step is not at the start")
def one_ahead(step, steps, start=5.0, end=1.0):
    """The first step has the number 0, and its temperature is `start`. Print yours."""
    return start + (end - start) * (step + 1) / steps


@wrong("linear_T", "linear", "a division by zero in a run of one step")
def by_zero(step, steps, start=5.0, end=1.0):
    """With one step there is nothing between the first and the last. What do you divide by?"""
    return start + (end - start) * step / (steps - 1)


@wrong("linear_T", "linear", "the wrong way round")
def upwards(step, steps, start=5.0, end=1.0):
    """The teacher should be soft at the start."""
    return end + (start - end) * step / max(1, steps - 1)


@wrong("linear_T", "linear", "it ends at 0")
def to_zero(step, steps, start=5.0, end=1.0):
    """A temperature of 0 divides by zero. Where does `end` come into your formula?"""
    return start * (1 - step / max(1, steps - 1))


@wrong("linear_T", "linear", "the ends are always 5 and 1")
def always_the_same(step, steps, start=5.0, end=1.0):
    """5 and 1 are only what `start` and `end` are unless the caller says otherwise. Where does your formula use them?"""
    return 5.0 - 4.0 * step / max(1, steps - 1)


@wrong("linear_T", "linear", "the same factor in every step")
def exponential(step, steps, start=5.0, end=1.0):
    """A straight line loses the same amount in every step. What does yours lose?"""
    return start * (end / start) ** (step / max(1, steps - 1))


@wrong("cosine_T", "cosine", "a quarter of a wave")
def quarter(step, steps, start=5.0, end=1.0):
    """The curve should be flat at both ends. How far does the cosine go from 1 to −1?"""
    return end + (start - end) * math.cos(math.pi / 2 * step / max(1, steps - 1))


@wrong("cosine_T", "cosine", "a cosine that goes below zero")
def below_zero(step, steps, start=5.0, end=1.0):
    """A cosine runs from 1 to −1. Over which range should your weight run?"""
    return end + (start - end) * math.cos(math.pi * step / max(1, steps - 1))


@wrong("cosine_T", "cosine", "a straight line")
def straight(step, steps, start=5.0, end=1.0):
    """This one should start slowly, hurry in the middle, and end slowly."""
    return start + (end - start) * step / max(1, steps - 1)


@wrong("cosine_T", "cosine", "the end is never reached")
def cosine_never_there(step, steps, start=5.0, end=1.0):
    """How many steps lie between the first and the last of nine?"""
    return end + (start - end) * (1 + math.cos(math.pi * step / steps)) / 2


@wrong("cosine_T", "cosine", "the wrong way round")
def cosine_upwards(step, steps, start=5.0, end=1.0):
    """Where should the cosine be 1: at the first step, or at the last?"""
    return end + (start - end) * (1 - math.cos(math.pi * step / max(1, steps - 1))) / 2


@wrong("cosine_T", "cosine", "the first step is not at the start")
def cosine_one_ahead(step, steps, start=5.0, end=1.0):
    """The first step has the number 0, and its temperature is `start`. Print yours."""
    return end + (start - end) * (1 + math.cos(math.pi * (step + 1) / steps)) / 2


@wrong("cosine_T", "cosine", "a division by zero in a run of one step")
def cosine_by_zero(step, steps, start=5.0, end=1.0):
    """With one step there is nothing between the first and the last. What do you divide by?"""
    return end + (start - end) * (1 + math.cos(math.pi * step / (steps - 1))) / 2


@wrong("train_with_schedule", "wired", "the schedule starts again in every epoch")
def again(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """Over what does the schedule run: an epoch, or the whole training?"""
    used = []
    for _ in range(epochs):
        for step, (inputs, labels) in enumerate(batches):
            T = schedule(step, len(batches))
            used.append(T)
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student.train()(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return used


@wrong("train_with_schedule", "wired", "a new temperature only once an epoch")
def once_an_epoch(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """The schedule is asked for every step. How often do you ask it?"""
    used = []
    for epoch in range(epochs):
        T = schedule(epoch, epochs)
        for inputs, labels in batches:
            used.append(T)
            with torch.no_grad():
                teacher_logits = teacher.eval()(inputs)
            loss = distillation_loss(student.train()(inputs), teacher_logits, labels, T, alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return used


@wrong("train_with_schedule", "wired", "the schedule is asked once, at the start")
def asked_once(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """All of your temperatures are that of the first step. Where in the loop does the schedule have to be asked?"""
    used, steps = [], epochs * len(batches)
    T = schedule(0, steps)
    for step in range(steps):
        inputs, labels = batches[step % len(batches)]
        used.append(T)
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student.train()(inputs), teacher_logits, labels, T, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return used


@wrong("train_with_schedule", "wired", "the temperature is noted, but the loss does not get it")
def not_used(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """The list is right, the student is not: which T does the loss use?"""
    used, steps = [], epochs * len(batches)
    for step in range(steps):
        inputs, labels = batches[step % len(batches)]
        used.append(schedule(step, steps))
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student.train()(inputs), teacher_logits, labels, alpha=alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return used


@wrong("train_with_schedule", "wired", "the gradients of earlier steps are still there")
def never_zeroed(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """backward() adds to what is in `.grad`. What is in there at the start of the second step?"""
    used, steps = [], epochs * len(batches)
    for step in range(steps):
        inputs, labels = batches[step % len(batches)]
        T = schedule(step, steps)
        used.append(T)
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student.train()(inputs), teacher_logits, labels, T, alpha)
        loss.backward()
        optimizer.step()
    return used


@wrong("train_with_schedule", "wired", "the teacher is in train mode")
def teacher_in_train_mode(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """As in exercise 5, nobody promises in which mode the networks arrive. Which does a teacher need?"""
    used, steps = [], epochs * len(batches)
    for step in range(steps):
        inputs, labels = batches[step % len(batches)]
        T = schedule(step, steps)
        used.append(T)
        with torch.no_grad():
            teacher_logits = teacher(inputs)
        loss = distillation_loss(student.train()(inputs), teacher_logits, labels, T, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return used


@wrong("train_with_schedule", "wired", "the student is in eval mode")
def student_in_eval_mode(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """As in exercise 5, nobody promises in which mode the networks arrive. In which does the student learn?"""
    used, steps = [], epochs * len(batches)
    for step in range(steps):
        inputs, labels = batches[step % len(batches)]
        T = schedule(step, steps)
        used.append(T)
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student(inputs), teacher_logits, labels, T, alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return used


@wrong("train_with_schedule", "wired", "the steps are counted from 1")
def from_one(student, teacher, batches, optimizer, epochs, alpha, schedule):
    """The first step has the number 0. Which number does your loop ask for first?"""
    used, steps = [], epochs * len(batches)
    for step in range(steps):
        inputs, labels = batches[step % len(batches)]
        T = schedule(step + 1, steps)
        used.append(T)
        with torch.no_grad():
            teacher_logits = teacher.eval()(inputs)
        loss = distillation_loss(student.train()(inputs), teacher_logits, labels, max(T, 0.5), alpha)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return used


exercise = Exercise(
    number=6,
    name="schedule",
    title="a temperature schedule",
    minutes=20,
    parts=(
        Part("linear", "A straight line", 2, ("linear_T",), _schedule("linear_T")),
        Part("cosine", "Half a cosine", 2, ("cosine_T",), _schedule("cosine_T")),
        Part("wired", "The loop that uses it", 3, ("train_with_schedule",), _wired),
    ),
    right={"linear_T": linear_T, "cosine_T": cosine_T, "train_with_schedule": train_with_schedule},
    mistakes=tuple(wrong),
    library=("course_lib.schedules", "course_lib.loops", "course_lib.checks"),
)
