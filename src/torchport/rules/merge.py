"""Layers that merge several tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from torchport.axes import to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, Infix, call
from torchport.rules.bound import size
from torchport.rules.broadcast import expand
from torchport.rules.constants import shape_of
from torchport.rules.facts import LINEAR, MERGES, Gives, Masks, Reads
from torchport.rules.sizes import broadcast, end_to_end, with_size
from torchport.rules.table import FOLLOWS, MEMORY, Value, Wants, rule
from torchport.rules.window import Part, Reading


def merged_shape(xs: Sequence[Tensor]) -> Shape:
    """The shape to which all are broadcast, axes aligned from the last.

    Source: keras/src/layers/merging/base_merge.py, _compute_elemwise_op_output_shape.
    """
    rank = max(len(x.shape) for x in xs)
    return broadcast(*((x.shape[0], *(1,) * (rank - len(x.shape)), *x.shape[1:]) for x in xs))


def merge(xs: Sequence[Value], out: Value, function: str) -> Expr:
    """A function of two tensors, or an operator, over all of them."""
    operands = [expand(x, out) for x in xs]

    def both(left: Expr, right: Expr) -> Expr:
        if function in ("+", "-", "*"):
            return {"+": left.__add__, "-": left.__sub__, "*": left.__mul__}[function](right)
        return call(function, left, right)

    return reduce(both, operands)


@rule("Add", shape=merged_shape, masks=MERGES, noun="total", linear=LINEAR)
def add(xs: Sequence[Value], *, out: Value) -> Expr:
    """a + b."""
    return merge(xs, out, "+")


@rule("Subtract", shape=merged_shape, masks=MERGES, value="difference", linear=LINEAR)
def subtract(xs: Sequence[Value], *, out: Value) -> Expr:
    """a - b."""
    return merge(xs, out, "-")


#: In Keras 3 these look at the masks themselves.
LOOKS = Masks(Reads.ANY, Gives.MERGED, keras_2=MERGES)


@rule("Multiply", shape=merged_shape, masks=LOOKS, value="product")
def multiply(xs: Sequence[Value], *, out: Value, mask: Sequence[Value | None] | None = None) -> Expr:
    """a * b. Keras 3 takes masked steps as 1, and as 0 where all are masked."""
    if mask is None:
        return merge(xs, out, "*")

    def wide(it: Expr) -> Expr:
        return call(".unsqueeze", it, out.dim(out.rank - 1))

    operands: list[Expr] = []
    for x, it in zip(xs, mask, strict=True):
        if x.rank != out.rank:
            raise Unsupported("masked tensors that are broadcast", "drop the mask before it")
        operands.append(x if it is None else call("torch.where", wide(it), x, 1.0))
    product = reduce(lambda left, right: left * right, operands)
    masks = [it for it in mask if it is not None]
    if len(masks) < len(xs):
        return product
    first, *others = {it.tensor.name: it for it in masks}.values()
    some: Expr = first
    for it in others:
        some = Infix("|", some, it)
    return product * wide(some)


@rule("Average", shape=merged_shape, masks=MERGES, linear=LINEAR)
def average(xs: Sequence[Value], *, out: Value) -> Expr:
    """(a + b) / 2."""
    return merge(xs, out, "+") / len(xs)


def check_unmasked(mask: Any) -> None:
    """Raises Unsupported under a mask. Source: base_merge.py, _apply_merge_op_and_or_mask."""
    if mask is not None:
        why = "where a tensor is masked Keras 3 takes the other's values"
        raise Unsupported(why, "merge before the mask is made, or use Add")


@rule("Maximum", shape=merged_shape, masks=LOOKS)
def maximum(xs: Sequence[Value], *, out: Value, mask: Any = None) -> Expr:
    """torch.maximum."""
    check_unmasked(mask)
    return merge(xs, out, "torch.maximum")


@rule("Minimum", shape=merged_shape, masks=LOOKS)
def minimum(xs: Sequence[Value], *, out: Value, mask: Any = None) -> Expr:
    """torch.minimum."""
    check_unmasked(mask)
    return merge(xs, out, "torch.minimum")


def concatenate_shape(xs: Sequence[Tensor], *, axis: int) -> Shape:
    return end_to_end(xs, axis)


def concatenate_parts(
    xs: Sequence[Tensor], *, out: Tensor, axis: int
) -> Mapping[str, tuple[tuple[int, ...], ...]]:
    """Flattened features laid end to end."""
    if len(out.shape) != 2 or axis % 2 != 1 or not any(x.parts for x in xs) or out.shape[1] is None:
        return {}
    return {out.name: tuple(part for x in xs for part in x.parts or ((x.shape[1] or 0,),))}


def concatenate_wants(xs: Sequence[Tensor], *, out: Tensor, axis: int) -> Wants:
    """Free, as long as the order of flattened features is known to those who read them."""
    known = concatenate_parts(xs, out=out, axis=axis).get(out.name, ())
    if len(out.shape) == 2 and (out.parts != known or (not known and any(x.parts for x in xs))):
        return MEMORY
    return FOLLOWS


def concatenate_reads(xs: Sequence[Any], *, axis: int) -> list[dict[int, Reading]]:
    """For each tensor: its own steps of the axis, behind those of the tensors before it."""
    sizes = [shape_of(x)[axis] for x in xs]
    if None in sizes:
        return []
    before = [sum(size or 0 for size in sizes[:at]) for at in range(len(sizes))]
    whole, at = sum(size or 0 for size in sizes), axis % len(shape_of(xs[0]))
    return [
        {at: Part(start, whole - start - (size or 0))}
        for x, start, size in zip(xs, before, sizes, strict=True) if isinstance(x, Tensor)
    ]  # fmt: skip


@rule(
    "Concatenate", wants=concatenate_wants, shape=concatenate_shape, parts=concatenate_parts, masks=MERGES,
    noun="merged", linear=LINEAR, reads=concatenate_reads,
)  # fmt: skip
def concatenate(xs: Sequence[Value], *, axis: int = -1) -> Expr:
    """torch.cat over the same named axis, wherever the layout put it."""
    return call("torch.cat", list(xs), dim=xs[0].dim(axis))


def dot_axes(xs: Sequence[Tensor | Value], axes: Any) -> tuple[int, int]:
    """The axis of each tensor that is summed over, counted from the start."""
    pair = tuple(axes) if isinstance(axes, Sequence) else (axes, axes)
    if len(xs) != 2 or len(pair) != 2:
        raise Unsupported(f"axes={axes!r} of {len(xs)} tensors: two of two are ported")
    first, second = (int(axis) % len(x.shape) for x, axis in zip(xs, pair, strict=True))
    if first == 0 or second == 0:
        raise Unsupported(f"axes={axes!r}: the batch cannot be summed over")
    return first, second


def dot_shape(xs: Sequence[Tensor], *, axes: Any) -> Shape:
    first, second = dot_axes(xs, axes)
    left, right = (with_size(x.shape, axis)[1:] for x, axis in ((xs[0], first), (xs[1], second)))
    sizes = (xs[0].shape[0], *left, *right)
    return (*sizes, 1) if len(sizes) == 1 else sizes


def dot_products(xs: Sequence[Tensor], *, out: Tensor, axes: Any) -> int:
    first, _ = dot_axes(xs, axes)
    return size(out.shape[1:]) * (xs[0].shape[first] or 1)


@rule("Dot", shape=dot_shape, products=dot_products)
def dot(xs: Sequence[Value], *, out: Value, axes: Any, normalize: bool = False, dialect: str = "") -> Expr:
    """A product of matrices, or torch.einsum over the axes, wherever the layout put them.

    Keras 3 divides by a norm of at least its epsilon of 1e-7, Keras 2 of 1e-6, torch of 1e-12.
    Source: keras/src/ops/nn.py, _normalize; tensorflow/python/ops/nn_impl.py, l2_normalize.
    """
    first, second = dot_axes(xs, axes)
    x, y = xs
    left: Expr = x
    right: Expr = y
    if normalize:
        least = 1e-6 if is_keras_2(dialect) else 1e-7
        left = call("F.normalize", x, dim=x.dim(first), eps=least)
        right = call("F.normalize", y, dim=y.dim(second), eps=least)
    if x.rank == y.rank == 2:
        return call(".sum", left * right, dim=1, keepdim=True)
    letters = iter("bijkmnopqrstuvwxyz")
    batch = next(letters)
    names = [[batch, *(next(letters) for _ in x.shape[1:])], [batch]]
    names[1] += [names[0][first] if at == second else next(letters) for at in range(1, y.rank)]
    result = [batch, *(it for at, it in enumerate(names[0]) if at not in (0, first))]
    result += [it for at, it in enumerate(names[1]) if at not in (0, second)]
    terms = [
        "".join(to_order(names[0], x.order)),
        "".join(to_order(names[1], y.order)),
        "".join(to_order(result, out.order)),
    ]
    if x.rank == y.rank == 3 and all(it[0] == batch for it in terms):
        return matrices(terms, left, right)
    return call("torch.einsum", f"{terms[0]},{terms[1]}->{terms[2]}", left, right)


def matrices(terms: Sequence[str], left: Expr, right: Expr) -> Expr:
    """`bji,bkj->bki` as a product of matrices, `right @ left`; one that lies otherwise is transposed."""
    row, column = terms[2][1], terms[2][2]
    sides = [(terms[0], left), (terms[1], right)]
    (first, rows), (second, columns) = sides if row in terms[0] else sides[::-1]
    if first[1] != row:
        rows = call(".transpose", rows, 1, 2)
    if second[2] != column:
        columns = call(".transpose", columns, 1, 2)
    return Infix("@", rows, columns)
