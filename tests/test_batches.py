"""Batches: a last one of a single example is told, and anything that holds tensors is moved."""

from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, IterableDataset, TensorDataset

from course_lib.batches import batches_in_order, to_device, training_batches
from course_lib.loops import HardLabels, fit, with_teacher_logits


def examples(n):
    return TensorDataset(torch.randn(n, 4, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3)


def normalised():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


@pytest.mark.parametrize("loader", [False, True])
def test_a_last_batch_of_one_under_batchnorm_is_told_before_the_first_step(loader):
    model, data = normalised(), DataLoader(examples(129), batch_size=128) if loader else examples(129)
    before = model[1].running_mean.clone()
    with pytest.raises(ValueError, match=r"batch_size must leave no last batch of one example, .* got 128 for 129 examples"):
        fit(model, data, HardLabels(), epochs=1)
    assert torch.equal(model[1].running_mean, before)
    with pytest.raises(ValueError, match="got 1 for 6 examples"):
        fit(model, examples(6), HardLabels(), epochs=1, batch_size=1)


def test_a_last_batch_of_one_is_fine_where_it_can_be_learned_from():
    for data in (examples(130), DataLoader(examples(129), batch_size=128, drop_last=True)):
        assert fit(normalised(), data, HardLabels(), epochs=1).epochs == 1
    assert fit(nn.Linear(4, 3), examples(129), HardLabels(), epochs=1).steps == 2

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(*examples(8).tensors, strict=True))

        def __len__(self):
            return 8

    assert fit(normalised(), DataLoader(Stream(), batch_size=4), HardLabels(), epochs=1).steps == 2


def test_a_last_batch_of_one_is_fine_where_one_example_has_a_spread():
    data = TensorDataset(torch.randn(9, 2, 12), torch.arange(9) % 3)
    along = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(40, 3))
    assert fit(along, data, HardLabels(), epochs=1, batch_size=4).steps == 3

    class Frozen(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].eval()
            return self

    frozen = Frozen(*normalised())
    assert fit(frozen, examples(9), HardLabels(), epochs=1, batch_size=4).steps == 3


def hard_labels_of(seen):
    """HardLabels, which puts the inputs of each batch into `seen`."""

    def objective(student, batch, progress):
        seen.append(batch[0])
        return HardLabels()(student, batch, progress)

    return objective


class Noisy(TensorDataset):
    """Makes its examples anew each time."""

    def __getitem__(self, row):
        inputs, label = super().__getitem__(row)
        Noisy.made.append(row)
        return inputs + 0.1, label


def test_a_dataset_that_makes_its_own_examples_is_asked_for_them():
    data, seen = Noisy(*examples(10).tensors), []
    Noisy.made = []

    fit(nn.Linear(4, 3), data, hard_labels_of(seen), epochs=2, batch_size=4)
    orders = Noisy.made[:10], Noisy.made[10:]
    assert orders[0] != orders[1]
    assert all(sorted(order) == list(range(10)) for order in orders)
    torch.testing.assert_close(torch.cat(seen[:3]), data.tensors[0][orders[0]] + 0.1)
    torch.testing.assert_close(torch.cat([x for x, _ in batches_in_order(data, 4)]), data.tensors[0] + 0.1)

    class Labelled(TensorDataset):
        def __getitem__(self, row):
            return self.tensors[0][row], row % 3

    assert fit(nn.Linear(4, 3), data, HardLabels(), epochs=1, validation=Labelled(data.tensors[0])).epochs == 1
    with pytest.raises(TypeError, match="dataset must be a TensorDataset whose examples stay what they are, got Noisy"):
        with_teacher_logits(nn.Linear(4, 3), data)


def test_a_sampler_of_epochs_is_told_which_it_is():
    sampler = DistributedSampler(examples(12), num_replicas=2, rank=0, seed=1)
    seen = []

    ways = DataLoader(examples(12), 6, sampler=sampler), DataLoader(examples(12), batch_sampler=BatchSampler(sampler, 6, False))
    for data in ways:
        fit(nn.Linear(4, 3), data, hard_labels_of(seen), epochs=2)
        assert not torch.equal(*seen)
        seen.clear()


def test_each_epoch_has_every_row_once_in_another_order():
    batches = training_batches(examples(10), 4, 0, torch.device("cpu"))
    first, second = (torch.cat([batch[0] for batch in batches]) for _ in range(2))
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    assert not torch.equal(first, second)
    for rows in (first, second):
        assert torch.equal(rows.sort(0).values, examples(10).tensors[0].sort(0).values)


def test_whatever_holds_tensors_is_moved_and_the_rest_is_left():
    batch = {"x": torch.ones(2), "more": [torch.zeros(1), ("a", 3)]}
    moved = to_device(batch, torch.device("meta"))
    assert moved["x"].is_meta
    assert moved["more"][0].is_meta
    assert moved["more"][1] == ["a", 3]


def test_a_named_tuple_and_a_packed_sequence_stay_what_they_are():
    class Pair(NamedTuple):
        first: torch.Tensor
        name: str

    moved = to_device(Pair(torch.ones(2), "a"), torch.device("meta"))
    assert isinstance(moved, Pair)
    assert (moved.first.is_meta, moved.name) == (True, "a")
    packed = pack_sequence([torch.ones(3), torch.ones(2)])
    assert to_device(packed, torch.device("cpu")).batch_sizes.tolist() == [2, 2, 1]
    assert to_device([packed], torch.device("cpu"))[0].data.tolist() == [1.0] * 5


def test_order_is_kept_and_other_data_is_told():
    assert torch.equal(torch.cat([x for x, _ in batches_in_order(examples(5), 2)]), examples(5).tensors[0])
    with pytest.raises(TypeError, match="data must be a TensorDataset or a DataLoader, got list"):
        batches_in_order([1], 2)
