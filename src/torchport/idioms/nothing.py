"""Operations that leave the numbers of a tensor as they are."""

from __future__ import annotations

import math
from typing import Any

from torchport.idioms.view import View
from torchport.program import Call, call

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


def axis_of_one(expr: Any, view: View) -> Any:
    """`x.reshape(-1, 1, 56, 256)` of x (n, 56, 256) -> `x.unsqueeze(1)`."""
    if not isinstance(expr, Call) or expr.function != ".reshape" or expr.kwargs or expr.args[1] != -1:
        return None
    shape, sizes = view.shape(expr.args[0]), expr.args[2:]
    if shape is None or None in shape[1:] or len(sizes) != len(shape):
        return None
    places = [at for at, it in enumerate(sizes) if it == 1 and (*sizes[:at], *sizes[at + 1 :]) == shape[1:]]
    return call(".unsqueeze", expr.args[0], places[0] + 1) if places else None
