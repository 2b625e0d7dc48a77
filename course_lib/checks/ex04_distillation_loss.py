"""Exercise 4: the distillation loss, the soft term first and then the whole."""

import torch
import torch.nn.functional as F

from course_lib import losses
from course_lib.checks.engine.core import Exercise, Mistakes, Part
from course_lib.checks.engine.inputs import bell, generator, whole

wrong = Mistakes()


def _pair(seed, purpose, n, num_classes, scale=2.0):
    g = generator(seed, purpose)
    z, v = bell(g, 2, n, num_classes, scale=scale)
    return {"student_logits": z, "teacher_logits": v}


def _with_labels(seed, purpose, n, num_classes, scale=2.0):
    labels = whole(generator(seed, 100 + purpose), 0, num_classes - 1, n)
    return {**_pair(seed, purpose, n, num_classes, scale), "labels": labels}


_BY_HAND = "Try one example: v = (3, 1, 0) and z = (1, 1, 0) at T = 1 give 0.3797, at T = 2 0.4887."
_ENDS = "What should be left at alpha = 1, and what at alpha = 0?"


def _soft_term(recorder, answers, seed):
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


def _whole(recorder, answers, seed):
    for purpose, (n, num_classes, T, alpha) in enumerate([(6, 5, 2.0, 0.9), (4, 3, 4.0, 0.3), (5, 10, 1.0, 0.6)]):
        inputs = {**_with_labels(seed, 10 + purpose, n, num_classes), "T": T, "alpha": alpha}
        label = f"the loss at T = {T:g}, alpha = {alpha:g}"
        recorder.call(label, answers["distillation_loss"], inputs, gradient="student_logits", hint=_ENDS)


def _safe(recorder, answers, seed):
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


@wrong("soft_term", "soft term", "the arguments of KL swapped")
def swapped(student_logits, teacher_logits, T):
    """`F.kl_div(a, b)` weighs with b: its first argument is the log-probability of the one that learns. Whose
    probabilities should weigh the classes?"""
    log_p, q = F.log_softmax(teacher_logits / T, -1), F.softmax(student_logits / T, -1)
    return T**2 * F.kl_div(log_p, q, reduction="batchmean")


@wrong("soft_term", "soft term", "the arguments of KL swapped, and T² left out")
def lesson(student_logits, teacher_logits, T):
    """Two things at once. Look at what `F.kl_div` takes first, and at how the size of the gradient depends on T."""
    return F.kl_div(F.log_softmax(teacher_logits / T, -1), F.softmax(student_logits / T, -1), reduction="batchmean")


@wrong("soft_term", "soft term", '`reduction="mean"`')
def mean_reduction(student_logits, teacher_logits, T):
    """The sum over the classes belongs to the divergence. By what did you divide: by the number of examples, or by
    more?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="mean")


@wrong("soft_term", "soft term", "a sum over the examples")
def sum_reduction(student_logits, teacher_logits, T):
    """Twice as many examples give twice your loss. Should they?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="sum")


