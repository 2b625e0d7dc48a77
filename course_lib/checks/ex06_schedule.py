"""Exercise 6: a temperature that changes while the student learns, 5 down to 1, and the loop that uses it."""

import math

import torch

from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import flatten_state, make_generator, make_network, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes
from course_lib.checks.engine.observing import Unusable
from course_lib.losses import distillation_loss

wrong = Mistakes()


def _observe_schedule(name):
    def observe(recorder, answers, seed):
        g = make_generator(seed)
        cases = [
            (5.0, 1.0, 9),
            (5.0, 1.0, 2),
            *((start / 4, end / 4, 6) for start, end in random_integers(g, 2, 40, 2, 2).tolist()),
        ]
        for start, end, steps in cases:
            label = f"the temperatures of {steps} steps from {start:g} to {end:g}"
            recorder.during = label
            values = [_number(answers[name](step, steps, start, end)) for step in range(steps)]
            recorder.value(
                label, torch.tensor(values, dtype=torch.float64), hint="Print the temperatures of a run of nine steps."
            )
        recorder.during = "the temperatures of 5 steps, from where to where not said"
        values = [_number(answers[name](step, 5)) for step in range(5)]
        recorder.value(
            recorder.during, torch.tensor(values, dtype=torch.float64), hint="The text gives start and end a default."
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


def _observe_wired(recorder, answers, seed):
    g = make_generator(seed, 1)
    student, teacher = make_network(g, 2, 6, 3).eval(), make_network(g, 2, 8, 3, scale=2.5).train()
    batches = [(random_normal(g, 8, 2), random_integers(g, 0, 2, 8)) for _ in range(2)]
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    recorder.during = "training for 2 epochs of 2 batches"
    used = answers["train_with_schedule"](student, teacher, batches, optimizer, 2, 0.8, _falling)
    if not isinstance(used, (list, tuple)):
        raise Unusable(
            f"`train_with_schedule` should return a list of the temperatures used; it returned {type(used).__name__}."
        )
    recorder.value(
        "the temperatures that are returned, one a step", list(used), hint="One temperature for every step, in order."
    )
    recorder.value(
        "the student's weights after 4 steps",
        flatten_state(student),
        brief=True,
        rtol=2e-3,
        atol=2e-4,
        hint=_IN_ORDER,
    )
    student, teacher = make_network(g, 2, 5, 3).eval(), make_network(g, 2, 7, 3, scale=2.5).train()
    batches = [(random_normal(g, 6, 2), random_integers(g, 0, 2, 6)) for _ in range(3)]
    before, optimizer = flatten_state(teacher), torch.optim.SGD(student.parameters(), lr=0.1)
    recorder.during = "training for 3 epochs of 3 batches with alpha = 0.3 and a schedule that rises"
    used = answers["train_with_schedule"](student, teacher, batches, optimizer, 3, 0.3, _rising)
    recorder.value(f"the temperatures of {recorder.during}", used, hint="Whose schedule does it ask?")
    weights = "the student's weights after 9 steps with alpha = 0.3"
    recorder.value(weights, flatten_state(student), brief=True, rtol=3e-3, atol=3e-4, hint=_IN_ORDER)
    recorder.value("the teacher's weights and statistics", flatten_state(teacher) - before, brief=True, rtol=0, atol=0)


_IN_ORDER = "Go through a step in order: the batch, the modes, the temperature that the loss gets, the gradients, the update."


def _falling(step, steps):
    return 5.0 - 4.0 * step / max(1, steps - 1)


def _rising(step, steps):
    return 1.5 + 3.0 * step / steps + 0.5 * (step % 2)


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


in_line = wrong.edit(linear_T, "linear")
in_line(
    "the end is never reached",
    "How many steps lie between the first and the last of nine? Print the temperature of the last.",
    {"max(1, steps - 1)": "steps"},
)
in_line(
    "the first step is not at the start",
    "The first step has the number 0, and its temperature is `start`. Print yours.",
    {"step / max(1, steps - 1)": "(step + 1) / steps"},
)
in_line(
    "a division by zero in a run of one step",
    "With one step there is nothing between the first and the last. What do you divide by?",
    {"max(1, steps - 1)": "(steps - 1)"},
)
in_line("one step ahead", "The first step has the number 0. Print its temperature.", {"step / max": "(step + 1) / max"})
in_line("one step behind", "The first step has the number 0. Print its temperature.", {"step / max": "(step - 1) / max"})
in_line("the wrong way round", "The teacher should be soft at the start.", {"start + (end - start)": "end + (start - end)"})
in_line(
    "it ends at 0",
    "A temperature of 0 divides by zero. Where does `end` come into your formula?",
    {"start + (end - start) * step / max(1, steps - 1)": "start * (1 - step / max(1, steps - 1))"},
)
in_line(
    "the ends are always 5 and 1",
    "5 and 1 are only what `start` and `end` are unless the caller says otherwise. Where does your formula use them?",
    {"start + (end - start)": "5.0 - 4.0"},
)
in_line(
    "the same factor in every step",
    "A straight line loses the same amount in every step. What does yours lose?",
    {"start + (end - start) * step / max(1, steps - 1)": "start * (end / start) ** (step / max(1, steps - 1))"},
)

in_cosine = wrong.edit(cosine_T, "cosine")
in_cosine(
    "a quarter of a wave",
    "The curve should be flat at both ends. How far does the cosine go from 1 to −1?",
    {"(1 + math.cos(math.pi * step": "math.cos(math.pi / 2 * step", "))) / 2": "))"},
)
in_cosine(
    "a cosine that goes below zero",
    "A cosine runs from 1 to −1. Over which range should your weight run?",
    {"(1 + math.cos": "math.cos", "))) / 2": "))"},
)


@wrong("cosine_T", "cosine", "a straight line")
def straight(step, steps, start=5.0, end=1.0):
    """This one should start slowly, hurry in the middle, and end slowly."""
    return start + (end - start) * step / max(1, steps - 1)


in_cosine(
    "the end is never reached", "How many steps lie between the first and the last of nine?", {"max(1, steps - 1)": "steps"}
)
in_cosine(
    "the wrong way round", "Where should the cosine be 1: at the first step, or at the last?", {"1 + math.cos": "1 - math.cos"}
)
in_cosine(
    "the first step is not at the start",
    "The first step has the number 0, and its temperature is `start`. Print yours.",
    {"step / max(1, steps - 1)": "(step + 1) / steps"},
)
in_cosine(
    "a division by zero in a run of one step",
    "With one step there is nothing between the first and the last. What do you divide by?",
    {"max(1, steps - 1)": "(steps - 1)"},
)

in_wiring = wrong.edit(train_with_schedule, "wired")
in_wiring(
    "the schedule starts again in every epoch",
    "Over what does the schedule run: an epoch, or the whole training?",
    {"schedule(step, steps)": "schedule(step % len(batches), len(batches))"},
)
in_wiring(
    "a new temperature only once an epoch",
    "The schedule is asked for every step. How often do you ask it?",
    {"schedule(step, steps)": "schedule(step // len(batches), epochs)"},
)
in_wiring(
    "the schedule is asked once, at the start",
    "All of your temperatures are that of the first step. Where in the loop does the schedule have to be asked?",
    {
        "    for step in range(steps):\n": "    T = schedule(0, steps)\n    for step in range(steps):\n",
        "        T = schedule(step, steps)\n": "",
    },
)
in_wiring(
    "the temperature is noted, but the loss does not get it",
    "The list is right, the student is not: which T does the loss use?",
    {"labels, T, alpha": "labels, alpha=alpha"},
)
in_wiring(
    "the gradients of earlier steps are still there",
    "backward() adds to what is in `.grad`. What is in there at the start of the second step?",
    {"        optimizer.zero_grad()\n": ""},
)
in_wiring(
    "the teacher is in train mode",
    "As in exercise 5, nobody promises in which mode the networks arrive. Which does a teacher need?",
    {"teacher.eval()": "teacher"},
)
in_wiring(
    "the student is in eval mode",
    "As in exercise 5, nobody promises in which mode the networks arrive. In which does the student learn?",
    {"student.train()": "student"},
)
in_wiring(
    "neither network is put into its mode",
    "Two things at once. As in exercise 5, nobody promises in which mode the networks arrive. Which does each need?",
    {"teacher.eval()": "teacher", "student.train()": "student"},
)
in_wiring(
    "a new temperature only once an epoch, and neither network in its mode",
    "Two things at once: the schedule is asked for every step, and each network needs a mode.",
    {
        "schedule(step, steps)": "schedule(step // len(batches), epochs)",
        "teacher.eval()": "teacher",
        "student.train()": "student",
    },
)
in_wiring(
    "one step too few is counted",
    "How many steps does the whole training have? The schedule wants that number.",
    {"schedule(step, steps)": "schedule(step, steps - 1)", "labels, T, alpha": "labels, max(T, 0.5), alpha"},
)
in_wiring(
    "the steps are counted from 1",
    "The first step has the number 0. Which number does your loop ask for first?",
    {"schedule(step, steps)": "schedule(step + 1, steps)", "labels, T, alpha": "labels, max(T, 0.5), alpha"},
)


exercise = Exercise(
    number=6,
    name="schedule",
    title="a temperature schedule",
    minutes=20,
    parts=(
        Part("linear", "A straight line", 2, ("linear_T",), _observe_schedule("linear_T"), "line"),
        Part("cosine", "Half a cosine", 2, ("cosine_T",), _observe_schedule("cosine_T")),
        Part("wired", "The loop that uses it", 3, ("train_with_schedule",), _observe_wired, "loop"),
    ),
    right={"linear_T": linear_T, "cosine_T": cosine_T, "train_with_schedule": train_with_schedule},
    mistakes=tuple(wrong),
    library=("course_lib.schedules", "course_lib.loops", "course_lib.checks"),
    asks="a temperature that falls from 5 to 1, wired into the loop",
    goes_with="05 and 06",
)
