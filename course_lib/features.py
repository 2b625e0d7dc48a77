"""How far features of a student are from those of its teacher: a table of distances, and projectors where widths differ.

Features are what layers inside of a model give: (n, C, H, W), channels first, (n, L, d), L positions of d numbers each, or
(n, d), for n examples. `course_lib.objectives.Features` trains with them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.basics import eval_mode, seeded


def squared_error(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Return the mean squared difference, a scalar, in the teacher's units squared: hints (Romero et al. 2015, equation 3).

    Both: features of equal width, in the same dtype or another, and of one size after averaging down to the smaller of the
    two. The result is float32 or wider; no gradient reaches the teacher's. So do the others below. Raises TypeError or
    ValueError, saying what came, unless the two can be compared.
    """
    ours, theirs = _alike(student_features, teacher_features)
    return _mean((ours - theirs).square())


def cosine_distance(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Return 1 minus the cosine between the vectors of channels, the mean over positions and examples, a scalar in [0, 2].

    Arguments as in `squared_error`. A vector of zeros has the cosine 0 to any other, and a finite gradient.
    """
    ours, theirs = _alike(student_features, teacher_features)
    dim = channel_dim(ours)
    return _mean(1 - (_unit(ours, dim) * _unit(theirs, dim)).sum(dim))


def attention_distance(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Return how far the maps of attention are apart, the mean over examples, a scalar in [0, 2].

    A map holds, for each position, the sum over the channels of their squares, and is divided by its length; two of them
    are compared by their squared distance (Zagoruyko & Komodakis 2017, equation 2, whose norm is squared here as in the
    authors' code, so that it has a gradient everywhere). Arguments as in `squared_error`, of any widths, (n, C, H, W) or
    (n, L, d): of (n, d) there is no map, a ValueError.
    """
    ours, theirs = _alike(student_features, teacher_features, widths=False)
    if ours.dim() == 2:
        raise ValueError(f"features must have positions for 'attention', (n, C, H, W) or (n, L, d); got {tuple(ours.shape)}")
    ours, theirs = (_unit(each.square().sum(channel_dim(each)).flatten(1), 1) for each in (ours, theirs))
    return _mean((ours - theirs).square().sum(1))


def relation_distance(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Return how differently the examples of a batch lie to each other, the mean over all pairs of them, a scalar.

    The distances between examples, divided by their mean over the batch, are compared by the Huber loss with delta 1
    (RKD-D, Park et al. 2019, section 3.2.1; its angles, which take n³ numbers, are left out). Features may have any
    shapes, (n, …) both. One example has no pairs: it gives a 0 that backpropagates. Raises as `squared_error` does.
    """
    ours, theirs = (_distances(each) for each in _wide(student_features, teacher_features))
    return _mean(F.huber_loss(ours, theirs, reduction="none"))


class FeatureLoss(NamedTuple):
    """An entry of FEATURE_LOSSES. distance: of the student's features and the teacher's, a scalar.

    projects: of the widths of the two, whether a projector goes before the distance.
    """

    distance: Callable[[Tensor, Tensor], Tensor]
    projects: Callable[[int, int], bool] = lambda ours, theirs: False


FEATURE_LOSSES = {
    "mse": FeatureLoss(squared_error, lambda ours, theirs: True),
    "cosine": FeatureLoss(cosine_distance, lambda ours, theirs: ours != theirs),
    "attention": FeatureLoss(attention_distance),
    "relations": FeatureLoss(relation_distance),
}


def check_layers(layers: Mapping[str, str], loss: str) -> None:
    """Raise TypeError or ValueError unless layers holds names by names, at least one, and loss is in FEATURE_LOSSES."""
    if not isinstance(layers, Mapping) or not all(isinstance(each, str) for pair in layers.items() for each in pair):
        raise TypeError(f"layers must be a dict, the student's layer -> the teacher's, by name; got {layers!r}")
    if not layers:
        raise ValueError("layers must hold at least one pair of layers, got none")
    if not isinstance(loss, str):
        raise TypeError(f"loss must be a str, got {type(loss).__name__}")
    if loss not in FEATURE_LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, FEATURE_LOSSES))}; got {loss!r}")


class Match(nn.Module):
    """Features of pairs of layers go in, the sum of their distances comes out, a scalar. It holds the projectors.

    layers: the student's layer -> the teacher's. loss: a name in FEATURE_LOSSES. student_features, teacher_features: name
    -> features of an example, of which the sizes are taken. A projector takes the student's width to the teacher's, a 1×1
    convolution or a linear layer, with a bias; it starts from the same numbers each time, whatever ran before (`seeded(0)`).
    Raises TypeError or ValueError, naming the layers, unless the features of each pair can be compared.
    """

    def __init__(self, layers: Mapping[str, str], loss: str, student_features: dict, teacher_features: dict):
        super().__init__()
        self.layers, self.loss = dict(layers), loss
        projectors = []
        with seeded(0):
            for ours, theirs in layers.items():
                with _naming(ours, theirs):
                    projector = _projector(student_features[ours], teacher_features[theirs], FEATURE_LOSSES[loss])
                    projectors.append(projector.to(student_features[ours].device))
        self.projectors = nn.ModuleList(projectors)
        with eval_mode(self):
            self(student_features, teacher_features)

    def forward(self, student_features: Mapping[str, Tensor], teacher_features: Mapping[str, Tensor]) -> Tensor:
        distances = []
        for (ours, theirs), projector in zip(self.layers.items(), self.projectors, strict=True):
            features = student_features[ours]
            if not isinstance(projector, nn.Identity):
                features = projector(features.to(projector.weight.dtype))
            with _naming(ours, theirs):
                distances.append(FEATURE_LOSSES[self.loss].distance(features, teacher_features[theirs]))
        return torch.stack(distances).sum()


def channel_dim(features: Tensor) -> int:
    """Return the dimension of the channels: 1 of (n, C, H, W), the last of (n, L, d) and (n, d)."""
    return 1 if features.dim() == 4 else -1


# ---- behind them ----


@contextmanager
def _naming(ours: str, theirs: str) -> Iterator[None]:
    """Put the names of the two layers before an error."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"layers {ours!r} and {theirs!r} don't go together: {error}") from error


def _projector(ours: Tensor, theirs: Tensor, loss: FeatureLoss) -> nn.Module:
    _wide(ours, theirs)  # for its checks
    widths = ours.shape[channel_dim(ours)], theirs.shape[channel_dim(theirs)]
    if not loss.projects(*widths):
        return nn.Identity()
    return nn.Conv2d(*widths, 1) if ours.dim() == 4 else nn.Linear(*widths)


def _wide(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the wider dtype of the two, float32 at least, the teacher's detached. Raises unless they have as many rows."""
    for name, each in (("student_features", ours), ("teacher_features", theirs)):
        if not isinstance(each, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(each).__name__}")
        if not each.is_floating_point() or each.dim() < 2:
            raise ValueError(f"{name} must be floating point, (n, …), got {each.dtype} of shape {tuple(each.shape)}")
    if ours.device != theirs.device or len(ours) != len(theirs):
        got = f"{len(ours)} on {ours.device} and {len(theirs)} on {theirs.device}"
        raise ValueError(f"student_features and teacher_features must have as many rows, on the same device; got {got}")
    dtype = torch.promote_types(torch.promote_types(ours.dtype, theirs.dtype), torch.float32)
    return ours.to(dtype), theirs.detach().to(dtype)


def _alike(ours: Tensor, theirs: Tensor, widths: bool = True) -> tuple[Tensor, Tensor]:
    """Both, wide, averaged down to the same positions. Raises unless there are as many dimensions, and channels if `widths`."""
    ours, theirs = _wide(ours, theirs)
    dims, got = (ours.dim(), theirs.dim()), f"{tuple(ours.shape)} and {tuple(theirs.shape)}"
    if dims not in ((2, 2), (3, 3), (4, 4)):
        raise ValueError(f"features must both be (n, C, H, W), or (n, L, d), or (n, d); got {got}")
    if widths and ours.shape[channel_dim(ours)] != theirs.shape[channel_dim(theirs)]:
        raise ValueError(f"features must be of the same width, after a projector if need be; got {got}")
    if ours.dim() == 4:
        size = [min(pair) for pair in zip(ours.shape[2:], theirs.shape[2:], strict=True)]
        return tuple(each if list(each.shape[2:]) == size else F.adaptive_avg_pool2d(each, size) for each in (ours, theirs))
    if ours.dim() == 3 and ours.shape[1] != theirs.shape[1]:
        length = min(ours.shape[1], theirs.shape[1])
        return tuple(F.adaptive_avg_pool1d(each.transpose(1, 2), length).transpose(1, 2) for each in (ours, theirs))
    return ours, theirs


def _unit(x: Tensor, dim: int) -> Tensor:
    """x divided by its length along dim; zeros stay, and have the gradient that they would have at the length 1."""
    length = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    return x / torch.where(length > 0, length, 1)


def _distances(features: Tensor) -> Tensor:
    """The distances between all pairs of rows, each once, divided by their mean."""
    rows = features.flatten(1)
    rows = rows - rows.detach().mean(0)  # distances stay; by matrix product they would lose digits far from 0
    first, second = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
    distances = torch.cdist(rows, rows, compute_mode="use_mm_for_euclid_dist")[first, second]
    mean = _mean(distances)
    return distances / torch.where(mean > 0, mean, 1)


def _mean(x: Tensor) -> Tensor:
    return x.mean() if x.numel() else x.sum()
