"""Flatten, Reshape, Permute, RepeatVector: what happens to the order of values in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torchport.axes import Order, from_order, to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.arguments import indexed
from torchport.rules.facts import LINEAR
from torchport.rules.sizes import product
from torchport.rules.table import FOLLOWS, MEMORY, SOURCE, Value, Want, Wants, rule

Parts = tuple[tuple[int, ...], ...]


def piece(shape: Shape) -> Parts:
    """The parts of an axis into which a tensor of this shape is flattened, batch left out."""
    sizes = [size for size in shape[1:] if size is not None]
    return (tuple(sizes),) if len(sizes) == len(shape) - 1 and len(sizes) > 1 else ()


def flatten_parts(x: Tensor, *, out: Tensor, data_format: str | None) -> Mapping[str, Parts]:
    if data_format == "channels_first" and len(x.shape) > 2:
        return {out.name: piece((x.shape[0], *x.shape[2:], x.shape[1]))}
    return {out.name: piece(x.shape)}


def flatten_shape(x: Tensor) -> Shape:
    return (x.shape[0], product(x.shape[1:]))


def flatten_wants(x: Tensor, *, out: Tensor, data_format: str | None) -> Wants:
    """Nothing to permute if those who read the features know their order: their weights turn."""
    known = flatten_parts(x, out=out, data_format=data_format)[out.name]
    if not known or out.parts != known:
        return MEMORY
    if data_format == "channels_first":
        # Keras moves the channels last before it flattens: torch's flatten is the other order.
        return replace(MEMORY, outputs=Want.CHANNELS_FIRST)
    return FOLLOWS


@rule("Flatten", wants=flatten_wants, shape=flatten_shape, parts=flatten_parts, linear=LINEAR)
def flatten(x: Value, *, out: Value, data_format: str | None = None) -> Expr:
    """torch.flatten. The rows of the Dense kernel that reads it are turned, not the tensor."""
    if x.rank < 3:
        return x if x.rank == 2 else call(".unsqueeze", x, 1)
    last = data_format == "channels_first" and out.order is Order.SOURCE
    return call("torch.flatten", call(".movedim", x, 1, -1) if last else x, 1)


def reshape_shape(x: Tensor, *, target_shape: Sequence[int]) -> Shape:
    total = product(x.shape[1:])
    known = math.prod(size for size in target_shape if size != -1)
    if -1 not in target_shape:
        if total is not None and total != known:
            raise Unsupported(f"target_shape={list(target_shape)} does not hold {total} values")
        return (x.shape[0], *target_shape)
    free = None if total is None else total // known
    return (x.shape[0], *(free if size == -1 else size for size in target_shape))


def reshape_parts(x: Tensor, *, out: Tensor) -> Mapping[str, Parts]:
    if len(x.shape) == 2 and len(out.shape) > 2:
        return {x.name: piece(out.shape)}
    if len(out.shape) == 2 and len(x.shape) > 2:
        return {out.name: piece(x.shape)}
    return {}


def reshape_wants(x: Tensor, *, out: Tensor) -> Wants:
    """Free where it regroups all axes but the channels, or (un)flattens known features."""
    ranks = len(x.shape), len(out.shape)
    if min(ranks) == 2 and max(ranks) > 2:
        flat, image = (x, out) if ranks[0] == 2 else (out, x)
        return FOLLOWS if flat.parts and flat.parts == piece(image.shape) else MEMORY
    if min(ranks) > 2 and x.shape[-1] is not None and x.shape[-1] == out.shape[-1]:
        return FOLLOWS
    return MEMORY


@rule("Reshape", wants=reshape_wants, shape=reshape_shape, parts=reshape_parts, linear=LINEAR)
def reshape(x: Value, *, out: Value, target_shape: Sequence[int]) -> Expr:
    """x.reshape to sizes in the order in which PyTorch holds the result; one unknown is -1."""
    sizes = [-1 if size is None else size for size in out.sizes[1:]]
    if (dims := _new_axes(x.sizes, out.sizes)) and x.rank > 1:
        if len(dims) == 1:
            return call(".unsqueeze", x, *dims)
        return indexed(x, [None if dim in dims else slice(None) for dim in range(out.rank)])
    if x.rank == 1:
        return call(".reshape", x, -1, *sizes)
    if x.rank == 2 and out.rank > 2 and -1 not in sizes:
        return call(".unflatten", x, 1, tuple(sizes))
    if out.rank == 2:
        return x if x.rank == 2 else call("torch.flatten", x, 1)
    if x.rank > out.rank and out.rank == 3 and x.order is Order.CHANNELS_FIRST and x.rank > 2:
        return call("torch.flatten", x, 2)
    if -1 in sizes:
        return call(".reshape", x, call(".size", x, 0), *sizes)
    return call(".reshape", x, -1, *sizes)


def _new_axes(before: Sequence[int | None], after: Sequence[int | None]) -> list[int]:
    """The places behind the batch where axes of one are added, if nothing else is done; else none."""
    found, rest = list[int](), list(before[1:])
    if rest.count(None) > 1:
        return []
    for dim, size in enumerate(after[1:], 1):
        if rest and rest[0] == size:
            rest.pop(0)
        elif size == 1:
            found.append(dim)
        else:
            return []
    return found if not rest else []


def permuted(dims: Sequence[int]) -> tuple[int, ...]:
    return (0, *dims)


def permute_shape(x: Tensor, *, dims: Sequence[int]) -> Shape:
    return tuple(x.shape[axis] for axis in permuted(dims))


def permute_wants(x: Tensor, *, dims: Sequence[int]) -> Wants:
    """Nothing at all, where the channels stay last or it only moves them to where PyTorch wants them or back.

    Any other is one permute, whatever the orders before it and after it are.
    """
    axes = list(range(len(x.shape)))
    order = permuted(dims)
    if order[-1] == axes[-1]:
        return FOLLOWS
    if order == to_order(axes, Order.CHANNELS_FIRST) and len(axes) > 2:
        return Wants(Want.CHANNELS_FIRST, Want.SOURCE, "Permute")
    if order == from_order(axes, Order.CHANNELS_FIRST) and len(axes) > 2:
        return Wants(Want.SOURCE, Want.CHANNELS_FIRST, "Permute")
    return Wants(Want.ANY, Want.ANY)


@rule("Permute", wants=permute_wants, shape=permute_shape, linear=LINEAR)
def permute(x: Value, *, out: Value, dims: Sequence[int]) -> Expr:
    """x.permute; nothing where the source's order after it is PyTorch's before it."""
    order, axes = permuted(dims), range(x.rank)
    held = to_order(axes, x.order)
    places = [held.index(order[axis]) for axis in to_order(axes, out.order)]
    return x if places == list(axes) else call(".permute", x, *places)


def repeat_shape(x: Tensor, *, n: int) -> Shape:
    return (x.shape[0], n, x.shape[1])


@rule("RepeatVector", wants=FOLLOWS, shape=repeat_shape, linear=LINEAR)
def repeat_vector(x: Value, *, out: Value, n: int) -> Expr:
    """The vector n times, along a new axis: expand copies nothing."""
    dim = out.dim(1)
    return call(".expand", call(".unsqueeze", x, dim), *(n if at == dim else -1 for at in range(3)))


def batched_shape(x: Tensor) -> Shape:
    return (1, *x.shape)


@rule("image:batch", wants=SOURCE, shape=batched_shape)
def as_batch(x: Value) -> Expr:
    """An image as a batch of one: x.unsqueeze(0)."""
    return call(".unsqueeze", x, 0)


def alone_shape(x: Tensor) -> Shape:
    return x.shape[1:]


@rule("image:alone", wants=SOURCE, shape=alone_shape)
def alone(x: Value) -> Expr:
    """The one image of a batch: x.squeeze(0)."""
    return call(".squeeze", x, 0)
