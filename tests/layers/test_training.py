"""What trains, and in which mode each layer runs: drawn at random, as TensorFlow has it.

Layers and models are frozen and set free in some order, calls say `training=`; live models and files.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torchport
from torchport.errors import Refused
from torchport.program import Fill

SEEDS = int(os.environ.get("TORCHPORT_EXAMPLES", "6"))
SIZE = 4


def chain(keras: Any, draw: random.Random, name: str, *inner: Any) -> Any:
    """A model of a dense layer, a norm and models in it, whose calls may say `training=`."""

    def mode() -> dict[str, bool]:
        # What Keras 3 does of True also depends on which layers were called before: another test has it.
        said = [{}, {}, {"training": False}, {"training": True}]
        return draw.choice(said if keras.__name__ == "tf_keras" else said[:3])

    layers = keras.layers
    parts = [layers.Dense(SIZE, name=f"{name}_dense"), layers.BatchNormalization(name=f"{name}_norm"), *inner]
    draw.shuffle(parts)
    if draw.random() < 0.3:
        return keras.Sequential([keras.Input((SIZE,)), *parts], name=name)
    x = y = keras.Input((SIZE,))
    for it in parts:
        y = it(y) if "dense" in it.name else it(y, **mode())
    return keras.Model(x, y, name=name)


def drawn(keras: Any, seed: int) -> Any:
    """A model in a model in a model, with layers frozen in some order."""
    draw = random.Random(seed)
    inner = chain(keras, draw, "inner")
    middle = chain(keras, draw, "middle", inner)
    before = [*inner.layers, *middle.layers, inner, middle]
    for it in draw.sample(before, draw.randint(0, 4)):
        it.trainable = draw.random() < 0.4
    whole = chain(keras, draw, "whole", middle)
    for it in draw.sample([*before, *whole.layers, whole], draw.randint(0, 3)):
        it.trainable = draw.random() < 0.5
    rng = np.random.default_rng(seed)
    whole.set_weights([np.abs(rng.normal(size=it.shape)) + 0.1 for it in whole.get_weights()])
    return whole


def trained(model: Any) -> set[str]:
    """The path of every variable that TensorFlow trains."""
    ids = {id(it) for it in model.trainable_variables}
    return {path for path, variable in variables(model, "") if id(variable) in ids}


def variables(model: Any, path: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from variables(layer, f"{path}{layer.name}/")
        else:
            for it in layer.weights:
                yield f"{path}{layer.name}/{it.name.rpartition('/')[2].partition(':')[0]}", it


def agree(model: Any, port: Any, x: np.ndarray) -> None:
    """What the port trains, and what it computes before, in and after training, is what TensorFlow does."""
    module = port.module()
    parameters = dict(module.named_parameters())
    ours = {
        entry.source
        for entry in port.program.entries
        if not isinstance(entry.load, Fill)
        and entry.name in parameters
        and parameters[entry.name].requires_grad
    }
    assert ours == trained(model), port.code
    for mode in (False, True, False):
        want = model(x, training=mode)
        got = module.train(mode)(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(got, np.asarray(want), rtol=2e-4, atol=2e-4, err_msg=port.code)


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
@pytest.mark.parametrize("form", ["live", "h5", "keras"])
def test_the_port_trains_what_tensorflow_trains(of: str, form: str, tmp_path: Path) -> None:
    keras = importlib.import_module(of)
    x = np.random.default_rng(1).normal(size=(16, SIZE)).astype("float32")
    ported = 0
    for seed in range(SEEDS):
        keras.backend.clear_session()
        model = source = drawn(keras, seed)
        if form != "live":
            source = tmp_path / f"model_{seed}.{form}"
            model.save(source)
            try:
                model = keras.models.load_model(source, compile=False)
            except ValueError:  # Keras 3 lists the weights of a frozen Sequential in an order of its own
                continue
        try:
            port = torchport.convert(source, exact=True, flat=True)
        except Refused as refused:
            assert "training" in str(refused)
            continue
        agree(model, port, x)
        ported += 1
    assert ported > SEEDS // 2


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
def test_layers_of_layers(of: str, tmp_path: Path) -> None:
    """Frozen around, inside, or both: wrappers, cells, attention."""
    keras = importlib.import_module(of)
    layers, off = keras.layers, {"trainable": False}
    for at, (outer, inner) in enumerate([({}, {}), (off, {}), ({}, off), (off, off)]):
        x = keras.Input((5, SIZE))
        y = layers.Bidirectional(layers.LSTM(2, return_sequences=True, **inner), **outer)(x)
        y = layers.TimeDistributed(layers.Dense(SIZE, **inner), **outer)(y)
        y = layers.RNN(layers.GRUCell(SIZE, **inner), return_sequences=True, **outer)(y)
        y = layers.MultiHeadAttention(2, 2, **outer)(y, y)
        y = layers.LSTM(3, **outer)(y)
        model = keras.Model(x, y)
        path = tmp_path / f"model_{at}.keras"
        model.save(path)
        for source, reference in ((model, model), (path, keras.models.load_model(path, compile=False))):
            port = torchport.convert(source, flat=True)
            module = port.module()
            ours = sum(it.numel() for name, it in module.named_parameters() if it.requires_grad)
            fixed = sum(
                int(np.prod(entry.shape)) for entry in port.program.entries if isinstance(entry.load, Fill)
            )
            assert ours == sum(int(np.prod(it.shape)) for it in reference.trainable_variables), (at, fixed)


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", ["Dropout", "GaussianNoise", "SpatialDropout1D", "BatchNormalization"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("where", ["layer", "model", "steps"])
def test_a_call_says_training(of: str, kind: str, training: bool, where: str) -> None:
    """Random layers that are never random, or always; norms likewise."""
    keras = importlib.import_module(of)
    layers = keras.layers
    layer = getattr(layers, kind)(*([] if kind == "BatchNormalization" else [0.5]))
    shape = (3, 5, SIZE) if where == "steps" and kind == "SpatialDropout1D" else (5, SIZE)
    x = keras.Input(shape)
    if where == "model":
        inner = keras.Input(shape)
        layer = keras.Model(inner, layer(inner))
    elif where == "steps":
        layer = layers.TimeDistributed(layer)
    if where == "steps" and kind != "BatchNormalization" and of == "keras":
        pytest.skip("Keras 3 draws for each step")
    model = keras.Model(x, layer(x, training=training))
    port = torchport.convert(model, keep_io=True)
    array = np.random.default_rng(0).normal(2, 3, size=(8, *shape)).astype("float32")
    module = port.module()
    for mode in (False, True):
        theirs = np.asarray(model(array, training=mode if of == "tf_keras" or mode else None))
        ours = module.train(mode)(torch.from_numpy(array)).detach().numpy()
        changes = [not np.allclose(it, array, atol=1e-2) for it in (theirs, ours)]
        assert changes[0] == changes[1], port.code
        assert kind != "BatchNormalization" or np.allclose(ours, theirs, atol=1e-4)
