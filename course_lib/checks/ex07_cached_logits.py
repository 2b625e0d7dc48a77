"""Exercise 7: teacher logits that are computed once and survive shuffling; a model for a latency budget."""

import torch
from torch import nn

from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.inputs import flatten_state, make_generator, make_network, random_integers, random_normal
from course_lib.checks.engine.mistakes import Mistakes
from course_lib.checks.engine.observing import Unusable

wrong = Mistakes()


def _observe_cache(recorder, answers, seed):
    g = make_generator(seed)
    teacher = nn.Sequential(make_network(g, 2, 8, 3, scale=2), nn.Dropout(0.4)).train()
    inputs, sizes = random_normal(g, 23, 2), []
    teacher[0][0].register_forward_pre_hook(
        lambda module, arguments: sizes.append(len(arguments[0]))
    )  # forward() comes by, too
    recorder.during = "the logits of 23 examples in batches of 8"
    logits = answers["cache_logits"](teacher, inputs, 8)
    recorder.value(recorder.during, logits, rtol=1e-3, atol=1e-4)
    recorder.value("how many examples the teacher was given at a time", list(sizes), verdict=_at_most(8, 23))
    attached = isinstance(logits, torch.Tensor) and logits.requires_grad
    recorder.value("whether the logits hold on to a graph", int(attached), verdict=_no_graph)
    recorder.value(
        "the teacher's weights and statistics",
        flatten_state(teacher),
        brief=True,
        rtol=0,
        atol=0,
        hint="In which mode do statistics move?",
    )
    recorder.unchanged("inputs", inputs)
    inputs = random_normal(g, 17, 2)
    recorder.during = "the logits of 17 examples in batches of 5"
    sizes.clear()
    recorder.value(recorder.during, answers["cache_logits"](teacher, inputs, 5), rtol=1e-3, atol=1e-4)
    recorder.value("how many of 17 examples the teacher was given at a time", list(sizes), verdict=_at_most(5, 17))


def _at_most(batch_size, n):
    def verdict(found):
        given = [int(entry.values[0]) for entry in found.items]
        if max(given, default=0) > batch_size:
            return f"The teacher was given {max(given)} examples at once, though batch_size was {batch_size}."
        if max(given, default=0) < batch_size:
            return f"The teacher never was given {batch_size} examples at once, though batch_size was {batch_size}."
        return (
            None if sum(given) == n else f"The teacher was given {sum(given)} examples in all; there are {n}, each asked once."
        )

    return verdict


def _no_graph(found):
    if found.values[0] == 0:
        return None
    return "The cached logits still hold the graph that they came from: every activation of the teacher stays in memory."


def _observe_shuffle(recorder, answers, seed):
    n, batch_size = 29, 8
    numbers = torch.arange(n)
    columns = {
        "inputs": torch.stack([numbers, -numbers], 1).float(),
        "labels": numbers.clone(),
        "teacher_logits": torch.stack([numbers + 0.5, random_normal(make_generator(seed), n)], 1),
    }
    runs, (a, b) = [], random_integers(make_generator(seed, 1), 0, 10**6, 2).tolist()
    a += a % n == 0  # an order that is turned by n places is the old one
    for number, order_seed in enumerate((a, b + 10**6 + 1, a)):  # numbers of their own: nobody is to see `seed`
        recorder.during = f"the batches of {n} examples, 8 in each, for seed {'aba'[number]}"
        batches = list(_limited(answers["shuffled_batches"](*columns.values(), batch_size, order_seed)))
        if number == 0:
            recorder.value("the sizes of the batches", [_size(batch) for batch in batches], verdict=_sizes(29, 8))
        runs.append(torch.stack([torch.cat([_ids(batch, which) for batch in batches]) for which in range(3)]))
    recorder.value("which input, label and logits stand together, for seeds a, b, a", torch.stack(runs), verdict=_together(n))
    for name, column in columns.items():
        recorder.unchanged(name, column)
    recorder.during = "the batches of 16 examples, 5 in each"
    batches = list(_limited(answers["shuffled_batches"](*(column[:16] for column in columns.values()), 5, b)))
    recorder.value("the sizes of the batches of 16 examples", [_size(batch) for batch in batches], verdict=_sizes(16, 5))


def _limited(batches):
    try:
        batches = iter(batches)
    except TypeError:
        raise Unusable(
            f"`shuffled_batches` should give batches one after the other; it returned {type(batches).__name__}."
        ) from None
    for _ in range(50):
        try:
            batch = next(batches)
        except StopIteration:
            return
        if not isinstance(batch, (tuple, list)) or len(batch) != 3 or not all(isinstance(x, torch.Tensor) for x in batch):
            raise Unusable("Each batch should be three tensors: (inputs, labels, teacher_logits).")
        if [x.dim() for x in batch] != [2, 1, 2]:
            raise Unusable("In each batch the tensors should have shapes (b, …), (b,) and (b, num_classes), b examples each.")
        yield batch


def _size(batch):
    sizes = {len(column) for column in batch}
    if len(sizes) != 1:
        raise Unusable("The three tensors of a batch should have as many rows each.")
    return sizes.pop()


