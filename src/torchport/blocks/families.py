"""Regions where branches part and meet (a residual block, say) as blocks, the inner ones first.

Regions that do the same, but for parts that some lack, become one block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from torchport.blocks.align import Merged, merge
from torchport.blocks.block import Signature, wires
from torchport.blocks.cost import FIT, parameters
from torchport.blocks.draft import Draft, Place, is_one
from torchport.blocks.regions import regions

#: Places that do the same.
Family = dict[Signature, list[Place]]


def make_of_regions(draft: Draft) -> bool:
    """Make one block of the innermost regions that save lines together."""
    families: Family = defaultdict(list)
    for number, body in enumerate(draft.bodies):
        for start, end in regions(body.nodes, body.readers):
            signature, _, left = wires(body.nodes[start:end], body.readers)
            if end - start > 1 and len(left) <= 2 and body.is_whole(start, end):
                families[signature].append(Place(number, start, end))
    for group in _grouped(draft, families):
        if draft.make([place for signature in group for place in families[signature]]):
            return True
    return False


def _grouped(draft: Draft, families: Family) -> list[list[Signature]]:
    """Signatures that are one but for optional parts; those of the smallest regions first."""
    rest = sorted(families, key=lambda it: (len(it[0]), -len(families[it]), _first(families[it])))
    groups: list[list[Signature]] = []
    while rest:
        head = rest.pop(0)
        group = [head]
        for other in list(rest):
            if len(other[0]) > 2 * len(head[0]):
                break
            merged = merge(draft.run(families[head][0]), draft.run(families[other][0]))
            if merged and _fits(draft, merged, families[head], families[other]):
                group.append(other)
                rest.remove(other)
        groups.append(group)
    return groups


def _fits(draft: Draft, merged: Merged, some: Sequence[Place], others: Sequence[Place]) -> bool:
    """Whether places of two signatures are alike enough to share a class."""
    uses = [
        *([None if a is None else nodes[a] for a, _ in merged.slots] for nodes in map(draft.nodes, some)),
        *([None if b is None else nodes[b] for _, b in merged.slots] for nodes in map(draft.nodes, others)),
    ]
    columns = list(zip(*uses, strict=True))
    return is_one(merged, uses) and parameters(columns) <= FIT + 3


def _first(places: Sequence[Place]) -> tuple[int, int]:
    return places[0].body, places[0].start
