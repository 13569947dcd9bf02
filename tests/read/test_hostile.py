"""Files that are broken or made to do harm: refused in words, with nothing run or written."""

from __future__ import annotations

import io
import json
import resource
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from torchport.errors import BadFile, TorchportError
from torchport.read import members as zip_members
from torchport.read import read

from .files import KERNEL, archive, dense, legacy, members, model, weights


def refuses(path: Path, words: str) -> None:
    with pytest.raises(BadFile) as caught:
        read(path)
    assert words in str(caught.value)
    assert str(path) in caught.value.where
    assert caught.value.advice


@pytest.mark.parametrize("data", [b"", b"P", b"hello, world", b"\x00" * 1000])
def test_neither_zip_nor_hdf5(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(data)
    refuses(path, "neither a Keras archive")


def test_no_file_and_folder(tmp_path: Path) -> None:
    refuses(tmp_path / "gone.keras", "cannot be opened")
    refuses(tmp_path, "is a folder")
    with pytest.raises(BadFile, match="cannot be opened"):
        read("m\0.keras")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("make", ["keras", "h5"])
def test_truncated(tmp_path: Path, make: str, share: float) -> None:
    path = tmp_path / "m"
    archive(path, members()) if make == "keras" else legacy(path)
    data = path.read_bytes()
    path.write_bytes(data[: max(9, int(share * len(data)))])
    with pytest.raises(BadFile):
        read(path)


MEMBERS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no config": ({"config_json": None}, "no member config.json"),
    "no metadata": ({"metadata_json": None}, "no member metadata.json"),
    "no weights": ({"model_weights_h5": None}, "has no weights"),
    "numpy": ({"model_weights_h5": None, "model.weights.npz": b""}, "NumPy's format"),
    "not JSON": ({"config_json": b"{"}, "not valid JSON"),
    "not UTF-8": ({"config_json": b'"\xff"'}, "not valid JSON"),
    "a number": ({"config_json": b"5"}, "should be a dictionary, not 5"),
    "a list": ({"config_json": b"[]"}, "should be a dictionary"),
    "null": ({"metadata_json": b"null"}, "should be a dictionary"),
    "version": ({"metadata_json": b'{"keras_version": 3}'}, "keras_version should be a text"),
    "deep": ({"config_json": b"[" * 100_000 + b"]" * 100_000}, "nested too deeply"),
    "deep objects": ({"config_json": b'{"a":' * 990 + b"1" + b"}" * 990}, "nested too deeply"),
    "long number": ({"config_json": b"1" * 5000}, "not valid JSON"),
    "weights are text": ({"model_weights_h5": b"hello"}, "cannot be read as HDF5"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_members(tmp_path: Path, case: str) -> None:
    changes, words = MEMBERS[case]
    refuses(archive(tmp_path / "m.keras", members(**changes)), words)


@pytest.mark.parametrize("size", ["1e999", "-1e999", "NaN", "1e3", "true", '"7"', "99999999999999999999"])
def test_sizes_that_are_none(tmp_path: Path, size: str) -> None:
    config = json.dumps(model()).replace("[null, 7]", f"[null, {size}]").encode()
    assert size.encode() in config
    refuses(archive(tmp_path / "m.keras", members(config_json=config)), "whole number")


def test_models_in_models_in_models(tmp_path: Path) -> None:
    config = model()
    for _ in range(105):
        config = model(config)
    empty = weights(lambda file: None)
    parts = members(config_json=json.dumps(config).encode(), model_weights_h5=empty)
    refuses(archive(tmp_path / "m.keras", parts), "nested in each other more than 101 deep")


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:evil", "..\\evil", "\\evil", "assets/.."]
)
def test_members_that_lead_out(tmp_path: Path, name: str) -> None:
    refuses(archive(tmp_path / "m.keras", {**members(), name: b"x"}), "leads out of the archive")
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]


def test_symbolic_link(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", members())
    link = zipfile.ZipInfo("assets")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, "/etc/passwd")
    refuses(path, "symbolic link")


