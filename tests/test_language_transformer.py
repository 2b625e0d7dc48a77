"""The transformer: sizes, causality, its parts by hand, the teacher that ships."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_lib.language import (
    Transformer,
    bits_per_letter,
    encode,
    new_language_student,
    new_language_teacher,
    pretrained_language_teacher,
    surnames,
)
from course_lib.language.transformer import TEACHER_WEIGHTS, Attention, rotate


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("make", "parameters"), [(new_language_student, 7_024), (new_language_teacher, 150_976)])
def test_the_sizes_that_the_docstrings_name(make, parameters):
    assert size(make()) == parameters
    assert f"{parameters:,} parameters" in make.__doc__


@pytest.mark.parametrize("make", [new_language_student, new_language_teacher])
def test_new_models_are_seeded_and_leave_the_global_state_alone(make):
    before = torch.get_rng_state()
    one, same, other = make(seed=7).state_dict(), make(seed=7).state_dict(), make(seed=8).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if "norm" not in name)
    assert {each.device.type for each in make(device="meta").parameters()} == {"meta"}


def test_a_row_of_logits_knows_nothing_of_what_comes_after():
    model, symbols = new_language_teacher(), torch.arange(14)[None]
    changed = symbols.clone()
    changed[0, 9] = 20
    one, other = model(symbols)[0], model(changed)[0]
    assert one.shape == (14, 27)
    assert torch.equal(one[:9], other[:9])
    assert not torch.isclose(one[9:], other[9:]).all(-1).any()
    assert torch.allclose(model(symbols[:, :5])[0], one[:5], atol=1e-6)


def test_attention_by_hand():
    torch.manual_seed(0)
    attention, x = Attention(8, heads=2).double(), torch.randn(1, 5, 8, dtype=torch.float64)
    q, k, v = (project(x)[0].reshape(5, 2, 4) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
    out = torch.zeros(5, 2, 4, dtype=torch.float64)
    for head in range(2):
        turned_q, turned_k = rotate(q[:, head]), rotate(k[:, head])
        for t in range(5):
            scores = torch.stack([turned_q[t] @ turned_k[s] for s in range(t + 1)]) / math.sqrt(4)
            out[t, head] = scores.softmax(0) @ v[: t + 1, head]
    assert torch.allclose(attention(x)[0], attention.o_proj(out.reshape(5, 8)))


def test_rotation_by_hand_and_relative():
    x = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(3, 1).double()
    assert torch.allclose(rotate(x)[2], torch.tensor([math.cos(2), 0.0, math.sin(2), 0.0]).double(), atol=1e-6)
    q, k = torch.randn(4).double().repeat(9, 1), torch.randn(4).double().repeat(9, 1)
    products = rotate(q) @ rotate(k).T
    assert torch.allclose(products[2, 1], products[7, 6], atol=1e-5)
    assert not torch.isclose(products[2, 1], products[7, 5])


def test_the_norm_and_the_gate_by_hand():
    block, x = new_language_student().layers[0], torch.randn(2, 3, 16)
    by_hand = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * block.input_layernorm.weight
    assert torch.allclose(block.input_layernorm(x), by_hand, atol=1e-6)
    gate, up = x @ block.mlp.gate_proj.weight.T, x @ block.mlp.up_proj.weight.T
    assert torch.allclose(block.mlp(x), (gate * torch.sigmoid(gate) * up) @ block.mlp.down_proj.weight.T, atol=1e-6)


def test_an_untrained_model_guesses_blindly():
    student = new_language_student()
    assert bits_per_letter(student, encode(surnames().held_out[:200])) == pytest.approx(math.log2(27), abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"heads": 3}, "width must be a multiple of 2 · heads, got width=16 and heads=3"),
        ({"width": 12, "heads": 4}, "width must be a multiple"),
    ],
)
def test_wrong_sizes(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Transformer(**{"width": 16, "layers": 2, "heads": 2, **arguments})
    with pytest.raises(TypeError, match="width must be an int, got float"):
        Transformer(16.0, 2, 2)


def test_other_vocabularies():
    assert Transformer(16, 1, 2, vocab_size=5)(torch.zeros(2, 40, dtype=torch.int64)).shape == (2, 40, 5)


# ---- the teacher that ships ----


def test_the_teachers_weights_are_small_and_plain_arrays():
    assert TEACHER_WEIGHTS.stat().st_size <= 2e6
    with np.load(TEACHER_WEIGHTS, allow_pickle=False) as weights:
        assert {weights[name].dtype for name in weights.files} == {np.dtype("float32")}


def test_the_teacher_scores_what_its_log_says():
    log = (TEACHER_WEIGHTS.parent / "language_teacher.log").read_text(encoding="utf8")
    logged = float(re.findall(r"held out (\d\.\d+) bits a letter", log)[-1])
    teacher = pretrained_language_teacher()
    assert not any(module.training for module in teacher.modules())
    assert bits_per_letter(teacher, encode(surnames().held_out)) == pytest.approx(logged, abs=0.0005)
    assert logged < 3.08


def test_the_teacher_knows_that_u_follows_q_and_that_names_end():
    teacher = pretrained_language_teacher()
    p = F.softmax(teacher(torch.tensor([[0, 17]]))[0, -1], -1)
    assert p[21] > 0.9  # u
    p = F.softmax(teacher(encode(["hollingsworth"]).tensors[0])[0, -1], -1)
    assert p[0] > 0.9
