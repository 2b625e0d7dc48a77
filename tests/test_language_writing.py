"""Writing and measuring, on a teacher that is a table: what comes next depends on the last symbol alone, so all is known."""

import itertools
import math

import pytest
import torch
from torch import nn

from course_lib.language import (
    SYMBOLS,
    acceptance,
    bits_per_letter,
    decode,
    encode,
    kl_per_name,
    mean_acceptance,
    new_language_student,
    next_letter,
    write_names,
)
from course_lib.language.writing import probabilities, write_rows


class Table(nn.Module):
    """Logits of the next symbol from the last: (27, 27)."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, symbols):
        return self.logits[symbols]


def table(seed):
    return Table(torch.randn(27, 27, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture
def ab():
    """A name is a, then b or the end with 3 : 1, then a again after b."""
    logits = torch.full((27, 27), -math.inf)
    logits[0, 1] = logits[2, 1] = 0.0
    logits[1, 2], logits[1, 0] = math.log(3), 0.0
    return Table(logits)


def test_what_comes_next(ab):
    p = next_letter(ab, "ba")
    assert p.shape == (27,)
    assert not p.requires_grad
    assert {SYMBOLS[i]: round(p[i].item(), 4) for i in p.nonzero()[:, 0]} == {".": 0.25, "b": 0.75}
    assert next_letter(ab, "ba", temperature=0.5)[2] == pytest.approx(0.9)
    assert next_letter(ab, "ba", temperature=0)[2] == 1
    assert next_letter(ab)[1] == 1


def test_names_have_the_probabilities_of_their_symbols(ab):
    names = write_names(ab, 4000, seed=1)
    assert {len(set(name[::2])) for name in names} == {1}
    share = sum(name == "a" for name in names) / 4000
    assert share == pytest.approx(0.25, abs=0.025)
    assert sum(name == "aba" for name in names) / 4000 == pytest.approx(0.1875, abs=0.025)
    assert max(map(len, names)) == 13


def test_a_prefix_a_limit_and_temperature_0(ab):
    assert write_names(ab, 2, temperature=0) == ["ababababababa"] * 2
    assert write_names(ab, 3, prefix="zab", max_letters=5, temperature=0) == ["zabab"] * 3
    assert write_names(ab, 2, prefix="zab", max_letters=3) == ["zab"] * 2
    assert all(name.startswith("qb") for name in write_names(ab, 5, prefix="qb"))


def test_writing_is_seeded_and_leaves_everything_as_it_was():
    model = new_language_student().train()
    before = torch.get_rng_state()
    names = write_names(model, 50, seed=3, batch_size=20)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert names == write_names(model, 50, seed=3, batch_size=20)
    assert names != write_names(model, 50, seed=4, batch_size=20)
    assert len(names) == 50


def test_the_same_names_in_one_batch_and_by_the_default_random_numbers(ab):
    torch.manual_seed(5)
    rows = write_rows(ab, torch.zeros(30, 1, dtype=torch.int64))
    assert rows.shape == (30, 15)
    assert decode(rows) == write_names(ab, 30, seed=5)
    ended = (rows[:, 1:] == 0).cumsum(-1) > 0
    assert (rows[:, 1:][ended] == 0).all()


def test_a_low_temperature_keeps_to_what_is_likely():
    model, bits = table(0), []
    for temperature in (0.3, 1.0, 3.0):
        bits.append(bits_per_letter(model, encode(write_names(model, 300, temperature=temperature))))
    assert bits[0] < bits[1] < bits[2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"count": 0}, ValueError, "count must be at least 1, got 0"),
        ({"prefix": "X"}, ValueError, "a name must have at most 13 letters"),
        ({"prefix": "abc", "max_letters": 2}, ValueError, r"max_letters must lie in 3\.\.13, got 2"),
        ({"max_letters": 14}, ValueError, r"max_letters must lie in 1\.\.13, got 14"),
        ({"temperature": -1.0}, ValueError, "temperature must be a finite number, 0 or above; got -1.0"),
        ({"temperature": math.inf}, ValueError, "temperature must be a finite number"),
        ({"temperature": "1"}, TypeError, "temperature must be a real number, got str"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ],
)
def test_wrong_arguments(ab, arguments, error, message):
    with pytest.raises(error, match=message):
        write_names(ab, **{"count": 1, **arguments})


def test_probabilities_at_temperature_0_are_the_limit():
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    assert probabilities(logits, 0).tolist() == [[0, 1, 0]]
    assert torch.allclose(probabilities(logits, 0.01), probabilities(logits, 0))


# ---- measures ----


def test_bits_a_letter_by_hand(ab):
    names = encode(["a", "aba"])  # ., a, .  and  ., a, b, a, .
    bits = [0, 2, 0, math.log2(4 / 3), 0, 2]
    assert bits_per_letter(ab, names) == pytest.approx(sum(bits) / 6, abs=1e-6)


def test_the_divergence_of_names_is_that_of_their_probabilities():
    """Names of at most two letters over a and b: all of them can be counted."""
    p_model, q_model = table(1), table(2)
    for model in (p_model, q_model):
        model.logits.data[:, 3:] = -1e4
        model.logits.data[0, 0] = -1e4  # no empty name
    names = ["a", "b", "aa", "ab", "ba", "bb"]
    numbers = {"a": 1, "b": 2}

    def log_p(model, name):
        path = [0, *(numbers[letter] for letter in name), *([0] if len(name) == 1 else [])]
        steps = model.logits.detach().double().log_softmax(-1)
        return sum(steps[one, other].item() for one, other in itertools.pairwise(path))

    p = {name: math.exp(log_p(p_model, name)) for name in names}
    assert sum(p.values()) == pytest.approx(1)
    exact = sum(p[name] * (log_p(p_model, name) - log_p(q_model, name)) for name in names) / math.log(2)
    drawn = encode(write_names(p_model, 4000, max_letters=2))
    # What comes after the second letter is not part of these names.
    inputs, labels = drawn.tensors[0][:, :2], drawn.tensors[1][:, :2]
    estimate = kl_per_name(p_model, q_model, torch.utils.data.TensorDataset(inputs, labels))
    assert estimate == pytest.approx(exact, rel=0.05)
    assert kl_per_name(p_model, p_model, drawn) == 0


def test_acceptance_by_hand():
    p, q = torch.tensor([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]]), torch.tensor([[0.1, 0.3, 0.6], [0.0, 0.5, 0.5]])
    assert acceptance(p, q).tolist() == pytest.approx([0.6, 0.0])
    assert acceptance(p, p).tolist() == pytest.approx([1.0, 1.0])
    assert torch.allclose(acceptance(p, q), 1 - (p - q).abs().sum(-1) / 2)


def test_mean_acceptance_is_over_symbols_not_padding():
    teacher, student, names = table(1), table(2), encode(["ab", "c"])
    p, q = teacher.logits.softmax(-1), student.logits.softmax(-1)
    by_hand = acceptance(p, q)[[0, 1, 2, 0, 3]].mean().item()  # after ., a, b and ., c
    assert mean_acceptance(teacher, student, names) == pytest.approx(by_hand)
    assert mean_acceptance(teacher, teacher, names) == pytest.approx(1)
