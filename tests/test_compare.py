"""Models side by side: plain values, and the table that they are shown in. Times come from a clock that the test sets."""

import re

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import course_lib.deploy.compare as module
from course_lib.calibration import expected_calibration_error
from course_lib.deploy import costs
from course_lib.deploy.compare import compare
from course_lib.deploy.costs import peak_memory
from course_lib.deploy.onnx_models import OnnxModel, to_onnx, why_unavailable
from course_lib.metrics import accuracy
from course_lib.models import new_student

IMAGES = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 10
DATA = TensorDataset(IMAGES, LABELS)
onnx_here = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable() or "all is there")


class Clock(nn.Module):
    """A model that takes `seconds` an example, on a clock of its own."""

    now = 0.0

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def forward(self, inputs):
        Clock.now += self.seconds * len(inputs)
        return torch.zeros(len(inputs), 10)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(costs.time, "perf_counter", lambda: Clock.now)


@pytest.fixture
def table():
    return compare({"slow": Clock(0.002), "quick": Clock(0.0005)}, DATA, batch_sizes=(1, 4), seconds=0.1)


def test_compare_gives_plain_values(monkeypatch):
    class Timed(nn.Module):
        def __init__(self, model, duration):
            super().__init__()
            self.model, self.duration = model, duration

        def forward(self, images):
            Clock.now += self.duration * len(images)
            return self.model(images)

    student = new_student(8)
    cost = compare({"mine": Timed(student, 0.5)}, DATA, batch_sizes=(1, 4), seconds=1)["mine"]
    with torch.no_grad():
        z = student(IMAGES)
    assert cost.accuracy == accuracy(z, LABELS)
    assert cost.calibration_error == pytest.approx(expected_calibration_error(z.double().softmax(-1), LABELS))
    assert cost.parameters == 9_098
    assert cost.multiply_adds == 290_080
    assert cost.peak_memory == peak_memory(student, IMAGES[:4])
    assert 4 * 9_098 < cost.bytes_on_disk < 4 * 9_098 + 4_000
    assert 0.8 * cost.bytes_on_disk < cost.bytes_compressed < cost.bytes_on_disk
    assert {batch: latency.median for batch, latency in cost.latency.items()} == {1: 0.5, 4: 2.0}
    assert cost.throughput == 2


def test_zeros_show_only_once_the_file_is_compressed():
    student, zeros = new_student(8), new_student(8)
    with torch.no_grad():
        zeros.head.weight.zero_()
    full, empty = (
        compare({"m": model}, DATA, batch_sizes=(1,), seconds=1)["m"] for model in [_instant(student), _instant(zeros)]
    )
    assert empty.bytes_on_disk == full.bytes_on_disk
    assert empty.bytes_compressed < 0.3 * full.bytes_compressed


def _instant(model):
    def advance(*_):
        Clock.now += 0.25

    model.register_forward_hook(advance)
    return model


def test_the_table_prints(table):
    lines = repr(table).split("\n")
    assert lines[0].split() == ["slow", "quick"]
    words = {line.split("  ")[0]: line.split("  ")[1:] for line in lines[1:-1]}
    assert list(words) == [
        "accuracy", "calibration error", "parameters", "on disk", "on disk, compressed", "multiply-adds, one example",
        "memory beside the weights, batch 4", "time of one call, batch 1", "time of one call, batch 4",
        "examples a second, batch 4",
    ]  # fmt: skip
    assert lines[8].endswith("2 ms (2 to 2)   0.5 ms (0.5 to 0.5)")
    assert lines[10].split()[-2:] == ["500", "2,000"]
    assert lines[-1].startswith("Times: median (5th to 95th percentile) of ")
    assert "1 thread, torch" in lines[-1]
    assert len({len(line) for line in lines[:-1]}) == 1


def test_the_table_as_html_is_labelled_and_escaped():
    table = compare({"a <b>": Clock(0.25)}, DATA, batch_sizes=(1,), seconds=1)
    html = table._repr_html_()
    assert '<th scope="col">a &lt;b&gt;</th>' in html
    assert html.count("<tr>") == len(table.rows())
    assert html.count("<td>") == len(table.rows()) - 1
    assert "<caption>Times: median" in html


