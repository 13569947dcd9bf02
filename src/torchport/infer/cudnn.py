"""Weights of CuDNNLSTM and CuDNNGRU in a model of LSTM and GRU, and the other way round.

What was trained on a GPU is loaded into a model that runs without one: tf-keras tells by the bias's size how
weights are kept, and turns them. Source: tf_keras/src/saving/legacy/hdf5_format.py, _convert_rnn_weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torchport.graph import Op, Shape, Weight, is_keras_2

GATES = {"LSTM": 4, "GRU": 3}
#: Options under which a layer computes what cuDNN does.
CUDNN = {
    "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True,
    "dropout": 0, "recurrent_dropout": 0,
}  # fmt: skip


def as_stored(op: Op, dialect: str) -> Op:
    """The op as a layer of the kind whose weights the file has."""
    if not is_keras_2(dialect):
        return op
    weights = list(op.stored.values())
    if op.kind != "Bidirectional":
        kind, config = _kind(op.kind, op.config, weights)
        return replace(op, kind=kind, config=config)
    half, config = len(weights) // 2, dict(op.config)
    for name, part in (("layer", weights[:half]), ("backward_layer", weights[half:])):
        entry = config.get(name)
        if isinstance(entry, Mapping) and isinstance(entry.get("config"), Mapping):
            kind, inner = _kind(str(entry.get("class_name")), entry["config"], part)
            config[name] = {**entry, "class_name": kind, "config": inner}
    return replace(op, config=config)


def _kind(kind: str, config: Mapping[str, Any], weights: Sequence[Weight]) -> tuple[str, Mapping[str, Any]]:
    """The kind of layer that has these weights, and its options."""
    base = kind.removeprefix("CuDNN")
    if base not in GATES or len(weights) != 3:
        return kind, config
    size, shape = GATES[base] * int(config["units"]), weights[2].shape
    if kind != base:
        plain: Shape = (size,) if base == "LSTM" else (2, size)
        more = {"reset_after": True} if base == "GRU" else {}
        return (base, {**config, **more}) if shape == plain else (kind, config)
    is_cudnn = shape == (2 * size,) and all(config.get(key, value) == value for key, value in CUDNN.items())
    return (f"CuDNN{base}", config) if is_cudnn else (kind, config)