@wrong("soft_term", "soft term", "T² is left out")
def no_square(student_logits, teacher_logits, T):
    """At T = 1 you would not notice. How does the size of the gradient change with T?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return F.kl_div(log_q, p, reduction="batchmean")


@wrong("soft_term", "soft term", "T instead of T²")
def one_power(student_logits, teacher_logits, T):
    """Notebook 3 counts the powers of T. One of them is missing."""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T * F.kl_div(log_q, p, reduction="batchmean")


@wrong("soft_term", "soft term", "probabilities where log-probabilities belong")
def probabilities_first(student_logits, teacher_logits, T):
    """A divergence is never below zero. Read in the documentation of `F.kl_div` what its first argument is."""
    q, p = F.softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(q, p, reduction="batchmean")


@wrong("soft_term", "soft term", 'probabilities where log-probabilities belong, and `reduction="mean"`')
def both_defaults(student_logits, teacher_logits, T):
    """Two things at once. Read in the documentation of `F.kl_div` what its first argument is, and by what it divides."""
    return T**2 * F.kl_div(F.softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1))


@wrong("soft_term", "soft term", '`reduction="mean"`, and T² left out')
def mean_and_no_square(student_logits, teacher_logits, T):
    """Two things at once. By how much did `F.kl_div` divide, and what does T do to the size of the gradient?"""
    return F.kl_div(F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1))


@wrong("soft_term", "soft term", "log-probabilities as the target")
def log_target(student_logits, teacher_logits, T):
    """Unless it is told otherwise, `F.kl_div` takes the logarithm of its second argument itself."""
    log_q, log_p = F.log_softmax(student_logits / T, -1), F.log_softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, log_p, reduction="batchmean")


@wrong("soft_term", "soft term", "`F.kl_div` takes its arguments in another order")
def order_of_the_formula(student_logits, teacher_logits, T):
    """The formula names the teacher first. Read in the documentation which argument of `F.kl_div` comes first, and which
    of the two is a logarithm."""
    p, log_q = F.softmax(teacher_logits / T, -1), F.log_softmax(student_logits / T, -1)
    return T**2 * F.kl_div(p, log_q, reduction="batchmean")


@wrong("soft_term", "soft term", "T on the teacher's side only")
def teacher_only(student_logits, teacher_logits, T):
    """Two distributions are compared. Are both of them softened?"""
    log_q, p = F.log_softmax(student_logits, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


@wrong("soft_term", "soft term", "T on the student's side only")
def student_only(student_logits, teacher_logits, T):
    """Two distributions are compared. Are both of them softened?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


@wrong("soft_term", "soft term", "a cross-entropy, not a divergence")
def cross_entropy(student_logits, teacher_logits, T):
    """Its gradient is the same, so training with it is no mistake. But for equal logits a divergence is 0; yours is
    not."""
    return T**2 * F.cross_entropy(student_logits / T, F.softmax(teacher_logits / T, -1))


