"""How models are called: on a tensor or by name, in their own dtype, and a teacher so that nothing of it changes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.basics import device_of, to_eval


def call(model: nn.Module, inputs: Tensor | dict) -> Any:
    """Return the model's output for a tensor, or for a dict of keyword arguments."""
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
    tensors = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    device = next(value.device for value in tensors if isinstance(value, Tensor))
    if device_of(teacher, device) != device:  # not otherwise: a quantized model may refuse to be moved
        teacher.to(device)
    return call(to_eval(teacher), in_dtype_of(teacher, inputs))


def dtype_of(model: nn.Module) -> torch.dtype | None:
    """Return the dtype of the model's first parameter of floating point; None where it has none."""
    return next((each.dtype for each in model.parameters() if each.is_floating_point()), None)


def in_dtype_of(model: nn.Module, inputs: Tensor | dict) -> Tensor | dict:
    """Return the inputs, those of floating point in the dtype of the model's parameters: a bfloat16 teacher wants bfloat16."""
    dtype = dtype_of(model)

    def convert(value):
        return value.to(dtype) if dtype and isinstance(value, Tensor) and value.is_floating_point() else value

    return {name: convert(value) for name, value in inputs.items()} if isinstance(inputs, Mapping) else convert(inputs)


def check_module(name: str, model: nn.Module) -> None:
    """Raise TypeError, naming the argument, unless it is a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module, got {type(model).__name__}")


def check_apart(teacher: nn.Module, student: nn.Module) -> None:
    """Raise ValueError if training the student would change the teacher: they are one, or share layers that are not frozen."""
    theirs = {id(parameter) for parameter in teacher.parameters()}
    shared = [each for each in student.parameters() if id(each) in theirs]
    if student is teacher or any(each.requires_grad for each in shared):
        raise ValueError(
            "teacher and student must be different modules, got two that share parameters; layers in common must be "
            "frozen: requires_grad_(False)"
        )