def _ids(batch, which):
    _size(batch)
    column = batch[which].detach().double()
    return (column[:, 0] - column[:, 1]) / 2 if which == 0 else column if which == 1 else column[:, 0] - 0.5


def _sizes(n, batch_size):
    full, rest = divmod(n, batch_size)
    words = f"{n} examples in batches of {batch_size} should make {full} batches of {batch_size} and one of {rest}."

    def verdict(found):
        sizes = sorted((int(entry.values[0]) for entry in found.items), reverse=True)
        if sizes == [batch_size] * full + [rest]:
            return None
        return f"{words} The last one is missing." if sizes == [batch_size] * full else words

    return verdict


def _together(n):
    def verdict(found):
        runs = found.tensor()
        first, second, again = (run[0] for run in runs)
        if any(sorted(run[0].tolist()) != list(range(n)) for run in runs):
            return "Some examples come more than once in an epoch, or not at all."
        if (runs[:, 1] != runs[:, 0]).any():
            return "The labels do not belong to their inputs."
        if (runs[:, 2] != runs[:, 0]).any():
            return "The teacher's logits do not belong to their inputs."
        if first.tolist() == sorted(first.tolist()):
            return "The examples come in their old order: nothing is shuffled."
        steps = (first.diff().abs() % (n - 2)).tolist()  # 1 between neighbours, and where a turned order starts again
        if steps.count(1) == n - 1:
            return "Every example comes next to the one that it came next to before: the order was only turned."
        if steps.count(1) > n // 2:
            return "Most examples come next to the one that they came next to before: groups were moved, not examples."
        if first.tolist() != again.tolist():
            return "The same seed gives a different order the second time."
        if first.tolist() == second.tolist():
            return "Every seed gives the same order."
        return None

    return verdict


def _observe_choice(recorder, answers, seed):
    g = make_generator(seed, 2)
    for number, (what, ranks, slow_first_call, lucky_call) in enumerate(_BUDGETS):
        # Typical times of a fast, a middle and a slow model, in whole ms; each is the middle of several calls.
        fast, middle, slow = torch.tensor([6, 14, 30]) + random_integers(g, 0, 4, 3)
        budget = {"before slow": middle + 2, "as middle takes": middle, "below all": fast - 2, "above all": slow + 9}[
            what
        ].item()
        levels = sorted((random_integers(g, 0, 9, 3) + torch.tensor([60, 75, 90])).tolist())
        calls = [
            _calls(fast, more=number % 2),
            _calls(middle, first=middle + slow_first_call if slow_first_call else None),
            _calls(slow, last=1 if lucky_call else None, more=number % 2),
        ]
        names = [f"model {'ABC'[k]}" for k in torch.randperm(3, generator=g).tolist()]
        candidates = [(name, levels[rank] / 100, times) for name, rank, times in zip(names, ranks, calls, strict=True)]
        candidates = [candidates[k] for k in torch.randperm(3, generator=g).tolist()]
        inputs = {"candidates": candidates, "budget_ms": float(budget)}
        recorder.call(f"case {number + 1}, {_CASES[what]}", answers["choose_model"], inputs)


_CASES = {
    "before slow": "a budget that not every model keeps",
    "as middle takes": "a budget that one model just keeps",
    "below all": "a budget that no model keeps",
    "above all": "a budget that every model keeps",
}
# Where the budget lies; how accurate the fast, the middle and the slow model are; how many ms more the first
# call of the middle one takes, whether the slow one has a lucky one.
_BUDGETS = [
    ("before slow", (0, 1, 2), 300, True),
    ("before slow", (0, 1, 2), 3, False),
    ("as middle takes", (0, 1, 2), 0, False),
    ("below all", (0, 1, 2), 0, True),
    ("above all", (1, 2, 0), 0, False),
    ("before slow", (2, 0, 1), 0, False),
]


def _calls(typical, first=None, last=None, more=0):
    times = [typical, typical - 1, typical + 1, typical + 1, typical - 1]
    times = [first or times[0], typical if first else times[1], *times[2:4], last or times[4]]
    return [float(time) for time in [*times, *[typical] * 2 * more]]


def cache_logits(teacher, inputs, batch_size):
    teacher.eval()
    with torch.no_grad():
        return torch.cat([teacher(part) for part in inputs.split(batch_size)])


def shuffled_batches(inputs, labels, teacher_logits, batch_size, seed):
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    for rows in order.split(batch_size):
        yield inputs[rows], labels[rows], teacher_logits[rows]


