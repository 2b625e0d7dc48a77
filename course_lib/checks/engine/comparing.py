"""The difference between what an answer gave and what is right, in words."""

import math

from course_lib.checks.engine.observing import GRADIENT, Item
from course_lib.checks.engine.records import Record

_INTEGERS = ("int", "int64", "int32", "int16", "uint8")
_FLOATS = ("float", "float32", "float64")


def describe_difference(label: str, found: Record, item: Item, expected: Record) -> str | None:
    """Say what is wrong with `found`; None if nothing is. `item` is the trusted one: it says how near is right."""
    if label.startswith("unchanged: "):
        return None if found.text == expected.text else _changed(label.removeprefix("unchanged: "))
    form = None if item.verdict and expected.kind in ("none", "list") else _describe_form(label, found, expected)
    if form is not None:
        return form
    if item.verdict is not None:
        return _reach_verdict(item, found)
    return (_compare_entries if expected.kind == "list" else _compare_values)(label, found, item, expected)


def is_alike(found: Record, item: Item, wrong: Record, looseness: float = 3) -> bool:
    """Return whether an answer behaved like a known mistake in one item, where the mistake gave `wrong`.

    Where numbers run off, so does their rounding: looseness says how many times as far as what is right they may be.
    """
    if found.kind == wrong.kind == "list" and item.verdict is None:
        pairs = zip(found.items, wrong.items, strict=False)
        return len(found.items) == len(wrong.items) and all(is_alike(ours, item, theirs, looseness) for ours, theirs in pairs)
    if (found.text, found.shape, _scalar(found)) != (wrong.text, wrong.shape, _scalar(wrong)):
        return False
    if item.verdict is not None:
        return _reach_verdict(item, found) == _reach_verdict(item, wrong)
    if found.values is None or wrong.values is None:
        return found.values == wrong.values
    rtol, atol = looseness * max(item.rtol, 1e-6), looseness * max(item.atol, 1e-7)
    return all(_near(a, b, rtol, atol) for a, b in zip(found.values, wrong.values, strict=True))


def _reach_verdict(item: Item, found: Record) -> str | None:
    try:
        return item.verdict(found)
    except Exception:
        return f"{_capital(item.label)}: it is not of the form that was asked for."


def _scalar(record: Record) -> str:
    return "number" if record.kind in ("number", "tensor") and record.shape == () else record.kind


def _changed(name: str) -> str:
    if name.startswith("the "):
        return f"It changes {name}, which must stay as it was, bit for bit."
    return f"It changes its argument `{name}` in place. The caller still needs that: work on a copy."


def _describe_form(label: str, found: Record, expected: Record) -> str | None:
    """Say what is wrong with kind, dtype and shape, before any value is looked at."""
    if GRADIENT in label and found.kind == "none":
        result, name = label.split(GRADIENT)
        return f"{_capital(result)}: no gradient reaches `{name}`. What cuts the result off from it?"
    if found.kind == "none" and expected.kind != "none":
        return f"{_capital(label)}: it returned None. Is there a `return`?"
    if _scalar(found) != _scalar(expected):
        return f"{_capital(label)}: it returned {_name(found)}; it should be {_name(expected)}."
    integers = expected.dtype in _INTEGERS
    if expected.kind in ("tensor", "number") and found.dtype not in (_INTEGERS if integers else _FLOATS):
        ints_will_do = not integers and found.kind == "number" and found.dtype == "int"
        if not ints_will_do and found.dtype != expected.dtype:
            wanted = "whole numbers" if integers else "float32 or float64"
            return f"{_capital(label)}: the values have dtype {found.dtype}; they should be {wanted}."
    if found.shape != expected.shape:
        return f"{_capital(label)}: the shape is {found.shape}; it should be {expected.shape}."
    if expected.values is not None and found.values is None:
        return f"{_capital(label)}: the values could not be read."
    return None


def _name(record: Record) -> str:
    if record.kind == "tensor" and not record.shape:
        return "a tensor with a single number, of shape ()"
    if record.kind == "tensor":
        return f"a tensor of shape {record.shape}"
    if record.kind == "other":
        return f"something of type {record.dtype}"
    return {"array": "a NumPy array", "number": "a number", "text": "text", "list": "a list", "none": "None"}[record.kind]


def _compare_entries(label: str, found: Record, item: Item, expected: Record) -> str | None:
    if len(found.items) != len(expected.items):
        return f"{_capital(label)}: it returned {len(found.items)} entries; it should be {len(expected.items)}."
    for number, (ours, theirs) in enumerate(zip(found.items, expected.items, strict=True)):
        where = f"{label}, entry {number}"
        problem = _describe_form(where, ours, theirs) or _compare_values(where, ours, item, theirs)
        if problem:
            return problem
    return None


def _compare_values(label: str, found: Record, item: Item, expected: Record) -> str | None:
    if expected.kind == "text" or expected.values is None:
        same = found.text == expected.text
        return None if same else f"{_capital(label)}: it is {found.text!r}; it should be {expected.text!r}."
    odd = [value for value in found.values if not math.isfinite(value)]
    if odd and all(map(math.isfinite, expected.values)):
        names = " and ".join(sorted({"NaN" if math.isnan(value) else "infinity" for value in odd}))
        share = f"{len(odd)} of {len(found.values)} values are" if len(found.values) > 1 else "the value is"
        return f"{_capital(label)}: {share} {names}."
    pairs = list(zip(found.values, expected.values, strict=True))
    off = [position for position, pair in enumerate(pairs) if not _near(*pair, item.rtol, item.atol)]
    if not off:
        return None
    worst = max(off, key=lambda position: abs(pairs[position][0] - pairs[position][1]))
    ours, theirs = (_number(value) for value in pairs[worst])
    if len(pairs) == 1:
        return f"{_capital(label)}: it is {ours}; it should be {theirs}."
    example = "" if item.brief else f"; entry {_index(worst, found.shape)} is {ours}; it should be {theirs}"
    return f"{_capital(label)}: {len(off)} of {len(pairs)} values are off{example}."


def _near(found: float, right: float, rtol: float, atol: float) -> bool:
    if math.isnan(right) or math.isinf(right):
        return found == right or (math.isnan(found) and math.isnan(right))
    return abs(found - right) <= atol + rtol * abs(right)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e9 else f"{value:.4g}"


def _index(flat: int, shape: tuple[int, ...]) -> str:
    index = []
    for size in reversed(shape):
        flat, position = divmod(flat, size)
        index.insert(0, str(position))
    return f"[{', '.join(index)}]"


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:]
