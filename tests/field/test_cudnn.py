"""CuDNNLSTM and CuDNNGRU, which TensorFlow runs on a GPU alone: verify computes them all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from safetensors.numpy import load_file, save_file
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

import torchport

L = tf_keras.layers
CELLS = {"CuDNNLSTM": CuDNNLSTM, "CuDNNGRU": CuDNNGRU}


def network(layer: Any) -> Any:
    """The layer between others; biases are not zero."""
    series = tf_keras.Input((5, 3))
    model = tf_keras.Model(series, L.Dense(2)(layer(series)))
    rng = np.random.default_rng(3)
    model.set_weights([0.4 * rng.standard_normal(it.shape) for it in model.get_weights()])
    return model


@pytest.mark.parametrize("kind", ["CuDNNLSTM", "CuDNNGRU"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["one direction", "both directions"])
def test_agrees(kind: str, wrapped: bool, tmp_path: Path) -> None:
    layer = CELLS[kind](4, return_sequences=True)
    model = network(L.Bidirectional(layer) if wrapped else layer)
    model.save(tmp_path / "model.h5")
    port = torchport.convert(tmp_path / "model.h5")
    result = torchport.verify(tmp_path / "model.h5", port)
    assert result.passed, str(result)
    assert any("GPU" in note for note in result.notes)


def test_another_order_of_gates_is_caught(tmp_path: Path) -> None:
    """The reference can tell: kernels taken for those of an LSTM differ."""
    model = network(CuDNNLSTM(4))
    model.save(tmp_path / "model.h5")
    folder = torchport.convert(tmp_path / "model.h5").save(tmp_path / "port")
    state = load_file(folder / "model.safetensors")
    name = next(it for it in state if it.endswith("weight_hh_l0"))
    state[name] = np.concatenate([it.T for it in np.split(state[name], 4)])
    save_file(state, folder / "model.safetensors")
    assert not torchport.verify(tmp_path / "model.h5", folder).passed