def test_models_may_be_named_by_numbers():
    table = compare({8: Clock(0.1), 16: Clock(0.2)}, DATA, batch_sizes=(1,), seconds=0.1)
    assert repr(table).split("\n")[0].split() == ["8", "16"]
    assert '<th scope="col">16</th>' in table._repr_html_()


def test_sizes_and_counts_are_readable():
    assert module._size(39_317) == "39.3 kB"
    assert module._size(1_151_000) == "1.15 MB"
    assert module._size(0) == "0.0 kB"
    assert module._millions(25_402_880) == "25.40 million"
    assert module._size(None) == module._millions(None) == "–"


@onnx_here
def test_an_onnx_model_stands_beside_torch_and_unknown_rows_are_left_out():
    student = new_student(4)
    with_torch = compare(
        {"torch": _instant(student), "onnx": _instant(OnnxModel(to_onnx(new_student(4), IMAGES)))},
        DATA,
        batch_sizes=(1,),
        seconds=1,
    )
    assert with_torch["onnx"].parameters == with_torch["torch"].parameters
    assert with_torch["onnx"].accuracy == with_torch["torch"].accuracy
    assert with_torch["onnx"].multiply_adds is None
    names = [row[0] for row in with_torch.rows()]
    assert "multiply-adds, one example" in names
    alone = compare({"onnx": _instant(OnnxModel(to_onnx(student, IMAGES)))}, DATA, batch_sizes=(1,), seconds=1)
    left = [row[0] for row in alone.rows()]
    assert "multiply-adds, one example" not in left
    assert len(left) == len(names) - 2
    assert re.search(r"1 thread, torch [\d.]+, onnxruntime [\d.]+\.$", with_torch.note)
    assert re.search(r"1 thread, onnxruntime [\d.]+\.$", alone.note)


# ---- what may go in ----


class Halves(nn.Module):
    """Three classes, told from one number; the logits know nothing of the rows beside it."""

    def forward(self, inputs):
        Clock.now += 0.25
        return torch.cat([inputs, 1 - inputs, 0.4 + 0 * inputs], dim=1)


NUMBERS = torch.tensor([[0.9], [0.1], [0.8], [0.3], [0.7], [0.2], [0.6], [0.45]])
CLASSES = torch.tensor([0, 1, 0, 1, 1, 1, 2, 1])  # six of eight are right


def judged(data, **settings):
    return compare({"m": Halves()}, data, **{"batch_sizes": (1, 3), "seconds": 1, **settings})["m"]


@pytest.mark.parametrize(
    "data",
    [
        (NUMBERS, CLASSES),
        [NUMBERS, CLASSES],
        TensorDataset(NUMBERS, CLASSES),
        TensorDataset(NUMBERS, CLASSES, torch.zeros(8)),
        DataLoader(TensorDataset(NUMBERS, CLASSES), batch_size=3),
        DataLoader(TensorDataset(NUMBERS, CLASSES, torch.zeros(8)), batch_size=2, shuffle=True),
        (NUMBERS.repeat(300, 1), CLASSES.repeat(300).int()),
    ],
    ids=["tuple", "list", "dataset", "a third column", "loader", "a shuffling loader", "more than one batch, int32 labels"],
)
def test_the_same_answers_whatever_the_data_comes_as(data):
    cost = judged(data)
    assert cost.accuracy == 0.75
    assert cost.calibration_error == pytest.approx(judged((NUMBERS, CLASSES)).calibration_error, abs=1e-6)
    assert list(cost.latency) == [1, 3]
    assert cost.peak_memory > 0


def test_rows_without_a_label_count_in_nothing_but_time():
    labels = CLASSES.clone()
    labels[[4, 6]] = -100  # the two that are wrong
    assert judged((NUMBERS, labels)).accuracy == 1


def test_the_examples_of_a_batch_come_from_as_many_of_the_loader_as_it_takes():
    seen = []

    class Seen(Halves):
        def forward(self, inputs):
            seen.append(inputs.flatten().tolist())
            return super().forward(inputs)

    compare({"m": Seen()}, DataLoader(TensorDataset(NUMBERS, CLASSES), batch_size=2), batch_sizes=(5,), seconds=1)
    assert [round(x, 2) for x in max(seen, key=len)] == [0.9, 0.1, 0.8, 0.3, 0.7]


