"""Blocks and the sequences that they are cut out of.

A block's body stands for all its uses at once: it has a slot for everything that any of them has, and each
use says which node stands in each slot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torchport.blocks.align import Merged, Row, Run, Wire
from torchport.blocks.nodes import Node
from torchport.blocks.tally import Tally
from torchport.program import Apply, Module, Step, Var

#: What a run of nodes does, whatever its tensors are called: keys and wires, and the wires that leave it.
Signature = tuple[tuple[tuple[Hashable, tuple[Wire, ...]], ...], tuple[Wire, ...]]


@dataclass(eq=False)
class Slot:
    """One place in a block: what stands there, what it reads, and the optional part it belongs to."""

    key: Hashable
    reads: tuple[Wire, ...]
    part: int | None = None


@dataclass(eq=False)
class Part:
    """An optional part of a block; without it, the wire `passes` stands for what it gives."""

    passes: Wire


@dataclass(eq=False)
class Block:
    """A class to be: its slots, the wires it returns, and its uses."""

    number: int
    slots: list[Slot]
    outputs: tuple[Wire, ...]
    parts: list[Part] = field(default_factory=list)
    uses: list[Node] = field(default_factory=list)
    #: What was counted of the uses so far, while the slots stay as they are.
    counted: Tally | None = None
    #: The class of the user's own whose calls it stands for.
    cls: str = ""

    @property
    def key(self) -> Hashable:
        return ("block", self.number)

    def column(self, at: int) -> list[Node | None]:
        """What stands in a slot, in every use."""
        return [it.inside[at] if it.inside else None for it in self.uses]

    def contains(self, other: Hashable, blocks: Mapping[Hashable, Block]) -> bool:
        """Whether a use of the block with the key `other` stands in this one, however deep."""
        if self.key == other:
            return True
        inner = {self.first(at).key for at in range(len(self.slots))}
        return any(blocks[key].contains(other, blocks) for key in inner if key in blocks)

    def first(self, at: int) -> Node:
        """What stands in a slot, in the first use that has it."""
        return next(it for use in self.uses if use.inside and (it := use.inside[at]) is not None)

    def is_(self, at: int, attribute: str) -> bool:
        """Whether what stands in a slot is heavy, or weighted: steps that are alike are so alike."""
        first = self.first(at)
        if first.inside is None or getattr(first, attribute):
            return bool(getattr(first, attribute))
        return any(it is not None and getattr(it, attribute) for it in self.column(at))

    @property
    def single(self) -> bool:
        """Whether it is a unit: one working module and what goes with it."""
        return sum(self.is_(at, "heavy") for at in range(len(self.slots))) == 1

    @property
    def tally(self) -> Tally:
        """The numbers of all uses, counted."""
        if self.counted is None:
            self.counted = Tally(len(self.slots))
        for it in self.uses[self.counted.uses :]:
            self.counted.add(it.inside or ())
        return self.counted

    def name(self, wire: Wire) -> str:
        """A tensor's name inside the block."""
        if wire[0] == "in":
            return f"in{wire[1]}"
        return f"s{wire[0]}" if wire[1] == 0 else f"s{wire[0]}:{wire[1]}"

    def nodes(self) -> list[Node]:
        """The block's own body: for each slot a node of the first use that has it, with the block's names."""
        found = []
        for at, slot in enumerate(self.slots):
            first = self.first(at)
            reads = tuple(map(self.name, slot.reads))
            writes = tuple(self.name((at, index)) for index in range(len(first.writes)))
            found.append(replace(first, reads=reads, writes=writes))
        return found

    def run(self) -> Run:
        """The block's slots, to be aligned with others."""
        rows = []
        for at, slot in enumerate(self.slots):
            rows.append(Row(slot.key, slot.reads, self.is_(at, "weighted"), self.first(at).modular))
        return Run(rows, self.outputs, tuple((start, end) for start, end, _ in self.optional()))

    def optional(self) -> list[tuple[int, int, Wire]]:
        """The optional parts: first slot, one past the last, the wire that passes."""
        found = []
        for number, part in enumerate(self.parts):
            slots = [at for at, slot in enumerate(self.slots) if slot.part == number]
            found.append((slots[0], slots[-1] + 1, part.passes))
        return found

    def become(self, merged: Merged, keys: Sequence[Hashable]) -> None:
        """Take in what another run has and this block has not; uses so far lack it. `keys`: the other's."""
        old, parts = self.slots, self.parts
        self.slots, self.parts = [], []
        for (a, b), reads in zip(merged.slots, merged.reads, strict=True):
            key = old[a].key if a is not None else keys[b or 0]
            self.slots.append(Slot(key, reads))
        if [a for a, _ in merged.slots] != list(range(len(old))):
            self.counted = None
            for it in self.uses:
                assert it.inside is not None
                it.inside = tuple(None if a is None else it.inside[a] for a, _ in merged.slots)
        place = {a: at for at, (a, _) in enumerate(merged.slots) if a is not None}
        ranges = [(start, end, wire) for start, end, wire in merged.parts]
        for number, part in enumerate(parts):
            inside = [at for at, slot in enumerate(old) if slot.part == number]
            start, end = place[inside[0]], place[inside[-1]] + 1
            if (start, end) in [(first, last) for first, last, _ in ranges]:
                continue
            # What passes is what the part reads, which may now come through a part that the other run has.
            ranges.append((start, end, next(
                now for at in inside for was, now in zip(old[at].reads, merged.reads[place[at]], strict=True)
                if was == part.passes
            )))  # fmt: skip
        for number, (start, end, wire) in enumerate(sorted(ranges)):
            self.parts.append(Part(wire))
            for slot in self.slots[start:end]:
                slot.part = number
        self.outputs = merged.outputs

    @property
    def inputs(self) -> int:
        """How many tensors it takes."""
        ins = [wire[1] for slot in self.slots for wire in slot.reads if wire[0] == "in"]
        return 1 + max(ins, default=-1)

    def close(self, start: int, end: int, slot: Slot, gives: Sequence[tuple[int, int]]) -> None:
        """Slots [start, end) become one; `gives`: which of their outputs it has, (slot from start, index)."""
        self.counted = None
        moved = {(start + at, index): (start, number) for number, (at, index) in enumerate(gives)}

        def renamed(wire: Wire) -> Wire:
            if wire[0] == "in" or int(wire[0]) < start:
                return wire
            return (
                moved[int(wire[0]), wire[1]]
                if int(wire[0]) < end
                else (int(wire[0]) - (end - start - 1), wire[1])
            )

        rest = [Slot(it.key, tuple(map(renamed, it.reads)), it.part) for it in self.slots[end:]]
        self.slots[start:] = [slot, *rest]
        self._rewire(renamed)

    def open(self, at: int, inner: Block) -> None:
        """The slot, a use of another block, becomes that block's slots."""
        self.counted = None
        slot, more = self.slots[at], len(inner.slots) - 1

        def renamed(wire: Wire) -> Wire:
            if wire[0] == "in" or int(wire[0]) < at:
                return wire
            if int(wire[0]) > at:
                return (int(wire[0]) + more, wire[1])
            result = inner.outputs[wire[1]]
            return slot.reads[result[1]] if result[0] == "in" else (int(result[0]) + at, result[1])

        def inside(wire: Wire) -> Wire:
            return slot.reads[wire[1]] if wire[0] == "in" else (int(wire[0]) + at, wire[1])

        opened = [Slot(it.key, tuple(map(inside, it.reads)), slot.part) for it in inner.slots]
        rest = [Slot(it.key, tuple(map(renamed, it.reads)), it.part) for it in self.slots[at + 1 :]]
        self.slots[at:] = [*opened, *rest]
        self._rewire(renamed)

    def check(self) -> None:
        """Raises AssertionError unless slots read what stands before them, parts are whole and apart from one
        another, and every use has a node for each slot that is in no part.
        """

        def stands(wire: Wire, at: int) -> bool:
            return wire[0] == "in" or int(wire[0]) < at

        for at, slot in enumerate(self.slots):
            assert all(stands(wire, at) for wire in slot.reads), f"slot {at} reads what comes later"
        assert all(stands(wire, len(self.slots)) for wire in self.outputs), "an output that nothing gives"
        for number, part in enumerate(self.parts):
            inside = [at for at, slot in enumerate(self.slots) if slot.part == number]
            assert inside == list(range(inside[0], inside[-1] + 1)), f"part {number} is not whole"
            assert stands(part.passes, inside[0]), f"part {number} is passed by what comes later"
        for use in self.uses:
            assert use.inside is not None and len(use.inside) == len(self.slots), "a use of other slots"
            lacking = [at for at, it in enumerate(use.inside) if it is None]
            assert all(self.slots[at].part is not None for at in lacking), "a use lacks what is no part"

    def _rewire(self, renamed: Callable[[Wire], Wire]) -> None:
        self.outputs = tuple(map(renamed, self.outputs))
        for part in self.parts:
            part.passes = renamed(part.passes)