@wrong("soft_term", "soft term", "the teacher's logits are used twice")
def teacher_twice(student_logits, teacher_logits, T):
    """The student does not occur in it, so it can't learn from it."""
    log_q, p = F.log_softmax(teacher_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


@wrong("soft_term", "soft term", "the student's side is cut from the graph")
def cut_off(student_logits, teacher_logits, T):
    """The number is right, but nothing can be learned from it: no gradient reaches the student's logits. What turns a
    tensor into a number, or takes it out of the graph?"""
    log_q, p = F.log_softmax(student_logits.detach() / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean")


@wrong("distillation_loss", "whole", "alpha and 1 − alpha exchanged")
def flipped(student_logits, teacher_logits, labels, T, alpha):
    """With alpha = 1 the labels should not matter. What happens in yours?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    return (1 - alpha) * soft + alpha * hard


@wrong("distillation_loss", "whole", "the hard term is softened, too")
def soft_hard_term(student_logits, teacher_logits, labels, T, alpha):
    """The labels are compared with the student as it will be used. At which temperature is that?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits / T, labels)
    return alpha * soft + (1 - alpha) * hard


@wrong("distillation_loss", "whole", "cross-entropy of probabilities")
def softmax_twice(student_logits, teacher_logits, labels, T, alpha):
    """`F.cross_entropy` has a softmax inside. What does it expect?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(F.softmax(student_logits, -1), labels)
    return alpha * soft + (1 - alpha) * hard


@wrong("distillation_loss", "whole", "a probability without its logarithm")
def no_logarithm(student_logits, teacher_logits, labels, T, alpha):
    """`F.nll_loss` takes no logarithm, whatever its name says. What does it expect to be given?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.nll_loss(F.softmax(student_logits, -1), labels)
    return alpha * soft + (1 - alpha) * hard


@wrong("distillation_loss", "whole", "the arguments of KL swapped")
def swapped_whole(student_logits, teacher_logits, labels, T, alpha):
    """`F.kl_div(a, b)` weighs with b: its first argument is the log-probability of the one that learns. Whose
    probabilities should weigh the classes?"""
    log_p, q = F.log_softmax(teacher_logits / T, -1), F.softmax(student_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_p, q, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    return alpha * soft + (1 - alpha) * hard


@wrong("distillation_loss", "whole", "T² is left out")
def no_square_whole(student_logits, teacher_logits, labels, T, alpha):
    """At T = 1 you would not notice. What becomes of alpha when T grows?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    return alpha * soft + (1 - alpha) * hard


@wrong("distillation_loss", "whole", "T² multiplies the hard term, too")
def square_of_all(student_logits, teacher_logits, labels, T, alpha):
    """T² makes up for what T does to a gradient. Is there a T in the cross-entropy with the labels?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    return T**2 * (alpha * soft + (1 - alpha) * hard)


@wrong("distillation_loss", "whole", "the terms are added without weights")
def unweighted(student_logits, teacher_logits, labels, T, alpha):
    """What does alpha = 0 mean? And alpha = 1?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean") + F.cross_entropy(student_logits, labels)


@wrong("distillation_loss", "whole", "the hard term without its weight")
def hard_unweighted(student_logits, teacher_logits, labels, T, alpha):
    """What should be left of the cross-entropy at alpha = 1?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return alpha * T**2 * F.kl_div(log_q, p, reduction="batchmean") + F.cross_entropy(student_logits, labels)


@wrong("distillation_loss", "whole", "the soft term without its weight")
def soft_unweighted(student_logits, teacher_logits, labels, T, alpha):
    """What should be left of the divergence at alpha = 0?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    return T**2 * F.kl_div(log_q, p, reduction="batchmean") + (1 - alpha) * F.cross_entropy(student_logits, labels)


@wrong("distillation_loss", "whole", "the loss is cut from the graph")
def loss_cut_off(student_logits, teacher_logits, labels, T, alpha):
    """The number is right, but nothing can be learned from it: no gradient reaches the student's logits. What turns a
    tensor into a number, or takes it out of the graph?"""
    z = student_logits.detach()
    soft = T**2 * F.kl_div(F.log_softmax(z / T, -1), F.softmax(teacher_logits / T, -1), reduction="batchmean")
    return alpha * soft + (1 - alpha) * F.cross_entropy(z, labels)


@wrong("distillation_loss", "whole", "no gradient comes through the soft term")
def soft_cut_off(student_logits, teacher_logits, labels, T, alpha):
    """The number is right, but its gradient is that of the labels alone. Which of the two sides is a constant in the soft
    term?"""
    log_q, p = F.log_softmax(student_logits.detach() / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    return alpha * soft + (1 - alpha) * hard


@wrong("distillation_loss", "safe", "the logarithm of a softmax")
def log_of_softmax(student_logits, teacher_logits, labels, T, alpha):
    """A softmax may be exactly 0 in float32, and then the logarithm is −inf. Is there a function that does both steps
    at once?"""
    log_q, log_p = F.softmax(student_logits / T, -1).log(), F.softmax(teacher_logits / T, -1).log()
    soft = T**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)


@wrong("distillation_loss", "safe", "the teacher's logits receive a gradient")
def attached(student_logits, teacher_logits, labels, T, alpha):
    """The teacher is not to be trained. Which method of a tensor cuts it from the graph?"""
    log_q, p = F.log_softmax(student_logits / T, -1), F.softmax(teacher_logits / T, -1)
    soft, hard = T**2 * F.kl_div(log_q, p, reduction="batchmean"), F.cross_entropy(student_logits, labels)
    return alpha * soft + (1 - alpha) * hard


exercise = Exercise(
    number=4,
    name="distillation_loss",
    title="the distillation loss",
    minutes=25,
    parts=(
        Part("soft term", "The soft term", 3, ("soft_term",), _soft_term),
        Part("whole", "The whole loss", 3, ("distillation_loss",), _whole),
        Part("safe", "Safe to train with", 2, ("distillation_loss",), _safe),
    ),
    right={"distillation_loss": distillation_loss, "soft_term": soft_term},
    mistakes=tuple(wrong),
    library=("course_lib.losses", "course_lib.checks"),
)
