"""Rescaling and Normalization: arithmetic with constants on the way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.arguments import plain, scaled
from torchport.rules.broadcast import constant, parameter
from torchport.rules.constants import numbers, shape_of
from torchport.rules.dtypes import as_float, float_dtype
from torchport.rules.facts import LINEAR, PASSES_NEWLY, Linear
from torchport.rules.sizes import axes_of, size_of
from torchport.rules.table import Value, rule


@rule("Rescaling", masks=PASSES_NEWLY, constants=True, dtype=float_dtype, linear=LINEAR)
def rescaling(x: Value, *, scale: Any, offset: Any = 0.0) -> Expr:
    """x / 127.5 - 1. A list has an entry for each channel."""
    scale, offset = numbers(scale), numbers(offset)
    result = as_float(x)
    if shape_of(scale):
        result = result * _values(x, "scale", scale)
    elif scale != 1:
        result = scaled(result, scale)
    if shape_of(offset):
        return result + _values(x, "offset", offset)
    if not offset:
        return result
    return result - plain(-offset) if offset < 0 else result + plain(offset)


def _values(x: Value, role: str, value: Any) -> Expr:
    """A constant that is broadcast along the last axes."""
    return constant(x, role, value, range(x.rank - len(shape_of(value)), x.rank))


def kept_axes(axis: Any, rank: int) -> list[int]:
    """The axes along which the statistics lie."""
    return [] if axis is None else axes_of(axis, rank)


def normalization_weights(x: Tensor, *, axis: Any, mean: Any) -> Mapping[str, Shape]:
    if mean is not None:
        return {}
    shape = tuple(size_of(x, at) for at in kept_axes(axis, len(x.shape)))
    return {"mean": shape, "variance": shape, "count": ()}


@rule(
    "Normalization", weights=normalization_weights, constants=True, dtype=float_dtype, masks=PASSES_NEWLY,
    statistics="mean variance count", noun="normalize", linear=Linear(("variance",), ("mean",)),
)  # fmt: skip
def normalization(
    x: Value, *, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False
) -> Expr:
    """(x - mean) / standard deviation, of at least Keras's epsilon of 1e-7."""
    axes = kept_axes(axis, x.rank)
    center: Expr
    spread: Expr
    if mean is None:
        shape = [size_of(x, at) for at in axes]
        center = parameter(x, "mean", axes, shape, trainable=False)
        spread = parameter(x, "variance", axes, shape, trainable=False)
    else:
        mean, variance = numbers(mean), numbers(variance)
        along = axes[len(axes) - len(shape_of(mean)) :]
        center, spread = constant(x, "mean", mean, along), constant(x, "variance", variance, along)
    deviation = call(".clamp", call(".sqrt", spread), min=1e-7)
    if invert:
        return as_float(x) * deviation + center
    return (as_float(x) - center) / deviation