class Readers:
    """How often every tensor of a body is read, its results included."""

    def __init__(self, nodes: Iterable[Node], results: Iterable[str]) -> None:
        self.count: Counter[str] = Counter(name for it in nodes for name in it.reads)
        self.count.update(results)


def wires(
    nodes: Sequence[Node], readers: Readers, single: bool | None = None
) -> tuple[Signature, tuple[str, ...], tuple[str, ...]]:
    """What consecutive nodes do; the tensors they take, in order; the tensors of theirs that others read.

    Convolutions of one pixel and others are alike only as the `single` working module of a unit.
    """
    if single is None:
        single = sum(it.heavy for it in nodes) == 1
    where: dict[str, Wire] = {}
    inputs: list[str] = []
    inner: Counter[str] = Counter()
    slots = []
    for at, it in enumerate(nodes):
        for name in it.reads:
            if name not in where:
                where[name] = ("in", len(inputs))
                inputs.append(name)
            inner[name] += 1
        slots.append((it.key if single else (it.key, it.pointwise), tuple(where[name] for name in it.reads)))
        for index, name in enumerate(it.writes):
            where[name] = (at, index)
    left = [name for it in nodes for name in it.writes if readers.count[name] > inner[name]]
    return (tuple(slots), tuple(where[name] for name in left)), tuple(inputs), tuple(left)


