"""Speculative decoding changes no probability: all outcomes of a round counted, and frequencies on the real models."""

import itertools
import math

import pytest
import torch
from torch import nn

from course_lib.language import (
    accept_drafts,
    encode,
    expected_symbols,
    new_language_student,
    next_letter,
    pretrained_language_teacher,
    speculate,
    speculative,
    surnames,
    symbols_per_call,
    write_names,
)
from course_lib.loops import HardLabels, fit

SYMBOLS, K = 3, 2  # of the small vocabulary; drafts a round


def conditionals(seed):
    """p(next | text) for every text of up to K symbols out of three, each text a tuple."""
    generator = torch.Generator().manual_seed(seed)
    texts = [text for length in range(K + 1) for text in itertools.product(range(SYMBOLS), repeat=length)]
    return {text: (2 * torch.randn(SYMBOLS, generator=generator, dtype=torch.float64)).softmax(-1) for text in texts}


def chance_of(p, text, after=()):
    return math.prod(p[(*after, *text[:i])][symbol].item() for i, symbol in enumerate(text))


def outcomes(p, q):
    """What a round writes, with its probability: every draft, every number of accepted symbols, every symbol added."""
    for drafted in itertools.product(range(SYMBOLS), repeat=K):
        chance = chance_of(q, drafted)
        for i, symbol in enumerate(drafted):
            before = drafted[:i]
            stands = speculative.acceptance_probability(p[before], q[before])[symbol].item()
            for added, share in enumerate(speculative.residual(p[before], q[before]).tolist()):
                yield (*before, added), chance * (1 - stands) * share
            chance *= stands
        for added, share in enumerate(p[drafted].tolist()):
            yield (*drafted, added), chance * share


def largest_error(p, q):
    """Over all texts of K + 1 symbols: what a round and then the teacher alone write, against the teacher alone."""
    written = dict.fromkeys(itertools.product(range(SYMBOLS), repeat=K + 1), 0.0)
    for text, chance in outcomes(p, q):
        for rest in itertools.product(range(SYMBOLS), repeat=K + 1 - len(text)):
            written[text + rest] += chance * chance_of(p, rest, after=text)
    assert sum(written.values()) == pytest.approx(1)
    return max(abs(chance - chance_of(p, text)) for text, chance in written.items())


BROKEN = {
    "everything stands": ("acceptance_probability", lambda p, q: torch.ones_like(p)),
    "a coin decides": ("acceptance_probability", lambda p, q: torch.full_like(p, 0.5)),
    "stands with p": ("acceptance_probability", lambda p, q: p),
    "replaced from p": ("residual", lambda p, q: p),
    "replaced from q": ("residual", lambda p, q: q),
}


@pytest.mark.parametrize("seed", range(5))
def test_a_round_writes_what_the_teacher_writes(seed):
    assert largest_error(conditionals(seed), conditionals(100 + seed)) < 1e-12


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_writes_something_else(monkeypatch, name):
    monkeypatch.setattr(speculative, *BROKEN[name])
    assert largest_error(conditionals(0), conditionals(100)) > 1e-3


def test_the_rule_by_hand():
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.1, 0.3, 0.6])
    assert speculative.acceptance_probability(p, q).tolist() == pytest.approx([1, 1, 1 / 3])
    assert speculative.residual(p, q).tolist() == [1, 0, 0]
    assert torch.equal(speculative.residual(p, p), p)
    zero = torch.tensor([0.0, 1.0, 0.0])
    assert speculative.acceptance_probability(zero, q).tolist() == [0, 1, 0]
    assert not speculative.acceptance_probability(p, torch.tensor([0.0, 1.0, 0.0])).isnan().any()


