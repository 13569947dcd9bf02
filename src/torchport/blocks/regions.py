"""Regions of a body that one tensor enters and one leaves: where branches part and meet again."""

from __future__ import annotations

from collections.abc import Sequence

from torchport.blocks.block import Readers
from torchport.blocks.nodes import Node

#: A region is looked for among at most so many nodes before the one in which it ends.
LONGEST = 80


def dominators(rows: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[int]:
    """For each step the last one before it that everything it reads went through; -1: the inputs.

    `rows`: what each step reads and writes.

    Source: Cooper, Harvey, Kennedy, "A simple, fast dominance algorithm"; one pass, since nodes are in order.
    """
    producer = {name: at for at, it in enumerate(rows) for name in it[1]}
    found: list[int] = []
    depth: list[int] = []

    def meet(one: int, other: int) -> int:
        while one != other:
            if (depth[one] if one >= 0 else -1) >= (depth[other] if other >= 0 else -1):
                one = found[one]
            else:
                other = found[other]
        return one

    for reads, _ in rows:
        above = [producer.get(name, -1) for name in reads] or [-1]
        at = above[0]
        for other in above[1:]:
            at = meet(at, other)
        found.append(at)
        depth.append(1 + (depth[at] if at >= 0 else -1))
    return found


def regions(nodes: Sequence[Node], readers: Readers) -> list[tuple[int, int]]:
    """Intervals [start, end) that read one tensor and give one, and end in a merge; inner ones first.

    What belongs to the merge (an activation, a norm) is in its region.
    """
    idom = dominators([(it.reads, it.writes) for it in nodes])
    producer = {name: at for at, it in enumerate(nodes) for name in it.writes}
    last_read: dict[str, int] = {}
    for at, it in enumerate(nodes):
        for name in it.reads:
            last_read[name] = at
    found = []
    for end, it in enumerate(nodes):
        if not it.merges or len({producer.get(name, -1) for name in it.reads}) < 2:
            continue
        start = idom[end] + 1
        if end - start < 1 or end - start > LONGEST:
            continue
        entering = {
            name for at in range(start, end + 1) for name in nodes[at].reads
            if producer.get(name, -1) < start
        }  # fmt: skip
        leaving = [
            name for at in range(start, end) for name in nodes[at].writes
            if last_read.get(name, -1) > end or _is_result(name, nodes[start : end + 1], readers)
        ]  # fmt: skip
        if len(entering) != 1 or not (not leaving or _is_aside(leaving, nodes[end + 1 :], readers)):
            continue
        stop = end + 1
        while stop < len(nodes) and attached(nodes, stop, readers):
            stop += 1
        found.append((start, stop))
    return sorted(found, key=lambda it: it[1] - it[0])


#: So many tensors meet where what blocks in a row give aside is put together.
MANY = 3


def _is_aside(leaving: Sequence[str], behind: Sequence[Node], readers: Readers) -> bool:
    """Whether one tensor leaves beside the last, for a meeting of many: a WaveNet's skip."""
    if len(leaving) != 1:
        return False
    later = [it for it in behind if leaving[0] in it.reads]
    return len(later) == 1 and later[0].merges and len(set(later[0].reads)) >= MANY


def _is_result(name: str, nodes: Sequence[Node], readers: Readers) -> bool:
    """Whether a tensor that these nodes write is read by more than them: it is a result of the body."""
    return readers.count[name] > sum(it.reads.count(name) for it in nodes)


def attached(nodes: Sequence[Node], at: int, readers: Readers) -> bool:
    """Whether a node belongs to the one before it: it alone reads what that gives, and is light.

    Of two norms in a row the second is of something else: a transformer's last norm behind its last block's.
    """
    if at == 0:
        return False
    it, before = nodes[at], nodes[at - 1]
    return (
        it.light
        and len(before.writes) == 1
        and set(it.reads) == {before.writes[0]}
        and readers.count[before.writes[0]] == len(it.reads)
        and not (it.weighted and it.step.kind == before.step.kind)
        and (before.light or (not it.weighted if before.merges or before.inside else before.heavy))
    )
