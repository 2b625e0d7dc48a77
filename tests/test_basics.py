"""Seeds, modes and devices that are left as they were found."""

import pytest
import torch
from torch import nn

from course_lib.basics import check_positive_int, device_of, eval_mode, restore_modes, seeded


def test_seeded_numbers_are_those_of_the_seed_and_others_go_on():
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    first = torch.rand(2)
    with seeded(3):
        inside = torch.rand(2)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    assert torch.equal(inside, torch.rand(2, generator=torch.Generator().manual_seed(3)))


def test_seeded_gives_the_numbers_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(3):
        _draw_and_fail()
    assert torch.equal(torch.get_rng_state(), before)


def _draw_and_fail(model=None):
    torch.rand(2)
    raise KeyError


def test_an_apple_gpu_is_seeded_and_restored(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: calls.append("get") or torch.tensor([5]))
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: calls.append(("seed", seed)))
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: calls.append(("set", state.item())))
    with seeded(3, "mps"):
        calls.append("inside")
    assert calls == ["get", ("seed", 3), "inside", ("set", 5)]


def test_modes_are_restored_each():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Linear(2, 2), nn.Dropout())).train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    with eval_mode(model) as ready:
        assert ready is model
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(KeyError), restore_modes(model):
        _draw_and_fail(model.train())
    assert [module.training for module in model.modules()] == modes


def test_the_device_of_a_model():
    assert device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(nn.BatchNorm1d(2, affine=False)) == torch.device("cpu")
    assert device_of(nn.ReLU(), "meta") == torch.device("meta")


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_a_count_is_a_whole_number_of_at_least_one(value, error):
    with pytest.raises(error, match="width must be"):
        check_positive_int("width", value)


def test_weights_that_autocast_cast_without_gradients_are_not_kept():
    layer, inputs = nn.Linear(3, 2), torch.ones(1, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with eval_mode(layer):
            layer(inputs)
        assert layer(inputs).requires_grad
