"""Operations that leave the numbers of a tensor as they are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from torchport.graph import Shape
from torchport.idioms.view import View
from torchport.program import Call, Infix, Var, call, walk

#: Pooling of one value each.
POOLS = ("F.avg_pool1d", "F.avg_pool2d", "F.avg_pool3d", "F.max_pool1d", "F.max_pool2d", "F.max_pool3d")


def window_of_one(expr: Any, view: View) -> Any:
    """`F.avg_pool2d(x, 1)` -> `x`, and `F.interpolate(x, scale_factor=1.0)` likewise."""
    if not isinstance(expr, Call) or not expr.args:
        return None
    if expr.function in POOLS:
        return expr.args[0] if all(it == 1 for it in (*expr.args[1:], *expr.kwargs.values())) else None
    is_whole = expr.function == "F.interpolate" and expr.kwargs.get("scale_factor") == 1.0
    return expr.args[0] if is_whole else None


def no_bound(expr: Any, view: View) -> Any:
    """`x.clamp(0, float("inf"))` -> `x.clamp(min=0)`."""
    if not isinstance(expr, Call) or expr.function != ".clamp" or len(expr.args) != 3:
        return None
    x, low, high = expr.args
    if high == math.inf and isinstance(low, (int, float)):
        return call(".clamp", x, min=low)
    return call(".clamp", x, max=high) if low == -math.inf and isinstance(high, (int, float)) else None


def least_of_none(expr: Any, view: View) -> Any:
    """`(x.square().sum(dim=1) + 1e-7).clamp(min=0)` -> without the clamp: no number is below zero."""
    if not isinstance(expr, Call) or expr.function != ".clamp" or expr.kwargs != {"min": 0}:
        return None
    tensors = [it for it in walk(expr.args) if isinstance(it, Var)]
    if len(expr.args) > 1 or any(view.numbers(it) != "" for it in tensors):  # squares of integers wrap
        return None
    return expr.args[0] if _is_positive(expr.args[0], view) else None


#: Functions that give no number below zero, and those that give none if they are given none.
POSITIVE = frozenset(
    ".square .abs torch.square torch.abs torch.exp torch.sigmoid F.relu F.relu6 F.softmax F.softplus".split()
)
KEEP_POSITIVE = frozenset(".sum .mean .amax .amin torch.sqrt torch.flatten .reshape .unsqueeze".split())


def _is_positive(expr: Any, view: View) -> bool:
    """Whether an expression gives no number below zero."""
    value = view.source(expr)
    if isinstance(value, (int, float)):
        return value >= 0
    if isinstance(value, Infix):
        if value.symbol == "**":
            return value.right in (2, 4)
        sides = (value.left, value.right)
        return value.symbol in ("+", "*") and all(_is_positive(it, view) for it in sides)
    if not isinstance(value, Call):
        return False
    if value.function in POSITIVE:
        return True
    return value.function in KEEP_POSITIVE and _is_positive(value.args[0], view)


def axis_of_one(expr: Any, view: View) -> Any:
    """`x.reshape(-1, 1, 56, 256)` of x (n, 56, 256) -> `x.unsqueeze(1)`.

    `x.reshape(x.size(0), 1, -1, 161)` of x (n, t, 161) likewise.
    `x.flatten(1).unsqueeze(1)` of x (n, 1, c) -> `x`.
    """
    if not isinstance(expr, Call) or expr.kwargs:
        return None
    if expr.function == ".unsqueeze" and expr.args[1:] == (1,):
        flat = view.call(expr.args[0], "torch.flatten")
        shape = view.shape(flat.args[0]) if flat is not None and flat.args[1:] == (1,) else None
        return flat.args[0] if flat is not None and shape is not None and _is_one_step(shape) else None
    if expr.function != ".reshape" or not (expr.args[1] == -1 or _is_count(expr.args[1], expr.args[0])):
        return None
    shape, sizes = view.shape(expr.args[0]), expr.args[2:]
    if shape is None or len(sizes) != len(shape):
        return None
    wanted = shape[1:]
    if expr.args[1] != -1 and wanted.count(None) == 1:  # the one that is open is written as -1
        wanted = tuple(-1 if it is None else it for it in wanted)
    if None in wanted:
        return None
    places = [at for at, it in enumerate(sizes) if it == 1 and (*sizes[:at], *sizes[at + 1 :]) == wanted]
    return call(".unsqueeze", expr.args[0], places[0] + 1) if places else None


def _is_one_step(shape: Shape) -> bool:
    """Whether a tensor is (n, 1, c)."""
    return len(shape) == 3 and shape[1] == 1


def _is_count(size: Any, x: Any) -> bool:
    """Whether a size is `x.size(0)`."""
    return isinstance(size, Call) and size.function == ".size" and size.args == (x, 0)


def broadcast(expr: Any, view: View) -> Any:
    """`x * y.unsqueeze(2).expand(-1, -1, 128)` of x (n, t, 128) -> `x * y.unsqueeze(2)`."""
    if not isinstance(expr, Infix) or expr.symbol not in "+-*/":
        return None
    for name, other in (("left", expr.right), ("right", expr.left)):
        found = view.call(getattr(expr, name), ".expand")
        shape = None if found is None else view.shape(other)
        if found is None or shape is None or len(found.args) != len(shape) + 1:
            continue
        if all(size == -1 or size == known for size, known in zip(found.args[1:], shape, strict=True)):
            return replace(expr, **{name: found.args[0]})
    return None
