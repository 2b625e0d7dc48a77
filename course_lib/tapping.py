"""Tapping: what the layers inside of a model give while it runs, by their names, and no hook left behind."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches

import torch
from torch import Tensor, nn

# What wrappers put into the names of layers: torch.compile, activation checkpointing, FSDP; DDP's "module" comes first only.
WRAPPERS = {"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"}


@contextmanager
def tapped(model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Keep what the named layers of the model give while it runs inside of the block: yield a dict, name -> tensor.

    names: as in `model.named_modules()`, with or without what DDP or activation checkpointing put into them. Each output is
    a copy, with its gradient, so that a layer that follows and works in place changes nothing. Of a layer that is called
    several times in a forward pass the last output is kept, but none without a gradient in place of one that has it. The
    hooks are gone after the block, after an exception too.
    Raises ValueError for a layer that is not there, did not run, or is inside of what was compiled; TypeError for one whose
    output is not a tensor.
    """
    layers, found, hooks = {name: find_layer(model, name) for name in names}, {}, []

    def keep_as(name: str) -> Callable:
        def keep(layer, inputs, output):
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"layer {name!r} must give a tensor, got {type(output).__name__}; name one inside of it, or after"
                )
            if output.requires_grad or name not in found or not found[name].requires_grad:
                found[name] = output.clone()

        return keep

    try:
        for name, layer in layers.items():
            hooks.append(layer.register_forward_hook(keep_as(name)))
        yield found
        for name in layers:
            if name not in found:
                raise ValueError(f"layer {name!r} must run when the model does; it did not")
    finally:
        for hook in hooks:
            hook.remove()


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Return the model's layer of that name. Raises ValueError, with names that are close, if there is none to be tapped."""
    layers = dict(model.named_modules(remove_duplicate=False))
    if name not in layers:
        plain: dict[str, str] = {}
        for each in layers:  # of a wrapper and what it wraps, which share a plain name, the wrapper
            plain.setdefault(_plain(each), each)
        if _plain(name) not in plain:
            near = get_close_matches(name, filter(None, plain), n=3, cutoff=0.5) or [*filter(None, plain)][:3]
            raise ValueError(
                f"layers must name layers of the models; {type(model).__name__} has no {name!r}, but "
                f"{', '.join(map(repr, near)) or 'none at all'}: see model.named_modules()"
            )
        name = plain[_plain(name)]
    parts = name.split(".") if name else []
    for above in (layers[".".join(parts[:end])] for end in range(len(parts) + 1)):
        if "_orig_mod" in above._modules or getattr(above, "_compiled_call_impl", None) is not None:
            raise ValueError(
                f"layer {name!r} is inside of what torch.compile made, which calls no hooks that come later: give the model "
                "as it was before, and compile only parts of it that hold no layer to be tapped"
            )
    return layers[name]


def _plain(name: str) -> str:
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    while parts[:1] == ["module"]:
        del parts[0]
    return ".".join(parts)


def check_gradients(outputs: Mapping[str, Tensor]) -> None:
    """Raise ValueError, naming the layer, if one of the outputs that `tapped` kept has no gradient, so that nothing learns."""
    for name, output in outputs.items():
        if torch.is_grad_enabled() and not output.requires_grad:
            raise ValueError(
                f"layer {name!r} must give an output with a gradient; it is frozen, as is all before it, or runs under "
                "checkpointing that hides it: torch.utils.checkpoint.checkpoint(…, use_reentrant=False) does not"
            )
