"""Several tensors as one, where the same is done to all."""

from __future__ import annotations

from typing import Any

from torchport.idioms.view import View
from torchport.program import Call, Expr, Var, call

#: From so many on they are stacked.
MANY = 3
#: A function of two tensors, and the method that does the same over an axis.
EXTREMA = {"torch.maximum": ".amax", "torch.minimum": ".amin"}


def operands(expr: Any, function: str, view: View) -> list[Any]:
    """All that a function of two takes, which stands inside itself or is stacked already."""
    stacked = view.call(expr, EXTREMA[function])
    if (
        stacked is not None
        and isinstance(stacked.args[0], Call)
        and stacked.args[0].function == "torch.stack"
    ):
        return list(stacked.args[0].args[0])
    found = view.call(expr, function)
    if found is None or len(found.args) != 2 or found.kwargs:
        return [expr]
    return [*operands(found.args[0], function, view), *operands(found.args[1], function, view)]


def extremum(expr: Any, view: View) -> Expr | None:
    """`torch.maximum(torch.maximum(a, b), c)` -> `torch.stack([a, b, c]).amax(dim=0)`, of equal shapes."""
    if not isinstance(expr, Call) or expr.function not in EXTREMA:
        return None
    found = operands(expr, expr.function, view)
    shapes = [view.shape(it) for it in found]
    if len(found) < MANY or None in shapes or len(set(shapes)) > 1:
        return None
    return call(EXTREMA[expr.function], call("torch.stack", found), dim=0)


def extend(expr: Any, view: View) -> Expr | None:
    """`torch.cat([a, b, c], dim=1)` -> `torch.cat([ab, c], dim=1)`, where `ab` is `torch.cat([a, b], dim=1)`.

    In a dense block each layer reads what the one before it read, and what that gave.
    """
    if not isinstance(expr, Call) or expr.function != "torch.cat" or len(expr.args[0]) < MANY:
        return None
    terms = expr.args[0]
    for name in view.cats:
        found = view.source(Var(name))
        if not isinstance(found, Call) or found.function != "torch.cat" or found.kwargs != expr.kwargs:
            continue
        first = found.args[0]
        begins = len(first) < len(terms) and all(map(view.same, first, terms))
        if len(first) > 1 and begins and view.reads[name]:
            return call("torch.cat", [Var(name), *terms[len(first) :]], **expr.kwargs)
    return None


def repeat(expr: Any, view: View) -> Expr | None:
    """`torch.cat([x, x, x], dim=1)` -> `x.repeat(1, 3, 1, 1)`."""
    if not isinstance(expr, Call) or expr.function != "torch.cat" or len(expr.args) != 1:
        return None
    (tensors,), dim = expr.args, expr.kwargs.get("dim", 0)
    if len(tensors) < 2 or any(not view.same(tensors[0], it) for it in tensors):
        return None
    shape = view.shape(tensors[0])
    if shape is None or not isinstance(dim, int):
        return None
    counts = [len(tensors) if at == dim % len(shape) else 1 for at in range(len(shape))]
    return call(".repeat", tensors[0], *counts)
