"""Inputs that are looked up are whole numbers, whatever they are declared as.

before:  words: float32;  x = Embedding(words)        after:   words: int32;  x = Embedding(words)

Keras 2 declares the input of a Sequential model as float32, and people leave `dtype` out. Keras casts what it
is given to that and the layer cuts it to whole numbers, which a float32 holds up to 2 ** 24.
Source: keras/src/layers/core/embedding.py, call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torchport.graph import Graph, Op, Ref

#: So many whole numbers, from zero on, are floats of their own.
HELD = 2**24
#: What asks of words which count: the numbers it compares with are whole.
MASK = "mask:"
#: What people compare words with a whole number by, for a mask of their own.
COMPARED = ("keras.ops.NotEqual", "keras.ops.Equal")


def name_tokens(graph: Graph) -> Graph:
    """The graph with every float input that nothing but lookups and their masks reads as whole numbers."""
    bodies = {layer: name_tokens(body) for layer, body in graph.bodies.items()}
    graph = graph.replace(bodies=bodies)
    tensors = dict(graph.tensors)
    for name in graph.inputs:
        readers = [op for op in graph.ops if name in op.inputs]
        is_float = tensors[name].dtype == "float32" and name not in graph.outputs
        if is_float and any(map(_looks_up, readers)) and all(_is_whole(op, name, bodies) for op in readers):
            tensors[name] = replace(tensors[name], dtype="int32")
    return graph.replace(tensors=tensors)


def _looks_up(op: Op) -> bool:
    return op.kind in ("Embedding", "Model")


def _is_whole(op: Op, name: str, bodies: Mapping[str, Graph]) -> bool:
    """Whether an op takes a tensor as whole numbers."""
    if op.kind == "Embedding":
        return op.args[:1] == (Ref(name),) and int(op.config.get("input_dim") or HELD) < HELD
    if op.kind == "Model":
        body = bodies[op.layer]
        places = [at for at, it in enumerate(op.inputs) if it == name]
        return all("int" in body.tensors[body.inputs[at]].dtype for at in places)
    compares = op.kind in COMPARED and all(it == Ref(name) or type(it) is int for it in op.args)
    return op.kind.startswith(MASK) or compares
