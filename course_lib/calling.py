"""How models are called: on a tensor or by name, in their own dtype, and a teacher so that nothing of it changes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from course_lib.basics import device_of, to_eval


def call(model: nn.Module, inputs: Tensor | dict) -> Any:
    """Return the model's output for a tensor, or a list of them, or for a dict of keyword arguments, in the model's dtype."""
    inputs = in_dtype_of(model, inputs)
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def logits_of(model: nn.Module, inputs: Tensor | dict) -> Tensor:
    """Call the model and return its logits: its output, or what that holds by the name `logits`, as in Hugging Face."""
    return logits_in(call(model, inputs))


def logits_in(output: Any) -> Tensor:
    """Return the logits in a model's output. Raises TypeError if there is no tensor of them."""
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"the model must give a tensor of logits, or an output with one in .logits; got {type(output).__name__}"
        )
    return logits


@torch.no_grad()
def call_teacher(teacher: nn.Module, inputs: Tensor | dict) -> Any:
    """Return the output of the teacher in eval mode, which it stays in, on the inputs' device, for inputs in its own dtype."""
    device = next((value.device for value in tensors_in(inputs)), None)
    if device is not None and device_of(teacher, device) != device:  # not otherwise: a quantized model may refuse to be moved
        teacher.to(device)
    versions = versions_of(inputs)
    output = call(to_eval(teacher), inputs)
    if versions_of(inputs) != versions:
        raise ValueError("teacher must leave its inputs as they are, for the student; it changes them in place")
    return output


def tensors_in(inputs: Tensor | dict) -> list[Tensor]:
    """Return the tensors that a model is called on."""
    values = inputs.values() if isinstance(inputs, Mapping) else inputs if isinstance(inputs, list | tuple) else [inputs]
    return [value for value in values if isinstance(value, Tensor)]


def versions_of(inputs: Tensor | dict) -> list[int]:
    """Return how often each tensor was changed in place; nothing of what inference_mode made, which does not count it."""
    return [value._version for value in tensors_in(inputs) if not value.is_inference()]


def dtype_of(model: nn.Module) -> torch.dtype | None:
    """Return the dtype of the model's largest parameter of floating point; None where it has none.

    Not one of a byte or less, in which weights are stored, and nothing is computed.
    """
    parameters = [each for each in getattr(model, "parameters", list)() if not is_lazy(each)]  # a function has none
    numbers = [each for each in parameters if each.is_floating_point() and each.dtype.itemsize > 1]
    return max(numbers, key=Tensor.numel).dtype if numbers else None


def in_dtype_of(model: nn.Module, inputs: Tensor | dict) -> Tensor | dict:
    """Return the inputs, those of floating point in the dtype of the model's parameters: a bfloat16 teacher wants bfloat16."""
    dtype = dtype_of(model)

    def convert(value):
        return value.to(dtype) if dtype and isinstance(value, Tensor) and value.is_floating_point() else value

    if isinstance(inputs, Mapping):
        return {name: convert(value) for name, value in inputs.items()}
    return [convert(value) for value in inputs] if type(inputs) in (list, tuple) else convert(inputs)


def check_module(name: str, model: nn.Module) -> None:
    """Raise TypeError, naming the argument, unless it is a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module, got {type(model).__name__}")


def check_apart(teacher: nn.Module, student: nn.Module) -> None:
    """Raise ValueError if training the student would change the teacher: they are one, or share layers that are not frozen."""
    theirs = {_place(parameter) for parameter in teacher.parameters()}
    if student is teacher or any(each.requires_grad and _place(each) in theirs for each in student.parameters()):
        raise ValueError(
            "teacher and student must be different modules, got two that share parameters, or the memory of some; layers in "
            "common must be frozen: requires_grad_(False); to start from the teacher's weights, copy them: deepcopy"
        )


def _place(parameter: nn.Parameter) -> int:
    """Where a parameter lies: `load_state_dict(assign=True)` gives two the same memory. Its id where it has no memory."""
    try:
        return parameter.data_ptr() or id(parameter)
    except (RuntimeError, ValueError):  # a LazyLinear's, say
        return id(parameter)