def choose_model(candidates, budget_ms):
    fast = [(accuracy, name) for name, accuracy, times in candidates if sorted(times)[len(times) // 2] <= budget_ms]
    return max(fast)[1] if fast else None


in_cache = wrong.edit(cache_logits, "cache")
in_cache(
    "the teacher is in train mode", "Call it twice on the same inputs. Should the answers differ?", {"    teacher.eval()\n": ""}
)
in_cache(
    "the graph is kept",
    "Nobody will ever differentiate through the cache.",
    {"    with torch.no_grad():\n        return": "    return"},
)
in_cache(
    "the last, smaller batch is left out",
    "How many full batches of 8 are there in 23, and what remains?",
    {"split(batch_size)": "split(batch_size) if len(part) == batch_size"},
)
in_cache(
    "probabilities instead of logits",
    "From a softmax there is no way back to every temperature. What should be kept?",
    {"[teacher(part)": "[torch.softmax(teacher(part), -1)"},
)
in_cache(
    "all examples at once",
    "With 60,000 pictures the teacher's activations may not fit into memory. What is `batch_size` for?",
    {"torch.cat([teacher(part) for part in inputs.split(batch_size)])": "teacher(inputs)"},
)
in_cache(
    "only one batch",
    "Where does the loop end?",
    {"torch.cat([teacher(part) for part in inputs.split(batch_size)])": "teacher(inputs[:batch_size])"},
)

in_shuffling = wrong.edit(shuffled_batches, "shuffle")
in_shuffling(
    "the cached logits keep their old order",
    "Everything that belongs to an example has to move with it.",
    {
        "rows in order.split(batch_size)": "rows, part in zip(order.split(batch_size), teacher_logits.split(batch_size))",
        "teacher_logits[rows]": "part",
    },
)
in_shuffling(
    "nothing is shuffled",
    "`seed` should decide the order.",
    {"torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))": "torch.arange(len(inputs))"},
)
in_shuffling(
    "the last, smaller batch is left out",
    "What remains of 29 after three batches of 8?",
    {"order.split(batch_size)": "order.split(batch_size)[: len(inputs) // batch_size]"},
)
in_shuffling(
    "the seed is not used",
    "Two runs with one seed should meet the same batches. Where does your order come from?",
    {", generator=torch.Generator().manual_seed(seed)": ""},
)
in_shuffling(
    "the order is only turned",
    "Each example still follows the one that it followed before. Is every order possible?",
    {"torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))": "torch.arange(len(inputs)).roll(seed)"},
)
in_shuffling(
    "only whole batches are shuffled",
    "The same examples meet in a batch in every epoch. What should be mixed: batches, or examples?",
    {
        "order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))": "order = "
        "torch.arange(len(inputs))",
        "order.split(batch_size)": "reversed(order.split(batch_size))",
    },
)
in_shuffling("one order for all seeds", "The next epoch asks with another seed.", {"manual_seed(seed)": "manual_seed(0)"})


@wrong("choose_model", "choice", "the budget is not looked at")
def regardless(candidates, budget_ms):
    """The best model is of no use if it is too slow."""
    return max(candidates, key=lambda candidate: candidate[1])[0]


in_choice = wrong.edit(choose_model, "choice")
in_choice(
    "the mean of the times",
    "One slow first call moves the mean a lot. Which number says what a typical call takes?",
    {"sorted(times)[len(times) // 2]": "sum(times) / len(times)"},
)
in_choice(
    "the mean of the times, and a model that just keeps the budget is left out",
    "Two things at once: a slow first call moves the mean a lot, and exactly 10 ms are within a budget of 10 ms.",
    {"sorted(times)[len(times) // 2] <=": "sum(times) / len(times) <"},
)
in_choice(
    "only the first call counts",
    "The first call is often very slow. What does a typical one take?",
    {"sorted(times)[len(times) // 2]": "times[0]"},
)
in_choice(
    "the slowest model within the budget",
    "A model that takes longer need not be better. What decides among those that are fast enough?",
    {"[(accuracy, name)": "[(sorted(times)[len(times) // 2], name)"},
)
in_choice(
    "the fastest call counts",
    "Every model has a lucky call. What does a typical one take?",
    {"sorted(times)[len(times) // 2]": "min(times)"},
)


@wrong("choose_model", "choice", "the fastest model")
def fastest(candidates, budget_ms):
    """Within the budget nobody asks for more speed. What is asked for?"""
    name, _, times = min(candidates, key=lambda candidate: sorted(candidate[2])[len(candidate[2]) // 2])
    return name if sorted(times)[len(times) // 2] <= budget_ms else None


in_choice("a model that just keeps the budget is left out", "Is exactly 10 ms within a budget of 10 ms?", {"<=": "<"})


exercise = Exercise(
    number=7,
    name="cached_logits",
    title="cached logits and a latency budget",
    minutes=20,
    parts=(
        Part("cache", "The teacher looks at each example once", 2, ("cache_logits",), _observe_cache),
        Part("shuffle", "Logits that survive shuffling", 2, ("shuffled_batches",), _observe_shuffle, "shuffling"),
        Part("choice", "A model for a latency budget", 2, ("choose_model",), _observe_choice, "budget"),
    ),
    right={"cache_logits": cache_logits, "shuffled_batches": shuffled_batches, "choose_model": choose_model},
    mistakes=tuple(wrong),
    library=("course_lib.loops", "course_lib.budget", "course_lib.checks"),
    asks="teacher logits that survive a shuffle; the choice of a model for a latency budget",
    goes_with="05, 07 and 10",
)
