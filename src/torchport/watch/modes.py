"""What a layer does in training and in inference, as one graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torchport.graph import Graph, Op
from torchport.watch.walk import refused


def joined(layer: Any, training: Graph, inference: Graph) -> Graph:
    """The graph that does in each mode what was seen in it. Raises Refused where that is not one graph."""
    ops = both(training.ops, inference.ops)
    if ops is None or (training.inputs, training.outputs) != (inference.inputs, inference.outputs):
        why = f"{place(training, inference)}its `call` does something else in training than in inference"
        raise refused(layer, why, "")
    bodies = {name: joined(layer, body, inference.bodies[name]) for name, body in training.bodies.items()}
    return training.replace(ops=ops, bodies=bodies)


def both(training: tuple[Op, ...], inference: tuple[Op, ...]) -> tuple[Op, ...] | None:
    """The ops of both modes, if they are the same but for the mode that the layers are told."""
    if len(training) != len(inference):
        return None
    found = []
    for one, other in zip(training, inference, strict=True):
        plain = replace(one, training=None, turn=0, where="")
        if plain != replace(other, training=None, turn=0, where=""):
            return None
        follows = (one.training, other.training) in ((True, False), (None, None))
        if not follows and one.training != other.training:
            return None
        found.append(replace(one, training=None if follows else one.training))
    return tuple(found)


def place(training: Graph, inference: Graph) -> str:
    """The line of the first op that one of them has alone."""
    names = {op.where for op in inference.ops}
    first = next((op.where for op in training.ops if op.where and op.where not in names), "")
    return f"{first}: " if first else ""
