"""Rescaling and Normalization: arithmetic with constants on the way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.activation import plain
from torchport.rules.broadcast import constant, parameter
from torchport.rules.norm import size_of
from torchport.rules.table import Value, rule


def numbers(value: Any) -> Any:
    """A number or nested lists of them, which Keras may have saved as a numpy array."""
    if isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") != "__numpy__" or not isinstance(config, Mapping):
            raise Unsupported(f"{value.get('class_name')!r} is not a constant")
        value = config["value"]
    return value


def depth(value: Any) -> int:
    """How many axes nested lists have."""
    return 1 + depth(value[0]) if isinstance(value, Sequence) and value else 0


def as_float(x: Value) -> Expr:
    """The layers here turn whole numbers into floats first."""
    return x if x.tensor.dtype.startswith(("float", "bfloat")) else call(".float", x)


def float_dtype(x: Tensor) -> str:
    """The dtype of `as_float`."""
    return x.dtype if x.dtype.startswith(("float", "bfloat")) else "float32"


@rule("Rescaling", constants=True, dtype=float_dtype)
def rescaling(x: Value, *, scale: Any, offset: Any = 0.0) -> Expr:
    """x / 127.5 - 1. A list has an entry for each channel."""
    scale, offset = numbers(scale), numbers(offset)
    result = as_float(x)
    if depth(scale):
        result = result * _values(x, "scale", scale)
    elif scale != 1:
        divisor = 1 / scale if scale else 0.0
        if divisor and 1 / divisor == scale and len(repr(divisor)) < len(repr(float(scale))):
            result = result / plain(divisor)
        else:
            result = result * plain(scale)
    if depth(offset):
        return result + _values(x, "offset", offset)
    if not offset:
        return result
    return result - plain(-offset) if offset < 0 else result + plain(offset)


def _values(x: Value, role: str, value: Any) -> Expr:
    """A constant that is broadcast along the last axes."""
    return constant(x, role, value, range(x.rank - depth(value), x.rank))


def kept_axes(axis: Any, rank: int) -> list[int]:
    """The axes along which the statistics lie."""
    axes = [] if axis is None else list(axis) if isinstance(axis, Sequence) else [axis]
    return sorted(it % rank for it in axes)


def normalization_weights(x: Tensor, *, axis: Any, mean: Any) -> Mapping[str, Shape]:
    if mean is not None:
        return {}
    shape = tuple(size_of(x, at) for at in kept_axes(axis, len(x.shape)))
    return {"mean": shape, "variance": shape, "count": ()}


@rule("Normalization", weights=normalization_weights, constants=True, dtype=float_dtype)
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
        along = axes[len(axes) - depth(mean) :]
        center, spread = constant(x, "mean", mean, along), constant(x, "variance", variance, along)
    deviation = call(".clamp", call(".sqrt", spread), min=1e-7)
    if invert:
        return as_float(x) * deviation + center
    return (as_float(x) - center) / deviation
