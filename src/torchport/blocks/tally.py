"""About how many parameters a class needs, counted one use after the other.

One more use costs as much as it has numbers, however many uses there are: a chain of n blocks would take
n * n otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from torchport.blocks.nodes import Node

#: Stands where a use lacks a number.
LACKS = object()
#: The number of a sequence of values: that of all but the last, and the last.
Known = dict[tuple[int, Any], int]


def numbers(it: Node) -> tuple[Any, ...]:
    """All numbers in a node, nested blocks opened; those of parts that it lacks are left out."""
    if it.inside is None:
        return it.values
    return tuple(value for inner in it.inside if inner is not None for value in numbers(inner))


class Column:
    """One number of a class, in all uses so far.

    `texts` and `ratios` are the numbers, in `known`, of the sequence of all values as they are and as
    multiples of the first: columns that are always equal, or in proportion, have the same.
    """

    def __init__(self, lacking: int = 0) -> None:
        self.values: list[Any] = [LACKS] * lacking
        self.first: Any = LACKS
        self.same = True
        self.done = 0
        self.counts: dict[str, int] = {}
        self.unit: Any = None
        self.countable = True
        self.texts = self.ratios = 0

    def add(self, value: Any) -> None:
        self.values.append(value)
        if self.first is LACKS:
            self.first = value
        elif value is not LACKS and self.same:
            self.same = _alike(value, self.first)

    def weigh(self, more: Sequence[Any], known: Known) -> tuple[int, float] | None:
        """What it is in `known` and what it counts, with `more` values; None if it never differs."""
        there = [it for it in (self.first, *more) if it is not LACKS]
        if self.same and all(_alike(it, there[0]) for it in there):
            return None
        for value in self.values[self.done :]:
            self._take(value, known)
        self.done = len(self.values)
        whole = copy(self)
        whole.counts = dict(self.counts)
        for value in more:
            whole._take(value, known)
        usual = max(whole.counts.values()) * 3 >= sum(whole.counts.values()) * 2
        return whole.ratios if whole.countable else whole.texts, 0.5 if usual else 1

    def _take(self, value: Any, known: Known) -> None:
        lacks = value is LACKS
        text = repr(None if lacks else value)
        if not lacks:
            self.counts[text] = self.counts.get(text, 0) + 1
        self.texts = known.setdefault((self.texts, text), len(known) + 1)
        if lacks or value is None:
            ratio = None
        elif type(value) is int and value > 0 and self.countable:
            self.unit = self.unit or value
            ratio = value / self.unit
        else:
            self.countable, ratio = False, None
        self.ratios = known.setdefault((self.ratios, ratio), len(known) + 1)


def _alike(one: Any, other: Any) -> bool:
    return one is other or repr(one) == repr(other)


class Tally:
    """The numbers in each slot of a class, in all uses so far."""

    def __init__(self, slots: int) -> None:
        self.uses = 0
        self.known: Known = {}
        self.widths: list[set[int]] = [set() for _ in range(slots)]
        self.rows = [Column() for _ in range(slots)]
        self.columns: list[list[Column]] = [[] for _ in range(slots)]

    def add(self, inside: Sequence[Node | None]) -> None:
        """Count one more use: what stands in each slot."""
        for at, it in enumerate(inside):
            row: Any = LACKS if it is None else numbers(it)
            self.rows[at].add(row)
            if row is LACKS:
                for column in self.columns[at]:
                    column.add(LACKS)
                continue
            if not self.widths[at]:
                self.columns[at] = [Column(self.uses) for _ in row]
            self.widths[at].add(len(row))
            if len(self.widths[at]) == 1:
                for column, value in zip(self.columns[at], row, strict=True):
                    column.add(value)
        self.uses += 1

    def parameters(self, more: Sequence[Node | None] | None = None) -> float:
        """How many: numbers that never differ need none; those that are always equal, or in proportion, share
        one; one that is mostly the same has a default, and counts half. `more`: another use, not counted yet.
        """
        found: dict[Any, float] = {}
        for at, widths in enumerate(self.widths):
            it = None if more is None else more[at]
            row: Any = LACKS if it is None else numbers(it)
            if len(widths) > 1 or (row is not LACKS and widths and len(row) not in widths):
                whole = self.rows[at].weigh([] if more is None else [row], self.known)
                assert whole is not None, "rows of other lengths differ"
                found[whole[0]] = 1
                continue
            for place, column in enumerate(self.columns[at]):
                extra = [] if more is None else [LACKS if row is LACKS else row[place]]
                weighed = column.weigh(extra, self.known)
                if weighed is not None:
                    found[weighed[0]] = weighed[1]
        return sum(found.values())
