"""Values as plain data: what an answer returned, written down so that strict JSON can carry it and nobody has to trust it.

`record` is run beside the answer, `read` by whoever judges. A record is a dict of strings, numbers and lists; numbers that
JSON does not know are the strings "nan", "inf" and "-inf".
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MAX_VALUES = 2048  # numbers kept of one value; of a larger one only type and shape are
MAX_TEXT = 300
MAX_ITEMS = 64  # entries kept of a list
_DEPTH = 2  # a list of lists, no deeper
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def record(value, *, depth: int = _DEPTH) -> dict:
    """Write `value` down. Numbers, tensors, arrays, text, None, and lists of these; of anything else only its type."""
    if value is None:
        return {"kind": "none"}
    if isinstance(value, Tensor):
        return _record_tensor(value)
    if isinstance(value, np.ndarray):
        return {"kind": "array", "dtype": str(value.dtype)[:MAX_TEXT], "shape": [int(size) for size in value.shape]}
    if isinstance(value, (bool, int, float, np.generic)):
        return _record_number(value)
    if isinstance(value, str):
        return {"kind": "text", "text": str(value)[:MAX_TEXT]}
    if isinstance(value, (list, tuple)) and depth:
        entries = [record(entry, depth=depth - 1) for entry in value[:MAX_ITEMS]]
        return {"kind": "list", "length": len(value), "items": entries}
    return {"kind": "other", "dtype": type(value).__name__[:MAX_TEXT]}


def _record_tensor(tensor: Tensor) -> dict:
    shape = [int(size) for size in tensor.shape]
    head = {"kind": "tensor", "dtype": str(tensor.dtype).removeprefix("torch."), "shape": shape}
    if math.prod(shape) > MAX_VALUES or tensor.is_complex():
        return head
    values = tensor.detach().to("cpu", torch.float64).reshape(-1).tolist()
    return {**head, "values": [_plain(value) for value in values]}


def _record_number(value) -> dict:
    dtype = type(value).__name__
    try:
        return {"kind": "number", "dtype": dtype, "shape": [], "values": [_plain(float(value))]}
    except (OverflowError, TypeError, ValueError):  # an int beyond floats, a complex number
        return {"kind": "other", "dtype": dtype}


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def digest(*tensors: Tensor) -> str:
    """Return a fingerprint of dtypes, shapes and every bit of the values."""
    total = hashlib.sha256()
    for tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        total.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return total.hexdigest()


@dataclass(frozen=True)
class Record:
    """A record that was read back and found well formed. values: None where they were left out or there are none."""

    kind: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    values: tuple[float, ...] | None = None
    text: str = ""
    items: tuple["Record", ...] = ()

    def tensor(self) -> Tensor | None:
        """Return the values in their shape, float64; None if they are not there."""
        return None if self.values is None else torch.tensor(self.values, dtype=torch.float64).reshape(self.shape)


def read(raw, *, depth: int = _DEPTH) -> Record | None:
    """Return the record that `raw` holds, or None if it is not one: raw may come from anywhere and be anything."""
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        return None
    kind, dtype, text = raw["kind"], raw.get("dtype", ""), raw.get("text", "")
    if kind == "list":
        entries = raw.get("items")
        if not depth or not isinstance(entries, list) or len(entries) > MAX_ITEMS or raw.get("length") != len(entries):
            return None
        items = tuple(read(entry, depth=depth - 1) for entry in entries)
        return None if None in items else Record("list", items=items)
    if kind not in ("none", "tensor", "array", "number", "text", "other") or not _short(dtype) or not _short(text):
        return None
    shape, values = _read_shape(raw.get("shape", [])), None
    if shape is not None and "values" in raw:
        values = _read_values(raw["values"])
        if values is None or len(values) != math.prod(shape):
            return None
    return None if shape is None else Record(kind, dtype, shape, values, text)


def _short(text) -> bool:
    return isinstance(text, str) and len(text) <= MAX_TEXT


def _read_shape(raw) -> tuple[int, ...] | None:
    good = isinstance(raw, list) and len(raw) <= 16 and all(type(size) is int and 0 <= size < 2**62 for size in raw)
    return tuple(raw) if good else None


def _read_values(raw) -> tuple[float, ...] | None:
    if not isinstance(raw, list) or len(raw) > MAX_VALUES:
        return None
    values = []
    for value in raw:
        if isinstance(value, str):
            value = _NOT_FINITE.get(value)
        if type(value) not in (int, float):
            return None
        try:
            values.append(float(value))
        except OverflowError:
            return None
    return tuple(values)
