"""The search for blocks.

1. Regions: where branches part and meet (a residual block, squeeze-and-excite), the inner ones first. Regions
   that do the same, but for parts that some lack, become one block.
2. Variants: a run of nodes that is a known block but for such parts becomes a use of it.
3. Repeats: of all runs that stand in the program more than once, the one that saves most lines becomes a
   block. 2 and 3 take turns until none saves any.
4. A block that stands in one place only is written out again.

Every step must make the program shorter by `lines`; all choices are by position and length, so that the same
model gives the same program. The cost is the number of nodes times the longest run, for each round.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchport.blocks.align import Merged, Row, Run, Wire, merge
from torchport.blocks.block import (
    FIT,
    Block,
    Readers,
    Signature,
    Slot,
    class_cost,
    goes_on,
    lines,
    parameters,
    use,
    use_cost,
    wires,
)
from torchport.blocks.nodes import Node
from torchport.blocks.regions import attached, regions

#: The longest run of units that is looked at, and how many tensors a block may take and give.
UNITS, INPUTS, OUTPUTS = 40, 4, 2
#: Lines that an optional part costs.
PART = 2.0


class Body:
    """A sequence of nodes: the model's, or that of a block."""

    def __init__(self, nodes: list[Node], results: tuple[str, ...], block: Block | None = None) -> None:
        self.block = block
        self.nodes, self.results = nodes, results
        self.readers = Readers(nodes, results)

    def refresh(self) -> None:
        """Take over what was changed in the block, or in the nodes."""
        if self.block is not None:
            self.nodes = self.block.nodes()
            self.results = tuple(map(self.block.name, self.block.outputs))
        self.readers = Readers(self.nodes, self.results)

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

    def overlaps(self, other: Place) -> bool:
        return self.body == other.body and self.start < other.end and other.start < self.end


#: Places that do the same.
Family = dict[Signature, list[Place]]


