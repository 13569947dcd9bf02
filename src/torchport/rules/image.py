"""Facts that all ops on images share: which axes are space, and how 'same' pads them.

Every function takes shapes in the source's order and `data_format` as the layer states it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape
from torchport.program import Expr, call
from torchport.rules.table import Value


def each(value: Any, rank: int) -> tuple[Any, ...]:
    """One value for each spatial axis, from a number or a sequence."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,) * rank
    if len(values) == 1:
        values *= rank
    if len(values) != rank:
        raise Unsupported(f"{value!r} does not have one value for each of {rank} spatial axes")
    return values


def one(values: Sequence[Any], default: Any = None) -> Any:
    """One number where all are equal, as a person writes it; None if it is the default."""
    if len(set(values)) > 1:
        return tuple(values)
    return None if values[0] == default else values[0]


def spatial_axes(rank: int, data_format: str | None) -> range:
    """The spatial axes in the source's order."""
    return range(2, rank) if data_format == "channels_first" else range(1, rank - 1)


def spatial(shape: Shape, data_format: str | None) -> Shape:
    """Sizes of the spatial axes."""
    return tuple(shape[axis] for axis in spatial_axes(len(shape), data_format))


def channels(shape: Shape, data_format: str | None) -> int:
    """Size of the channel axis. Raises Unsupported if the model leaves it open."""
    size = shape[1] if data_format == "channels_first" else shape[-1]
    if size is None:
        raise Unsupported("the number of channels is not known")
    return size


def image_shape(shape: Shape, sizes: Sequence[int | None], count: int, data_format: str | None) -> Shape:
    """The shape with new spatial sizes and channels."""
    if data_format == "channels_first":
        return (shape[0], count, *sizes)
    return (shape[0], *sizes, count)


def same_padding(size: int | None, k: int, s: int, d: int) -> tuple[int, int] | None:
    """What 'same' adds before and after one axis; None if it depends on a size that is not known.

    The odd one goes to the end. Source: tensorflow/core/framework/common_shape_fns.cc,
    GetWindowedOutputSizeVerbose.
    """
    if s == 1 or k == 1:
        total = (k - 1) * d
    elif size is None:
        return None
    else:
        total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
    return total // 2, total - total // 2


def pad_amounts(
    x: Value, kernel: Any, stride: Any, dilation: Any, padding: str, data_format: str | None
) -> list[tuple[int, int] | None]:
    """What is added before and after each spatial axis; None where only the run time knows."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "causal":
        return [((k - 1) * d, 0) for k, d in zip(kernel, dilation, strict=True)]
    if padding != "same":
        raise Unsupported(f"padding={padding!r} is not known")
    window = zip(spatial(x.shape, data_format), kernel, stride, dilation, strict=True)
    return [same_padding(*axis) for axis in window]


def padded(
    x: Value, kernel: Any, stride: Any, dilation: Any, padding: str, data_format: str | None
) -> tuple[Expr, Any]:
    """The input, padded where torch's module cannot, and the `padding` that is left to the module.

    torch pads both sides alike, or "same" as TensorFlow does where the stride is 1.
    """
    amounts = pad_amounts(x, kernel, stride, dilation, padding, data_format)
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        rate = one(dilation, 1)
        window = [one(kernel), one(stride), *([] if rate is None else [rate])]
        return call("same_pad", x, *window), None
    if all(before == after for before, after in known):
        return x, one([before for before, _ in known], 0)
    if padding == "same" and set(stride) == {1}:
        return x, "same"
    return pad(x, known), None


def pad(x: Any, amounts: Sequence[tuple[int, int]]) -> Expr:
    """F.pad of the last axes with zeros; it lists the last axis first."""
    return call("F.pad", x, tuple(n for pair in reversed(amounts) for n in pair))
