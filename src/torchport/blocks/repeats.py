"""Runs that stand in the program more than once: the one that saves most lines as a block."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

from torchport.blocks.align import Wire
from torchport.blocks.block import goes_on, is_next, wires
from torchport.blocks.cost import SEVERAL, class_cost, lines, misplaced, parameters, use_cost
from torchport.blocks.draft import Body, Draft, Place
from torchport.blocks.nodes import Node
from torchport.blocks.regions import attached

#: The longest run of units that is looked at, and how many tensors a block may take and give.
UNITS, INPUTS, OUTPUTS = 40, 4, 2


def make_of_repeats(draft: Draft) -> bool:
    """Make a block of the repeated run that saves most."""
    families: dict[Token, list[Place]] = defaultdict(list)
    known: dict[Hashable, int] = {}
    for number, body in enumerate(draft.bodies):
        for place, token in _runs(number, body, known):
            found = families[token]
            if not found or not found[-1].overlaps(place):
                found.append(place)
    chosen: dict[bool, tuple[float, Token | None]] = {True: (0.0, None), False: (0.0, None)}
    for token, found in families.items():
        if len(found) > 1:
            each = lines(draft.nodes(found[0]))
            rows = 1 + sum(place.start != it.end for it, place in itertools.pairwise(found))
            least = min(most for most, _ in chosen.values())
            inside = _absorbed(draft, found)
            if (len(found) - 1) * each - rows * use_cost(0) - class_cost(0) + inside > least:
                against = [misplaced(draft.bodies[it.body].nodes, it.start, it.end) for it in found]
                saved = _saved(draft, found) - SEVERAL * (len(token[1]) - 1)
                for_it = inside - sum(against) / len(found)
                for placed, more in ((True, for_it), (False, 0.0)):
                    if saved + more > chosen[placed][0]:
                        chosen[placed] = (saved + more, token)
    best = chosen[draft.placed][1]
    draft.bent |= best != chosen[not draft.placed][1]
    return best is not None and draft.make(families[best], weighed=True)


def _saved(draft: Draft, places: Sequence[Place]) -> float:
    """Lines that a block of places that do the same saves."""
    columns = list(zip(*map(draft.nodes, places), strict=True))
    count, each = parameters(columns), lines(draft.nodes(places[0]))
    return (len(places) - 1) * each - _uses_cost(draft, places, count) - class_cost(count)


def _absorbed(draft: Draft, places: Sequence[Place]) -> float:
    """Lines of the classes that a block of these places has the only uses of: they are written out in it."""
    total = 0.0
    for at, it in enumerate(draft.nodes(places[0])):
        if it.inside is not None and all(draft.nodes(place)[at].key == it.key for place in places):
            uses = sum(node.key == it.key for body in draft.bodies for node in body.nodes)
            total += class_cost(0) if uses == len(places) else 0
    return total


def _uses_cost(draft: Draft, places: Sequence[Place], count: float) -> float:
    """Lines of the uses of a block with so many parameters; those in a row that are the same are one."""
    uses = len(places)
    if count == 0:
        ends = [wires(draft.nodes(it), draft.bodies[it.body].readers)[1:] for it in places]
        uses = 1
        for at, (before, place) in enumerate(itertools.pairwise(places)):
            touching = place.body == before.body and place.start == before.end
            uses += not (touching and is_next(*ends[at], ends[at + 1][0]))
    return uses * use_cost(count, draft.fit)


#: What a run does, as a number for its rows (equal rows, equal number), and the wires that leave it.
Token = tuple[int, tuple[Wire, ...]]


def _runs(number: int, body: Body, known: dict[Hashable, int]) -> Iterator[tuple[Place, Token]]:
    """Every run of whole units that could be a block, shortest first from each start.

    Steps of a block are connected: neighbours that only read the same tensor are none. Uses of one block in
    a row are a stage, not a block of their own. `known` numbers the rows seen so far; a run is looked at one
    node at a time, so that the cost is the number of runs, not their length.
    """
    readers, nodes = body.readers, body.nodes
    starts = [at for at in range(len(nodes)) if not attached(nodes, at, readers)]
    ends = [*starts[1:], len(nodes)]
    row = [_in_a_row(nodes, at) for at in range(len(nodes))]
    for first, start in enumerate(starts):
        where: dict[str, Wire] = {}
        left: dict[str, int] = {}
        inputs = heavy = single = several = 0
        together: list[set[int]] = []
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
                before = {wire[0] for wire in reads if wire[0] != "in"}
                apart = [it for it in together if not it & before]
                together = [*apart, {at - start}.union(*(it for it in together if it & before))]
                for index, name in enumerate(it.writes):
                    where[name] = (at - start, index)
                    left[name] = readers.count[name]
            done = end
            if inputs > INPUTS:
                break
            leaving = tuple(where[name] for name, count in left.items() if count)
            is_one = len(together) == 1 and 0 < len(leaving) <= OUTPUTS
            if end - start > 1 and is_one and heavy and body.is_whole(start, end):
                yield Place(number, start, end), (single if heavy == 1 else several, leaving)


def _in_a_row(nodes: Sequence[Node], at: int) -> bool:
    """Whether a node is a use of the same block as the one that it reads."""
    return at > 0 and goes_on(nodes[at - 1], nodes[at])
