"""Pooling."""

from __future__ import annotations

from typing import Any

from torchport.graph import Shape, Tensor
from torchport.program import Code, Expr, call
from torchport.rules.facts import Masks, Reads
from torchport.rules.image import (
    channels,
    each,
    image_shape,
    one,
    spatial,
    spatial_axes,
    window_shape,
    windows,
)
from torchport.rules.sizes import dims_of
from torchport.rules.table import Value, image, rule
from torchport.rules.window import Adaptive, Window


def pool_windows(x: Tensor | Value, pool_size: Any, strides: Any, padding: str) -> list[Window]:
    """A window for each spatial axis; its stride is its size by default."""
    return windows(x, pool_size, pool_size if strides is None else strides, padding=padding)


def pool_shape(x: Tensor, *, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Shape:
    over = pool_windows(x, pool_size, strides, padding)
    return window_shape(x, over, channels(x.shape, data_format), data_format)


def pool_padding(it: Window, size: int | None) -> tuple[int, int, bool] | None:
    """How torch pools one axis as 'same' does; None if that depends on a size that is not known.

    Gives torch's `padding`, how many results to drop at the start, and whether the last window
    hangs over the end (`ceil_mode`), so that nothing needs to be padded first. What hangs over is
    not counted in a mean.
    """
    if it.padding == "valid":
        return 0, 0, False
    if it.s == 1:
        return it.k // 2, 1 - it.k % 2, False
    sizes = range(it.k, it.k + it.s) if size is None else (size,)
    amounts = {it.pads(n) for n in sizes}
    befores = {amount[0] for amount in amounts if amount}
    if len(befores) > 1:
        return None
    return befores.pop(), 0, any(amount and amount[0] < amount[1] for amount in amounts)


def pool(x: Value, kind: str, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Expr:
    """torch's pooling; a helper pads before it where 'same' depends on sizes that are not known."""
    over = pool_windows(x, pool_size, strides, padding)
    size, stride = one([it.k for it in over]), one([it.s for it in over])
    function, step = f"F.{kind}_pool{x.rank - 2}d", None if stride == size else stride
    axes = [pool_padding(it, n) for it, n in zip(over, spatial(x.shape, data_format), strict=True)]
    known = [axis for axis in axes if axis]
    if len(known) < len(axes):
        if kind == "avg":
            return call("same_avg_pool", x, size, stride)
        before = call("same_pad", x, size, stride, value=Code('float("-inf")'))
        return call(function, before, size, stride=step)
    pads, drops, hangs = zip(*known, strict=True)
    options: dict[str, Any] = {"padding": one(pads, 0), "ceil_mode": any(hangs) or None}
    if any(pads) and kind == "avg":
        options["count_include_pad"] = False
    pooled = call(function, x, size, stride=step, **options)
    if not any(drops):
        return pooled
    return pooled[(slice(None), slice(None), *(slice(drop or None, None) for drop in drops))]


@rule(
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "keras.ops.MaxPool", wants=image, shape=pool_shape,
    noun="pool",
)  # fmt: skip
def max_pool(
    x: Value, *, pool_size: Any = 2, strides: Any = None, padding: str = "valid",
    data_format: str | None = None,
) -> Expr:  # fmt: skip
    """F.max_pool2d. 'same' pads with minus infinity, the odd one at the end."""
    return pool(x, "max", pool_size, strides, padding, data_format)


@rule(
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "keras.ops.AveragePool", wants=image,
    shape=pool_shape, noun="pool",
)  # fmt: skip
def average_pool(
    x: Value, *, pool_size: Any = 2, strides: Any = None, padding: str = "valid",
    data_format: str | None = None,
) -> Expr:  # fmt: skip
    """F.avg_pool2d. 'same' leaves what it pads out of the mean."""
    return pool(x, "avg", pool_size, strides, padding, data_format)


def global_shape(x: Tensor, *, keepdims: bool, data_format: str | None) -> Shape:
    count = channels(x.shape, data_format)
    if not keepdims:
        return (x.shape[0], count)
    return image_shape(x.shape, [1] * (len(x.shape) - 2), count, data_format)


def over_space(x: Value, method: str, keepdims: bool, data_format: str | None) -> Expr:
    """A method that takes `dim`, over space, wherever the layout put it."""
    dim = dims_of(x, spatial_axes(x.rank, data_format))
    return call(method, x, dim=dim, keepdim=keepdims or None)


@rule(
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", shape=global_shape,
    masks={"GlobalAveragePooling1D": Masks(Reads.FIRST)},
)  # fmt: skip
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
    over = [Adaptive(size) for size in each(output_size, len(x.shape) - 2)]
    return window_shape(x, over, channels(x.shape, data_format), data_format)


@rule(
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
    "keras.ops.AdaptiveAveragePool", wants=image, shape=pooled_shape,
)  # fmt: skip
def adaptive_average_pool(x: Value, *, output_size: Any, data_format: str | None = None) -> Expr:
    """F.adaptive_avg_pool2d."""
    return adaptive(x, "avg", output_size)


@rule(
    "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "keras.ops.AdaptiveMaxPool",
    wants=image, shape=pooled_shape,
)  # fmt: skip
def adaptive_max_pool(x: Value, *, output_size: Any, data_format: str | None = None) -> Expr:
    """F.adaptive_max_pool2d."""
    return adaptive(x, "max", output_size)


def adaptive(x: Value, kind: str, output_size: Any) -> Expr:
    size = output_size if isinstance(output_size, int) else one(tuple(output_size))
    return call(f"F.adaptive_{kind}_pool{x.rank - 2}d", x, size)
