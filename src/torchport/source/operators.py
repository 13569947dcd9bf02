"""Operators and indices: of tensors, and of sizes and numbers."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.axes import Order, position, to_order
from torchport.source.application import apply
from torchport.source.buffers import with_buffers
from torchport.source.fragment import Call
from torchport.source.layers import sized
from torchport.source.lines import atom, reads, singular
from torchport.source.observe import tensors
from torchport.source.shapes import ends_of
from torchport.source.sites import RUN, NotPorted
from torchport.source.values import (
    Flow,
    Group,
    Items,
    Maker,
    Size,
    Stack,
    Static,
)

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator


def rank_of(at: Evaluator, node: ast.expr) -> int | None:
    """`len(x.shape)`, `x.shape.rank`, `tf.rank(x)`: how many axes a tensor has."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        name = ast.unparse(node.func).rpartition(".")[2]
        flow = at.scope.shape_of(node.args[0]) if name == "len" else None
        flow = at.scope.flow_of(node.args[0]) if name in ("rank", "ndim") else flow
        return flow.rank if flow is not None else None
    if isinstance(node, ast.Subscript) and ast.unparse(node.slice) in ("0", "-1"):
        # the shape of a shape: `tf.shape(x).shape[0]`
        outer = node.value if isinstance(node.value, ast.Attribute) and node.value.attr == "shape" else None
        flow = at.scope.shape_of(outer.value) if outer is not None else None
        return flow.rank if flow is not None else None
    if isinstance(node, ast.Attribute) and node.attr in ("rank", "ndims"):
        flow = at.scope.shape_of(node.value)
        return flow.rank if flow is not None else None
    return None


def entries(at: Evaluator, value: Any, other: Any) -> Any:
    """A constant tuple that is joined to one of sizes, entry by entry: `(1,) * (3 - 1)`."""
    if not isinstance(value, Static) or not isinstance(other, Items):
        return value
    if reads(value.text):
        return value
    found = eval(value.text)
    if not isinstance(found, (tuple, list)):
        return value
    return Items(tuple(Static(repr(it)) for it in found), value.text, isinstance(found, tuple))


#: Operators of tensors, of sizes, and comparisons, as text.
INFIX: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
SIZES: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip
COMPARE: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def operation(at: Evaluator, node: ast.expr, kind: type[ast.AST], left: Any, right: Any) -> Any:
    """An operator between tensors, or a tensor and a number, or sizes."""
    if all(isinstance(it, Static) for it in (left, right)) and kind in INFIX | SIZES:
        return Static(f"{atom(left.text)} {(INFIX | SIZES)[kind]} {atom(right.text)}")
    if all(isinstance(it, (Size, Static)) for it in (left, right)) and kind in SIZES:
        texts = [atom(at.forward(it)) for it in (left, right)]
        known = [it.known if isinstance(it, Size) else it.text for it in (left, right)]
        both = [atom(it) for it in known if it is not None]
        init = f"{both[0]} {SIZES[kind]} {both[1]}" if len(both) == 2 else None
        return Size(f"{texts[0]} {SIZES[kind]} {texts[1]}", init)
    runs = [it for it in at.scope.seen(node) if len(it.args) == 2]
    again, runs = with_buffers(at, Call([left, right], {}, {}, None), runs, lists=True)
    left, right = again.args
    sides = [it for it in (left, right) if isinstance(it, Flow)]
    if not sides or any(not isinstance(it, (Flow, Static, Size)) for it in (left, right)):
        raise NotPorted(node, "is an operator on something else than tensors and numbers")
    ranks = {it.rank for it in sides}
    results = [it for seen in at.scope.seen(node) for it in tensors(seen.result)]
    if not results:
        raise NotPorted(node, "never ran", RUN)
    symbol = (INFIX | COMPARE).get(kind, "")
    plain = all(it.order is Order.SOURCE or it.rank == 0 for it in sides)
    if symbol and (len(sides) == 1 or len(ranks) == 1 or 0 in ranks or plain):
        order = max(sides, key=lambda it: it.rank).order
        texts = [
            atom(at.scope.ordered(it, order).text if isinstance(it, Flow) else at.forward(it))
            for it in (left, right)
        ]
        rank, is_weight = len(results[0].shape), all(it.is_weight for it in sides)
        text = f"{texts[0]} {symbol} {texts[1]}"
        flat = any(it.is_spatial for it in sides)
        return Flow(text, rank, wider(at, sides, results), order, is_weight, is_spatial=flat)
    return apply(at, node, again, runs or at.scope.seen(node))


def wider(at: Evaluator, sides: list[Flow], results: list[Any]) -> str | None:
    """The channels of what an operator gives: those of the operand that is as wide."""
    if not results[0].shape:
        return None
    texts = {it.channels for it in sides if it.rank == len(results[0].shape)}
    if len(texts) == 1:
        return texts.pop()
    # of two names of one size either does: where they are not, the proof fails
    rank = len(results[0].shape)
    plain = [it.channels for it in sides if it.rank == rank and it.channels not in (None, "1")]
    return plain[0] if plain else None


