"""Numbers that follow from others: a parameter that a person would not ask for.

`found` are the parameters so far, each with its value in every use of the block; a column is a number in
every use. ABSENT stands where a use lacks the part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from torchport.blocks.nodes import ABSENT

Column = Sequence[Any]
Found = Sequence[tuple[str, Column]]

#: How many times as large a number may be as another to be written so.
RATIOS = (2, 3, 4, 6, 8)
#: How many parameters a sum may have that is looked for.
SUMMANDS = 3
#: Parameters from which sizes of tensors do not follow.
WINDOW = ("kernel_size", "stride", "padding", "dilation", "groups")


def derived(column: Column, name: str, found: Found) -> str | None:
    """What is written for a number instead of a parameter called `name`."""
    if not all(type(it) is int for it in column if it is not ABSENT):
        return None
    rows = _paddings(column, found) if name == "padding" else _sizes(column, found)
    text = next(rows, None)
    return next(_squares(column, found), None) if text is None and "features" in name else text


def _pairs(column: Column, values: Column) -> list[tuple[int, int]]:
    """The number and the parameter in the uses that have it; none where that is no whole number."""
    pairs = [(ours, theirs) for ours, theirs in zip(column, values, strict=True) if ours is not ABSENT]
    return pairs if all(type(theirs) is int for _, theirs in pairs) else []


def _named(found: Found, start: str) -> Iterator[tuple[str, Column]]:
    return ((called, values) for called, values in found if called.startswith(start))


def _paddings(column: Column, found: Found) -> Iterator[str]:
    """Half a kernel; nothing where a stride has its padding before the module."""
    kernels = list(_named(found, "kernel_size"))
    for called, values in kernels:
        if (pairs := _pairs(column, values)) and all(ours == theirs // 2 for ours, theirs in pairs):
            yield f"{called} // 2"
    for stride, values in _named(found, "stride"):
        pairs = _pairs(column, values)
        if {theirs for _, theirs in pairs} <= {1} or any(ours for ours, theirs in pairs if theirs != 1):
            continue
        whole = [ours if it == 1 else ABSENT for ours, it in zip(column, values, strict=True)]
        once = {it for it in whole if it is not ABSENT}
        if len(once) == 1:
            yield f"{once.pop()} if {stride} == 1 else 0"
        yield from (f"{half} if {stride} == 1 else 0" for half in _paddings(whole, kernels) if once)


def _sizes(column: Column, found: Found) -> Iterator[str]:
    """A multiple, a fraction, a sum of parameters."""
    others = [it for it in found if not it[0].startswith(WINDOW)]
    for called, values in others:
        pairs = _pairs(column, values)
        if len({theirs for _, theirs in pairs}) < 2 or any(theirs == 0 for _, theirs in pairs):
            continue
        for ratio in RATIOS:
            if all(ours == ratio * theirs for ours, theirs in pairs):
                yield f"{ratio} * {called}"
            if all(ours * ratio == theirs for ours, theirs in pairs):
                yield f"{called} // {ratio}"
        if len(set(pairs)) > 2 and all(2 * ours == 3 * theirs for ours, theirs in pairs):
            yield f"3 * {called} // 2"
    channels = [it for it in others if "channels" in it[0]]
    for at, (one, left) in enumerate(channels):
        for other, right in channels[at:]:
            first, second = _pairs(column, left), _pairs(column, right)
            triples = list(zip(first, second, strict=False))
            if len(triples) > 2 and all(ours == a + b for (ours, a), (_, b) in triples):
                yield f"{one} + {other}" if one != other else f"2 * {one}"
    for several in itertools.combinations(channels, SUMMANDS):
        rows = list(zip(*(_pairs(column, values) for _, values in several), strict=False))
        if len(rows) > SUMMANDS and all(row[0][0] == sum(theirs for _, theirs in row) for row in rows):
            yield " + ".join(called for called, _ in several)


def _squares(column: Column, found: Found) -> Iterator[str]:
    """As many features as a square matrix has numbers."""
    for called, values in found:
        pairs = set(_pairs(column, values))
        if not called.startswith(WINDOW) and len(pairs) > 1 and all(ours == it**2 for ours, it in pairs):
            yield f"{called}**2"


def padding_before(column: Column, found: Found) -> str | None:
    """What is written for the amounts of a padding that stands before a module, a tuple in every use."""
    there = [it for it in column if it is not ABSENT]
    if not all(isinstance(it, tuple) for it in there) or len({len(it) for it in there}) != 1:
        return None
    entries = []
    for at in range(len(there[0])):
        amounts = [ABSENT if it is ABSENT else it[at] for it in column]
        entry = next(_amounts(amounts, found), None)
        if entry is None:
            return None
        entries.append(entry)
    return f"({', '.join(entries)})"


def _amounts(column: Column, found: Found) -> Iterator[str]:
    """One amount: always the same, or as the kernel's size and dilation say."""
    once = {it for it in column if it is not ABSENT}
    if len(once) == 1:
        yield str(once.pop())
    for dilation, values in _named(found, "dilation"):
        ratios = {ours / theirs for ours, theirs in _pairs(column, values) if theirs}
        if len(ratios) == 1 and (ratio := ratios.pop()).is_integer() and ratio > 0:
            yield dilation if ratio == 1 else f"{int(ratio)} * {dilation}"
    for kernel, values in _named(found, "kernel_size"):
        pairs = _pairs(column, values)
        for less in (0, 1):
            if pairs and all(ours == theirs // 2 - less for ours, theirs in pairs):
                yield f"{kernel} // 2 - 1" if less else f"{kernel} // 2"
        if pairs and all(ours == theirs - 1 for ours, theirs in pairs):
            yield f"{kernel} - 1"
        for dilation, rates in _named(found, "dilation"):
            triples = list(zip(pairs, _pairs(column, rates), strict=False))
            if triples and all(ours == (theirs - 1) * rate for (ours, theirs), (_, rate) in triples):
                yield f"({kernel} - 1) * {dilation}"
