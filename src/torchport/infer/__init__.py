"""What the source leaves unsaid: shapes, axis names, the parts of flattened axes, and whose weights are whose."""

from torchport.errors import Refusal, Refused
from torchport.graph import Graph
from torchport.infer.parts import infer_parts
from torchport.infer.shapes import infer_shapes
from torchport.infer.weights import bind_weights

__all__ = ["infer"]


def infer(graph: Graph) -> Graph:
    """The graph with all of it. Raises Refused with everything that is not ported, BadFile for weights."""
    refusals: list[Refusal] = []
    graph = infer_shapes(graph, refusals)
    if refusals:
        raise Refused(tuple(refusals))
    return infer_parts(bind_weights(graph))
