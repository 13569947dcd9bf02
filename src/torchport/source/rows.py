"""`keras.Sequential`: its layers, applied one after the other."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.names import unique
from torchport.source.application import apply
from torchport.source.fragment import Call
from torchport.source.layers import options_of
from torchport.source.observe import Seen
from torchport.source.sites import NotPorted, site
from torchport.source.values import Flow, Maker, Row

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator


def row_of(at: Evaluator, node: ast.Call) -> Row:
    """The layers that a call of Sequential is given. Raises NotPorted for what is no call of a class."""
    given = next(
        (it.value for it in node.keywords if it.arg == "layers"), node.args[0] if node.args else None
    )
    if given is None:
        return Row((), node)
    if not isinstance(given, (ast.List, ast.Tuple)):
        raise NotPorted(given, "is a list of layers that is made elsewhere", "write the layers there")
    makers = [made for it in given.elts if (made := maker_of(at, it)) is not None]
    return Row(tuple(makers), node)


def maker_of(at: Evaluator, node: ast.expr) -> Maker | None:
    """A layer of a row; None for its input."""
    seen = at.scope.seen(node) if isinstance(node, ast.Call) else []
    if seen and getattr(seen[0].function, "__name__", "") in ("Input", "InputLayer"):
        return None
    found = at.value(node)
    if not isinstance(found, Maker):
        raise NotPorted(node, "is no layer that is made there", "make each layer in the list")
    return found


def applied(at: Evaluator, node: ast.expr, row: Row, flow: Flow, models: list[Any]) -> Any:
    """What the layers of a row give. `models`: Keras's rows, as they were watched."""
    calls, value, scope = list[Call](), flow, at.scope
    for number, maker in enumerate(row.makers):
        layers = [it.layers[number] for it in models]
        if type(layers[0]).__module__ == scope.project.watched.module.__name__:
            unit = scope.project.unit(type(layers[0]).__name__)
            found = at.part(maker.node, unit, maker.node, [seen_of(it) for it in layers], maker, [value])
            calls.append(Call([value], {}, {}))
        else:
            made = Call([value], {}, options_of(at, maker, type(layers[0])))
            found = apply(at, maker.node, made, [seen_of(it) for it in layers], maker)
            scope.applied.pop(site(maker.node), None)
            calls.append(made)
        if not isinstance(found, Flow):
            raise NotPorted(maker.node, "gives several tensors")
        if number + 1 < len(row.makers) and found.text != value.text:
            name = value.text if number else unique("y", set(scope.env))
            scope.do(f"{name} = {found.text}")
            scope.env.setdefault(name, found)
            found = replace(found, text=name)
        value = found
    scope.rows[site(node)] = tuple(calls)
    return value


def seen_of(layer: Any) -> Seen:
    """The call that a row makes of a layer."""
    if hasattr(layer, "get_input_at"):
        return Seen(layer, (layer.get_input_at(0),), {}, layer.get_output_at(0))
    return Seen(layer, (layer.input,), {}, layer.output)
