"""Operations that pick entries: by an index of Python, by a tensor of indices, by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchport.axes import Order, to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.arguments import indexed, unless
from torchport.rules.constants import shape_of
from torchport.rules.dtypes import as_dtype
from torchport.rules.operations.axes import in_order, kept_wants
from torchport.rules.sizes import broadcast, with_size
from torchport.rules.table import MEMORY, SOURCE, Value, Wants, rule


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
    *before, last = index or [slice(None)]
    if len(index) == x.rank > 2 and all(it == slice(None) for it in before) and last != slice(None):
        index = [Ellipsis, last] if x.order is Order.SOURCE else index
    return indexed(value, index)


def taken_shape(x: Tensor, indices: Any, *, axis: Any) -> Shape:
    if axis is None:
        raise Unsupported("axis=None: of the flattened tensor", "give it an axis")
    if isinstance(indices, Tensor):
        return with_size(x.shape, axis, *indices.shape)
    return with_size(x.shape, axis, *([len(indices)] if indices_list(indices) else []))


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


def along_shape(x: Tensor, indices: Any, *, axis: Any) -> Shape:
    if axis is None or len(shape_of(indices)) != len(x.shape):
        raise Unsupported("of constants, or of the flattened tensor", "give it a tensor and an axis")
    places = shape_of(indices)
    others = broadcast(*(with_size(it, axis, 1) for it in (x.shape, places)))
    return with_size(others, axis, places[axis])


@rule("keras.ops.TakeAlongAxis", wants=in_order, shape=along_shape)
def take_along_axis(x: Value, indices: Value, *, axis: Any = None) -> Expr:
    """torch.take_along_dim."""
    if axis is None or not isinstance(indices, Value):
        raise Unsupported("of constants, or of the flattened tensor", "give it a tensor and an axis")
    return call("torch.take_along_dim", x, call(".long", indices), dim=x.dim(axis))


def one_hot_shape(x: Tensor, *, num_classes: int, axis: int) -> Shape:
    shape = list(x.shape)
    shape.insert(axis % (len(shape) + 1), num_classes)
    return tuple(shape)


def one_hot_dtype(x: Tensor, *, dtype: Any) -> str:
    return "float32" if dtype is None else str(dtype)


@rule("keras.ops.OneHot", wants=SOURCE, shape=one_hot_shape, dtype=one_hot_dtype, only={"sparse": (False,)})
def one_hot(x: Value, *, num_classes: int, axis: int = -1, dtype: Any = None) -> Expr:
    """A comparison with all classes: what is none of them gives zeros, where F.one_hot raises."""
    made = as_dtype(call("one_hot", x, num_classes), "bool", one_hot_dtype(x.tensor, dtype=dtype))
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
