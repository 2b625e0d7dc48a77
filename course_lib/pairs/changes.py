"""The ways in which a batch of images may differ from those that a network learned from, each undone on a trial basis."""

from collections.abc import Iterator, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

NORMALISATIONS = {  # how pixels from 0 to 1 become inputs: (pixels - mean) / deviation, by channel
    "pixels from 0 to 1": (0.0, 1.0),
    "pixels from 0 to 255": (0.0, 1 / 255),
    "pixels from -1 to 1": (0.5, 0.5),
    "ImageNet's mean and deviation": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CLIP's mean and deviation": ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)),
    "ImageNet's mean taken off pixels from 0 to 255": ((0.485, 0.456, 0.406), 1 / 255),
}
SIZES = (28, 32, 64, 96, 128, 160, 224)  # usual ones, in pixels

Change = tuple[str, str, Tensor | dict]  # its kind, which of that kind in words, the inputs changed


def changes(teacher: nn.Module, inputs: Tensor | dict, more: Mapping[str, tuple]) -> Iterator[Change]:
    """Yield the changes of a batch of images; none where the inputs are no images.

    inputs: (n, channels, height, width), or a dict that holds such a tensor. more: normalisations beside the usual ones.
    """
    name, images = images_of(inputs)
    if images is not None:
        for kind, detail, changed in (*_other_values(teacher, images, more), *_other_forms(teacher, images)):
            yield kind, detail, changed if name is None else {**inputs, name: changed}


def images_of(inputs: Tensor | dict) -> tuple[str | None, Tensor | None]:
    """Return the images among the inputs, and by which name they go there: (None, None) where there are none."""
    named = inputs.items() if isinstance(inputs, Mapping) else [(None, inputs)]
    found = [(name, value) for name, value in named if value.dim() == 4 and value.is_floating_point()]
    return found[0] if found else (None, None)


def declared(teacher: nn.Module) -> dict:
    """Return what a model says of its inputs: "size" in pixels, "normalisation" as (mean, deviation). timm and Hugging Face."""
    said = getattr(teacher, "pretrained_cfg", None) or getattr(teacher, "default_cfg", None) or {}
    said = said if isinstance(said, Mapping) else {}
    size = (said.get("input_size") or [None])[-1] or getattr(getattr(teacher, "config", None), "image_size", None)
    found = {"size": size if isinstance(size, int) else None}
    found["normalisation"] = (said["mean"], said["std"]) if "mean" in said and "std" in said else None
    return {name: value for name, value in found.items() if value is not None}


def statistics(images: Tensor, mean, deviation) -> tuple[Tensor, Tensor]:
    """Return mean and deviation as (channels, 1, 1), averaged where the images have another number of channels."""
    both = (images.new_tensor(each).reshape(-1) for each in (mean, deviation))
    channels = images.shape[1]
    mean, deviation = (each if len(each) in (1, channels) else each.mean().reshape(1) for each in both)
    return mean.expand(channels)[:, None, None], deviation.expand(channels)[:, None, None]


def _other_values(teacher: nn.Module, images: Tensor, more: Mapping[str, tuple]) -> Iterator[Change]:
    if images.shape[1] == 3:
        yield "channel order", "with their channels reversed", images.flip(1)
    lowest, highest = images.amin((0, 2, 3), keepdim=True), images.amax((0, 2, 3), keepdim=True)
    pixels = (images - lowest) / (highest - lowest).clamp(min=1e-12)  # a batch spans black to white, however it is normalised
    deviation, mean = (each[0, :, 0, 0].tolist() for each in _moments(pixels))
    said = declared(teacher).get("normalisation")
    own = {"the mean and deviation that it declares": said} if said else {}
    usual = {**NORMALISATIONS, "this batch's mean and deviation": (mean, deviation)}
    for name, (mean, deviation) in {**dict(more), **own, **usual}.items():
        mean, deviation = statistics(images, mean, deviation)
        changed = (pixels - mean) / deviation
        if (changed - images).abs().mean() > 0.02 * images.std():  # else it is as it is now
            yield "normalisation", f"normalised to {name}", changed


def _moments(pixels: Tensor) -> tuple[Tensor, Tensor]:
    return pixels.std((0, 2, 3), keepdim=True), pixels.mean((0, 2, 3), keepdim=True)


def _other_forms(teacher: nn.Module, images: Tensor) -> Iterator[Change]:
    size, own = images.shape[-1], declared(teacher).get("size")
    near = {each for each in (*SIZES, size // 2, 2 * size) if size <= 8 * each and each <= min(4 * size, max(size, 224))}
    for each in [*([own] if own else []), *sorted(near - {own})]:
        if each != size:
            resized = F.interpolate(images, (each, each), mode="bilinear", antialias=True)
            yield "resolution", f"at {each}×{each} pixels", resized
    if images.shape[1] == 1:
        yield "number of channels", "with its one channel three times", images.expand(-1, 3, -1, -1)
