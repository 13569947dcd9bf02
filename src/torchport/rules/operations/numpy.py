"""Operations that numpy has under a name of its own for what others do as well; rearrange, meshgrid."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, call
from torchport.rules.arguments import default
from torchport.rules.merge import concatenate_reads, concatenate_shape
from torchport.rules.operations.axes import in_order
from torchport.rules.operations.operands import promoted
from torchport.rules.operations.pieces import flip, pieces, pieces_reads, split, split_reads, split_shape
from torchport.rules.sizes import product, size_of, with_size
from torchport.rules.table import MEMORY, SOURCE, Value, Wants, rule
from torchport.rules.window import Among, Onto, Reading, Rotation, Window


def joined_axis(xs: Sequence[Tensor | Value], name: str) -> int:
    """Along which axis numpy's stacks join."""
    if name == "Dstack":
        if len(xs[0].shape) < 3:
            raise Unsupported("of tensors with less than three axes", "give them three")
        return 2
    return 1 if name == "Hstack" and len(xs[0].shape) > 1 else 0


def stacked(name: str) -> None:
    """The rule of one of them."""

    def shape(xs: Sequence[Tensor]) -> Shape:
        return concatenate_shape(xs, axis=joined_axis(xs, name))

    def reads(xs: Sequence[Tensor]) -> list[dict[int, Reading]]:
        return concatenate_reads(xs, axis=joined_axis(xs, name))

    def write(xs: Sequence[Value]) -> Expr:
        return call("torch.cat", list(xs), dim=default(joined_axis(xs, name), 0))

    write.__doc__ = "torch.cat."
    rule(f"keras.ops.{name}", wants=SOURCE, shape=shape, reads=reads)(write)


def parted(name: str, axis: Callable[[Tensor | Value], int]) -> None:
    """The rule of a split along one axis."""

    def shape(x: Tensor, *, indices_or_sections: Any) -> list[Shape]:
        return split_shape(x, indices_or_sections=indices_or_sections, axis=axis(x))

    def reads(x: Tensor, *, indices_or_sections: Any) -> dict[int, Reading]:
        return split_reads(x, indices_or_sections=indices_or_sections, axis=axis(x))

    def write(x: Value, *, indices_or_sections: Any) -> Expr:
        return split(x, indices_or_sections=indices_or_sections, axis=axis(x))  # type: ignore[no-any-return]

    write.__doc__ = "x.chunk, or torch.split into sizes; one piece is x itself."
    rule(f"keras.ops.{name}", wants=SOURCE, shape=shape, reads=reads)(write)


for _name in ("Hstack", "Vstack", "Dstack"):
    stacked(_name)
parted("Vsplit", lambda x: 0)
parted("Hsplit", lambda x: min(len(x.shape) - 1, 1))
parted("Dsplit", lambda x: 2)


def uneven(x: Tensor | Value, sections: Any, axis: int) -> list[int]:
    """The sizes of pieces of which the first are one longer."""
    if not isinstance(sections, int):
        return pieces(x, sections, axis)
    size, more = divmod(size_of(x, axis), sections)
    return [size + 1] * more + [size] * (sections - more)


def array_split_shape(x: Tensor, *, indices_or_sections: Any, axis: int) -> list[Shape]:
    return [with_size(x.shape, axis, size) for size in uneven(x, indices_or_sections, axis)]


def array_split_reads(x: Tensor, *, indices_or_sections: Any, axis: int) -> dict[int, Reading]:
    return pieces_reads(x, uneven(x, indices_or_sections, axis), axis)


@rule("keras.ops.ArraySplit", wants=in_order, shape=array_split_shape, reads=array_split_reads)
def array_split(x: Value, *, indices_or_sections: Any, axis: int = 0) -> Expr:
    """x.split into sizes; one piece is x itself."""
    sizes = uneven(x, indices_or_sections, axis)
    return x if len(sizes) == 1 else call(".split", x, sizes, dim=x.dim(axis))


def appended_shape(x1: Tensor, x2: Tensor, *, axis: int | None) -> Shape:
    if axis is None:
        raise Unsupported("of flattened tensors", "reshape them first")
    return concatenate_shape([x1, x2], axis=axis)


