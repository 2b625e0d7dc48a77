"""Exercise 5: the training step and the loop, with a teacher that stays as it is."""

import math
import weakref
from collections import Counter

import torch
import torch.nn.functional as F

from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import flatten_state, make_generator, make_network, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes
from course_lib.checks.engine.observing import Unusable
from course_lib.losses import distillation_loss

wrong = Mistakes()


def _world(seed, purpose, sizes):
    """A student, a teacher, batches and an optimizer. Both networks are in the mode that they must not be in."""
    g = make_generator(seed, purpose)
    student, teacher = make_network(g, 2, 6, 3), make_network(g, 2, 8, 3, scale=1.5)
    batches = [(random_normal(g, n, 2), random_integers(g, 0, 2, n)) for n in sizes]
    optimizer = torch.optim.SGD(student.parameters(), lr=0.2)
    return student.eval(), teacher.train(), batches, optimizer


_IN_ORDER = "Go through the step in order: the mode of each network, the teacher's logits, the loss, the gradients, the update."
_STEP_FIRST = "Is `train_step` right yet? If it is: one step for each batch, in every epoch, with the given T and alpha."
_BIT_FOR_BIT = "Which mode is it in, and what does the optimizer hold?"


def _observe_step(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 0, (8, 8))
    g, losses = make_generator(seed, 3), []
    for parameter in student.parameters():  # what somebody's last step may have left behind
        parameter.grad = random_normal(g, *parameter.shape)
    for number, (batch, T, alpha) in enumerate(zip(batches, (2.0, 5.0), (0.7, 0.4), strict=True), 1):
        recorder.during = f"step {number}"
        losses.append(answers["train_step"](student, teacher, batch, optimizer, T, alpha))
        label = f"the student's weights and statistics after {number} step{'s' * (number > 1)}"
        recorder.value(label, flatten_state(student), brief=True, rtol=1e-3, atol=1e-4, hint=_IN_ORDER)
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


def _observe_frozen(recorder, answers, seed):
    student, teacher, batches, optimizer = _world(seed, 1, (8, 8))
    asked, kept = [], []
    teacher.register_forward_hook(lambda module, arguments, output: asked.append(weakref.ref(output)))
    optimizer.register_step_pre_hook(lambda *_: kept.extend(_holds_a_graph(it()) for it in asked))
    for number, batch in enumerate(batches, 1):
        recorder.during = f"step {number}"
        answers["train_step"](student, teacher, batch, optimizer, 2.0, 0.7)
    label = "the teacher's weights and statistics after 2 steps"
    recorder.value(label, flatten_state(teacher), brief=True, rtol=0, atol=0, hint=_BIT_FOR_BIT)
    recorder.value("the gradients of the teacher's parameters", [p.grad for p in teacher.parameters()], verdict=_no_gradients)
    recorder.value("whether the teacher's forward pass is kept", int(any(kept)), verdict=_not_kept)
    recorder.unchanged("the data", *(tensor for batch in batches for tensor in batch))


def _no_gradients(found):
    if found.kind == "list" and found.items and all(entry.kind == "none" for entry in found.items):
        return None
    return "The parameters of the teacher have gradients (`.grad`) after the step. Nobody may ask for those."


def _holds_a_graph(output):
    return isinstance(output, torch.Tensor) and output.requires_grad


def _not_kept(found):
    return "The teacher's forward pass was recorded, and is kept until the step is over." if found.values[0] else None


