"""Code objects of Pythons that are not at hand, put together by hand: 3.5 to 3.9.

The instructions are those that these versions compile a function to, as the documentation of `dis` says.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

#: The numbers of instructions that did not change from 3.5 to 3.9. Source: Lib/opcode.py of 3.5 to 3.9.
NUMBERS = {
    "POP_TOP": 1, "ROT_TWO": 2, "UNARY_NEGATIVE": 11, "BINARY_POWER": 19, "BINARY_MULTIPLY": 20,
    "BINARY_ADD": 23, "BINARY_SUBTRACT": 24, "BINARY_SUBSCR": 25, "BINARY_TRUE_DIVIDE": 27, "GET_ITER": 68,
    "RETURN_VALUE": 83, "POP_BLOCK": 87, "UNPACK_SEQUENCE": 92, "FOR_ITER": 93, "LOAD_CONST": 100,
    "BUILD_TUPLE": 102, "BUILD_LIST": 103, "LOAD_ATTR": 106, "COMPARE_OP": 107, "JUMP_FORWARD": 110,
    "JUMP_ABSOLUTE": 113, "POP_JUMP_IF_FALSE": 114, "LOAD_GLOBAL": 116, "SETUP_LOOP": 120, "LOAD_FAST": 124,
    "STORE_FAST": 125, "CALL_FUNCTION": 131, "MAKE_FUNCTION": 132, "BUILD_SLICE": 133, "LOAD_CLOSURE": 135,
    "LOAD_DEREF": 136, "CALL_FUNCTION_KW": 141, "LIST_APPEND": 145, "EXTENDED_ARG": 144,
    "LOAD_METHOD": 160, "CALL_METHOD": 161,
}  # fmt: skip
#: In 3.5 an instruction from here on has an argument.
HAVE_ARGUMENT = 90


@dataclass
class Assembly:
    """A function: its instructions as (name, argument), a jump's argument being the number of its target."""

    instructions: list[tuple[str, Any]]
    constants: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=lambda: ["x"])
    arguments: int = 1
    stack: int = 8
    name: str = "<lambda>"

    def code(self, version: tuple[int, int]) -> bytes:
        """The bytes of the instructions."""
        wide = version == (3, 5)
        starts, at = [], 0
        for name, _ in self.instructions:
            starts.append(at)
            at += (3 if NUMBERS[name] >= HAVE_ARGUMENT else 1) if wide else 2
        ends = [*starts[1:], at]
        data = bytearray()
        for number, (name, argument) in enumerate(self.instructions):
            if name in ("FOR_ITER", "JUMP_FORWARD", "SETUP_LOOP"):
                argument = starts[argument] - ends[number]
            elif name in ("JUMP_ABSOLUTE", "POP_JUMP_IF_FALSE"):
                argument = starts[argument]
            data.append(NUMBERS[name])
            if not wide:
                data.append(argument or 0)
            elif NUMBERS[name] >= HAVE_ARGUMENT:
                data += struct.pack("<H", argument)
        return bytes(data)

    def marshalled(self, version: tuple[int, int]) -> bytes:
        """The code object as marshal writes it."""
        counts = [self.arguments, *([0] if version >= (3, 8) else []), 0, len(self.variables), self.stack, 67]
        constants = [
            it.marshalled(version) if isinstance(it, Assembly) else written(it) for it in self.constants
        ]
        return b"".join(
            [
                b"\xe3", struct.pack(f"<{len(counts)}i", *counts), string(self.code(version)),
                b")", bytes([len(constants)]), *constants, written(tuple(self.names)),
                written(tuple(self.variables)), written(()), written(()), written("model.py"),
                written(self.name), struct.pack("<i", 1), string(b""),
            ]
        )  # fmt: skip


def string(data: bytes) -> bytes:
    return b"s" + struct.pack("<i", len(data)) + data


def written(value: Any) -> bytes:
    """A constant as marshal writes it."""
    if value is None:
        return b"N"
    if isinstance(value, int):
        return b"i" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"g" + struct.pack("<d", value)
    if isinstance(value, str):
        return b"z" + bytes([len(value)]) + value.encode("ascii")
    assert isinstance(value, tuple)
    return b")" + bytes([len(value)]) + b"".join(map(written, value))