class Factoring:
    """A program on its way: its bodies and the blocks that were found in them."""

    def __init__(self, body: Body) -> None:
        self.bodies = [body]
        self.blocks: list[Block] = []
        self.numbers = itertools.count()
        #: Runs that are not like a block, so that no round compares them again.
        self.tried: set[tuple[Hashable, tuple[Row, ...], tuple[Row, ...]]] = set()

    def run(self) -> Factoring:
        while self._regions():
            pass
        while self._variants() or self._repeats():
            pass
        while self._write_out():
            pass
        return self

    @staticmethod
    def alike(one: Sequence[Node], other: Sequence[Node]) -> bool:
        """Whether two nested models are one but for optional parts."""
        runs = [_rows(nodes, Readers(nodes, nodes[-1].writes), False) for nodes in (one, other)]
        merged = merge(runs[0], runs[1])
        return merged is not None and _is_mostly(merged)

    def adopt(self, at: Sequence[int], models: Sequence[Sequence[Node]], results: Sequence[str]) -> bool:
        """Make one block of nested models that are one but for optional parts, called at these nodes.

        `results`: what each returns. Gives False, and does nothing, where that saves no lines.
        """
        body = self.bodies[0]
        single = all(sum(it.heavy for it in nodes) == 1 for nodes in models)
        runs = [
            _rows(nodes, Readers(nodes, (result,)), single)
            for nodes, result in zip(models, results, strict=True)
        ]
        order = sorted(range(len(models)), key=lambda it: -len(models[it]))
        block = Block(next(self.numbers), [Slot(row.key, row.reads) for row in runs[order[0]].rows],
                      runs[order[0]].outputs or ())  # fmt: skip
        uses: dict[int, Node] = {}
        for number in order:
            merged = merge(block.run() if block.uses else runs[order[0]], runs[number])
            if merged is None or not _is_mostly(merged) or len(merged.inputs) != 1:
                return False
            block.become(merged, [row.key for row in runs[number].rows])
            inside = [None if it is None else models[number][it] for _, it in merged.slots]
            call = body.nodes[at[number]]
            uses[at[number]] = use(block, inside, call.reads, call.writes, call)
        count = block.tally.parameters()
        apart = sum(map(_alone, models))
        together = class_cost(count) + lines(block.nodes()) + PART * len(block.parts)
        together += len(models) * use_cost(count)
        if together >= apart:
            return False
        for place, node in uses.items():
            body.nodes[place] = node
        self.blocks.append(block)
        self.bodies.append(Body([], (), block))
        for it in self.bodies:
            it.refresh()
        return True

    def _nodes(self, place: Place) -> list[Node]:
        return self.bodies[place.body].nodes[place.start : place.end]

    def _run(self, place: Place, single: bool | None = None) -> Run:
        """A place, to be aligned with others."""
        return _rows(self._nodes(place), self.bodies[place.body].readers, single)

    # 1. Regions

    def _regions(self) -> bool:
        """Make one block of the innermost regions that save lines together."""
        families: Family = defaultdict(list)
        for number, body in enumerate(self.bodies):
            for start, end in regions(body.nodes, body.readers):
                signature, _, left = wires(body.nodes[start:end], body.readers)
                if len(left) == 1 and body.is_whole(start, end):
                    families[signature].append(Place(number, start, end))
        for group in self._grouped(families):
            if self._make([place for signature in group for place in families[signature]]):
                return True
        return False

    def _grouped(self, families: Family) -> list[list[Signature]]:
        """Signatures that are one but for optional parts; those of the smallest regions first."""
        rest = sorted(families, key=lambda it: (len(it[0]), -len(families[it]), _first(families[it])))
        groups: list[list[Signature]] = []
        while rest:
            head = rest.pop(0)
            group = [head]
            for other in list(rest):
                if len(other[0]) > 2 * len(head[0]):
                    break
                merged = merge(self._run(families[head][0]), self._run(families[other][0]))
                if (
                    merged
                    and _is_mostly(merged)
                    and self._fits(merged, families[head][0], families[other][0])
                ):
                    group.append(other)
                    rest.remove(other)
            groups.append(group)
        return groups

    def _fits(self, merged: Merged, one: Place, other: Place) -> bool:
        """Whether two places are alike enough in their numbers to share a class."""
        ours, theirs = self._nodes(one), self._nodes(other)
        columns = [
            (None if a is None else ours[a], None if b is None else theirs[b]) for a, b in merged.slots
        ]
        return parameters(columns) <= FIT + 3

    # 2. Variants

    def _variants(self) -> bool:
        """Make uses of known blocks of runs that are the block but for optional parts."""
        known = {block.key: block for block in self.blocks}
        changed = False
        for block in self.blocks:
            run, single = block.run(), block.single
            kinds = {it.key for it in block.nodes()}
            for number, body in enumerate(self.bodies):
                if body.block is not None and block.contains(body.block.key, known):
                    continue
                start = -1
                while (start := start + 1) < len(body.nodes):
                    if body.nodes[start].key not in kinds or attached(body.nodes, start, body.readers):
                        continue
                    stop = min(len(body.nodes), start + len(block.slots) + 4)
                    found = self._run(Place(number, start, stop), single)
                    attempt = (block.key, tuple(run.rows), tuple(found.rows))
                    if attempt in self.tried:
                        continue
                    merged = merge(run, found, whole=False)
                    if merged is None:
                        self.tried.add(attempt)
                    elif self._takes(block, Place(number, start, start + merged.taken), known):
                        changed = True
                        run, single = block.run(), block.single
                        kinds = {it.key for it in block.nodes()}
        return changed

    def _takes(self, block: Block, place: Place, known: Mapping[Hashable, Block]) -> bool:
        """Make the place a use of the block, if it is one and saves lines."""
        inside = [known[it.key] for it in self._nodes(place) if it.key in known]
        if any(it.contains(block.key, known) for it in inside):
            return False
        if place.end - place.start < 2 or not self.bodies[place.body].is_whole(place.start, place.end):
            return False
        merged = merge(block.run(), self._run(place, block.single))
        if merged is None or not _is_mostly(merged) or len(merged.inputs) < block.inputs:
            return False
        parts = {(start, end) for start, end, _ in block.optional()}
        new_parts = sum(not _known(merged, part, parts) for part in merged.parts)
        nodes, uses = self._nodes(place), len(block.uses)
        before = block.tally.parameters()
        there = {a: nodes[b] for a, b in merged.slots if a is not None and b is not None}
        after = block.tally.parameters([there.get(at) for at in range(len(block.slots))])
        more = class_cost(after) - class_cost(before) + uses * (use_cost(after) - use_cost(before))
        if lines(nodes) - use_cost(after) <= PART * new_parts + more:
            return False
        self._replace(block, place, merged)
        self._refresh(block, place.body)
        return True

    # 3. Repeats

    def _repeats(self) -> bool:
        """Make a block of the repeated run that saves most."""
        families: dict[Token, list[Place]] = defaultdict(list)
        known: dict[Hashable, int] = {}
        for number, body in enumerate(self.bodies):
            for place, token in _runs(number, body, known):
                found = families[token]
                if not found or not found[-1].overlaps(place):
                    found.append(place)
        best, most = None, 0.0
        for token, found in families.items():
            if len(found) > 1:
                each = lines(self._nodes(found[0]))
                rows = 1 + sum(place.start != it.end for it, place in itertools.pairwise(found))
                if (len(found) - 1) * each - rows * use_cost(0) - class_cost(0) > most:
                    saved = self._saved(found)
                    if saved > most:
                        best, most = token, saved
        return best is not None and self._make(families[best])

    def _saved(self, places: Sequence[Place]) -> float:
        """Lines that a block of places that do the same saves."""
        columns = list(zip(*map(self._nodes, places), strict=True))
        count, each = parameters(columns), lines(self._nodes(places[0]))
        return (len(places) - 1) * each - self._uses_cost(places, count) - class_cost(count)

    def _uses_cost(self, places: Sequence[Place], count: float) -> float:
        """Lines of the uses of a block with so many parameters; those in a row that are the same are one."""
        uses = len(places)
        if count == 0:
            uses = 1 + sum(not self._follows(*pair) for pair in itertools.pairwise(places))
        return uses * use_cost(count)

    def _follows(self, before: Place, place: Place) -> bool:
        """Whether a place goes on with what the one before it gives, and takes the rest as that does."""
        if place.body != before.body or place.start != before.end:
            return False
        readers = self.bodies[place.body].readers
        _, before_takes, gives = wires(self._nodes(before), readers)
        _, takes, _ = wires(self._nodes(place), readers)
        return len(gives) == 1 and takes == (*gives, *before_takes[1:])

    # What all three do

    def _make(self, places: Sequence[Place]) -> bool:
        """Make a block of places that are one but for optional parts, if it saves lines.

        Of places that overlap the inner one is taken.
        """
        chosen: list[Place] = []
        taken: set[tuple[int, int]] = set()
        for place in sorted(places, key=lambda it: (it.end - it.start, it.body, it.start)):
            inside = {(place.body, at) for at in range(place.start, place.end)}
            if taken.isdisjoint(inside):
                chosen.append(place)
                taken |= inside
        longest = max(chosen, key=lambda it: it.end - it.start)
        shapes = {wires(self._nodes(it), self.bodies[it.body].readers)[0] for it in chosen}
        alike = [it for it in chosen if it.end - it.start == longest.end - longest.start]
        count = parameters(list(zip(*map(self._nodes, alike), strict=True)))
        cost = class_cost(count) + lines(self._nodes(longest)) + PART * (len(shapes) - 1)
        if len(chosen) < 2 or sum(lines(self._nodes(it)) - use_cost(count) for it in chosen) <= cost:
            return False
        run = self._run(longest)
        slots = [Slot(row.key, row.reads) for row in run.rows]
        block = Block(next(self.numbers), slots, run.outputs or ())
        self.blocks.append(block)
        self.bodies.append(Body([], (), block))
        for place in sorted(chosen, key=lambda it: (it != longest, it.body, -it.start)):
            moved = self._moved(place, longest)
            merged = merge(
                block.run() if block.uses else run,
                self._run(moved, block.single if block.uses else None),
            )
            if merged is not None and len(merged.inputs) >= block.inputs:
                self._replace(block, moved, merged)
        self._refresh(block, *{it.body for it in chosen})
        return True

    def _moved(self, place: Place, first: Place) -> Place:
        """Where a place is after another, which stood before it, became one node."""
        shift = first.end - first.start - 1 if place.body == first.body and place.start > first.start else 0
        return Place(place.body, place.start - shift, place.end - shift)

    def _replace(self, block: Block, place: Place, merged: Merged) -> None:
        """One node in the place of many, in a body and in every use that the body stands for.

        The model's own body knows of it at once, but for how often its tensors are read: `_refresh`.
        """
        body, nodes = self.bodies[place.body], self._nodes(place)
        _, inputs, left = wires(nodes, body.readers)
        gives = [
            (at, index) for at, it in enumerate(nodes) for index, name in enumerate(it.writes) if name in left
        ]
        block.become(merged, [row.key for row in self._run(place, block.single if block.uses else None).rows])

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

    def _refresh(self, block: Block, *bodies: int) -> None:
        """After uses of the block were put into these bodies."""
        for number in bodies:
            self.bodies[number].refresh()
        next(it for it in self.bodies if it.block is block).refresh()

    # 4. Writing out

    def _write_out(self) -> bool:
        """Write a block that stands in one place only, whole, where it stands."""
        for block in list(self.blocks):
            places = [
                Place(number, at, at + 1)
                for number, body in enumerate(self.bodies) for at, it in enumerate(body.nodes)
                if it.key == block.key
            ]  # fmt: skip
            if len(places) == 1 and not block.parts:
                self._open(block, places[0])
                return True
        return False

    def _open(self, block: Block, place: Place) -> None:
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


