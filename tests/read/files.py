"""Small model files, written by hand with zipfile and h5py: no Keras needed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

KERNEL = np.arange(21, dtype="float32").reshape(7, 3)
BIAS = np.arange(3, dtype="float32")


def entry(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": config}


def dense(name: str = "d", units: int = 3) -> dict[str, Any]:
    return entry("Dense", name=name, trainable=True, dtype="float32", units=units)


def model(*layers: dict[str, Any], name: str = "m") -> dict[str, Any]:
    start = entry("InputLayer", name="x", batch_shape=[None, 7])
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": name, "layers": [start, *(layers or (dense(),))]},
    }


def weights(fill: Callable[[h5py.File], None] | None = None) -> bytes:
    """The bytes of a model.weights.h5, of one Dense layer unless `fill` says otherwise."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        if fill is None:
            file["layers/dense/vars/0"], file["layers/dense/vars/1"] = KERNEL, BIAS
            file["layers/dense/vars"].attrs["name"] = "d"
        else:
            fill(file)
    return buffer.getvalue()


def members(**changes: bytes | None) -> dict[str, bytes]:
    """The members of a sound archive with some changed or (None) left out; `_` stands for a dot."""
    found: dict[str, bytes | None] = {
        "metadata.json": b'{"keras_version": "3.15.1"}',
        "config.json": json.dumps(model()).encode(),
        "model.weights.h5": weights(),
    }
    found.update({key.replace("_", "."): value for key, value in changes.items()})
    return {name: data for name, data in found.items() if data is not None}


def archive(path: Path, parts: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def legacy(path: Path, config: Any = None, version: Any = b"2.2.4-tf") -> Path:
    """A whole model as tf.keras 2.0 wrote it: bytes for texts, batch_input_shape, no InputLayer."""
    old = {
        "class_name": "Sequential",
        "config": {
            "name": "old",
            "layers": [
                {
                    "class_name": "Dense",
                    "config": {
                        "name": "d",
                        "trainable": True,
                        "batch_input_shape": [None, 7],
                        "dtype": "float32",
                        "units": 3,
                    },
                },
                {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.25}},
            ],
        },
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(old if config is None else config).encode()
        file.attrs["keras_version"], file.attrs["backend"] = version, b"tensorflow"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"d", b"leaky"]
        group.create_group("leaky").attrs["weight_names"] = np.array([], "float64")
        group["d/d/kernel:0"], group["d/d/bias:0"] = KERNEL, BIAS
        group["d"].attrs["weight_names"] = [b"d/kernel:0", b"d/bias:0"]
        file["optimizer_weights/iterations:0"] = 3
    return path
