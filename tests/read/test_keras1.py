"""Keras 1: whole models in `.h5`, its Merge, its kernels for Theano, its models in models."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import torchport
from torchport.errors import BadFile, Refused, TorchportError
from torchport.read import read

from . import dialects
from .dialects import CNN, Item, arrays, fill, keras_1_weights, legacy


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": list(layers)}


def old(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def write(
    path: Path, config: Any, items: list[Item], backend: str = "", names: list[str] | None = None
) -> Path:
    def put(group: h5py.Group) -> None:
        fill(group, items, keras_1_weights, names or [])
        if backend:
            group.attrs["backend"] = backend.encode()

    return legacy(path, config, "1.2.2", put)


@pytest.mark.parametrize("backend", ["", "tensorflow", "theano"])
@pytest.mark.parametrize("order", ["th", "tf"])
def test_kernels_of_theano(order: str, backend: str, tmp_path: Path) -> None:
    """`dim_ordering` says how the axes lie, the backend whether the kernel is turned by 180°."""
    kernel, bias = arrays((3, 2, 3, 5), (5,))
    held = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)) if order == "th" else kernel
    shape = [None, 3, 7, 6] if order == "th" else [None, 7, 6, 3]
    conv = old(
        "Convolution2D",
        "c",
        nb_filter=5,
        nb_row=3,
        nb_col=2,
        subsample=[1, 1],
        border_mode="valid",
        dim_ordering=order,
        bias=True,
        activation="linear",
        batch_input_shape=shape,
        input_dtype="float32",
    )
    item = Item("c", "Convolution2D", {}, [held, bias])
    port = torchport.convert(write(tmp_path / "m.h5", sequential(conv), [item], backend))
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")
    layer = keras.layers.Conv2D(5, (3, 2))
    layer.build(x.shape)
    layer.set_weights([kernel[::-1, ::-1] if backend == "theano" else kernel, bias])
    expected = layer(x).numpy()
    found = port.run(x.transpose(0, 3, 1, 2) if order == "th" else x)
    assert np.allclose(found.transpose(0, 2, 3, 1) if order == "th" else found, expected, atol=1e-5)


@pytest.mark.parametrize("legacy_axes", [False, True])
def test_conv1d_has_an_axis_too_many(legacy_axes: bool, tmp_path: Path) -> None:
    kernel, bias = arrays((3, 4, 5), (5,))
    held = kernel.transpose(2, 1, 0)[..., None] if legacy_axes else kernel[:, None]
    conv = old(
        "Convolution1D",
        "c",
        nb_filter=5,
        filter_length=3,
        subsample_length=1,
        border_mode="same",
        input_dim=4,
        input_length=None,
        batch_input_shape=[None, 9, 4],
        bias=True,
    )
    path = write(tmp_path / "m.h5", sequential(conv), [Item("c", "Convolution1D", {}, [held, bias])])
    (op,) = read(path).ops
    assert np.array_equal(op.stored["0"].load(), kernel) and op.stored["0"].shape == kernel.shape


def test_merge_of_branches(tmp_path: Path) -> None:
    """A Sequential model that starts with a Merge: one input for each branch."""
    one, two, last = arrays((3, 4), (4,)), arrays((5, 4), (4,), seed=1), arrays((8, 2), (2,), seed=2)
    branches = [
        sequential(old("Dense", name, output_dim=4, activation="relu", batch_input_shape=[None, size]))
        for name, size in (("left", 3), ("right", 5))
    ]
    head = old("Merge", "both", mode="concat", concat_axis=-1, mode_type="raw", layers=branches)
    config = sequential(head, old("Dense", "top", output_dim=2, activation="linear"))
    items = [
        Item("left", "Dense", {}, one),
        Item("right", "Dense", {}, two),
        Item("both", "Merge", {}),
        Item("top", "Dense", {}, last),
    ]
    port = torchport.convert(write(tmp_path / "m.h5", config, items))
    a, b = arrays((2, 3), (2, 5), seed=3)
    joined = np.concatenate([np.maximum(a @ one[0] + one[1], 0), np.maximum(b @ two[0] + two[1], 0)], -1)
    assert np.allclose(port.run(a, b), joined @ last[0] + last[1], atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("sum", "Add"),
        ("mul", "Multiply"),
        ("ave", "Average"),
        ("max", "Maximum"),
        ("concat", "Concatenate"),
        ("dot", "Dot"),
    ],
)
def test_merge_in_a_graph(mode: str, kind: str, tmp_path: Path) -> None:
    start = {
        "class_name": "InputLayer",
        "name": "x",
        "inbound_nodes": [],
        "config": {"name": "x", "batch_input_shape": [None, 3], "input_dtype": "int32", "sparse": False},
    }
    merge = {
        **old("Merge", "m", mode=mode, concat_axis=-1, dot_axes=-1),
        "name": "m",
        "inbound_nodes": [[["x", 0, 0], ["x", 0, 0]]],
    }
    config = {
        "class_name": "Model",
        "config": {
            "name": "graph",
            "layers": [start, merge],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["m", 0, 0]],
        },
    }
    graph = read(write(tmp_path / "m.h5", config, [Item("x", "", {}), Item("m", "", {})]))
    assert [op.kind for op in graph.ops] == [kind] and graph.tensors["x"].dtype == "int32"


@pytest.mark.parametrize("mode", ["cos", "lambda", None, 3])
def test_other_merges_are_refused(mode: Any, tmp_path: Path) -> None:
    config = sequential(
        old(
            "Merge",
            "m",
            mode=mode,
            layers=[sequential(old("Dense", "d", output_dim=2, batch_input_shape=[None, 3]))],
        )
    )
    with pytest.raises(Refused, match="mode="):
        read(write(tmp_path / "m.h5", config, [Item("d", "Dense", {}, arrays((3, 2), (2,)))]))


def test_a_model_in_a_model(tmp_path: Path) -> None:
    """Nameless, its variables one list: all that train, then the statistics."""
    dense, norm, last = (
        arrays((3, 4), (4,)),
        arrays((4,), (4,), (4,), (4,), seed=1),
        arrays((4, 2), (2,), seed=2),
    )
    inner = sequential(
        old("Dense", "a", output_dim=4, batch_input_shape=[None, 3]),
        old("BatchNormalization", "b", mode=0, axis=-1, epsilon=1e-3, momentum=0.9),
        old("Dense", "c", output_dim=2),
    )
    held = [*dense, norm[0], norm[1], *last, norm[2], norm[3]]
    names = ("a_W", "a_b", "b_gamma", "b_beta", "c_W", "c_b", "b_mean", "b_std")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        import json

        file.attrs["model_config"] = json.dumps(sequential(inner)).encode()
        file.attrs["keras_version"] = b"1.1.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"sequential_1"]
        group.create_group("sequential_1").attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, held, strict=True):
            group[f"sequential_1/{name}"] = array
    x = arrays((5, 3), seed=9)[0]
    y = x @ dense[0] + dense[1]
    y = (y - norm[2]) / np.sqrt(norm[3] + 1e-3) * norm[0] + norm[1]
    assert np.allclose(torchport.convert(tmp_path / "m.h5").run(x), y @ last[0] + last[1], atol=1e-5)


def test_options_without_an_equivalent_are_refused(tmp_path: Path) -> None:
    norm = old("BatchNormalization", "b", mode=1, axis=-1, batch_input_shape=[None, 4])
    path = write(tmp_path / "m.h5", sequential(norm), [Item("b", "", {}, arrays((4,), (4,), (4,), (4,)))])
    with pytest.raises(Refused, match="mode=1"):
        torchport.convert(path)


def test_keras_0_is_named(tmp_path: Path) -> None:
    with pytest.raises(TorchportError, match="Keras 0.3.3"):
        read(legacy(tmp_path / "m.h5", sequential(), "0.3.3", lambda group: fill(group, [], keras_1_weights)))


@pytest.mark.parametrize("seed", range(120))
def test_a_damaged_configuration_is_a_bad_file(seed: int, tmp_path: Path) -> None:
    """Any piece of the configuration replaced by something else: an error of ours, or it is still read."""
    rng = np.random.default_rng(seed)
    config = copy.deepcopy(dialects.keras_1_config(CNN))
    branch = sequential(*config["config"])
    if seed % 2:
        config = sequential(old("Merge", "m", mode="sum", layers=[branch]))
    places = list(positions(config))
    holder, key = places[rng.integers(len(places))]
    junk = [None, 3, -1, "x", [], {}, [1], {"a": 1}, True, 1e300, "Merge", "Sequential", [[1, 2], 3]]
    holder[key] = junk[rng.integers(len(junk))]
    path = legacy(tmp_path / "m.h5", config, "1.2.2", lambda group: fill(group, CNN[1], keras_1_weights))
    try:
        torchport.convert(path)
    except TorchportError:
        pass


def positions(tree: Any) -> Any:
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from positions(tree[key])


def test_gates_that_do_not_fit(tmp_path: Path) -> None:
    shapes = [(3, 5), (5, 5), (5,)] * 4
    shapes[3] = (4, 5)
    lstm = old("LSTM", "l", output_dim=5, batch_input_shape=[None, 7, 3])
    with h5py.File(tmp_path / "m.h5", "w") as file:
        import json

        file.attrs["model_config"] = json.dumps(sequential(lstm)).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"l"]
        group.create_group("l").attrs["weight_names"] = [f"{at}".encode() for at in range(12)]
        for at, shape in enumerate(shapes):
            group[f"l/{at}"] = np.zeros(shape, "float32")
    with pytest.raises(BadFile, match="gates do not fit"):
        read(tmp_path / "m.h5")
