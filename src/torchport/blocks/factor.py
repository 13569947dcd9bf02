"""The search for blocks.

1. Regions: where branches part and meet (a residual block, squeeze-and-excite), the inner ones first. Regions
   that do the same, some with parts left out, become one block.
2. Repeats: of all runs of nodes that stand in the program more than once, the one that saves most lines
   becomes a block, until none saves any.
3. Both again for what stands beside: a run that is a known block with parts left out becomes a use of it.
4. A block that stands in one place only, and saves nothing there, is written out again.

Every step must make the program shorter by `lines`; all choices are by position and length, so that the same
model gives the same program. The cost is n times the longest run, for each round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from torchport.blocks.align import Match, align, align_prefix
from torchport.blocks.block import (
    CLASS,
    USE,
    Block,
    Part,
    Readers,
    Signature,
    Slot,
    Wire,
    lines,
    use,
    wires,
)
from torchport.blocks.nodes import Node
from torchport.blocks.regions import attached, regions

#: The longest run of units that is looked at, and how many tensors a block may take and give.
UNITS, INPUTS, OUTPUTS = 40, 4, 2


@dataclass
class Body:
    """A sequence of nodes: the model's, or that of a block, as its fullest use has it."""

    nodes: list[Node]
    results: tuple[str, ...]
    block: Block | None = None

    @property
    def readers(self) -> Readers:
        return Readers(self.nodes, self.results)

    def is_whole(self, start: int, end: int) -> bool:
        """Whether [start, end) is less than all of a block, and inside one of its parts or outside all."""
        if self.block is None:
            return True
        parts = {slot.part for slot in self.block.slots[start:end]}
        return len(parts) == 1 and end - start < len(self.nodes)


@dataclass(frozen=True)
class Place:
    """Consecutive nodes of a body: [start, end)."""

    body: int
    start: int
    end: int


Family = Sequence[tuple[Signature, Match, list[Place]]]