def item_of(at: Evaluator, node: ast.Subscript) -> Any:
    flow = at.scope.shape_of(node.value)
    if flow is not None and (number := at.scope.index_of(node)) is not None:
        return Size(f"{flow.text}.shape[{position(number, flow.rank, flow.order)}]")
    if flow is not None and at.scope.in_init and isinstance(node.slice, ast.Slice):
        return sizes_from(at, node, flow, node.slice)
    value = at.value(node.value)
    if isinstance(value, Group):
        return layer_of_turn(at, node, value)
    if isinstance(value, Items):
        try:
            key = ast.literal_eval(node.slice)
            found = value.items[value.keys.index(key) if value.keys else key]
        except (ValueError, SyntaxError, IndexError, TypeError):
            raise NotPorted(node, "is an index that is not a number", "write the number") from None
        text = f"{value.text}[{ast.unparse(node.slice)}]"
        return (
            replace(found, text=text) if isinstance(found, Flow) and not found.text.isidentifier() else found
        )
    if isinstance(value, Stack) and isinstance(node.slice, ast.Slice) and at.scope.is_static(node.slice):
        text = ast.unparse(node.slice)
        return replace(value, text=f"{value.text}[{text}]", shadow=f"{value.shadow}[{text}]")
    if isinstance(value, Stack) and at.scope.is_static(node.slice):
        index = at.scope.static_text(node.slice)
        return Flow(
            f"{value.text}[{at.scope.forward_text(index)}]",
            value.rank,
            f"{value.shadow}[{index}]",
            value.order,
        )
    if isinstance(value, Flow) and at.has_sizes(node.slice) and (found := plain_item(at, node, value)):
        return found
    if isinstance(value, Flow) and at.scope.is_static_index(node.slice):
        key = at.scope.static_index(node.slice)
        return apply(at, node, Call([value, key], {}, {}, None), at.scope.seen(node))
    if isinstance(value, Flow) and (found := sized(at, node.slice)) is not None:
        return apply(at, node, Call([value, found], {}, {}, None), at.scope.seen(node))
    raise NotPorted(node, "is an index into something that is not known")


def sizes_from(at: Evaluator, node: ast.Subscript, flow: Flow, index: ast.Slice) -> Items:
    """`input_shape[1:3]` in `build`: parameters."""
    every = [*(at.scope.extent(flow, it) for it in range(flow.rank - 1)), flow.channels]
    ends: slice = eval(f"slice({ends_of(index)})") if is_plain(index) else slice(0)
    known = every[ends]
    if not known or None in known:
        raise NotPorted(node, "are sizes that are not known where the model is built")
    sizes = tuple(Static(str(it)) for it in known)
    return Items(sizes, at.listed(sizes, is_tuple=True), is_tuple=True)


def is_plain(node: ast.Slice) -> bool:
    """Whether the ends of a slice are numbers."""
    ends = (it for it in (node.lower, node.upper, node.step) if it is not None)
    return all(isinstance(it, (ast.Constant, ast.UnaryOp)) for it in ends)


def plain_item(at: Evaluator, node: ast.Subscript, flow: Flow) -> Flow | None:
    """`x[:, :length]`: an index with sizes that `forward` knows, as Python and torch both read it."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    results = [it for seen in at.scope.seen(node) for it in tensors(seen.result)]
    if not results or any(isinstance(it, ast.Constant) and it.value is ... for it in parts):
        return None
    texts = []
    for it in parts:
        if isinstance(it, ast.Slice):
            ends = [None if one is None else at.value(one) for one in (it.lower, it.upper, it.step)]
            if not all(one is None or isinstance(one, (Static, Size)) for one in ends):
                return None
            lower, upper, step = ["" if one is None else at.forward(one) for one in ends]
            texts.append(f"{lower}:{upper}" + (f":{step}" if step else ""))
        elif ast.unparse(it).rpartition(".")[2] in ("newaxis", "None"):
            texts.append("None")
        elif isinstance(value := at.value(it), (Static, Size)):
            texts.append(at.forward(value))
        else:
            return None
    if flow.order is not Order.SOURCE and all(":" in it for it in texts) and flow.rank > 2:
        full = [*texts, *[":"] * (flow.rank - len(texts))]
        texts = [full[it] for it in to_order(tuple(range(flow.rank)), flow.order)]
    elif flow.order is not Order.SOURCE:
        flow = at.scope.ordered(flow, Order.SOURCE)
    kept = len([it for it in texts if it != "None"]) < flow.rank or texts[-1] == ":"
    while texts[-1] == ":" and len(texts) > 1:
        texts.pop()
    text = f"{atom(flow.text)}[{', '.join(texts)}]"
    channels = flow.channels if kept else None
    return Flow(text, len(results[0].shape), channels, flow.order, flow.is_weight)


def layer_of_turn(at: Evaluator, node: ast.Subscript, group: Group) -> Maker:
    """`self.layers[i]` in a loop over `i`: the layer of that turn."""
    loops, scope = at.scope.loops, at.scope
    index = ast.unparse(node.slice)
    if not loops or index not in loops[-1].targets:
        raise NotPorted(node, "is a layer of a list by itself", "loop over the list")
    names = {it.id for it in ast.walk(group.target) if isinstance(it, ast.Name)}
    used = {it.id for it in ast.walk(group.maker.node) if isinstance(it, ast.Name)} & names
    if used - loops[-1].targets or used and scope.static_text(group.over) != loops[-1].over:
        raise NotPorted(node, "is made in a loop of another kind", f"loop over {group.name}")
    listed = group.name.removeprefix("self.")
    return replace(group.maker, name=singular(listed), listed=listed)
