"""Operations of TensorFlow's graph and calls that are seen: where they stand, and whose line made them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torchport import scripts
from torchport.errors import Refusal, Refused
from torchport.watch.parts import variable_of
from torchport.watch.spy import Event, is_theirs


def refused(layer: Any, why: str, advice: str, where: str = "") -> Refused:
    """The refusal of a user's layer, with its line."""
    at = f"{where}: " if where else ""
    return Refused((Refusal(str(layer.name), type(layer).__name__, f"{at}{why}", advice),))


def line_of(op: Any) -> str:
    """The user's line that made an operation of TensorFlow's graph."""
    for frame in reversed(op.traceback or ()):
        if is_theirs(frame.filename):
            return f"{scripts.shown(frame.filename)}:{frame.lineno}"
    return ""


def is_tensor(value: Any) -> bool:
    """A tensor of the graph that is built."""
    return hasattr(value, "op") and hasattr(value, "graph") and hasattr(value, "dtype")


def number_of(graph: Any, op: Any) -> int:
    """The number of an operation in its graph."""
    known: dict[str, int] | None = getattr(graph, "_torchport_numbers", None)
    if known is None or op.name not in known:
        known = {it.name: at for at, it in enumerate(graph.get_operations())}
        graph._torchport_numbers = known
    return known[op.name]


def handle_of(variable: Any) -> Any:
    """What operations of a graph know a variable by."""
    return getattr(variable_of(variable), "handle", None)


def layers_in(event: Event) -> Iterator[Event]:
    """The calls of layers in a call, each the outermost."""
    for it in event.inside:
        yield from [it] if it.is_layer else layers_in(it)
