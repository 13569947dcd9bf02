"""Whether one run of nodes is another with some parts left out.

`B: conv bn relu conv bn add relu` is `A: conv bn relu conv bn [conv bn] add relu` without the part in brackets,
if the tensor that goes into the part takes the place of what comes out. A part that has weights must read
one tensor only, so that `nn.Identity` can stand for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from torchport.blocks.block import Signature, Wire

#: What a node is, what it reads, whether it has weights; enough to align.
Row = tuple[Hashable, tuple[Wire, ...]]

#: How many parts a block may leave out, and how many steps a search may take.
PARTS, STEPS = 3, 4000


@dataclass(frozen=True)
class Match:
    """`slots[i]` is the node of the shorter run in slot i of the fuller, or None; `skips` the parts left out.

    A skip is (first slot, one past the last slot, the wire that passes in its place).
    """

    slots: tuple[int | None, ...]
    skips: tuple[tuple[int, int, Wire], ...]


@dataclass
class _Search:
    full: Sequence[Row]
    short: Sequence[Row]
    weighted: Sequence[bool]
    outputs: tuple[Wire, ...] | None
    short_outputs: tuple[Wire, ...] | None
    steps: int = 0
    best: Match | None = None
    ends: list[int] = field(default_factory=list)

    def resolve(self, wire: Wire, passed: dict[Wire, Wire]) -> Wire:
        while wire in passed:
            wire = passed[wire]
        return wire

    def run(
        self, at: int, other: int, names: dict[Wire, Wire], passed: dict[Wire, Wire],
        slots: tuple[int | None, ...], skips: tuple[tuple[int, int, Wire], ...],
    ) -> Match | None:  # fmt: skip
        """The first match with the fewest parts left out; `names`: short's wires as full's."""
        self.steps += 1
        if self.steps > STEPS:
            return None
        if at == len(self.full):
            return self._end(other, names, passed, slots, skips)
        key, reads = self.full[at]
        if other < len(self.short) and self.short[other][0] == key:
            bound = self._bind(reads, self.short[other][1], names, passed)
            if bound is not None:
                outs = {(other, index): (at, index) for index in range(4)}
                found = self.run(at + 1, other + 1, {**bound, **outs}, passed, (*slots, other), skips)
                if found:
                    return found
        if len(skips) < PARTS:
            for end in range(at + 1, len(self.full) + 1):
                for wire in self._passes(at, end):
                    found = self.run(
                        end, other, names, {**passed, (end - 1, 0): wire},
                        (*slots, *(None,) * (end - at)), (*skips, (at, end, wire)),
                    )  # fmt: skip
                    if found:
                        return found
        return None

    def _bind(
        self, full: tuple[Wire, ...], short: tuple[Wire, ...], names: dict[Wire, Wire], passed: dict[Wire, Wire]
    ) -> dict[Wire, Wire] | None:
        """The names with those of these reads, if they agree."""
        if len(full) != len(short):
            return None
        bound = dict(names)
        taken = {wire: name for name, wire in bound.items() if name[0] == "in"}
        for ours, theirs in zip(full, short, strict=True):
            real = self.resolve(ours, passed)
            if theirs not in bound:
                if theirs[0] != "in" or real[0] != "in" or taken.get(real, theirs) != theirs:
                    return None
                bound[theirs] = real
                taken[real] = theirs
            if bound[theirs] != real:
                return None
        return bound

    def _passes(self, start: int, end: int) -> list[Wire]:
        """Wires that can stand for the part full[start:end]: what it reads from outside."""
        if (end - 1, 0) in {wire for _, reads in self.full[start : end - 1] for wire in reads}:
            return []
        outside: list[Wire] = []
        for _, reads in self.full[start:end]:
            outside += [it for it in reads if (it[0] == "in" or int(it[0]) < start) and it not in outside]
        for at in range(start, end - 1):
            if not any((at, 0) in reads for _, reads in self.full[at + 1 : end]):
                return []
        later = [reads for _, reads in self.full[end:]] + ([self.outputs] if self.outputs else [])
        if any(it[0] != "in" and start <= int(it[0]) < end - 1 for reads in later for it in reads):
            return []
        chain = all(self.full[at][1] == ((at - 1, 0),) for at in range(start + 1, end))
        if any(self.weighted[start:end]) and (len(outside) > 1 or not chain):
            return []
        # The tensor that goes on is the one that was computed last: a shortcut comes from further back.
        return sorted(outside, key=lambda it: -1 if it[0] == "in" else int(it[0]), reverse=True)

    def _end(
        self, other: int, names: dict[Wire, Wire], passed: dict[Wire, Wire],
        slots: tuple[int | None, ...], skips: tuple[tuple[int, int, Wire], ...],
    ) -> Match | None:  # fmt: skip
        if self.short_outputs is not None and self.outputs is not None:
            if other != len(self.short):
                return None
            ours = tuple(self.resolve(it, passed) for it in self.outputs)
            if ours != tuple(names.get(it, it) for it in self.short_outputs):
                return None
        return Match(slots, skips)


def align(full: Signature, weighted: Sequence[bool], short: Signature) -> Match | None:
    """How `short` is `full` with parts left out; None if it is not."""
    if len(short[0]) > len(full[0]):
        return None
    return _Search(full[0], short[0], weighted, full[1], short[1]).run(0, 0, {}, {}, (), ())


def align_prefix(full: Signature, weighted: Sequence[bool], rows: Sequence[Row]) -> Match | None:
    """How the beginning of `rows` is `full` with parts left out; what it returns is not compared."""
    return _Search(full[0], rows, weighted, full[1], None).run(0, 0, {}, {}, (), ())
