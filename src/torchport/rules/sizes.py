"""Axes and sizes: which axes an option means, how large they are, and sizes of several tensors together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.rules.table import Value
from torchport.rules.window import Onto, Reading, Whole


def axes_of(axis: Any, rank: int) -> list[int]:
    """Axes counted from the start, in order; None is all of them."""
    if axis is None:
        return list(range(rank))
    given = list(axis) if isinstance(axis, Sequence) else [axis]
    if any(not -rank <= int(it) < rank for it in given):
        raise Unsupported(f"axis={axis!r} of a tensor with {rank} axes")
    return sorted(int(it) % rank for it in given)


def all_along(x: Tensor | Value, *others: Any, axis: Any) -> dict[int, Reading]:
    """`reads` of what looks at all of an axis, or of several, at each of their steps: norms, a softmax."""
    return {at: Whole(keeps=True) for at in axes_of(axis, len(x.shape))}


def all_of(x: Tensor | Value, *others: Any) -> dict[int, Reading]:
    """`reads` of what looks at all of a sample at each of its steps."""
    return {at: Whole(keeps=True) for at in range(1, len(x.shape))}


def all_of_last(count: int) -> Callable[..., Any]:
    """`reads` of what looks at all of the last axes at each of their steps: matrices, spectra."""

    def each(x: Tensor) -> dict[int, Reading]:
        rank = len(x.shape)
        return {
            at: Whole(keeps=True) if at >= rank - count else Onto(at)
            for at in range(min(1, rank - count), rank)
        }

    def reads(x: Tensor | Sequence[Tensor], *others: Any) -> Any:
        return each(x) if isinstance(x, Tensor) else [each(it) for it in x]

    return reads


def axis_of(axis: Any, rank: int) -> int:
    """One axis counted from the start; older files give a list of one."""
    axes = axes_of(axis, rank)
    if axis is None or len(axes) != 1:
        raise Unsupported(f"axis={axis!r}: one axis is ported")
    return axes[0]


def held(dims: Sequence[int]) -> int | tuple[int, ...]:
    """Dimensions as an argument of torch: a number, or a tuple of several, in order."""
    return dims[0] if len(dims) == 1 else tuple(sorted(dims))


def dims_of(x: Value, axis: Any) -> Any:
    """Where PyTorch holds these axes: a number, or a tuple; None for all."""
    return None if axis is None else held([x.dim(it) for it in axes_of(axis, x.rank)])


def size_of(x: Tensor | Value, axis: int) -> int:
    """The size of an axis. Raises Unsupported where only the run time knows it."""
    size = x.shape[axis]
    if size is None:
        raise Unsupported(f"the size of axis {axis % len(x.shape)} is not known")
    return size


def features(x: Tensor | Value) -> int:
    """The size of the last axis."""
    return size_of(x, -1)


def product(sizes: Sequence[int | None]) -> int | None:
    """How many entries axes of these sizes have together; None if one is not known."""
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def broadcast(*shapes: Shape) -> Shape:
    """The shape of several together, aligned from the last axis as numpy does."""
    rank = max(map(len, shapes), default=0)
    sizes: list[int | None] = []
    for column in zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        known = {size for size in column if size not in (None, 1)}
        if len(known) > 1:
            raise Unsupported(f"sizes {sorted(known)} do not fit each other")
        sizes.append(known.pop() if known else (None if None in column else 1))
    return tuple(sizes)


def with_size(shape: Shape, axis: int, *sizes: int | None) -> Shape:
    """The shape with another size along one axis; with several, as many axes; with none, without it."""
    at = axis % len(shape)
    return (*shape[:at], *sizes, *shape[at + 1 :])


def end_to_end(xs: Sequence[Tensor], axis: int) -> Shape:
    """The shape of tensors laid end to end along an axis. Raises Unsupported where they do not fit."""
    for x in xs[1:]:
        pairs = zip(with_size(xs[0].shape, axis, None), with_size(x.shape, axis, None), strict=True)
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise Unsupported(f"joins {list(xs[0].shape)} and {list(x.shape)}, which differ elsewhere too")
    sizes = [x.shape[axis] for x in xs]
    return with_size(xs[0].shape, axis, None if None in sizes else sum(size or 0 for size in sizes))