def functions(version: tuple[int, int]) -> dict[str, tuple[str, Assembly]]:
    """Functions by name: their source, and what a version compiles it to."""
    methods = version >= (3, 7)
    load, call = ("LOAD_METHOD", "CALL_METHOD") if methods else ("LOAD_ATTR", "CALL_FUNCTION")
    keyed = (
        [("LOAD_CONST", 1), ("LOAD_CONST", 2), ("CALL_FUNCTION", 1 | 1 << 8)]
        if version == (3, 5)
        else [("LOAD_CONST", 2), ("LOAD_CONST", 1), ("CALL_FUNCTION_KW", 2)]
    )
    inner = Assembly(
        [("BUILD_LIST", 0), ("LOAD_FAST", 0), ("FOR_ITER", 8), ("STORE_FAST", 1), ("LOAD_FAST", 1),
         ("LOAD_CONST", 0), ("BINARY_MULTIPLY", None), ("LIST_APPEND", 2), ("RETURN_VALUE", None)],
        [2], [], [".0", "n"], name="<listcomp>",
    )  # fmt: skip
    inner.instructions.insert(8, ("JUMP_ABSOLUTE", 2))
    inner.instructions[2] = ("FOR_ITER", 9)
    loop = [
        ("LOAD_FAST", 0), ("STORE_FAST", 1), ("LOAD_CONST", 1), ("GET_ITER", None), ("FOR_ITER", 11),
        ("STORE_FAST", 2), ("LOAD_FAST", 1), ("LOAD_FAST", 2), ("BINARY_MULTIPLY", None), ("STORE_FAST", 1),
        ("JUMP_ABSOLUTE", 4), ("LOAD_FAST", 1), ("RETURN_VALUE", None),
    ]  # fmt: skip
    if version < (3, 8):
        moved = [(name, at + 1 if name in JUMPS else at) for name, at in loop[2:11]]
        loop = [*loop[:2], ("SETUP_LOOP", 13), *moved, ("POP_BLOCK", None), *loop[11:]]
    return {
        "scale": ("f = lambda x: x / 127.5 - 1.0", Assembly(
            [("LOAD_FAST", 0), ("LOAD_CONST", 1), ("BINARY_TRUE_DIVIDE", None), ("LOAD_CONST", 2),
             ("BINARY_SUBTRACT", None), ("RETURN_VALUE", None)], [None, 127.5, 1.0])),
        "method": ("f = lambda x: K.abs(x)", Assembly(
            [("LOAD_GLOBAL", 0), (load, 1), ("LOAD_FAST", 0), (call, 1), ("RETURN_VALUE", None)],
            [None], ["K", "abs"])),
        "keyword": ("f = lambda x: K.sum(x, axis=1)", Assembly(
            [("LOAD_GLOBAL", 0), ("LOAD_ATTR", 1), ("LOAD_FAST", 0), *keyed, ("RETURN_VALUE", None)],
            [None, "axis" if version == (3, 5) else ("axis",), 1], ["K", "sum"])),
        "slice": ("f = lambda x: x[:, 1:]", Assembly(
            [("LOAD_FAST", 0), ("LOAD_CONST", 0), ("LOAD_CONST", 0), ("BUILD_SLICE", 2), ("LOAD_CONST", 1),
             ("LOAD_CONST", 0), ("BUILD_SLICE", 2), ("BUILD_TUPLE", 2), ("BINARY_SUBSCR", None),
             ("RETURN_VALUE", None)], [None, 1])),
        "chosen": ("f = lambda x: x ** 2 if K.ndim(x) == 2 else -x", Assembly(
            [("LOAD_GLOBAL", 0), (load, 1), ("LOAD_FAST", 0), (call, 1), ("LOAD_CONST", 1), ("COMPARE_OP", 2),
             ("POP_JUMP_IF_FALSE", 11), ("LOAD_FAST", 0), ("LOAD_CONST", 1), ("BINARY_POWER", None),
             ("RETURN_VALUE", None), ("LOAD_FAST", 0), ("UNARY_NEGATIVE", None), ("RETURN_VALUE", None)],
            [None, 2], ["K", "ndim"])),
        "comprehension": ("f = lambda x: [n * 2 for n in [x, x]]", Assembly(
            [("LOAD_CONST", 1), ("LOAD_CONST", 2), ("MAKE_FUNCTION", 0), ("LOAD_FAST", 0), ("LOAD_FAST", 0),
             ("BUILD_LIST", 2), ("GET_ITER", None), ("CALL_FUNCTION", 1), ("RETURN_VALUE", None)],
            [None, inner, "<lambda>.<locals>.<listcomp>"])),
        "loop": ("def f(x):\n    y = x\n    for n in (2, 3):\n        y = y * n\n    return y\n", Assembly(
            loop, [None, (2, 3)], [], ["x", "y", "n"])),
        "parts": ("def f(x):\n    a, b = x[0], x[1]\n    return a + b\n", Assembly(
            [("LOAD_FAST", 0), ("LOAD_CONST", 1), ("BINARY_SUBSCR", None), ("LOAD_FAST", 0),
             ("LOAD_CONST", 2), ("BINARY_SUBSCR", None), ("ROT_TWO", None), ("STORE_FAST", 1),
             ("STORE_FAST", 2), ("LOAD_FAST", 1), ("LOAD_FAST", 2), ("BINARY_ADD", None),
             ("RETURN_VALUE", None)], [None, 0, 1], [], ["x", "a", "b"])),
    }  # fmt: skip


JUMPS = ("FOR_ITER", "JUMP_ABSOLUTE")
