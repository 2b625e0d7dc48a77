"""Exercise 9: the loss of a language model: the causal shift, the end of a name, padding, on the course's own student."""

import torch
import torch.nn.functional as F

from course_lib import losses
from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes
from course_lib.language.transformer import new_language_student, pretrained_language_teacher

wrong = Mistakes()
SYMBOLS = 27


def _rows(seed, purpose, lengths, L):
    """Names of so many letters as rows of symbols (len(lengths), L): 0, letters, 0, and 0 after that."""
    g = make_generator(seed, purpose)
    letters = random_integers(g, 1, SYMBOLS - 1, len(lengths), L)
    position = torch.arange(L)
    return letters.masked_fill((position == 0) | (position > torch.tensor(lengths)[:, None]), 0)


_ONE_ON = "Row by row: what comes after this symbol, and where is nothing left to say?"
_WHICH = "Which row of the logits is compared with which symbol, which rows count, and by how many do you divide?"


def _observe_labels(recorder, answers, seed):
    for purpose, (lengths, L) in enumerate([((3, 1, 6), 8), ((5, 4), 9), ((0, 2, 3), 5)]):
        symbols = _rows(seed, purpose, lengths, L)
        label = f"the labels of names of {', '.join(map(str, lengths))} letters"
        recorder.call(label, answers["next_letters"], {"symbols": symbols}, rtol=0, atol=0, hint=_ONE_ON)


def _observe_loss(recorder, answers, seed):
    settings = [((3, 1, 6), 8, 1.0, 0.0), ((3, 1, 6), 8, 2.0, 1.0), ((5, 4, 2), 9, 3.0, 0.6), ((0, 2, 3), 5, 1.5, 0.3)]
    for purpose, (lengths, L, T, alpha) in enumerate(settings):
        g = make_generator(seed, 20 + purpose)
        z, v = (random_normal(g, len(lengths), L, SYMBOLS, scale=2) for _ in range(2))
        inputs = {"student_logits": z, "teacher_logits": v, "symbols": _rows(seed, 10 + purpose, lengths, L)}
        label = f"the loss of names of {', '.join(map(str, lengths))} letters at T = {T:g}, alpha = {alpha:g}"
        inputs |= {"T": T, "alpha": alpha}
        recorder.call(label, answers["shifted_loss"], inputs, gradient="student_logits", hint=_WHICH)


def _observe_student(recorder, answers, seed):
    student, teacher = new_language_student(seed), pretrained_language_teacher()
    symbols = _rows(seed, 30, (2, 9, 5, 13), 15)
    recorder.during = "the loss of the course's student and teacher on four names"
    # The teacher's forward pass is recorded: the loss is to see to it that no gradient gets there.
    loss = answers["shifted_loss"](student(symbols), teacher(symbols), symbols, 2.0, 0.7)
    recorder.value("the loss of the course's student on four names", loss, hint=_WHICH)
    weights = [student.lm_head.weight, student.embed_tokens.weight, *teacher.parameters()]
    learns = isinstance(loss, torch.Tensor) and loss.dim() == 0 and loss.requires_grad
    found = torch.autograd.grad(loss, weights, allow_unused=True) if learns else [None] * len(weights)
    recorder.value("the gradient of the student's weights", torch.cat(found[:2]) if learns else None, brief=True, rtol=1e-3)
    sizes = [None if gradient is None else gradient.norm() for gradient in found[2:]]  # 150,000 numbers would be too many
    recorder.value("the gradients of the teacher's weights", sizes, verdict=_no_gradients)


def _no_gradients(found):
    if found.kind == "list" and found.items and all(entry.kind == "none" for entry in found.items):
        return None
    return "A gradient reaches the weights of the teacher. Nobody may ask for that."


def next_letters(symbols):
    labels = symbols[:, 1:].clone()
    ends = (labels == 0).long()
    labels[ends.cumsum(1) - ends > 0] = -100
    return labels


def shifted_loss(student_logits, teacher_logits, symbols, T, alpha):
    labels = next_letters(symbols)
    return losses.distillation_loss(student_logits[:, :-1], teacher_logits[:, :-1], labels, T, alpha)


# The same, written out: what mistakes are edits of.


def loss_written_out(student_logits, teacher_logits, symbols, T, alpha):
    before, after = slice(None, -1), slice(1, None)
    ends = (symbols[:, after] == 0).long()
    real = ends.cumsum(1) - ends == 0
    z, v = student_logits[:, before], teacher_logits[:, before].detach()
    log_q, p = F.log_softmax(z / T, -1), F.softmax(v / T, -1)
    soft = T**2 * F.kl_div(log_q, p, reduction="none").sum(-1)[real].mean()
    hard = F.cross_entropy(z[real], symbols[:, after][real])
    return alpha * soft + (1 - alpha) * hard


