"""Losses and metrics inside a graph are left out, with a note: they are not a part of what a model gives.

before:  loss = keras.ops.Mean(x);  y = AddLoss(loss);  -> x
after:   -> x
"""

from __future__ import annotations

from dataclasses import replace

from torchport.graph import Graph, Ref, map_refs

#: Layers of Keras 2 that `model.add_loss` and `model.add_metric` make; they hand on what they read.
#: Source: tf_keras/src/engine/base_layer.py, AddLoss and AddMetric.
ADDED = {"AddLoss": "add_loss", "AddMetric": "add_metric"}


def leave_losses(graph: Graph) -> Graph:
    """The graph without them, and without what is computed for them alone."""
    bodies = {layer: leave_losses(body) for layer, body in graph.bodies.items()}
    gone = [op for op in graph.ops if op.kind in ADDED]
    if not gone:
        return graph.replace(bodies=bodies)
    same = {op.outputs[0]: op.inputs[0] for op in gone if op.inputs}

    def source(name: str) -> Ref:
        while name in same:
            name = same[name]
        return Ref(name)

    ops = [
        replace(op, args=map_refs(op.args, source), kwargs=map_refs(op.kwargs, source))
        for op in graph.ops if op.kind not in ADDED
    ]  # fmt: skip
    outputs = tuple(source(name).tensor for name in graph.outputs)
    read, unread = set(outputs), {name for op in gone for name in op.inputs}
    kept = []
    for op in reversed(ops):
        if read.isdisjoint(op.outputs) and not unread.isdisjoint(op.outputs) and not op.stored:
            unread.update(op.inputs)
            continue
        read.update(op.inputs)
        kept.append(op)
    names = ", ".join(dict.fromkeys(ADDED[op.kind] for op in gone))
    note = f"{names} ({', '.join(op.layer for op in gone)}): left out; compute it in your training loop."
    return graph.replace(
        ops=tuple(reversed(kept)), outputs=outputs, structure=map_refs(graph.structure, source),
        bodies=bodies, notes=(*graph.notes, note),
    )  # fmt: skip
