"""Calls that name their tensors compute what those do that give them by place."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchport

CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "dense": lambda of, x, z: of.Dense(3)(inputs=x),
    "conv": lambda of, x, z: of.Conv1D(3, 2)(inputs=x),
    "query, value": lambda of, x, z: of.MultiHeadAttention(2, 4)(query=x, value=z),
    "query, value, key": lambda of, x, z: of.MultiHeadAttention(2, 4)(query=x, key=z, value=z),
    "value": lambda of, x, z: of.MultiHeadAttention(2, 4)(x, value=z),
    "attention": lambda of, x, z: of.Attention()(inputs=[x, z]),
    "add": lambda of, x, z: of.Add()(inputs=[x, z]),
    "dropout": lambda of, x, z: of.Dense(2)(inputs=of.Dropout(0.5)(inputs=x)),
    "steps": lambda of, x, z: of.TimeDistributed(of.Dense(3))(inputs=x),
}
KERAS_3: dict[str, Callable[[Any, Any, Any], Any]] = {
    "lstm": lambda of, x, z: of.LSTM(3)(sequences=x),
    "both": lambda of, x, z: of.Bidirectional(of.LSTM(3))(sequences=x),
    "groups": lambda of, x, z: of.GroupQueryAttention(4, 4, 2)(query=x, value=z),
}


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
def test_tensors_by_name(of: str) -> None:
    keras = importlib.import_module(of)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 6, 4)).astype("float32") for _ in range(2)]
    for name, build in {**CALLS, **(KERAS_3 if of == "keras" else {})}.items():
        x, z = keras.Input((6, 4)), keras.Input((6, 4))
        model = keras.Model([x, z], [build(keras.layers, x, z), keras.layers.Flatten()(z)])
        port = torchport.convert(model, keep_io=True)
        ours = port.module()(*map(torch.from_numpy, arrays))
        for got, want in zip(ours, model(arrays), strict=True):
            np.testing.assert_allclose(got.detach().numpy(), np.asarray(want), atol=1e-5, err_msg=name)


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
def test_a_model_in_the_model_by_name(of: str) -> None:
    keras = importlib.import_module(of)
    start, x = keras.Input((4,)), keras.Input((4,))
    inner = keras.Model(start, keras.layers.Dense(3)(start))
    model = keras.Model(x, inner(inputs=x))
    array = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    ours = torchport.convert(model).module()(torch.from_numpy(array)).detach().numpy()
    np.testing.assert_allclose(ours, np.asarray(model(array)), atol=1e-6)
