"""A note of random numbers that are drawn in every mode: they have the same distribution, and are others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchport.graph import Graph

#: Operations that draw at every call, in inference as well.
DRAWS = ("tf.random.", "tf.nn.dropout")


def note_draws(graph: Graph) -> Graph:
    """The graph with that note, where it draws."""
    names = list(drawing(graph))
    if not names:
        return graph
    return graph.replace(notes=(*graph.notes, note(names)))


def note(names: Sequence[str]) -> str:
    """What a person should know of layers that draw."""
    return (
        f"{', '.join(names)}: drawn anew at every call, in inference too, from torch's generator: "
        "the same distribution, other numbers; seeds are not carried over."
    )


def drawing(graph: Graph) -> Iterator[str]:
    """The layers that draw, those of nested models included."""
    yield from (op.layer for op in graph.ops if op.kind.startswith(DRAWS) and not op.refused)
    for body in graph.bodies.values():
        yield from drawing(body)
