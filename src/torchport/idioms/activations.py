"""Activations that are spelled by operations."""

from __future__ import annotations

import math
from typing import Any

from torchport.idioms.view import View
from torchport.program import Call, Expr, Infix, Var, call


def factors(expr: Any, view: View) -> tuple[list[Any], float]:
    """What is multiplied, numbers apart: `x * y / 6` is [x, y] and 1 / 6."""
    value = view.value(expr)
    if isinstance(value, Infix) and value.symbol in "*/":
        left, number = factors(value.left, view)
        if isinstance(value.right, (int, float)):
            right = (
                float(value.right) if value.symbol == "*" else 1 / value.right if value.right else math.nan
            )
            return left, number * right
        if value.symbol == "*":
            right_factors, other = factors(value.right, view)
            return [*left, *right_factors], number * other
        return [value], 1.0
    if isinstance(value, (int, float)):
        return [], float(value)
    return [expr if isinstance(value, Var) or not isinstance(expr, Var) else expr], 1.0


def gated(expr: Any, view: View, *functions: str) -> tuple[Any, Any, float] | None:
    """`x * f(y)` and a number: x, y and the number."""
    if not isinstance(expr, Infix) or expr.symbol not in "*/":
        return None
    found, number = factors(expr, view)
    if len(found) != 2:
        return None
    for x, gate in (found, found[::-1]):
        inner = view.call(gate, *functions)
        if inner is not None and len(inner.args) == 1 and not inner.kwargs and isinstance(x, Var):
            return x, inner.args[0], number
    return None


def hardswish(expr: Any, view: View) -> Expr | None:
    """`x * F.relu6(x + 3) / 6` -> `F.hardswish(x)`."""
    found = gated(expr, view, "F.relu6")
    if found is None or not math.isclose(found[2], 1 / 6, rel_tol=1e-15):
        return None
    x, inner, _ = found
    inner = view.value(inner)
    plus = isinstance(inner, Infix) and inner.symbol == "+" and inner.right == 3
    return call("F.hardswish", x) if plus and view.same(x, inner.left) else None


def silu(expr: Any, view: View) -> Expr | None:
    """`x * torch.sigmoid(x)` -> `F.silu(x)`."""
    found = gated(expr, view, "torch.sigmoid")
    if found is None or found[2] != 1 or not view.same(found[0], found[1]):
        return None
    return call("F.silu", found[0])


def mish(expr: Any, view: View) -> Expr | None:
    """`x * torch.tanh(F.softplus(x))` -> `F.mish(x)`."""
    found = gated(expr, view, "torch.tanh")
    if found is None or found[2] != 1:
        return None
    inner = view.call(found[1], "F.softplus")
    return call("F.mish", found[0]) if inner is not None and view.same(found[0], inner.args[0]) else None


def gelu(expr: Any, view: View) -> Expr | None:
    """`0.5 * x * (1 + torch.erf(x / 2 ** 0.5))` -> `F.gelu(x)`; by tanh: `F.gelu(x, approximate="tanh")`."""
    if not isinstance(expr, Infix) or expr.symbol not in "*/":
        return None
    found, number = factors(expr, view)
    if len(found) != 2 or number != 0.5:
        return None
    for x, gate in (found, found[::-1]):
        value = view.value(gate)
        if not isinstance(value, Infix) or value.symbol != "+" or not isinstance(x, Var):
            continue
        ones = [it for it in (value.left, value.right) if it == 1 and not isinstance(it, bool)]
        curves = [view.call(it, "torch.erf", "torch.tanh") for it in (value.left, value.right)]
        curve = next((it for it in curves if isinstance(it, Call)), None)
        if not ones or curve is None:
            continue
        inside, scale = factors(curve.args[0], view)
        if len(inside) != 1:
            continue
        if curve.function == "torch.erf":
            if view.same(x, inside[0]) and math.isclose(scale, 0.5**0.5, rel_tol=1e-15):
                return call("F.gelu", x)
        elif math.isclose(scale, (2 / math.pi) ** 0.5, rel_tol=1e-15) and _is_cubic(inside[0], x, view):
            return call("F.gelu", x, approximate="tanh")
    return None


def _is_cubic(expr: Any, x: Any, view: View) -> bool:
    """Whether it is `x + 0.044715 * x ** 3`, however the cube and the sum are spelled."""
    value = view.value(expr)
    if not isinstance(value, Infix) or value.symbol != "+":
        return False
    for one, other in ((value.left, value.right), (value.right, value.left)):
        cube, number = factors(other, view)
        if view.same(x, one) and number == 0.044715 and sum(_degree(it, x, view) for it in cube) == 3:
            return True
    return False


def _degree(expr: Any, x: Any, view: View) -> float:
    """Which power of x an expression is; NaN of anything else."""
    if view.same(x, expr):
        return 1
    value = view.value(expr)
    if isinstance(value, Infix) and value.symbol == "**" and isinstance(value.right, (int, float)):
        return float(value.right) if view.same(x, value.left) else math.nan
    if isinstance(value, Call) and view.same(x, value.args[0]):
        if value.function == "torch.pow" and len(value.args) == 2 and isinstance(value.args[1], (int, float)):
            return float(value.args[1])
        return 2 if value.function in ("torch.square", ".square") and len(value.args) == 1 else math.nan
    return math.nan
