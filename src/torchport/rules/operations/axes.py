"""Operations that add, remove or move axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from torchport.axes import Order, to_order
from torchport.graph import Shape, Tensor
from torchport.program import Call, Expr, call
from torchport.rules.reshape import permute, permute_wants
from torchport.rules.sizes import axes_of, held
from torchport.rules.table import FOLLOWS, MEMORY, SOURCE, Value, Want, Wants, rule

#: For each axis of a result, the axis of the tensor it is; None for a new one.
Kept = Sequence[int | None]


def kept_wants(rank: int, kept: Kept) -> Wants:
    """In which orders an op needs no permute whose result has these axes of its input, in their order."""

    def free(before: Order, after: Order) -> bool:
        left = [axis for axis in to_order(range(rank), before) if axis in kept]
        return left == [axis for axis in to_order(kept, after) if axis is not None]

    source, first = Order.SOURCE, Order.CHANNELS_FIRST
    if free(first, first):
        return FOLLOWS
    if free(first, source):
        return Wants(Want.SAME, Want.SOURCE)
    return Wants(Want.SOURCE, Want.SAME) if free(source, first) else SOURCE


def in_order(x: Tensor, *others: Any) -> Wants:
    """Free; but of flattened features the source's order, which it looks at."""
    return FOLLOWS if len(x.shape) != 2 else MEMORY


def expanded_kept(x: Tensor, axis: Any) -> Kept:
    added = list(axis) if isinstance(axis, Sequence) else [axis]
    rank = len(x.shape) + len(added)
    at = {it % rank for it in added}
    old = iter(range(len(x.shape)))
    return [None if axis in at else next(old) for axis in range(rank)]


def expanded_shape(x: Tensor, *, axis: Any) -> Shape:
    return tuple(1 if at is None else x.shape[at] for at in expanded_kept(x, axis))


def expanded_wants(x: Tensor, *, axis: Any) -> Wants:
    return kept_wants(len(x.shape), expanded_kept(x, axis))


@rule("keras.ops.ExpandDims", wants=expanded_wants, shape=expanded_shape)
def expand_dims(x: Value, *, out: Value, axis: Any) -> Expr:
    """x.unsqueeze."""
    result: Expr = x
    new = [at for at, it in enumerate(expanded_kept(x.tensor, axis)) if it is None]
    for dim in sorted(out.dim(at) for at in new):
        result = call(".unsqueeze", result, dim)
    return result


def squeezed_axes(x: Tensor, axis: Any) -> list[int]:
    if axis is not None:
        return axes_of(axis, len(x.shape))
    return [at for at, size in enumerate(x.shape) if size == 1]


def squeezed_kept(x: Tensor, axis: Any) -> Kept:
    gone = squeezed_axes(x, axis)
    return [at for at in range(len(x.shape)) if at not in gone]


def squeezed_shape(x: Tensor, *, axis: Any) -> Shape:
    return tuple(x.shape[at] for at in squeezed_kept(x, axis) if at is not None)


def squeezed_wants(x: Tensor, *, axis: Any) -> Wants:
    return kept_wants(len(x.shape), squeezed_kept(x, axis))


@rule("keras.ops.Squeeze", wants=squeezed_wants, shape=squeezed_shape)
def squeeze(x: Value, *, axis: Any = None) -> Expr:
    """x.squeeze."""
    dims = [x.dim(it) for it in squeezed_axes(x.tensor, axis)]
    return call(".squeeze", x, held(dims)) if dims else x


def reversed_axes(x: Tensor | Value, axes: Any) -> list[int]:
    rank = len(x.shape)
    return [int(it) % rank for it in axes] if axes is not None else list(range(rank))[::-1]


def transposed_shape(x: Tensor, *, axes: Any) -> Shape:
    return tuple(x.shape[at] for at in reversed_axes(x, axes))


def transposed_wants(x: Tensor, *, axes: Any) -> Wants:
    order = reversed_axes(x, axes)
    return permute_wants(x, dims=order[1:]) if order[:1] == [0] else SOURCE


@rule("keras.ops.Transpose", wants=transposed_wants, shape=transposed_shape)
def transpose(x: Value, *, out: Value, axes: Any = None) -> Expr:
    """x.permute, x.transpose of two; nothing where the layout has done it."""
    order = reversed_axes(x, axes)
    written: Expr = permute(x, out=out, dims=order[1:]) if order[:1] == [0] else call(".permute", x, *order)
    if not isinstance(written, Call):
        return x
    moved = [at for at, axis in enumerate(written.args[1:]) if at != axis]
    return call(".transpose", x, *moved) if len(moved) == 2 else written


def reordered(kind: str, doc: str, order: Callable[..., list[int]]) -> None:
    """Enter an operation that is a transpose to an order of axes, which its options give."""

    @wraps(order)
    def shape(x: Tensor, **options: Any) -> Shape:
        return transposed_shape(x, axes=order(x, **options))

    @wraps(order)
    def wants(x: Tensor, **options: Any) -> Wants:
        return transposed_wants(x, axes=order(x, **options))

    @wraps(order)
    def write(x: Value, **options: Any) -> Expr:
        return transpose(x, out=options["out"], axes=order(x, **options))  # type: ignore[no-any-return]

    write.__doc__ = doc
    rule(kind, wants=wants, shape=shape)(write)


def swapped(x: Tensor | Value, *, axis1: int, axis2: int, out: Any = None) -> list[int]:
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return order


def carried(x: Tensor | Value, *, source: Any, destination: Any, out: Any = None) -> list[int]:
    """The axes after a move. Source: numpy.moveaxis."""
    rank = len(x.shape)
    start, end = ([it] if isinstance(it, int) else list(it) for it in (source, destination))
    start, end = [it % rank for it in start], [it % rank for it in end]
    order = [axis for axis in range(rank) if axis not in start]
    for at, axis in sorted(zip(end, start, strict=True)):
        order.insert(at, axis)
    return order


reordered("keras.ops.Swapaxes", "x.transpose.", swapped)
reordered("keras.ops.Moveaxis", "x.permute.", carried)
