"""Files of weights: numbers by name, found in what training scripts wrap around them, and never a program that runs."""

import hashlib
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

WRAPPERS = ("state_dict", "model_state_dict", "model", "weights", "net")  # under which checkpoints keep the state_dict
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")  # of DataParallel, torch.compile, Lightning and scripts like its
ASK = "Ask for torch.save(model.state_dict(), 'weights.pt'), or for a .safetensors file"


def read_weights(path: str | PathLike) -> dict[str, Tensor]:
    """Return the weights in a file, name -> tensor on the CPU, without what a checkpoint wraps around them.

    A .safetensors file is numbers by its format. Any other is loaded with weights_only=True, which refuses pickled code; a
    file made for the purpose could run some all the same before torch 2.6 (CVE-2025-32434). Prefixes that all names share are
    kept: `fit_names` takes off those that the model does not have. Raises FileNotFoundError where there is no file, and
    ValueError, saying what to ask for, where it holds no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights must be a file, got {path}, which is not there")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's own errors among them, which are many lines
        raise ValueError(
            f"weights must be a file of numbers; {path} holds a whole module, or none that loads. {ASK}"
        ) from error
    for name in WRAPPERS:
        held = held[name] if isinstance(held, Mapping) and isinstance(held.get(name), Mapping) else held
    if not _are_weights(held):
        raise ValueError(f"weights must be a state_dict, name -> tensor; {path} holds {_in_words(held)}. {ASK}")
    return dict(held)


def fit_names(weights: Mapping[str, Tensor], names: Iterable[str], head: str) -> dict[str, Tensor]:
    """Return the weights under the names of a model, as far as wrappers explain the difference.

    names: those of the model's state_dict. head: its last layer, whose weights are also found as `head.1.weight`, the last of
    a Sequential with a dropout before it. Names that still differ are returned as they are.
    """
    found, names = dict(weights), set(names)
    while found.keys() != names:
        prefix = next((each for each in PREFIXES if all(name.startswith(each) for name in found)), None)
        if prefix is None or not found or all(name.startswith(prefix) for name in names):
            break
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    within = {name.rpartition(".")[0] for name in found if name.startswith(f"{head}.")} - {head}
    if len(within) == 1:
        (inner,) = within
        if inner.removeprefix(f"{head}.").isdigit():  # a number within a Sequential
            found = {
                f"{head}{name.removeprefix(inner)}" if name.startswith(f"{inner}.") else name: found[name] for name in found
            }
    return found


def differences(weights: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> str:
    """Say how weights differ from a model's state_dict: names missing, names unknown to it, other shapes. Empty if they fit."""
    shapes = [
        f"{name} {tuple(weights[name].shape)} there, {tuple(value.shape)} in the model"
        for name, value in ours.items()
        if name in weights and weights[name].shape != value.shape
    ]
    missing, unknown = ([name for name in one if name not in other] for one, other in ((ours, weights), (weights, ours)))
    parts = (("missing", missing), ("not the model's", unknown), ("of another shape", shapes))
    return "; ".join(f"{what}: {listed(found)}" for what, found in parts if found)


def fingerprint(path: str | PathLike) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256: the same for the same contents under any name."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def _are_weights(held: object) -> bool:
    return isinstance(held, Mapping) and bool(held) and all(isinstance(value, Tensor) for value in held.values())


def _in_words(held: object) -> str:
    return f"a dict of {listed(list(map(str, held)))}" if isinstance(held, Mapping) and held else f"a {type(held).__name__}"


def listed(found: list[str]) -> str:
    """Return the first three, and how many there are in all if there are more."""
    return ", ".join(found[:3]) + (f", … ({len(found)} in all)" if len(found) > 3 else "")
