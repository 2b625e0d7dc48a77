"""How models are called: by position or by name, in their dtype; the teacher without a change to it."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from course_lib.basics import seeded
from course_lib.calling import call, call_teacher, check_apart, check_module, dtype_of, in_dtype_of, logits_in, logits_of


def network(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = network().eval()

    def forward(self, values, scale):
        return SimpleNamespace(logits=scale[:, None] * self.body(values))


def test_a_tensor_goes_in_by_position_and_a_dict_by_name():
    inputs, named = torch.randn(5, 4), Named()
    by_name = {"values": inputs, "scale": torch.arange(5.0)}
    assert torch.equal(call(named.body, inputs), named.body(inputs))
    assert torch.equal(call(named, by_name).logits, torch.arange(5.0)[:, None] * named.body(inputs))
    assert torch.equal(logits_of(named, by_name), call(named, by_name).logits)
    assert torch.equal(logits_of(named.body, inputs), named.body(inputs))
    with pytest.raises(TypeError, match=r"an output with one in .logits; got tuple"):
        logits_in((inputs, inputs))


def test_a_teacher_is_asked_in_eval_mode_and_keeps_all_that_it_has():
    teacher, inputs = network().train(), torch.randn(6, 4)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    output = call_teacher(teacher, inputs)
    assert not output.requires_grad
    assert not any(module.training for module in teacher.modules())
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert torch.equal(output, teacher(inputs))
    assert torch.equal(call_teacher(Named(), {"values": inputs, "scale": torch.ones(6)}).logits, output)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_teacher_gets_numbers_in_its_own_dtype_and_indices_as_they_are(dtype):
    assert call_teacher(network().to(dtype), torch.randn(6, 4)).dtype == dtype
    table = nn.Embedding(5, 3).to(dtype)
    assert dtype_of(table) == dtype
    assert call_teacher(table, torch.tensor([1, 4])).shape == (2, 3)
    inputs = in_dtype_of(table, {"x": torch.ones(2), "rows": torch.tensor([1]), "name": "a"})
    assert (inputs["x"].dtype, inputs["rows"].dtype, inputs["name"]) == (dtype, torch.int64, "a")


def test_what_has_no_parameters_takes_its_inputs_as_they_are():
    assert dtype_of(nn.ReLU()) is None
    assert call_teacher(nn.ReLU(), torch.ones(2, dtype=torch.float64)).dtype == torch.float64


def test_a_teacher_elsewhere_is_moved_to_the_inputs():
    teacher = nn.Linear(4, 3, device="meta")
    moved = []
    teacher.to = lambda device: moved.append(device) or teacher
    with pytest.raises(RuntimeError):
        call_teacher(teacher, torch.randn(2, 4))
    assert moved == [torch.device("cpu")]
    assert call_teacher(nn.Linear(4, 3), torch.randn(2, 4)).shape == (2, 3)


def test_models_that_are_none_or_one_are_told():
    check_module("teacher", network())
    with pytest.raises(TypeError, match=r"teacher must be a torch.nn.Module, got function"):
        check_module("teacher", lambda x: x)
    one = network()
    with pytest.raises(ValueError, match="teacher and student must be different modules"):
        check_apart(one, one)
    with pytest.raises(ValueError, match=r"layers in common must be frozen: requires_grad_\(False\)"):
        check_apart(nn.Sequential(one), one)
    check_apart(nn.Sequential(one.requires_grad_(False)), nn.Sequential(one))


def test_a_teacher_whose_memory_the_student_shares_is_told():
    teacher, student = network(), network(1)
    check_apart(teacher, student)
    student.load_state_dict(teacher.state_dict(), assign=True)
    with pytest.raises(ValueError, match=r"share parameters, or the memory of some; .* copy them: deepcopy"):
        check_apart(teacher, student)
    student, lazy = network(1), nn.Sequential(nn.LazyLinear(3))
    student[3].weight.data = teacher[3].weight.data
    with pytest.raises(ValueError, match="teacher and student must be different modules"):
        check_apart(teacher, student)
    check_apart(teacher, lazy)
    check_apart(lazy, nn.Sequential(nn.LazyLinear(3)))
    check_apart(network().to("meta"), network(1).to("meta"))  # which have no memory
    with pytest.raises(ValueError, match="teacher and student must be different modules"):
        check_apart(lazy, nn.Sequential(lazy))


def test_a_list_of_inputs_is_what_a_model_gets():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network().eval()

        def forward(self, pair):
            return self.body(pair[0]) + pair[1]

    inputs, model = [torch.randn(6, 4), torch.randn(6, 3)], Two()
    expected = model.body(inputs[0]) + inputs[1]
    assert torch.equal(logits_of(model, inputs), expected)
    assert torch.equal(call_teacher(model, inputs), expected)
    assert call_teacher(Two().to(torch.bfloat16), tuple(inputs)).dtype == torch.bfloat16


def test_what_is_stored_in_a_byte_is_not_computed_in_it():
    model = nn.Linear(4, 3)
    model.weight = nn.Parameter(model.weight.detach().to(torch.float8_e4m3fn), requires_grad=False)
    assert dtype_of(model) == torch.float32  # its bias
    mixed = nn.Sequential(nn.PReLU(dtype=torch.float64), nn.Linear(4, 3), nn.LazyLinear(3))
    assert dtype_of(mixed) == torch.float32  # that of the largest


def test_a_teacher_that_works_in_place_is_told():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    with pytest.raises(
        ValueError, match="teacher must leave its inputs as they are, for the student; it changes them in place"
    ):
        call_teacher(InPlace(), torch.ones(2, 3))
