"""Exercise 10: the acceptance rule of speculative decoding: which drafts stand, and what replaces the first that does not."""

import itertools

import torch
from torch import Tensor

from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import make_generator, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes
from course_lib.checks.engine.observing import Unusable

wrong = Mistakes()

_CHANCE = "Take p = (0.5, 0.5) and q = (0.9, 0.1): how often does a draft of the first symbol stand, how often the second?"
_REST = "Add up what stands and what is put in the place of the rest: symbol by symbol it must give p."
_ROUND = "Go through the drafts one by one. At the first whose random number is not below its chance, the round ends."


def _rows(seed, purpose, *shape):
    """Probabilities, float64, of the shape, all above 0."""
    return torch.softmax(random_normal(make_generator(seed, purpose), *shape, scale=1.2, dtype=torch.float64), -1)


def _with_zeros(seed, purpose, impossible):
    """One row of five probabilities in quarters and halves; `impossible` are 0."""
    weights = random_integers(make_generator(seed, purpose), 1, 4, 5).double()
    weights[list(impossible)] = 0
    return weights / weights.sum()


def _observe_chance(recorder, answers, seed):
    for purpose, shape in enumerate([(4,), (3, 5), (2, 3, 4)]):
        inputs = {"p": _rows(seed, purpose, *shape), "q": _rows(seed, 10 + purpose, *shape)}
        recorder.call(f"the chances for rows of shape {shape}", answers["chance_to_stand"], inputs, hint=_CHANCE)
    inputs = {"p": _with_zeros(seed, 20, {0, 1}), "q": _with_zeros(seed, 21, {1, 2})}
    recorder.call("the chances where p or q or both are 0", answers["chance_to_stand"], inputs)


def _observe_replacement(recorder, answers, seed):
    for purpose, shape in enumerate([(4,), (3, 5), (2, 3, 4)]):
        inputs = {"p": _rows(seed, 30 + purpose, *shape), "q": _rows(seed, 40 + purpose, *shape)}
        recorder.call(f"the replacement for rows of shape {shape}", answers["replacement"], inputs, hint=_REST)
    p = _rows(seed, 50, 2, 5)
    q = torch.stack([p[0], _rows(seed, 51, 5)])
    recorder.call("the replacement where one of two rows has p = q", answers["replacement"], {"p": p, "q": q})