def use(
    block: Block, inside: Sequence[Node | None], inputs: Sequence[str], outputs: Sequence[str],
    call: Node | None = None,
) -> Node:  # fmt: skip
    """A node that stands for a use of the block; it is entered in the block's uses.

    `call`: the call of a nested model in whose place it stands.
    """
    there = [it for it in inside if it is not None]
    name = f"{there[0].step.name}...{there[-1].step.name}" if call is None else call.step.layer
    value = Apply(Module("Block"), tuple(Var(it) for it in inputs), owner=name)
    known = {key: spec for it in (there if call is None else [call]) for key, spec in it.specs.items()}
    made = Node(
        key=block.key, values=(), reads=tuple(inputs), writes=tuple(outputs),
        step=Step(name, name, "Block", tuple(outputs), value), inside=tuple(inside),
        heavy=any(it.heavy for it in there), weighted=any(it.weighted for it in there), modules=1,
        modular=len(inputs) == 1, specs={key: known[key] for key in (*inputs, *outputs)},
        model="" if call is None else call.step.layer,
    )  # fmt: skip
    block.uses.append(made)
    return made


def goes_on(before: Node, it: Node) -> bool:
    """Whether a node is a use of the same block as the one before it: both can stand in a row."""
    same = it.inside is not None and it.key == before.key
    return same and is_next(before.reads, before.writes, it.reads)


def is_next(before: Sequence[str], gives: Sequence[str], reads: Sequence[str]) -> bool:
    """Whether what reads so takes the one tensor given by what read `before`, and the rest as that did."""
    return len(gives) == 1 and tuple(reads) == (*gives, *before[1:])


def leaves(it: Node) -> list[Node]:
    """The steps in a node, nested blocks opened."""
    if it.inside is None:
        return [it]
    return [leaf for inner in it.inside if inner is not None for leaf in leaves(inner)]
