"""Operations between layers under one name each, `keras.ops.Add`, wherever Keras keeps the class.

before:  add = keras.src.ops.numpy.Add(x, y)
after:   add = keras.ops.Add(x, y)
"""

from __future__ import annotations

from dataclasses import replace

from torchport.graph import Graph, Op

PREFIX = "keras.ops."


def name_operations(graph: Graph) -> Graph:
    """The graph with the class alone behind the prefix."""
    bodies = {layer: name_operations(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(map(_named, graph.ops)), bodies=bodies)


def _named(op: Op) -> Op:
    if op.kind.startswith(("keras.src.ops.", "keras.ops.")):
        op = replace(op, kind=PREFIX + op.kind.rpartition(".")[2])
    if op.kind == f"{PREFIX}Rearrange":
        return _rearrange(op)
    return op


def _rearrange(op: Op) -> Op:
    """Its sizes are keyword arguments of names that the pattern chooses: they become one."""
    given = dict(op.kwargs)
    pattern = given.pop("pattern") if "pattern" in given else op.args[1]
    return replace(op, args=op.args[:1], kwargs={}, config={"pattern": pattern, "lengths": given})