def _observe_round(recorder, answers, seed):
    for purpose, (symbols, drafts) in enumerate([(3, 2), (4, 1), (2, 4)]):
        p, q = _rows(seed, 60 + purpose, drafts + 1, symbols), _rows(seed, 70 + purpose, drafts, symbols)
        texts = torch.tensor(list(itertools.product(range(symbols), repeat=drafts)))
        numbers = random_integers(make_generator(seed, 80 + purpose), 0, 999, len(texts), drafts) / 1000.0
        label = f"rounds of {drafts} draft{'s' * (drafts > 1)} out of {symbols} symbols, all {len(texts)} that there are"
        recorder.during = label
        found = [_read(answers["check_drafts"](p.clone(), q.clone(), *each)) for each in zip(texts, numbers, strict=True)]
        recorder.value(f"how many drafts stand in {label}", [count for count, _ in found], hint=_ROUND)
        recorder.value(f"what the next symbol is drawn from in {label}", _stack([row for _, row in found]), hint=_ROUND)
    inputs = {
        "p": _rows(seed, 90, 4, 3),
        "q": _rows(seed, 91, 3, 3),
        "drafted": torch.tensor([0, 2, 1]),
        "numbers": torch.zeros(3),
    }
    recorder.call("a round in which all drafts stand", lambda *given: _read(answers["check_drafts"](*given)), inputs)

    rows = torch.tensor([[0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [0.5, 0.25, 0.25]], dtype=torch.float64)
    inputs = {"p": rows[:2].clone(), "q": rows[2:].clone(), "drafted": torch.tensor([0]), "numbers": torch.zeros(1)}
    label = "a draft that the teacher never writes, with the random number 0"
    recorder.call(label, lambda *given: _read(answers["check_drafts"](*given)), inputs)


def _read(result) -> tuple[int, Tensor]:
    if not isinstance(result, (tuple, list)) or len(result) != 2 or not isinstance(result[1], Tensor):
        raise Unusable("`check_drafts` should return two things: how many drafts stand, and a tensor of probabilities.")
    try:
        return int(result[0]), result[1].detach().double()
    except (TypeError, ValueError, RuntimeError):
        raise Unusable(f"How many drafts stand should be a whole number; it is {type(result[0]).__name__}.") from None


def _stack(rows: list[Tensor]) -> Tensor:
    if len({row.shape for row in rows}) > 1:
        raise Unusable("The probabilities that `check_drafts` returns should have one shape, (V,), in every round.")
    return torch.stack(rows)


def chance_to_stand(p, q):
    return torch.where(q > 0, p / q, 1.0).clamp(max=1)


def replacement(p, q):
    missing = (p - q).clamp(min=0)
    total = missing.sum(-1, keepdim=True)
    return torch.where(total > 0, missing / total, p)


def check_drafts(p, q, drafted, numbers):
    for i, symbol in enumerate(drafted.tolist()):
        chance = min(1.0, (p[i, symbol] / q[i, symbol]).item())
        if numbers[i] >= chance:
            missing = (p[i] - q[i]).clamp(min=0)
            return i, missing / missing.sum()
    return len(drafted), p[len(drafted)]


in_chance = wrong.edit(chance_to_stand, "chance")
in_chance(
    "the ratio upside down",
    "A symbol that the teacher likes better than the student must always stand. Which of the two belongs on top?",
    {"q > 0, p / q": "p > 0, q / p"},
)
in_chance("a chance above 1", "A chance lies between 0 and 1. What is it where p is larger than q?", {".clamp(max=1)": ""})
in_chance(
    "zero divided by zero",
    "What stands in a chance where both p and q are 0? A NaN in there is true and false of nothing.",
    {"torch.where(q > 0, p / q, 1.0)": "(p / q)"},
)


@wrong("chance_to_stand", "chance", "the teacher's probability alone")
def teacher_alone(p, q):
    """A draft of a symbol that comes as often as the teacher wants always stands. How does q enter?"""
    return p + 0 * q


@wrong("chance_to_stand", "chance", "a threshold, not a chance")
def threshold(p, q):
    """Where q gives too much of a symbol, some of its drafts still have to stand: how large a part of them?"""
    return (p >= q).to(p.dtype)


@wrong("chance_to_stand", "chance", "one number for the whole row")
def one_for_all(p, q):
    """How often any draft stands is a mean over drafts. Here each symbol has a chance of its own."""
    return torch.minimum(p, q).sum(-1)


in_replacement = wrong.edit(replacement, "replacement")
in_replacement(
    "drawn from the teacher's p",
    "Drafts that stand have already given most symbols their due. Which are still missing, and by how much?",
    {"(p - q).clamp(min=0)": "p"},
)
in_replacement(
    "drawn from the student's q",
    "What was refused came from q, and there was too much of it. What is there too little of?",
    {"(p - q).clamp(min=0)": "q"},
)
in_replacement(
    "what q has too much of",
    "A symbol that is drafted too often would come more often still. In which direction is the difference needed?",
    {"(p - q)": "(q - p)"},
)
in_replacement(
    "the absolute difference",
    "Symbols of which there is too much should not come at all. What becomes of a negative difference?",
    {".clamp(min=0)": ".abs()"},
)
in_replacement("it does not add up to 1", "What must the probabilities of a row add up to?", {"missing / total": "missing"})
in_replacement(
    "one sum for the whole tensor", "Each row is a distribution of its own. Add one up.", {".sum(-1, keepdim=True)": ".sum()"}
)
in_replacement(
    "zero divided by zero",
    "Where p and q are equal nothing is missing, and the sum is 0. Nothing is refused there either: what was asked for then?",
    {"torch.where(total > 0, missing / total, p)": "missing / total"},
)

in_round = wrong.edit(check_drafts, "round")
in_round(
    "the random number is compared the wrong way",
    "A chance of 0.9 means nine of ten stand. For which of the numbers from 0 to 1 is that so?",
    {"numbers[i] >= chance": "numbers[i] < chance"},
)
in_round(
    "the impossible may stand",
    "Random numbers can be 0, and so can a chance. A draft stands if its number is below its chance: what if they are equal?",
    {"numbers[i] >= chance": "numbers[i] > chance"},
)
in_round(
    "replaced from the teacher's p",
    "After a refusal the next symbol comes from what is missing. You have written that down above.",
    {"return i, missing / missing.sum()": "return i, p[i]"},
)
in_round(
    "the replacement of another position",
    "The symbol that is refused is replaced: what do both models say at its own position?",
    {"(p[i] - q[i])": "(p[i + 1] - q[i])"},
)
in_round(
    "the refused draft is counted",
    "When the first draft is refused, how many stand?",
    {"return i, missing": "return i + 1, missing"},
)
in_round(
    "no symbol for free",
    "If all k drafts stand, the teacher has said one row more than there are drafts. Which one is it?",
    {"p[len(drafted)]": "p[len(drafted) - 1]"},
)
in_round(
    "the ratio upside down",
    "A draft that the teacher likes better than the student always stands. Which of the two belongs on top?",
    {"p[i, symbol] / q[i, symbol]": "q[i, symbol] / p[i, symbol]"},
)


@wrong("check_drafts", "round", "it goes on behind a refused draft")
def goes_on(p, q, drafted, numbers):
    """Drafts behind a refused one were made for a text that is no longer there. Where does counting have to end?"""
    steps = torch.arange(len(drafted))
    stands = numbers < (p[steps, drafted] / q[steps, drafted]).clamp(max=1)
    if stands.all():
        return len(drafted), p[-1]
    first = int((~stands).nonzero()[0])
    missing = (p[first] - q[first]).clamp(min=0)
    return int(stands.sum()), missing / missing.sum()


exercise = Exercise(
    number=10,
    name="speculative_decoding",
    title="speculative decoding",
    minutes=20,
    parts=(
        Part("chance", "How likely a draft is to stand", 2, ("chance_to_stand",), _observe_chance, "chance to stand"),
        Part("replacement", "What replaces a refused draft", 2, ("replacement",), _observe_replacement),
        Part("round", "A whole round", 3, ("check_drafts",), _observe_round),
    ),
    right={"chance_to_stand": chance_to_stand, "replacement": replacement, "check_drafts": check_drafts},
    mistakes=tuple(wrong),
    library=("course_lib.language", "course_lib.checks"),
    asks="which drafts of a student stand, and what replaces the first that does not",
    goes_with="09",
)
