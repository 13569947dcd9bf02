"""Arguments as a person writes them: none that says what torch does anyhow, no `.0` without need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.named import is_named
from torchport.program import Expr

#: A divisor of more characters says no more than the factor: 1 / 2 ** 0.5 stays one.
SHORT = 8


def default(value: Any, theirs: Any) -> Any:
    """None, so that it is not written, where torch's default is the same."""
    return None if value == theirs and not is_named(value) else value


def unless(value: Any, theirs: Any) -> list[Any]:
    """The positional argument, unless torch's default is the same."""
    return [] if value == theirs and not is_named(value) else [value]


def plain(value: float) -> float | int:
    """A whole number without its `.0`, where torch takes either; large ones and -0.0 stay floats.

    What carries a text is written as that.
    """
    if is_named(value):
        return value
    is_short = float(value).is_integer() and abs(value) < 1e6 and str(value) != "-0.0"
    return int(value) if is_short else value


def scaled(x: Expr, factor: float) -> Expr:
    """x * factor; x / 6 where the factor is 1 / 6."""
    if 0 < abs(factor) < 1 and not is_named(factor):
        divisor = 1 / factor
        if 1 / divisor == factor and len(repr(divisor)) < min(len(repr(factor)), SHORT):
            return x / plain(divisor)
    return x * plain(factor)


def indexed(x: Expr, index: Sequence[Any]) -> Expr:
    """x[...] without what takes all of an axis at the end; x itself if nothing is left."""
    kept = list(index)
    while kept and kept[-1] == slice(None):
        kept.pop()
    return x[tuple(kept)] if kept else x
