"""Zeros before a convolution or a pooling as its own `padding`, where both sides have the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torchport.idioms.view import View
from torchport.program import Apply, Call, Expr, Module, Var, children

#: What is never negative, and has no gradient where it is zero: that a zero beside it takes it is no loss.
NEVER_NEGATIVE = frozenset(
    {"F.relu", "F.relu6", "torch.sigmoid", "F.softmax", "torch.exp", "F.softplus", ".square"}
)
MODULES_NEVER_NEGATIVE = frozenset({"nn.ReLU", "nn.ReLU6", "nn.Sigmoid", "nn.Softmax"})
#: What keeps that so.
KEEPS = re.compile(r"F\.(max|avg)_pool\dd$|torch\.(cat|flatten)$|nn\.Dropout(\dd)?$")


def padding_of(expr: Any, rank: int, view: View) -> tuple[Any, tuple[int, ...]] | None:
    """What is padded with zeros, and by how much on both sides of each axis; None where they differ.

    Others may read it as well: each takes the padding for its own.
    """
    found = view.call(expr, "F.pad", alone=False)
    if found is None or len(found.args) != 2 or found.kwargs:
        return None
    amounts: Sequence[Any] = found.args[1]
    if len(amounts) > 2 * rank or not all(isinstance(it, int) and it >= 0 for it in amounts):
        return None
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if any(before != after for before, after in pairs):
        return None
    given = [before for before, _ in reversed(pairs)]
    return found.args[0], (*(0 for _ in range(rank - len(given))), *given)


def plain(sizes: Sequence[int]) -> int | tuple[int, ...]:
    """One number where all are alike."""
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def each(value: Any, rank: int) -> tuple[int, ...] | None:
    """A number, or one for each axis, as one for each axis."""
    if isinstance(value, int):
        return (value,) * rank
    alike = isinstance(value, tuple) and len(value) == rank and all(isinstance(it, int) for it in value)
    return value if alike else None


def of_a_convolution(expr: Any, view: View) -> Expr | None:
    """`Conv2d(...)(F.pad(x, (3, 3, 3, 3)))` -> `Conv2d(..., padding=3)(x)`, of a layer called once."""
    if not isinstance(expr, Apply) or len(expr.args) != 1 or expr.kwargs:
        return None
    found = re.fullmatch(r"nn\.Conv(\d)d", expr.module.cls)
    if not found or view.calls[expr.owner, expr.module.role] != 1:
        return None
    rank = int(found[1])
    own = each(expr.module.kwargs.get("padding", 0), rank)
    padded = padding_of(expr.args[0], rank, view)
    if own is None or padded is None or "padding_mode" in expr.module.kwargs:
        return None
    x, amounts = padded
    total = plain([a + b for a, b in zip(own, amounts, strict=True)])
    return replace(expr, module=_with_padding(expr.module, total), args=(x,))


def _with_padding(module: Module, padding: Any) -> Module:
    """The module with this padding, which stands behind the stride."""
    kwargs = {key: value for key, value in module.kwargs.items() if key != "padding"}
    before = {key: kwargs.pop(key) for key in ("stride",) if key in kwargs}
    return replace(module, kwargs={**before, "padding": padding, **kwargs})


def of_a_max_pool(expr: Any, view: View) -> Expr | None:
    """`max_pool2d(F.pad(F.relu(x), (1, 1, 1, 1)), 3)` -> `max_pool2d(F.relu(x), 3, padding=1)`.

    Torch pads with minus infinity. Where nothing is negative, a zero that is beside it changes no maximum.
    """
    pooled = _pool(expr, "max", view)
    if pooled is None or not is_never_negative(pooled.args[0], view):
        return None
    return pooled


def of_an_average_pool(expr: Any, view: View) -> Expr | None:
    """`avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3)` -> `avg_pool2d(x, 3, padding=1)`: torch counts zeros, too."""
    return _pool(expr, "avg", view)


def _pool(expr: Any, kind: str, view: View) -> Call | None:
    found = re.fullmatch(rf"F\.{kind}_pool(\d)d", expr.function) if isinstance(expr, Call) else None
    if not found or set(expr.kwargs) - {"stride"} or len(expr.args) != 2:
        return None
    rank = int(found[1])
    window, padded = each(expr.args[1], rank), padding_of(expr.args[0], rank, view)
    if window is None or padded is None:
        return None
    x, amounts = padded
    if any(2 * amount > size for amount, size in zip(amounts, window, strict=True)):
        return None
    return Call(expr.function, (x, expr.args[1]), {**expr.kwargs, "padding": plain(amounts)})


def is_never_negative(expr: Any, view: View) -> bool:
    """Whether no value of a tensor is negative, whatever the weights are."""
    value = view.source(expr)
    if isinstance(value, Call):
        name = value.function
        if name in NEVER_NEGATIVE:
            return True
    elif isinstance(value, Apply):
        name = value.module.cls
        if name in MODULES_NEVER_NEGATIVE:
            return True
    else:
        return False
    inside = [it for it in _leaves(value) if isinstance(it, (Var, Call, Apply))]
    return bool(KEEPS.match(name)) and bool(inside) and all(is_never_negative(it, view) for it in inside)


def _leaves(value: Any) -> list[Any]:
    """The tensors that a call takes, those in a list among them."""
    found: list[Any] = []
    for child in children(value):
        found += child if isinstance(child, (list, tuple)) else [child]
    return found
