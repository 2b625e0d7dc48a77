"""Exercise 3: the gradient of the soft term in closed form, its slope against T, and its limit."""

import math

import torch

from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_normal
from course_lib.checks.engine.mistakes import Mistakes

wrong = Mistakes()


def _pair(seed, purpose, *shape, scale=2.0):
    g = make_generator(seed, purpose)
    return {
        "student_logits": random_normal(g, *shape, scale=scale, dtype=torch.float64),
        "teacher_logits": random_normal(g, *shape, scale=scale, dtype=torch.float64),
    }


_BY_AUTOGRAD = "Take z and v from above, write the soft term down, and compare with what autograd says."
_FAR_OUT = "At T = 1000 the slope is very nearly −2. What is yours?"
_HOT = "Compare with your gradient at T = 1000."


def _observe_closed_form(recorder, answers, seed):
    for purpose, (shape, T) in enumerate([((4, 5), 1.0), ((3, 3), 2.0), ((2, 6), 5.0), ((4, 4), 0.5)]):
        inputs = {**_pair(seed, purpose, *shape), "T": T}
        recorder.call(f"the gradient at T = {T:g}", answers["soft_term_gradient"], inputs, hint=_BY_AUTOGRAD)


def _observe_slope(recorder, answers, seed):
    for purpose, T in enumerate([1.0, 4.0, 30.0]):
        inputs = _pair(seed, 10 + purpose, 8, 5)
        # Rows of very different size: a mean of lengths is then not the length of all rows together.
        inputs["student_logits"] = inputs["student_logits"] * torch.logspace(-2, 1, 8, dtype=torch.float64)[:, None]
        inputs["T"] = T
        recorder.call(f"the slope at T = {T:g}", answers["gradient_slope"], inputs, rtol=0, atol=0.01, hint=_FAR_OUT)


def _observe_limit(recorder, answers, seed):
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


# The slope once more, without autograd: what mistakes are edits of.


def slope_by_differences(student_logits, teacher_logits, T):
    def size(T):
        p, q = torch.softmax(teacher_logits / T, -1), torch.softmax(student_logits / T, -1)
        return ((q - p) / T).norm(dim=-1).mean()

    return ((size(T * 1.001) / size(T / 1.001)).log() / (2 * math.log(1.001))).item()


in_closed_form = wrong.edit(soft_term_gradient, "closed form")
in_closed_form(
    "teacher and student the wrong way round",
    "Take a class to which the teacher gives more than the student does. In which direction should a step move its logit, "
    "and what sign does the gradient have then?",
    {"T * (": "-T * ("},
)
in_closed_form(
    "the chain rule is missing its 1/T",
    "T² stands in front of the divergence. But the softmax sees z / T: what does that bring when you differentiate by z?",
    {"T * (": "T**2 * ("},
)
in_closed_form(
    "the factor T² is left out",
    "This is the gradient of the divergence alone. The soft term has a factor in front of it.",
    {"T * (": "(", "-1))": "-1)) / T"},
)
in_closed_form(
    "no power of T at all",
    "The powers of T do not all cancel. Count them once more: those you put in, and those that the softmax gives back.",
    {"T * (": "("},
)
in_closed_form(
    "the probabilities are taken at T = 1",
    "Both distributions in the soft term are softened.",
    {"student_logits / T": "student_logits", "teacher_logits / T": "teacher_logits"},
)


@wrong("soft_term_gradient", "closed form", "the arguments of KL swapped")
def reverse(student_logits, teacher_logits, T):
    """This is the gradient of another divergence: which of the two distributions weights the logarithms?"""
    z = student_logits.detach().clone().requires_grad_()
    log_q, log_p = torch.log_softmax(z / T, -1), torch.log_softmax(teacher_logits / T, -1)
    return torch.autograd.grad(T**2 * (log_q.exp() * (log_q - log_p)).sum(), z)[0]


