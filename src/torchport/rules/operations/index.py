"""Operations that pick entries: by an index of Python, by a tensor of indices, by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torchport.axes import Order, to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Attribute, Expr, Infix, call
from torchport.rules.arguments import indexed, unless
from torchport.rules.constants import numbers, shape_of
from torchport.rules.dtypes import WHOLE, as_dtype, as_index, is_float
from torchport.rules.operations.axes import in_order, kept_wants
from torchport.rules.operations.operands import buffer
from torchport.rules.sizes import all_along, broadcast, size_of, with_size
from torchport.rules.table import MEMORY, SOURCE, Value, Wants, rule
from torchport.rules.window import Among, Onto, Pick, Reading, Window, lookup


def indices(x: Tensor | Value, key: Any) -> list[tuple[int | None, Any]]:
    """An index as (axis of the tensor, or None for a new one; integer or slice), one for each axis."""
    items = list(key) if isinstance(key, (list, tuple)) else [key]
    if any(
        not (it is None or it is Ellipsis or isinstance(it, (int, slice)) or is_number(it)) for it in items
    ):
        raise Unsupported("an index that is a tensor or a list", "tf.gather and keras.ops.take are ported")
    rank = len(x.shape)
    missing = rank - sum(it is not None and it is not Ellipsis for it in items)
    if not any(it is Ellipsis for it in items):
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


def dtype_of(x: Tensor | Value) -> str:
    return x.tensor.dtype if isinstance(x, Value) else x.dtype


def is_number(item: Any) -> bool:
    """Whether an index is one whole number that only the run time knows."""
    return isinstance(item, (Tensor, Value)) and not item.shape and dtype_of(item) in WHOLE[1:]


def item_shape(x: Tensor, key: Any) -> Shape:
    sizes: list[int | None] = []
    for axis, item in indices(x, key):
        if axis is None:
            sizes.append(1)
        elif isinstance(item, slice):
            size = x.shape[axis]
            if is_all(item):  # the axis itself, which its size may know
                sizes.append(size)
                continue
            ends = (item.start, item.stop, item.step)
            if any(isinstance(it, (Tensor, Value)) and it.shape for it in ends):
                raise Unsupported("a slice with ends that are tensors of several numbers")
            unknown = size is None or any(isinstance(it, (Tensor, Value)) for it in ends)
            sizes.append(None if unknown else len(range(*item.indices(size or 0))))
    return tuple(sizes)


def item_wants(x: Tensor, key: Any) -> Wants:
    if len(x.shape) == 2:
        return MEMORY
    kept = [axis for axis, item in indices(x, key) if item is None or isinstance(item, slice)]
    return kept_wants(len(x.shape), kept)


def is_backwards(item: slice) -> bool:
    return isinstance(item.step, int) and item.step < 0


def is_all(item: Any) -> bool:
    return isinstance(item, slice) and (item.start, item.stop, item.step) == (None, None, None)


def flipped(x: Value, axis: int | None, item: slice) -> slice:
    """What a slice that goes backwards is of the axis turned round."""
    ends = (item.start, item.stop)
    size = None if axis is None else x.shape[axis]
    if ends == (None, None):
        return slice(None, None, -item.step if item.step != -1 else None)
    if size is None or any(isinstance(it, Value) for it in ends):
        raise Unsupported("a slice that goes backwards over a part of an axis", "reverse the axis first")
    places = range(*item.indices(size))
    first = size - 1 - places[0] if places else size
    last = first + len(places) * -item.step
    return slice(first or None, last if last < size else None, -item.step if item.step != -1 else None)


def item_reads(x: Tensor, key: Any) -> dict[int, Reading]:
    """A number is one step; a slice moves them. Each axis is the output's behind those that are left."""
    found: dict[int, Reading] = {}
    left = 0
    for axis, item in indices(x, key):
        size = None if axis is None else x.shape[axis]
        if axis is not None and isinstance(item, int):
            if size is not None:
                found[axis] = Pick(item % size)
            continue
        if axis is not None and isinstance(item, slice) and size is not None and is_fixed(item):
            places = range(*item.indices(size))
            if places and not is_all(item):
                found[axis] = Onto(left, of_places(places, size))
        left += 1
    return found


