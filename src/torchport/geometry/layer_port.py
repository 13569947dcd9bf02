"""One call of a model as a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torchport
from torchport.errors import TorchportError
from torchport.graph import Graph, Op, Ref, Shape
from torchport.pipeline import written
from torchport.port import Port
from torchport.record import graphs


def layer_port(model: Any, name: str) -> tuple[Port, Shape]:
    """The port of the call of a layer, by its name or its tensor's, and the shape of the first that it reads.

    Raises TorchportError where there is none.
    """
    port = model if isinstance(model, Port) else torchport.convert(model)
    for graph, op in named(port.program.graph, name):
        made = Port(written(alone(graph, op), "Layer", port.options), port.source, port.options)
        return made, graph.tensors[op.inputs[0]].shape if op.inputs else ()
    advice = "torchport explain lists them"
    raise TorchportError(f"there is no layer {name!r}", where=port.program.graph.name, advice=advice)


def named(graph: Graph, name: str) -> Iterator[tuple[Graph, Op]]:
    """The calls of a name, of a layer before those that give a tensor: one with its activation is two."""
    calls = [(path, body, op) for path, body in graphs(graph) for op in body.ops if op.kind != "Model"]
    yield from ((body, op) for path, body, op in calls if name == f"{path}{op.layer}")
    yield from ((body, op) for path, body, op in calls if name in [f"{path}{it}" for it in op.outputs])


def alone(graph: Graph, op: Op) -> Graph:
    """The graph of one op: its inputs are the model's, and its first output is all that it gives."""
    inputs = tuple(dict.fromkeys(op.inputs))
    tensors = {it: graph.tensors[it] for it in inputs}
    return graph.replace(
        inputs=inputs, outputs=op.outputs[:1], ops=(replace(op, bound=None),), tensors=tensors,
        structure=Ref(op.outputs[0]), bodies={}, layers=(), keys={}, texts={}, groups=(), notes=(),
    )  # fmt: skip