def test_compare_leaves_models_as_they_were():
    model = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Dropout().eval())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    compare({"m": _instant(model)}, (NUMBERS, CLASSES), batch_sizes=(1, 4), seconds=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert not model[2].training


class Gives(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, inputs):
        return self.output(inputs)


class Diverged(Halves):
    def forward(self, inputs):
        return super().forward(inputs) * torch.nan


@pytest.mark.parametrize(
    ("models", "data", "error", "message"),
    [
        ({}, DATA, TypeError, "models must be a dict of at least one model"),
        (Halves(), DATA, TypeError, "models must be a dict of at least one model"),
        ({"m": Halves}, DATA, TypeError, r"models\['m'\] must be a torch.nn.Module or an OnnxModel, got the class Halves"),
        ({"m": Halves()}, IMAGES, TypeError, "data must be .inputs, labels., a TensorDataset.* or a DataLoader.*; got Tensor"),
        ({"m": Halves()}, (NUMBERS, [0] * 8), TypeError, "data must be .*; got a tuple of Tensor, list"),
        ({"m": Halves()}, (), TypeError, "data must be .*; got a tuple of nothing"),
        ({"m": Halves()}, TensorDataset(NUMBERS), TypeError, "data must be .*; got a TensorDataset of 1 column"),
        ({"m": Halves()}, (NUMBERS, CLASSES[:7]), ValueError, "a label for each input, got 8 inputs and 7 labels"),
        ({"m": Halves()}, (NUMBERS[:0], CLASSES[:0]), ValueError, "data must hold at least one example, got none"),
        ({"m": Halves()}, DataLoader(NUMBERS), TypeError, "data must give batches of inputs and labels, got a Tensor"),
        ({"m": Halves()}, (NUMBERS, CLASSES.double()), ValueError, "integer labels .n,., got torch.float64 of shape .8,."),
        ({"m": Halves()}, (NUMBERS, CLASSES[:, None]), ValueError, "integer labels .n,., got torch.int64 of shape .8, 1."),
        ({"m": Halves()}, (NUMBERS, CLASSES + 1), ValueError, r"labels must be from 0 to 2, .* models\['m'\] has; got 1 to 3"),
        ({"m": Halves()}, (NUMBERS, CLASSES - 1), ValueError, "labels must be from 0 to 2, .* got -1 to 1"),
        ({"m": Halves()}, (NUMBERS, CLASSES * 0 - 100), ValueError, "data must hold at least one row with a label, got none"),
        ({"m": Gives(lambda x: (x, x))}, (NUMBERS, CLASSES), TypeError, r"models\['m'\] must give a tensor .*, got tuple"),
        ({"m": Gives(lambda x: x[:, 0])}, (NUMBERS, CLASSES), ValueError, r"must give logits .*, gave \(1,\) for one example"),
        ({"good": Halves(), "m": Diverged()}, (NUMBERS, CLASSES), ValueError, r"models\['m'\] must give numbers, gave NaN"),
        ({"m": Gives(lambda x: x[0])}, (NUMBERS, CLASSES), ValueError, r"must give logits .*, gave \(1,\) for one example"),
    ],
)
def test_what_compare_refuses(models, data, error, message):
    with pytest.raises(error, match=message):
        compare(models, data, batch_sizes=(1, 4), seconds=1)


def test_what_compare_refuses_of_its_settings():
    with pytest.raises(ValueError, match="batch_sizes must be at most the number of examples, 8; got 64"):
        judged((NUMBERS, CLASSES), batch_sizes=(1, 64))
    with pytest.raises(ValueError, match="batch_sizes must name at least one"):
        judged((NUMBERS, CLASSES), batch_sizes=())
    with pytest.raises(ValueError, match=r"batch_sizes must name at least one batch size, .*; got 64"):
        judged((NUMBERS, CLASSES), batch_sizes=64)
    with pytest.raises(TypeError, match="batch_sizes must be an int, got float"):
        judged((NUMBERS, CLASSES), batch_sizes=(1.5,))
    with pytest.raises(ValueError, match="seconds must be above 0, got -1"):
        judged((NUMBERS, CLASSES), seconds=-1)
