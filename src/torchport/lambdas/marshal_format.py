"""The format in which Python stores code objects: versions 2 to 5 of marshal, as Python 3.5 to 3.14 write it.

Source: Python/marshal.c of CPython. It does not say which Python wrote it: code objects have three layouts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torchport.lambdas.code import Code, Unreadable

#: The longest code that is read, how deep its objects are nested, and how many there are.
LONGEST, DEEPEST, MOST = 1 << 20, 60, 100_000
#: An object that later ones refer to.
IS_REFERRED = 0x80
SIMPLE: dict[str, Any] = {"N": None, "T": True, "F": False, ".": ...}
TEXTS = {"u": "utf-8", "a": "ascii", "A": "ascii", "z": "ascii", "Z": "ascii"}
#: Kinds of variables of Python 3.11 and later. Source: Include/internal/pycore_code.h.
LOCAL, CELL, FREE = 0x20, 0x40, 0x80
LAYOUTS = ("3.5", "3.8", "3.11")


class _Unfinished:
    """Stands for an object that is being read."""


def read(data: bytes) -> Iterator[Code]:
    """The code object, by each layout in which the bytes can be read. Raises Unreadable where by none."""
    if len(data) > LONGEST:
        raise Unreadable(f"{len(data)} bytes of code are too many")
    if not data or data[0] & ~IS_REFERRED != ord("c"):
        raise Unreadable("it is no code object")
    found = False
    problem = Unreadable("it is no code object")
    for layout in LAYOUTS:
        try:
            code = _Reader(data, layout).whole()
        except Unreadable as error:
            problem = error
            continue
        found = True
        yield code
    if not found:
        raise Unreadable("Python 2 wrote it, whose code is not read") if is_python_2(data) else problem


def is_python_2(data: bytes) -> bool:
    """Whether it looks like a code object of Python 2: four numbers, and a string of bytes."""
    return data[:1] == b"c" and data[17:18] == b"s"


@dataclass
class _Reader:
    """Bytes, as far as they are read, in one layout of code objects."""

    data: bytes
    layout: str
    at: int = 0
    depth: int = 0
    count: int = 0
    referred: list[Any] = field(default_factory=list)

    def whole(self) -> Code:
        found = self.next()
        if not isinstance(found, Code) or self.at != len(self.data):
            raise Unreadable("something follows the code object")
        return found

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise Unreadable("it ends before its time")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str = "<i") -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def next(self) -> Any:
        """The next object. Its number as one that is referred to comes before those of its parts."""
        self.count += 1
        if self.depth > DEEPEST or self.count > MOST:
            raise Unreadable("it is nested too deeply, or too long")
        byte = self.take(1)[0]
        kind = chr(byte & ~IS_REFERRED)
        place = None
        if byte & IS_REFERRED:
            place = len(self.referred)
            self.referred.append(_Unfinished)
        self.depth += 1
        found = self.value(kind)
        self.depth -= 1
        if place is not None:
            self.referred[place] = found
        return found

    def value(self, kind: str) -> Any:
        if kind in SIMPLE:
            return SIMPLE[kind]
        if kind == "i":
            return self.number()
        if kind == "I":
            return self.number("<q")
        if kind == "l":
            return self.long()
        if kind == "g":
            return self.number("<d")
        if kind == "y":
            return complex(self.number("<d"), self.number("<d"))
        if kind == "s":
            return self.take(self.number())
        if kind in TEXTS:
            return self.text(kind)
        if kind == "r":
            return self.reference()
        if kind in "()[<>":
            return self.several(kind)
        if kind == ":":
            return slice(self.next(), self.next(), self.next())
        if kind == "c":
            return self.code()
        raise Unreadable(f"the kind {kind!r} of an object is unknown")

    def long(self) -> int:
        """A whole number of any size, in digits of 15 bits."""
        count = self.number()
        if abs(count) > 10_000:
            raise Unreadable("a number is too long")
        digits = [self.number("<H") for _ in range(abs(count))]
        found = sum(digit << (15 * place) for place, digit in enumerate(digits))
        return int(-found if count < 0 else found)

    def text(self, kind: str) -> str:
        size = self.take(1)[0] if kind in "zZ" else self.number()
        try:
            return self.take(size).decode(TEXTS[kind], "surrogatepass" if kind == "u" else "strict")
        except UnicodeDecodeError as error:
            raise Unreadable("a text is damaged") from error

    def reference(self) -> Any:
        place = self.number()
        if not 0 <= place < len(self.referred) or self.referred[place] is _Unfinished:
            raise Unreadable("it refers to something that is not there")
        return self.referred[place]

    def several(self, kind: str) -> Any:
        size = self.take(1)[0] if kind == ")" else self.number()
        if not 0 <= size <= len(self.data):
            raise Unreadable("a tuple is longer than the bytes")
        items = [self.next() for _ in range(size)]
        try:
            return {"[": list, "<": set, ">": frozenset}.get(kind, tuple)(items)
        except TypeError as error:
            raise Unreadable("a set of lists") from error

    # Code objects

    def code(self) -> Code:
        if self.layout == "3.11":
            return self.code_3_11()
        arguments, *counts = [self.number() for _ in range(6 if self.layout == "3.8" else 5)]
        keyword_only, _, stack, flags = counts[-4:]
        bytecode, constants = self.data_of(), self.items()
        names, variables, free, cells = self.names(), self.names(), self.names(), self.names()
        filename, name = self.string(), self.string()
        line, table = self.number(), self.data_of()
        return Code(
            self.layout, name, arguments, keyword_only, flags, stack, bytecode, constants, names, variables,
            cells, free, filename, line, table,
        )  # fmt: skip

    def code_3_11(self) -> Code:
        arguments, _, keyword_only, stack, flags = [self.number() for _ in range(5)]
        bytecode, constants, names = self.data_of(), self.items(), self.names()
        places, kinds = self.names(), self.data_of()
        if len(places) != len(kinds):
            raise Unreadable("its variables do not fit their kinds")
        filename, name, _ = self.string(), self.string(), self.string()
        line, table, _ = self.number(), self.data_of(), self.data_of()

        def of(bit: int) -> tuple[str, ...]:
            return tuple(it for it, kind in zip(places, kinds, strict=True) if kind & bit)

        return Code(
            self.layout, name, arguments, keyword_only, flags, stack, bytecode, constants, names, of(LOCAL),
            of(CELL), of(FREE), filename, line, table, places,
        )  # fmt: skip

    def data_of(self) -> bytes:
        return self.of(bytes)  # type: ignore[no-any-return]

    def string(self) -> str:
        return self.of(str)  # type: ignore[no-any-return]

    def items(self) -> tuple[Any, ...]:
        return self.of(tuple)  # type: ignore[no-any-return]

    def names(self) -> tuple[str, ...]:
        found = self.items()
        if not all(isinstance(it, str) for it in found):
            raise Unreadable("names that are no texts")
        return found

    def of(self, wanted: type) -> Any:
        found = self.next()
        if type(found) is not wanted:
            raise Unreadable(f"{type(found).__name__} where {wanted.__name__} is expected")
        return found
