"""The members of a zip archive: checked before any is read, and read in place if possible."""

from __future__ import annotations

import io
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

from torchport.errors import BadFile

#: Members of one archive; a Keras archive has three, and one for each vocabulary or shard.
MEMBERS = 10_000
#: Above this size, a member of over EXPANSION times its stored size is a zip bomb (as in Keras).
HARMLESS, EXPANSION = 2**28, 100
#: Bytes that are unpacked at a time.
PIECE = 2**20

DAMAGED = "the file is damaged or incomplete: copy or save it again"
HOSTILE = "no Keras version writes such an archive: do not trust it"


class Archive:
    """A zip file whose directory has been found sound."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        self.size = path.stat().st_size
        try:
            self.zip = zipfile.ZipFile(path)
            infos = self.zip.infolist()
        except (
            zipfile.BadZipFile,
            OSError,
            ValueError,
            NotImplementedError,
            struct.error,
        ) as problem:
            raise BadFile(
                f"cannot be read as a zip file ({problem})", where=self.where, advice=DAMAGED
            ) from None
        if len(infos) > MEMBERS:
            raise BadFile(f"has {len(infos)} members", where=self.where, advice=HOSTILE)
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            self.check(info)
            self.members[info.filename] = info

    def check(self, info: zipfile.ZipInfo) -> None:
        """Raises BadFile for a member that would escape, mislead or fill the disk."""
        name = info.filename
        parts = name.replace("\\", "/").split("/")
        if name in self.members:
            raise BadFile(f"has two members called {name!r}", where=self.where, advice=HOSTILE)
        if ".." in parts or parts[0] == "" or ":" in parts[0] or "\0" in info.orig_filename:
            raise BadFile(f"the member {name!r} leads out of the archive", where=self.where, advice=HOSTILE)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadFile(f"the member {name!r} is a symbolic link", where=self.where, advice=HOSTILE)
        if info.flag_bits & 0x1:
            raise BadFile(f"the member {name!r} is encrypted", where=self.where, advice=HOSTILE)
        if info.file_size > HARMLESS and info.file_size > EXPANSION * info.compress_size:
            raise BadFile(
                f"the member {name!r} would unpack from {info.compress_size} bytes to {info.file_size}",
                where=self.where,
                advice=HOSTILE,
            )
        if info.compress_size > self.size:
            raise BadFile(
                f"the member {name!r} should have {info.compress_size} bytes, the file has {self.size}",
                where=self.where,
                advice=DAMAGED,
            )

    def read(self, name: str, limit: int) -> bytes:
        """A small member as a whole. Raises BadFile if it is missing or exceeds `limit` bytes."""
        if name not in self.members:
            raise BadFile(
                f"has no member {name}",
                where=self.where,
                advice="it is no Keras archive, or a damaged one: save the model again as .keras",
            )
        whole = io.BytesIO()
        self.unpack(name, whole, limit)
        return whole.getvalue()

    def unpack(self, name: str, target: IO[bytes], limit: int) -> None:
        """Writes a member out piece by piece. Raises BadFile once it exceeds `limit` bytes."""
        written = 0
        try:
            with self.zip.open(self.members[name]) as stream:
                while piece := stream.read(PIECE):
                    written += len(piece)
                    if written > limit:
                        break
                    target.write(piece)
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            ValueError,
            RuntimeError,
        ) as problem:
            # RuntimeError covers NotImplementedError: a compression that Python lacks.
            raise BadFile(
                f"the member {name} cannot be unpacked ({problem})",
                where=self.where,
                advice=DAMAGED,
            ) from None
        if written > limit:
            raise BadFile(f"the member {name} has more than {limit} bytes", where=self.where, advice=HOSTILE)

    def open(self, name: str) -> tuple[IO[bytes], int]:
        """A member as a seekable file, and its size.

        One that is stored as it is (Keras's way) is read in place; a compressed one is unpacked
        to a temporary file, which vanishes with the last reference.
        """
        info = self.members[name]
        if info.compress_type == zipfile.ZIP_STORED:
            return io.BufferedReader(Window(self.path, *self.place(info))), info.file_size
        unpacked = tempfile.TemporaryFile()
        self.unpack(name, unpacked, info.file_size)
        unpacked.seek(0)
        return unpacked, info.file_size

    def place(self, info: zipfile.ZipInfo) -> tuple[int, int]:
        """Where the bytes of a stored member start, and how many there are."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(30)
        if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
            raise BadFile(f"the member {info.filename} is missing", where=self.where, advice=DAMAGED)
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start = info.header_offset + 30 + name_length + extra_length
        if info.compress_size != info.file_size or start + info.file_size > self.size:
            raise BadFile(f"the member {info.filename} is cut off", where=self.where, advice=DAMAGED)
        return start, info.file_size


class Window(io.RawIOBase):
    """A range of bytes of a file, as a file that can only be read."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self.file = path.open("rb", buffering=0)
        self.start, self.size, self.at = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self.size - self.at)]
        self.file.seek(self.start + self.at)
        count = self.file.readinto(view) or 0
        self.at += count
        return count

    def close(self) -> None:
        self.file.close()
        super().close()
