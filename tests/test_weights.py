"""model.safetensors against the library that reads it, whole and in shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, safe_open

from torchport.axes import Turn
from torchport.emit.weights import Entry, provenance, shards, write_weights
from torchport.errors import TorchportError
from torchport.graph import Weight
from torchport.program import Fill, Load


def loaded(name: str, array: np.ndarray, pattern: str, dtype: str = "") -> Entry:
    """A tensor that comes from a variable; `dtype`: what the variable is said to be."""
    source = Weight(f"{name}/kernel", array.shape, dtype or str(array.dtype), lambda: array)
    return Entry(name, Load("kernel", Turn(pattern), source))


KERNEL = np.arange(6, dtype="float32").reshape(2, 3)
ENTRIES = [
    loaded("fc.weight", KERNEL, "i o -> o i"),
    Entry("norm.count", Fill(7, (), "int64")),
    loaded("half", np.arange(5, dtype="float16"), "o -> o"),
    Entry("ones", Fill(1.0, (2, 2))),
    loaded("flags", np.array([True, False, True]), "o -> o"),
    loaded("short", KERNEL, "i o -> o i", "bfloat16"),
]
BYTES = [24, 8, 10, 16, 3, 24]


def test_sizes_in_bytes() -> None:
    assert [it.nbytes for it in ENTRIES] == BYTES
    assert [it.shape for it in ENTRIES] == [(3, 2), (), (5,), (2, 2), (3,), (3, 2)]


def test_one_file(tmp_path: Path) -> None:
    done: list[int] = []
    assert write_weights(tmp_path, ENTRIES, progress=done.append) == "model.safetensors"
    found = load_file(tmp_path / "model.safetensors")
    assert done == BYTES
    assert {*found} == {it.name for it in ENTRIES}
    for entry in ENTRIES:
        assert found[entry.name].dtype == entry.dtype
        assert np.array_equal(found[entry.name], entry.array())
    assert np.array_equal(found["fc.weight"], KERNEL.T)
    with safe_open(tmp_path / "model.safetensors", "np") as file:  # type: ignore[no-untyped-call]
        assert json.loads(file.metadata()["torchport"]) == provenance(ENTRIES)
    length = int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")
    assert length % 8 == 0  # the numbers begin where the library can map them


def test_where_each_comes_from() -> None:
    said = provenance(ENTRIES[:2])
    assert said == {
        "fc.weight": {"source": "fc.weight/kernel", "pattern": "i o -> o i"},
        "norm.count": {"constant": 7},
    }


@pytest.mark.parametrize(
    ("limit", "groups"),
    [
        (85, [6]),
        (84, [5, 1]),
        (34, [2, 3, 1]),
        (24, [1, 2, 2, 1]),
        (1, [1] * 6),
        (32, [2, 3, 1]),
        (31, [1, 2, 2, 1]),
    ],
)
def test_files_that_are_full(limit: int, groups: list[int]) -> None:
    """As many in order as fit; one that is larger by itself has a file of its own."""
    found = shards(ENTRIES, limit)
    assert [it for group in found for it in group] == ENTRIES
    sizes = [sum(it.nbytes for it in group) for group in found]
    assert all(size <= limit or len(group) == 1 for size, group in zip(sizes, found, strict=True))
    for size, group in zip(sizes, found[1:], strict=False):
        assert size + group[0].nbytes > limit
    assert [len(it) for it in found] == groups


def test_several_files(tmp_path: Path) -> None:
    """An index as Hugging Face writes it: the file of each tensor, and the bytes of all."""
    done: list[int] = []
    assert write_weights(tmp_path, ENTRIES, 34, done.append) == "model.safetensors.index.json"
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": sum(BYTES)} and done == BYTES
    names = [f"model-0000{at}-of-00003.safetensors" for at in (1, 2, 3)]
    assert {it.name for it in tmp_path.glob("*.safetensors")} == {*names}
    assert [*index["weight_map"].values()] == [names[at] for at in (0, 0, 1, 1, 1, 2)]
    for entry in ENTRIES:
        found = load_file(tmp_path / index["weight_map"][entry.name])
        assert np.array_equal(found[entry.name], entry.array())


@pytest.mark.parametrize(
    "array", [KERNEL.astype("float64"), np.zeros((2, 4), "float32"), np.zeros((3, 2), "float32")]
)
def test_a_variable_that_is_not_what_its_file_said(array: np.ndarray, tmp_path: Path) -> None:
    source = Weight("fc/kernel", (2, 3), "float32", lambda: array)
    with pytest.raises(TorchportError, match="float32"):
        write_weights(tmp_path, [Entry("fc.weight", Load("kernel", Turn("i o -> o i"), source))])


def test_a_weight_without_a_variable() -> None:
    entry: Any = Entry("fc.weight", Load("kernel", Turn("i o -> o i")))
    with pytest.raises(TorchportError, match="kernel was never bound"):
        entry.array()
