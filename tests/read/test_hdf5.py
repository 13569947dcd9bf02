"""Whole models in HDF5: the words of 2019, split attributes, variables that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from torchport.errors import BadFile
from torchport.read import read

from .files import BIAS, KERNEL, legacy


@pytest.mark.parametrize("version", [b"2.2.4-tf", "2.2.4-tf", np.bytes_(b"2.2.4-tf")])
def test_model_of_2019(tmp_path: Path, version: object) -> None:
    graph = read(legacy(tmp_path / "m.h5", version=version))
    assert str(graph) == "old(d_input[: ? 7])\n  d = Dense(d_input)\n  leaky = LeakyReLU(d)\n  -> leaky"
    assert graph.dialect == "2.2.4-tf"
    dense, leaky = graph.ops
    assert dense.config == {"trainable": True, "dtype": "float32", "units": 3}
    assert leaky.config == {"negative_slope": 0.25}
    assert [(w.name, w.shape) for w in dense.stored.values()] == [("d/kernel", (7, 3)), ("d/bias", (3,))]
    np.testing.assert_array_equal(dense.stored["0"].load(), KERNEL)
    np.testing.assert_array_equal(dense.stored["1"].load(), BIAS)


def test_split_attributes(tmp_path: Path) -> None:
    path = legacy(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        whole = file.attrs["model_config"]
        del file.attrs["model_config"]
        for number, start in enumerate(range(0, len(whole), 101)):
            file.attrs[f"model_config{number}"] = whole[start : start + 101]
        group = file["model_weights"]
        del group.attrs["layer_names"], group["d"].attrs["weight_names"]
        group.attrs["layer_names0"], group.attrs["layer_names1"] = [b"d"], [b"leaky"]
        group["d"].attrs["weight_names0"] = [b"d/kernel:0"]
        group["d"].attrs["weight_names1"] = [b"d/bias:0"]
    assert [list(op.stored) for op in read(path).ops] == [["0", "1"], []]


def test_compressed_variables(tmp_path: Path) -> None:
    path = legacy(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/kernel:0"]
        file.create_dataset("model_weights/d/d/kernel:0", data=KERNEL, chunks=(3, 2), compression="gzip")
    np.testing.assert_array_equal(read(path).ops[0].stored["0"].load(), KERNEL)


def without(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        place, _, attribute = name.partition("@")
        if attribute:
            del file[place or "/"].attrs[attribute]
        else:
            del file[place]

    return change


def attribute(place: str, name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file[place].attrs.__setitem__(name, value)


CHANGES: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "weights only": (without("@model_config"), "holds no model, only weights"),
    "no weights": (without("model_weights"), "no group model_weights"),
    "no list of layers": (without("model_weights@layer_names"), "does not list its layers"),
    "no group": (without("model_weights/leaky"), "no variables of the layer 'leaky'"),
    "no dataset": (
        without("model_weights/d/d/bias:0"),
        "weight model_weights/d/d/bias:0 is missing",
    ),
    "not listed": (
        attribute("model_weights/d", "weight_names", [b"d/kernel:0"]),
        "belong to no layer",
    ),
    "twice": (
        attribute("model_weights/d", "weight_names", [b"d/kernel:0", b"d/kernel:0"]),
        "listed twice",
    ),
    "extra": (lambda f: f.create_dataset("model_weights/e/e:0", data=BIAS), "belong to no layer"),
    "of the model": (
        lambda f: f.create_dataset("model_weights/top_level_model_weights/w:0", data=BIAS),
        "belong to no layer",
    ),
    "not JSON": (attribute("/", "model_config", b'{"class_name": '), "not valid JSON"),
    "not UTF-8": (attribute("/", "model_config", b"\xff\xfe{}"), "not valid JSON"),
    "a number": (attribute("/", "model_config", 5), "not text"),
    "names are numbers": (attribute("model_weights", "layer_names", [3, 5]), "not text"),
    "out of the group": (
        attribute("model_weights/d", "weight_names", [b"../../optimizer_weights/iterations:0"]),
        "is missing",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_broken(tmp_path: Path, case: str) -> None:
    change, words = CHANGES[case]
    path = legacy(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(BadFile) as caught:
        read(path)
    assert words in str(caught.value)
    assert str(path) in caught.value.where
    assert caught.value.advice


def test_keras_version_is_looked_for_in_both_places(tmp_path: Path) -> None:
    path = legacy(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file.attrs["keras_version"]
        file["model_weights"].attrs["keras_version"] = b"2.0.5"
    assert read(path).dialect == "2.0.5"


def test_layer_names_with_slashes(tmp_path: Path) -> None:
    """TF-style names make groups in groups: `block/d` beside `block`."""
    path = tmp_path / "m.h5"
    layers = [
        {"class_name": "Dense", "config": {"name": "block", "batch_input_shape": [None, 7]}},
        {"class_name": "Dense", "config": {"name": "block/d"}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "2.4.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = ["block", "block/d"]
        group["block/kernel:0"], group["block/d/kernel:0"] = KERNEL, KERNEL + 1
        group["block"].attrs["weight_names"] = ["kernel:0"]
        group["block/d"].attrs["weight_names"] = ["kernel:0"]
    first, second = read(path).ops
    np.testing.assert_array_equal(first.stored["0"].load(), KERNEL)
    np.testing.assert_array_equal(second.stored["0"].load(), KERNEL + 1)