def test_two_members_of_a_name(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", members())
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as file:
        warnings.simplefilter("ignore")
        file.writestr("config.json", b"{}")
    refuses(path, "two members called 'config.json'")


def test_encrypted(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", members())
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refuses(path, "encrypted")


def declare(path: Path, name: str, size: int) -> None:
    """Makes the directory of an archive declare another size for a member."""
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name.encode():
        at = data.index(b"PK\x01\x02", at + 4)
    data[at + 24 : at + 28] = struct.pack("<I", size)
    path.write_bytes(data)


def test_bomb_in_the_directory(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", members(), zipfile.ZIP_DEFLATED)
    declare(path, "model.weights.h5", 2**32 - 2)
    refuses(path, "would unpack from")


def test_bomb_that_hides_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while unpacking is counted, whatever the directory says."""
    monkeypatch.setattr(zip_members, "HARMLESS", 2**40)
    zeros = members(model_weights_h5=b"\0" * (64 * 2**20))
    path = archive(tmp_path / "m.keras", zeros, zipfile.ZIP_DEFLATED)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    declare(path, "model.weights.h5", 1000)
    with pytest.raises(BadFile):
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kB


def test_long_config_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchport.read.archive.CONFIG_LIMIT", 100)
    refuses(archive(tmp_path / "m.keras", members()), "more than 100 bytes")


def test_size_beyond_the_file(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", members())
    declare(path, "model.weights.h5", 2**20)
    refuses(path, "cut off")


def external(file: h5py.File) -> None:
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(file: h5py.File) -> None:
    file["secret"] = KERNEL
    file["layers/dense/vars/0"] = h5py.SoftLink("/secret")


def hard_cycle(file: h5py.File) -> None:
    file["layers/dense/vars/0"] = KERNEL
    file["layers/dense/vars/again"] = file["layers"]


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((7, 3), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (7, 3))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def outside(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (7, 3), "float32", external=[("/etc/passwd", 0, 84)])


def absurd(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (2**40, 2**20), "float32", chunks=(1024, 1024))


def unwritten(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (2**20, 2**20), "float32")


def deep_groups(file: h5py.File) -> None:
    file["/".join("a" * 400)] = 3


HDF5: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "external link": (external, "link to another place"),
    "soft link": (soft, "link to another place"),
    "cycle": (hard_cycle, "second link to the same object"),
    "virtual": (virtual, "lie in another file"),
    "external data": (outside, "lie in another file"),
    "absurd": (absurd, "claims to hold"),
    "unwritten": (unwritten, "claims to hold"),
    "deep": (deep_groups, "more groups in groups"),
    "empty": (lambda f: f.create_dataset("e", data=h5py.Empty("f")), "is empty"),
}


@pytest.mark.parametrize("place", ["archive", "legacy"])
@pytest.mark.parametrize("case", HDF5)
def test_hdf5(tmp_path: Path, case: str, place: str) -> None:
    fill, words = HDF5[case]
    if place == "archive":
        path = archive(tmp_path / "m.keras", members(model_weights_h5=weights(fill)))
    else:
        path = legacy(tmp_path / "m.h5")
        with h5py.File(path, "a") as file:
            fill(file)
    refuses(path, words)


def test_compressed_zeros_are_a_model_too(tmp_path: Path) -> None:
    """A thousandfold compression is what deflate makes of zeros: no lie, and read as such."""

    def fill(file: h5py.File) -> None:
        file.create_dataset("layers/dense/vars/0", data=np.zeros((1024, 1031), "f"), compression=9)

    graph = read(archive(tmp_path / "m.keras", members(model_weights_h5=weights(fill))))
    assert not graph.ops[0].stored["vars/0"].load().any()


def test_file_that_is_damaged_after_it_was_read(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        noise = np.random.default_rng(3).normal(size=(301, 307))
        file.create_dataset("layers/dense/vars/0", data=noise, compression=9)

    path = archive(tmp_path / "m.keras", members(model_weights_h5=weights(fill)))
    (weight,) = read(path).ops[0].stored.values()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\0" * (size // 4))
    with pytest.raises(BadFile, match="cannot be read as HDF5"):
        weight.load()


HOSTILE_NAMES = [
    'x"); import os #',
    "a\nb",
    "__class__",
    "../../x",
    "a'b\"c\\",
    "\u202e",
    "",
    " " * 99,
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_pass_as_data(tmp_path: Path, name: str) -> None:
    config = json.dumps(model(dense(name), name=name)).encode()

    def fill(file: h5py.File) -> None:
        file["layers/dense/vars/0"] = KERNEL

    parts = members(config_json=config, model_weights_h5=weights(fill))
    graph = read(archive(tmp_path / "m.keras", parts))
    assert (graph.name, graph.ops[0].name) == (name, name)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import marshal
    import pickle

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("code from a model file was touched")

    monkeypatch.setattr(pickle, "loads", never)
    monkeypatch.setattr(marshal, "loads", never)
    code = {"class_name": "__lambda__", "config": {"value": ["gASVAAAAAAAAAA==", None, None]}}
    path = legacy(tmp_path / "m.h5", {"class_name": "Sequential", "config": [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 7]}},
        {"class_name": "Dense", "config": {"name": "d"}},
        {"class_name": "Lambda", "config": {"name": "leaky", "function": code}},
    ]})  # fmt: skip
    assert [op.kind for op in read(path).ops] == ["Dense", "Lambda"]


def test_archive_in_an_archive(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("config.json", b"{}")
    parts = members(model_weights_h5=inner.getvalue())
    with pytest.raises(TorchportError):
        read(archive(tmp_path / "m.keras", parts))
