"""Exercise 3: the gradient of the soft term in closed form, its slope against T, and its limit."""

import math

import torch

from course_lib.checks.engine.core import Exercise, Mistakes, Part
from course_lib.checks.engine.inputs import bell, generator

wrong = Mistakes()


def _pair(seed, purpose, *shape, scale=2.0):
    g = generator(seed, purpose)
    return {
        "student_logits": bell(g, *shape, scale=scale, dtype=torch.float64),
        "teacher_logits": bell(g, *shape, scale=scale, dtype=torch.float64),
    }


_BY_AUTOGRAD = "Take z and v from above, write the soft term down, and compare with what autograd says."
_FAR_OUT = "At T = 1000 the slope is very nearly −2. What is yours?"
_HOT = "Compare with your gradient at T = 1000."


def _closed_form(recorder, answers, seed):
    for purpose, (shape, T) in enumerate([((4, 5), 1.0), ((3, 3), 2.0), ((2, 6), 5.0), ((4, 4), 0.5)]):
        inputs = {**_pair(seed, purpose, *shape), "T": T}
        recorder.call(f"the gradient at T = {T:g}", answers["soft_term_gradient"], inputs, hint=_BY_AUTOGRAD)


def _slope(recorder, answers, seed):
    for purpose, T in enumerate([1.0, 4.0, 30.0]):
        inputs = _pair(seed, 10 + purpose, 8, 5)
        # Rows of very different size: a mean of lengths is then not the length of all rows together.
        inputs["student_logits"] = inputs["student_logits"] * torch.logspace(-2, 1, 8, dtype=torch.float64)[:, None]
        inputs["T"] = T
        recorder.call(f"the slope at T = {T:g}", answers["gradient_slope"], inputs, rtol=0, atol=0.01, hint=_FAR_OUT)


def _limit(recorder, answers, seed):
    for purpose, (shape, shift) in enumerate([((4, 3), 0.0), ((3, 6), 2.0)]):
        inputs = _pair(seed, 20 + purpose, *shape)
        inputs["teacher_logits"] = inputs["teacher_logits"] + shift
        recorder.call(f"the limit for {shape[1]} classes", answers["gradient_limit"], inputs, hint=_HOT)


def soft_term_gradient(student_logits, teacher_logits, T):
    return T * (torch.softmax(student_logits / T, -1) - torch.softmax(teacher_logits / T, -1))


def gradient_slope(student_logits, teacher_logits, T):
    z, v = student_logits.double(), teacher_logits.double()
    log_T = torch.tensor(T, dtype=torch.float64).log().requires_grad_()
    T = log_T.exp()
    size = ((torch.softmax(z / T, -1) - torch.softmax(v / T, -1)) / T).norm(dim=-1).mean()
    return torch.autograd.grad(size.log(), log_T)[0]


def gradient_limit(student_logits, teacher_logits):
    apart = student_logits - teacher_logits
    return (apart - apart.mean(-1, keepdim=True)) / apart.shape[-1]


@wrong("soft_term_gradient", "closed form", "teacher and student the wrong way round")
def opposite(student_logits, teacher_logits, T):
    """Take a class to which the teacher gives more than the student does. In which direction should a step move its
    logit, and what sign does the gradient have then?"""
    return T * (torch.softmax(teacher_logits / T, -1) - torch.softmax(student_logits / T, -1))


@wrong("soft_term_gradient", "closed form", "the chain rule is missing its 1/T")
def no_chain_rule(student_logits, teacher_logits, T):
    """T² stands in front of the divergence. But the softmax sees z / T: what does that bring when you differentiate
    by z?"""
    return T**2 * (torch.softmax(student_logits / T, -1) - torch.softmax(teacher_logits / T, -1))


@wrong("soft_term_gradient", "closed form", "the factor T² is left out")
def no_square(student_logits, teacher_logits, T):
    """This is the gradient of the divergence alone. The soft term has a factor in front of it."""
    return (torch.softmax(student_logits / T, -1) - torch.softmax(teacher_logits / T, -1)) / T


@wrong("soft_term_gradient", "closed form", "no power of T at all")
def no_power(student_logits, teacher_logits, T):
    """The powers of T do not all cancel. Count them once more: those you put in, and those that the softmax gives
    back."""
    return torch.softmax(student_logits / T, -1) - torch.softmax(teacher_logits / T, -1)


@wrong("soft_term_gradient", "closed form", "the probabilities are taken at T = 1")
def cold(student_logits, teacher_logits, T):
    """Both distributions in the soft term are softened."""
    return T * (torch.softmax(student_logits, -1) - torch.softmax(teacher_logits, -1))


@wrong("soft_term_gradient", "closed form", "the arguments of KL swapped")
def reverse(student_logits, teacher_logits, T):
    """This is the gradient of another divergence: which of the two distributions weighs the logarithms?"""
    z = student_logits.detach().clone().requires_grad_()
    log_q, log_p = torch.log_softmax(z / T, -1), torch.log_softmax(teacher_logits / T, -1)
    return torch.autograd.grad(T**2 * (log_q.exp() * (log_q - log_p)).sum(), z)[0]


