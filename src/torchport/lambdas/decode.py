"""The instructions of a code object, in the words of one version of Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchport.lambdas.code import Code, Unreadable
from torchport.lambdas.lines import length, lines
from torchport.lambdas.opcodes import CACHES, HAVE_ARGUMENT, VERSIONS, Version, names

#: Jumps, and whether they go backwards.
RELATIVE = {
    "JUMP_FORWARD": 1, "FOR_ITER": 1, "SETUP_LOOP": 1, "SETUP_EXCEPT": 1, "SETUP_FINALLY": 1, "SETUP_WITH": 1,
    "JUMP_BACKWARD": -1,
    **{f"POP_JUMP_BACKWARD_IF_{it}": -1 for it in ("TRUE", "FALSE", "NONE", "NOT_NONE")},
}  # fmt: skip
#: Jumps that say where they go until 3.10, and how far since.
TESTING = frozenset(
    "JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE JUMP_ABSOLUTE CONTINUE_LOOP "
    "POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE".split()
)


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name, its argument, the line of the source, and for a jump where it goes.

    `at` and `target` are places in the bytes.
    """

    at: int
    name: str
    argument: int
    line: int
    target: int = -1


def versions(code: Code) -> tuple[Version, ...]:
    """The versions of Python that have code objects of this layout, the newest first."""
    return VERSIONS[code.layout]


def decode(code: Code, version: Version) -> tuple[Instruction, ...]:
    """The instructions. Raises Unreadable where a version of Python would not have written these bytes."""
    known = names(version)
    line_of = lines(code, version)
    found = []
    for at, number, argument, end in units(code.bytecode, version):
        name = known.get(number, f"number {number}")
        if name in ("CACHE", "EXTENDED_ARG"):
            raise Unreadable("the instructions are damaged")
        found.append(Instruction(at, name, argument, line_of(at), target(name, argument, end, version)))
    places = {it.at for it in found}
    if not found or any(it.target >= 0 and it.target not in places for it in found):
        raise Unreadable("a jump goes astray")
    covered, size = length(code.line_table, version), len(code.bytecode)
    if covered != size if version >= (3, 10) else covered >= size:
        raise Unreadable("the lines do not fit the instructions")
    if version >= (3, 11) and not any(it.name == "RESUME" for it in found):
        raise Unreadable("the instructions have no beginning")
    return tuple(found)


def target(name: str, argument: int, end: int, version: Version) -> int:
    """Where a jump goes; -1 of others."""
    unit = 2 if version >= (3, 10) else 1
    if name in RELATIVE:
        return end + RELATIVE[name] * unit * argument
    if name in TESTING:
        return end + unit * argument if version >= (3, 11) else unit * argument
    return -1


def units(data: bytes, version: Version) -> Iterator[tuple[int, int, int, int]]:
    """(place, number, argument, place behind it and its caches) of every instruction."""
    if version == (3, 5):
        yield from units_3_5(data)
        return
    if len(data) % 2:
        raise Unreadable("half an instruction")
    extended = next((it for it, name in names(version).items() if name == "EXTENDED_ARG"), -1)
    caches, known = CACHES.get(version, {}), names(version)
    at, high, start = 0, 0, 0
    while at < len(data):
        number, argument = data[at], data[at + 1] | high << 8
        at += 2
        if number == extended:
            if argument >= 1 << 24:
                raise Unreadable("an argument is too long")
            high = argument
            continue
        space = 2 * caches.get(known.get(number, ""), 0)
        if any(data[at : at + space]) or at + space > len(data):
            raise Unreadable("the instructions are damaged")
        at += space
        yield start, number, argument, at
        high, start = 0, at


def units_3_5(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The same of Python 3.5: one byte, or three with an argument."""
    at, high, start = 0, 0, 0
    while at < len(data):
        number = data[at]
        if number < HAVE_ARGUMENT:
            yield start, number, 0, at + 1
            at += 1
        else:
            if at + 3 > len(data):
                raise Unreadable("half an instruction")
            argument = data[at + 1] | data[at + 2] << 8 | high << 16
            at += 3
            if number == 144:  # EXTENDED_ARG
                high = argument
                continue
            yield start, number, argument, at
        high, start = 0, at