def of_places(places: range, size: int) -> Reading:
    """What the steps of a slice read."""
    if places.step > 0:
        return Window(1, places.step, padding=(-places[0], places[-1] + 1 - size))
    return lookup(places, f"{{0}} = {places[0]} - {-places.step}·its own")


def is_fixed(item: slice) -> bool:
    """Whether its ends and its step are numbers."""
    return all(it is None or isinstance(it, int) for it in (item.start, item.stop, item.step))


@rule("keras.ops.GetItem", wants=item_wants, shape=item_shape, reads=item_reads)
def get_item(x: Value, key: Any, *, out: Value) -> Expr:
    """x[...]; torch has no negative step: all of an axis backwards is a flip."""
    found = indices(x, key)
    value: Expr = x
    back = [axis for axis, item in found if isinstance(item, slice) and is_backwards(item)]
    if back:
        value = call(".flip", x, *sorted(x.dim(axis) for axis in back if axis is not None))
        found = [(axis, flipped(x, axis, item) if axis in back else item) for axis, item in found]
    here = {axis: item for axis, item in found if axis is not None}
    held = list(to_order(range(x.rank), x.order))
    rest = [item for _, item in found if item is None or isinstance(item, slice)]
    new = {out.dim(at) for at, item in enumerate(rest) if item is None}
    index: list[Any] = []
    place = 0
    for axis in held:
        while place in new:
            index.append(None)
            place += 1
        index.append(here[axis])
        place += isinstance(here[axis], slice)
    index += [None for at in new if at >= place]
    *before, last = index or [slice(None)]
    if len(index) == x.rank > 2 and all(is_all(it) for it in before) and not is_all(last):
        index = [Ellipsis, last] if x.order is Order.SOURCE else index
    return indexed(value, index)


def taken_shape(x: Tensor, indices: Any, *, axis: Any, batch_dims: int = 0) -> Shape:
    if axis is None and not batch_dims:
        raise Unsupported("axis=None: of the flattened tensor", "give it an axis")
    places = shape_of(indices)
    if batch_dims:
        if batch_dims != 1 or (1 if axis is None else axis % len(x.shape)) != 1:
            raise Unsupported(f"batch_dims={batch_dims}, axis={axis}", "1 and 1 are ported")
        return (*places, *x.shape[2:])
    return with_size(x.shape, axis, *places)


def indexing(indices: Any) -> Any:
    """Indices as torch takes them: a tensor of whole numbers, a list, a number, or a buffer."""
    if isinstance(indices, Value):
        return indices if indices.tensor.dtype in ("int32", "int64") else call(".long", indices)
    found = numbers(indices)
    if not isinstance(found, Sequence):
        return int(found)
    flat = all(isinstance(it, int) for it in found)
    return [int(it) for it in found] if flat else buffer(found, "indices", "int64")


def taken_reads(x: Tensor, indices: Any, *, axis: Any, batch_dims: int) -> list[dict[int, Reading]]:
    """Of an axis the steps that are asked for; of indices their own."""
    at = 1 if axis is None else axis % len(x.shape)
    says = Among("one {0}: the indices say which")
    places = () if isinstance(indices, (Tensor, Value)) else numbers(indices)
    rank = len(shape_of(indices))
    found: dict[int, Reading] = {at: says}
    if not batch_dims and isinstance(places, int) and x.shape[at] is not None:
        found = {at: Pick(places % size_of(x, at))}
    elif not batch_dims and rank == 1 and x.shape[at] is not None and not isinstance(places, tuple):
        found = {at: Onto(at, lookup((it % size_of(x, at) for it in places), "{0} = the index at its own"))}
    own: dict[int, Reading] = {it: Onto(it if batch_dims else it + at) for it in range(rank)}
    return [found | {it: Onto(it + rank - 1) for it in range(at + 1, len(x.shape)) if not batch_dims}, own]


