"""Positions that are counted."""

from __future__ import annotations

from typing import Any

from torchport.idioms.view import View
from torchport.program import Attribute, Expr, Infix, call


def positions(expr: Any, view: View) -> Expr | None:
    """`torch.cumsum(torch.ones_like(x), dim=1) - 1` -> `torch.arange(x.size(1), ...).expand_as(x)`."""
    if not isinstance(expr, Infix) or expr.symbol != "-" or expr.right != 1:
        return None
    total = view.call(expr.left, "torch.cumsum")
    ones = None if total is None else view.call(total.args[0], "torch.ones_like")
    if total is None or ones is None or len(ones.args) != 1 or set(total.kwargs) - {"dim", "dtype"}:
        return None
    x, dim = ones.args[0], total.kwargs.get("dim")
    shape = view.shape(x)
    if shape is None or dim not in (-1, len(shape) - 1) or not _is_whole(total.args[0], x, view):
        return None
    counted = call("torch.arange", call(".size", x, len(shape) - 1), device=Attribute(x, "device"))
    return call(".expand_as", counted, x)


def _is_whole(ones: Any, x: Any, view: View) -> bool:
    """Whether ones are whole numbers: those that stand beside a tensor of them."""
    return all(view.numbers(it) == "int" for it in (ones, x) if view.numbers(it) is not None)
