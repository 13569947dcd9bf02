"""Which line of the source an instruction is of: the three tables that Python has had for it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator

from torchport.lambdas.code import Code
from torchport.lambdas.opcodes import Version


def lines(code: Code, version: Version) -> Callable[[int], int]:
    """A function from a place in the bytes to a line."""
    reader = runs_3_11 if version >= (3, 11) else runs_3_10 if version == (3, 10) else runs
    found = sorted(reader(code.line_table, code.first_line))
    starts = [start for start, _ in found]

    def line(at: int) -> int:
        place = bisect_right(starts, at) - 1
        return found[place][1] if place >= 0 else code.first_line

    return line


def length(table: bytes, version: Version) -> int:
    """How many bytes of instructions a table covers: all, since 3.10."""
    if version < (3, 11):
        return sum(table[::2])
    return sum(2 * ((byte & 7) + 1) for byte in table if byte & 128)


def signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def runs(table: bytes, line: int) -> Iterator[tuple[int, int]]:
    """(place, line): pairs of steps. Source: Objects/lnotab_notes.txt of 3.9."""
    at = 0
    for step, lines_on in zip(table[::2], table[1::2], strict=False):
        at += step
        line += signed(lines_on)
        yield at, line


def runs_3_10(table: bytes, line: int) -> Iterator[tuple[int, int]]:
    """The same where a line comes before its length; -128 is no line. Source: Objects/lnotab_notes.txt."""
    at = 0
    for length, lines_on in zip(table[::2], table[1::2], strict=False):
        if signed(lines_on) != -128:
            line += signed(lines_on)
            yield at, line
        at += length


def runs_3_11(table: bytes, line: int) -> Iterator[tuple[int, int]]:
    """The same in entries of several forms. Source: Objects/locations.md of 3.11."""
    at, place = 0, 0
    while place < len(table):
        first = table[place]
        form, length = first >> 3 & 15, 2 * ((first & 7) + 1)
        place += 1
        start = place
        while place < len(table) and not table[place] & 128:
            place += 1
        if form in (13, 14):
            line += varint(table[start:place])
        elif form in (11, 12):
            line += form - 10
        if form != 15:
            yield at, line
        at += length


def varint(data: bytes) -> int:
    """A signed number in pieces of six bits, the lowest first and in it the sign."""
    found = 0
    for shift, byte in enumerate(data):
        found |= (byte & 63) << 6 * shift
        if not byte & 64:
            break
    return -(found >> 1) if found & 1 else found >> 1
