"""The axes that attention is over: those of steps, and those that are more of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Tensor, is_keras_2
from torchport.program import Expr, call
from torchport.rules.sizes import axes_of
from torchport.rules.table import Value


@dataclass(frozen=True)
class AttendedAxes:
    """Of tensors (n, ..., c) of one rank: the axes that are attended over, the others between n and c."""

    attended: tuple[int, ...]
    others: tuple[int, ...] = ()

    @property
    def are_steps(self) -> bool:
        """Whether the tensors are (n, t, c)."""
        return (self.attended, self.others) == ((1,), ())

    @property
    def order(self) -> tuple[int, ...]:
        """The axes of a tensor, with those that are attended over together."""
        return (0, *self.others, *self.attended, len(self.others) + len(self.attended) + 1)

    def fold(self, x: Any) -> Any:
        """A tensor as (n * others, attended, c)."""
        if self.order != tuple(range(len(self.order))):
            x = call(".permute", x, *self.order)
        if len(self.attended) > 1:
            x = call(".flatten", x, len(self.others) + 1, len(self.order) - 2)
        return call(".flatten", x, 0, len(self.others)) if self.others else x

    def unfold(self, y: Expr, x: Value) -> Expr:
        """The inverse, of what came out for the tensor x."""
        if self.others:
            y = call(".unflatten", y, 0, (-1, *_sizes(x, self.others)))
        if len(self.attended) > 1:
            y = call(".unflatten", y, len(self.others) + 1, _sizes(x, self.attended))
        if self.order == tuple(range(len(self.order))):
            return y
        return call(".permute", y, *(self.order.index(at) for at in range(len(self.order))))


#: Of sequences (n, t, c).
STEPS = AttendedAxes((1,))


def _sizes(x: Value, axes: tuple[int, ...]) -> tuple[Any, ...]:
    """The sizes of these axes, open ones as the run time knows them."""
    sizes = ((at, x.shape[at]) for at in axes)
    return tuple(call(".size", x, at) if size is None else size for at, size in sizes)


def attended_axes(
    attention_axes: Any, query: Tensor | Value, value: Tensor | Value, dialect: str
) -> AttendedAxes:
    """Of a layer's option; None is all between the batch and the features.

    Keras 2 counts axes from the end of what it projects, which has one more.
    Source: multi_head_attention.py, _build_attention, of both.
    """
    rank = len(value.shape)
    if len(query.shape) != rank or rank < 3:
        raise Unsupported(f"a query with {len(query.shape)} axes and a value with {rank}")
    between = tuple(range(1, rank - 1))
    given = [attention_axes] if isinstance(attention_axes, int) else list(attention_axes or between)
    axes = tuple(axes_of(given, rank))
    if not set(axes) <= set(between) or (is_keras_2(dialect) and min(given) < 0):
        raise Unsupported(f"attention_axes={attention_axes!r} of a tensor with {rank} axes")
    others = tuple(at for at in between if at not in axes)
    if any(None not in (a, b) and a != b for a, b in ((query.shape[at], value.shape[at]) for at in others)):
        raise Unsupported(f"attention_axes={attention_axes!r}: the other axes of query and value differ")
    return AttendedAxes(axes, others)