def test_what_accept_drafts_draws_has_the_frequencies_of_the_enumeration():
    p, q = conditionals(1), conditionals(101)
    exact = {}
    for text, chance in outcomes(p, q):
        exact[text] = exact.get(text, 0.0) + chance
    generator, counts, n = torch.Generator().manual_seed(0), {}, 4000
    for _ in range(n):
        drafted = []
        for _ in range(K):
            drafted.append(int(torch.multinomial(q[tuple(drafted)], 1, generator=generator)))
        rows = torch.stack([p[tuple(drafted[:i])] for i in range(K + 1)])
        accepted, added = accept_drafts(rows, [q[tuple(drafted[:i])] for i in range(K)], drafted, generator)
        text = (*drafted[:accepted], added)
        counts[text] = counts.get(text, 0) + 1
    keys = sorted(exact)
    observed, expected = [counts.get(key, 0) for key in keys], [n * exact[key] for key in keys]
    assert sum(observed) == n
    assert is_like(observed, expected)


def is_like(observed, expected):
    """Pearson's chi-square below its 0.9999 quantile (Wilson and Hilferty 1931), cells that expect less than 5 put together."""
    large = [(o, e) for o, e in zip(observed, expected, strict=True) if e >= 5]
    rest = sum(observed) - sum(o for o, _ in large), sum(expected) - sum(e for _, e in large)
    cells = [*large, rest] if rest[1] >= 5 else large
    chi_square = sum((o - e) ** 2 / e for o, e in cells)
    freedom = len(cells) - 1
    part = 2 / (9 * freedom)
    return chi_square < freedom * (1 - part + 3.719 * math.sqrt(part)) ** 3


def test_the_statistic_by_hand():
    assert is_like([50, 50], [50, 50])
    assert is_like([60, 40], [50, 50])  # 4, and the quantile is 16.2, by exact tables 15.1
    assert not is_like([72, 28], [50, 50])  # 19.4


# ---- the real models ----


class Remembering(nn.Module):
    """A model that computes the logits of a row once."""

    def __init__(self, model):
        super().__init__()
        self.model, self.known = model, {}

    def forward(self, rows):
        key = tuple(rows[0].tolist())
        if key not in self.known:
            self.known[key] = self.model(rows)
        return self.known[key]


@pytest.fixture(scope="module")
def teacher():
    return pretrained_language_teacher()


@pytest.fixture(scope="module")
def student():
    """Trained for a moment: like the teacher here and there."""
    student = new_language_student()
    fit(student, encode(surnames().train[:1000]), HardLabels(), epochs=4, batch_size=64, lr=1e-2)
    return student


@pytest.fixture(scope="module")
def exact(teacher):
    """The teacher's own probabilities of the first two symbols of a name, by summing over all."""
    first = next_letter(teacher)
    joint = {(0, 0): first[0].item()}
    for one in range(1, 27):
        for other, p in enumerate(next_letter(teacher, speculative._text([one])).tolist()):
            joint[one, other] = first[one].item() * p
    return joint


def writes_what_the_teacher_writes(teacher, student, exact, n=3000):
    texts = [made.text for made in speculate(Remembering(teacher), Remembering(student), n, drafts=3, max_letters=2, seed=5)]
    counts = dict.fromkeys(exact, 0)
    for text in texts:
        counts[tuple(speculative.SYMBOLS.index(letter) for letter in (text + "..")[:2])] += 1
    return is_like(list(counts.values()), [n * p for p in exact.values()])


def test_names_have_the_teachers_frequencies(teacher, student, exact):
    assert sum(exact.values()) == pytest.approx(1, abs=1e-5)
    assert writes_what_the_teacher_writes(teacher, student, exact)
    assert writes_what_the_teacher_writes(teacher, new_language_student(), exact)


@pytest.mark.parametrize("name", BROKEN)
def test_the_same_check_rejects_a_broken_rule(monkeypatch, teacher, exact, name):
    """With a student that guesses blindly: the less the two are alike, the more a wrong rule shows."""
    monkeypatch.setattr(speculative, *BROKEN[name])
    assert not writes_what_the_teacher_writes(teacher, new_language_student(), exact)