def _rows(nodes: Sequence[Node], readers: Readers, single: bool | None) -> Run:
    """Nodes, to be aligned with others."""
    (rows, outputs), _, _ = wires(nodes, readers, single)
    found = [Row(key, reads, it.weighted, it.modular) for (key, reads), it in zip(rows, nodes, strict=True)]
    return Run(found, outputs)


def is_chain(nodes: Sequence[Node]) -> bool:
    """Whether the nodes can stand in nn.Sequential, one after the other."""
    return all(it.modular for it in nodes) and all(
        it.reads == before.writes for before, it in zip(nodes, nodes[1:], strict=False)
    )


def _alone(nodes: Sequence[Node]) -> float:
    """Lines of a nested model by itself: as nn.Sequential if it is a chain, else as a class."""
    if is_chain(nodes):
        return 1.7 + (len(nodes) + 1 if len(nodes) > 1 else 0)
    return class_cost(0) + lines(nodes) + use_cost(0)


def _first(places: Sequence[Place]) -> tuple[int, int]:
    return places[0].body, places[0].start


def _known(merged: Merged, part: tuple[int, int, object], known: set[tuple[int, int]]) -> bool:
    """Whether a part of a merge is one that the block had already."""
    rows = [a for a, _ in merged.slots[part[0] : part[1]]]
    return None not in rows and (rows[0], (rows[-1] or 0) + 1) in known