def _observe_loop(recorder, answers, seed):
    # Batches of different size: a mean over batches is then not one over rows.
    student, teacher, batches, optimizer = _world(seed, 2, (8, 3, 5))
    before, seen, updates = flatten_state(student), [], []
    student.register_forward_pre_hook(lambda module, arguments: seen.append(_which(arguments, batches)))
    optimizer.register_step_post_hook(lambda *_: updates.append(1))
    recorder.during = "training for 2 epochs"
    losses = answers["train"](student, teacher, batches, optimizer, 2, 2.0, 0.7)
    if not isinstance(losses, (list, tuple)):
        raise Unusable(f"`train` should return a list with the mean loss of each epoch; it returned {type(losses).__name__}.")
    learned = not torch.equal(before, flatten_state(student))
    label = "the losses that are returned after 2 epochs"
    recorder.value(f"{label}, their number", list(losses), verdict=_one_an_epoch)
    recorder.value(
        "whether it is the given optimizer that moves the weights", int(bool(updates) or not learned), verdict=_given
    )
    in_order = seen == [0, 1, 2] * 2 or Counter(seen) != Counter([0, 1, 2] * 2)  # how often is asked below
    recorder.value("whether the batches come in their order", int(in_order), verdict=_in_order)
    weights = "the student's weights and statistics after 2 epochs"
    recorder.value(weights, flatten_state(student), brief=True, rtol=3e-3, atol=3e-4, hint=_STEP_FIRST)
    recorder.value("what kind of numbers is returned", list(losses), verdict=_floats)
    recorder.value(label, list(losses), rtol=1e-3, hint="Each should be the mean over the batches of one epoch.")
    label = "the teacher's weights and statistics after 2 epochs"
    recorder.value(label, flatten_state(teacher), brief=True, rtol=0, atol=0, hint=_BIT_FOR_BIT)
    student, teacher, batches, optimizer = _world(seed, 4, (6, 6))
    recorder.during = "training for 3 epochs at T = 4, alpha = 0.3"
    again = answers["train"](student, teacher, batches, optimizer, 3, 4.0, 0.3)
    recorder.value(
        "the losses that are returned after 3 epochs", again, rtol=1e-3, hint="Which epochs, T and alpha did it use?"
    )
    weights = "the student's weights and statistics after 3 epochs at T = 4, alpha = 0.3"
    recorder.value(weights, flatten_state(student), brief=True, rtol=3e-3, atol=3e-4, hint=_STEP_FIRST)


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
        history.append(sum(losses) / len(losses))
    return history


in_step = wrong.edit(train_step, "step")
_ASK_THE_TEACHER = "    with torch.no_grad():\n        teacher_logits = teacher.eval()(inputs)\n"

in_step(
    "the teacher is in train mode",
    "BatchNorm takes its statistics from the batch in one mode and from training in the other; dropout is random in only "
    "one. Which does a teacher need?",
    {"teacher.eval()": "teacher"},
)
in_step(
    "the student is in eval mode",
    "The student may come from an evaluation. In which mode does it learn?",
    {"    student.train()\n": ""},
)
in_step(
    "neither network is put into its mode",
    "Two things at once: the teacher and the student each need a mode, and nobody promises in which they arrive.",
    {"teacher.eval()": "teacher", "    student.train()\n": ""},
)
in_step(
    "the gradients of earlier steps are still there",
    "backward() adds to what is in `.grad`. What is in there when your step begins?",
    {"    optimizer.zero_grad()\n": ""},
)
in_step(
    "the optimizer makes no step, or one without gradients",
    "The statistics move, the weights don't. In which order do backward, the step and clearing the gradients come?",
    {"    optimizer.zero_grad()\n    loss.backward()\n": "    loss.backward()\n    optimizer.zero_grad()\n"},
)
in_step(
    "the loss does not depend on the student's parameters",
    "backward() found nothing to differentiate. Is the student's forward pass recorded, and who comes first in the loss?",
    {"student(inputs), teacher_logits": "teacher_logits, student(inputs)"},
)
in_step(
    "teacher and student exchanged in the loss",
    "The student does not move, and the loss is not what it should be. Who comes first in `distillation_loss`?",
    {_ASK_THE_TEACHER: "", "student(inputs), teacher_logits": "teacher.eval()(inputs), student(inputs)"},
)
in_step(
    "the loss is returned as a tensor",
    "A tensor may hold on to its graph, and then the whole step stays in memory. The text asks for a number.",
    {"loss.item()": "loss"},
)
in_step("alpha and 1 − alpha exchanged", "alpha weights the teacher's part.", {"labels, T, alpha": "labels, T, 1 - alpha"})
in_step(
    "T and alpha are not passed on",
    "The loss has defaults of its own for them. Does it get yours?",
    {"labels, T, alpha": "labels"},
)
in_step(
    "only the labels are learned from",
    "Nothing of the teacher arrives at the student.",
    {
        _ASK_THE_TEACHER: "",
        "distillation_loss(student(inputs), teacher_logits, labels, T, alpha)": "F.cross_entropy(student(inputs), labels)",
    },
)


