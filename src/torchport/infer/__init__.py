"""What the source leaves unsaid: shapes, axis names, parts of flattened axes, whose weights are whose."""

from torchport.errors import Refusal
from torchport.graph import Graph
from torchport.infer.dequantise import dequantise
from torchport.infer.order import share_out
from torchport.infer.parts import infer_parts
from torchport.infer.pixels import join_pixels
from torchport.infer.probes import probe
from torchport.infer.shapes import infer_shapes
from torchport.infer.steps import count_steps
from torchport.infer.weights import bind_weights, partly, tied
from torchport.normalise import normalise
from torchport.options import Options
from torchport.read.cut import cut
from torchport.rules import user

__all__ = ["infer", "prepare"]


def prepare(graph: Graph, options: Options, refusals: list[Refusal]) -> Graph:
    """A graph as it was read, its layers those of the rules, and with all that the source leaves unsaid."""
    graph = dequantise(graph) if options.dequantise else graph
    graph = cut(share_out(graph), options.outputs)
    return infer(normalise(graph), refusals)


def infer(graph: Graph, refusals: list[Refusal]) -> Graph:
    """The graph with all of it; what is not ported is added to `refusals`, and leaves gaps.

    Raises BadFile for weights that do not fit.
    """
    graph = infer_shapes(user.refuse(graph), refusals)
    if not refusals:
        graph = count_steps(graph, refusals)
    if refusals:
        return graph
    graph = bind_weights(join_pixels(graph))
    refusals += [*tied(graph), *partly(graph)]
    return infer_parts(probe(graph))
