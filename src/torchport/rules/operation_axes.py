"""Operations of `keras.ops` that reduce, add, move or cut axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torchport.axes import Order, to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.merge import concatenate, concatenate_parts, concatenate_shape, concatenate_wants
from torchport.rules.operation import as_dtype, as_float, broadcast, is_float, together
from torchport.rules.reshape import (
    permute,
    permute_wants,
    reshape,
    reshape_parts,
    reshape_shape,
    reshape_wants,
)
from torchport.rules.table import FOLLOWS, MEMORY, SOURCE, Value, Want, Wants, rule

#: For each axis of a result, the axis of the tensor it is; None for a new one.
Kept = Sequence[int | None]


def axes_of(axis: Any, rank: int) -> list[int]:
    """Axes counted from the start, in order; None is all of them."""
    if axis is None:
        return list(range(rank))
    given = list(axis) if isinstance(axis, Sequence) else [axis]
    if any(not -rank <= int(it) < rank for it in given):
        raise Unsupported(f"axis={axis!r} of a tensor with {rank} axes")
    return sorted(int(it) % rank for it in given)


def kept_wants(rank: int, kept: Kept) -> Wants:
    """In which orders an op needs no permute whose result has these axes of its input, in their order."""

    def free(before: Order, after: Order) -> bool:
        held = [axis for axis in to_order(range(rank), before) if axis in kept]
        return held == [axis for axis in to_order(kept, after) if axis is not None]

    source, first = Order.SOURCE, Order.CHANNELS_FIRST
    if free(first, first):
        return FOLLOWS
    if free(first, source):
        return Wants(Want.SAME, Want.SOURCE)
    return Wants(Want.SOURCE, Want.SAME) if free(source, first) else SOURCE


def in_order(x: Tensor, *others: Any) -> Wants:
    """Free; but of flattened features the source's order, which it looks at."""
    return FOLLOWS if len(x.shape) != 2 else MEMORY


def dims_of(x: Value, axis: Any) -> Any:
    """Where PyTorch holds these axes: a number, or a tuple; None for all."""
    if axis is None:
        return None
    dims = sorted(x.dim(it) for it in axes_of(axis, x.rank))
    return dims[0] if len(dims) == 1 else tuple(dims)


def reduced_kept(x: Tensor, axis: Any, keepdims: bool) -> Kept:
    gone = axes_of(axis, len(x.shape))
    return [at for at in range(len(x.shape)) if keepdims or at not in gone]


def reduced_shape(x: Tensor, *, axis: Any, keepdims: bool) -> Shape:
    gone = axes_of(axis, len(x.shape))
    return tuple(1 if at in gone else x.shape[at] for at in reduced_kept(x, axis, keepdims) if at is not None)


def reduced_wants(x: Tensor, *, axis: Any, keepdims: bool) -> Wants:
    return kept_wants(len(x.shape), reduced_kept(x, axis, keepdims))


def index_wants(x: Tensor, *, axis: Any, keepdims: bool) -> Wants:
    """As others, but the index of flattened features depends on their order."""
    return MEMORY if axis is None or len(x.shape) == 2 else reduced_wants(x, axis=axis, keepdims=keepdims)


