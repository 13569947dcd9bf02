"""A part of a part of a tensor as one part."""

from __future__ import annotations

from typing import Any

from torchport.idioms.view import View
from torchport.program import Index

WHOLE = slice(None)


def of_a_slice(expr: Any, view: View) -> Any:
    """`x[:, :, :-1, :-1][:, :, :-1]` -> `x[:, :, :-2, :-1]`, where no size is needed to say so."""
    if not isinstance(expr, Index):
        return None
    inner = view.value(expr.value)
    if not isinstance(inner, Index) or not all(isinstance(it, slice) for it in (*inner.index, *expr.index)):
        return None
    count = max(len(inner.index), len(expr.index))
    first, second = (it.index + (WHOLE,) * (count - len(it.index)) for it in (inner, expr))
    parts = [_part(one, two) for one, two in zip(first, second, strict=True)]
    return None if None in parts else Index(inner.value, tuple(parts))


def _part(first: slice, second: slice) -> slice | None:
    """The slice that a slice of a slice is; None where it goes by the size of what is sliced."""
    if WHOLE in (first, second):
        return second if first == WHOLE else first
    ends = (first.start, first.stop, second.start, second.stop)
    if first.step or second.step or not all(it is None or isinstance(it, int) for it in ends):
        return None
    starts = [it or 0 for it in (first.start, second.start)]
    if min(starts) < 0:
        return None
    start, (stop, after) = sum(starts), (first.stop, second.stop)
    if after is None:
        end = stop
    elif stop is None:
        end = after if after < 0 else starts[0] + after
    elif stop < 0 and after < 0:
        end = stop + after
    elif stop >= 0 and after >= 0:
        end = min(stop, starts[0] + after)
    else:
        return None
    return slice(start or None, end)
