"""ONNX files against the torch modules that they came from."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib.deploy import onnx_models
from course_lib.deploy.onnx_models import PACKAGES, OnnxModel, quantize, to_onnx, why_unavailable
from course_lib.metrics import agreement
from course_lib.models import new_student, pretrained_teacher

IMAGES = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
onnx_here = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable() or "all is there")


@pytest.fixture(scope="module")
def content():
    return to_onnx(new_student(8, seed=1), IMAGES[:2])


@onnx_here
@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_the_same_answers_at_every_batch_size(content, batch):
    with torch.no_grad():
        expected = new_student(8, seed=1)(IMAGES[:batch])
    assert torch.allclose(OnnxModel(content)(IMAGES[:batch]), expected, atol=1e-5)


@onnx_here
def test_the_teacher_is_exported_in_eval_mode_and_left_as_it_was():
    teacher = pretrained_teacher().train()
    teacher.features[3].eval()
    statistics = {name: buffer.clone() for name, buffer in teacher.named_buffers()}
    exported = OnnxModel(to_onnx(teacher, IMAGES[:2]))
    assert teacher.training
    assert teacher.head[0].training
    assert not teacher.features[3].training
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in teacher.named_buffers())
    with torch.no_grad():
        assert torch.allclose(exported(IMAGES), teacher.eval()(IMAGES), atol=1e-3)


@onnx_here
def test_inputs_that_want_a_gradient_are_taken_as_numbers(content):
    x = IMAGES[:8].clone().requires_grad_()
    assert torch.equal(OnnxModel(content)(x), OnnxModel(content)(IMAGES[:8]))
    assert quantize(content, [x]) == quantize(content, [IMAGES[:8]])
    assert to_onnx(new_student(8, seed=1), x) == content


@onnx_here
def test_the_example_goes_to_where_the_model_is(monkeypatch):
    def export(model, examples, **_):
        raise InterruptedError(examples[0].device)  # a model without numbers can't be exported any further

    monkeypatch.setattr(torch.export, "export", export)
    with pytest.raises(InterruptedError, match="meta"):
        to_onnx(nn.Linear(3, 2, device="meta"), torch.zeros(2, 3))


@onnx_here
def test_a_file_is_read_from_a_path_too(content, tmp_path):
    path = tmp_path / "student.onnx"
    path.write_bytes(content)
    assert torch.equal(OnnxModel(path)(IMAGES), OnnxModel(content)(IMAGES))
    assert torch.equal(OnnxModel(str(path))(IMAGES), OnnxModel(content)(IMAGES))


@onnx_here
def test_the_file_is_whole_small_and_names_no_path_of_this_machine(content):
    assert 4 * 9_098 < len(content) < 4 * 9_098 + 3_000
    assert not re.search(rb"stack_trace|site-packages|\.py\b|/tmp/|/home/", content)


@onnx_here
def test_eight_bits_take_a_quarter_and_keep_the_answers(content):
    light = quantize(content, [IMAGES[:32], IMAGES[32:]])
    assert len(light) < len(content) / 2
    assert not re.search(rb"stack_trace|site-packages|/tmp/", light)
    z, whole = OnnxModel(light)(IMAGES), OnnxModel(content)(IMAGES)
    assert not torch.equal(z, whole)
    assert (z - whole).abs().max() < 0.05 * (whole.max() - whole.min())
    assert agreement(z, whole) > 0.9
    assert len(quantize(to_onnx(new_student(16), IMAGES[:2]), [IMAGES])) < 0.35 * len(to_onnx(new_student(16), IMAGES[:2]))


@onnx_here
def test_each_output_channel_is_quantized_with_a_scale_of_its_own(content):
    import onnx

    graph = onnx.load_from_string(quantize(content, [IMAGES])).graph
    sizes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    scales = [sizes[node.input[1]] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in sizes]
    assert {(8,), (16,)} <= set(scales)  # of the two convolutions


@onnx_here
def test_the_weights_are_counted_and_nothing_else(content):
    assert OnnxModel(content).num_parameters == 9_098
    assert OnnxModel(quantize(content, [IMAGES])).num_parameters == 9_098


class Modal(nn.Linear):
    """Answers otherwise in training, as networks with auxiliary heads do."""

    def forward(self, x):
        return -super().forward(x) if self.training else super().forward(x)


@onnx_here
def test_what_is_exported_is_the_answer_in_eval_mode():
    model, x = Modal(3, 2).train(), torch.randn(4, 3)
    exported = OnnxModel(to_onnx(model, x))
    assert model.training
    assert torch.allclose(exported(x), -model(x).detach(), atol=1e-6)


class Scaled(nn.Module):
    """Its parameter is named as the scales of quantized models are."""

    def __init__(self):
        super().__init__()
        self.linear, self.logit_scale = nn.Linear(3, 2), nn.Parameter(torch.tensor([2.0]))

    def forward(self, x):
        return self.linear(x) * self.logit_scale


@onnx_here
def test_a_parameter_that_is_called_scale_is_counted():
    assert OnnxModel(to_onnx(Scaled(), torch.zeros(2, 3))).num_parameters == 9


@onnx_here
def test_an_example_of_one_is_refused():
    with pytest.raises(ValueError, match="example must be a batch of at least two inputs, got 1"):
        to_onnx(new_student(), IMAGES[:1])


def test_what_is_missing_is_said_in_words(monkeypatch):
    found = {"onnx": object(), "onnxscript": None, "onnxruntime": None}
    monkeypatch.setattr(onnx_models.importlib.util, "find_spec", found.get)
    expected = "ONNX needs onnxscript, onnxruntime, not installed here. To get it, run: %pip install onnxscript onnxruntime"
    assert why_unavailable() == expected
    for call in (lambda: to_onnx(new_student(), IMAGES), lambda: quantize(b"", []), lambda: OnnxModel(b"")):
        with pytest.raises(ImportError, match="ONNX needs onnxscript"):
            call()


def test_the_extra_is_what_the_module_needs():
    lines = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf8").split("production = [")[1].split("]")[0]
    assert tuple(re.findall(r'"([a-z]+)>=[\d.]+",? +# \w+', lines)) == PACKAGES


def test_a_torch_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr(onnx_models.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert why_unavailable() == "Writing ONNX needs torch 2.6 or newer, here is 2.5.1+cpu."
    monkeypatch.setattr(torch, "__version__", "2.10.0a0+git")
    assert why_unavailable() == ""


def test_importing_the_module_pulls_in_none_of_the_packages():
    names = "('onnx', 'onnxscript', 'onnxruntime')"
    code = f"import sys, course_lib.deploy.compare; print([n for n in {names} if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
