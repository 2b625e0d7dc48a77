"""Exercise 4: the distillation loss, the soft term first and then the whole."""

import torch
import torch.nn.functional as F

from course_lib import losses
from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes

wrong = Mistakes()


def _pair(seed, purpose, n, num_classes, scale=2.0):
    g = make_generator(seed, purpose)
    z, v = random_normal(g, 2, n, num_classes, scale=scale)
    return {"student_logits": z, "teacher_logits": v}


def _with_labels(seed, purpose, n, num_classes, scale=2.0):
    labels = random_integers(make_generator(seed, 100 + purpose), 0, num_classes - 1, n)
    return {**_pair(seed, purpose, n, num_classes, scale), "labels": labels}


_BY_HAND = "Try one example: v = (3, 1, 0) and z = (1, 1, 0) at T = 1 give 0.3797, at T = 2 0.4887."
_ENDS = "What should be left at alpha = 1, and what at alpha = 0?"


def _observe_soft_term(recorder, answers, seed):
    for purpose, (n, num_classes, T) in enumerate([(4, 5, 1.0), (6, 3, 2.0), (3, 10, 4.0)]):
        inputs = {**_pair(seed, purpose, n, num_classes), "T": T}
        label = f"the soft term of {n} examples at T = {T:g}"
        recorder.call(label, answers["soft_term"], inputs, gradient="student_logits", hint=_BY_HAND)
    equal = _pair(seed, 9, 3, 4)["student_logits"]
    recorder.call(
        "the soft term for equal logits",
        answers["soft_term"],
        {"student_logits": equal, "teacher_logits": equal.clone(), "T": 2.0},
    )


def _observe_whole(recorder, answers, seed):
    for purpose, (n, num_classes, T, alpha) in enumerate([(6, 5, 2.0, 0.9), (4, 3, 4.0, 0.3), (5, 10, 1.0, 0.6)]):
        inputs = {**_with_labels(seed, 10 + purpose, n, num_classes), "T": T, "alpha": alpha}
        label = f"the loss at T = {T:g}, alpha = {alpha:g}"
        recorder.call(label, answers["distillation_loss"], inputs, gradient="student_logits", hint=_ENDS)


def _observe_safe(recorder, answers, seed):
    inputs = _with_labels(seed, 20, 4, 5, scale=150)
    inputs = {**{name: x.round() if x.is_floating_point() else x for name, x in inputs.items()}, "T": 1.0, "alpha": 0.5}
    label = "the loss for logits of several hundred"
    recorder.call(label, answers["distillation_loss"], inputs, gradient="student_logits", rtol=1e-3)

    recorder.during = "the gradient of the teacher's logits"
    inputs = _with_labels(seed, 21, 4, 5)
    z, v = inputs["student_logits"].requires_grad_(), inputs["teacher_logits"].requires_grad_()
    loss = answers["distillation_loss"](z, v, inputs["labels"], 2.0, 0.5)
    reached = None
    if isinstance(loss, torch.Tensor) and loss.requires_grad:
        reached = torch.autograd.grad(loss.sum(), v, allow_unused=True)[0]
    recorder.value(recorder.during, reached, verdict=_constant)


def _constant(found):
    if found.kind == "none" or (found.values and not any(found.values)):
        return None
    return "The teacher's logits receive a gradient. In this loss they are constants."


def soft_term(student_logits, teacher_logits, T):
    return losses.soft_target_loss(student_logits, teacher_logits, T)


def distillation_loss(student_logits, teacher_logits, labels, T, alpha):
    return losses.distillation_loss(student_logits, teacher_logits, labels, T, alpha)


# The same, written out: what mistakes are edits of. The second is right as a number; what is not yet safe about it, is below.


def soft_term_written_out(student_logits, teacher_logits, T):
    log_q = F.log_softmax(student_logits / T, -1)
    p = F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


def loss_written_out(student_logits, teacher_logits, labels, T, alpha):
    log_q = F.log_softmax(student_logits / T, -1)
    p = F.softmax(teacher_logits / T, -1)
    soft = T**2 * F.kl_div(log_q, p, reduction="batchmean")
    hard = F.cross_entropy(student_logits, labels)
    return alpha * soft + (1 - alpha) * hard


