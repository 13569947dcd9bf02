"""Layers that change how large space is: up-sampling, zero padding, cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.axes import to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.arguments import indexed
from torchport.rules.image import channels, each, one, pad, spatial_axes, window_shape
from torchport.rules.table import Value, image, rule
from torchport.rules.window import Stretch, Window


def upsampled_shape(x: Tensor, *, size: Any, data_format: str | None) -> Shape:
    over = [Stretch(factor) for factor in each(size, len(x.shape) - 2)]
    return window_shape(x, over, channels(x.shape, data_format), data_format)


@rule(
    "UpSampling1D", "UpSampling2D", "UpSampling3D", wants=image, shape=upsampled_shape,
    only={"interpolation": ("nearest", "bilinear")}, noun="up",
)  # fmt: skip
def upsample(
    x: Value, *, size: Any = 2, interpolation: str = "nearest", data_format: str | None = None
) -> Expr:
    """F.interpolate. 'nearest' is a repeat, which torch's `nearest` is for every whole factor."""
    factors = each(size, x.rank - 2)
    mode = None if interpolation == "nearest" else interpolation
    return call("F.interpolate", x, scale_factor=one(factors), mode=mode)


def amounts(value: Any, rank: int) -> list[tuple[int, int]]:
    """Before and after for each spatial axis: from a number, one for each, or a pair for each."""
    if rank == 1:
        values = list(value) if isinstance(value, Sequence) else [value, value]
        values = [values] if len(values) == 2 else values
    else:
        values = list(each(value, rank))
    pairs = [tuple(it) if isinstance(it, Sequence) else (it, it) for it in values]
    return [(int(before), int(after)) for before, after in pairs]


def all_axes(
    x: Tensor | Value, pairs: Sequence[tuple[int, int]], data_format: str | None
) -> list[tuple[int, int]]:
    """Before and after for every axis in the source's order."""
    full = [(0, 0)] * len(x.shape)
    for axis, pair in zip(spatial_axes(len(x.shape), data_format), pairs, strict=True):
        full[axis] = pair
    return full


def zero_padded_shape(x: Tensor, *, padding: Any, data_format: str | None) -> Shape:
    over = [Window(1, padding=pair) for pair in amounts(padding, len(x.shape) - 2)]
    return window_shape(x, over, channels(x.shape, data_format), data_format)


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", shape=zero_padded_shape, value="pad")
def zero_padding(x: Value, *, padding: Any = 1, data_format: str | None = None) -> Expr:
    """F.pad."""
    pairs = to_order(all_axes(x, amounts(padding, x.rank - 2), data_format), x.order)
    first = next((at for at, pair in enumerate(pairs) if any(pair)), None)
    return x if first is None else pad(x, pairs[first:])


def cropped_shape(x: Tensor, *, cropping: Any, data_format: str | None) -> Shape:
    over = [Window(1, padding=(-before, -after)) for before, after in amounts(cropping, len(x.shape) - 2)]
    if 0 in (sizes := window_shape(x, over, channels(x.shape, data_format), data_format)):
        raise Unsupported(f"cropping={cropping!r} leaves nothing of {list(x.shape)}")
    return sizes


@rule("Cropping1D", "Cropping2D", "Cropping3D", shape=cropped_shape)
def crop(x: Value, *, cropping: Any = 1, data_format: str | None = None) -> Expr:
    """A slice."""
    pairs = to_order(all_axes(x, amounts(cropping, x.rank - 2), data_format), x.order)
    return indexed(x, [slice(before or None, -after or None) for before, after in pairs])
