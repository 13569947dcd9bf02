"""What a program costs, in lines of model.py: the objective of the search.

A class costs its header and its body once and a line at every use; what it replaces costs its lines every
time. These are estimates, by which candidates are compared; `program.py` compares the text itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from torchport.blocks.nodes import Node
from torchport.blocks.structures import scale
from torchport.blocks.tally import Tally

#: Lines that a class costs besides its body: header, docstring, two methods, blank lines.
CLASS = 9.0
#: Parameters that fit on one line, of a constructor and of a call of it.
FIT, CALL = 5, 8


def class_cost(parameters: float) -> float:
    """Lines of a class besides its body."""
    return CLASS + (0 if parameters < FIT else parameters + 2)


def use_cost(parameters: float, fit: int = CALL) -> float:
    """Lines of one use of a class: its construction, and its share of a line of `forward`.

    `fit`: so many parameters fit on one line.
    """
    return 1.7 if parameters <= fit else 2.7 + parameters


#: Lines that an optional part costs.
PART = 2.0
#: What it counts, in lines, that a block gives one tensor more than one.
SEVERAL = 3.0
#: What it counts, in lines, that images grow inside of a block and not where it begins.
LATE = 2.0


#: What it counts, in lines, that a block ends where a tensor from elsewhere is laid beside its own.
EARLY = 1.0
#: What it counts, in lines, that steps in a row that are alike stand on both sides of a block's edge.
SPLIT = 2.0


def misplaced(nodes: Sequence[Node], start: int, end: int) -> float:
    """What speaks against a block of [start, end): of blocks that save as much, another is taken.

    A person begins a block with what makes images grow, ends it behind what reads a skip, does not cut
    through two convolutions in a row, and has its norms before its layers or behind them.
    """
    inside = nodes[start:end]
    given = {name for it in inside for name in it.writes}
    several = len({name for it in inside for name in it.reads} - given) > 1
    late = any(it.inside is None and scale(it) > 1 for it in inside[1:])
    early = several and inside[-1].inside is None and inside[-1].step.kind == "Concatenate"
    ends = [it for it in (inside[0], inside[-1]) if it.light and it.weighted]
    shifted = len(ends) > 1 and ends[0].key == ends[1].key
    split = _is_split(nodes, start) + _is_split(nodes, end) + 2 * shifted
    return LATE * late + EARLY * early + SPLIT * split


#: Steps of the longest unit that is compared with its neighbour: a convolution, norm, activation, dropout.
UNIT = 4


def _is_split(nodes: Sequence[Node], at: int) -> bool:
    """Whether two units in a row that are alike stand on both sides of a node's beginning."""
    for count in range(1, min(UNIT, at, len(nodes) - at) + 1):
        around = nodes[at - count : at + count]
        in_a_row = all(it.reads == before.writes for before, it in itertools.pairwise(around))
        kinds = [(it.key, it.pointwise) for it in around]
        goes_on = any(it.light for it in nodes[at + count : at + count + 1])  # dropout behind the second
        is_whole = not around[0].light and not (goes_on and count == 1)
        if is_whole and in_a_row and kinds[:count] == kinds[count:]:
            return any(it.heavy for it in around)
    return False


def lines(nodes: Iterable[Node | None]) -> float:
    """About how many lines the nodes take: one for each module, one for each line of `forward`."""
    total = 0.0
    for it in nodes:
        if it is None:
            continue
        total += it.modules
        if it.heavy or it.merges or len(it.writes) > 1:
            total += 0.7 if it.inside is not None else 1
        elif not it.light:
            total += 0.5
    return total


def parameters(columns: Sequence[Sequence[Node | None]]) -> float:
    """About how many parameters a class needs, given for each of its slots the nodes of all uses."""
    tally = Tally(len(columns))
    for inside in zip(*columns, strict=True):
        tally.add(inside)
    return tally.parameters()
