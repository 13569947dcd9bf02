"""Operations that write into places of a tensor, or gather what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Attribute, Expr, call
from torchport.rules.arguments import indexed
from torchport.rules.constants import numbers, saved_dtype, shape_of
from torchport.rules.dtypes import as_dtype
from torchport.rules.operations.operands import buffer
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Among, Onto, Part, Reading, Whole, Window


def whole(value: Any, what: str) -> list[int]:
    """A list of numbers. Raises Unsupported for a tensor."""
    found = numbers(value)
    if not isinstance(found, Sequence) or not all(isinstance(it, int) for it in found):
        raise Unsupported(f"{what} that is a tensor", "give it as numbers")
    return [int(it) for it in found]


def sliced(x: Tensor | Value, start: Any, shape: Any) -> list[slice]:
    """A slice for each axis; -1 goes on to the end."""
    cuts = []
    for size, first, count in zip(x.shape, whole(start, "a start"), numbers(shape), strict=True):
        last = None if count in (-1, None) or (size is not None and first + count == size) else first + count
        cuts.append(slice(first or None, last))
    return cuts


def slice_shape(x: Tensor, start: Any, *, shape: Any) -> Shape:
    starts, counts = whole(start, "a start"), whole(shape, "a shape")
    sizes = zip(x.shape, starts, counts, strict=True)
    return tuple(count if count != -1 else None if size is None else size - at for size, at, count in sizes)


def slice_reads(x: Tensor, start: Any, *, shape: Any) -> dict[int, Reading]:
    """Its own step, moved."""
    sizes = slice_shape(x, start, shape=shape)
    return {
        at: Onto(at, Window(1, padding=(-first, first + count - size)))
        for at, (size, first, count) in enumerate(zip(x.shape, whole(start, "a start"), sizes, strict=True))
        if at and size is not None and count is not None
    }  # fmt: skip


@rule("keras.ops.Slice", wants=SOURCE, shape=slice_shape, reads=slice_reads)
def cut(x: Value, start: Any, *, shape: Any) -> Expr:
    """x[...]."""
    return indexed(x, sliced(x, start, shape))


def update_shape(x: Tensor, *rest: Any) -> Shape:
    return x.shape


def update_reads(x: Tensor, start: Any, updates: Any) -> list[dict[int, Reading]]:
    """Its own step of the whole, and of the piece if it is there."""
    sizes = zip(x.shape, whole(start, "a start"), shape_of(updates), strict=True)
    return [{}, {
        at: Onto(at, Part(first, size - first - count) if count != size else Window(1))
        for at, (size, first, count) in enumerate(sizes) if at and size is not None and count is not None
    }]  # fmt: skip


@rule("keras.ops.SliceUpdate", wants=SOURCE, shape=update_shape, reads=update_reads)
def slice_update(x: Value, start: Any, updates: Any) -> Any:
    """torch.slice_scatter along each axis of which a part is updated, the innermost first."""
    starts, sizes = whole(start, "a start"), shape_of(updates)
    own = x.tensor.dtype
    made = buffer(updates, "updates", own)
    if isinstance(updates, Value):
        made = as_dtype(updates, updates.tensor.dtype, own)
    pairs = list(zip(x.shape, sizes, strict=True))
    axes = [at for at, (size, count) in enumerate(pairs) if size != count or starts[at]]

    def ends(axis: int) -> tuple[int, int | None]:
        count = sizes[axis]
        if count is None:
            raise Unsupported("updates of a size that is not known", "give the model's input its size")
        end = starts[axis] + count
        return starts[axis], None if end == x.shape[axis] else end

    for depth, axis in reversed(list(enumerate(axes))):
        index = tuple(slice(*ends(at)) if at in axes[:depth] else slice(None) for at in range(axis + 1))
        part = x[tuple(it for it in index)] if depth else x
        first, last = ends(axis)
        made = call("torch.slice_scatter", part, made, dim=axis, start=first or None, end=last)
    return made


def places(indices: Any) -> Expr:
    """The entries of the last axis of indices, an index for each axis."""
    if not isinstance(indices, Value):
        return call(".unbind", buffer(indices, "indices", "int64"), -1)
    narrow = indices.tensor.dtype not in ("int64",)
    return call(".unbind", call(".long", indices) if narrow else indices, -1)


def full(indices: Any, rank: int) -> None:
    """Raises Unsupported for indices of less than all axes."""
    if shape_of(indices)[-1] != rank:
        raise Unsupported("indices of rows, not of numbers", "give an index for every axis")


def scattered_shape(indices: Any, values: Any, *, shape: Any) -> Shape:
    return tuple(whole(shape, "a shape"))


def scattered_dtype(indices: Any, values: Any) -> str:
    return values.dtype if isinstance(values, Tensor) else saved_dtype(values)


#: Of values that are put somewhere.
PUT = Among("those whose indices are its own")


def put_reads(*tensors: Any) -> list[dict[int, Reading]]:
    """Each tensor is looked through for what is put there; what is written into, at its own place."""
    return [dict.fromkeys(range(len(it.shape)), PUT) for it in tensors if isinstance(it, Tensor)]


def scattered_reads(indices: Any, values: Any) -> list[dict[int, Reading]]:
    return put_reads(indices, values)


def replaced_reads(x: Tensor, indices: Any, updates: Any) -> list[dict[int, Reading]]:
    return [{}, *put_reads(indices, updates)]


def segments_reads(x: Tensor, ids: Any) -> list[dict[int, Reading]]:
    """The rows of its segment."""
    return [{0: Among("the {0} of its segment")}, {0: Whole()}]


@rule(
    "keras.ops.Scatter", wants=SOURCE, shape=scattered_shape, dtype=scattered_dtype, reads=scattered_reads
)  # fmt: skip
def scatter(indices: Any, values: Any, *, shape: Any) -> Expr:
    """index_put into zeros; what comes twice is added."""
    given = buffer(values, "values")
    zeros = call(".new_zeros", given, tuple(shape))
    return call(".index_put", zeros, places(indices), given, accumulate=True)


@rule(
    "keras.ops.ScatterUpdate", wants=SOURCE, shape=update_shape, reads=replaced_reads,
    only={"reduction": (None, "add", "subtract")},
)  # fmt: skip
def scatter_update(x: Value, indices: Any, updates: Any, *, reduction: Any = None) -> Expr:
    """x.index_put."""
    values = buffer(updates, "updates")
    if reduction == "subtract":
        values = call("torch.neg", values)
    return call(".index_put", x, places(indices), values, accumulate=True if reduction else None)


def segments_shape(x: Tensor, ids: Any, *, num_segments: Any) -> Shape:
    if num_segments is None:
        raise Unsupported("how many segments there are is not said", "give num_segments")
    if len(shape_of(ids)) != 1:
        raise Unsupported("numbers of segments with several axes")
    return (num_segments if isinstance(num_segments, int) else None, *x.shape[1:])


#: How each combines, and what an empty segment has.
SEGMENTS = {"Sum": "sum", "Max": "amax", "Min": "amin", "Prod": "prod"}


def segments(how: str) -> Any:
    def write(
        x: Value, ids: Any, *, num_segments: Any = None, sorted: bool = False, counted: bool = False
    ) -> Expr:  # fmt: skip
        where = buffer(ids, "segments", "int64")
        is_number = counted or not isinstance(num_segments, Value)
        count = num_segments if is_number else call("int", num_segments)
        return call("segments", x, where, count, *([how] if how != "sum" else []))

    write.__doc__ = f"""The rows of each segment in one: torch.Tensor.index_reduce with {how!r}.

    `counted`: how many there are is a size, a number of Python.
    """
    return write


for _name, _how in SEGMENTS.items():
    rule(f"keras.ops.Segment{_name}", wants=SOURCE, shape=segments_shape, reads=segments_reads)(
        segments(_how)
    )


@rule("tf.segment_mean", wants=SOURCE, shape=segments_shape, reads=segments_reads)
def segment_mean(x: Value, ids: Any, *, num_segments: Any = None, root: bool = False) -> Expr:
    """The sum of each segment over how many rows it has, or over the root of that; 0 where it has none."""
    if not isinstance(num_segments, int):
        raise Unsupported("so many segments as only the run time knows", "give num_segments as a number")
    where = buffer(ids, "segments", "int64")
    if isinstance(ids, Value):
        where = as_dtype(ids, ids.tensor.dtype, "int64")
    counts = call(".clamp", call("torch.bincount", where, minlength=num_segments), min=1)
    counts = call(".to", counts, Attribute(x, "dtype"))
    counts = call(".sqrt", counts) if root else counts
    total = call("segments", x, where, num_segments)
    return total / counts[(slice(None), *(None,) * (x.rank - 1))]
