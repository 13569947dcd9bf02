"""How two runs of nodes become one with optional parts.

    A: conv bn relu conv bn            add relu
    B: conv bn relu conv bn conv bn    add relu      both: conv bn relu conv bn [conv bn] add relu

A part that a use lacks must be one that a tensor can pass by: what goes in takes the place of what comes out.
A part that has weights must be a chain, so that `nn.Identity` can stand for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

#: A tensor inside a block: ("in", which input) or (slot, which of its outputs).
Wire = tuple[str, int] | tuple[int, int]


@dataclass(frozen=True)
class Row:
    """What a node is and what it reads, whether it has weights: enough to align."""

    key: Hashable
    reads: tuple[Wire, ...]
    weighted: bool
    #: Whether it can stand in nn.Sequential.
    modular: bool = False


@dataclass(frozen=True)
class Run:
    """Rows, and the wires that leave them; None: not looked at."""

    rows: Sequence[Row]
    outputs: tuple[Wire, ...] | None
    #: Slots [start, end) of the optional parts that there are already.
    parts: tuple[tuple[int, int], ...] = ()

    @cached_property
    def _passing(self) -> dict[tuple[int, int], list[Wire]]:
        return {}

    def passes(self, start: int, end: int) -> list[Wire]:
        """As `_passes`, looked up once: a search comes to the same part many times."""
        if (start, end) not in self._passing:
            self._passing[start, end] = _passes(self, start, end)
        return self._passing[start, end]


@dataclass(frozen=True)
class Merged:
    """Both runs as one: for each slot its place in A and in B (None where one lacks it) and what it reads.

    `parts`: first slot, one past the last, the wire that passes. `names`: B's inputs as A's.
    """

    slots: tuple[tuple[int | None, int | None], ...]
    reads: tuple[tuple[Wire, ...], ...]
    outputs: tuple[Wire, ...]
    parts: tuple[tuple[int, int, Wire], ...]
    names: Mapping[Wire, Wire]

    @property
    def inputs(self) -> list[Wire]:
        """B's inputs, in A's order."""
        found = [(ours[1], theirs) for theirs, ours in self.names.items() if theirs[0] == "in"]
        return [theirs for _, theirs in sorted(found)]

    @property
    def matched(self) -> int:
        return sum(None not in slot for slot in self.slots)

    @property
    def taken(self) -> int:
        """How many of B's rows were used."""
        return sum(slot[1] is not None for slot in self.slots)


#: How many parts may differ, how long a part may be, and how many steps one search may take.
PARTS, LONGEST, STEPS = 3, 16, 400

#: ("match", A's row, B's row) or ("a" or "b", first row, one past the last, the wire that passes).
Move = tuple[str, int, int] | tuple[str, int, int, Wire]
Wires = dict[Wire, Wire]


def merge(a: Run, b: Run, whole: bool = True) -> Merged | None:
    """Both as one, with the fewest parts that differ; None if they are not alike.

    `whole=False`: only the beginning of B has to be A, its outputs are not compared.
    """
    shared = Counter(row.key for row in a.rows) & Counter(row.key for row in b.rows)
    if shared.total() * 2 <= len(a.rows):
        return None
    for parts in range(PARTS + 1):
        found = _Search(a, b, whole).run(0, 0, {}, {}, {}, (), parts)
        if found:
            return found
    return None


def _resolve(wire: Wire, passed: Mapping[Wire, Wire]) -> Wire:
    while wire in passed:
        wire = passed[wire]
    return wire


