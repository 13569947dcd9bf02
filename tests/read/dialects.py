"""One network in the files of every Keras version, written by hand from what the formats say."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def arrays(*shapes: Sequence[int], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.1, 1.0, shape).astype("float32") for shape in shapes]


@dataclass(frozen=True)
class Item:
    """A layer: its class, options as Keras 2 writes them, and its variables as Keras 2 and 3 have them."""

    name: str
    kind: str
    options: Mapping[str, Any]
    weights: Sequence[np.ndarray] = ()


CNN = (
    [None, 12, 8, 3],
    [
        Item(
            "conv",
            "Conv2D",
            {
                "filters": 5,
                "kernel_size": [3, 2],
                "strides": [1, 1],
                "padding": "same",
                "data_format": "channels_last",
                "activation": "relu",
                "use_bias": True,
            },
            arrays((3, 2, 3, 5), (5,), seed=1),
        ),
        Item(
            "norm",
            "BatchNormalization",
            {"axis": 3, "momentum": 0.9, "epsilon": 0.001},
            arrays((5,), (5,), (5,), (5,), seed=2),
        ),
        Item("leaky", "LeakyReLU", {"alpha": 0.25}),
        Item(
            "pool",
            "MaxPooling2D",
            {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": "channels_last"},
        ),
        Item("drop", "Dropout", {"rate": 0.25}),
        Item("flat", "Flatten", {}),
        Item(
            "dense",
            "Dense",
            {"units": 4, "activation": "softmax", "use_bias": True},
            arrays((120, 4), (4,), seed=3),
        ),
    ],
)
LSTM = (
    [None, 7, 3],
    [
        Item(
            "lstm",
            "LSTM",
            {"units": 5, "activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": True},
            arrays((3, 20), (5, 20), (20,), seed=4),
        ),
        Item(
            "gru",
            "GRU",
            {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid"},
            arrays((5, 12), (4, 12), (12,), seed=5),
        ),
        Item(
            "dense",
            "Dense",
            {"units": 2, "activation": "linear", "use_bias": True},
            arrays((4, 2), (2,), seed=6),
        ),
    ],
)
NETWORKS = {"cnn": CNN, "rnn": LSTM}
Network = tuple[list[int | None], list[Item]]

#: Keras 2's options by their names in Keras 1.
OLD = {
    "padding": "border_mode",
    "strides": "subsample",
    "use_bias": "bias",
    "filters": "nb_filter",
    "rate": "p",
    "units": "output_dim",
    "recurrent_activation": "inner_activation",
    "data_format": "dim_ordering",
}


def keras_1_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    new = {OLD.get(key, key): value for key, value in options.items()}
    if "kernel_size" in new:
        new["nb_row"], new["nb_col"] = new.pop("kernel_size")
        new |= {"init": "glorot_uniform", "W_regularizer": None, "b_constraint": None}
    if "dim_ordering" in new:
        new["dim_ordering"] = {"channels_last": "tf", "channels_first": "th"}[new["dim_ordering"]]
    if kind == "MaxPooling2D":
        new["strides"] = new.pop("subsample")
    if kind == "BatchNormalization":
        new |= {"mode": 0, "gamma_regularizer": None}
    if kind in ("LSTM", "GRU"):
        new |= {
            "init": "glorot_uniform",
            "inner_init": "orthogonal",
            "forget_bias_init": "one",
            "dropout_W": 0.0,
            "dropout_U": 0.0,
            "U_regularizer": None,
            "consume_less": "cpu",
            "return_sequences": options.get("return_sequences", False),
            "go_backwards": False,
            "stateful": False,
            "unroll": False,
            "input_dim": 3,
            "input_length": None,
        }
    return new


def keras_1_weights(item: Item) -> list[tuple[str, np.ndarray]]:
    """A layer's variables as Keras 1 saved them, by its names."""
    gates = {"LSTM": ("ifco", "icfo"), "GRU": ("zrh", "zrh")}.get(item.kind)
    if gates is None:
        names = ("gamma", "beta", "running_mean", "running_std") if len(item.weights) == 4 else "Wb"
        return [(f"{item.name}_{name}", it) for name, it in zip(names, item.weights, strict=False)]
    cut = [np.split(it, len(gates[0]), axis=-1) for it in item.weights]
    return [
        (f"{item.name}_{letter}_{gate}", pieces[gates[0].index(gate)])
        for gate in gates[1]
        for letter, pieces in zip("WUb", cut, strict=True)
    ]


def keras_2_weights(item: Item) -> list[tuple[str, np.ndarray]]:
    names = {4: ("gamma", "beta", "moving_mean", "moving_variance"), 2: ("kernel", "bias")}.get(
        len(item.weights), ("kernel", "recurrent_kernel", "bias")
    )
    return [(f"{item.name}/{name}:0", it) for name, it in zip(names, item.weights, strict=False)]


def fill(
    group: h5py.Group,
    items: Sequence[Item],
    weights: Callable[[Item], list[tuple[str, np.ndarray]]],
    names: Sequence[str] = (),
) -> None:
    """The groups of a legacy file."""
    group.attrs["layer_names"] = np.array([it.encode() for it in (names or [i.name for i in items])])
    for item in items:
        own = group.create_group(item.name)
        found = weights(item)
        own.attrs["weight_names"] = np.array([name.encode() for name, _ in found], "S99")
        for name, array in found:
            own[name] = array


def legacy(path: Path, config: Any, version: str | None, put: Callable[[h5py.Group], None]) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        if version:
            file.attrs["keras_version"] = version.encode()
        if version and not version.startswith("1"):
            file.attrs["backend"] = b"tensorflow"
        put(file.create_group("model_weights"))
    return path