def _is_mostly(merged: Merged) -> bool:
    """Whether most of both is the same: otherwise they are two blocks."""
    mine = sum(a is not None for a, _ in merged.slots)
    return merged.matched * 2 > max(mine, merged.taken)


#: What a run does, as a number for its rows (equal rows, equal number), and the wires that leave it.
Token = tuple[int, tuple[Wire, ...]]


def _runs(number: int, body: Body, known: dict[Hashable, int]) -> Iterator[tuple[Place, Token]]:
    """Every run of whole units that could be a block, shortest first from each start.

    Uses of one block in a row are a stage, not a block of their own. `known` numbers the rows seen so far; a
    run is looked at one node at a time, so that the cost is the number of runs, not their length.
    """
    readers, nodes = body.readers, body.nodes
    starts = [at for at in range(len(nodes)) if not attached(nodes, at, readers)]
    ends = [*starts[1:], len(nodes)]
    row = [_in_a_row(nodes, at) for at in range(len(nodes))]
    for first, start in enumerate(starts):
        where: dict[str, Wire] = {}
        left: dict[str, int] = {}
        inputs = heavy = single = several = 0
        done = start
        for end in ends[first : first + UNITS]:
            if any(row[max(start + 1, done) : end]):
                break
            for at, it in enumerate(nodes[done:end], start=done):
                for name in it.reads:
                    if name not in where:
                        where[name] = ("in", inputs)
                        inputs += 1
                    elif name in left:
                        left[name] -= 1
                reads = tuple(where[name] for name in it.reads)
                single = known.setdefault((single, it.key, reads), len(known) + 1)
                several = known.setdefault((several, it.key, it.pointwise, reads), len(known) + 1)
                heavy += it.heavy
                for index, name in enumerate(it.writes):
                    where[name] = (at - start, index)
                    left[name] = readers.count[name]
            done = end
            if inputs > INPUTS:
                break
            leaving = tuple(where[name] for name, count in left.items() if count)
            if 0 < len(leaving) <= OUTPUTS and heavy and body.is_whole(start, end):
                yield Place(number, start, end), (single if heavy == 1 else several, leaving)


def _in_a_row(nodes: Sequence[Node], at: int) -> bool:
    """Whether a node is a use of the same block as the one that it reads."""
    return at > 0 and goes_on(nodes[at - 1], nodes[at])
