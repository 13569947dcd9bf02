"""A program on its way: its bodies, the blocks found in them, and how a run becomes a use of one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torchport.blocks.align import Merged, Row, Run, merge
from torchport.blocks.block import Block, Readers, Slot, class_cost, lines, parameters, use, use_cost, wires
from torchport.blocks.nodes import Node

#: Lines that an optional part costs.
PART = 2.0


class Body:
    """A sequence of nodes: the model's, or that of a block."""

    def __init__(self, nodes: list[Node], results: tuple[str, ...], block: Block | None = None) -> None:
        self.block = block
        self.nodes, self.results = nodes, results
        self.readers = Readers(nodes, results)
        self.shares = any(it.shared for it in nodes)

    def refresh(self) -> None:
        """Take over what was changed in the block, or in the nodes."""
        if self.block is not None:
            self.nodes = self.block.nodes()
            self.results = tuple(map(self.block.name, self.block.outputs))
        self.readers = Readers(self.nodes, self.results)

    def is_whole(self, start: int, end: int) -> bool:
        """Whether [start, end) is less than all of a block, and inside one of its parts or outside all.

        In the model's own body: whether no module in it is called elsewhere too.
        """
        if self.block is None:
            return not (self.shares and any(it.shared for it in self.nodes[start:end]))
        parts = {slot.part for slot in self.block.slots[start:end]}
        return len(parts) == 1 and end - start < len(self.nodes)


@dataclass(frozen=True)
class Place:
    """Consecutive nodes of a body: [start, end)."""

    body: int
    start: int
    end: int

    def overlaps(self, other: Place) -> bool:
        return self.body == other.body and self.start < other.end and other.start < self.end


class Draft:
    """The model's own body and those of the blocks."""

    def __init__(self, body: Body) -> None:
        self.bodies = [body]
        self.blocks: list[Block] = []
        self.numbers = itertools.count()

    def nodes(self, place: Place) -> list[Node]:
        return self.bodies[place.body].nodes[place.start : place.end]

    def run(self, place: Place, single: bool | None = None) -> Run:
        """A place, to be aligned with others."""
        return rows(self.nodes(place), self.bodies[place.body].readers, single)

    def make(self, places: Sequence[Place], weighed: bool = False) -> bool:
        """Make a block of places that are one but for optional parts, if it saves lines.

        Of places that overlap the inner one is taken. `weighed`: the caller knows that it saves lines.
        """
        chosen: list[Place] = []
        taken: set[tuple[int, int]] = set()
        for place in sorted(places, key=lambda it: (it.end - it.start, it.body, it.start)):
            inside = {(place.body, at) for at in range(place.start, place.end)}
            if taken.isdisjoint(inside):
                chosen.append(place)
                taken |= inside
        longest = max(chosen, key=lambda it: it.end - it.start)
        shapes = {wires(self.nodes(it), self.bodies[it.body].readers)[0] for it in chosen}
        alike = [it for it in chosen if it.end - it.start == longest.end - longest.start]
        count = parameters(list(zip(*map(self.nodes, alike), strict=True)))
        cost = class_cost(count) + lines(self.nodes(longest)) + PART * (len(shapes) - 1)
        saved = sum(lines(self.nodes(it)) - use_cost(count) for it in chosen) - cost
        if len(chosen) < 2 or not (weighed or saved > 0):
            return False
        run = self.run(longest)
        slots = [Slot(row.key, row.reads) for row in run.rows]
        block = Block(next(self.numbers), slots, run.outputs or ())
        self.blocks.append(block)
        self.bodies.append(Body([], (), block))
        for place in sorted(chosen, key=lambda it: (it != longest, it.body, -it.start)):
            moved = self._moved(place, longest)
            merged = merge(
                block.run() if block.uses else run,
                self.run(moved, block.single if block.uses else None),
            )
            if merged is not None and len(merged.inputs) >= block.inputs:
                self.replace(block, moved, merged)
        self.refresh(block, *{it.body for it in chosen})
        return True

    def _moved(self, place: Place, first: Place) -> Place:
        """Where a place is after another, which stood before it, became one node."""
        shift = first.end - first.start - 1 if place.body == first.body and place.start > first.start else 0
        return Place(place.body, place.start - shift, place.end - shift)

    def replace(self, block: Block, place: Place, merged: Merged) -> None:
        """One node in the place of many, in a body and in every use that the body stands for.

        The model's own body knows of it at once, but for how often its tensors are read: `_refresh`.
        """
        body, nodes = self.bodies[place.body], self.nodes(place)
        _, inputs, left = wires(nodes, body.readers)
        gives = [
            (at, index) for at, it in enumerate(nodes) for index, name in enumerate(it.writes) if name in left
        ]
        block.become(merged, [row.key for row in self.run(place, block.single if block.uses else None).rows])

        def made(of: Sequence[Node]) -> Node:
            inside = [None if b is None else of[b] for _, b in merged.slots]
            entering = wires(of, Readers(of, ()))[1]
            takes = [entering[min(wire[1], len(entering) - 1)] for wire in merged.inputs]
            return use(block, inside, takes, [of[at].writes[index] for at, index in gives])

        outer = body.block
        if outer is None:
            body.nodes[place.start : place.end] = [made(nodes)]
        else:
            reads_of = {
                name: wire
                for it, slot in zip(nodes, outer.slots[place.start : place.end], strict=True)
                for name, wire in zip(it.reads, slot.reads, strict=True)
            }
            outer_key = block.key if outer.single else (block.key, ())
            reads = tuple(reads_of[inputs[wire[1]]] for wire in merged.inputs)
            for it in outer.uses:
                assert it.inside is not None
                there = [inner for inner in it.inside[place.start : place.end] if inner is not None]
                one = made(there) if there else None
                it.inside = (*it.inside[: place.start], one, *it.inside[place.end :])
            outer.close(place.start, place.end, Slot(outer_key, reads, outer.slots[place.start].part), gives)
            body.refresh()

    def refresh(self, block: Block, *bodies: int) -> None:
        """After uses of the block were put into these bodies."""
        for number in bodies:
            self.bodies[number].refresh()
        next(it for it in self.bodies if it.block is block).refresh()

    def open(self, block: Block, place: Place) -> None:
        """The block's nodes in its place."""
        body = self.bodies[place.body]
        if body.block is None:
            inside = [it for it in body.nodes[place.start].inside or () if it is not None]
            body.nodes[place.start : place.end] = inside
        else:
            for it in body.block.uses:
                assert it.inside is not None
                inner = it.inside[place.start]
                there = (None,) * len(block.slots) if inner is None else inner.inside or ()
                it.inside = (*it.inside[: place.start], *there, *it.inside[place.end :])
            body.block.open(place.start, block)
        self.blocks.remove(block)
        self.bodies = [it for it in self.bodies if it.block is not block]
        body.refresh()


def rows(nodes: Sequence[Node], readers: Readers, single: bool | None) -> Run:
    """Nodes, to be aligned with others."""
    (keys, outputs), _, _ = wires(nodes, readers, single)
    found = [Row(key, reads, it.weighted, it.modular) for (key, reads), it in zip(keys, nodes, strict=True)]
    return Run(found, outputs)


def is_mostly(merged: Merged) -> bool:
    """Whether most of both is the same: otherwise they are two blocks."""
    mine = sum(a is not None for a, _ in merged.slots)
    return merged.matched * 2 > max(mine, merged.taken)