class _Search:
    def __init__(self, a: Run, b: Run, whole: bool) -> None:
        self.a, self.b, self.whole = a, b, whole
        self.steps = 0

    def run(
        self,
        i: int,
        j: int,
        names: Wires,
        past_a: Wires,
        past_b: Wires,
        moves: tuple[Move, ...],
        left: int,
    ) -> Merged | None:
        """The first merge with at most `left` more parts; `names`: B's wires as A's; `past`: skips."""
        self.steps += 1
        if self.steps > STEPS:
            return None
        a, b = self.a.rows, self.b.rows
        if i == len(a) and (not self.whole or j == len(b)):
            found = self._merged(names, past_a, past_b, moves)
            if found:
                return found
        if i < len(a) and j < len(b) and a[i].key == b[j].key:
            bound = self._bind(a[i].reads, b[j].reads, names, past_a, past_b)
            if bound is not None:
                outs: Wires = {(j, index): (i, index) for index in range(4)}
                found = self.run(
                    i + 1, j + 1, {**bound, **outs}, past_a, past_b, (*moves, ("match", i, j)), left
                )
                if found:
                    return found
        if not left:
            return None
        for end, wire in self._parts(self.a, i, lambda end: self._goes_on(end, j)):
            found = self.run(
                end,
                j,
                names,
                {**past_a, (end - 1, 0): wire},
                past_b,
                (*moves, ("a", i, end, wire)),
                left - 1,
            )
            if found:
                return found
        for end, wire in self._parts(self.b, j, lambda end: self._goes_on(i, end)):
            found = self.run(
                i,
                end,
                names,
                past_a,
                {**past_b, (end - 1, 0): wire},
                (*moves, ("b", j, end, wire)),
                left - 1,
            )
            if found:
                return found
        return None

    def _goes_on(self, i: int, j: int) -> bool:
        """Whether both go on alike after a part, or end there: a part never takes another's place."""
        a, b = self.a.rows, self.b.rows
        if i == len(a):
            return j == len(b) or not self.whole
        return j < len(b) and a[i].key == b[j].key

    @staticmethod
    def _bind(
        ours: Sequence[Wire], theirs: Sequence[Wire], names: Wires, past_a: Wires, past_b: Wires
    ) -> Wires | None:
        """The names with those of these reads, if they agree."""
        if len(ours) != len(theirs):
            return None
        bound = dict(names)
        taken = {wire: name for name, wire in bound.items() if name[0] == "in"}
        for mine, other in zip(ours, theirs, strict=True):
            real, known = _resolve(mine, past_a), _resolve(other, past_b)
            if real != mine and known != other:
                return None
            if known not in bound:
                if known[0] != "in" or real[0] != "in" or real in taken:
                    return None
                bound[known] = real
                taken[real] = known
            if bound[known] != real:
                return None
        return bound

    @staticmethod
    def _parts(run: Run, start: int, goes_on: Callable[[int], bool]) -> Iterator[tuple[int, Wire]]:
        """Parts that begin at a row: where they end, and the wire that can stand for them; longest first."""
        for end in range(min(len(run.rows), start + LONGEST), start, -1):
            if not goes_on(end):
                continue
            if any(it != (start, end) and it[0] < end and start < it[1] for it in run.parts):
                continue
            for wire in run.passes(start, end):
                yield end, wire

    def _merged(self, names: Wires, past_a: Wires, past_b: Wires, moves: Sequence[Move]) -> Merged | None:
        slots: list[tuple[int | None, int | None]] = []
        parts = []
        for move in moves:
            start = len(slots)
            if move[0] == "match":
                slots.append((move[1], move[2]))
                continue
            rows = range(move[1], move[2])
            slots += [(at, None) if move[0] == "a" else (None, at) for at in rows]
            parts.append((start, len(slots), move))
        of_a = {a: at for at, (a, _) in enumerate(slots) if a is not None}
        of_b = {b: at for at, (_, b) in enumerate(slots) if b is not None}

        def from_a(wire: Wire) -> Wire:
            return wire if wire[0] == "in" else (of_a[int(wire[0])], wire[1])

        def from_b(wire: Wire) -> Wire | None:
            if wire[0] == "in":
                return from_a(names[wire]) if wire in names else None
            return (of_b[int(wire[0])], wire[1])

        def both(mine: Wire, other: Wire) -> Wire | None:
            """What is read after both: through a part that only B has, else as A reads it."""
            return from_b(other) if _resolve(other, past_b) != other else from_a(mine)

        reads: list[tuple[Wire, ...]] = []
        for a, b in slots:
            if a is not None and b is not None:
                found = [both(*it) for it in zip(self.a.rows[a].reads, self.b.rows[b].reads, strict=True)]
            elif a is not None:
                found = [from_a(it) for it in self.a.rows[a].reads]
            else:
                assert b is not None
                found = [from_b(it) for it in self.b.rows[b].reads]
            if None in found:
                return None
            reads.append(tuple(it for it in found if it is not None))
        outputs = tuple(from_a(it) for it in self.a.outputs or ())
        if self.whole:
            mine, other = self.a.outputs or (), self.b.outputs or ()
            if len(mine) != len(other):
                return None
            for ours, theirs in zip(mine, other, strict=True):
                real, known = _resolve(ours, past_a), _resolve(theirs, past_b)
                if names.get(known) != real or (real != ours and known != theirs):
                    return None
            found = [both(ours, theirs) for ours, theirs in zip(mine, other, strict=True)]
            if None in found:
                return None
            outputs = tuple(it for it in found if it is not None)
        passing = []
        for start, end, move in parts:
            assert len(move) == 4
            wire = from_a(move[3]) if move[0] == "a" else from_b(move[3])
            if wire is None:
                return None
            passing.append((start, end, wire))
        before = [(of_a[start], of_a[end - 1] + 1) for start, end in self.a.parts]
        if any(_cross(it, part) for it in before for part in passing):
            return None
        return Merged(tuple(slots), tuple(reads), outputs, tuple(passing), names)


def _cross(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two parts share slots and are not the same: no part stands inside of another."""
    return one[:2] != other[:2] and one[0] < other[1] and other[0] < one[1]


def _passes(run: Run, start: int, end: int) -> list[Wire]:
    """Wires that can stand for the part [start, end): what it reads from outside, if one tensor leaves it."""
    rows = run.rows
    outside: list[Wire] = []
    inside: set[Wire] = set()
    for row in rows[start:end]:
        for it in row.reads:
            if it[0] == "in" or int(it[0]) < start:
                if it not in outside:
                    outside.append(it)
            else:
                inside.add(it)
    if any((at, 0) not in inside for at in range(start, end - 1)):
        return []
    inner = range(start, end - 1)
    later = [*(row.reads for row in rows[end:]), run.outputs or ()]
    if len(inner) and any(it[0] in inner for reads in later for it in reads):
        return []
    if any(row.weighted for row in rows[start:end]):
        chain = all(rows[at].reads == ((at - 1, 0),) for at in range(start + 1, end))
        if len(outside) > 1 or not chain or not all(row.modular for row in rows[start:end]):
            return []
    # The tensor that goes on is the one that was computed last: a shortcut comes from further back.
    return sorted(outside, key=lambda it: -1 if it[0] == "in" else int(it[0]), reverse=True)
