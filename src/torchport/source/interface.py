"""The tensors that a function takes and those that it gives."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.axes import Order
from torchport.names import identifier
from torchport.source import chains
from torchport.source.lines import atom, tidy
from torchport.source.parts import order_of
from torchport.source.sites import NotPorted
from torchport.source.unit import Input
from torchport.source.values import (
    Chain,
    Flow,
    Items,
    Network,
    Row,
    leaves,
)

if TYPE_CHECKING:
    from torchport.source.stage import Stage


def is_input(stage: Stage, node: ast.Call) -> bool:
    seen = stage.scope.seen(node)
    return bool(seen) and getattr(seen[0].function, "__name__", "") in ("Input", "InputLayer")


def take_input(stage: Stage, target: ast.expr, node: ast.Call) -> None:
    """`inputs = keras.Input(shape)`: a tensor that `forward` takes."""
    seen = stage.scope.seen(node)
    take(stage, ast.unparse(target), shape_in(node), tuple(seen[0].result.shape))


def take_inputs(stage: Stage, name: str, node: ast.Dict) -> bool:
    """`inputs = {"image": keras.Input(shape)}`: tensors that `forward` takes; whether it is that."""
    keys = [it.value for it in node.keys if isinstance(it, ast.Constant) and isinstance(it.value, str)]
    calls = [it for it in node.values if isinstance(it, ast.Call) and is_input(stage, it)]
    if not calls or len(keys) != len(node.keys) or len(calls) != len(keys):
        return False
    names = [identifier(it) for it in keys]
    for own, call in zip(names, calls, strict=True):
        take_input(stage, ast.copy_location(ast.Name(own, ast.Store()), call), call)
    stage.scope.env[name] = Items(tuple(stage.scope.env[it] for it in names), name, keys=tuple(keys))
    return True


def in_order_of_model(stage: Stage, network: Network) -> None:
    """The inputs in the order in which the author hands them to the model."""
    given = network.inputs
    texts = [it.text for it in leaves(given)] if isinstance(given, (Items, Flow)) else []
    known = {it.name: it for it in stage.inputs}
    if sorted(texts) != sorted(known):
        return
    first, *_ = stage.inputs
    if texts[0] != first.name and "in_channels" == first.channels:
        # the first alone is called so
        return
    stage.inputs = [known[it] for it in texts]
    if isinstance(given, Items):
        stage.keys = given.keys


def shape_in(node: ast.Call) -> ast.expr | None:
    """The expression that says the shape of an input."""
    given = {it.arg: it.value for it in node.keywords}
    named = (given[it] for it in ("shape", "batch_shape", "input_shape", "batch_input_shape") if it in given)
    return next(named, node.args[0] if node.args and "input_shape" not in given else None)


def take(stage: Stage, name: str, shape: ast.expr | None, seen: tuple[int | None, ...]) -> None:
    """A tensor that `forward` takes: `shape` is what the source says, `seen` what it was."""
    number = len(stage.inputs)
    parameter = "in_channels" if number == 0 else f"{name}_channels"
    default, channels = "", parameter
    if (
        isinstance(shape, (ast.Tuple, ast.List))
        and shape.elts
        and not isinstance(shape.elts[-1], ast.Starred)
    ):
        last = stage.scope.static_text(shape.elts[-1])
        if last.isdigit():
            default = last
        elif last == "None":
            channels = ""
        else:
            channels, parameter = last, ""
    else:
        default = str(seen[-1])
    stage.inputs.append(Input(name, parameter, len(seen), order_of(len(seen)), default))
    stage.scope.env[name] = Flow(name, len(seen), channels or None, order_of(len(seen)))


def give_result(stage: Stage, node: ast.Return) -> None:
    if stage.scope.loops:
        raise NotPorted(node, "returns from inside of a loop", "return once, at the end")
    if node.value is None:
        raise NotPorted(node, "returns nothing")
    given: ast.expr = node.value
    value: Any
    if stage.returned.get("") is given:
        value = chains.chain_of(stage, stage.returned[""])
    else:
        value = stage.at.value(given)
    if isinstance(value, Network):
        in_order_of_model(stage, value)
        value, stage.is_network = value.outputs, True
    if isinstance(value, Chain):
        stage.is_network = value.has_input
        value = last_of(stage, stage.scope.env[value.name])
    if isinstance(value, Row):
        raise NotPorted(node, "gives back one Sequential of several", "give each a function of its own")
    flows = list(leaves(value))
    if stage.scope.in_method:
        stage.scope.do(tidy(f"return {stage.at.forward(value)}"))
        stage.results.append(value)
        return
    if isinstance(value, Flow):
        value = stage.scope.ordered(value, order_given(stage, value))
        if stage.scope.reduction and value.rank:
            value = Flow(f"{atom(value.text)}.{stage.scope.reduction}()", 0)
        text = value.text
    elif isinstance(value, Items) and not value.keys and all(isinstance(it, Flow) for it in value.items):
        flows = [stage.scope.ordered(it, order_given(stage, it)) for it in flows]
        is_whole = flows == list(leaves(value)) and not value.text.startswith(("(", "["))
        text = value.text if is_whole else ", ".join(it.text for it in flows)
        value = replace(value, items=tuple(flows))
    else:
        raise NotPorted(given, "is neither a tensor nor a tuple of tensors")
    if isinstance(value, Flow) and value.channels is not None and not stage.scope.is_function:
        stage.scope.say(f"out_channels = {value.channels}", "out_channels")
    stage.scope.do(tidy(f"return {text}"))
    stage.results.append(value)


def last_of(stage: Stage, value: Flow) -> Flow:
    """What is given back: `return f(x)`, where the last line is `x = f(x)`."""
    lines, start = stage.scope.forward, f"{value.text} = "
    if lines and lines[-1].depth == stage.scope.depth and lines[-1].text.startswith(start):
        if "#" not in lines[-1].text:
            return replace(value, text=lines.pop().text.removeprefix(start))
    return value


def order_given(stage: Stage, flow: Flow) -> Order:
    """The order in which a unit gives a tensor: one that takes no image gives it as it has it."""
    if stage.is_network or any(it.order is not Order.SOURCE for it in stage.inputs):
        return order_of(flow.rank)
    return flow.order
