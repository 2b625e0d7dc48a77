"""A model as an ONNX file: written from torch, run by onnxruntime, its weights and activations quantized to 8 bits.

The packages that this takes are an extra, `production`: nothing else in the course needs them, so each is imported where
it is used.
"""

import importlib.util
import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from course_lib.basics import device_of, eval_mode

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OLDEST_TORCH = (2, 6)  # the first whose torch.onnx.export takes a torch.export program and keeps the weights in one file


def why_unavailable() -> str:
    """Return what is missing for ONNX here and how to get it, in words; an empty string where all is there."""
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        return f"ONNX needs {', '.join(lacking)}, not installed here. To get it, run: %pip install {' '.join(lacking)}"
    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST_TORCH:
        return f"Writing ONNX needs torch {'.'.join(map(str, OLDEST_TORCH))} or newer, here is {torch.__version__}."
    return ""


class OnnxModel(nn.Module):
    """An ONNX model run by onnxruntime on the CPU: called like the torch module, from a tensor to the tensor of logits.

    file: a path, or the content of one. threads: how many a call may use. Raises ImportError, with what to install,
    wherever `why_unavailable` has something to say.
    """

    def __init__(self, file: str | Path | bytes, threads: int = 1):
        super().__init__()
        _check_installed()
        import onnx
        import onnxruntime

        self.content = bytes(file) if isinstance(file, bytes) else Path(file).read_bytes()
        self.threads = threads
        self.num_parameters = _count_weights(onnx.load_from_string(self.content).graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])

    def forward(self, inputs: Tensor) -> Tensor:
        (name,) = (each.name for each in self.session.get_inputs())
        return torch.from_numpy(self.session.run(None, {name: inputs.detach().cpu().numpy()})[0]).to(inputs.device)


def to_onnx(model: nn.Module, example: Tensor) -> bytes:
    """Return the content of an ONNX file that computes what `model` does in eval mode, for batches of any size.

    example: a batch of at least two inputs: torch.export takes a size of 1 for a constant. The model is left as it was.
    """
    _check_installed()
    if len(example) < 2:
        raise ValueError(f"example must be a batch of at least two inputs, got {len(example)}")
    example = example.detach().to(device_of(model))
    with eval_mode(model):
        program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about itself
        exported = torch.onnx.export(program, (), dynamo=True, verbose=False).model_proto
    _forget_origin(exported)
    return exported.SerializeToString()


def quantize(content: bytes, examples: Sequence[Tensor]) -> bytes:
    """Return the ONNX model `content` with weights and activations of 8 bits (static quantization, QDQ format).

    examples: batches of inputs; the range of every activation is taken from them (Jacob et al. 2018, arXiv:1712.05877).
    Each output channel has a scale of its own.
    """
    _check_installed()
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load_from_string(content).graph.input[0].name

    class Examples(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter([{name: batch.detach().cpu().numpy()} for batch in examples])

        def get_next(self):
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder) / f"{stage}.onnx" for stage in ("source", "prepared", "target"))
        source.write_bytes(content)
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)  # that is for transformers
        quantization.quantize_static(str(prepared), str(target), Examples(), per_channel=True)
        quantized = onnx.load(target)
    _forget_origin(quantized)
    return quantized.SerializeToString()


def _forget_origin(model) -> None:
    """Take out what the exporter notes of where each node comes from, paths on this machine among it: half of a small file."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        del part.metadata_props[:]
    for part in (graph, *graph.node, *graph.initializer):
        part.doc_string = ""
    del graph.value_info[:]


def _count_weights(graph) -> int:
    """Return how many numbers of the graph were trained: no shapes, nor scales and zero points of what is quantized."""
    scaling = {"QuantizeLinear", "DequantizeLinear"}
    other = {name for node in graph.node if node.op_type in scaling for name in node.input[1:]}
    other |= {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    return sum(math.prod(weight.dims) for weight in graph.initializer if weight.name not in other)


def _check_installed() -> None:
    if reason := why_unavailable():
        raise ImportError(reason)
