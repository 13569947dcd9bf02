"""Arguments as a person writes them: none that says what torch does anyhow, no `.0` without need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.program import Expr


def default(value: Any, theirs: Any) -> Any:
    """None, so that it is not written, where torch's default is the same."""
    return None if value == theirs else value


def unless(value: Any, theirs: Any) -> list[Any]:
    """The positional argument, unless torch's default is the same."""
    return [] if value == theirs else [value]


def plain(value: float) -> float | int:
    """A whole number without its `.0`, where torch takes either."""
    return int(value) if float(value).is_integer() else value


def indexed(x: Expr, index: Sequence[Any]) -> Expr:
    """x[...] without what takes all of an axis at the end; x itself if nothing is left."""
    kept = list(index)
    while kept and kept[-1] == slice(None):
        kept.pop()
    return x[tuple(kept)] if kept else x
