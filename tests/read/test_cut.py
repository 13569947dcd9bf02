"""A model up to some of its layers: what is behind them need not be ported, nor be known to Keras."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from tests.quick import QUICK
from typer.testing import CliRunner

import torchport
from torchport.cli import app

BOTH = pytest.mark.parametrize("K", [keras, tf_keras], ids=["keras3", "keras2"])


def registration(K: Any) -> Any:
    """Two images, a network, and behind it a layer of somebody's own that joins them."""

    class Warp(K.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x[0] + x[1][..., :1]

    L = K.layers
    moving, fixed = K.Input((8, 8, 1), name="moving"), K.Input((8, 8, 1), name="fixed")
    x = L.Conv2D(4, 3, padding="same", name="enc")(L.Concatenate(name="both")([moving, fixed]))
    x = L.LeakyReLU(name="act")(L.BatchNormalization(name="norm")(x))
    flow = L.Conv2D(2, 3, padding="same", name="flow")(x)
    return K.Model([moving, fixed], [Warp(name="warp")([moving, flow]), flow], name="registration")


@BOTH
def test_a_layer_that_is_not_ported_is_behind_the_cut(K: Any, tmp_path: Path) -> None:
    path = tmp_path / ("model.keras" if K is keras else "model.h5")
    model = registration(K)
    model.save(path)
    with pytest.raises(torchport.Refused, match="Warp"):
        torchport.convert(path)
    port = torchport.convert(path, outputs=["flow"])
    assert any("ends at flow" in note and "left out: warp" in note for note in port.program.notes)
    x = [np.random.default_rng(at).normal(size=(2, 8, 8, 1)).astype("float32") for at in range(2)]
    np.testing.assert_allclose(port.run(*x), np.asarray(model(x)[1]), atol=1e-5)
    folder = port.save(tmp_path / "port")
    assert json.loads((folder / "port.json").read_text())["options"]["outputs"] == ["flow"]
    result = torchport.verify(path, folder, **QUICK)
    assert result.passed, str(result)
    other = torchport.convert(path, outputs=["act", "flow"]).run(*x)
    assert [it.shape for it in other] == [(2, 8, 8, 4), (2, 8, 8, 2)]


@BOTH
def test_features_of_a_nested_model_in_a_sequential(K: Any) -> None:
    """An input that only what is left out reads is no input of the port."""
    L = K.layers
    inner = K.Sequential([K.Input((6,)), L.Dense(4, name="deep"), L.ReLU()], name="inner")
    model = K.Sequential([K.Input((6,)), inner, L.Dense(3, name="neck"), L.Dense(2, name="head")])
    port = torchport.convert(model, outputs=["neck"])
    assert "head" not in port.code and torchport.verify(model, port, **QUICK).passed
    a, b = K.Input((4,)), K.Input((5,))
    double = L.Dense(4, name="double")
    y = L.Add(name="sum")([double(double(a)), L.Dense(4, name="right")(b)])
    model = K.Model([a, b], y)
    port = torchport.convert(model, outputs=["right"])
    assert (
        port.run(np.ones((1, 5), "float32")).shape == (1, 4) and torchport.verify(model, port, **QUICK).passed
    )
    with pytest.raises(torchport.TorchportError, match="called 2 times"):
        torchport.convert(model, outputs=["double"])
    with pytest.raises(torchport.TorchportError, match="--outputs right"):
        torchport.convert(model, outputs=["rigth"])


def test_the_command_names_layers(tmp_path: Path) -> None:
    registration(tf_keras).save(tmp_path / "model.h5")
    given = ["convert", str(tmp_path / "model.h5"), "-o", str(tmp_path / "port")]
    assert CliRunner().invoke(app, given).exit_code == 2
    done = CliRunner().invoke(app, [*given, "--outputs", "norm,flow"])
    assert done.exit_code == 0 and "ends at norm, flow" in done.output
