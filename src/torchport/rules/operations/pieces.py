"""Operations that cut, join, repeat, pad or regroup axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.axes import Order, to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.named import whole_number
from torchport.program import Expr, Infix, call
from torchport.rules.constants import numbers
from torchport.rules.merge import (
    concatenate,
    concatenate_parts,
    concatenate_reads,
    concatenate_shape,
    concatenate_wants,
)
from torchport.rules.operations.axes import expanded_wants, in_order
from torchport.rules.operations.operands import together
from torchport.rules.operations.reduce import reduced_wants
from torchport.rules.reshape import reshape, reshape_parts, reshape_shape, reshape_wants
from torchport.rules.sizes import axes_of, broadcast, product, size_of, with_size
from torchport.rules.table import MEMORY, SOURCE, Value, Want, Wants, rule
from torchport.rules.window import Among, Onto, Reading, Rotation, Window, lookup


def no_axes(x: Tensor) -> Shape:
    return ()


@rule("tf.size", wants=Wants(Want.ANY, Want.SOURCE), shape=no_axes, dtype="int32")
def run_time_size(x: Value, *, axis: int) -> Expr:
    """x.size: a number of Python."""
    return call(".size", x, x.dim(axis))


@rule("tf.size_of_sizes", wants=Wants(Want.ANY, Want.SOURCE), shape=lambda *xs: (), dtype="int32")
def computed_size(x1: Any, x2: Any, *, sign: str) -> Expr:
    """Arithmetic of numbers of Python."""
    return call(sign, x1, x2) if sign.isalpha() else Infix(sign, x1, x2)


def known(newshape: Sequence[Any]) -> list[int]:
    """The sizes, -1 where only the run time knows one."""
    # one that carries its text keeps it
    sizes = (-1 if size is None or isinstance(size, (Tensor, Value)) else size for size in newshape)
    return [size if isinstance(size, int) else int(size) for size in sizes]


def keeps_batch(x: Tensor, newshape: Sequence[Any]) -> bool:
    """Whether the first axis stays the batch."""
    sizes, own = known(newshape), x.shape[1:]
    if not sizes or (sizes[0] not in (-1, x.shape[0]) and x.shape[0] is not None):
        return False
    return -1 not in sizes[1:] and product(sizes[1:]) == product(own)


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
    sizes = zip(newshape, known(newshape), strict=True)
    return call(".reshape", x, *(given if isinstance(given, Value) else size for given, size in sizes))


@rule(
    "keras.ops.Concatenate", wants=concatenate_wants, shape=concatenate_shape, parts=concatenate_parts,
    reads=concatenate_reads,
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


def stacked_reads(xs: Sequence[Any], *, axis: int) -> list[dict[int, Reading]]:
    """Its own step, of the tensor whose turn it is."""
    tensors = [x for x in xs if isinstance(x, Tensor)]
    at = axis % (len(tensors[0].shape) + 1)
    return [{it: Onto(it + (it >= at)) for it in range(len(x.shape))} for x in tensors]


@rule("keras.ops.Stack", wants=stacked_wants, shape=stacked_shape, reads=stacked_reads)
def stack(xs: Sequence[Value], *, out: Value, axis: int = 0) -> Expr:
    """torch.stack."""
    return call("torch.stack", list(xs), dim=out.dim(axis))


def pieces(x: Tensor | Value, indices_or_sections: Any, axis: int) -> list[int]:
    """The sizes of the pieces."""
    size = size_of(x, axis)
    if isinstance(indices_or_sections, int):
        return [size // indices_or_sections] * indices_or_sections
    cuts = [0, *indices_or_sections, size]
    return [end - start for start, end in zip(cuts, cuts[1:], strict=False)]


def split_shape(x: Tensor, *, indices_or_sections: Any, axis: int) -> list[Shape]:
    return [with_size(x.shape, axis, size) for size in pieces(x, indices_or_sections, axis)]


def pieces_reads(x: Tensor, sizes: Sequence[int], axis: int) -> dict[int, Reading]:
    """Of an axis that is cut in pieces: which piece, the output says."""
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    spans = ", ".join(f"{end - size} to {end - 1}" for size, end in zip(sizes[:4], ends, strict=False))
    more = ", …" if len(sizes) > 4 else ""
    return {axis % len(x.shape): Among(f"one {{0}} of its output's: these are {{0}} {spans}{more}")}


def split_reads(x: Tensor, *, indices_or_sections: Any, axis: int) -> dict[int, Reading]:
    return pieces_reads(x, pieces(x, indices_or_sections, axis), axis)


@rule("keras.ops.Split", wants=in_order, shape=split_shape, reads=split_reads)
def split(x: Value, *, indices_or_sections: Any, axis: int = 0) -> Expr:
    """x.chunk, or torch.split into sizes; one piece is x itself."""
    sizes = pieces(x, indices_or_sections, axis)
    if len(sizes) == 1:
        return x
    if isinstance(indices_or_sections, int):
        return call(".chunk", x, indices_or_sections, dim=x.dim(axis))
    return call(".split", x, sizes, dim=x.dim(axis))


def unstacked_shape(x: Tensor, *, axis: int) -> list[Shape]:
    return [with_size(x.shape, axis)] * size_of(x, axis)


def unstacked_wants(x: Tensor, *, axis: int) -> Wants:
    return MEMORY if len(x.shape) == 2 else reduced_wants(x, axis=axis, keepdims=False)


@rule("keras.ops.Unstack", wants=unstacked_wants, shape=unstacked_shape, ignores="num")
def unstack(x: Value, *, axis: int = 0) -> Expr:
    """x.unbind; x.squeeze where there is one."""
    return call(".squeeze" if size_of(x, axis) == 1 else ".unbind", x, x.dim(axis))


def repeated_shape(x: Tensor, *, repeats: Any, axis: Any) -> Shape:
    if isinstance(repeats, (Tensor, Value)):
        return (None,) if axis is None else with_size(x.shape, axis, None)
    if axis is None:
        if isinstance(repeats, Sequence) and len(repeats) > 1:
            raise Unsupported(f"repeats={repeats!r} of all values", "give one number, or an axis")
        count = repeats[0] if isinstance(repeats, Sequence) else repeats
        return (None if None in x.shape else count * product(x.shape),)
    size = x.shape[axis]
    if isinstance(repeats, Sequence):
        counts = list(repeats) * (size_of(x, axis) if len(repeats) == 1 else 1)
        return with_size(x.shape, axis, sum(counts))
    return with_size(x.shape, axis, None if size is None else size * repeats)


def repeated_wants(x: Tensor, *, axis: Any = None) -> Wants:
    return MEMORY if axis is None else in_order(x)


def repeated_reads(x: Tensor, *, repeats: Any, axis: Any) -> dict[int, Reading]:
    """Each step of the axis as often as it is repeated."""
    if axis is None:
        return {at: Among("one {0}: all values are in one row") for at in range(1, len(x.shape))}
    at = axis % len(x.shape)
    if isinstance(repeats, (Tensor, Value)):
        return {at: Among("one {0}: the repeats say which")}
    counts = list(repeats) if isinstance(repeats, Sequence) else [repeats]
    is_even = len(set(counts)) == 1
    counts *= size_of(x, at) if len(counts) == 1 else 1
    says = f"its {{0}} // {counts[0]}" if is_even else "one {0}, each repeated as often as it is told"
    return {at: lookup((it for it, count in enumerate(counts) for _ in range(count)), says)}


@rule("keras.ops.Repeat", wants=repeated_wants, shape=repeated_shape, reads=repeated_reads)
def repeat(x: Value, *, repeats: Any, axis: Any = None) -> Expr:
    """x.repeat_interleave; where each entry has a number of its own, an index."""
    if axis is None:
        count = repeats[0] if isinstance(repeats, Sequence) else repeats
        return call(".repeat_interleave", call(".flatten", x) if x.rank > 1 else x, count)
    if isinstance(repeats, Sequence):
        counts = list(repeats) * (size_of(x, axis) if len(repeats) == 1 else 1)
        places = [at for at, count in enumerate(counts) for _ in range(count)]
        return x[(*(slice(None),) * x.dim(axis), places)]
    return call(".repeat_interleave", x, repeats, dim=x.dim(axis))


def times(x: Tensor | Value, repeats: Any) -> list[Any]:
    given = [repeats] if isinstance(repeats, int) else list(numbers(repeats))
    if len(given) > len(x.shape):
        raise Unsupported(f"repeats={repeats!r} of a tensor with {len(x.shape)} axes")
    return [1] * (len(x.shape) - len(given)) + given


def tiled_shape(x: Tensor, *, repeats: Any) -> Shape:
    pairs = zip(x.shape, times(x, repeats), strict=True)
    return tuple(None if size is None or isinstance(n, (Tensor, Value)) else size * n for size, n in pairs)


def tiled_reads(x: Tensor, *, repeats: Any) -> dict[int, Reading]:
    """Each axis again and again."""
    found: dict[int, Reading] = {}
    for at, (size, count) in enumerate(zip(x.shape, times(x, repeats), strict=True)):
        if isinstance(count, (Tensor, Value)):
            found[at] = Among("one {0}: how often it is laid down is a tensor")
        elif size is not None and at:
            places = [it % size for it in range(size * count)]
            found[at] = Onto(at, lookup(places, f"its {{0}} mod {size}")) if count != 1 else Onto(at)
    return found


@rule("keras.ops.Tile", wants=in_order, shape=tiled_shape, reads=tiled_reads)
def tile(x: Value, *, repeats: Any) -> Expr:
    """x.repeat."""
    return call(".repeat", x, *to_order(times(x, repeats), x.order))


def pad_pairs(x: Tensor | Value, pad_width: Any) -> list[tuple[int, int]]:
    """What is added before and after each axis."""
    given: list[Any] = [pad_width] if isinstance(pad_width, int) else list(pad_width)
    if all(isinstance(it, int) for it in given):
        pair = (given[0], given[-1])
        return [pair] * len(x.shape)
    pairs = [(whole_number(it[0]), whole_number(it[-1])) for it in given]
    return pairs * len(x.shape) if len(pairs) == 1 else pairs


def padded_shape(x: Tensor, *, pad_width: Any) -> Shape:
    return tuple(
        None if size is None else size + sum(pair)
        for size, pair in zip(x.shape, pad_pairs(x, pad_width), strict=True)
    )


def padded_reads(x: Tensor, *, pad_width: Any, mode: str) -> dict[int, Reading]:
    """Each its own step, moved; of a mirrored axis one of them: 'symmetric' has its edge twice."""
    edge = {"constant": "zeros", "reflect": "reflect"}.get(mode)
    found: dict[int, Reading] = {}
    for at, (before, after) in enumerate(pad_pairs(x, pad_width)):
        if not at:
            continue
        if edge or not (before or after):
            found[at] = Onto(at, Window(1, padding=(before, after), edge=edge) if edge and (before or after)
                             else Window(1))  # fmt: skip
            continue
        size = size_of(x, at)
        rounds = [it % (2 * size) for it in range(-before, size + after)]
        places = [it if it < size else 2 * size - 1 - it for it in rounds]
        found[at] = Onto(at, lookup(places, f"its {{0}}, moved by {before} and mirrored at both ends"))
    return found


@rule(
    "keras.ops.Pad", wants=in_order, shape=padded_shape, reads=padded_reads,
    only={"mode": ("constant", "reflect", "symmetric")},
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
    given = list(numbers(shape))
    given = [None if isinstance(it, (Tensor, Value)) or it in (None, -1) else it for it in given]
    return broadcast(x.shape, tuple(given))


def broadcast_reads(x: Tensor, *, shape: Sequence[Any]) -> dict[int, Reading]:
    more = len(list(numbers(shape))) - len(x.shape)
    return {at: Onto(at + more) for at, size in enumerate(x.shape) if size != 1 and more >= 0}


@rule("keras.ops.BroadcastTo", wants=together, shape=as_shape, reads=broadcast_reads)
def broadcast_to(x: Value, *, out: Value, shape: Sequence[Any]) -> Expr:
    """x.expand."""
    read: Expr = x
    if x.rank == 1 and out.order is Order.CHANNELS_FIRST and out.rank > 2:
        read = x[(slice(None), *(None,) * (out.rank - 2))]
    wanted = [
        it if isinstance(it, Value) else size for it, size in zip(numbers(shape), out.shape, strict=True)
    ]
    had = [0] * (out.rank - x.rank) + list(x.shape)
    sizes = [-1 if size is None or (own is None and isinstance(size, Value)) or size == own else size
             for size, own in zip(wanted, had, strict=True)]  # fmt: skip
    return call(".expand", read, *to_order(sizes, out.order))


def flip_reads(x: Tensor, *, axis: Any) -> dict[int, Reading]:
    return {at: Rotation(backwards=True) for at in axes_of(axis, len(x.shape))}


@rule("keras.ops.Flip", wants=in_order, reads=flip_reads)
def flip(x: Value, *, axis: Any = None) -> Expr:
    """x.flip."""
    return call(".flip", x, *sorted(x.dim(it) for it in axes_of(axis, x.rank)))


def roll_reads(x: Tensor, *, shift: Any, axis: Any) -> dict[int, Reading]:
    pairs = zip(axis, shift, strict=True) if isinstance(axis, Sequence) else [(axis, shift)]
    return {at % len(x.shape): Rotation(by) for at, by in pairs}


@rule("keras.ops.Roll", wants=in_order, reads=roll_reads)
def roll(x: Value, *, shift: Any, axis: Any = None) -> Expr:
    """x.roll."""
    if axis is None:
        raise Unsupported("axis=None: over all axes", "give it an axis")
    if isinstance(axis, Sequence):
        return call(".roll", x, tuple(shift), tuple(x.dim(it) for it in axis))
    return call(".roll", x, shift, x.dim(axis))


def spread_shape(x: Tensor, *, block_shape: Any, paddings: Any) -> Shape:
    sizes = [
        None if size is None else (size + sum(pair)) // block
        for size, block, pair in zip(x.shape[1:], block_shape, paddings, strict=False)
    ]
    return (None, *sizes, *x.shape[1 + len(sizes) :])


@rule("tf.space_to_batch", wants=SOURCE, shape=spread_shape)
def space_to_batch(x: Value, *, block_shape: Any, paddings: Any) -> Expr:
    """A helper: padded, and each place of a block a batch of its own."""
    return call("space_to_batch", x, tuple(block_shape), tuple(map(tuple, paddings)))


def gathered_shape(x: Tensor, *, block_shape: Any, crops: Any) -> Shape:
    sizes = [
        None if size is None else size * block - sum(pair)
        for size, block, pair in zip(x.shape[1:], block_shape, crops, strict=False)
    ]
    return (None, *sizes, *x.shape[1 + len(sizes) :])


@rule("tf.batch_to_space", wants=SOURCE, shape=gathered_shape)
def batch_to_space(x: Value, *, block_shape: Any, crops: Any) -> Expr:
    """A helper: the inverse of space_to_batch, cropped."""
    return call("batch_to_space", x, tuple(block_shape), tuple(map(tuple, crops)))
