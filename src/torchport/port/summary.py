"""A port in ten lines: what it takes and gives, how large it is, and what can be done with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torchport.graph import Graph
from torchport.program import Fill, Spec
from torchport.rules.table import is_statistic
from torchport.shapes import Shapes

if TYPE_CHECKING:
    from torchport.port import Port

#: So many inputs, and so many outputs, are shown.
SHOWN = 3


def parameters(port: Port) -> int:
    """`sum(p.numel() for p in model.parameters())`: statistics and counters are buffers."""
    buffers = set(statistics(port.program.graph))
    return sum(
        math.prod(it.shape)
        for it in port.program.entries
        if (it.shape if isinstance(it.load, Fill) else it.source not in buffers)
    )


def statistics(graph: Graph) -> Iterator[str]:
    """The names of the weights that are not trained: statistics and counters of their layers."""
    for op in graph.ops:
        yield from (it.name for name, it in op.weights.items() if is_statistic(name, op.kind))
    for body in graph.bodies.values():
        yield from statistics(body)


def summary(port: Port) -> str:
    """The lines, the last of them what comes next."""
    graph, left = port.program.graph, len(port.permutes)
    count = parameters(port)
    return "\n".join(
        [
            f"<{port.class_name}: {graph.name!r} of Keras {graph.dialect} in PyTorch",
            *specs("takes", port.inputs, Shapes(port.inputs)),
            *specs("gives", port.outputs, Shapes(port.inputs)),
            f"  has {count:,} parameters, {port.code.count(chr(10))} lines, {left} permutes left in forward",
            "  .save(folder), .module(), .run(*arrays), .code, .permutes>",
        ]
    )


def specs(verb: str, found: Sequence[Spec], shapes: Shapes) -> list[str]:
    """A line for each tensor: its axes in Keras, and its shape in PyTorch."""
    shown = found if len(found) <= SHOWN else found[: SHOWN - 1]
    lines = [f"  {verb} {it.name}: {it.source_axes} -> {shapes.sizes(it)} {it.dtype}" for it in shown]
    left = len(found) - len(shown)
    return [*lines, f"  {verb} {left} more"] if left else lines
