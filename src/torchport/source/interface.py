"""The tensors that a function takes and those that it gives."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.source.lines import atom, tidy
from torchport.source.parts import order_of
from torchport.source.rows import applied
from torchport.source.sites import NotPorted
from torchport.source.unit import Input
from torchport.source.values import (
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
    name = ast.unparse(target)
    seen = stage.scope.seen(node)
    rank = len(seen[0].result.shape)
    given = {it.arg: it.value for it in node.keywords}
    shape = given.get("shape", given.get("batch_shape", node.args[0] if node.args else None))
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
        default = str(seen[0].result.shape[-1])
    stage.inputs.append(Input(name, parameter, rank, order_of(rank), default))
    stage.scope.env[name] = Flow(name, rank, channels or None, order_of(rank))


def give_result(stage: Stage, node: ast.Return) -> None:
    if stage.scope.loops:
        raise NotPorted(node, "returns from inside of a loop", "return once, at the end")
    if node.value is None:
        raise NotPorted(node, "returns nothing")
    value = stage.at.value(node.value)
    if isinstance(value, Network):
        value, stage.is_network = value.outputs, True
    if isinstance(value, Row):
        value = row_result(stage, value)
    flows = list(leaves(value))
    if stage.scope.in_method:
        stage.scope.do(tidy(f"return {stage.at.forward(value)}"))
        stage.results.append(value)
        return
    if isinstance(value, Flow):
        value = stage.scope.ordered(value, order_of(value.rank))
        if stage.scope.reduction and value.rank:
            value = Flow(f"{atom(value.text)}.{stage.scope.reduction}()", 0)
        text = value.text
    elif isinstance(value, Items) and all(isinstance(it, Flow) for it in value.items):
        flows = [stage.scope.ordered(it, order_of(it.rank)) for it in flows]
        is_whole = flows == list(leaves(value)) and not value.text.startswith(("(", "["))
        text = value.text if is_whole else ", ".join(it.text for it in flows)
        value = replace(value, items=tuple(flows))
    else:
        raise NotPorted(node.value, "is neither a tensor nor a tuple of tensors")
    if isinstance(value, Flow) and value.channels is not None and not stage.scope.is_function:
        stage.scope.say(f"out_channels = {value.channels}", "out_channels")
    stage.scope.do(tidy(f"return {text}"))
    stage.results.append(value)


def row_result(stage: Stage, row: Row) -> Any:
    """A Sequential that is returned: a network of one input."""
    models = [it.result for it in stage.scope.seen(row.node)]
    if not models or not all(getattr(it, "inputs", None) for it in models):
        raise NotPorted(row.node, "has no input of its own", "begin it with keras.Input(shape)")
    shape = tuple(models[0].inputs[0].shape)
    order = order_of(len(shape))
    stage.inputs.append(Input("x", "in_channels", len(shape), order, str(shape[-1])))
    stage.scope.env["x"] = Flow("x", len(shape), "in_channels", order)
    stage.is_network = True
    return applied(stage.at, row.node, row, stage.scope.env["x"], models)
