"""Tensors that a call names are put in their place.

before:  y = MultiHeadAttention(query=x, value=z);  a = Dense(inputs=x)
after:   y = MultiHeadAttention(x, z);  a = Dense(x)
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace

from torchport.graph import Graph, Op
from torchport.rules import find

#: What Keras's layers call the first of their arguments.
FIRST = ("inputs", "sequences", "sequence", "images", "data", "x")
ATTENTION = frozenset({"MultiHeadAttention", "GroupQueryAttention"})


def place_arguments(graph: Graph) -> Graph:
    """The graph in which no layer is given by name what its rule takes by place."""
    bodies = {layer: place_arguments(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(map(_placed, graph.ops)), bodies=bodies)


def _placed(op: Op) -> Op:
    args, kwargs = list(op.args), dict(op.kwargs)
    for name in _names(op)[len(args) :]:
        if name not in kwargs:
            break
        args.append(kwargs.pop(name))
    return replace(op, args=tuple(args), kwargs=kwargs)


def _names(op: Op) -> Sequence[str]:
    """What a layer calls its arguments."""
    if op.kind in ATTENTION:
        return ("query", "value")
    entry = find(op.kind)
    if entry is not None and entry.is_theirs:
        parameters = inspect.signature(inspect.unwrap(entry.write)).parameters.values()
        return [it.name for it in parameters if it.kind is it.POSITIONAL_OR_KEYWORD]
    return [name for name in FIRST if name in op.kwargs][:1]
