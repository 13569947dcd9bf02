"""Shapes that are put together of sizes, and functions that are given one with the examples in it.

mult = tf.concat([tf.expand_dims(batch, -1), tf.constant([1, 1])], 0)    ->    mult = (batch, 1, 1)
tf.tile(mask, mult)                                                      ->    mask.tile(mult)
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from torchport.axes import Order, position
from torchport.source.lines import atom
from torchport.source.values import Flow, Items, Size, Static

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator


def shaped(at: Evaluator, node: ast.Call) -> Any:
    """What a function of sizes, or with the number of examples among its arguments, gives; else None."""
    seen = at.scope.seen(node)
    if not seen or isinstance(seen[0].function, type):
        return None
    function = seen[0].function
    if not str(getattr(function, "__module__", "")).startswith(("tensorflow", "keras", "tf_keras")):
        return None
    name = name_of(function)
    given = dict(zip(NAMES.get(name, ()), node.args, strict=False))
    given |= {it.arg: it.value for it in node.keywords if it.arg}
    if name in LISTS:
        sizes = sizes_of(at, node)
        return None if sizes is None or not any(isinstance(it, Size) for it in sizes) else listed(at, sizes)
    if name in WRITTEN and "input" in given:
        return repeated(at, node, name, given)
    return None


#: Functions that make a list of sizes, and those that a tensor is repeated with: their parameters.
LISTS = frozenset({"expand_dims", "concat", "concatenate", "stack", "convert_to_tensor"})
WRITTEN = frozenset({"tile", "broadcast_to", "repeat"})
NAMES = {
    "tile": ("input", "multiples"), "broadcast_to": ("input", "shape"),
    "repeat": ("input", "repeats", "axis"),
}  # fmt: skip


def sizes_of(at: Evaluator, node: ast.expr) -> tuple[Any, ...] | None:
    """The entries of a list of sizes and numbers; None for what is none."""
    if isinstance(node, (ast.List, ast.Tuple)):
        found = [number_of(at, it) for it in node.elts]
        return None if None in found else tuple(found)
    if isinstance(node, ast.Call):
        seen = at.scope.seen(node)
        name = name_of(seen[0].function) if seen else ""
        first = node.args[0] if node.args else next((it.value for it in node.keywords), None)
        if first is None:
            return None
        if name == "expand_dims":
            one = number_of(at, first)
            return None if one is None else (one,)
        if name in ("constant", "convert_to_tensor", "cast", "stack"):
            return sizes_of(at, first)
        if name in ("concat", "concatenate") and isinstance(first, (ast.List, ast.Tuple)):
            parts = [sizes_of(at, it) for it in first.elts]
            return None if None in parts else tuple(one for it in parts if it is not None for one in it)
        return None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        held = sizes_of(at, node.value)
        try:
            return None if held is None else held[eval(f"slice({ends_of(node.slice)})")]
        except (TypeError, ValueError, NameError):
            return None
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        return None
    if (flow := at.scope.shape_of(node)) is not None:
        axes = range(flow.rank)
        return tuple(Size(f"{flow.text}.shape[{position(it, flow.rank, flow.order)}]") for it in axes)
    value = at.scope.env.get(ast.unparse(node))
    if isinstance(value, Items) and value.items and all(isinstance(it, (Size, Static)) for it in value.items):
        return value.items
    return None


def name_of(function: Any) -> str:
    """What TensorFlow calls a function: `expand_dims_v2` is `tf.expand_dims`."""
    return str(getattr(function, "__name__", "")).removesuffix("_v2")


def ends_of(node: ast.Slice) -> str:
    """The ends of a slice of numbers, as arguments."""
    parts = (it if it is None else ast.literal_eval(it) for it in (node.lower, node.upper, node.step))
    return ", ".join(map(repr, parts))


def number_of(at: Evaluator, node: ast.expr) -> Any:
    """A size or a number; None for what is none."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return None
    known = at.scope.env.get(ast.unparse(node))
    if known is None and not at.scope.is_static(node) and not isinstance(node, (ast.Subscript, ast.BinOp)):
        return None
    value = at.value(node)
    return value if isinstance(value, (Size, Static)) else None


def listed(at: Evaluator, sizes: tuple[Any, ...]) -> Items:
    return Items(sizes, at.listed(sizes, is_tuple=True), is_tuple=True)


def repeated(at: Evaluator, node: ast.Call, name: str, given: dict[str, ast.expr]) -> Flow | None:
    """`tf.tile(x, [batch, 1, 1])`, `tf.broadcast_to`, `tf.repeat`; None where they are given no size."""
    scope, seen = at.scope, at.scope.seen(node)
    told = given.get("multiples", given.get("shape", given.get("repeats")))
    if told is None:
        return None
    if name == "repeat":
        one = number_of(at, told)
        sizes = (one,) if isinstance(one, Size) else None
    else:
        sizes = sizes_of(at, told)
    if sizes is None or not any(isinstance(it, Size) for it in sizes):
        return None
    flow = at.value(given["input"])
    if not isinstance(flow, Flow):
        return None
    flow = scope.ordered(flow, Order.SOURCE)
    text = atom(flow.text)
    if name == "repeat":
        if "axis" not in given or not scope.is_static(given["axis"]):
            return None
        axis = ast.literal_eval(given["axis"]) % flow.rank
        channels = None if axis == flow.rank - 1 else flow.channels
        if all(seen_size(it, axis) == 1 for it in seen):
            entries = ["-1"] * flow.rank
            entries[axis] = at.forward(sizes[0])
            return Flow(f"{text}.expand({', '.join(entries)})", flow.rank, channels)
        return Flow(f"{text}.repeat_interleave({at.forward(sizes[0])}, dim={axis})", flow.rank, channels)
    known = scope.env.get(ast.unparse(told))
    inside = known.text if isinstance(known, Items) else ", ".join(map(at.forward, sizes))
    last = sizes[-1]
    if name == "tile":
        is_same = isinstance(last, Static) and last.text == "1"
        return Flow(f"{text}.tile({inside})", len(sizes), flow.channels if is_same else None)
    size = last.known if isinstance(last, Size) else last.text
    return Flow(f"{text}.expand({inside})", len(sizes), size)


def seen_size(seen: Any, axis: int) -> Any:
    """How long an axis of the tensor is that a function was given."""
    tensor = seen.args[0] if seen.args else seen.kwargs["input"]
    return tensor.shape[axis] if len(tensor.shape) > axis else None


__all__ = ["shaped"]
