"""Models side by side, in one call: what each is worth and what it costs."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import device_of, eval_mode
from course_lib.calibration import expected_calibration_error
from course_lib.deploy.costs import (
    Latency,
    check_batch_sizes,
    check_models,
    measure_latency,
    multiply_adds,
    peak_memory,
    serialised,
)
from course_lib.deploy.onnx_models import OnnxModel
from course_lib.loops import EVAL_BATCH_SIZE, predict
from course_lib.metrics import accuracy, count_parameters
from course_lib.objectives import IGNORE_INDEX

UNKNOWN = "–"


@dataclass(frozen=True)
class Cost:
    """One column of `compare`. What cannot be counted in an ONNX file is None.

    accuracy, calibration_error: in [0, 1]; bytes_on_disk: of the weights (an ONNX file holds the graph too), and
    bytes_compressed after zlib at its best; multiply_adds: for one example; peak_memory: bytes that a forward pass of the
    largest batch holds at a time, without the weights; latency: by batch size; throughput: examples a second at the
    largest batch.
    """

    accuracy: float
    calibration_error: float
    parameters: int
    bytes_on_disk: int
    bytes_compressed: int
    multiply_adds: int | None
    peak_memory: int | None
    latency: dict[int, Latency]

    @property
    def throughput(self) -> float:
        batch = max(self.latency)
        return batch / self.latency[batch].median


class Comparison(dict):
    """Model name -> `Cost`. Prints as a table, a row a measure; a notebook shows it as an HTML table."""

    note: str = ""

    def rows(self) -> list[list[str]]:
        """Return the table as text, the names of the models first; without rows of which nothing is known."""
        costs = list(self.values())
        batches = list(costs[0].latency)
        lines: list[tuple[str, Callable[[Cost], str]]] = [
            ("accuracy", lambda cost: f"{100 * cost.accuracy:.1f} %"),
            ("calibration error", lambda cost: f"{100 * cost.calibration_error:.1f} %"),
            ("parameters", lambda cost: f"{cost.parameters:,}"),
            ("on disk", lambda cost: _size(cost.bytes_on_disk)),
            ("on disk, compressed", lambda cost: _size(cost.bytes_compressed)),
            ("multiply-adds, one example", lambda cost: _millions(cost.multiply_adds)),
            (f"memory beside the weights, batch {max(batches)}", lambda cost: _size(cost.peak_memory)),
            *((f"time of one call, batch {batch}", lambda cost, b=batch: str(cost.latency[b])) for batch in batches),
            (f"examples a second, batch {max(batches)}", lambda cost: f"{cost.throughput:,.0f}"),
        ]
        rows = [[name, *map(show, costs)] for name, show in lines]
        return [["", *map(str, self)], *(row for row in rows if set(row[1:]) != {UNKNOWN})]

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["   ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        return "\n".join([*lines, self.note])

    def _repr_html_(self) -> str:
        head, *body = self.rows()
        top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
        lines = "".join(
            f'<tr><th scope="row" style="text-align: left">{escape(row[0])}</th>'
            + "".join(f"<td>{escape(value)}</td>" for value in row[1:])
            + "</tr>"
            for row in body
        )
        return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody><caption>{escape(self.note)}</caption></table>"


def compare(
    models: Mapping[str, nn.Module],
    data: TensorDataset | DataLoader | tuple[Tensor, Tensor],
    *,
    batch_sizes: Sequence[int] = (1, 64),
    seconds: float = 0.5,
    threads: int = 1,
) -> Comparison:
    """Return what each model is worth and what it costs, side by side, as a `Comparison`, which prints as a table.

    models: name -> a classifier, a torch module or an `OnnxModel`, from a batch of inputs to logits (n, num_classes).
    data: inputs with integer labels (n,): a tuple of the two, a TensorDataset or a DataLoader; further columns are left
    unread, and so are rows whose label is -100. All of it is used for accuracy, the first rows for the rest. seconds:
    measuring time for each model and batch size. threads: how many the timed calls may use; one, since that is how a
    server with a process for each core runs them, and since two small models can't be told apart by the noise of many.
    Models are left as they were. Raises TypeError or ValueError, naming the argument that is wrong.
    """
    check_models(models)
    check_batch_sizes(batch_sizes)
    examples = _first_rows(data, max(batch_sizes))
    for name, model in models.items():
        _check_output(name, model, examples[:1])
    latencies = measure_latency(models, examples, batch_sizes=batch_sizes, seconds=seconds, threads=threads)
    comparison = Comparison()
    for name, model in models.items():
        logits, labels = _answers(name, model, data)
        file = serialised(model)
        countable = not isinstance(model, OnnxModel)
        comparison[name] = Cost(
            accuracy=accuracy(logits, labels),
            calibration_error=expected_calibration_error(logits.double().softmax(-1), labels),
            parameters=count_parameters(model) if countable else model.num_parameters,
            bytes_on_disk=len(file),
            bytes_compressed=len(zlib.compress(file, 9)),
            multiply_adds=multiply_adds(model, examples[:1]) if countable else None,
            peak_memory=peak_memory(model, examples) if countable else None,
            latency=latencies[name],
        )
    calls = min(latency.calls for by_batch in latencies.values() for latency in by_batch.values())
    comparison.note = (
        f"Times: median (5th to 95th percentile) of {calls} calls or more, {threads} thread{'s' * (threads > 1)}, "
        f"{', '.join(_runtimes(models.values()))}."
    )
    return comparison


def _batches(data, batch_size: int = EVAL_BATCH_SIZE) -> Iterator[tuple[Tensor, Tensor]]:
    """(inputs, labels), batch by batch, whatever the data came as."""
    columns = data.tensors if isinstance(data, TensorDataset) else data
    if isinstance(columns, tuple | list) and len(columns) > 1 and all(isinstance(column, Tensor) for column in columns):
        inputs, labels = columns[:2]
        if len(inputs) != len(labels):
            raise ValueError(f"data must have a label for each input, got {len(inputs)} inputs and {len(labels)} labels")
        yield from zip(inputs.split(batch_size), labels.split(batch_size), strict=True)
    elif isinstance(data, DataLoader):
        for batch in data:
            if not isinstance(batch, tuple | list) or len(batch) < 2:
                raise TypeError(f"data must give batches of inputs and labels, got a {type(batch).__name__}")
            yield batch[0], batch[1]
    else:
        raise TypeError(
            f"data must be (inputs, labels), a TensorDataset of these or a DataLoader that gives them; got {_described(data)}"
        )


def _first_rows(data, rows: int) -> Tensor:
    parts, found = [], 0
    for inputs, _ in _batches(data):
        parts.append(inputs[: rows - found])
        found += len(parts[-1])
        if found == rows:
            break
    if not found:
        raise ValueError("data must hold at least one example, got none")
    return torch.cat(parts)


def _check_output(name: str, model: nn.Module, example: Tensor) -> None:
    with eval_mode(model):
        logits = model(example.to(device_of(model, example.device)))
    if not isinstance(logits, Tensor):
        raise TypeError(f"models[{name!r}] must give a tensor of logits, got {type(logits).__name__}; wrap it so that it does")
    if logits.shape[:1] != (1,) or logits.dim() != 2:
        raise ValueError(f"models[{name!r}] must give logits (n, num_classes), gave {tuple(logits.shape)} for one example")


def _answers(name: str, model: nn.Module, data) -> tuple[Tensor, Tensor]:
    """Logits and labels of all rows that have one. In one pass, since a DataLoader may shuffle."""
    pairs = [(predict(model, inputs), labels.to(inputs.device)) for inputs, labels in _batches(data)]
    logits, labels = (torch.cat(column) for column in zip(*pairs, strict=True))
    if labels.shape != logits.shape[:1] or labels.is_floating_point():
        raise ValueError(f"data must have integer labels (n,), got {labels.dtype} of shape {tuple(labels.shape)}")
    counted = labels != IGNORE_INDEX
    logits, labels = logits[counted], labels[counted]
    if not len(labels):
        raise ValueError("data must hold at least one row with a label, got none")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels must be from 0 to {logits.shape[1] - 1}, the classes that models[{name!r}] has; "
            f"got {labels.min()} to {labels.max()}"
        )
    if logits.isnan().any():
        raise ValueError(f"models[{name!r}] must give numbers, gave NaN")
    return logits, labels


def _runtimes(models: Iterable[nn.Module]) -> list[str]:
    """The names and versions of what ran the models."""
    used = sorted({"onnxruntime" if isinstance(model, OnnxModel) else "torch" for model in models}, reverse=True)
    return [f"{name} {version(name).split('+')[0]}" for name in used]


def _described(data) -> str:
    if isinstance(data, TensorDataset):
        return f"a TensorDataset of {len(data.tensors)} column"
    if isinstance(data, tuple | list):
        return f"a {type(data).__name__} of {', '.join(type(each).__name__ for each in data) or 'nothing'}"
    return type(data).__name__


def _size(size: int | None) -> str:
    if size is None:
        return UNKNOWN
    return f"{size / 1e6:,.2f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def _millions(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e6:,.2f} million"
