"""What is no Keras model is named as what it is, by its content, with what to do."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import torchport
from torchport.errors import TorchportError

from .files import archive, members
from .test_saved_model import dense

MAKERS: dict[str, tuple[Callable[[Path], Any], str, str]] = {}


def case(what: str, advice: str) -> Any:
    def enter(make: Callable[[Path], Any]) -> Callable[[Path], Any]:
        MAKERS[make.__name__] = make, what, advice
        return make

    return enter


def network() -> Any:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


@case("Keras 3's model.export", "convert the .keras file")
def exported(path: Path) -> None:
    network().export(path, verbose=False)


@case("no Keras model", "save it as .keras or .h5")
def module(path: Path) -> None:
    made = tf.Module()
    made.v = tf.Variable([1.0, 2.0])
    made.f = tf.function(lambda x: x * made.v, input_signature=[tf.TensorSpec([2])])
    tf.saved_model.save(made, str(path))


def graph_of_tensorflow_1() -> tuple[Any, Any, Any]:
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
        w = tf.compat.v1.get_variable("w", [4, 3], use_resource=False)
        return graph, x, tf.matmul(x, w, name="y")


@case("SavedModel of TensorFlow 1", "rebuild the network")
def tensorflow_1(path: Path) -> None:
    graph, x, y = graph_of_tensorflow_1()
    with tf.compat.v1.Session(graph=graph) as session:
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})


@case("frozen graph", "save it as .keras")
def frozen_graph(path: Path) -> None:
    graph, *_ = graph_of_tensorflow_1()
    path.write_bytes(graph.as_graph_def().SerializeToString())


@case("saved_model.pb under another name", "the folder")
def renamed(path: Path) -> None:
    exported(path.with_name("folder"))
    path.write_bytes((path.with_name("folder") / "saved_model.pb").read_bytes())


@case("TensorFlow Lite", "save it as .keras")
def lite(path: Path) -> None:
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(100)))


@case("ONNX", "save it as .keras")
def onnx(path: Path) -> None:
    graph = b"\x0a\x04" + b"\x22\x02Ad" + b"\x12\x01g"
    path.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x032.0" + b"\x3a" + bytes([len(graph)]) + graph)


@case("graph of TensorFlow 1", "save it as .keras")
def meta_graph(path: Path) -> None:
    graph, *_ = graph_of_tensorflow_1()
    with graph.as_default():
        path.write_bytes(tf.compat.v1.train.export_meta_graph().SerializeToString())


@case("NumPy's .npy", "the model itself")
def one_array(path: Path) -> None:
    np.save(path.with_name("a.npy"), np.ones(3))
    path.with_name("a.npy").rename(path)


@case("PyTorch's already", "torch.load")
def torch_zip(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), path)


@case("PyTorch's already", "as it is")
def torch_old(path: Path) -> None:
    state = torch.nn.Linear(2, 3).state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=False)


@case("pickle", "runs code")
def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": 1}))


@case("Python source", "FILE.py:FUNCTION")
def python(path: Path) -> None:
    path.write_text("import keras\n\ndef build():\n    return keras.Sequential()\n")


@case("safetensors", "load_file")
def safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3)}, path)


@case("unpacked .keras", "zip -0 -r")
def unpacked(path: Path) -> None:
    zipfile.ZipFile(archive(path.with_name("m.keras"), members())).extractall(path)


@case("only weights", "--config model.json")
def weights_3(path: Path) -> None:
    network().save_weights(path.with_name("w.weights.h5"))
    path.with_name("w.weights.h5").rename(path)


@case("only weights", "--config model.json")
def weights_2(path: Path) -> None:
    dense().save_weights(path.with_name("w.h5"))
    path.with_name("w.h5").rename(path)


@case("Keras did not write", "a model that Keras saved")
def other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["table/values"] = np.ones(3)


@case("architecture, but no weights", "--config")
def architecture(path: Path) -> None:
    path.write_text(network().to_json())


@case("NumPy's .npz", "set_weights")
def arrays(path: Path) -> None:
    np.savez(path.with_name("a.npz"), np.ones(3))
    path.with_name("a.npz").rename(path)


@case("Git LFS", "git lfs pull")
def pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")


@case("web page", "download")
def page(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html><html></html>")


@case("port that torchport wrote", "made of")
def port(path: Path) -> None:
    torchport.convert(network()).save(path)


@case("transformers", "PyTorch class")
def transformers(path: Path) -> None:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (path / "tf_model.h5").write_bytes(b"")


@case("a folder", "the file in it, m.keras")
def one_model(path: Path) -> None:
    path.mkdir()
    network().save(path / "m.keras")


@case("packed model", "unpack it")
def packed(path: Path) -> None:
    archive(path, {"saved/saved_model.pb": b"", "saved/variables/variables.index": b""})


def test_addresses() -> None:
    with pytest.raises(TorchportError, match="is an address"):
        torchport.convert("https://example.org/model.h5")


def test_checkpoints_of_tensorflow_1(tmp_path: Path) -> None:
    graph, *_ = graph_of_tensorflow_1()
    with tf.compat.v1.Session(graph=graph) as session:
        session.run(tf.compat.v1.global_variables_initializer())
        with graph.as_default():
            tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"))
    (tmp_path / "model.json").write_text(dense().to_json())
    with pytest.raises(TorchportError, match="checkpoint of TensorFlow 1"):
        torchport.convert(tmp_path / "model.ckpt", config=tmp_path / "model.json")


def test_architectures_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("backend: tensorflow\nclass_name: Sequential\n")
    dense().save_weights(tmp_path / "w.h5")
    with pytest.raises(TorchportError, match="in YAML"):
        torchport.convert(tmp_path / "w.h5", config=tmp_path / "model.yaml")


@pytest.mark.parametrize("name", MAKERS)
def test_what_it_is(name: str, tmp_path: Path) -> None:
    make, what, advice = MAKERS[name]
    make(tmp_path / "thing")
    with pytest.raises(TorchportError) as caught:
        torchport.convert(tmp_path / "thing")
    assert what in caught.value.what
    assert advice in caught.value.advice
    assert "damaged" not in str(caught.value)
