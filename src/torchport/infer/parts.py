"""What flattened feature axes are made of, so that weights can turn instead of tensors.

A tensor (n, 3136) that Flatten made of (n, 7, 7, 64) may be held channels first, as long as all who read it
know: its `parts` are ((7, 7, 64),). They spread along ops that keep the axis, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torchport.graph import Graph, Op, Tensor, map_refs
from torchport.infer.shapes import bind
from torchport.rules.table import FOLLOWS

Parts = tuple[tuple[int, ...], ...]


def infer_parts(graph: Graph) -> Graph:
    """The graph with the parts of every flat tensor that has them."""
    bodies = {layer: infer_parts(body) for layer, body in graph.bodies.items()}
    tensors = dict(graph.tensors)
    groups = _groups(graph)
    for _ in graph.ops:
        found = {
            name: parts
            for op in graph.ops
            for name, parts in _claims(op, tensors, bodies)
            if parts and parts != tensors[name].parts
        }
        if not found:
            break
        for name, parts in found.items():
            for member in groups.get(name, {name}):
                tensors[member] = replace(tensors[member], parts=parts)
    return graph.replace(tensors=tensors, bodies=bodies)


def _claims(op: Op, tensors: dict[str, Tensor], bodies: dict[str, Graph]) -> Iterator[tuple[str, Parts]]:
    """What the op's rule, or the nested model, knows of the parts of what it reads and writes."""
    if op.kind == "Model":
        body = bodies[op.layer]
        for outer, inner in zip((*op.inputs, *op.outputs), (*body.inputs, *body.outputs), strict=True):
            yield outer, body.tensors[inner].parts
        return
    args = map_refs(op.args, tensors.__getitem__)
    yield from bind(op, tensors).parts(*args, y=tensors[op.outputs[0]]).items()


def keeps_parts(op: Op, tensors: dict[str, Tensor]) -> bool:
    """Whether the op leaves a flat axis as it is: it follows, and all its tensors are flat and alike."""
    if op.kind == "Model":
        return False
    shapes = [tensors[name].shape for name in (*op.inputs, *op.outputs)]
    if any(len(shape) != 2 or shape != shapes[0] for shape in shapes):
        return False
    entry, args = bind(op, tensors), map_refs(op.args, tensors.__getitem__)
    return not entry.has_parts and entry.wants(*args, y=tensors[op.outputs[0]]) == FOLLOWS


def _groups(graph: Graph) -> dict[str, set[str]]:
    """Flat tensors that must have the same parts, as a set for each."""
    groups: dict[str, set[str]] = {}
    tensors = dict(graph.tensors)
    for op in graph.ops:
        if keeps_parts(op, tensors):
            merged: set[str] = set()
            for name in (*op.inputs, *op.outputs):
                merged |= groups.get(name, {name})
            for name in merged:
                groups[name] = merged
    return groups
