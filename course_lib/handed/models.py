"""Models by name: built, filled from a file of weights, read off what inputs they want, given another head."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.basics import check_positive_int, device_of, eval_mode
from course_lib.batches import read_batch, to_device
from course_lib.calling import call, logits_of
from course_lib.handed.weights import differences, fit_names, read_weights
from course_lib.history import History
from course_lib.loops import HardLabels, fit
from course_lib.schedules import cosine

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation of pixels from 0 to 1, where none are declared


class Columns(nn.Module):
    """A model of which only some outputs are read, in another order: logits (n, len(columns)), as `check_pair` names them."""

    def __init__(self, model: nn.Module, columns: Sequence[int]):
        super().__init__()
        if not columns or min(columns) < 0:
            raise ValueError(f"columns must be outputs of the model, counted from 0, one for each class; got {list(columns)}")
        self.model, self.columns = model, list(columns)

    def forward(self, inputs: Tensor) -> Tensor:
        logits = logits_of(self.model, inputs)
        if max(self.columns) >= logits.shape[1]:
            raise ValueError(f"columns must be below {logits.shape[1]}, the model's outputs; got {max(self.columns)}")
        return logits[:, self.columns]


def build_model(name: str, num_classes: int | None = None) -> nn.Module:
    """Return an untrained model: `resnet18`, a name of torchvision, or `timm:NAME`, a name of timm.

    num_classes: its outputs; without, as many as its own weights have. Raises ValueError for a name that is not known, and
    for timm's without `timm`.
    """
    given = {} if num_classes is None else {"num_classes": num_classes}
    try:
        if name.startswith("timm:"):
            from timm import create_model

            return create_model(name.removeprefix("timm:"), pretrained=False, **given)
        from torchvision.models import get_model

        return get_model(name, weights=None, **given)
    except (ValueError, RuntimeError, ImportError) as error:
        ways = "a name of torchvision, such as resnet18; timm:NAME, of timm; or, of a teacher, hf:FOLDER, of Hugging Face"
        raise ValueError(f"a model must be {ways}. Got {name!r}: {error}") from error


def load_teacher(name: str, file: str | PathLike = "") -> nn.Module:
    """Return a model filled from a file of weights, with as many outputs as the file has, in eval mode on the CPU.

    name, file: as `build_model` and `read_weights` take them; or `hf:FOLDER` without a file, for what Hugging Face's
    save_pretrained wrote. Every name and every shape must fit: only the number of classes is read from the file. Raises
    FileNotFoundError, or ValueError that names what differs.
    """
    if name.startswith("hf:"):
        return _from_hugging_face(name.removeprefix("hf:"), file)
    if not file:
        raise ValueError(f"weights must name the file of what {name} has learned, got none: without it, it knows nothing")
    return _filled(build_model(name), name, file, partial(build_model, name)).eval()


def load_student(student: str | nn.Module, num_classes: int, file: str | PathLike = "") -> nn.Module:
    """Return a student with num_classes outputs, in train mode on the CPU: untrained, or filled from a file of weights.

    student: a name, as `build_model` takes it, or a model with num_classes outputs. file: as `read_weights` takes it. Where it
    has another number of outputs, the last linear layer is replaced by an untrained one; every other name and shape must fit.
    Raises as `load_teacher` does.
    """
    if not file:
        return build_model(student, num_classes) if isinstance(student, str) else student.train()
    if isinstance(student, str):
        student = load_teacher(student, file)
    else:
        student = _filled(student, f"the student, a {type(student).__name__}", file, partial(with_new_head, student))
    if student.get_submodule(name_of_head(student)).out_features != num_classes:
        student = with_new_head(student, num_classes)
    return student.train()


def _filled(model: nn.Module, whose: str, file: str | PathLike, resized: Callable[[int], nn.Module]) -> nn.Module:
    """Fill a model from a file of weights; where this has another number of outputs, the model that `resized` makes for it."""
    head, weights = name_of_head(model), read_weights(file)
    weights = fit_names(weights, model.state_dict(), head)
    outputs = weights.get(f"{head}.weight")
    if outputs is not None and len(outputs) != len(model.state_dict()[f"{head}.weight"]):
        model = resized(len(outputs))
    if found := differences(weights, model.state_dict()):
        raise ValueError(f"weights must be those of {whose}; {file} differs. {found}")
    model.load_state_dict(weights)
    return model


def inputs_of(name: str, *, size: int = 0, mean: str = "", std: str = "") -> dict:
    """Return which inputs a model wants: {"size": in pixels, "mean": (r, g, b), "std": (r, g, b)}, of pixels from 0 to 1.

    What is given counts, mean and std as text such as "0.5,0.5,0.5". The rest is what the name declares: torchvision's own
    weights, timm's configuration, Hugging Face's preprocessor_config.json; else 224 and ImageNet's mean and deviation. Who
    trained the model may have used others: then ask. Raises ValueError for a mean or std that is not 1 or 3 numbers.
    """
    found = {"size": 224, "mean": IMAGENET[0], "std": IMAGENET[1]} | _declared(name)
    given = {"size": size, "mean": _numbers("mean", mean), "std": _numbers("std", std)}
    return found | {key: value for key, value in given.items() if value}


def name_of_head(model: nn.Module) -> str:
    """Return the name of the last linear layer, which the classes are read from. ValueError where there is none."""
    found = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name]
    if not found:
        raise ValueError(f"the model must end in a linear layer inside of it, got a {type(model).__name__} without one")
    return found[-1]


def with_new_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Return the model itself, its last linear layer replaced by an untrained one with num_classes outputs."""
    check_positive_int("num_classes", num_classes)
    above, _, last = name_of_head(model).rpartition(".")
    parent = model.get_submodule(above)
    old = getattr(parent, last)
    new = nn.Linear(old.in_features, num_classes, bias=old.bias is not None)
    setattr(parent, last, new.to(old.weight))
    return model