def keras_1_config(network: Network) -> dict[str, Any]:
    shape, items = network
    layers = [
        {
            "class_name": {"Conv2D": "Convolution2D"}.get(it.kind, it.kind),
            "config": {"name": it.name, "trainable": True, **keras_1_options(it.kind, it.options)},
        }
        for it in items
    ]
    layers[0]["config"] |= {"batch_input_shape": shape, "input_dtype": "float32"}
    return {"class_name": "Sequential", "config": layers, "keras_version": "1.2.2"}


def keras_1(path: Path, network: Network) -> Path:
    return legacy(
        path, keras_1_config(network), "1.2.2", lambda group: fill(group, network[1], keras_1_weights)
    )


def entries(network: Network, **more: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The layers as Keras 2 writes them; `more`: what a version adds to a class."""
    return [
        {
            "class_name": it.kind,
            "config": {"name": it.name, "trainable": True, **it.options, **more.get(it.kind, {})},
        }
        for it in network[1]
    ]


def keras_2_0(path: Path, network: Network) -> Path:
    """A Sequential model is a list, and the GRU has no `reset_after`."""
    layers = entries(network, LSTM={"implementation": 0}, GRU={"implementation": 0})
    layers[0]["config"] |= {"batch_input_shape": network[0], "dtype": "float32"}
    config = {"class_name": "Sequential", "config": layers}
    return legacy(path, config, "2.0.8", lambda group: fill(group, network[1], keras_2_weights))


def keras_2_2(path: Path, network: Network) -> Path:
    """tf.keras 1.13: the axis of a batch norm is a list, GRUs say `reset_after`."""
    layers = entries(
        network,
        BatchNormalization={"axis": [3], "renorm": False},
        GRU={"reset_after": False, "time_major": False},
    )
    layers[2]["config"]["dtype"] = "float32"
    layers[0]["config"] |= {"batch_input_shape": network[0], "dtype": "float32"}
    config = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    return legacy(path, config, "2.2.4-tf", lambda group: fill(group, network[1], keras_2_weights))


def functional(network: Network) -> dict[str, Any]:
    """The same as a graph, with keys that today's Keras refuses."""
    layers = entries(
        network, Conv2D={"groups": 1}, BatchNormalization={"axis": [3]}, GRU={"reset_after": False}
    )
    start = {
        "class_name": "InputLayer",
        "name": "x",
        "inbound_nodes": [],
        "config": {
            "name": "x",
            "batch_input_shape": network[0],
            "dtype": "float32",
            "sparse": False,
            "ragged": False,
        },
    }
    before = "x"
    for it in layers:
        it |= {"name": it["config"]["name"], "inbound_nodes": [[[before, 0, 0, {}]]]}
        before = it["name"]
    config = {
        "name": "sequential",
        "layers": [start, *layers],
        "input_layers": [["x", 0, 0]],
        "output_layers": [[before, 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def keras_2_4(path: Path, network: Network) -> Path:
    items = [Item("x", "InputLayer", {}), *network[1]]
    config = functional(network)
    return legacy(path, config, "2.4.0", lambda group: fill(group, items, keras_2_weights))


def built(keras: Any, network: Network, names: bool = True) -> Any:
    """The model of keras or tf_keras."""
    is_2 = keras.__name__ == "tf_keras"
    made = [keras.Input(network[0][1:], name="x")]
    for it in network[1]:
        options = dict(it.options)
        if it.kind == "LeakyReLU" and not is_2:
            options["negative_slope"] = options.pop("alpha")
        if it.kind == "GRU":
            options["reset_after"] = False
        made.append(getattr(keras.layers, it.kind)(**options, **({"name": it.name} if names else {})))
    model = keras.Sequential(made, name="sequential")
    for layer, it in zip(model.layers, network[1], strict=True):
        layer.set_weights(list(it.weights))
    return model


def tfjs(
    folder: Path, network: Network, quantised: str = "", shard: int = 1 << 22, config: Any = None
) -> Path:
    """model.json and shards of at most `shard` bytes; kernels kept as `quantised`."""
    folder.mkdir(parents=True, exist_ok=True)
    listed, data = [], b""
    for name, array in (pair for it in network[1] for pair in keras_2_weights(it)):
        entry: dict[str, Any] = {
            "name": name.removesuffix(":0"),
            "shape": list(array.shape),
            "dtype": "float32",
        }
        if quantised == "float16":
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            data += array.astype("<f2").tobytes()
        elif quantised:
            low, levels = float(array.min()), np.iinfo(quantised).max
            scale = (float(array.max()) - low) / levels
            entry["quantization"] = {
                "dtype": quantised,
                "min": low,
                "scale": scale,
                "original_dtype": "float32",
            }
            data += np.round((array - low) / scale).astype(f"<u{np.dtype(quantised).itemsize}").tobytes()
        else:
            data += array.astype("<f4").tobytes()
        listed.append(entry)
    pieces = [data[at : at + shard] for at in range(0, len(data), shard)]
    paths = [f"group1-shard{at + 1}of{len(pieces)}.bin" for at in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        (folder / path).write_bytes(piece)
    tree = {
        "format": "layers-model",
        "generatedBy": "keras v2.4.0",
        "convertedBy": "TensorFlow.js Converter v3",
        "modelTopology": {
            "keras_version": "2.4.0",
            "backend": "tensorflow",
            "model_config": config or functional(network),
        },
        "weightsManifest": [{"paths": paths, "weights": listed}],
    }
    (folder / "model.json").write_text(json.dumps(tree))
    return folder / "model.json"


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            yield name, file.read(name)


def as_bytes(fill: Callable[[h5py.File], None]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()
