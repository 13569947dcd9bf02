"""Calls of a module that changes when it is called stay in their order, wherever they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torchport.callees import callee
from torchport.program import Apply, Step, Var, walk


def changes(node: Any) -> bool:
    """Whether a node calls a module that a call may change: running statistics, a normalised kernel."""
    return isinstance(node, Apply) and callee(node.module.cls).is_stateful


def repeated(steps: Sequence[Step]) -> frozenset[str]:
    """The layers whose modules change and are called more than once."""
    count = Counter(node.owner for step in steps for node in walk(step.value) if changes(node))
    return frozenset(owner for owner, times in count.items() if times > 1)


def called(value: Any, layers: frozenset[str]) -> set[str]:
    """Those of the layers that a value calls."""
    return {node.owner for node in walk(value) if changes(node)} & layers if layers else set()


def out_of_turn(
    expr: Any, waiting: Mapping[str, Any], layers: frozenset[str], fits: Callable[[Any], bool]
) -> Iterator[str]:
    """Values that wait to be written inside another, and have to be written before this expression.

    Two that call one module may both stand inside it, if they fit and it evaluates them in their order.
    """
    if not layers:
        return
    calls = {name: called(value, layers) for name, value in waiting.items()}
    read = [node.tensor for node in walk(expr) if isinstance(node, Var) and node.tensor in waiting]
    inside = [name for name in read if fits(waiting[name])]
    for layer in set().union(*(calls[name] for name in read)):
        sharing = [name for name in waiting if layer in calls[name]]
        if len(sharing) > 1 and sharing != [name for name in inside if layer in calls[name]]:
            yield from sharing