def test_what_it_took(teacher, student):
    for made in speculate(teacher, student, 20, drafts=4, seed=1):
        assert made.teacher_calls == len(made.rounds) >= 1
        assert made.drafted == made.student_calls == sum(len(drafted) for drafted, _, _ in made.rounds)
        assert made.accepted == sum(accepted for _, accepted, _ in made.rounds)
        text = "".join(drafted[:accepted] + added for drafted, accepted, added in made.rounds)
        assert made.text == text.rstrip(".")
        assert "." not in made.text
        assert (text + ".").index(".") >= len(text) - 1  # nothing after the end
        assert len(made.text) <= 13


def test_a_teacher_that_drafts_for_itself_is_always_right(teacher):
    for made in speculate(teacher, teacher, 10, drafts=4):
        assert made.accepted == made.drafted
        assert made.teacher_calls == math.ceil((min(13, len(made.text) + 1)) / 5)


def test_at_temperature_0_it_is_the_teachers_likeliest_name(teacher, student):
    for prefix in ("", "q", "mac", "abcdefghijklm"):
        (made,) = speculate(teacher, student, 1, prefix=prefix, temperature=0)
        assert [made.text] == write_names(teacher, 1, prefix=prefix, temperature=0)


def test_it_is_seeded_and_leaves_everything_as_it_was(teacher, student):
    before = torch.get_rng_state()
    student.train()
    one, same, other = (speculate(teacher, student, 8, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert torch.equal(before, torch.get_rng_state())
    assert student.training


def test_expected_symbols_by_hand():
    assert expected_symbols(0.0, 4) == 1
    assert expected_symbols(1.0, 4) == 5
    assert expected_symbols(0.677, 4) == pytest.approx((1 - 0.677**5) / (1 - 0.677))
    assert [round(expected_symbols(a, 4), 2) for a in (0.677, 0.807, 0.832)] == [2.66, 3.41, 3.58]
    with pytest.raises(ValueError, match=r"acceptance must lie in \[0, 1\], got 1.2"):
        expected_symbols(1.2, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"drafts": 0}, "drafts must be at least 1, got 0"),
        ({"temperature": -1}, "temperature must be a finite number, 0 or above; got -1"),
        ({"max_letters": 20}, "max_letters must lie in"),
        ({"prefix": "?"}, "a name must have at most 13 letters"),
    ],
)
def test_wrong_arguments(teacher, student, arguments, message):
    with pytest.raises(ValueError, match=message):
        speculate(teacher, student, **{"count": 1, **arguments})


# ---- symbols per call, without drawing a draft ----


def counted(made):
    return sum(len(each.text) + 1 for each in made) / sum(each.teacher_calls for each in made)


def test_a_student_that_is_the_teacher_needs_a_call_for_as_many_drafts_and_one_more():
    teacher = pretrained_language_teacher()
    names = encode(["ann", "smithe", "o"])  # 4, 7 and 2 symbols
    assert symbols_per_call(teacher, teacher, names, 1) == pytest.approx(13 / (2 + 4 + 1))
    assert symbols_per_call(teacher, teacher, names, 2) == pytest.approx(13 / (2 + 3 + 1))
    assert symbols_per_call(teacher, teacher, names, 8) == pytest.approx(13 / 3)


@pytest.mark.parametrize("drafts", [1, 3])
def test_symbols_per_call_are_those_of_names_that_were_drafted(drafts):
    teacher, student = pretrained_language_teacher(), new_language_student(seed=0)
    found = symbols_per_call(teacher, student, encode(write_names(teacher, 1000)), drafts)
    assert found == pytest.approx(counted(speculate(teacher, student, 150, drafts=drafts)), rel=0.06)


@pytest.mark.parametrize("drafts", [0, 1.5, True])
def test_symbols_per_call_wants_a_number_of_drafts(drafts):
    with pytest.raises((TypeError, ValueError), match="drafts"):
        symbols_per_call(new_language_student(), new_language_student(), encode(["ann"]), drafts)
