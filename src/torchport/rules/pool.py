"""Pooling."""

from __future__ import annotations

from typing import Any

from torchport.graph import Shape, Tensor
from torchport.program import Code, Expr, call
from torchport.rules.conv import conv_length
from torchport.rules.image import (
    channels,
    each,
    image_shape,
    one,
    same_padding,
    spatial,
    spatial_axes,
)
from torchport.rules.table import Value, image, rule


def pool_window(x: Tensor | Value, pool_size: Any, strides: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The window and its stride, which is the window's size by default."""
    rank = len(x.shape) - 2
    size = each(pool_size, rank)
    return size, size if strides is None else each(strides, rank)


def pool_shape(x: Tensor, *, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Shape:
    window = zip(spatial(x.shape, data_format), *pool_window(x, pool_size, strides), strict=True)
    sizes = [conv_length(n, k, s, 1, padding) for n, k, s in window]
    return image_shape(x.shape, sizes, channels(x.shape, data_format), data_format)


def pool_padding(size: int | None, k: int, s: int) -> tuple[int, int, bool] | None:
    """How torch pools one axis as 'same' does; None if that depends on a size that is not known.

    Gives torch's `padding`, how many results to drop at the start, and whether the last window
    hangs over the end (`ceil_mode`), so that nothing needs to be padded first. What hangs over is
    not counted in a mean.
    """
    if s == 1:
        return k // 2, 1 - k % 2, False
    sizes = range(k, k + s) if size is None else (size,)
    amounts = {same_padding(n, k, s, 1) for n in sizes}
    befores = {amount[0] for amount in amounts if amount}
    if len(befores) > 1:
        return None
    return befores.pop(), 0, any(amount and amount[0] < amount[1] for amount in amounts)


def pool(
    x: Value, function: str, pool_size: Any, strides: Any, padding: str, data_format: str | None
) -> Expr | None:
    """torch's pooling; None where 'same' depends on sizes that are not known."""
    size, stride = pool_window(x, pool_size, strides)
    sizes = spatial(x.shape, data_format)
    axes = [(0, 0, False)] * len(size)
    if padding == "same":
        found = [pool_padding(n, k, s) for n, k, s in zip(sizes, size, stride, strict=True)]
        axes = [axis for axis in found if axis]
        if None in found:
            return None
    pads, drops, hangs = zip(*axes, strict=True)
    options: dict[str, Any] = {"padding": one(pads, 0), "ceil_mode": any(hangs) or None}
    if any(pads) and "avg" in function:
        options["count_include_pad"] = False
    step = None if stride == size else one(stride)
    pooled = call(f"{function}{x.rank - 2}d", x, one(size), stride=step, **options)
    if not any(drops):
        return pooled
    return pooled[(slice(None), slice(None), *(slice(drop or None, None) for drop in drops))]


@rule("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", wants=image, shape=pool_shape)
def max_pool(
    x: Value, *, pool_size: Any = 2, strides: Any = None, padding: str = "valid",
    data_format: str | None = None,
) -> Expr:  # fmt: skip
    """F.max_pool2d. 'same' pads with minus infinity, the odd one at the end."""
    if pooled := pool(x, "F.max_pool", pool_size, strides, padding, data_format):
        return pooled
    size, stride = pool_window(x, pool_size, strides)
    before = call("same_pad", x, one(size), one(stride), value=Code('float("-inf")'))
    step = None if stride == size else one(stride)
    return call(f"F.max_pool{x.rank - 2}d", before, one(size), stride=step)


@rule("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", wants=image, shape=pool_shape)
def average_pool(
    x: Value, *, pool_size: Any = 2, strides: Any = None, padding: str = "valid",
    data_format: str | None = None,
) -> Expr:  # fmt: skip
    """F.avg_pool2d. 'same' leaves what it pads out of the mean."""
    if pooled := pool(x, "F.avg_pool", pool_size, strides, padding, data_format):
        return pooled
    size, stride = pool_window(x, pool_size, strides)
    return call("same_avg_pool", x, one(size), one(stride))


def global_shape(x: Tensor, *, keepdims: bool, data_format: str | None) -> Shape:
    count = channels(x.shape, data_format)
    if not keepdims:
        return (x.shape[0], count)
    return image_shape(x.shape, [1] * (len(x.shape) - 2), count, data_format)


def over_space(x: Value, method: str, keepdims: bool, data_format: str | None) -> Expr:
    """A method that takes `dim`, over space, wherever the layout put it."""
    dims = tuple(sorted(x.dim(axis) for axis in spatial_axes(x.rank, data_format)))
    dim = dims[0] if len(dims) == 1 else dims
    return call(method, x, dim=dim, keepdim=keepdims or None)


@rule("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", shape=global_shape)
def global_average_pool(
    x: Value, *, keepdims: bool = False, data_format: str | None = None, mask: Value | None = None
) -> Expr:
    """The mean over space; over those steps that a mask keeps."""
    if mask is not None:
        kept = call(".unsqueeze", mask, x.dim(1 if data_format == "channels_first" else 2))
        dim = x.dim(2 if data_format == "channels_first" else 1)
        sums = (call(".sum", it, dim=dim, keepdim=keepdims or None) for it in (x * kept, kept))
        return next(sums) / next(sums)
    return over_space(x, ".mean", keepdims, data_format)


@rule("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", shape=global_shape)
def global_max_pool(x: Value, *, keepdims: bool = False, data_format: str | None = None) -> Expr:
    """The maximum over space."""
    return over_space(x, ".amax", keepdims, data_format)


def pooled_shape(x: Tensor, *, output_size: Any, data_format: str | None) -> Shape:
    rank = len(x.shape) - 2
    size = [output_size] * rank if isinstance(output_size, int) else list(output_size)
    if data_format == "channels_first":
        return (*x.shape[:2], *size)
    return (x.shape[0], *size, x.shape[-1])


@rule("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", wants=image,
      shape=pooled_shape)  # fmt: skip
def adaptive_average_pool(x: Value, *, output_size: Any, data_format: str | None = None) -> Expr:
    """F.adaptive_avg_pool2d."""
    return adaptive(x, "avg", output_size)


@rule("AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", wants=image, shape=pooled_shape)
def adaptive_max_pool(x: Value, *, output_size: Any, data_format: str | None = None) -> Expr:
    """F.adaptive_max_pool2d."""
    return adaptive(x, "max", output_size)


def adaptive(x: Value, kind: str, output_size: Any) -> Expr:
    size = output_size if isinstance(output_size, int) else one(tuple(output_size))
    return call(f"F.adaptive_{kind}_pool{x.rank - 2}d", x, size)
