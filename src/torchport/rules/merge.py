"""Layers that merge several tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.table import Value, rule


def concatenate_shape(xs: Sequence[Tensor], *, axis: int) -> Shape:
    sizes = [x.shape[axis] for x in xs]
    shape = list(xs[0].shape)
    shape[axis] = None if None in sizes else sum(size or 0 for size in sizes)
    return tuple(shape)


def concatenate_parts(
    xs: Sequence[Tensor], *, out: Tensor, axis: int
) -> Mapping[str, tuple[tuple[int, ...], ...]]:
    """Flattened features laid end to end."""
    if len(out.shape) != 2 or axis % 2 != 1 or out.shape[1] is None or not any(x.parts for x in xs):
        return {}
    return {out.name: tuple(part for x in xs for part in x.parts or ((x.shape[1] or 0,),))}


@rule("Concatenate", shape=concatenate_shape, parts=concatenate_parts)
def concatenate(xs: Sequence[Value], *, axis: int = -1) -> Expr:
    """torch.cat over the same named axis, wherever the layout put it."""
    return call("torch.cat", list(xs), dim=xs[0].dim(axis))
