"""Arrays by key, on disk: what a large model gives is looked at one tensor at a time."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np

Key = TypeVar("Key")
#: Arrays below this many bytes, and those of texts, stay in memory.
SMALL = 1 << 16


class Store(Mapping[Key, np.ndarray], Generic[Key]):
    """Arrays in the order in which they were put; each look-up maps the array anew.

    It can be pickled: the file is told by its path, and belongs to the folder that it is in.
    """

    def __init__(self, folder: str | Path) -> None:
        handle, name = tempfile.mkstemp(dir=folder, suffix=".arrays")
        os.close(handle)
        self.path = Path(name)
        #: The array itself, or where it is in the file: offset, dtype, shape.
        self._found: dict[Key, np.ndarray | tuple[int, str, tuple[int, ...]]] = {}

    @classmethod
    def at(cls, path: Path, found: Mapping[Key, tuple[int, str, tuple[int, ...]]]) -> Store[Key]:
        """Arrays that are in a file already: offset, dtype and shape of each."""
        made = cls.__new__(cls)
        made.path, made._found = path, dict(found)
        return made

    def __setitem__(self, key: Key, array: np.ndarray) -> None:
        if array.nbytes < SMALL or array.dtype.hasobject:
            self._found[key] = np.array(array)
            return
        with self.path.open("ab") as file:
            self._found[key] = (append(array, file), array.dtype.str, array.shape)

    def __getitem__(self, key: Key) -> np.ndarray:
        found = self._found[key]
        if isinstance(found, np.ndarray):
            return found
        return read(self.path, *found)

    def __contains__(self, key: Any) -> bool:
        return key in self._found

    def __iter__(self) -> Iterator[Key]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def drop(self) -> None:
        """Forget all, and free the room on disk."""
        self._found.clear()
        self.path.unlink(missing_ok=True)


def append(array: np.ndarray, file: BinaryIO) -> int:
    """Writes an array at an offset that every dtype can be mapped at; gives that."""
    file.write(bytes(-file.tell() % 64))
    offset = file.tell()
    np.ascontiguousarray(array).tofile(file)
    return offset


def read(path: Path, offset: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of a file: a large one is mapped, as memory that can be written to and the file is not."""
    count = math.prod(shape)
    if count * np.dtype(dtype).itemsize < SMALL:
        return np.fromfile(path, dtype, count, offset=offset).reshape(shape)
    return np.asarray(np.memmap(path, dtype, "c", offset, shape))
