"""The datasets of an HDF5 file: what may be read of them, known from their headers alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from torchport.errors import BadFile
from torchport.graph import Weight

#: Groups in groups; a hundred nested models need two hundred.
DEPTH = 300
#: Groups and datasets in one file.
OBJECTS = 1_000_000
#: deflate cannot make data smaller than 1/1032 of itself. Small lies are let pass: zeros unwritten.
EXPANSION, HARMLESS = 1100, 2**20

DAMAGED = "the file is damaged or incomplete: copy or save it again"


@contextmanager
def guarded(where: str) -> Iterator[None]:
    """Turns whatever h5py raises on a damaged file into BadFile."""
    try:
        yield
    except (
        OSError,
        KeyError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        MemoryError,
    ) as problem:
        raise BadFile(f"cannot be read as HDF5 ({problem})", where=where, advice=DAMAGED) from problem


@dataclass(frozen=True)
class Variables:
    """An open HDF5 file: its datasets by path, its attributes by group, no data read yet.

    The file stays open as long as a weight of it is referenced, so that each read costs one seek.
    """

    where: str
    file: h5py.File
    datasets: Mapping[str, h5py.Dataset] = field(repr=False)
    groups: frozenset[str] = field(repr=False)

    @classmethod
    def open(cls, source: Path | IO[bytes], size: int, where: str) -> Variables:
        """The file, once all of its links and declared sizes are seen to be sound.

        `size` is that of the file in bytes: datasets may not claim to hold more than that.
        """
        with guarded(where):
            file = h5py.File(source, mode="r")
            datasets, groups = walk(file, size, where)
        return cls(where, file, datasets, groups)

    def attribute(self, group: str, name: str) -> Any:
        """An attribute as h5py gives it, or None."""
        with guarded(f"{self.where}:{group}"):
            return self.file[group or "/"].attrs.get(name)

    def texts(self, group: str, name: str) -> list[str] | None:
        """A list of texts, split over `name0`, `name1`… if above 64 kB; None if absent."""
        value = self.attribute(group, name)
        if value is None:
            chunks: list[Any] = []
            while (chunk := self.attribute(group, f"{name}{len(chunks)}")) is not None:
                chunks.append(chunk)
            if not chunks:
                return None
            return [text for chunk in chunks for text in self.decoded(chunk, group, name)]
        return self.decoded(value, group, name)

    def text(self, group: str, name: str) -> str | None:
        """A text, possibly saved as bytes or split; None if absent."""
        value = self.texts(group, name)
        return None if value is None else "".join(value)

    def decoded(self, value: Any, group: str, name: str) -> list[str]:
        values = np.asarray(value).reshape(-1).tolist()
        try:
            return [v.decode("utf-8") if isinstance(v, bytes) else str_only(v) for v in values]
        except (UnicodeDecodeError, TypeError):
            raise BadFile(
                f"the attribute {name!r} of {group or '/'!r} is not text",
                where=self.where,
                advice=DAMAGED,
            ) from None

    def weight(self, path: str, name: str) -> Weight:
        """A reference to a dataset."""
        dataset = self.datasets[path]
        with guarded(f"{self.where}:{path}"):
            shape, dtype = tuple(dataset.shape), dataset.dtype
            is_bfloat16 = dtype == np.dtype("V2") or dataset.attrs.get("dtype") in (
                "bfloat16",
                b"bfloat16",
            )
        if dtype.kind not in "fiub" and not is_bfloat16:
            raise BadFile(f"{path} holds {dtype}, which is not a kind of number", where=self.where)

        def load() -> np.ndarray:
            array = np.empty(shape, dtype)
            with guarded(f"{self.where}:{path}"):
                if array.size:
                    dataset.read_direct(array)
            return from_bfloat16(array) if is_bfloat16 else array

        return Weight(name, shape, "bfloat16" if is_bfloat16 else dtype.name, load)


def str_only(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def from_bfloat16(array: np.ndarray) -> np.ndarray:
    """bfloat16, two bytes without a meaning to numpy, as float32: the upper half of each."""
    wide = np.ascontiguousarray(array).view(np.uint16).astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def walk(file: h5py.File, size: int, where: str) -> tuple[dict[str, h5py.Dataset], frozenset[str]]:
    """All datasets and groups by path. Raises BadFile for links elsewhere and absurd sizes."""
    datasets: dict[str, h5py.Dataset] = {}
    groups = {""}
    seen: set[int] = set()
    stored = 0
    stack: list[tuple[h5py.Group, str, int]] = [(file["/"], "", 0)]
    while stack:
        group, path, depth = stack.pop()
        if depth > DEPTH or len(seen) > OBJECTS:
            raise BadFile("more groups in groups than any model has", where=where, advice=DAMAGED)
        for name in group:
            at = f"{path}/{name}" if path else name
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise BadFile(
                    f"{at} is a link to another place or file",
                    where=where,
                    advice="no Keras version writes one: do not trust this file",
                )
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise BadFile(f"{at} is a second link to the same object", where=where, advice=DAMAGED)
            seen.add(address)
            if isinstance(item, h5py.Group):
                groups.add(at)
                stack.append((item, at, depth + 1))
            elif isinstance(item, h5py.Dataset):
                stored += check_dataset(item, at, size, where)
                datasets[at] = item
    if stored > size:
        raise BadFile(f"its datasets claim {stored} bytes, the file has {size}", where=where, advice=DAMAGED)
    return datasets, frozenset(groups)


def check_dataset(dataset: h5py.Dataset, path: str, size: int, where: str) -> int:
    """The bytes that a dataset takes in the file. Raises BadFile if it lies about its size."""
    layout = dataset.id.get_create_plist()
    if dataset.is_virtual or layout.get_external_count():
        raise BadFile(
            f"the data of {path} lie in another file",
            where=where,
            advice="no Keras version writes such a file: do not trust it",
        )
    if dataset.shape is None:
        raise BadFile(f"{path} is empty", where=where, advice=DAMAGED)
    claimed = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored: int = dataset.id.get_storage_size()
    contiguous = layout.get_layout() == h5py.h5d.CONTIGUOUS
    if (
        stored > size
        or (contiguous and stored < claimed)
        or (claimed > HARMLESS and claimed > EXPANSION * stored)
        or (contiguous and stored and (dataset.id.get_offset() or 0) + stored > size)
    ):
        raise BadFile(
            f"{path} claims to hold {claimed} bytes ({list(dataset.shape)} of {dataset.dtype}), "
            f"but {stored} are stored in a file of {size}",
            where=where,
            advice=DAMAGED,
        )
    return stored
