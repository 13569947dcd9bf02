"""A call of one function or class of the user's in another: an instance of what it became."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

from torchport.axes import Order
from torchport.source import activations
from torchport.source.layers import names_where
from torchport.source.lines import reads
from torchport.source.observe import Seen
from torchport.source.sites import NotPorted, site
from torchport.source.unit import SIZES_OF_SPACE, Unit, snake
from torchport.source.values import Flow, Items, Maker, Size, Static, mode

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator


def part_of(
    at: Evaluator, node: ast.Call, unit: Unit, source: ast.Call, seen: list[Seen], maker: Maker | None,
    given: list[Any] | None = None,
) -> Any:  # fmt: skip
    """What an application of a unit gives. `source`: the call that its parameters are given by."""
    scope = at.scope
    with names_where(at, maker):
        bound = arguments(unit, source, at)
    if given is not None:
        flows = dict(zip((it.name for it in unit.inputs), given, strict=True))
    elif maker is None:
        flows = entries(unit, {it.of or it.name: bound.pop(it.of or it.name, None) for it in unit.inputs})
    else:
        flows = entries(unit, applied_to(at, node, unit))
    unit = unit.of_ranks(tuple(it.rank for it in flows.values() if isinstance(it, Flow)))
    texts: list[str] = []
    table: dict[str, str] = {}
    for taken in unit.inputs:
        flow = flows.get(taken.name)
        if not isinstance(flow, Flow):
            raise NotPorted(
                node, f"its argument {taken.name} is no single tensor", "hand each tensor over by itself"
            )
        if flow.rank != taken.rank:
            raise NotPorted(
                node, f"{unit.name} is called with tensors of {flow.rank} and of {taken.rank} axes"
            )
        texts.append(scope.ordered(flow, taken.order).text)
        if taken.channels:
            size = (
                channels(at, flow, taken.name, node) if taken.channels in unit.sizes else flow.channels or "?"
            )
            table[taken.channels] = size
    texts = [f"[{', '.join(it)}]" if isinstance(it, list) else it for it in unit.grouped(texts).values()]
    if unit.kind == "function":
        # by name where the author does, and behind one that is left to its default
        kept, by_name = [it.name for it in unit.parameters], {it.arg for it in source.keywords}
        given_here = {key: at.forward(it) for key, it in bound.items() if key in kept}
        inside, named = [*texts], False
        for (name, text), expected in zip(given_here.items(), kept, strict=False):
            named = named or name in by_name or name != expected
            inside.append(f"{name}={text}" if named else text)
        return results(at, unit, f"{unit.cls}({', '.join(inside)})", table, bound, None)
    scope.fixed |= {SIZES_OF_SPACE} & set(unit.fixed)
    defaults = {it.channels: it.default for it in unit.inputs}
    if unknown := [name for name in unit.sizes if name not in table and not defaults.get(name)]:
        raise NotPorted(node, f"{unit.name} wants {unknown[0]}, which is not known where the model is built")
    constructor = [table[name] for name in unit.sizes if not defaults.get(name)]
    # by name where the author does, and behind one that is left to its default
    named, by_name = False, {it.arg for it in source.keywords}
    for it in unit.parameters:
        if it.name not in bound:
            named = named or it.default is not None
            continue
        # a size that has a default stands before those that have one too
        is_behind = it.default is not None and any(map(defaults.get, unit.sizes))
        text, named = bound[it.name].text, named or it.name in by_name or is_behind
        constructor.append(f"{it.name}={text}" if named else text)
    # a size that has a default comes behind what has none, and by name
    constructor += [f"{it}={table[it]}" for it in unit.sizes if defaults.get(it) not in ("", None, table[it])]
    base, given_name = (maker.name, True) if maker is not None and maker.name else (snake(unit.cls), False)
    key = site(maker.node) if maker is not None else None
    listed = maker.listed if maker is not None else ""
    callee = scope.module(base, f"{unit.cls}({', '.join(constructor)})", given_name, key, listed)
    return results(at, unit, f"{callee}({', '.join(texts)})", table, bound, callee)


def applied_to(at: Evaluator, node: ast.Call, unit: Unit) -> dict[str, Any]:
    """What a layer or model is called on, by the names that its `call` has for it."""
    names = list(unit.grouped([None] * len(unit.inputs)))
    found, position = dict[str, Any](), 0
    if unit.kind in ("builder", "factory") and len(node.args) == 1 and len(names) > 1:
        value = at.value(node.args[0])
        return dict(zip(names, value.items, strict=False)) if isinstance(value, Items) else {}
    for it in node.args:
        value = at.value(it)
        if value == mode() or position >= len(names):
            continue
        found[names[position]] = value
        position += 1
    for one in node.keywords:
        if one.arg == "training":
            continue
        if one.arg in names:
            found[one.arg] = at.value(one.value)
        elif one.arg in unit.folded:
            value = at.value(one.value)
            if not isinstance(value, Static) or value.text != repr(unit.folded[one.arg]):
                raise NotPorted(
                    one.value, f"{unit.name} is ported for {one.arg}={unit.folded[one.arg]!r} alone"
                )
        elif unit.kind == "builder" and position < len(names):
            found[names[position]] = at.value(one.value)
    return found


def entries(unit: Unit, values: dict[str, Any]) -> dict[str, Any]:
    """The tensors of what a unit is called on, by name: lists entry by entry."""
    found, counts = dict[str, Any](), dict[str, int]()
    for it in unit.inputs:
        value = values.get(it.of or it.name)
        if it.of:
            at = counts[it.of] = counts.get(it.of, -1) + 1
            value = value.items[at] if isinstance(value, Items) and at < len(value.items) else None
        found[it.name] = value
    return found


def channels(at: Evaluator, flow: Flow, name: str, node: ast.Call) -> str:
    """The text of the size that a unit asks for. Raises NotPorted where it has none."""
    if flow.channels is not None:
        at.scope.fixed |= {SIZES_OF_SPACE} if flow.is_spatial else set()
        return flow.channels
    raise NotPorted(node, f"the channels of {name} are not known where the model is built")


def arguments(unit: Unit, source: ast.Call, at: Evaluator) -> dict[str, Any]:
    """The arguments of a call by the names of the unit's parameters."""
    function = at.scope.project.signature(unit.name)
    if any(isinstance(it, ast.Starred) for it in source.args) or any(
        it.arg is None for it in source.keywords
    ):
        raise NotPorted(source, "has arguments with a star", "write them out")
    try:
        bound = function.bind(*source.args, **{it.arg: it.value for it in source.keywords if it.arg})
    except TypeError as error:
        raise NotPorted(source, str(error)) from error
    asked = {name for it in unit.results if it.channels for name in reads(it.channels)}
    tensors = {it.of or it.name for it in unit.inputs} if unit.kind in ("block", "function") else set()
    known = {it.name for it in unit.parameters} | tensors | asked
    found = {}
    for name, it in bound.arguments.items():
        if name not in known or not isinstance(it, ast.expr):
            continue
        value = at.value(it)
        if name in unit.modules:
            value = activation_of(at, unit, name, it, value)
        is_size = unit.kind == "function" and isinstance(value, Size)
        if name not in tensors and not isinstance(value, Static) and not is_size:
            raise NotPorted(it, f"{unit.name} wants a number there")
        found[name] = value
    return found


