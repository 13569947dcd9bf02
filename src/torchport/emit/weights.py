"""model.safetensors: written as a stream, so that memory does not grow with the model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchport.errors import TorchportError
from torchport.graph import Weight
from torchport.program import Fill, Load
from torchport.record import Stored, stored

if TYPE_CHECKING:
    import numpy as np

#: Above this a file is cut into shards with an index, as Hugging Face does.
SHARD = 5 * 10**9

#: Names of element types in numpy and in the format. Source: safetensors/src/tensor.rs, Dtype.
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor of the state_dict, not yet read: its name, and where it comes from."""

    name: str
    load: Load | Fill

    @property
    def source(self) -> str:
        """The Keras variable; empty for a constant."""
        if isinstance(self.load, Fill):
            return ""
        return _weight(self.load).name

    @property
    def dtype(self) -> str:
        if isinstance(self.load, Fill):
            return self.load.dtype
        # numpy has no bfloat16: it is read as the float32 that it is the first half of.
        return _weight(self.load).dtype.replace("bfloat16", "float32")

    @property
    def shape(self) -> tuple[int, ...]:
        if isinstance(self.load, Fill):
            return self.load.shape
        return self.load.turn.shape(_weight(self.load).shape)

    @property
    def nbytes(self) -> int:
        import numpy as np

        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def array(self) -> np.ndarray:
        """The tensor as PyTorch holds it, read now."""
        import numpy as np

        if isinstance(self.load, Fill):
            return np.full(self.shape, self.load.value, self.dtype)
        return np.asarray(self.load.turn.apply(_weight(self.load).load()), order="C")

    def pieces(self) -> Iterator[np.ndarray]:
        """The same, in contiguous pieces one after the other."""
        if isinstance(self.load, Fill):
            yield self.array()
            return
        array = _weight(self.load).load()
        if str(array.dtype) != self.dtype or self.load.turn.shape(array.shape) != self.shape:
            raise TorchportError(f"is not the {self.dtype} of its header", where=self.source)
        yield from self.load.turn.pieces(array)


def _weight(load: Load) -> Weight:
    if load.source is None:
        raise TorchportError(f"the weight {load.weight} was never bound to a variable of the source")
    return load.source


def provenance(entries: Iterable[Entry]) -> dict[str, Any]:
    """For each tensor the Keras variable it comes from and the einops pattern that turned it."""
    return {
        entry.name: {"source": entry.source, "pattern": entry.load.turn.text}
        if isinstance(entry.load, Load)
        else {"constant": entry.load.value}
        for entry in entries
    }


def weights(entries: Iterable[Entry]) -> list[Stored]:
    """The state_dict as port.json says it."""
    return stored((it.name, it.load, it.shape, it.dtype) for it in entries)


def shards(entries: Iterable[Entry], shard: int | None = None) -> list[list[Entry]]:
    """The entries in groups that each fit a file; one that is larger by itself has a file of its own."""
    limit = SHARD if shard is None else shard
    groups: list[list[Entry]] = [[]]
    filled = 0
    for entry in entries:
        if groups[-1] and filled + entry.nbytes > limit:
            groups.append([])
            filled = 0
        groups[-1].append(entry)
        filled += entry.nbytes
    return groups


def write_weights(
    folder: Path,
    entries: Iterable[Entry],
    shard: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Write the state_dict; gives the name of the file to load: the weights, or their shards' index."""
    groups = shards(entries, shard)
    if len(groups) == 1:
        _write_file(folder / "model.safetensors", groups[0], progress)
        return "model.safetensors"
    index = {}
    for at, group in enumerate(groups, 1):
        name = f"model-{at:05}-of-{len(groups):05}.safetensors"
        _write_file(folder / name, group, progress)
        index.update({entry.name: name for entry in group})
    total = sum(entry.nbytes for group in groups for entry in group)
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2)
    (folder / "model.safetensors.index.json").write_text(text + "\n")
    return "model.safetensors.index.json"


def _write_file(path: Path, entries: list[Entry], progress: Callable[[int], None] | None) -> None:
    """One safetensors file: the header's length, the header, then the tensors one after another.

    The library's writer takes all tensors at once; this one holds one at a time.
    """
    header: dict[str, Any] = {
        "__metadata__": {"format": "pt", "torchport": json.dumps(provenance(entries))},
    }
    start = 0
    for entry in entries:
        header[entry.name] = {
            "dtype": DTYPES[entry.dtype], "shape": entry.shape, "data_offsets": [start, start + entry.nbytes],
        }  # fmt: skip
        start += entry.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for entry in entries:
            written = sum(file.write(piece.reshape(-1).view("uint8").data) for piece in entry.pieces())
            if written != entry.nbytes:
                what = f"has {written} bytes, its header says {entry.nbytes}"
                raise TorchportError(what, where=entry.source)
            if progress:
                progress(entry.nbytes)
