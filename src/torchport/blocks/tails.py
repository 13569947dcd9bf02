"""The end of the last of several blocks in a row, which nothing reads, as it stands in the others.

Of the last block of a WaveNet only the skip is read; Keras has nothing of what comes behind it. With it, all
blocks are one, and a loop goes over them:

for block in self.blocks:
    x, skip = block(x)
    skips.append(skip)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torchport.blocks.nodes import Node, nodes_of
from torchport.program import Apply, Definition, Step, Var, apart, rewrite, walk

#: So many blocks give a tensor to one meeting.
LEAST = 3


@dataclass(frozen=True)
class Tail:
    """What becomes of a tensor that is given aside: steps without weights; the first meets another."""

    nodes: tuple[Node, ...]
    other: str

    @property
    def output(self) -> str:
        return self.nodes[-1].writes[0]


def with_tails(definition: Definition) -> tuple[Definition, tuple[str, ...]]:
    """The definition with such an end, and all that it gives; last, what the others go on with."""
    nodes = nodes_of(definition)
    readers: dict[str, list[Node]] = defaultdict(list)
    for it in nodes:
        for name in set(it.reads):
            readers[name].append(it)
    results = {spec.name for spec in definition.outputs}
    for meets in nodes:
        if len(meets.reads) < LEAST or not meets.merges:
            continue
        *others, last = meets.reads
        found = [_tail(name, meets, readers) for name in others]
        tails = [it for it in found if it is not None]
        is_open = readers[last] == [meets] and last not in results
        if is_open and len(tails) == len(others) and _is_one_row(tails):
            return _ended(definition, tails[-1], others[-1], last)
    return definition, ()


def _is_plain(it: Node) -> bool:
    return len(it.writes) == 1 and not any(isinstance(node, Apply) for node in walk(it.step.value))


def _tail(name: str, meets: Node, readers: dict[str, list[Node]]) -> Tail | None:
    """What becomes of a tensor that goes to a meeting, beside that."""
    away = [it for it in readers[name] if it is not meets]
    if len(away) != 1 or not _is_plain(away[0]) or len(set(away[0].reads)) != 2:
        return None
    nodes = [away[0]]
    while len(following := readers[nodes[-1].writes[0]]) == 1:
        it = following[0]
        if not _is_plain(it) or len(it.reads) != 1 or it.step.kind == "pad":
            break
        nodes.append(it)
    return Tail(tuple(nodes), next(it for it in away[0].reads if it != name))


def _is_one_row(tails: Sequence[Tail]) -> bool:
    """Whether all tails do the same, each to what the one before it gave."""
    alike = len({tuple(it.key for it in tail.nodes) for tail in tails}) == 1
    return alike and all(it.other == before.output for before, it in zip(tails, tails[1:], strict=False))


def _ended(definition: Definition, tail: Tail, aside: str, last: str) -> tuple[Definition, tuple[str, ...]]:
    """The definition with a tail behind `last`, as the one that stands behind `aside`."""
    names = {aside: last, tail.other: tail.output}
    specs = dict(definition.specs)
    made: list[Step] = []
    for it in tail.nodes:
        given = it.writes[0]
        names[given] = apart(f"{given} unread")
        specs[names[given]] = replace(specs[given], name=names[given])
        value = rewrite(it.step.value, partial(_renamed, names))
        made.append(replace(it.step, name=f"{it.step.name} unread", outputs=(names[given],), value=value))
    steps = list(definition.steps)
    place = next(at for at, step in enumerate(steps) if last in step.outputs) + 1
    unread = tuple(name for step in made for name in step.outputs)
    return replace(definition, steps=(*steps[:place], *made, *steps[place:]), specs=specs), unread


def _renamed(names: Mapping[str, str], value: Any) -> Any:
    return Var(names.get(value.tensor, value.tensor)) if isinstance(value, Var) else value
