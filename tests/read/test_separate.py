"""Weights in one file, the architecture in another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from tests.quick import QUICK

import torchport
from torchport.errors import BadFile, TorchportError

from . import dialects
from .dialects import CNN, NETWORKS, fill, keras_1_weights


def tensors(port: Any) -> dict[str, np.ndarray]:
    return {entry.name: entry.array() for entry in port.program.entries}


def same(ours: Any, theirs: Any) -> None:
    assert ours.code == theirs.code
    a, b = tensors(ours), tensors(theirs)
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in b)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_json_and_weights(package: Any, ending: str, network: str, tmp_path: Path) -> None:
    model = dialects.built(package, NETWORKS[network])
    weights, architecture = tmp_path / f"w{ending}", tmp_path / "model.json"
    if package is keras and ending == ".h5":
        pytest.skip("Keras 3 writes no such file")
    model.save_weights(weights)
    architecture.write_text(model.to_json())
    found = torchport.convert(weights, config=architecture, class_name="Net")
    same(found, torchport.convert(model, class_name="Net"))


@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_a_function_that_builds_it(ending: str, tmp_path: Path) -> None:
    """Its layers have other names than those that were saved: they match by their turn, as in Keras."""
    package = keras if ending == ".weights.h5" else tf_keras
    model = dialects.built(package, CNN, names=False)
    model.save_weights(tmp_path / f"w{ending}")
    (tmp_path / "arch.py").write_text(
        f"import {package.__name__} as keras\nfrom tests.read.dialects import CNN, built\n"
        "def build():\n    return built(keras, CNN, names=False)\n"
        "def wrong():\n    return 3\n"
        "def other():\n    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])\n"
    )
    os.environ["PYTHONPATH"] = os.getcwd()
    import sys

    sys.path.insert(0, os.getcwd())
    config = f"{tmp_path / 'arch.py'}:"
    port = torchport.convert(tmp_path / f"w{ending}", config=f"{config}build")
    assert sorted(it.tobytes() for it in tensors(port).values()) == sorted(
        it.tobytes() for it in tensors(torchport.convert(model)).values()
    )
    result = torchport.verify(tmp_path / f"w{ending}", port, config=f"{config}build", **QUICK)
    assert result.passed
    for name, said in (
        ("wrong", "not a Keras model"),
        ("missing", "cannot be run"),
        ("other", "weights|belong|group"),
    ):
        with pytest.raises(TorchportError, match=said):
            torchport.convert(tmp_path / f"w{ending}", config=f"{config}{name}")


def test_keras_1_in_two_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        fill(file, CNN[1], keras_1_weights)
    (tmp_path / "model.json").write_text(json.dumps(dialects.keras_1_config(CNN)))
    port = torchport.convert(tmp_path / "w.h5", config=tmp_path / "model.json", class_name="Net")
    same(port, torchport.convert(dialects.keras_1(tmp_path / "m.h5", CNN), class_name="Net"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "should be a dictionary"),
        ("{}", "not a Keras architecture"),
        ("{", "not valid JSON"),
        ('{"class_name": "Sequential", "config": 3, "module": "keras"}', "should be a dictionary"),
        ('{"class_name": "Sequential", "config": [], "keras_version": 3}', "keras_version should be"),
    ],
)
def test_bad_architectures(text: str, said: str, tmp_path: Path) -> None:
    dialects.built(keras, CNN).save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(TorchportError, match=said):
        torchport.convert(tmp_path / "w.weights.h5", config=tmp_path / "model.json")


def test_whole_models_need_no_architecture(tmp_path: Path) -> None:
    model = dialects.built(keras, CNN)
    (tmp_path / "model.json").write_text(model.to_json())
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        with pytest.raises(TorchportError, match="holds its architecture"):
            torchport.convert(tmp_path / name, config=tmp_path / "model.json")
    with pytest.raises(BadFile, match="cannot be opened"):
        torchport.convert(tmp_path / "missing.h5", config=tmp_path / "model.json")
    model.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(TorchportError, match="--config|architecture"):
        torchport.convert(tmp_path / "w.weights.h5")


@pytest.mark.parametrize("quantised", ["", "float16", "uint8", "uint16"])
def test_tfjs_numbers(quantised: str, tmp_path: Path) -> None:
    """Quantised values are min + scale * q, as TensorFlow.js computes them."""
    port = torchport.convert(dialects.tfjs(tmp_path / "web", CNN, quantised, shard=97))
    exact = tensors(torchport.convert(dialects.built(keras, CNN)))
    spread = {"": 0, "float16": 1e-3, "uint8": 0.9 / 255, "uint16": 0.9 / 65535}[quantised]
    for key, array in tensors(port).items():
        assert array.dtype == exact[key].dtype and np.abs(
            array - exact[key]
        ).max() <= spread * 1.01 / 2 + 1e-7 * bool(spread)


def changed(tmp_path: Path, change: Callable[[Any], Any]) -> Path:
    path = dialects.tfjs(tmp_path / "web", CNN)
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    return path


def first(tree: Any) -> Any:
    return tree["weightsManifest"][0]["weights"][0]


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "up": (lambda t: t["weightsManifest"][0].update(paths=["../secret.bin"]), "not beside it"),
    "up inside": (lambda t: t["weightsManifest"][0].update(paths=["a/../../secret.bin"]), "not beside it"),
    "absolute": (lambda t: t["weightsManifest"][0].update(paths=["/etc/passwd"]), "not beside it"),
    "windows": (lambda t: t["weightsManifest"][0].update(paths=["..\\secret.bin"]), "not beside it"),
    "drive": (lambda t: t["weightsManifest"][0].update(paths=["C:\\secret.bin"]), "not beside it"),
    "link": (lambda t: t["weightsManifest"][0].update(paths=["link.bin"]), "not a file beside it"),
    "folder": (lambda t: t["weightsManifest"][0].update(paths=["folder"]), "not a file beside it"),
    "missing": (lambda t: t["weightsManifest"][0].update(paths=["none.bin"]), "missing"),
    "null": (lambda t: t["weightsManifest"][0].update(paths=["a\0b"]), "not beside it"),
    "number": (lambda t: t["weightsManifest"][0].update(paths=[3]), "should be a text"),
    "huge": (lambda t: first(t).update(shape=[2**31 - 1] * 4), "cut off"),
    "negative": (lambda t: first(t).update(shape=[-1, 3]), "whole number"),
    "axes": (lambda t: first(t).update(shape=[1] * 99), "axes"),
    "text": (lambda t: first(t).update(dtype="string"), "not a kind of number"),
    "complex": (lambda t: first(t).update(dtype="complex64"), "not a kind of number"),
    "quantised": (lambda t: first(t).update(quantization={"dtype": "uint8"}), "not a number"),
    "nan": (
        lambda t: first(t).update(quantization={"dtype": "uint8", "min": float("nan"), "scale": 1}),
        "not a number",
    ),
    "odd": (lambda t: first(t).update(quantization={"dtype": "object"}), "kept as"),
    "twice": (lambda t: t["weightsManifest"][0]["weights"][1].update(name="conv/kernel"), "twice"),
    "short": (lambda t: t["weightsManifest"][0]["weights"].pop(), "its weights take"),
    "stranger": (lambda t: first(t).update(name="nobody/kernel"), "belong to no layer"),
    "shape": (lambda t: first(t).update(shape=[90]), "has the shape"),
    "graph": (lambda t: t.update(format="graph-model"), "graph model"),
    "empty": (lambda t: t.pop("modelTopology"), "no modelTopology"),
    "list": (lambda t: t.update(modelTopology=[1]), "should be a dictionary"),
    "manifest": (lambda t: t.update(weightsManifest={"a": 1}), "should be a list"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tfjs(name: str, tmp_path: Path) -> None:
    change, said = HOSTILE[name]
    path = changed(tmp_path, change)
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    (tmp_path / "web" / "link.bin").symlink_to(tmp_path / "secret.bin")
    (tmp_path / "web" / "folder").mkdir()
    with pytest.raises(TorchportError, match=said):
        torchport.convert(path)


def test_a_shard_that_becomes_shorter(tmp_path: Path) -> None:
    port = torchport.convert(dialects.tfjs(tmp_path / "web", CNN))
    (shard,) = (tmp_path / "web").glob("*.bin")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(BadFile, match="cut off"):
        port.save(tmp_path / "port")


def test_a_folder_is_its_model_json(tmp_path: Path) -> None:
    path = dialects.tfjs(tmp_path / "web", CNN)
    same(torchport.convert(path.parent, class_name="Net"), torchport.convert(path, class_name="Net"))