in_closed_form(
    "divided by the number of rows",
    "Every row is an example with a soft term of its own. What does the text say of the mean?",
    {"-1))": "-1)) / len(student_logits)"},
)

in_slope = wrong.edit(slope_by_differences, "slope", answer="gradient_slope")
in_slope(
    "the factor T² is still in",
    "The text asks for the slope of the gradient without the factor. Far to the right it should come near −2.",
    {"((q - p) / T)": "(T * (q - p))"},
)
in_slope(
    "the opposite sign",
    "Does the gradient grow or shrink when T grows? What sign does the slope of a falling curve have?",
    {"size(T * 1.001) / size(T / 1.001)": "size(T / 1.001) / size(T * 1.001)"},
)
in_slope(
    "one factor T too many", "What is left of the gradient when the factor T² is taken away?", {"((q - p) / T)": "(q - p)"}
)
in_slope(
    "a derivative without logarithms",
    "On logarithmic axes both directions count in ratios.",
    {"(size(T * 1.001) / size(T / 1.001)).log() / (2 * math.log(1.001))": "(size(T + 1e-4) - size(T - 1e-4)) / 2e-4"},
)
in_slope(
    "only one axis is logarithmic",
    "The size is in logarithms, T is not yet. By how much does log T change?",
    {"(size(T * 1.001) / size(T / 1.001)).log() / (2 * math.log(1.001))": "(size(T + 1e-4) / size(T - 1e-4)).log() / 2e-4"},
)
in_slope(
    "the step in T is too long",
    "From T to 2 T the slope itself changes. Make the step much smaller.",
    {"(size(T * 1.001) / size(T / 1.001)).log() / (2 * math.log(1.001))": "(size(2 * T) / size(T)).log() / math.log(2)"},
)
in_slope(
    "one length for the whole batch",
    "Each row has a gradient, and each gradient a length. What is averaged?",
    {".norm(dim=-1).mean()": ".norm()"},
)

in_limit = wrong.edit(gradient_limit, "limit")
in_limit(
    "one mean for the whole batch",
    "The classes of one example share a softmax; the examples don't. Over what is the mean?",
    {"mean(-1, keepdim=True)": "mean()"},
)
in_limit(
    "neither centred nor divided by the number of classes",
    "At a high temperature a softmax is 1/N and a little more or less. Where does N go, and what becomes of the mean logit?",
    {"(apart - apart.mean(-1, keepdim=True)) / apart.shape[-1]": "apart"},
)
in_limit(
    "the logits are not centred",
    "A number added to all logits of a row changes no softmax, so it can't change the gradient. What does it do to yours?",
    {"(apart - apart.mean(-1, keepdim=True))": "apart"},
)
in_limit(
    "the number of classes is missing",
    "At a high temperature every class has the probability 1/N. Where does that N go?",
    {" / apart.shape[-1]": ""},
)
in_limit(
    "the opposite sign",
    "Compare with your gradient at T = 1000.",
    {"student_logits - teacher_logits": "teacher_logits - student_logits"},
)
in_limit(
    "centred over the examples instead of the classes",
    "What do the entries of one row add up to?",
    {"mean(-1, keepdim=True)": "mean(0)"},
)


exercise = Exercise(
    number=3,
    name="gradient",
    title="the gradient of the soft term",
    minutes=25,
    parts=(
        Part("closed form", "The gradient in closed form", 2, ("soft_term_gradient",), _observe_closed_form),
        Part("slope", "Its slope against T", 2, ("gradient_slope",), _observe_slope),
        Part("limit", "Its limit", 2, ("gradient_limit",), _observe_limit),
    ),
    right={
        "soft_term_gradient": soft_term_gradient,
        "gradient_slope": gradient_slope,
        "gradient_limit": gradient_limit,
    },
    mistakes=tuple(wrong),
    library=("course_lib.soft_gradients", "course_lib.losses", "course_lib.checks"),
    asks="the gradient of the soft term, its slope against T, its limit",
    goes_with="03",
)
