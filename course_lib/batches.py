"""Batches for `fit` and `evaluate`, from a TensorDataset or any DataLoader, and how those with labels are read."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import check_positive_int, restore_modes


class ShuffledBatches:
    """The batches of a TensorDataset in a new order each time, cut by indexing on the device: no workers, no collating."""

    def __init__(self, dataset: TensorDataset, batch_size: int, seed: int, device: torch.device):
        self.tensors = [tensor.to(device) for tensor in dataset.tensors]
        self.batch_size = batch_size
        # A generator of its own: two objectives with the same seed meet the same batches, whatever else draws numbers.
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return math.ceil(len(self.tensors[0]) / self.batch_size)

    def __iter__(self) -> Iterator[list[Tensor]]:
        order = torch.randperm(len(self.tensors[0]), generator=self.generator).to(self.tensors[0].device)
        for rows in order.split(self.batch_size):
            yield [tensor.index_select(0, rows) for tensor in self.tensors]  # a quarter of the time of tensor[rows]


def training_batches(data, batch_size: int, seed: int, device: torch.device) -> ShuffledBatches | DataLoader:
    """Return what gives an epoch of batches each time that it is iterated. Raises TypeError or ValueError, naming `data`."""
    if isinstance(data, DataLoader):
        try:
            steps = len(data)
        except TypeError as error:
            raise ValueError(
                "data must know its length, since schedules run over the whole training; got a DataLoader that does not"
            ) from error
        if not steps:
            raise ValueError("data must hold at least one batch, got an empty DataLoader")
        return data
    if not isinstance(data, TensorDataset):
        raise TypeError(f"data must be a TensorDataset or a DataLoader, got {type(data).__name__}")
    check_positive_int("batch_size", batch_size)
    if not data.tensors or not len(data):
        raise ValueError("data must hold at least one example, got none")
    if makes_examples(data):
        return DataLoader(data, batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed))
    return ShuffledBatches(data, batch_size, seed, device)


def makes_examples(dataset: TensorDataset) -> bool:
    """Whether a class derived from TensorDataset says itself what an example is, by augmentation for instance."""
    return type(dataset).__getitem__ is not TensorDataset.__getitem__


def begin_epoch(batches: ShuffledBatches | DataLoader, epoch: int) -> ShuffledBatches | DataLoader:
    """Return the batches; a sampler whose order is a matter of the epoch, as DistributedSampler's, is told which it is."""
    for sampler in samplers_of(batches):
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
    return batches


def samplers_of(batches: ShuffledBatches | DataLoader) -> list:
    """Return what decides on the order of the examples, the innermost first."""
    by_batch, by_row = (getattr(batches, name, None) for name in ("batch_sampler", "sampler"))
    return [each for each in (getattr(by_batch, "sampler", None), by_batch, by_row) if each is not None]


def check_last_batch(model: nn.Module, batches: ShuffledBatches | DataLoader) -> None:
    """Raise ValueError if the last batch has one example, and the model a layer that cannot learn from one.

    BatchNorm1d divides by the spread over the batch. torch says so as well, but not before the last step of an epoch. Behind
    a Conv1d one example may have a spread of its own: there the word is torch's.
    """
    size, examples = batches.batch_size, _count_examples(batches)
    alone = size and examples and (examples % size == 1 or size == 1) and not getattr(batches, "drop_last", False)
    if not alone:
        return
    with restore_modes(model):
        modules = list(model.train().modules())  # a model may keep some in eval mode
        learns = any(isinstance(module, nn.BatchNorm1d) and module.training for module in modules)
    if learns and not any(isinstance(module, nn.Conv1d) for module in modules):
        raise ValueError(
            f"batch_size must leave no last batch of one example, of which BatchNorm1d knows no spread; got {size} for "
            f"{examples} examples. Take another, or a DataLoader with drop_last=True"
        )


def _count_examples(batches: ShuffledBatches | DataLoader) -> int | None:
    if isinstance(batches, ShuffledBatches):
        return len(batches.tensors[0])
    try:
        return len(batches.sampler)
    except TypeError:  # a sampler, or an iterable, of unknown length
        return None


class Batch(NamedTuple):
    """A batch of labelled examples, as `HardLabels` and `Distillation` read it.

    inputs: what the model is called on, a tensor, a list of them, or a dict of its keyword arguments. labels: int64 of shape
    (...), or probabilities (..., num_classes), which are read for accuracy only. teacher_logits: (..., num_classes) where they
    travel with the batch, else None.
    """

    inputs: Tensor | dict
    labels: Tensor
    teacher_logits: Tensor | None = None


def read_batch(batch) -> Batch:
    """Read columns (inputs, labels[, teacher logits]), or a dict with "labels", perhaps "teacher_logits", and inputs by name.

    Labels are taken as they stand: a causal language model needs them shifted by one position, since each row of its logits
    is about the token after it. Raises ValueError for any other form.
    """
    if isinstance(batch, Mapping) and "labels" in batch and len(batch) > 1:
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "teacher_logits")}
        return Batch(inputs, batch["labels"], batch.get("teacher_logits"))
    if isinstance(batch, list | tuple) and len(batch) in (2, 3):
        return Batch(*batch)
    got = f"{len(batch)} columns" if isinstance(batch, list | tuple) else f"a {type(batch).__name__}"
    if isinstance(batch, Mapping):
        got = f"a dict of {', '.join(map(repr, batch)) or 'nothing'}"
    raise ValueError(
        "data must have columns inputs, labels and, if wanted, teacher logits, or give dicts with 'labels' and the model's "
        f"inputs by name; got {got}"
    )


def batches_in_order(data: TensorDataset | DataLoader, batch_size: int):
    """Iterate over the batches of a TensorDataset in its order, or over those of a DataLoader."""
    if isinstance(data, TensorDataset) and not makes_examples(data):
        return zip(*(tensor.split(batch_size) for tensor in data.tensors), strict=True)
    if isinstance(data, TensorDataset | DataLoader):
        return data if isinstance(data, DataLoader) else DataLoader(data, batch_size)
    raise TypeError(f"data must be a TensorDataset or a DataLoader, got {type(data).__name__}")


def to_device(batch, device: torch.device):
    """Return the batch on `device`: a tensor, or a list, tuple or dict of what can be moved; anything else as it is."""
    if isinstance(batch, Tensor):  # from pinned memory a GPU fetches it while the CPU goes on; what the CPU gets must be there
        return batch.to(device, non_blocking=device.type != "cpu")
    if isinstance(batch, Mapping):
        return {name: to_device(value, device) for name, value in batch.items()}
    if isinstance(batch, PackedSequence):  # a part of it stays on the CPU
        return batch.to(device)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):  # a named one
        return type(batch)(*(to_device(value, device) for value in batch))
    return [to_device(value, device) for value in batch] if isinstance(batch, list | tuple) else batch
