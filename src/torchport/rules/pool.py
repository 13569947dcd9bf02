"""Pooling."""

from __future__ import annotations

from typing import Any

from torchport.graph import Shape, Tensor
from torchport.program import Code, Expr, call
from torchport.rules.conv import conv_length
from torchport.rules.image import channels, each, image_shape, one, padded, spatial, spatial_axes
from torchport.rules.table import Value, image, rule


def pool_shape(x: Tensor, *, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Shape:
    rank = len(x.shape) - 2
    size = each(pool_size, rank)
    stride = size if strides is None else each(strides, rank)
    sizes = [
        conv_length(n, k, s, 1, padding)
        for n, k, s in zip(spatial(x.shape, data_format), size, stride, strict=True)
    ]
    return image_shape(x.shape, sizes, channels(x.shape, data_format), data_format)


@rule("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", wants=image, shape=pool_shape)
def max_pool(
    x: Value, *, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Expr:
    """F.max_pool2d. 'same' pads with minus infinity, the odd one at the end."""
    rank = x.rank - 2
    size = each(pool_size, rank)
    stride = size if strides is None else each(strides, rank)
    before, pad = padded(
        x, size, stride, each(1, rank), padding, data_format, value=Code('float("-inf")')
    )
    return call(
        f"F.max_pool{rank}d", before, one(size), stride=None if stride == size else one(stride),
        padding=one(pad, 0),
    )  # fmt: skip


def global_shape(x: Tensor, *, keepdims: bool, data_format: str | None) -> Shape:
    if not keepdims:
        return (x.shape[0], channels(x.shape, data_format))
    return image_shape(x.shape, [1] * (len(x.shape) - 2), channels(x.shape, data_format), data_format)


@rule("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", shape=global_shape)
def global_average_pool(x: Value, *, keepdims: bool = False, data_format: str | None = None) -> Expr:
    """The mean over space, wherever the layout put it."""
    dims = tuple(sorted(x.dim(axis) for axis in spatial_axes(x.rank, data_format)))
    return call(".mean", x, dim=one(dims) if len(dims) == 1 else dims, keepdim=keepdims or None)
