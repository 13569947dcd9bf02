"""Bidirectional around ConvLSTM is a kind of its own: it wants other axes than that of rows of features.

before:  y = Bidirectional(x), layer=ConvLSTM2D
after:   y = both:ConvLSTM(x), layer=ConvLSTM2D
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torchport.graph import Graph, Op
from torchport.rules import find


def name_directions(graph: Graph) -> Graph:
    """The graph with such wrappers named."""
    bodies = {layer: name_directions(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(map(_named, graph.ops)), bodies=bodies)


def _named(op: Op) -> Op:
    if op.kind != "Bidirectional":
        return op
    wrapped = [it for key in ("layer", "backward_layer") if isinstance(it := op.config.get(key), Mapping)]
    kinds = {str(it.get("class_name")) for it in wrapped}
    return replace(op, kind="both:ConvLSTM") if kinds and all(map(_is_conv_lstm, kinds)) else op


def _is_conv_lstm(kind: str) -> bool:
    return (entry := find(kind)) is not None and entry.family == "conv_lstm"