@wrong("train_step", "frozen", "eval() taken for frozen: the teacher got gradients")
def gradients_for_the_teacher(student, teacher, batch, optimizer, T, alpha):
    """eval() changes what some layers do, not what autograd records. What switches the recording off?"""
    inputs, labels = batch
    student.train()
    teacher_logits, student_logits = teacher.eval()(inputs), student(inputs)
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    optimizer.zero_grad()
    loss = alpha * soft + (1 - alpha) * hard
    loss.backward()
    optimizer.step()
    return loss.item()


wrong.edit(train_step, "frozen")(
    "the teacher is in train mode",
    "The weights did not move, but the statistics of BatchNorm are part of the teacher, too. In which mode do they move with "
    "every batch?",
    {"teacher.eval()": "teacher"},
)

wrong.edit(train_step, "frozen")(
    "the teacher's forward pass is recorded",
    "The teacher's activations are kept until the step is over, for a backward pass that never comes. What switches that off?",
    {_ASK_THE_TEACHER: "    teacher_logits = teacher.eval()(inputs)\n"},
)

in_loop = wrong.edit(train, "loop")

in_loop(
    "one epoch, however many are asked for", "How often does your loop go through the batches?", {"range(epochs)": "range(1)"}
)
in_loop(
    "only the first batch of each epoch",
    "Is there a `return` or a `break` in the inner loop?",
    {"losses.append(loss.item())\n": "losses.append(loss.item())\n            break\n"},
)
in_loop(
    "the loss of the last batch instead of the mean",
    "The student is right, the list is not. Which batches does each of its numbers speak of?",
    {"sum(losses) / len(losses)": "losses[-1]"},
)
in_loop(
    "the sum of an epoch's losses instead of the mean",
    "The student is right, the list is not. With twice as many batches, what would your numbers be?",
    {"sum(losses) / len(losses)": "sum(losses)"},
)
in_loop(
    "a mean over rows, not over batches",
    "The student is right, the list is not. How much does a small batch count in your mean, and how much in the one asked for?",
    {
        "losses.append(loss.item())": "losses += [loss.item()] * len(inputs)",
    },
)
in_loop(
    "a mean over all epochs so far",
    "The student is right, the list is not. Of which epoch do the losses in your second mean come?",
    {"history = []": "history, losses = [], []", "        losses = []\n": ""},
)
in_loop(
    "the losses are returned as tensors",
    "The numbers are right, but they are tensors, and may hold on to their graphs. The text asks for floats.",
    {"loss.item()": "loss"},
)
in_loop("the batches come in another order", "In which order does the text want them?", {"in batches": "in reversed(batches)"})
in_loop(
    "an optimizer of its own",
    "Whoever calls you has chosen an optimizer and its learning rate. Is it the one that makes your steps?",
    {
        "history = []": "history, own = [], torch.optim.SGD(student.parameters(), lr=0.1)",
        "optimizer.zero_grad()": "own.zero_grad()",
        "optimizer.step()": "own.step()",
    },
)
in_loop(
    "a loss for every step instead of every epoch",
    "How many numbers should come back from 2 epochs?",
    {
        "        losses = []\n": "",
        "losses.append(loss.item())": "history.append(loss.item())",
        "        history.append(sum(losses) / len(losses))\n": "",
    },
)


exercise = Exercise(
    number=5,
    name="training",
    title="the training step and loop",
    minutes=25,
    parts=(
        Part("step", "One step", 3, ("train_step",), _observe_step),
        Part("frozen", "The teacher stays as it is", 2, ("train_step",), _observe_frozen, "frozen teacher"),
        Part("loop", "The loop", 2, ("train",), _observe_loop),
    ),
    right={"train_step": train_step, "train": train},
    mistakes=tuple(wrong),
    library=("course_lib.loops", "course_lib.checks"),
    asks="the training step, with a teacher that stays frozen, and the loop",
    goes_with="04 and 05",
)
