"""Facts that all ops on images share: which axes are space, and what slides over them.

Every function takes shapes in the source's order and `data_format` as the layer states it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.named import is_named
from torchport.program import Expr, call
from torchport.rules.table import Value
from torchport.rules.window import Reading, Window


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
    if len(set(values)) > 1 or len({str(it) for it in values if is_named(it)}) > 1:
        # `(rows, columns)` are two numbers, whatever they are now
        return tuple(values)
    return None if values[0] == default and not is_named(values[0]) else values[0]


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


def windows(
    x: Tensor | Value, kernel_size: Any, strides: Any = 1, dilation_rate: Any = 1, padding: str = "valid"
) -> list[Window]:
    """A window for each spatial axis."""
    options = (each(it, len(x.shape) - 2) for it in (kernel_size, strides, dilation_rate))
    return [Window(k, s, d, padding) for k, s, d in zip(*options, strict=True)]


def window_shape(x: Tensor, over: Sequence[Reading], count: int, data_format: str | None) -> Shape:
    """The shape of what slides over space, with that many channels."""
    sizes = zip(over, spatial(x.shape, data_format), strict=True)
    return image_shape(x.shape, [it.length(n) for it, n in sizes], count, data_format)


def slide(x: Value, over: Sequence[Window], data_format: str | None) -> tuple[Expr, dict[str, Any]]:
    """The input, padded where torch's module cannot, and the options that leave the rest to the module.

    torch pads both sides alike, or "same" as TensorFlow does where the stride is 1.
    """
    strides, rates = [it.s for it in over], [it.d for it in over]
    options = {"stride": one(strides, 1), "padding": None, "dilation": one(rates, 1)}
    amounts = [it.pads(n) for it, n in zip(over, spatial(x.shape, data_format), strict=True)]
    known = [amount for amount in amounts if amount is not None]
    steady = over[0].padding == "same" and set(strides) == {1} and not any(map(is_named, strides))
    if steady and any(is_named(it.k) or is_named(it.d) for it in over):
        return x, {**options, "padding": "same"}  # right for every size of a window that has a name
    if len(known) == len(amounts):
        if all(before == after for before, after in known):
            return x, {**options, "padding": one([before for before, _ in known], 0)}
        if steady:
            return x, {**options, "padding": "same"}
    return padded(x, over, data_format), options


def per_axis(number: Any) -> Any:
    """One number for all axes, or a list: TorchScript has no tuples of any length."""
    return list(number) if isinstance(number, tuple) else number


def padded(x: Value, over: Sequence[Window], data_format: str | None) -> Expr:
    """The input with all that its windows add; a helper does so where only the run time knows how much."""
    amounts = [it.pads(n) for it, n in zip(over, spatial(x.shape, data_format), strict=True)]
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        rate = one([it.d for it in over], 1)
        window = [one([it.k for it in over]), one([it.s for it in over]), *([] if rate is None else [rate])]
        return call("same_pad", x, *map(per_axis, window))
    return pad(x, known) if any(map(any, known)) else x


def pad(x: Any, amounts: Sequence[tuple[int, int]]) -> Expr:
    """F.pad of the last axes with zeros; it lists the last axis first."""
    return call("F.pad", x, tuple(n for pair in reversed(amounts) for n in pair))
