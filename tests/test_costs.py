"""What a model costs: counted values against those worked out by hand, times by a clock that the test sets."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from course_lib.deploy import costs
from course_lib.deploy.costs import bytes_for_backward, measure_latency, multiply_adds, peak_memory, serialised
from course_lib.deploy.onnx_models import OnnxModel, to_onnx, why_unavailable
from course_lib.models import Teacher, new_student

IMAGES = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
onnx_here = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable() or "all is there")


class Clock(nn.Module):
    """A model that takes `durations` of seconds, one after the other and again from the start, on a clock of its own."""

    now = 0.0

    def __init__(self, *durations):
        super().__init__()
        self.durations, self.calls, self.threads, self.modes = durations, 0, set(), set()

    def forward(self, inputs):
        Clock.now += self.durations[self.calls % len(self.durations)] * len(inputs)
        self.calls += 1
        self.threads.add(torch.get_num_threads())
        self.modes.add((self.training, torch.is_grad_enabled()))
        return torch.zeros(len(inputs), 10)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    Clock.now = 0.0
    monkeypatch.setattr(costs.time, "perf_counter", lambda: Clock.now)


# ---- counted ----


def by_hand(width):
    return 28 * 28 * 9 * width + 14 * 14 * 9 * width * 2 * width + 2 * width * 7 * 7 * 10


@pytest.mark.parametrize("width", [2, 8, 16])
@pytest.mark.parametrize("batch", [1, 4])
def test_multiply_adds_of_a_student(width, batch):
    assert multiply_adds(new_student(width), IMAGES[:batch]) == batch * by_hand(width)


def test_multiply_adds_of_the_teacher():
    sizes = [(28, 1, 16), (28, 16, 32), (14, 32, 64), (14, 64, 64), (7, 64, 128), (7, 128, 128)]
    assert multiply_adds(Teacher(), IMAGES[:1]) == sum(side**2 * 9 * a * b for side, a, b in sizes) + 128 * 10


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_law_multiply_adds_of_a_linear_layer(rows, inputs, outputs):
    assert multiply_adds(nn.Linear(inputs, outputs), torch.zeros(rows, inputs)) == rows * inputs * outputs


class Steps(nn.Module):
    """Holds at most three tensors of the size of its input, and in the end a sum: what is in place or a view is no new one."""

    def forward(self, x):
        a = x + 1
        b = a * 2
        c = (a + b).view(-1)
        del a
        return c.add_(1).reshape(x.shape) - b.sum()


def test_peak_memory_counts_what_lives_at_the_same_time():
    size = 4 * 1000
    assert peak_memory(Steps(), torch.zeros(10, 100)) == 3 * size + 4
    chain = nn.Sequential(*[nn.Identity()] * 3, nn.Softplus(), nn.Softplus(), nn.Softplus())
    assert peak_memory(chain, torch.zeros(10, 100)) == 2 * size  # of a chain no more than one step's input and output
    assert peak_memory(nn.Identity(), torch.zeros(10, 100)) == 0
    assert peak_memory(nn.ReLU(inplace=True), torch.zeros(10, 100)) == 0


def test_peak_memory_grows_with_the_batch_and_the_width():
    assert peak_memory(new_student(8), IMAGES) == 2 * peak_memory(new_student(8), IMAGES[:4])
    # At the first pooling: the input channels last, the convolution's output, and the pooled values with their places (int64).
    image, first, pooled = 28 * 28, 28 * 28 * 8, 14 * 14 * 8
    assert peak_memory(new_student(8), IMAGES[:1]) == 4 * image + 4 * first + (4 + 8) * pooled


def test_serialised_is_what_torch_reads_back(tmp_path):
    student = new_student(4)
    (tmp_path / "student.pt").write_bytes(serialised(student))
    state = torch.load(tmp_path / "student.pt", weights_only=True)
    assert all(torch.equal(state[name], tensor) for name, tensor in student.state_dict().items())


# ---- timed ----


def test_median_and_percentiles_of_known_times():
    # Whole numbers of 1/1024 s add up without rounding. Batch 2 takes twice as long.
    model = Clock(*(step / 1024 for step in range(1, 102)))
    latency = measure_latency({"m": model}, IMAGES, batch_sizes=(1, 2), seconds=5 * 101 * 51 / 1024)["m"]
    assert list(latency) == [1, 2]
    assert latency[1].median == pytest.approx(51 / 1024, rel=0.05)
    assert latency[1].low == pytest.approx(6 / 1024, rel=0.25)
    assert latency[1].high == pytest.approx(96 / 1024, rel=0.05)
    assert latency[1].low < latency[1].median < latency[1].high
    assert latency[2].median == pytest.approx(2 * latency[1].median, rel=0.15)


def test_the_first_calls_do_not_count():
    model = Clock(5.0, 3.0, *[0.25] * 10_000)
    found = measure_latency({"m": model}, IMAGES, batch_sizes=(1,), seconds=10)["m"][1]
    assert (found.low, found.median, found.high) == (0.25, 0.25, 0.25)
    assert found.calls == 40  # 10 s of a quarter each
    assert model.calls > found.calls + 2 * costs.ROUNDS - 1


def test_warming_up_lasts_a_tenth_of_the_time():
    model = Clock(0.25)
    measure_latency({"m": model}, IMAGES, batch_sizes=(1,), seconds=500)
    assert model.calls == costs.ROUNDS * (40 + 400)


def test_a_slow_model_is_called_once_a_round():
    model = Clock(100.0)
    assert measure_latency({"m": model}, IMAGES, batch_sizes=(1,), seconds=0.1)["m"][1].calls == costs.ROUNDS


def test_models_take_turns():
    order = []

    class Named(Clock):
        def forward(self, inputs):
            order.append(self)
            return super().forward(inputs)

    one, two = Named(1.0), Named(1.0)
    measure_latency({"one": one, "two": two}, IMAGES, batch_sizes=(1,), seconds=5)
    switches = sum(a is not b for a, b in pairwise(order))
    assert switches == 2 * costs.ROUNDS - 1


@pytest.mark.parametrize("threads", [1, 2])
def test_timed_on_as_many_threads_as_asked_and_in_eval_mode(threads):
    before, model = torch.get_num_threads(), Clock(1.0)
    measure_latency({"m": model}, IMAGES, threads=threads, batch_sizes=(1,), seconds=1)
    assert model.threads == {threads}
    assert model.modes == {(False, False)}
    assert model.training
    assert torch.get_num_threads() == before


def test_threads_and_modes_are_restored_after_an_error():
    before, model = torch.get_num_threads(), nn.Sequential(nn.Linear(2, 2), nn.Dropout().eval())
    with pytest.raises(RuntimeError):
        measure_latency({"m": model}, IMAGES, threads=before + 1, batch_sizes=(1,), seconds=1)
    assert torch.get_num_threads() == before
    assert model.training
    assert not model[1].training


# ---- what may go in ----


def test_what_measure_latency_refuses():
    model = Clock(1.0)
    with pytest.raises(TypeError, match="models must be a dict of at least one model"):
        measure_latency({}, IMAGES)
    with pytest.raises(TypeError, match="models must be a dict"):
        measure_latency([model], IMAGES)
    with pytest.raises(TypeError, match=r"models\['m'\] must be a torch.nn.Module or an OnnxModel, got function"):
        measure_latency({"m": lambda x: x}, IMAGES)
    with pytest.raises(ValueError, match="batch_sizes must be at most the number of examples, 8; got 64"):
        measure_latency({"m": model}, IMAGES)
    with pytest.raises(ValueError, match="batch_sizes must name at least one"):
        measure_latency({"m": model}, IMAGES, batch_sizes=())
    with pytest.raises(ValueError, match="batch_sizes must be at least 1, got 0"):
        measure_latency({"m": model}, IMAGES, batch_sizes=(0,))
    with pytest.raises(ValueError, match="seconds must be above 0, got 0"):
        measure_latency({"m": model}, IMAGES, batch_sizes=(1,), seconds=0)
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        measure_latency({"m": model}, IMAGES, batch_sizes=(1,), threads=0)


@onnx_here
def test_an_onnx_model_is_timed_on_the_threads_it_was_made_with():
    model = OnnxModel(to_onnx(new_student(2), IMAGES), threads=1)
    with pytest.raises(ValueError, match=r"threads must be 1, with which models\['m'\] was made; got 2"):
        measure_latency({"m": model}, IMAGES, batch_sizes=(1,), threads=2)


def test_what_a_step_keeps_for_the_backward_pass():
    layer, rows = torch.nn.Linear(3, 4), torch.zeros(10, 3)
    # float32: the input, for the gradient of the weight; of the sigmoid its output. The weight is the model's own.
    assert bytes_for_backward(lambda: layer(rows), layer) == 4 * 10 * 3
    assert bytes_for_backward(lambda: layer(rows).sigmoid(), layer) == 4 * (10 * 3 + 10 * 4)
    assert bytes_for_backward(lambda: (layer(rows), layer(rows)), layer) == 4 * 10 * 3  # what two layers share counts once
    assert bytes_for_backward(lambda: layer(rows).sigmoid().sum().backward(), layer) == 4 * (10 * 3 + 10 * 4)
    with torch.no_grad():
        assert bytes_for_backward(lambda: layer(rows).sigmoid(), layer) == 0


def test_a_parameter_counts_where_its_model_is_not_named():
    layer, rows = torch.nn.Linear(3, 4), torch.zeros(10, 3, requires_grad=True)
    assert bytes_for_backward(lambda: layer(rows), layer) == 4 * 10 * 3
    assert bytes_for_backward(lambda: layer(rows)) == 4 * (10 * 3 + 3 * 4)
