"""A program on its way: its bodies, the blocks found in them, and how a run becomes a use of one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.blocks.align import Merged, Row, Run, merge
from torchport.blocks.block import Block, Readers, Slot, leaves, use, wires
from torchport.blocks.cost import CALL, PART, class_cost, lines, parameters, use_cost
from torchport.blocks.nodes import Node
from torchport.blocks.tally import LACKS, numbers
from torchport.idioms.permutes import MOVES
from torchport.program import Apply, Call, walk


class Body:
    """A sequence of nodes: the model's, or that of a block."""

    def __init__(self, nodes: list[Node], results: tuple[str, ...], block: Block | None = None) -> None:
        self.block = block
        self.nodes, self.results = nodes, results
        self.readers = Readers(nodes, results)
        self._count_calls()

    def refresh(self) -> None:
        """Take over what was changed in the block, or in the nodes."""
        if self.block is not None:
            self.nodes = self.block.nodes()
            self.results = tuple(map(self.block.name, self.block.outputs))
        self._count_calls()
        self.readers = Readers(self.nodes, self.results)

    def is_whole(self, start: int, end: int) -> bool:
        """Whether [start, end) is less than all of a block, and inside one of its parts or outside all.

        And whether no module in it is called elsewhere too.
        """
        if self.shares and self._is_called_elsewhere(start, end):
            return False
        if self.block is None:
            return True
        parts = {slot.part for slot in self.block.slots[start:end]}
        return len(parts) == 1 and end - start < len(self.nodes)

    def _is_called_elsewhere(self, start: int, end: int) -> bool:
        inside = Counter(it.step.layer for it in self.nodes[start:end] if it.shared)
        return any(self.calls[layer] > count for layer, count in inside.items())

    def _count_calls(self) -> None:
        self.calls = Counter(it.step.layer for it in self.nodes if it.shared)
        self.shares = bool(self.calls)


@dataclass(frozen=True)
class Place:
    """Consecutive nodes of a body: [start, end)."""

    body: int
    start: int
    end: int

    def overlaps(self, other: Place) -> bool:
        return self.body == other.body and self.start < other.end and other.start < self.end


#: What each step in a block is, in order: enough to know the block again.
Steps = tuple[Hashable, ...]


def steps_of(nodes: Iterable[Node]) -> Steps:
    return tuple(leaf.key for it in nodes for leaf in leaves(it))


class Draft:
    """The model's own body and those of the blocks."""

    def __init__(
        self, body: Body, banned: Collection[Steps] = (), placed: bool = True, fit: int = CALL
    ) -> None:
        """`banned`: what no block is made of. `placed`: blocks begin and end where a person lets them.

        `fit`: how many parameters are taken to fit on the line of a call.
        """
        self.bodies, self.banned, self.placed, self.fit = [body], banned, placed, fit
        #: Whether another block was taken for that, or would have been.
        self.bent = False
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
        saved = sum(lines(self.nodes(it)) - use_cost(count, self.fit) for it in chosen) - cost
        if len(chosen) < 2 or not (weighed or saved > 0):
            return False
        if steps_of(self.nodes(longest)) in self.banned:
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
        for it in self.blocks:
            it.check()

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


def is_one(merged: Merged, uses: Sequence[Sequence[Node | None]]) -> bool:
    """Whether two runs are one block to a person; `uses`: what stands in each slot of it, for all uses.

    Most of both is the same. A part that some uses lack needs no numbers of its own, which the others would
    have to be given for nothing, but for a rate of dropout; and it is no addition, unless the block is one
    of those in which people leave that out.
    """
    mine = sum(a is not None for a, _ in merged.slots)
    if merged.matched * 2 <= max(mine, merged.taken):
        return False
    lacking = {at for at in range(len(merged.slots)) if any(use[at] is None for use in uses)}
    there = [[it for use in uses if (it := use[at]) is not None] for at in range(len(merged.slots))]
    kinds = {leaf.step.kind for nodes in there for it in nodes for leaf in leaves(it)}
    if any(_moves(it) for at in lacking for it in there[at]):
        return False
    if not any("Depthwise" in kind for kind in kinds):
        if any(_is_meeting(it) for at in lacking for it in there[at]):
            return False
    found = [columns([use[at] for use in uses]) for at in range(len(there))]
    always = [it for at, some in enumerate(found) if at not in lacking for it in some]
    return all(
        _follows(it, always) for at in lacking if not all(map(_is_settled, there[at])) for it in found[at]
    )


def columns(nodes: Sequence[Node | None]) -> list[list[Any]]:
    """Each number of a slot in all uses, LACKS where one has none; all as one where they are not as many."""
    rows = [None if it is None else numbers(it) for it in nodes]
    widths = {len(row) for row in rows if row is not None}
    if len(widths) > 1:
        return [[LACKS if row is None else row for row in rows]]
    return [[LACKS if row is None else row[at] for row in rows] for at in range(*widths)]


def _follows(column: Sequence[Any], others: Sequence[Sequence[Any]]) -> bool:
    """Whether a number is always the same, or always the same multiple of another."""
    there = [at for at, it in enumerate(column) if it is not LACKS]
    values = [column[at] for at in there]
    return any(_in_proportion(values, [other[at] for at in there]) for other in [[1] * len(column), *others])


def _in_proportion(values: Sequence[Any], others: Sequence[Any]) -> bool:
    if all(type(it) is int and it > 0 for it in (*values, *others)):
        return all(it * others[0] == values[0] * other for it, other in zip(values, others, strict=True))
    return len({repr(it) for it in values}) == 1 or list(map(repr, values)) == list(map(repr, others))


def _is_meeting(it: Node) -> bool:
    return it.merges and it.inside is None and not it.weighted


def _moves(it: Node) -> bool:
    """Whether a step moves axes: what a layout asks for is no option of a block."""
    return any(isinstance(each, Call) and each.function in MOVES for each in walk(it.step.value))


def _is_settled(it: Node) -> bool:
    """Whether its numbers are a rate of dropout, or what a stride asks to be padded."""
    calls = [each.module.cls for each in walk(it.step.value) if isinstance(each, Apply)]
    return it.step.kind == "pad" or any("Dropout" in cls for cls in calls)