def activation_of(at: Evaluator, unit: Unit, name: str, node: ast.expr, value: Any) -> Static:
    """An activation that is handed over, as the module that it is."""
    scope = at.scope
    if isinstance(value, Static) and value.text in scope.parameters:
        held = scope.modules.setdefault(value.text, unit.modules[name])
        if held != unit.modules[name]:
            raise NotPorted(node, "is an activation of other axes elsewhere", "hand over one for each")
        return value
    try:
        seen = scope.seen(node)
        given = seen[0].result if seen else eval(ast.unparse(node), vars(scope.project.watched.module))
    except Exception as error:
        raise NotPorted(node, f"{unit.name} wants an activation there", "hand it over as it is") from error
    text = activations.argument_text(unit.modules[name], given)
    if text is None:
        raise NotPorted(node, "is an activation that has no module", "use one of Keras's own")
    return Static(text)


def results(
    at: Evaluator, unit: Unit, text: str, table: dict[str, str], bound: dict[str, Any], callee: str | None
) -> Any:
    """What a unit gives, with channels in the terms of its caller."""
    known = dict(table)
    for it in unit.known:
        known[it.name] = bound[it.name].text if it.name in bound else it.default or "None"

    def size(flow: Flow, number: int) -> str | None:
        if flow.channels is None:
            return None
        if unit.exposes and callee is not None:
            attribute = f"{at.scope.last(callee)}.out_channels"
            return f"{attribute}[{number}]" if unit.is_tuple else attribute
        asked = reads(flow.channels)
        return None if any(known.get(it) == "?" for it in asked) else substituted(flow.channels, known)

    if not unit.is_tuple:
        (flow,) = unit.results
        return Flow(text, flow.rank, size(flow, 0), flow.order)
    flows = tuple(
        Flow(f"{text}[{number}]", it.rank, size(it, number), it.order)
        for number, it in enumerate(unit.results)
    )
    return Items(flows, text, is_tuple=True)


def substituted(text: str, known: dict[str, str]) -> str:
    """An expression with others for its names."""

    class Names(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.parse(known[node.id], mode="eval").body if node.id in known else node

    return ast.unparse(Names().visit(ast.parse(text, mode="eval").body))


def parameters_of(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def order_of(rank: int) -> Order:
    """The order that units take and give tensors in: images channels first, all else as the source has it."""
    return Order.CHANNELS_FIRST if rank > 3 else Order.SOURCE
