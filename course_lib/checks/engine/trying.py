"""`your_turn`: a line that the reader fills in, tried at once."""

from collections.abc import Callable

import torch


def your_turn(answer: Callable, right: Callable, *cases: tuple, hint: str = "", rtol: float = 1e-4) -> bool:
    """Call the reader's function on each case and say whether it gives what `right` gives. Prints a line; returns the verdict.

    answer: the function to fill in; what returns ..., or None, is not filled in yet, which is no mistake. cases: tuples of
    arguments; tensors among them are copied, so that an answer may change them. Results are numbers or tensors, compared in
    float64. An answer that raises is told so.
    """
    for case in cases:
        try:
            found = answer(*(each.clone() if isinstance(each, torch.Tensor) else each for each in case))
        except Exception as error:
            print(f"Not yet: {answer.__name__} stops with {type(error).__name__}: {error}")
            return False
        if found is None or found is ...:
            print("Not filled in yet: put your line where the ... stands, and run the cell again.")
            return False
        said = _difference(found, right(*case), rtol)
        if said:
            print(f"Not yet: {said}{hint and ' Hint: ' + hint}")
            return False
    print(f"Right: {answer.__name__} gives what it should, {len(cases)} time{'s' * (len(cases) > 1)}.")
    return True


def _difference(found, expected, rtol: float) -> str | None:
    try:
        found, expected = (torch.as_tensor(each).detach().double() for each in (found, expected))
    except (TypeError, ValueError, RuntimeError):
        return f"it gives {type(found).__name__}, where a number or a tensor is needed."
    if found.shape != expected.shape:
        return f"it gives the shape {tuple(found.shape)}, where {tuple(expected.shape)} is right."
    if not torch.allclose(found, expected, rtol=rtol, atol=1e-7):
        return f"it gives {_short(found)}, where {_short(expected)} is right."
    return None


def _short(values: torch.Tensor) -> str:
    shown = ", ".join(f"{value:.4g}" for value in values.flatten()[:4].tolist())
    return shown if values.dim() == 0 else f"[{shown}{', …' if values.numel() > 4 else ''}]"
