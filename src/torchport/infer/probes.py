"""Open sizes followed through a model: with large numbers in their place, each tensor's size says what it is.

An image of 12288 x 20480 that leaves a convolution as 6144 x 10240 leaves it as (h / 2, w / 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torchport.errors import Refusal, TorchportError
from torchport.graph import Graph, Shape
from torchport.infer.shapes import infer_shapes

#: Sizes are odd multiples of it, so that they can be halved often, and none is taken for another.
UNIT = 4096


def probe(graph: Graph) -> Graph:
    """The graph, each tensor with its sizes for such inputs; nested models each for themselves.

    Where inputs of unlike sizes do not fit one another, all of them have the same.
    """
    bodies = {layer: probe(body) for layer, body in graph.bodies.items()}
    graph = graph.replace(bodies=bodies)
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    if not any(None in shape[1:] for shape in shapes):
        return graph
    for given in (_unlike(shapes), _alike(shapes)):
        refusals: list[Refusal] = []
        try:
            found = infer_shapes(graph, refusals, given).tensors
        except (TorchportError, ArithmeticError, TypeError, ValueError):
            continue  # what a docstring says must not cost anyone the port
        if not refusals:
            sizes = {name: (it.shape[0], *found[name].shape[1:]) if name in found and it.shape else ()
                     for name, it in graph.tensors.items()}  # fmt: skip
            tensors = {name: replace(it, probe=sizes[name]) for name, it in graph.tensors.items()}
            return graph.replace(tensors=tensors)
    return graph


def _numbers() -> Iterator[int]:
    at = 3
    while True:
        yield at * UNIT
        at += 2


def _unlike(shapes: Sequence[Shape]) -> list[Shape]:
    """Each open size another number."""
    rest = _numbers()
    return [tuple(next(rest) if at and size is None else size for at, size in enumerate(it)) for it in shapes]


def _alike(shapes: Sequence[Shape]) -> list[Shape]:
    """Open sizes of the same axis one number."""
    known = dict(zip(range(1, max(map(len, shapes))), _numbers(), strict=False))
    return [tuple(known[at] if at and size is None else size for at, size in enumerate(it)) for it in shapes]
