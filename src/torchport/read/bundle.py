"""A TensorFlow checkpoint: an index (a sorted table of names), and shards of raw values.

Sources: tensorflow/core/util/tensor_bundle/tensor_bundle.cc, protobuf/tensor_bundle.proto; the table is
LevelDB's, tensorflow/tsl/lib/io/format.cc and block.cc.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from torchport.errors import BadFile
from torchport.graph import Weight
from torchport.read import crc32c
from torchport.read.members import DAMAGED, HOSTILE
from torchport.read.variables import from_bfloat16
from torchport.read.wire import Message, decoded, varint

#: The last eight bytes of a table.
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER, TRAILER = 48, 5
#: Bytes of an index, entries in it, and shards.
LIMIT, ENTRIES, SHARDS = 2**30, 5_000_000, 100_000
STRING = 7
#: Element types by their number (types.proto), as numpy holds them.
DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool",
    14: "bfloat16", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """Where a tensor's bytes are."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    is_cut: bool


@dataclass(frozen=True)
class Bundle:
    """The tensors of a checkpoint by their keys; no data read yet."""

    prefix: Path
    shards: int
    entries: Mapping[str, Entry] = field(repr=False)

    @classmethod
    def open(cls, prefix: Path) -> Bundle:
        """The checkpoint whose files start with a path. Raises BadFile for one that is damaged."""
        path = prefix.with_name(f"{prefix.name}.index")
        where = str(path)
        entries: dict[str, Entry] = {}
        shards = 0
        for key, value in table(contents(path, LIMIT), where):
            message = Message.of(value, where)
            if not key:
                shards = message.integer(1, 1)
                if message.integer(2):
                    raise BadFile(
                        "is of a big-endian machine", where=where, advice="save it again on another"
                    )
                continue
            if len(entries) >= ENTRIES:
                raise BadFile(f"lists more than {ENTRIES} tensors", where=where, advice=HOSTILE)
            name = decoded(memoryview(key), where)
            entries[name] = entry(message, name, where)
        if not 0 < shards <= SHARDS:
            raise BadFile(f"has {shards} shards", where=where, advice=DAMAGED)
        return cls(prefix, shards, entries)

    def weight(self, key: str, name: str) -> Weight:
        """A reference to a tensor of numbers."""
        where = f"{self.prefix}.index"
        found = self.entries.get(key)
        if found is None:
            raise BadFile(f"has no tensor {key}", where=where, advice=DAMAGED)
        dtype = DTYPES.get(found.dtype)
        if dtype is None:
            raise BadFile(f"{key} is of the type {found.dtype}, no kind of number", where=where)
        if found.is_cut:
            advice = "load it with TensorFlow, without the partitioner, and save it again"
            raise BadFile(f"{key} is kept in slices", where=where, advice=advice)
        kind = np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder("<")
        if found.size != math.prod(found.shape) * kind.itemsize:
            what = f"{key} has {found.size} bytes, its shape {list(found.shape)} of {dtype} takes others"
            raise BadFile(what, where=where, advice=DAMAGED)
        self.check(found, key)

        def load() -> np.ndarray:
            array = np.frombuffer(self.data(found, key), kind).reshape(found.shape)
            return from_bfloat16(array.view("V2")) if dtype == "bfloat16" else array

        return Weight(name, found.shape, dtype, load)

    def texts(self, key: str, limit: int = LIMIT) -> list[bytes]:
        """A tensor of texts, flat: their lengths, a checksum, then one behind the other."""
        found = self.entries.get(key)
        where = f"{self.prefix}.index"
        if found is None or found.dtype != STRING or found.size > limit:
            raise BadFile(f"{key} is no tensor of texts, or a huge one", where=where, advice=DAMAGED)
        data = memoryview(self.data(found, key, is_text=True))
        count = math.prod(found.shape)
        if count > len(data):
            raise BadFile(f"{key} is cut off", where=where, advice=DAMAGED)
        at, sizes = 0, []
        for _ in range(count):
            size, at = varint(data, at, where)
            sizes.append(size)
        if at + 4 + sum(sizes) != len(data):
            raise BadFile(f"{key} is cut off", where=where, advice=DAMAGED)
        at += 4
        texts = []
        for size in sizes:
            texts.append(bytes(data[at : at + size]))
            at += size
        return texts

    def path(self, found: Entry) -> Path:
        return self.prefix.with_name(f"{self.prefix.name}.data-{found.shard:05d}-of-{self.shards:05d}")

    def check(self, found: Entry, key: str) -> Path:
        """The shard of a tensor. Raises BadFile if it is not there, or too short."""
        path = self.path(found)
        try:
            size = path.stat().st_size if path.is_file() else -1
        except OSError:
            size = -1
        if size < 0:
            raise BadFile(f"is missing: {key} is in it", where=str(path), advice="copy it beside the index")
        if found.offset + found.size > size:
            raise BadFile(f"{key} is cut off", where=str(path), advice=DAMAGED)
        return path

    def data(self, found: Entry, key: str, is_text: bool = False) -> bytes:
        """The bytes of a tensor, their checksum compared: of texts it is another sum, which is left out."""
        path = self.check(found, key)
        with path.open("rb") as file:
            file.seek(found.offset)
            data = file.read(found.size)
        if len(data) != found.size or not (is_text or check_sum(data, found.crc)):
            raise BadFile(f"{key} does not have its checksum", where=str(path), advice=DAMAGED)
        return data