in_soft_term = wrong.edit(soft_term_written_out, "soft term", answer="soft_term")
in_soft_term(
    "the arguments of KL swapped",
    "`F.kl_div(a, b)` weights with b: its first argument is the log-probability of the one that learns. Whose "
    "probabilities should weight the classes?",
    {
        "log_q = F.log_softmax(student_logits": "log_q = F.log_softmax(teacher_logits",
        "p = F.softmax(teacher_logits": "p = F.softmax(student_logits",
    },
)
in_soft_term(
    "the arguments of KL swapped, and T² left out",
    "Two things at once. Look at what `F.kl_div` takes first, and at how the size of the gradient depends on T.",
    {
        "log_q = F.log_softmax(student_logits": "log_q = F.log_softmax(teacher_logits",
        "p = F.softmax(teacher_logits": "p = F.softmax(student_logits",
        "T**2 * ": "",
    },
)
in_soft_term(
    '`reduction="mean"`',
    "The sum over the classes belongs to the divergence. By what did you divide: by the number of examples, or by more?",
    {'"batchmean"': '"mean"'},
)
in_soft_term("a sum over the examples", "Twice as many examples give twice your loss. Should they?", {'"batchmean"': '"sum"'})
in_soft_term(
    "T² is left out", "At T = 1 you would not notice. How does the size of the gradient change with T?", {"T**2 * ": ""}
)
in_soft_term("T instead of T²", "Notebook 3 counts the powers of T. One of them is missing.", {"T**2": "T"})
in_soft_term(
    "probabilities where log-probabilities belong",
    "A divergence is never below zero. Read in the documentation of `F.kl_div` what its first argument is.",
    {"F.log_softmax": "F.softmax"},
)
in_soft_term(
    'probabilities where log-probabilities belong, and `reduction="mean"`',
    "Two things at once. Read in the documentation of `F.kl_div` what its first argument is, and by what it divides.",
    {"F.log_softmax": "F.softmax", ', reduction="batchmean"': ""},
)
in_soft_term(
    '`reduction="mean"`, and T² left out',
    "Two things at once. By how much did `F.kl_div` divide, and what does T do to the size of the gradient?",
    {"T**2 * ": "", ', reduction="batchmean"': ""},
)
in_soft_term(
    "log-probabilities as the target",
    "Unless it is told otherwise, `F.kl_div` takes the logarithm of its second argument itself.",
    {"p = F.softmax": "p = F.log_softmax"},
)
in_soft_term(
    "`F.kl_div` takes its arguments in another order",
    "The formula names the teacher first. Read in the documentation which argument of `F.kl_div` comes first, and which of "
    "the two is a logarithm.",
    {"log_q, p,": "p, log_q,"},
)
in_soft_term(
    "`F.kl_div` is given two probabilities, the teacher's first",
    "Read in the documentation which argument of `F.kl_div` comes first, and which of the two is a logarithm.",
    {"F.log_softmax": "F.softmax", "log_q, p,": "p, log_q,"},
)
in_soft_term(
    "the softmax runs over the examples",
    "Over which dimension should the probabilities of one example add up to 1?",
    {"student_logits / T, -1": "student_logits / T, 0", "teacher_logits / T, -1": "teacher_logits / T, 0"},
)
in_soft_term(
    "T on the teacher's side only",
    "Two distributions are compared. Are both of them softened?",
    {"student_logits / T": "student_logits"},
)
in_soft_term(
    "T on the student's side only",
    "Two distributions are compared. Are both of them softened?",
    {"teacher_logits / T": "teacher_logits"},
)
in_soft_term(
    "a cross-entropy, not a divergence",
    "Its gradient is the same, so training with it is no mistake. But for equal logits a divergence is 0; yours is not.",
    {
        'F.kl_div(log_q, p, reduction="batchmean")': "F.cross_entropy(student_logits / T, p)",
        "    log_q = F.log_softmax(student_logits / T, -1)\n": "",
    },
)
in_soft_term(
    "the teacher's logits are used twice",
    "The student does not occur in it, so it can't learn from it.",
    {"student_logits / T": "teacher_logits / T"},
)
in_soft_term(
    "the student's side is cut from the graph",
    "The number is right, but nothing can be learned from it: no gradient reaches the student's logits. What turns a "
    "tensor into a number, or takes it out of the graph?",
    {"student_logits / T": "student_logits.detach() / T"},
)