def appended_reads(x1: Tensor, x2: Tensor, *, axis: int) -> list[dict[int, Reading]]:
    return concatenate_reads([x1, x2], axis=axis)


@rule("keras.ops.Append", wants=SOURCE, shape=appended_shape, dtype=promoted, reads=appended_reads)
def append(x1: Value, x2: Value, *, axis: int | None = None) -> Expr:
    """torch.cat."""
    return call("torch.cat", [x1, x2], dim=axis)


@rule("keras.ops.Fliplr", wants=in_order, reads=lambda x: {1: Rotation(backwards=True)})
def fliplr(x: Value) -> Expr:
    """x.flip."""
    return flip(x, axis=1)  # type: ignore[no-any-return]


@rule("keras.ops.Flipud", wants=in_order)
def flipud(x: Value) -> Expr:
    """x.flip."""
    return flip(x, axis=0)  # type: ignore[no-any-return]


def turned_shape(x: Tensor, *, k: int, axes: Any, dialect: str = "") -> Shape:
    sizes, (first, second) = list(x.shape), axes
    # Source: keras/src/backend/tensorflow/numpy.py, rot90, reshapes before the second turn.
    if k % 4 == 2 and sizes[first] != sizes[second] and not is_keras_2(dialect):
        raise Unsupported("Keras itself scrambles half a turn of what is no square", "flip both axes")
    if k % 2:
        sizes[first], sizes[second] = sizes[second], sizes[first]
    return tuple(sizes)


def turned_reads(x: Tensor, *, k: int, axes: Any) -> dict[int, Reading]:
    """A quarter turn is the other axis, one of the two backwards. Source: numpy.rot90."""
    first, second = (it % len(x.shape) for it in axes)
    back, same = Rotation(backwards=True), Window(1)
    if k % 2:
        return {first: Onto(second, same if k % 4 == 1 else back),
                second: Onto(first, back if k % 4 == 1 else same)}  # fmt: skip
    return {at: Onto(at, back) for at in (first, second)} if k % 4 else {}


@rule("keras.ops.Rot90", wants=SOURCE, shape=turned_shape, reads=turned_reads)
def rot90(x: Value, *, k: int = 1, axes: Any = (0, 1)) -> Expr:
    """torch.rot90."""
    return call("torch.rot90", x, k, tuple(axes))


def flat_shape(x: Tensor) -> Shape:
    return (product(x.shape),)


def in_memory(x: Tensor) -> Wants:
    return MEMORY


def flat_reads(x: Tensor) -> dict[int, Reading]:
    return {at: Among("one {0}: all values are in one row") for at in range(len(x.shape))}


@rule("keras.ops.Ravel", wants=in_memory, shape=flat_shape, reads=flat_reads)
def ravel(x: Value) -> Expr:
    """torch.flatten."""
    return call("torch.flatten", x)


def grid_shape(*xs: Tensor, indexing: str) -> list[Shape]:
    if any(len(x.shape) != 1 for x in xs):
        raise Unsupported("of tensors that are no vectors", "flatten them first")
    sizes = [x.shape[0] for x in xs]
    if indexing == "xy":
        sizes[:2] = sizes[:2][::-1]
    return [tuple(sizes)] * len(xs)


def grid_reads(*xs: Tensor, indexing: str) -> list[dict[int, Reading]]:
    return [{0: Among("its {0} along the output's axis of its own")} for _ in xs]


@rule("keras.ops.Meshgrid", wants=SOURCE, shape=grid_shape, reads=grid_reads)
def meshgrid(*xs: Value, indexing: str = "xy") -> Expr:
    """torch.meshgrid; of one vector that itself."""
    return call("torch.meshgrid", *xs, indexing=indexing) if len(xs) > 1 else xs[0]


def differences_shape(x: Tensor, *, n: int, axis: int) -> Shape:
    size = x.shape[axis]
    return with_size(x.shape, axis, None if size is None else max(size - n, 0))


def differences_reads(x: Tensor, *, n: int, axis: int) -> dict[int, Reading]:
    return {axis % len(x.shape): Window(n + 1)}