def check_sum(data: memoryview | bytes, crc: int) -> bool:
    return crc32c.masked(data) == crc


def entry(message: Message, name: str, where: str) -> Entry:
    """BundleEntryProto, checked."""
    shape = []
    for axis in message.message(2).messages(2):
        size = axis.integer(1)
        if size > 2**31:
            raise BadFile(f"{name} has an axis of the size {size}", where=where, advice=HOSTILE)
        shape.append(size)
    if len(shape) > 32:
        raise BadFile(f"{name} has {len(shape)} axes", where=where, advice=HOSTILE)
    numbers = [message.integer(number) for number in (1, 3, 4, 5, 6)]
    dtype, shard, offset, size, crc = numbers
    return Entry(dtype, tuple(shape), shard, offset, size, crc, is_cut=7 in message.fields)


def contents(path: Path, limit: int) -> memoryview:
    """A small file as a whole. Raises BadFile if it is not there, or no small file."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise BadFile(f"cannot be opened ({reason})", where=str(path), advice="check the path") from None
    if len(data) > limit:
        raise BadFile(f"has more than {limit} bytes", where=str(path), advice=HOSTILE)
    return memoryview(data)


def table(data: memoryview, where: str) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a sorted table, in their order."""
    if len(data) < FOOTER or data[-8:] != MAGIC:
        raise BadFile("is no checkpoint's index", where=where, advice=DAMAGED)
    footer = data[-FOOTER:]
    at = 0
    for _ in range(2):  # where the block about blocks is
        _, at = varint(footer, at, where)
    before = b""
    for _, handle in rows(block(data, footer[at:], where), where):
        for key, value in rows(block(data, handle, where), where):
            if key < before:
                raise BadFile("its keys are not in order", where=where, advice=DAMAGED)
            before = key
            yield key, value


def block(data: memoryview, handle: memoryview, where: str) -> memoryview:
    """A block of a table, unpacked, its checksum compared."""
    start, at = varint(handle, 0, where)
    size, _ = varint(handle, at, where)
    end = start + size
    if end + TRAILER > len(data):
        raise BadFile("is cut off", where=where, advice=DAMAGED)
    kind, (crc,) = data[end], struct.unpack("<I", data[end + 1 : end + TRAILER])
    if not check_sum(data[start : end + 1], crc):
        raise BadFile("a block does not have its checksum", where=where, advice=DAMAGED)
    if kind == 0:
        return data[start:end]
    if kind == 1:
        return snappy(data[start:end], where)
    raise BadFile(f"a block is packed in the way {kind}", where=where, advice=DAMAGED)


def rows(data: memoryview, where: str) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a block; of a key only what the one before has not is stored."""
    restarts = struct.unpack("<I", data[-4:])[0] if len(data) >= 4 else 0
    end = len(data) - 4 - 4 * restarts
    if end < 0:
        raise BadFile("a block is cut off", where=where, advice=DAMAGED)
    body, at, key = data[:end], 0, b""
    while at < end:
        shared, at = varint(body, at, where)
        own, at = varint(body, at, where)
        size, at = varint(body, at, where)
        if shared > len(key) or at + own + size > end:
            raise BadFile("a key or value runs past its block", where=where, advice=DAMAGED)
        key = key[:shared] + bytes(body[at : at + own])
        at += own
        yield key, body[at : at + size]
        at += size


def snappy(data: memoryview, where: str) -> memoryview:
    """A block unpacked. Source: github.com/google/snappy, format_description.txt."""

    def damaged() -> BadFile:
        return BadFile("a block cannot be unpacked", where=where, advice=DAMAGED)

    size, at = varint(data, 0, where)
    if size > 64 * len(data):  # a copy of three bytes makes at most 64
        raise damaged()
    found = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind, count = tag & 3, (tag >> 2) + 1
        if kind == 0:  # bytes as they are; a long count stands behind the tag
            extra = max(0, count - 60)
            if extra:
                count = int.from_bytes(data[at : at + extra], "little") + 1
                at += extra
            if at + count > len(data):
                raise damaged()
            found += data[at : at + count]
            at += count
        else:  # bytes that came before
            width = (0, 1, 2, 4)[kind]
            back = int.from_bytes(data[at : at + width], "little")
            at += width
            if kind == 1:
                count, back = (tag >> 2 & 7) + 4, back | tag >> 5 << 8
            if not 0 < back <= len(found):
                raise damaged()
            for _ in range(count):
                found.append(found[-back])
        if len(found) > size:
            raise damaged()
    if len(found) != size:
        raise damaged()
    return memoryview(bytes(found))
