"""Runs that are a known block, but for parts that it or they lack, as uses of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from torchport.blocks.align import Merged, Row, merge
from torchport.blocks.block import Block
from torchport.blocks.cost import PART, class_cost, lines, use_cost
from torchport.blocks.draft import Draft, Place, is_one
from torchport.blocks.regions import attached

#: Runs that are not like a block, so that no round compares them again.
Tried = set[tuple[Hashable, tuple[Row, ...], tuple[Row, ...]]]


def use_for_variants(draft: Draft, tried: Tried) -> bool:
    """Make uses of known blocks of runs that are the block but for optional parts."""
    known = {block.key: block for block in draft.blocks}
    changed = False
    for block in draft.blocks:
        run, single = block.run(), block.single
        kinds = {it.key for it in block.nodes()}
        for number, body in enumerate(draft.bodies):
            if body.block is not None and block.contains(body.block.key, known):
                continue
            start = -1
            while (start := start + 1) < len(body.nodes):
                if body.nodes[start].key not in kinds or attached(body.nodes, start, body.readers):
                    continue
                stop = min(len(body.nodes), start + len(block.slots) + 4)
                found = draft.run(Place(number, start, stop), single)
                attempt = (block.key, tuple(run.rows), tuple(found.rows))
                if attempt in tried:
                    continue
                merged = merge(run, found, whole=False)
                if merged is None:
                    tried.add(attempt)
                elif _takes(draft, block, Place(number, start, start + merged.taken), known):
                    changed = True
                    run, single = block.run(), block.single
                    kinds = {it.key for it in block.nodes()}
    return changed


def _takes(draft: Draft, block: Block, place: Place, known: Mapping[Hashable, Block]) -> bool:
    """Make the place a use of the block, if it is one and saves lines."""
    inside = [known[it.key] for it in draft.nodes(place) if it.key in known]
    if any(it.contains(block.key, known) for it in inside):
        return False
    if place.end - place.start < 2 or not draft.bodies[place.body].is_whole(place.start, place.end):
        return False
    merged = merge(block.run(), draft.run(place, block.single))
    if merged is None or len(merged.inputs) < block.inputs:
        return False
    parts = {(start, end) for start, end, _ in block.optional()}
    new_parts = sum(not _known(merged, part, parts) for part in merged.parts)
    nodes, uses = draft.nodes(place), len(block.uses)
    others = [it.inside or () for it in block.uses]
    whole = [*([None if a is None else it[a] for a, _ in merged.slots] for it in others),
             [None if b is None else nodes[b] for _, b in merged.slots]]  # fmt: skip
    if not is_one(merged, whole):
        return False
    before = block.tally.parameters()
    there = {a: nodes[b] for a, b in merged.slots if a is not None and b is not None}
    after = block.tally.parameters([there.get(at) for at in range(len(block.slots))])
    more = (
        class_cost(after)
        - class_cost(before)
        + uses * (use_cost(after, draft.fit) - use_cost(before, draft.fit))
    )
    if lines(nodes) - use_cost(after, draft.fit) <= PART * new_parts + more:
        return False
    draft.replace(block, place, merged)
    draft.refresh(block, place.body)
    return True


def _known(merged: Merged, part: tuple[int, int, object], known: set[tuple[int, int]]) -> bool:
    """Whether a part of a merge is one that the block had already."""
    rows = [a for a, _ in merged.slots[part[0] : part[1]]]
    return None not in rows and (rows[0], (rows[-1] or 0) + 1) in known
