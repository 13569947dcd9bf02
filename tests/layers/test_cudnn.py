"""CuDNNLSTM and CuDNNGRU run on a GPU alone: their ports against what tf-keras makes of the file.

tf-keras converts the weights when it loads the file into a model of LSTM and GRU, which run anywhere.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
import torch
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

import torchport

L = tf_keras.layers
#: LSTM and GRU, as a GPU has them and as a CPU has them.
GPU = (CuDNNLSTM, CuDNNGRU)
CPU = (L.LSTM, L.GRU)


def chain(*layers: Any, shape: tuple[int, ...] = (7, 3)) -> Any:
    return tf_keras.Sequential([tf_keras.Input(shape), *layers])


def states(layer: Callable[..., Any], count: int) -> Any:
    """What a layer gives beside its output goes into another layer as its start."""
    x = tf_keras.Input((7, 3))
    y, *ends = layer(5, return_state=True)(x)
    assert len(ends) == count
    z = layer(5, return_sequences=True)(x, initial_state=ends)
    return tf_keras.Model(x, [y, *ends, z])


def both(layer: Callable[..., Any], mode: str | None = "concat", **options: Any) -> Any:
    x = tf_keras.Input((7, 3))
    return tf_keras.Model(x, L.Bidirectional(layer(5, **options), merge_mode=mode)(x))


def numbered(model: Any) -> Any:
    """The model with layers that are called alike whatever their class."""
    for at, layer in enumerate(model.layers):
        layer._name = f"layer_{at}"
    return model


def nested(layer: Callable[..., Any]) -> Any:
    return chain(chain(layer(5, return_sequences=True), layer(4)), L.Dense(2))


BUILDERS: dict[str, Callable[[Any, Any], Any]] = {
    "lstm": lambda lstm, gru: chain(lstm(5)),
    "gru": lambda lstm, gru: chain(gru(5)),
    "square": lambda lstm, gru: chain(lstm(3), shape=(4, 3)),
    "one unit": lambda lstm, gru: chain(gru(1), shape=(4, 1)),
    "sequences": lambda lstm, gru: chain(lstm(5, return_sequences=True), gru(4, return_sequences=True)),
    "backwards": lambda lstm, gru: chain(
        lstm(5, return_sequences=True, go_backwards=True), gru(4, go_backwards=True)
    ),
    "states of lstm": lambda lstm, gru: states(lstm, 2),
    "states of gru": lambda lstm, gru: states(gru, 1),
    "both": lambda lstm, gru: chain(L.Bidirectional(lstm(5, return_sequences=True)), L.Bidirectional(gru(4))),
    "both, mul": lambda lstm, gru: both(lstm, "mul", return_sequences=True),
    "both, sum": lambda lstm, gru: both(gru, "sum"),
    "both, states": lambda lstm, gru: both(lstm, return_state=True),
    "steps": lambda lstm, gru: chain(L.TimeDistributed(lstm(5)), gru(4), shape=(4, 7, 3)),
    "nested": lambda lstm, gru: nested(gru),
    "frozen": lambda lstm, gru: chain(lstm(5, return_sequences=True, trainable=False), gru(4)),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_as_tf_keras_loads_the_file(build: Callable[[Any, Any], Any], tmp_path: Path) -> None:
    path, rng = tmp_path / "model.h5", np.random.default_rng(0)
    model = build(*GPU)
    model.set_weights([rng.normal(size=it.shape) for it in model.get_weights()])
    model.save(path)
    reference = build(*CPU)
    reference.load_weights(path)
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    for source in (path, model):
        ours = torchport.convert(source).module()(torch.from_numpy(x))
        theirs = reference(x)
        pairs = [(ours, theirs)] if isinstance(ours, torch.Tensor) else zip(ours, theirs, strict=True)
        for got, wanted in pairs:
            np.testing.assert_allclose(got.detach().numpy(), wanted.numpy(), atol=3e-6)


def test_a_state_is_kept_from_batch_to_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def build(layer: Any) -> Any:
        x = tf_keras.Input(batch_shape=(2, 7, 3))
        return tf_keras.Model(x, layer(5, stateful=True)(x))

    model = build(CuDNNGRU)
    model.set_weights([rng.normal(size=it.shape) for it in model.get_weights()])
    model.save(tmp_path / "model.h5")
    reference = build(L.GRU)
    reference.load_weights(tmp_path / "model.h5")
    module = torchport.convert(tmp_path / "model.h5").module()
    for _ in range(3):
        x = rng.normal(size=(2, 7, 3)).astype("float32")
        got = module(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(got, reference(x).numpy(), atol=3e-6)


@pytest.mark.parametrize("source, target", [(GPU, CPU), (CPU, GPU)], ids=["GPU to CPU", "CPU to GPU"])
@pytest.mark.parametrize("name", ["lstm", "gru", "both", "nested", "steps"])
def test_weights_of_the_one_in_the_other(source: Any, target: Any, name: str, tmp_path: Path) -> None:
    """Weights trained on a GPU serve the layers without, and the other way round, as in tf-keras."""
    rng = np.random.default_rng(0)
    model = numbered(BUILDERS[name](*source))
    model.set_weights([rng.normal(size=it.shape) for it in model.get_weights()])
    model.save_weights(tmp_path / "weights.h5")
    (tmp_path / "model.json").write_text(numbered(BUILDERS[name](*target)).to_json())
    reference = numbered(BUILDERS[name](*CPU))
    reference.load_weights(tmp_path / "weights.h5")
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    port = torchport.convert(tmp_path / "weights.h5", config=tmp_path / "model.json")
    got = port.module()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, reference(x).numpy(), atol=3e-6)
