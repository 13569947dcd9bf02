"""Reshapes of channels that the source has last, of channels that come first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torchport.idioms.permutes import elementwise, instead, permutation
from torchport.idioms.view import View
from torchport.program import Apply, Call, Expr, call, walk


def _is_reshape(found: Call | None) -> bool:
    return found is not None and not found.kwargs and found.args[1] == -1 and _are_sizes(found.args[2:])


def _are_sizes(sizes: Any) -> bool:
    return all(isinstance(it, int) and it > 0 for it in sizes)


def channel_shuffle(expr: Any, view: View) -> Expr | None:
    """`F.channel_shuffle(x, 3)`.

    The source has x.permute(0, 2, 3, 1).reshape(-1, h, w, 3, k).permute(0, 1, 2, 4, 3).reshape(-1, h, w, c),
    permuted to channels first.
    """
    last = permutation(expr, view)
    laid = None if last is None else view.call(last[0], ".reshape")
    swapped = permutation(laid.args[0], view) if laid is not None and _is_reshape(laid) else None
    split = None if swapped is None else view.call(swapped[0], ".reshape")
    chain, below = _elementwise(split.args[0], view) if split is not None else ([], None)
    first = permutation(below, view) if split is not None and _is_reshape(split) else None
    if last is None or laid is None or swapped is None or split is None or first is None:
        return None
    rank = len(laid.args) - 1
    axes = list(range(rank))
    to_first, to_last = (0, rank - 1, *axes[1:-1]), (0, *axes[2:], 1)
    if last[1] != to_first or first[1] != to_last or len(split.args) != rank + 2:
        return None
    if swapped[1] not in ((*axes[:-1], rank, rank - 1), (rank - 1, rank), (-2, -1), (-1, -2)):
        return None
    *space, groups, each = split.args[2:]
    if list(laid.args[2:]) != [*space, groups * each]:
        return None
    x = first[0]
    for it in reversed(chain):
        x = instead(it, elementwise(it), x)
    return call("F.channel_shuffle", x, groups)


def _elementwise(expr: Any, view: View) -> tuple[list[Any], Any]:
    """Functions of each number that stand around an expression, the outermost first, and what is in them."""
    chain: list[Any] = []
    value = view.value(expr)
    while (found := elementwise(value)) is not None:
        chain.append(value)
        value = view.value(found)
    return chain, value


def head_rows(expr: Any, view: View) -> Expr | None:
    """`x.permute(0, 2, 3, 1).reshape(-1, 8880, 4)`, however large the image is.

    -> `x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4))`, and of all channels
    `x.flatten(2).permute(0, 2, 1)`:
    heads that are alike should not be told the sizes of their scales. A head that is one module is not.
    """
    if not isinstance(expr, Call) or expr.function != ".reshape" or len(expr.args) != 4:
        return None
    moved = permutation(expr.args[0], view) if _is_reshape(expr) else None
    shape = None if moved is None else view.shape(moved[0])
    if moved is None or shape is None or len(shape) < 4 or moved[1] != (0, *range(2, len(shape)), 1):
        return None
    count, each = expr.args[2:]
    sizes = [it for it in shape[1:] if it is not None]
    if len(sizes) + 1 < len(shape) or math.prod(sizes) != count * each or sizes[0] % each:
        return None
    if sizes[0] == each:
        return call(".permute", call("torch.flatten", moved[0], 2), 0, 2, 1)
    counts = {it.args[2] for it in _reshapes(view) if it.args[3] == each}
    made = view.source(moved[0])
    is_alone = isinstance(made, Apply) and view.calls[made.owner, made.module.role] == 1
    if len(counts) < 2 or not is_alone:
        return None
    return call(".unflatten", call(".flatten", expr.args[0], 1), 1, (-1, each))


def _reshapes(view: View) -> Iterator[Call]:
    """All reshapes to rows of a definition."""
    for step in view.definition.steps:
        for it in walk(step.value):
            if isinstance(it, Call) and it.function == ".reshape" and len(it.args) == 4 and _is_reshape(it):
                yield it
