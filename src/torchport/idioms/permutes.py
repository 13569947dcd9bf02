"""Permutes that undo one another, that move nothing, or that a reshape does as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torchport.idioms.view import View
from torchport.program import Call, Expr, Index, Infix, Var, call, walk

#: What moves axes and nothing else.
MOVES = (".permute", ".transpose", ".movedim")
#: Functions of one tensor that do the same to each of its numbers, wherever it stands.
ELEMENTWISE = frozenset(
    "F.relu F.relu6 F.silu F.gelu F.elu F.selu F.celu F.leaky_relu F.hardswish F.hardsigmoid F.hardtanh "
    "F.mish F.softplus F.logsigmoid torch.sigmoid torch.tanh torch.exp torch.log torch.sqrt torch.square "
    ".abs .square .clamp .float .bool .int .long".split()
)


def permutation(expr: Any, view: View, alone: bool = True) -> tuple[Any, tuple[int, ...]] | None:
    """What a permute, a transpose or a movedim takes, and its numbers."""
    found = view.call(expr, *MOVES, alone=alone)
    if found is None or found.kwargs:
        return None
    x, *dims = found.args
    if not all(isinstance(it, int) for it in dims):
        return None
    if found.function == ".permute":
        return x, tuple(dims)
    return (x, tuple(dims)) if len(dims) == 2 else None


def full(found: Call, dims: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """For each axis of what a permute of a tensor of `rank` axes gives, where it comes from."""
    if found.function == ".permute":
        return dims
    order = list(range(rank))
    one, other = (it % rank for it in dims)
    if found.function == ".movedim":
        order.insert(other, order.pop(one))
    else:
        order[one], order[other] = order[other], order[one]
    return tuple(order)


def pair(expr: Any, view: View) -> tuple[Any, tuple[int, ...], tuple[int, ...]] | None:
    """A permute of a permute: the tensor below, the axes of the inner one, and of the outer one."""
    outer = permutation(expr, view)
    if outer is None or not isinstance(expr, Call):
        return None
    inner_call = view.call(outer[0], *MOVES, alone=False)
    inner = permutation(outer[0], view, alone=False)
    if inner is None or inner_call is None:
        return None
    ranks = [len(it[1]) for it, made in ((outer, expr), (inner, inner_call)) if made.function == ".permute"]
    if not ranks and (shape := view.shape(inner[0])) is not None:
        ranks = [len(shape)]
    if not ranks:
        alike = expr.function == inner_call.function == ".transpose" and sorted(outer[1]) == sorted(inner[1])
        if not alike or min(*outer[1], *inner[1]) < 0:
            return None
        ranks = [max(outer[1]) + 1]
    rank = ranks[0]
    return inner[0], full(inner_call, inner[1], rank), full(expr, outer[1], rank)


def permuted(x: Any, dims: Sequence[int]) -> Any:
    """A permute as one writes it: nothing, or x.transpose, or x.permute."""
    moved = [at for at, axis in enumerate(dims) if at != axis]
    if not moved:
        return x
    return call(".permute", x, *dims)


def cancelled(expr: Any, view: View) -> Any:
    """`x.permute(0, 2, 1).permute(0, 2, 1)` -> `x`; two that do not undo one another are one."""
    found = pair(expr, view)
    if found is None:
        return None
    x, inner, outer = found
    dims = tuple(inner[at] for at in outer)
    is_one_step = view.value(expr.args[0]) is not expr.args[0] or not isinstance(expr.args[0], Var)
    return permuted(x, dims) if dims == tuple(range(len(dims))) or is_one_step else None


def across(expr: Any, view: View) -> Any:
    """`F.relu(x.permute(0, 2, 1)).permute(0, 2, 1)` -> `F.relu(x)`."""
    outer = permutation(expr, view)
    if outer is None or not isinstance(expr, Call):
        return None
    chain: list[Any] = []
    value = view.value(outer[0])
    while (found := elementwise(value)) is not None:
        chain.append(value)
        value = view.value(found)
    if not chain or not isinstance(value, Call) or value.function not in MOVES:
        return None
    below = pair(call(expr.function, value, *expr.args[1:]), view)
    if below is None:
        return None
    x, inner, order = below
    for it in reversed(chain):
        x = instead(it, elementwise(it), x)
    return permuted(x, tuple(inner[at] for at in order))


def elementwise(value: Any) -> Any:
    """The one tensor that a function of each of its numbers takes; None for any other expression."""
    if isinstance(value, Call) and value.function in ELEMENTWISE:
        others = (*value.args[1:], *value.kwargs.values())
        return value.args[0] if not any(isinstance(it, Expr) for it in walk(others)) else None
    if isinstance(value, Infix):
        both = (value.left, value.right)
        tensors = [it for it in both if not isinstance(it, (int, float))]
        return tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Expr) else None
    return None


def instead(value: Any, inner: Any, x: Any) -> Any:
    """What `elementwise` looked at, of another tensor."""
    if isinstance(value, Infix):
        return Infix(value.symbol, *(x if it is inner else it for it in (value.left, value.right)))
    return Call(value.function, (x, *value.args[1:]), value.kwargs)


def of_each_step(expr: Any, view: View) -> Any:
    """`x.flatten(0, 1).flatten(1).unflatten(0, (-1, 5))` -> `x.flatten(2)`, for x of five steps."""
    if not isinstance(expr, Call) or expr.function != ".unflatten" or expr.args[1] != 0:
        return None
    flat = view.call(expr.args[0], "torch.flatten", ".flatten")
    each = None if flat is None else view.call(flat.args[0], ".flatten", "torch.flatten")
    if flat is None or each is None or flat.args[1:] != (1,) or each.args[1:] != (0, 1):
        return None
    sizes, shape = expr.args[2], view.shape(each.args[0])
    if len(sizes) != 2 or shape is None or len(shape) < 4 or sizes[0] != -1 or sizes[1] != shape[1]:
        return None
    return call("torch.flatten", each.args[0], 2)


def of_one_channel(expr: Any, view: View) -> Expr | None:
    """`x.reshape(-1, 7, 7, 1).permute(0, 3, 1, 2)` -> `x.reshape(-1, 1, 7, 7)`: only an axis of one moves."""
    found = permutation(expr, view)
    if found is None or not isinstance(expr, Call) or expr.function != ".permute":
        return None
    dims = found[1]
    inner = view.call(found[0], ".reshape", ".unflatten", ".unsqueeze")
    if inner is None or inner.kwargs:
        return None
    if inner.function == ".unsqueeze":
        (x, at), ones = inner.args, {inner.args[1] % len(dims)}
        if [axis for axis in dims if axis not in ones] != [it for it in range(len(dims)) if it not in ones]:
            return None
        return call(".unsqueeze", x, dims.index(at % len(dims)))
    if inner.function == ".unflatten":
        x, at, sizes = inner.args
        sizes = (0,) * at + tuple(sizes)
    else:
        x, *rest = inner.args
        sizes, at = tuple(rest), 0
    if len(sizes) != len(dims):
        return None
    kept = [axis for axis in dims if sizes[axis] != 1]
    if kept != sorted(kept) or dims[: max(at, 1)] != tuple(range(max(at, 1))):
        return None
    turned = [sizes[axis] for axis in dims]
    if inner.function == ".unflatten":
        return call(".unflatten", x, at, tuple(turned[at:]))
    return call(".reshape", x, *turned)


def of_new_axes(expr: Any, view: View) -> Expr | None:
    """`x[:, None, None].permute(0, 3, 1, 2)` of x (n, c) -> `x[:, :, None, None]`: only new axes move."""
    found = permutation(expr, view)
    if found is None or not isinstance(expr, Call) or expr.function != ".permute":
        return None
    dims, inner = found[1], view.value(found[0])
    if not isinstance(inner, Index) or any(it not in (None, slice(None)) for it in inner.index):
        return None
    entries = [*inner.index, *(slice(None),) * (len(dims) - len(inner.index))]
    kept = [axis for axis in dims if entries[axis] is not None]
    if kept != sorted(kept):
        return None
    turned = [entries[axis] for axis in dims]
    while turned and turned[-1] is not None:
        turned.pop()
    return Index(inner.value, tuple(turned))


def reshaped_again(expr: Any, view: View) -> Expr | None:
    """`x.reshape(-1, 4, 6).reshape(-1, 24)` -> `x.reshape(-1, 24)`: only the last says how it lies."""
    if not isinstance(expr, Call) or expr.function not in (".reshape", "torch.flatten"):
        return None
    inner = view.call(expr.args[0], ".reshape")
    if inner is None or inner.kwargs or inner.args[1] != -1 or not _is_whole(inner.args[2:]):
        return None
    x = inner.args[0]
    if expr.function == "torch.flatten":
        shape = view.shape(x)
        if expr.args[1:] != (1,) or shape is None or len(shape) < 3:
            return None
        return call("torch.flatten", x, 1) if _count(shape[1:]) == math.prod(inner.args[2:]) else None
    if expr.args[1] != -1 or not _is_whole(expr.args[2:]) or expr.kwargs:
        return None
    same = math.prod(expr.args[2:]) == math.prod(inner.args[2:])
    return call(".reshape", x, *expr.args[1:]) if same else None


def _is_whole(sizes: Sequence[Any]) -> bool:
    return all(isinstance(it, int) and it > 0 for it in sizes)


def _count(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else math.prod(it for it in sizes if it is not None)


def depth_to_space(expr: Any, view: View) -> Expr | None:
    """Blocks of channels laid out as pixels, spelled with channels last, as `depth_to_space`.

    x.permute(0, 2, 3, 1).reshape(-1, h, w, r, r, c).transpose(2, 3).reshape(-1, r * h, r * w, c), permuted
    to channels first.
    """
    last = permutation(expr, view)
    if last is None or last[1] != (0, 3, 1, 2):
        return None
    laid = view.call(last[0], ".reshape")
    swapped = None if laid is None else permutation(laid.args[0], view)
    if laid is None or swapped is None or swapped[1] not in ((2, 3), (0, 1, 3, 2, 4, 5)):
        return None
    split = view.call(swapped[0], ".reshape")
    first = None if split is None else permutation(split.args[0], view)
    if split is None or first is None or first[1] != (0, 2, 3, 1) or len(split.args) != 7:
        return None
    (_, h, w, r, again, c), whole = split.args[1:], laid.args[1:]
    if not _is_whole((h, w, r, again, c)) or r != again or whole[1:] != (h * r, w * r, c):
        return None
    return call("depth_to_space", first[0], r)