class Factoring:
    """A program on its way: its bodies and the blocks that were found in them."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        self.bodies = list(bodies)
        self.blocks: list[Block] = []
        self.numbers = count()

    def run(self) -> Factoring:
        while self._regions():
            pass
        while self._repeats() or self._variants():
            pass
        while self._write_out():
            pass
        return self

    # Writing out

    def _write_out(self) -> bool:
        """A block that stands in one place only, whole, is written where it stands."""
        for block in list(self.blocks):
            places = [
                Place(number, at, at + 1)
                for number, body in enumerate(self.bodies) for at, it in enumerate(body.nodes)
                if it.key == block.key
            ]  # fmt: skip
            if len(places) == 1 and not block.parts and self._open(block, places[0]):
                return True
        return False

    def _open(self, block: Block, place: Place) -> bool:
        """The block's nodes in its place."""
        body = self.bodies[place.body]
        outer = body.block
        if outer is None:
            body.nodes[place.start : place.end] = list(body.nodes[place.start].inside or ())  # type: ignore[arg-type]
        else:
            outer.open(place.start, block)
            body.nodes[place.start : place.end] = list(body.nodes[place.start].inside or ())  # type: ignore[arg-type]
            for it in outer.uses:
                assert it.inside is not None
                inner = it.inside[place.start]
                there = (None,) * len(block.slots) if inner is None else inner.inside or ()
                it.inside = (*it.inside[: place.start], *there, *it.inside[place.end :])
        self.blocks.remove(block)
        self.bodies = [it for it in self.bodies if it.block is not block]
        return True

    # Regions

    def _regions(self) -> bool:
        """Make one block of the innermost family of regions that saves lines."""
        families: dict[Signature, list[Place]] = defaultdict(list)
        for number, body in enumerate(self.bodies):
            for start, end in regions(body.nodes, body.readers):
                if not body.is_whole(start, end):
                    continue
                signature, _, left = wires(body.nodes[start:end], body.readers)
                if len(left) == 1:
                    families[signature].append(Place(number, start, end))
        for family in self._grouped(families):
            places = [place for _, _, found in family for place in found]
            inner = min(len(signature[0]) for signature, _, _ in family)
            if any(self._encloses(place, families, inner) for place in places):
                continue
            if self._make(family):
                return True
        return False

    @staticmethod
    def _encloses(place: Place, families: dict[Signature, list[Place]], size: int) -> bool:
        """Whether a smaller region that repeats lies inside this one: it has its turn first."""
        return any(
            other.body == place.body and place.start <= other.start and other.end <= place.end
            and other.end - other.start < size
            for found in families.values() if len(found) > 1 for other in found
        )  # fmt: skip

    def _grouped(
        self, families: dict[Signature, list[Place]]
    ) -> Iterator[Family]:
        """Signatures that are one with parts left out, the fullest first; the largest saving first."""
        rest = sorted(families, key=lambda it: (-len(it[0]), families[it][0].body, families[it][0].start))
        groups = []
        while rest:
            full = rest.pop(0)
            weighted = [it.weighted for it in self._nodes(families[full][0])]
            group = [(full, _whole(full), families[full])]
            for short in list(rest):
                match = align(full, weighted, short)
                if match and _is_mostly(match, full):
                    group.append((short, match, families[short]))
                    rest.remove(short)
            groups.append(group)
        return iter(sorted(groups, key=lambda it: -sum(len(found) for _, _, found in it)))

    def _nodes(self, place: Place) -> list[Node]:
        return self.bodies[place.body].nodes[place.start : place.end]

    def _make(self, family: Family) -> bool:
        """Make a block of a family, if it saves lines. Of places that overlap, the inner one is taken."""
        family = _apart(family)
        if not family or not family[0][2]:
            return False
        places = [place for _, _, found in family for place in found]
        full = family[0][0]
        parts = sorted({skip for _, match, _ in family for skip in match.skips})
        if any(_overlap(one, other) for one in parts for other in parts if one != other):
            return False
        cost = CLASS + lines(self._nodes(family[0][2][0])) + 2 * len(parts)
        saved = sum(lines(self._nodes(place)) - USE for place in places)
        if len(places) < 2 or saved <= cost:
            return False
        block = self._block(full, parts)
        found = [(place, match) for _, match, places in family for place in places]
        for place, match in sorted(found, key=lambda it: (it[0].body, -it[0].start)):
            self._replace(block, place, match)
        whole = next(it for it in block.uses if it.inside and None not in it.inside)
        nodes = [it for it in whole.inside or () if it is not None]
        self.bodies.append(Body(nodes, whole.writes, block))
        return True

    def _block(self, full: Signature, parts: Sequence[tuple[int, int, Wire]]) -> Block:
        slots = [Slot(key, reads) for key, reads in full[0]]
        for number, (start, end, _) in enumerate(parts):
            for slot in slots[start:end]:
                slot.part = number
        block = Block(next(self.numbers), slots, full[1], [Part(wire) for _, _, wire in parts])
        self.blocks.append(block)
        return block

    def _replace(self, block: Block, place: Place, match: Match) -> None:
        """One node in the place of many, in a body and in every use that the body stands for."""
        body, nodes = self.bodies[place.body], self._nodes(place)
        _, inputs, left = wires(nodes, body.readers)
        gives = [(at, index) for at, it in enumerate(nodes) for index, name in enumerate(it.writes) if name in left]

        def made(of: Sequence[Node]) -> Node:
            inside = [None if at is None else of[at] for at in match.slots]
            order = _inputs(block, match, of, wires(of, Readers(of, ()))[1])
            return use(block, inside, order, [of[at].writes[index] for at, index in gives])

        outer = body.block
        if outer is None:
            body.nodes[place.start : place.end] = [made(nodes)]
            return
        for it in outer.uses:
            assert it.inside is not None
            there = [inner for inner in it.inside[place.start : place.end] if inner is not None]
            one = made(there) if there else None
            it.inside = (*it.inside[: place.start], one, *it.inside[place.end :])
            if one is not None and there == nodes:
                body.nodes[place.start : place.end] = [one]
        wire_of = {
            name: wire
            for it, slot in zip(nodes, outer.slots[place.start : place.end], strict=True)
            for name, wire in zip(it.reads, slot.reads, strict=True)
        }
        reads = tuple(wire_of[name] for name in body.nodes[place.start].reads)
        outer.close(place.start, place.end, Slot(block.key, reads, outer.slots[place.start].part), gives)

    # Repeats

    def _repeats(self) -> bool:
        """Make a block of the repeated run that saves most."""
        places: dict[Signature, list[Place]] = defaultdict(list)
        for number, body in enumerate(self.bodies):
            for place, signature in _runs(number, body):
                found = places[signature]
                if not found or found[-1].body != number or found[-1].end <= place.start:
                    found.append(place)
        best, most = None, 0.0
        for signature, found in places.items():
            if len(found) < 2:
                continue
            each = lines(self._nodes(found[0]))
            saved = len(found) * (each - USE) - CLASS - each
            if saved > most:
                best, most = signature, saved
        if best is None:
            return False
        return self._make([(best, _whole(best), places[best])])

    # Variants

    def _variants(self) -> bool:
        """Make a use of a known block of a run that is the block with parts left out."""
        for block in self.blocks:
            full = _signature(block)
            weighted = [
                any(it.inside[at] is not None and it.inside[at].weighted for it in block.uses)  # type: ignore[index,union-attr]
                for at in range(len(block.slots))
            ]
            for number, body in enumerate(self.bodies):
                if body.block is block:
                    continue
                for start in range(len(body.nodes)):
                    if attached(body.nodes, start, body.readers):
                        continue
                    rows = wires(body.nodes[start : start + len(block.slots)], body.readers)[0][0]
                    match = align_prefix(full, weighted, rows)
                    if match and self._absorb(block, full, number, start, match):
                        return True
        return False

    def _absorb(self, block: Block, full: Signature, number: int, start: int, match: Match) -> bool:
        end = start + sum(it is not None for it in match.slots)
        place = Place(number, start, end)
        if not self.bodies[number].is_whole(start, end):
            return False
        nodes = self._nodes(place)
        if end - start < 2 or not _is_mostly(match, full) or lines(nodes) < USE + 2:
            return False
        signature, _, left = wires(nodes, self.bodies[number].readers)
        if len(left) != len(block.outputs) or align(full, [False] * len(full[0]), signature) is None:
            return False
        parts = {(at, end, wire) for at, end, wire in match.skips}
        known = _parts(block)
        fresh = [it for it in parts if it not in known]
        if any(_overlap(one, other) for one in fresh for other in [*known, *fresh] if one != other):
            return False
        if lines(nodes) - USE <= 2 * len(fresh):
            return False
        for at, end, wire in sorted(fresh):
            for slot in block.slots[at:end]:
                slot.part = len(block.parts)
            block.parts.append(Part(wire))
        self._replace(block, place, match)
        return True