@rule("keras.ops.Take", wants=SOURCE, shape=taken_shape, reads=taken_reads)
def take(x: Value, indices: Any, *, axis: Any = None, batch_dims: int = 0) -> Expr:
    """x[:, indices]; of each row its own, a helper."""
    if batch_dims:
        return call("gather_rows", x, buffer(indices, "indices", "int64"))
    return x[(*(slice(None),) * (axis % x.rank), indexing(indices))]


def picked_shape(x: Tensor, indices: Any, *, batch_dims: int = 0) -> Shape:
    places = shape_of(indices)
    if batch_dims not in (0, 1) or not places or places[-1] is None:
        raise Unsupported(f"batch_dims={batch_dims}", "0 and 1 are ported")
    return (*places[:-1], *x.shape[batch_dims + places[-1] :])


def picked_reads(x: Tensor, indices: Any, *, batch_dims: int) -> dict[int, Reading]:
    count = shape_of(indices)[-1] or 0
    return {at: Among("one {0}: the indices say which") for at in range(batch_dims, batch_dims + count)}


@rule("tf.gather_nd", wants=SOURCE, shape=picked_shape, reads=picked_reads)
def gather_nd(x: Value, indices: Any, *, batch_dims: int = 0) -> Expr:
    """x[i, j], with an index for each of the first axes."""
    places, count = buffer(indices, "indices", "int64"), shape_of(indices)[-1] or 0
    each = [places[(Ellipsis, at)] for at in range(count)]
    return call("gather_rows", x, *each) if batch_dims else x[tuple(each)]


def masked_shape(x: Tensor, mask: Any, *, axis: Any = None) -> Shape:
    if isinstance(mask, Tensor) or len(shape_of(mask)) != 1:
        raise Unsupported("how large its result is depends on the values", "multiply by a mask")
    return with_size(x.shape, axis or 0, sum(numbers(mask)))


def masked_reads(x: Tensor, mask: Any, *, axis: Any) -> dict[int, Reading]:
    places = [at for at, kept in enumerate(numbers(mask)) if kept]
    return {(axis or 0) % len(x.shape): lookup(places, "{0} = the place of its own in the mask")}


@rule("tf.boolean_mask", wants=SOURCE, shape=masked_shape, reads=masked_reads)
def boolean_mask(x: Value, mask: Any, *, axis: Any = None) -> Expr:
    """x[:, indices] of a mask that is a constant."""
    places = [at for at, kept in enumerate(numbers(mask)) if kept]
    return x[(*(slice(None),) * ((axis or 0) % x.rank), places)]


def counted_shape(lengths: Tensor, *, maxlen: Any) -> Shape:
    return (*lengths.shape, maxlen if isinstance(maxlen, int) else None)


def counted_dtype(lengths: Tensor, *, dtype: Any) -> str:
    return str(dtype)


@rule("tf.sequence_mask", wants=SOURCE, shape=counted_shape, dtype=counted_dtype)
def sequence_mask(lengths: Value, *, out: Value, maxlen: Any = None, dtype: Any = "bool") -> Expr:
    """torch.arange compared with lengths."""
    maxlen = call(".max", lengths) if maxlen is None else maxlen
    steps = call("torch.arange", maxlen, device=Attribute(lengths, "device"))
    return as_dtype(Infix("<", steps, lengths[(Ellipsis, None)]), "bool", out.tensor.dtype)


def reversed_shape(x: Tensor, lengths: Any, *, batch_axis: Any = None) -> Shape:
    if batch_axis not in (None, 0):
        raise Unsupported(f"batch_axis={batch_axis}", "transpose it before: 0 is ported")
    return x.shape


def reversed_reads(x: Tensor, lengths: Any, *, seq_axis: int) -> dict[int, Reading]:
    """Which step it is, is in the lengths."""
    return all_along(x, axis=seq_axis)


@rule("tf.reverse_sequence", wants=SOURCE, shape=reversed_shape, ignores="batch_axis", reads=reversed_reads)
def reverse_sequence(x: Value, lengths: Any, *, seq_axis: int) -> Expr:
    """A helper: the first so many steps of each row backwards."""
    return call("reverse_sequence", x, buffer(lengths, "lengths", "int64"), seq_axis)