@rule("keras.ops.Diff", wants=in_order, shape=differences_shape, reads=differences_reads)
def diff(a: Value, *, n: int = 1, axis: int = -1) -> Expr:
    """torch.diff."""
    return call("torch.diff", a, n=default(n, 1), dim=default(a.dim(axis), a.rank - 1))


def area_shape(y: Tensor, *, axis: int) -> Shape:
    return with_size(y.shape, axis)


# Keras does not save `x`.
@rule("keras.ops.Trapezoid", wants=SOURCE, shape=area_shape, only={"x": (None,)}, ignores="x")
def trapezoid(y: Value, *, dx: float = 1.0, axis: int = -1) -> Expr:
    """torch.trapezoid."""
    return call("torch.trapezoid", y, dx=default(dx, 1.0), dim=default(axis % y.rank, y.rank - 1))


def axes_in(side: str) -> list[list[str]]:
    """The groups of letters of one side of a pattern: `b (h p) c` -> [[b], [h, p], [c]]."""
    if not re.fullmatch(r"[\w\s()]*", side):
        raise Unsupported("a pattern with more than names and groups", "write out all axes")
    return [it.strip("()").split() for it in re.findall(r"\([^()]*\)|\w+", side)]


def rearranged(
    x: Tensor | Value, pattern: str, lengths: Mapping[str, int]
) -> tuple[list[list[str]], list[list[str]], dict[str, int | None]]:
    """Both sides in groups, and the size of each name. Source: keras/src/ops/einops.py, rearrange."""
    left, right = map(axes_in, pattern.split("->"))
    sizes: dict[str, int | None] = dict(lengths)
    names = [name for group in left for name in group]
    if len(left) != len(x.shape) or sorted(names) != sorted(it for group in right for it in group):
        raise Unsupported(f"{pattern!r} of a tensor with {len(x.shape)} axes")
    for group, size in zip(left, x.shape, strict=True):
        open_ = [name for name in group if name not in sizes]
        if len(open_) > 1:
            raise Unsupported(f"{pattern!r} leaves the sizes of {open_} open")
        if open_:
            known = math.prod(sizes[name] or 1 for name in group if name in sizes)
            sizes[open_[0]] = None if size is None else size // known
    return left, right, sizes


def rearranged_shape(x: Tensor, *, pattern: str, lengths: Mapping[str, int]) -> Shape:
    _, right, sizes = rearranged(x, pattern, lengths)
    return tuple(product([sizes[name] for name in group]) for group in right)


def rearranged_reads(x: Tensor, *, pattern: str, lengths: Mapping[str, int]) -> dict[int, Reading]:
    """An axis is where its name stands alone; of one in a group a step reads one."""
    left, right, _ = rearranged(x, pattern, lengths)
    names = [group[0] if len(group) == 1 else "" for group in right]
    return {
        at: Onto(names.index(group[0])) if len(group) == 1 and group[0] in names
        else Among(f"one {{0}}, by the pattern {pattern}")
        for at, group in enumerate(left)
    }  # fmt: skip


@rule("keras.ops.Rearrange", wants=SOURCE, shape=rearranged_shape, reads=rearranged_reads)
def rearrange(x: Value, *, pattern: str, lengths: Mapping[str, int]) -> Expr:
    """x.reshape, permute and reshape, as far as there is something to do."""
    left, right, sizes = rearranged(x, pattern, lengths)
    apart, order = ([it for group in side for it in group] for side in (left, right))
    result: Expr = x
    if len(apart) > len(left):
        result = call(".reshape", result, *reshaped([[it] for it in apart], sizes))
    if apart != order:
        result = call(".permute", result, *map(apart.index, order))
    if len(right) < len(order):
        result = call(".reshape", result, *reshaped(right, sizes))
    return result


def reshaped(groups: Sequence[Sequence[str]], sizes: Mapping[str, int | None]) -> list[int]:
    """The sizes of groups; one that is not known is -1."""
    found = [product([sizes[name] for name in group]) for group in groups]
    if found.count(None) > 1:
        raise Unsupported("several sizes are not known")
    return [-1 if size is None else size for size in found]
