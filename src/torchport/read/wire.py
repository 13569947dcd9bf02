"""Protocol buffers without a schema: fields by number, every length checked, nothing copied.

Source: https://protobuf.dev/programming-guides/encoding. No generated code: TensorFlow's schemas come with
TensorFlow only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torchport.errors import BadFile
from torchport.read.members import DAMAGED

Value: TypeAlias = int | memoryview


@dataclass(frozen=True)
class Message:
    """The fields of one message, by number, each with all of its values in their order."""

    fields: dict[int, list[Value]]
    where: str

    @classmethod
    def of(cls, data: memoryview, where: str) -> Message:
        found: dict[int, list[Value]] = {}
        for number, value in fields(data, where):
            found.setdefault(number, []).append(value)
        return cls(found, where)

    def integer(self, number: int, default: int = 0) -> int:
        """A number; of several the last counts. Raises BadFile where it is something else."""
        value = self.fields.get(number, [default])[-1]
        if not isinstance(value, int):
            raise self.wrong(number)
        return value

    def data(self, number: int) -> memoryview:
        """Bytes; empty if the field is missing."""
        value = self.fields.get(number, [memoryview(b"")])[-1]
        if isinstance(value, int):
            raise self.wrong(number)
        return value

    def text(self, number: int) -> str:
        return decoded(self.data(number), self.where)

    def message(self, number: int) -> Message:
        return Message.of(self.data(number), self.where)

    def messages(self, number: int) -> Iterator[Message]:
        """All messages of a repeated field."""
        for value in self.fields.get(number, ()):
            if isinstance(value, int):
                raise self.wrong(number)
            yield Message.of(value, self.where)

    def wrong(self, number: int) -> BadFile:
        return BadFile(f"field {number} of a message is of another kind", where=self.where, advice=DAMAGED)


def fields(data: memoryview, where: str) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field of a message. Raises BadFile where one runs past the end."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at, where)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(data, at, where)
            yield number, value
            continue
        if kind == 2:
            size, at = varint(data, at, where)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise BadFile(f"a message has a field of the kind {kind}", where=where, advice=DAMAGED)
        if at + size > end:
            raise BadFile("a field runs past the end of its message", where=where, advice=DAMAGED)
        part = data[at : at + size]
        yield number, part if kind == 2 else int.from_bytes(part, "little")
        at += size


def varint(data: Sequence[int], at: int, where: str) -> tuple[int, int]:
    """A number of one to ten bytes, and where the next field starts."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
    raise BadFile("a number runs past its end", where=where, advice=DAMAGED)


def decoded(data: memoryview, where: str) -> str:
    try:
        return bytes(data).decode("utf-8")
    except UnicodeDecodeError:
        raise BadFile("a name is not text", where=where, advice=DAMAGED) from None