@wrong("soft_term_gradient", "closed form", "divided by the number of rows")
def averaged(student_logits, teacher_logits, T):
    """Every row is an example with a soft term of its own. What does the text say of the mean?"""
    return T * (torch.softmax(student_logits / T, -1) - torch.softmax(teacher_logits / T, -1)) / len(student_logits)


@wrong("gradient_slope", "slope", "the factor T² is still in")
def with_square(student_logits, teacher_logits, T):
    """The text asks for the slope of the gradient without the factor. Far to the right it should come near −2."""

    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return (T * (q - p)).norm(dim=-1).mean()

    return ((size(T * 1.001) / size(T / 1.001)).log() / (2 * math.log(1.001))).item()


@wrong("gradient_slope", "slope", "the opposite sign")
def slope_opposite(student_logits, teacher_logits, T):
    """Does the gradient grow or shrink when T grows? What sign does the slope of a falling curve have?"""

    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return ((q - p) / T).norm(dim=-1).mean()

    return ((size(T / 1.001) / size(T * 1.001)).log() / (2 * math.log(1.001))).item()


@wrong("gradient_slope", "slope", "one factor T too many")
def one_too_many(student_logits, teacher_logits, T):
    """What is left of the gradient when the factor T² is taken away?"""

    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return (q - p).norm(dim=-1).mean()

    return ((size(T * 1.001) / size(T / 1.001)).log() / (2 * math.log(1.001))).item()


@wrong("gradient_slope", "slope", "a derivative without logarithms")
def plain_derivative(student_logits, teacher_logits, T):
    """On logarithmic axes both directions count in ratios."""

    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return ((q - p) / T).norm(dim=-1).mean()

    return ((size(T + 1e-4) - size(T - 1e-4)) / 2e-4).item()


@wrong("gradient_slope", "slope", "only one axis is logarithmic")
def half_logarithmic(student_logits, teacher_logits, T):
    """The size is in logarithms, T is not yet. By how much does log T change?"""

    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return ((q - p) / T).norm(dim=-1).mean()

    return ((size(T + 1e-4) / size(T - 1e-4)).log() / 2e-4).item()


@wrong("gradient_slope", "slope", "the step in T is too long")
def long_step(student_logits, teacher_logits, T):
    """From T to 2 T the slope itself changes. Make the step much smaller."""

    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return ((q - p) / T).norm(dim=-1).mean()

    return ((size(2 * T) / size(T)).log() / math.log(2)).item()


@wrong("gradient_slope", "slope", "one length for the whole batch")
def one_length(student_logits, teacher_logits, T):
    """Each row has a gradient, and each gradient a length. What is averaged?"""

    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return ((q - p) / T).norm()

    return ((size(T * 1.001) / size(T / 1.001)).log() / (2 * math.log(1.001))).item()


@wrong("gradient_limit", "limit", "one mean for the whole batch")
def one_mean(student_logits, teacher_logits):
    """The classes of one example share a softmax; the examples don't. Over what is the mean?"""
    apart = student_logits - teacher_logits
    return (apart - apart.mean()) / apart.shape[-1]


@wrong("gradient_limit", "limit", "neither centred nor divided by the number of classes")
def plain_difference(student_logits, teacher_logits):
    """At a high temperature a softmax is 1/N and a little more or less. Where does N go, and what becomes of the mean logit?"""
    return student_logits - teacher_logits


@wrong("gradient_limit", "limit", "the logits are not centred")
def not_centred(student_logits, teacher_logits):
    """A number added to all logits of a row changes no softmax, so it can't change the gradient. What does it do to
    yours?"""
    return (student_logits - teacher_logits) / student_logits.shape[-1]


@wrong("gradient_limit", "limit", "the number of classes is missing")
def no_classes(student_logits, teacher_logits):
    """At a high temperature every class has the probability 1/N. Where does that N go?"""
    apart = student_logits - teacher_logits
    return apart - apart.mean(-1, keepdim=True)


@wrong("gradient_limit", "limit", "the opposite sign")
def limit_opposite(student_logits, teacher_logits):
    """Compare with your gradient at T = 1000."""
    apart = teacher_logits - student_logits
    return (apart - apart.mean(-1, keepdim=True)) / apart.shape[-1]


@wrong("gradient_limit", "limit", "centred over the examples instead of the classes")
def wrong_mean(student_logits, teacher_logits):
    """What do the entries of one row add up to?"""
    apart = student_logits - teacher_logits
    return (apart - apart.mean(0)) / apart.shape[-1]


exercise = Exercise(
    number=3,
    name="gradient",
    title="the gradient of the soft term",
    minutes=25,
    parts=(
        Part("closed form", "The gradient in closed form", 2, ("soft_term_gradient",), _closed_form),
        Part("slope", "Its slope against T", 2, ("gradient_slope",), _slope),
        Part("limit", "Its limit", 2, ("gradient_limit",), _limit),
    ),
    right={
        "soft_term_gradient": soft_term_gradient,
        "gradient_slope": gradient_slope,
        "gradient_limit": gradient_limit,
    },
    mistakes=tuple(wrong),
    library=("course_lib.soft_gradients", "course_lib.losses", "course_lib.checks"),
)