in_whole_loss = wrong.edit(loss_written_out, "whole", answer="distillation_loss")
in_whole_loss(
    "alpha and 1 − alpha exchanged",
    "With alpha = 1 the labels should not matter. What happens in yours?",
    {"alpha * soft + (1 - alpha) * hard": "(1 - alpha) * soft + alpha * hard"},
)
in_whole_loss(
    "the hard term is softened, too",
    "The labels are compared with the student as it will be used. At which temperature is that?",
    {"cross_entropy(student_logits": "cross_entropy(student_logits / T"},
)
in_whole_loss(
    "cross-entropy of probabilities",
    "`F.cross_entropy` has a softmax inside. What does it expect?",
    {"cross_entropy(student_logits": "cross_entropy(F.softmax(student_logits, -1)"},
)
in_whole_loss(
    "a probability without its logarithm",
    "`F.nll_loss` takes no logarithm, whatever its name says. What does it expect to be given?",
    {"cross_entropy(student_logits": "nll_loss(F.softmax(student_logits, -1)"},
)
in_whole_loss(
    "the arguments of KL swapped",
    "`F.kl_div(a, b)` weights with b: its first argument is the log-probability of the one that learns. Whose "
    "probabilities should weight the classes?",
    {
        "log_q = F.log_softmax(student_logits": "log_q = F.log_softmax(teacher_logits",
        "p = F.softmax(teacher_logits": "p = F.softmax(student_logits",
    },
)
in_whole_loss("T² is left out", "At T = 1 you would not notice. What becomes of alpha when T grows?", {"T**2 * ": ""})
in_whole_loss(
    "T² multiplies the hard term, too",
    "T² makes up for what T does to a gradient. Is there a T in the cross-entropy with the labels?",
    {"T**2 * ": "", "alpha * soft + (1 - alpha) * hard": "T**2 * (alpha * soft + (1 - alpha) * hard)"},
)
in_whole_loss(
    "the terms are added without weights",
    "What does alpha = 0 mean? And alpha = 1?",
    {"alpha * soft + (1 - alpha) * hard": "soft + hard"},
)
in_whole_loss(
    "the hard term without its weight", "What should be left of the cross-entropy at alpha = 1?", {"(1 - alpha) * hard": "hard"}
)
in_whole_loss(
    "the soft term without its weight", "What should be left of the divergence at alpha = 0?", {"alpha * soft": "soft"}
)
in_whole_loss(
    "the loss is cut from the graph",
    "The number is right, but nothing can be learned from it: no gradient reaches the student's logits. What turns a "
    "tensor into a number, or takes it out of the graph?",
    {
        "student_logits / T": "student_logits.detach() / T",
        "cross_entropy(student_logits": "cross_entropy(student_logits.detach()",
    },
)
in_whole_loss(
    "no gradient comes through the soft term",
    "The number is right, but its gradient is that of the labels alone. Which of the two sides is a constant in the soft term?",
    {"student_logits / T": "student_logits.detach() / T"},
)


@wrong("distillation_loss", "safe", "the logarithm of a softmax")
def log_of_softmax(student_logits, teacher_logits, labels, T, alpha):
    """A softmax may be exactly 0 in float32, and then the logarithm is −inf. Is there a function that does both steps
    at once?"""
    log_q, log_p = F.softmax(student_logits / T, -1).log(), F.softmax(teacher_logits / T, -1).log()
    soft = T**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


@wrong("distillation_loss", "safe", "a small number under the logarithm")
def small_number(student_logits, teacher_logits, labels, T, alpha):
    """It keeps infinity away, but changes every large loss: log(0 + 1e-8) is −18.4, whatever the logits say. Is there a
    function that does softmax and logarithm at once?"""
    log_q, p = (F.softmax(student_logits / T, -1) + 1e-8).log(), F.softmax(teacher_logits.detach() / T, -1)
    soft = T**2 * (p * ((p + 1e-8).log() - log_q)).sum(-1).mean()
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


wrong.edit(loss_written_out, "safe", answer="distillation_loss")(
    "the teacher's logits receive a gradient",
    "The teacher is not to be trained. Which method of a tensor cuts it from the graph?",
    {},
)


exercise = Exercise(
    number=4,
    name="distillation_loss",
    title="the distillation loss",
    minutes=25,
    parts=(
        Part("soft term", "The soft term", 3, ("soft_term",), _observe_soft_term),
        Part("whole", "The whole loss", 3, ("distillation_loss",), _observe_whole, "whole loss"),
        Part("safe", "Safe to train with", 2, ("distillation_loss",), _observe_safe, "safe to train with"),
    ),
    right={"distillation_loss": distillation_loss, "soft_term": soft_term},
    mistakes=tuple(wrong),
    library=("course_lib.losses", "course_lib.checks"),
    asks="the whole distillation loss",
    goes_with="02 to 04",
)
