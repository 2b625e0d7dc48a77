"""What a model costs: the time of a call, multiply-adds, memory for a forward and a backward pass, bytes on disk.

Everything but time is counted, not timed, and is the same on every machine. Time is measured where it is called.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from weakref import finalize

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from course_lib.basics import check_positive_int, device_of, eval_mode
from course_lib.deploy.onnx_models import OnnxModel

ROUNDS = 5  # of measuring: every model has its turn in each, so that a slow moment of the machine meets all of them


class Latency(NamedTuple):
    """The time of one call in seconds: the median, and the 5th and 95th percentile, of `calls` calls."""

    median: float
    low: float
    high: float
    calls: int

    def __str__(self) -> str:
        return f"{1e3 * self.median:.3g} ms ({1e3 * self.low:.3g} to {1e3 * self.high:.3g})"


# ---- time ----


def measure_latency(
    models: Mapping[str, nn.Module],
    inputs: Tensor,
    *,
    batch_sizes: Sequence[int] = (1, 64),
    seconds: float = 0.5,
    threads: int = 1,
) -> dict[str, dict[int, Latency]]:
    """Measure a call of each model at each batch size: name -> batch size -> `Latency`. Arguments as in `compare`.

    The models take turns, five times, and warm up in each turn before their calls count.
    """
    check_models(models)
    check_positive_int("threads", threads)
    for name, model in models.items():
        if isinstance(model, OnnxModel) and model.threads != threads:
            raise ValueError(f"threads must be {model.threads}, with which models[{name!r}] was made; got {threads}")
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds}")
    check_batch_sizes(batch_sizes)
    if max(batch_sizes) > len(inputs):
        raise ValueError(f"batch_sizes must be at most the number of examples, {len(inputs)}; got {max(batch_sizes)}")
    times: dict[tuple[str, int], list[float]] = {(name, batch): [] for name in models for batch in batch_sizes}
    with _threads(threads):
        for _ in range(ROUNDS):
            for name, batch in times:
                with eval_mode(models[name]) as model:
                    example = inputs[:batch].to(device_of(model))
                    times[name, batch] += _timed(model, example, seconds / ROUNDS)
    latencies: dict[str, dict[int, Latency]] = {name: {} for name in models}
    for (name, batch), values in times.items():
        low, median, high = np.percentile(values, [5, 50, 95]).tolist()
        latencies[name][batch] = Latency(median, low, high, len(values))
    return latencies


def _timed(model: nn.Module, example: Tensor, seconds: float) -> list[float]:
    """The times of single calls, for `seconds`; before that as many uncounted ones as a tenth of the time allows, or two."""

    def call() -> float:
        start = time.perf_counter()
        model(example)
        if example.is_cuda:  # pragma: no cover - a GPU answers before it is done
            torch.cuda.synchronize(example.device)
        return time.perf_counter() - start

    warm = call() + call()
    while warm < seconds / 10:
        warm += call()
    times = [call()]
    total = times[0]
    while total < seconds:
        times.append(call())
        total += times[-1]
    return times


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- what can be counted ----


def multiply_adds(model: nn.Module, example: Tensor) -> int:
    """Return the multiplications, each with its addition, of one forward pass for the batch `example`.

    Those of matrix products, convolutions and attention, as torch's FlopCounterMode counts them (two operations for
    each); what is done number by number, activations and BatchNorm, is left out, as is the custom.
    """
    with eval_mode(model) as ready, FlopCounterMode(display=False) as counter:
        ready(example.to(device_of(model)))
    return counter.get_total_flops() // 2


def bytes_for_backward(forward: Callable[[], object], *models: nn.Module) -> int:
    """Return the bytes that autograd keeps for a backward pass when `forward()` runs, the parameters of `models` not counted.

    What several operations keep in common counts once. A `backward` inside of forward releases nothing here.
    """
    given = {tensor.untyped_storage().data_ptr() for model in models for tensor in (*model.parameters(), *model.buffers())}
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage  # held, lest another tensor come to lie at the same address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(storage.nbytes() for address, storage in kept.items() if address not in given)


def peak_memory(model: nn.Module, example: Tensor) -> int:
    """Return the most bytes of results that a forward pass for the batch `example` holds at a time, output included.

    Inputs and weights, which are there before, are left out, and so is what an operation uses within itself.
    """
    tracker = _LiveTensors()
    with eval_mode(model) as ready, tracker:
        ready(example.to(device_of(model)))
    return tracker.peak


class _LiveTensors(TorchDispatchMode):
    """Follows the storages that operations create until nothing refers to them any more."""

    def __init__(self):
        super().__init__()
        self.alive: dict[int, int] = {}  # a storage's address in memory -> its bytes
        self.now = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        known = {_key(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and _key(tensor) not in known and _key(tensor) not in self.alive:
                storage = tensor.untyped_storage()
                self.alive[_key(tensor)] = storage.nbytes()
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                finalize(storage, self._gone, _key(tensor)).atexit = False
        return result

    def _gone(self, key: int) -> None:
        self.now -= self.alive.pop(key)


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def serialised(model: nn.Module) -> bytes:
    """Return the model as a file: an ONNX file as it is, of a torch module what `torch.save` makes of its state dict."""
    if isinstance(model, OnnxModel):
        return model.content
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.getvalue()


def check_batch_sizes(batch_sizes: Sequence[int]) -> None:
    """Raise unless batch_sizes holds ints of at least 1, and one of them at least."""
    if not isinstance(batch_sizes, Sequence) or not batch_sizes:
        raise ValueError(f"batch_sizes must name at least one batch size, such as (1, 64); got {batch_sizes!r}")
    for batch in batch_sizes:
        check_positive_int("batch_sizes", batch)


def check_models(models: Mapping[str, nn.Module]) -> None:
    """Raise unless models is a mapping that holds at least one module, and nothing else."""
    if not isinstance(models, Mapping) or not models:
        what = "an empty one" if isinstance(models, Mapping) else type(models).__name__
        raise TypeError(f'models must be a dict of at least one model, such as {{"mine": model}}; got {what}')
    for name, model in models.items():
        if not isinstance(model, nn.Module):
            what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
            raise TypeError(f"models[{name!r}] must be a torch.nn.Module or an OnnxModel, got {what}")