def learn_head(
    model: nn.Module, data: DataLoader, *, kept: str | PathLike = "", passes: int = 3, epochs: int = 50, lr: float = 3e-3
) -> History:
    """Train the last linear layer alone, on labels, and return its `History`; all other layers stay as they are, bit by bit.

    What goes into the head is noted in eval mode while the model reads the data `passes` times, each time with other
    augmentation; then the head learns from that for `epochs`, which takes seconds. So the statistics of batch normalisation
    stay, too. data: batches of inputs and labels (n,). kept: a file for the whole model's state_dict, written at the end
    unless Ctrl-C came first; where it is there already, it is read instead, and the history is an empty one. Raises
    ValueError for a model without a linear layer inside of it.
    """
    if kept and Path(kept).exists():
        model.load_state_dict(read_weights(kept))
        return History()
    head = model.get_submodule(name_of_head(model))
    history = fit(head, _into(head, model, data, passes), HardLabels(), epochs=epochs, lr=cosine(lr, 0.0), batch_size=64)
    if kept and not history.stopped_early:
        torch.save(model.state_dict(), kept)
    return history


def _into(head: nn.Module, model: nn.Module, data: DataLoader, passes: int) -> TensorDataset:
    """What goes into the head for all batches, and their labels."""
    device, features, labels = device_of(model), [], []
    hook = head.register_forward_pre_hook(lambda _, given: features.append(given[0].detach().float()))
    try:
        with eval_mode(model):
            for _ in range(passes):
                for batch in data:
                    inputs, seen, _ = read_batch(to_device(batch, device))
                    call(model, inputs)
                    labels.append(seen)
    finally:
        hook.remove()
    return TensorDataset(torch.cat(features), torch.cat(labels))


def _from_hugging_face(folder: str, file: str | PathLike) -> nn.Module:
    if file or not (Path(folder) / "config.json").is_file():
        got = f"a file as well, {file}" if file else f"{folder}, which has no config.json"
        raise ValueError(f"hf: must name a folder that save_pretrained wrote, which holds the weights, too; got {got}")
    from transformers import AutoModelForImageClassification

    return AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()


def _declared(name: str) -> dict:
    if name.startswith("hf:"):
        return _of_hugging_face(Path(name.removeprefix("hf:")))
    if name.startswith("timm:"):
        from timm.models import get_pretrained_cfg

        said = get_pretrained_cfg(name.removeprefix("timm:"))
        return {"size": said.input_size[-1], "mean": tuple(said.mean), "std": tuple(said.std)} if said else {}
    from torchvision.models import get_model_weights

    said = get_model_weights(name).DEFAULT.transforms()
    return {"size": said.crop_size[-1], "mean": tuple(said.mean), "std": tuple(said.std)}


def _of_hugging_face(folder: Path) -> dict:
    files = [folder / "config.json", folder / "preprocessor_config.json"]  # save_pretrained of a model writes the first alone
    model, images = (json.loads(file.read_text("utf8")) if file.is_file() else {} for file in files)
    size = model.get("image_size")
    found = {"size": size if isinstance(size, int) else None, "mean": images.get("image_mean"), "std": images.get("image_std")}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items() if value}


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in text.split(",")) if text else ()
    except ValueError:
        found = (0.0, 0.0)
    if len(found) not in (0, 1, 3) or (name == "std" and min(found, default=1) <= 0):
        raise ValueError(f"{name} must be 1 or 3 numbers with commas between them, such as 0.5,0.5,0.5; got {text!r}")
    return found * 3 if len(found) == 1 else found