def reduction(function: str, fractions: bool = False, **options: Any) -> Callable[..., Expr]:
    """The rule of a function or method that takes `dim` and `keepdim`."""

    def write(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
        given: Expr = (
            as_dtype(x, x.tensor.dtype, "float32") if fractions and not is_float(x.tensor.dtype) else x
        )
        dim = dims_of(x, axis)
        if dim is None and (keepdims or function == "torch.logsumexp"):
            dim = tuple(range(x.rank))
        return call(function, given, dim=dim, **options, keepdim=keepdims or None)

    write.__doc__ = f"{function}."
    return write


def summed(x: Tensor) -> str:
    return "int32" if x.dtype == "bool" else x.dtype


REDUCTIONS: dict[str, tuple[Callable[..., Expr], Any]] = {
    "Mean": (reduction(".mean", fractions=True), as_float),
    "Sum": (reduction(".sum"), summed),
    "Max": (reduction(".amax"), ""),
    "Amax": (reduction(".amax"), ""),
    "Min": (reduction(".amin"), ""),
    "Amin": (reduction(".amin"), ""),
    "Var": (reduction(".var", fractions=True, correction=0), as_float),
    "Std": (reduction(".std", fractions=True, correction=0), as_float),
    "Any": (reduction(".any"), "bool"),
    "All": (reduction(".all"), "bool"),
    "Logsumexp": (reduction("torch.logsumexp"), as_float),
}
for _name, (_write, _dtype) in REDUCTIONS.items():
    rule(
        f"keras.ops.{_name}", wants=reduced_wants, shape=reduced_shape, dtype=_dtype,
        only={"initial": (None,)}, ignores="initial",
    )(_write)  # fmt: skip


@rule("keras.ops.Prod", wants=reduced_wants, shape=reduced_shape, dtype=summed, ignores="dtype")
def prod(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.prod, which takes one axis at a time."""
    if axis is None and not keepdims:
        return call(".prod", x)
    result: Expr = x
    for dim in reversed(sorted(x.dim(it) for it in axes_of(axis, x.rank))):
        result = call(".prod", result, dim=dim, keepdim=keepdims or None)
    return result


@rule("keras.ops.Argmax", wants=index_wants, shape=reduced_shape, dtype="int32")
def argmax(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.argmax: of several the first, as TensorFlow."""
    return call(".argmax", x, dim=dims_of(x, axis), keepdim=keepdims or None)


@rule("keras.ops.Argmin", wants=index_wants, shape=reduced_shape, dtype="int32")
def argmin(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.argmin: of several the first, as TensorFlow."""
    return call(".argmin", x, dim=dims_of(x, axis), keepdim=keepdims or None)


@rule("keras.ops.Norm", wants=reduced_wants, shape=reduced_shape, only={"ord": (None, 2, 1)})
def norm(x: Value, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Expr:
    """torch.linalg.vector_norm."""
    if ord is not None and len(axes_of(axis, x.rank)) > 1:
        raise Unsupported(f"ord={ord!r} of a matrix")
    return call("torch.linalg.vector_norm", x, *([ord] if ord == 1 else []), dim=dims_of(x, axis),
                keepdim=keepdims or None)  # fmt: skip


def cumulative(function: str) -> Callable[..., Expr]:
    def write(x: Value, *, axis: Any = None) -> Expr:
        if axis is None:
            raise Unsupported("axis=None: over all axes", "give it an axis")
        return call(function, x, dim=x.dim(axis))

    write.__doc__ = f"{function}."
    return write


rule("keras.ops.Cumsum", wants=in_order, only={"dtype": (None,)})(cumulative("torch.cumsum"))
rule("keras.ops.Cumprod", wants=in_order, only={"dtype": (None,)})(cumulative("torch.cumprod"))


@rule("keras.ops.Sort", wants=in_order)
def sort(x: Value, *, axis: int = -1) -> Expr:
    """The values of torch.sort."""
    return call("torch.sort", x, dim=x.dim(axis))[0]


@rule("keras.ops.Flip", wants=in_order)
def flip(x: Value, *, axis: Any = None) -> Expr:
    """x.flip."""
    return call(".flip", x, *sorted(x.dim(it) for it in axes_of(axis, x.rank)))


@rule("keras.ops.Roll", wants=in_order)
def roll(x: Value, *, shift: Any, axis: Any = None) -> Expr:
    """x.roll."""
    if axis is None:
        raise Unsupported("axis=None: over all axes", "give it an axis")
    if isinstance(axis, Sequence):
        return call(".roll", x, tuple(shift), tuple(x.dim(it) for it in axis))
    return call(".roll", x, shift, x.dim(axis))


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
    dims = sorted(x.dim(it) for it in squeezed_axes(x.tensor, axis))
    return call(".squeeze", x, dims[0] if len(dims) == 1 else tuple(dims)) if dims else x


def indices(x: Tensor | Value, key: Any) -> list[tuple[int | None, Any]]:
    """An index as (axis of the tensor, or None for a new one; integer or slice), one for each axis."""
    items = list(key) if isinstance(key, (list, tuple)) else [key]
    if any(not (it is None or it is Ellipsis or isinstance(it, (int, slice))) for it in items):
        raise Unsupported("an index that is a tensor or a list", "keras.ops.take is ported")
    rank = len(x.shape)
    missing = rank - sum(isinstance(it, (int, slice)) for it in items)
    if Ellipsis not in items:
        items = [*items, Ellipsis]
    at, found = 0, list[tuple[int | None, Any]]()
    for item in items:
        if item is Ellipsis:
            found += [(at + n, slice(None)) for n in range(missing)]
            at += missing
        elif item is None:
            found.append((None, None))
        else:
            found.append((at, item))
            at += 1
    return found


def item_shape(x: Tensor, key: Any) -> Shape:
    sizes: list[int | None] = []
    for axis, item in indices(x, key):
        if axis is None:
            sizes.append(1)
        elif isinstance(item, slice):
            size = x.shape[axis]
            if any(not isinstance(it, (int, type(None))) for it in (item.start, item.stop, item.step)):
                raise Unsupported("a slice with ends that are tensors")
            unknown = size is None and item != slice(None)
            sizes.append(None if size is None or unknown else len(range(*item.indices(size))))
    return tuple(sizes)


def item_wants(x: Tensor, key: Any) -> Wants:
    if len(x.shape) == 2:
        return MEMORY
    kept = [axis for axis, item in indices(x, key) if not isinstance(item, int)]
    return kept_wants(len(x.shape), kept)


@rule("keras.ops.GetItem", wants=item_wants, shape=item_shape)
def get_item(x: Value, key: Any, *, out: Value) -> Expr:
    """x[...]; torch has no negative step: all of an axis backwards is a flip."""
    found = indices(x, key)
    value: Expr = x
    back = [axis for axis, item in found if isinstance(item, slice) and item == slice(None, None, -1)]
    if back:
        value = call(".flip", x, *sorted(x.dim(axis) for axis in back if axis is not None))
        found = [(axis, slice(None) if axis in back else item) for axis, item in found]
    if any(isinstance(item, slice) and (item.step or 1) < 0 for _, item in found):
        raise Unsupported("a slice that goes backwards over a part of an axis", "use keras.ops.flip")
    here = {axis: item for axis, item in found if axis is not None}
    held = list(to_order(range(x.rank), x.order))
    rest = [item for _, item in found if not isinstance(item, int)]
    new = {out.dim(at) for at, item in enumerate(rest) if item is None}
    index: list[Any] = []
    place = 0
    for axis in held:
        while place in new:
            index.append(None)
            place += 1
        index.append(here[axis])
        place += not isinstance(here[axis], int)
    index += [None for at in new if at >= place]
    while index and index[-1] == slice(None):
        index.pop()
    if len(index) > 2 and all(it == slice(None) for it in index[:-1]) and x.order is Order.SOURCE:
        if len(index) == x.rank:
            index = [Ellipsis, index[-1]]
    return value[tuple(index)] if index else value


def known(newshape: Sequence[Any]) -> list[int]:
    return [-1 if size is None else int(size) for size in newshape]


def keeps_batch(x: Tensor, newshape: Sequence[Any]) -> bool:
    """Whether the first axis stays the batch."""
    sizes, own = known(newshape), x.shape[1:]
    if not sizes or (sizes[0] not in (-1, x.shape[0]) and x.shape[0] is not None):
        return False
    if -1 in sizes[1:] or None in own:
        return False
    return math.prod(sizes[1:]) == math.prod(size or 1 for size in own)


def ops_reshape_shape(x: Tensor, *, newshape: Sequence[Any]) -> Shape:
    sizes = known(newshape)
    if keeps_batch(x, newshape):
        return reshape_shape(x, target_shape=sizes[1:])
    return tuple(None if size == -1 else size for size in sizes)


def ops_reshape_wants(x: Tensor, *, out: Tensor, newshape: Sequence[Any]) -> Wants:
    return reshape_wants(x, out=out) if keeps_batch(x, newshape) else MEMORY


def ops_reshape_parts(x: Tensor, *, out: Tensor, newshape: Sequence[Any]) -> Any:
    return reshape_parts(x, out=out) if keeps_batch(x, newshape) else {}


@rule("keras.ops.Reshape", wants=ops_reshape_wants, shape=ops_reshape_shape, parts=ops_reshape_parts)
def ops_reshape(x: Value, *, out: Value, newshape: Sequence[Any]) -> Expr:
    """x.reshape; as the layer Reshape where the batch stays."""
    if keeps_batch(x.tensor, newshape):
        return reshape(x, out=out, target_shape=known(newshape)[1:])  # type: ignore[no-any-return]
    return call(".reshape", x, *known(newshape))


def reversed_axes(x: Tensor | Value, axes: Any) -> list[int]:
    rank = len(x.shape)
    return [int(it) % rank for it in axes] if axes is not None else list(range(rank))[::-1]


def transposed_shape(x: Tensor, *, axes: Any) -> Shape:
    return tuple(x.shape[at] for at in reversed_axes(x, axes))


def transposed_wants(x: Tensor, *, axes: Any) -> Wants:
    order = reversed_axes(x, axes)
    return permute_wants(x, dims=order[1:]) if order[:1] == [0] else SOURCE


@rule("keras.ops.Transpose", wants=transposed_wants, shape=transposed_shape)
def transpose(x: Value, *, axes: Any = None) -> Expr:
    """x.permute; nothing where the layout has done it."""
    order = reversed_axes(x, axes)
    moved = [at for at, axis in enumerate(order) if at != axis]
    if order[:1] == [0]:
        written = permute(x, dims=order[1:])
        if written is x or len(moved) != 2:
            return written  # type: ignore[no-any-return]
    return call(".transpose", x, *moved) if len(moved) == 2 else call(".permute", x, *order)


def swapped(x: Tensor | Value, axis1: int, axis2: int) -> list[int]:
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return order


def swapped_shape(x: Tensor, *, axis1: int, axis2: int) -> Shape:
    return transposed_shape(x, axes=swapped(x, axis1, axis2))


def swapped_wants(x: Tensor, *, axis1: int, axis2: int) -> Wants:
    return transposed_wants(x, axes=swapped(x, axis1, axis2))


@rule("keras.ops.Swapaxes", wants=swapped_wants, shape=swapped_shape)
def swapaxes(x: Value, *, axis1: int, axis2: int) -> Expr:
    """x.transpose."""
    return transpose(x, axes=swapped(x, axis1, axis2))  # type: ignore[no-any-return]


def carried(x: Tensor | Value, source: Any, destination: Any) -> list[int]:
    """The axes after a move. Source: numpy.moveaxis."""
    rank = len(x.shape)
    start, end = ([it] if isinstance(it, int) else list(it) for it in (source, destination))
    start, end = [it % rank for it in start], [it % rank for it in end]
    order = [axis for axis in range(rank) if axis not in start]
    for at, axis in sorted(zip(end, start, strict=True)):
        order.insert(at, axis)
    return order


def carried_shape(x: Tensor, *, source: Any, destination: Any) -> Shape:
    return transposed_shape(x, axes=carried(x, source, destination))


def carried_wants(x: Tensor, *, source: Any, destination: Any) -> Wants:
    return transposed_wants(x, axes=carried(x, source, destination))


@rule("keras.ops.Moveaxis", wants=carried_wants, shape=carried_shape)
def moveaxis(x: Value, *, source: Any, destination: Any) -> Expr:
    """x.permute."""
    return transpose(x, axes=carried(x, source, destination))  # type: ignore[no-any-return]


@rule(
    "keras.ops.Concatenate", wants=concatenate_wants, shape=concatenate_shape, parts=concatenate_parts
)  # fmt: skip
def ops_concatenate(xs: Sequence[Value], *, axis: int = 0) -> Expr:
    """torch.cat over the same named axis."""
    return concatenate(xs, axis=axis)  # type: ignore[no-any-return]


def stacked_shape(xs: Sequence[Tensor], *, axis: int) -> Shape:
    shape = list(xs[0].shape)
    shape.insert(axis % (len(shape) + 1), len(xs))
    return tuple(shape)


def stacked_wants(xs: Sequence[Tensor], *, axis: int) -> Wants:
    return expanded_wants(xs[0], axis=axis)


@rule("keras.ops.Stack", wants=stacked_wants, shape=stacked_shape)
def stack(xs: Sequence[Value], *, out: Value, axis: int = 0) -> Expr:
    """torch.stack."""
    return call("torch.stack", list(xs), dim=out.dim(axis))


def pieces(x: Tensor | Value, indices_or_sections: Any, axis: int) -> list[int]:
    """The sizes of the pieces."""
    size = x.shape[axis]
    if size is None:
        raise Unsupported(f"the size of axis {axis} is not known")
    if isinstance(indices_or_sections, int):
        return [size // indices_or_sections] * indices_or_sections
    cuts = [0, *indices_or_sections, size]
    return [end - start for start, end in zip(cuts, cuts[1:], strict=False)]


def split_shape(x: Tensor, *, indices_or_sections: Any, axis: int) -> list[Shape]:
    sizes = pieces(x, indices_or_sections, axis)
    at = axis % len(x.shape)
    return [(*x.shape[:at], size, *x.shape[at + 1 :]) for size in sizes]


@rule("keras.ops.Split", wants=in_order, shape=split_shape)
def split(x: Value, *, indices_or_sections: Any, axis: int = 0) -> Expr:
    """x.chunk, or torch.split into sizes."""
    if isinstance(indices_or_sections, int):
        return call(".chunk", x, indices_or_sections, dim=x.dim(axis))
    return call(".split", x, pieces(x, indices_or_sections, axis), dim=x.dim(axis))


def unstacked_shape(x: Tensor, *, axis: int) -> list[Shape]:
    size = x.shape[axis]
    if size is None:
        raise Unsupported(f"the size of axis {axis} is not known")
    return [reduced_shape(x, axis=axis, keepdims=False)] * size


def unstacked_wants(x: Tensor, *, axis: int) -> Wants:
    return MEMORY if len(x.shape) == 2 else reduced_wants(x, axis=axis, keepdims=False)


@rule("keras.ops.Unstack", wants=unstacked_wants, shape=unstacked_shape, ignores="num")
def unstack(x: Value, *, axis: int = 0) -> Expr:
    """x.unbind."""
    return call(".unbind", x, x.dim(axis))


def repeated_shape(x: Tensor, *, repeats: Any, axis: Any) -> Shape:
    if axis is None or not isinstance(repeats, int):
        raise Unsupported(f"repeats={repeats!r}, axis={axis!r}: a number along an axis is ported")
    at = axis % len(x.shape)
    return tuple(size and size * repeats if n == at else size for n, size in enumerate(x.shape))


@rule("keras.ops.Repeat", wants=in_order, shape=repeated_shape)
def repeat(x: Value, *, repeats: Any, axis: Any = None) -> Expr:
    """x.repeat_interleave."""
    return call(".repeat_interleave", x, repeats, dim=x.dim(axis))


def times(x: Tensor | Value, repeats: Any) -> list[int]:
    given = [repeats] if isinstance(repeats, int) else list(repeats)
    if len(given) > len(x.shape):
        raise Unsupported(f"repeats={repeats!r} of a tensor with {len(x.shape)} axes")
    return [1] * (len(x.shape) - len(given)) + given


def tiled_shape(x: Tensor, *, repeats: Any) -> Shape:
    return tuple(size and size * n for size, n in zip(x.shape, times(x, repeats), strict=True))


@rule("keras.ops.Tile", wants=in_order, shape=tiled_shape)
def tile(x: Value, *, repeats: Any) -> Expr:
    """x.repeat."""
    return call(".repeat", x, *to_order(times(x, repeats), x.order))


def pad_pairs(x: Tensor | Value, pad_width: Any) -> list[tuple[int, int]]:
    """What is added before and after each axis."""
    given: list[Any] = [pad_width] if isinstance(pad_width, int) else list(pad_width)
    if all(isinstance(it, int) for it in given):
        pair = (given[0], given[-1])
        return [pair] * len(x.shape)
    pairs = [(int(it[0]), int(it[-1])) for it in given]
    return pairs * len(x.shape) if len(pairs) == 1 else pairs


def padded_shape(x: Tensor, *, pad_width: Any) -> Shape:
    return tuple(
        None if size is None else size + sum(pair)
        for size, pair in zip(x.shape, pad_pairs(x, pad_width), strict=True)
    )


@rule(
    "keras.ops.Pad", wants=in_order, shape=padded_shape, only={"mode": ("constant", "reflect", "symmetric")}
)  # fmt: skip
def pad(x: Value, *, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Expr:
    """F.pad, which lists the last axis first; mirrored, a helper, as torch lacks 'symmetric'."""
    pairs = to_order(pad_pairs(x, pad_width), x.order)
    first = next((at for at, pair in enumerate(pairs) if any(pair)), None)
    if first is None:
        return x
    amounts = tuple(n for pair in reversed(pairs[first:]) for n in pair)
    if mode == "constant":
        return call("F.pad", x, amounts, value=constant_values or None)
    if mode == "reflect" and x.rank > 2 and first >= 2:
        return call("F.pad", x, amounts[: 2 * (x.rank - 2)], mode="reflect")
    return call("mirror_pad", x, amounts, edge=True if mode == "symmetric" else None)


def as_shape(x: Tensor, *, shape: Sequence[Any]) -> Shape:
    return broadcast(x.shape, tuple(None if it in (None, -1) else it for it in shape))


@rule("keras.ops.BroadcastTo", wants=together, shape=as_shape)
def broadcast_to(x: Value, *, out: Value, shape: Sequence[Any]) -> Expr:
    """x.expand."""
    if x.rank == 1 and out.order is Order.CHANNELS_FIRST and out.rank > 2:
        x_ = x[(slice(None), *(None,) * (out.rank - 2))]
        return call(".expand", x_, *(-1 if it is None else it for it in out.sizes))
    sizes = out.sizes
    had = to_order(x.shape, x.order) if x.rank == out.rank else (None,) * out.rank
    return call(".expand", x, *(-1 if size is None or size == own else size
                                for size, own in zip(sizes, had, strict=True)))  # fmt: skip


def taken_shape(x: Tensor, indices: Any, *, axis: Any) -> Shape:
    if axis is None:
        raise Unsupported("axis=None: of the flattened tensor", "give it an axis")
    at = axis % len(x.shape)
    middle = (
        indices.shape if isinstance(indices, Tensor) else (len(indices),) if indices_list(indices) else ()
    )
    return (*x.shape[:at], *middle, *x.shape[at + 1 :])


def indices_list(indices: Any) -> bool:
    items = indices if isinstance(indices, (list, tuple)) else [indices]
    if not all(isinstance(it, int) for it in items):
        raise Unsupported("indices that are not a tensor, a list or a number")
    return items is indices


@rule("keras.ops.Take", wants=SOURCE, shape=taken_shape)
def take(x: Value, indices: Any, *, axis: Any = None) -> Expr:
    """x[:, indices]."""
    given: Any = indices if not isinstance(indices, (tuple, list)) else list(indices)
    if isinstance(indices, Value) and indices.tensor.dtype not in ("int32", "int64"):
        given = call(".long", indices)
    return x[(*(slice(None),) * (axis % x.rank), given)]


@rule("keras.ops.TakeAlongAxis", wants=in_order)
def take_along_axis(x: Value, indices: Value, *, axis: Any = None) -> Expr:
    """torch.take_along_dim."""
    if axis is None or not isinstance(indices, Value):
        raise Unsupported("of constants, or of the flattened tensor", "give it a tensor and an axis")
    return call("torch.take_along_dim", x, call(".long", indices), dim=x.dim(axis))


def one_hot_shape(x: Tensor, *, num_classes: int, axis: int) -> Shape:
    if axis not in (-1, len(x.shape)):
        raise Unsupported(f"axis={axis}: -1 is ported")
    return (*x.shape, num_classes)


def one_hot_dtype(x: Tensor, *, dtype: Any) -> str:
    return "float32" if dtype is None else str(dtype)


@rule("keras.ops.OneHot", wants=SOURCE, shape=one_hot_shape, dtype=one_hot_dtype, only={"sparse": (False,)})
def one_hot(x: Value, *, num_classes: int, axis: int = -1, dtype: Any = None) -> Expr:
    """A comparison with all classes: what is none of them gives zeros, where F.one_hot raises."""
    return as_dtype(call("one_hot", x, num_classes), "bool", one_hot_dtype(x.tensor, dtype=dtype))


def triangle(function: str) -> Callable[..., Expr]:
    def write(x: Value, *, k: int = 0) -> Expr:
        return call(function, x, *([k] if k else []))

    write.__doc__ = f"{function}."
    return write


rule("keras.ops.Tril", wants=SOURCE)(triangle("torch.tril"))
rule("keras.ops.Triu", wants=SOURCE)(triangle("torch.triu"))