in_labels = wrong.edit(next_letters, "labels")
in_labels(
    "no shift: the label is the symbol itself",
    "Row t has read symbol t. What would a student learn that is asked for it again?",
    {"symbols[:, 1:].clone()": "symbols[:, :-1].clone()", "(labels == 0)": "(symbols[:, 1:] == 0)"},
)
in_labels(
    "the end of a name counts as padding",
    "0 stands for two things here. A student that never sees the first 0 after a name does not learn to stop.",
    {"ends.cumsum(1) - ends > 0": "labels == 0"},
)
in_labels(
    "padding has labels, too",
    "After its end nothing of a name is left to say. What do short names look like in your labels?",
    {"    labels[ends.cumsum(1) - ends > 0] = -100\n": ""},
)
in_labels(
    "the symbol that begins a name is taken for its end",
    "Every row begins with a 0. Which 0 do you count from?",
    {"ends = (labels == 0).long()": "ends = (symbols == 0).long()", "ends.cumsum(1) - ends > 0": "ends.cumsum(1)[:, :-1] > 0"},
)
in_labels(
    "one symbol of padding is left",
    "Behind the end of a name your first label of padding still counts. Where does the name end?",
    {"ends.cumsum(1) - ends > 0": "ends.cumsum(1) - ends > 1"},
)
in_labels(
    "the labels are shifted twice",
    "Your labels skip a letter. How many symbols lie between what a row has read last and what it is asked for?",
    {"symbols[:, 1:].clone()": "F.pad(symbols[:, 2:], (0, 1))"},
)

in_loss = wrong.edit(loss_written_out, "loss", answer="shifted_loss")
in_loss(
    "no shift: the student is asked for the symbol that it has just read",
    "A student can make this loss 0 by copying. Which row of the logits has not read the label yet?",
    {"symbols[:, after][real]": "symbols[:, before][real]"},
)
in_loss(
    "the shift the wrong way round",
    "Row t of the logits has read symbol t already. Is your label before or after it?",
    {
        "student_logits[:, before], teacher_logits[:, before]": "student_logits[:, after], teacher_logits[:, after]",
        "symbols[:, after][real]": "symbols[:, before][real]",
    },
)
in_loss(
    "the teacher's rows are shifted against the student's",
    "The hard term is right. Which symbols has the teacher read at the row that you compare with the student's?",
    {"teacher_logits[:, before]": "teacher_logits[:, after]"},
)
in_loss(
    "the end of a name counts as padding",
    "0 stands for two things. Who would teach your student to stop?",
    {"ends.cumsum(1) - ends == 0": "ends == 0"},
)
in_loss(
    "padding counts in both terms",
    "Short names are filled up. Are those rows in your mean?",
    {"ends.cumsum(1) - ends == 0": "torch.ones_like(ends).bool()"},
)
in_loss(
    "padding counts in the soft term",
    "The hard term leaves padding out. And the soft one?",
    {"sum(-1)[real].mean()": "sum(-1).mean()"},
)
in_loss(
    "padding is left out of the sum, but counted in the mean",
    "You add up what is real. By how many rows do you divide?",
    {"sum(-1)[real].mean()": "sum(-1)[real].sum() / real.numel()"},
)
in_loss(
    "a mean over names, not over letters",
    "With names twice as long your soft term is twice as large. What is it a mean of?",
    {"sum(-1)[real].mean()": "sum(-1)[real].sum() / len(real)"},
)
in_loss(
    "alpha and 1 − alpha exchanged",
    "alpha weights the teacher's part.",
    {"alpha * soft + (1 - alpha)": "(1 - alpha) * soft + alpha"},
)
in_loss("T² is left out", "At T = 1 you would not notice.", {"T**2 * ": ""})

wrong.edit(loss_written_out, "student", answer="shifted_loss")(
    "the teacher gets a gradient",
    "Whoever calls your loss may have forgotten `no_grad`. What cuts the teacher's logits off from their graph?",
    {".detach()": ""},
)


exercise = Exercise(
    number=9,
    name="shifted_loss",
    title="the loss of a language model",
    minutes=25,
    parts=(
        Part("labels", "What comes next", 2, ("next_letters",), _observe_labels, "labels"),
        Part("loss", "The loss with its shift", 3, ("shifted_loss",), _observe_loss, "shifted loss"),
        Part("student", "On the course's own student", 2, ("shifted_loss",), _observe_student, "real student"),
    ),
    right={"next_letters": next_letters, "shifted_loss": shifted_loss},
    mistakes=tuple(wrong),
    library=("course_lib.losses", "course_lib.objectives", "course_lib.language", "course_lib.checks"),
    asks="the loss of a language model: shifted by one, without padding, with the end of a name",
    goes_with="08",
)
