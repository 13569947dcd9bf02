"""The floor: copy a .keras file's weights from HDF5 to safetensors, and nothing else.

    python bench/floor.py SOURCE.keras WEIGHTS.safetensors

One tensor at a time, in HDF5's order and layout: no graph is read, no axis turned, no name mapped,
no code written. A conversion does all of that; it cannot be faster than this, whose cost is
starting Python, importing h5py, and moving the bytes. HDF5 reads its part of the archive in place:
zipfile's own stream would take 1.3 s more, since Python 3.11 seeks backwards in it by reading from
the start.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import zipfile

import h5py
import numpy as np


class Window(io.RawIOBase):
    """A stored member of a zip archive, read in place."""

    def __init__(self, archive: str, member: str) -> None:
        info = zipfile.ZipFile(archive).getinfo(member)
        assert info.compress_type == zipfile.ZIP_STORED
        self.file = os.open(archive, os.O_RDONLY)
        name, extra = struct.unpack("<HH", os.pread(self.file, 4, info.header_offset + 26))
        self.start, self.size = info.header_offset + 30 + name + extra, info.file_size
        self.position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = (0, self.position, self.size)[whence] + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: memoryview) -> int:
        wanted = memoryview(buffer)[: self.size - self.position]
        count = os.preadv(self.file, [wanted], self.start + self.position)
        self.position += count
        return count


def main(source: str, destination: str) -> None:
    weights: list[h5py.Dataset] = []

    def collect(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            weights.append(item)

    window = Window(source, "model.weights.h5")
    with h5py.File(window) as file, open(destination, "wb") as out:
        file.visititems(collect)
        header, start = {}, 0
        for weight in weights:
            assert weight.dtype == np.float32, weight
            end = start + weight.nbytes
            header[weight.name] = {
                "dtype": "F32",
                "shape": weight.shape,
                "data_offsets": (start, end),
            }
            start = end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        out.write(struct.pack("<Q", len(text)) + text)
        for weight in weights:
            array = np.empty(weight.shape, np.float32)
            weight.read_direct(array)
            out.write(array.data)


if __name__ == "__main__":
    main(*sys.argv[1:])