def along_shape(x: Tensor, indices: Any, *, axis: Any) -> Shape:
    if axis is None or len(shape_of(indices)) != len(x.shape):
        raise Unsupported("of constants, or of the flattened tensor", "give it a tensor and an axis")
    places = shape_of(indices)
    others = broadcast(*(with_size(it, axis, 1) for it in (x.shape, places)))
    return with_size(others, axis, places[axis])


def along_reads(x: Tensor, indices: Any, *, axis: int) -> list[dict[int, Reading]]:
    at = axis % len(x.shape)
    return [{at: Among("one {0}: the indices say which")}, {at: Onto(at)}]


@rule("keras.ops.TakeAlongAxis", wants=in_order, shape=along_shape, reads=along_reads)
def take_along_axis(x: Value, indices: Value, *, axis: Any = None) -> Expr:
    """torch.take_along_dim."""
    if axis is None or not isinstance(indices, Value):
        raise Unsupported("of constants, or of the flattened tensor", "give it a tensor and an axis")
    return call("torch.take_along_dim", x, call(".long", indices), dim=x.dim(axis))


def one_hot_shape(x: Tensor, *, num_classes: int, axis: int) -> Shape:
    if not isinstance(num_classes, int):
        raise Unsupported("of a number of classes that only the run time knows", "give it as a number")
    shape = list(x.shape)
    shape.insert(axis % (len(shape) + 1), num_classes)
    return tuple(shape)


def one_hot_dtype(x: Tensor, *, dtype: Any, on_value: Any = None) -> str:
    if dtype is None and isinstance(on_value, int):
        return "bool" if isinstance(on_value, bool) else "int32"
    return "float32" if dtype is None else str(dtype)


@rule("keras.ops.OneHot", wants=SOURCE, shape=one_hot_shape, dtype=one_hot_dtype, only={"sparse": (False,)})
def one_hot(
    x: Value, *, out: Value, num_classes: int, axis: int = -1, dtype: Any = None, on_value: Any = None,
    off_value: Any = None,
) -> Expr:  # fmt: skip
    """A comparison with all classes: what is none of them gives zeros, where F.one_hot raises."""
    made: Expr = call("one_hot", as_index(x) if is_float(x.tensor.dtype) else x, num_classes)
    if on_value in (None, 1) and off_value in (None, 0):
        made = as_dtype(made, "bool", out.tensor.dtype)
    else:
        values = [usual if it is None else it for it, usual in ((on_value, 1), (off_value, 0))]
        if is_float(out.tensor.dtype):
            values = list(map(float, values))
        made = call("torch.where", made, *values)
    return made if axis in (-1, x.rank) else call(".movedim", made, -1, axis)


def multi_hot_shape(x: Tensor, *, num_classes: int, axis: int) -> Shape:
    if axis not in (-1, len(x.shape)):
        raise Unsupported(f"axis={axis}: -1 is ported")
    return (num_classes,) if len(x.shape) == 1 else (x.shape[0], *x.shape[2:], num_classes)


@rule(
    "keras.ops.MultiHot", wants=SOURCE, shape=multi_hot_shape, dtype=one_hot_dtype, only={"sparse": (False,)}
)  # fmt: skip
def multi_hot(x: Value, *, num_classes: int, axis: int = -1, dtype: Any = None) -> Expr:
    """Which classes are among those of each row."""
    among = call(".any", call("one_hot", x, num_classes), dim=min(x.rank - 1, 1))
    return as_dtype(among, "bool", one_hot_dtype(x.tensor, dtype=dtype))


def triangle(function: str) -> Callable[..., Expr]:
    def write(x: Value, *, k: int = 0) -> Expr:
        return call(function, x, *unless(k, 0))

    write.__doc__ = f"{function}."
    return write


rule("keras.ops.Tril", wants=SOURCE)(triangle("torch.tril"))
rule("keras.ops.Triu", wants=SOURCE)(triangle("torch.triu"))