def _apart(family: Family) -> Family:
    """The family without the places that overlap with smaller ones of it."""
    chosen: list[Place] = []
    every = [place for _, _, found in family for place in found]
    for place in sorted(every, key=lambda it: (it.end - it.start, it.body, it.start)):
        if all(
            it.body != place.body or it.end <= place.start or place.end <= it.start for it in chosen
        ):
            chosen.append(place)
    kept = [(signature, match, [it for it in found if it in chosen]) for signature, match, found in family]
    return [it for it in kept if it[2]] if kept[0][2] else []


def _whole(signature: Signature) -> Match:
    return Match(tuple(range(len(signature[0]))), ())


def _signature(block: Block) -> Signature:
    return tuple((slot.key, slot.reads) for slot in block.slots), block.outputs


def _parts(block: Block) -> list[tuple[int, int, Wire]]:
    """The optional parts of a block: first slot, one past the last, what passes."""
    found = []
    for number, part in enumerate(block.parts):
        slots = [at for at, slot in enumerate(block.slots) if slot.part == number]
        found.append((slots[0], slots[-1] + 1, part.passes))
    return found


def _overlap(one: tuple[int, int, Wire], other: tuple[int, int, Wire]) -> bool:
    """Whether two optional parts share a slot."""
    return one[0] < other[1] and other[0] < one[1]


def _is_mostly(match: Match, full: Signature) -> bool:
    """Whether most of the block is there: otherwise it is another block."""
    return sum(it is not None for it in match.slots) * 2 > len(full[0])


def _inputs(block: Block, match: Match, nodes: Sequence[Node], inputs: Sequence[str]) -> list[str]:
    """The tensors that enter, in the block's own order."""
    order: dict[int, str] = {}
    for slot, at in zip(block.slots, match.slots, strict=True):
        if at is not None:
            for wire, name in zip(slot.reads, nodes[at].reads, strict=True):
                if wire[0] == "in":
                    order[wire[1]] = name
    for number, part in enumerate(block.parts):
        skipped = any(
            slot.part == number and at is None for slot, at in zip(block.slots, match.slots, strict=True)
        )
        if skipped and part.passes[0] == "in" and part.passes[1] not in order:
            order[part.passes[1]] = inputs[len(order)] if len(order) < len(inputs) else inputs[0]
    return [order[at] for at in sorted(order)]


def _runs(number: int, body: Body) -> Iterator[tuple[Place, Signature]]:
    """Every run of whole units that could be a block, shortest first from each start."""
    readers = body.readers
    starts = [at for at in range(len(body.nodes)) if not attached(body.nodes, at, readers)]
    ends = [*starts[1:], len(body.nodes)]
    for first, start in enumerate(starts):
        for end in ends[first : first + UNITS]:
            signature, inputs, left = wires(body.nodes[start:end], readers)
            if len(inputs) > INPUTS:
                break
            if len(left) > OUTPUTS or not any(it.heavy for it in body.nodes[start:end]):
                continue
            if not body.is_whole(start, end):
                continue
            yield Place(number, start, end), signature
