"""TimeDistributed around a model: the batch is folded, the model is called, the steps are unfolded."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.quick import QUICK

import torchport


def frames(keras: Any, norm: bool) -> Any:
    """A Sequential model of an image."""
    layers = keras.layers
    parts = [
        layers.Conv2D(3, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.2),
    ]
    return keras.Sequential(
        [keras.Input((9, 8, 2)), *([layers.BatchNormalization()] if norm else []), *parts]
    )


def sentence(keras: Any) -> Any:
    """A functional model of numbers, with a model in it."""
    layers = keras.layers
    inside = keras.Sequential([keras.Input((7, 4)), layers.Dense(5), layers.LSTM(3)], name="inside")
    x = keras.Input((7,), dtype="int32")
    return keras.Model(
        x, layers.Dense(2)(inside(layers.Embedding(11, 4, mask_zero=True)(x))), name="sentence"
    )


def build(keras: Any, which: str, steps: int | None) -> tuple[Any, np.ndarray]:
    layers, rng = keras.layers, np.random.default_rng(0)
    inner = sentence(keras) if which == "sentence" else frames(keras, which == "norm")
    shape = (steps, 7) if which == "sentence" else (steps, 9, 8, 2)
    start = keras.Input(shape, dtype="int32" if which == "sentence" else "float32")
    model = keras.Model(start, layers.GRU(3)(layers.TimeDistributed(inner)(start)))
    model.set_weights([np.abs(rng.normal(size=it.shape)) * 0.3 for it in model.get_weights()])
    given = (2, *(3 if size is None else size for size in shape))
    x = rng.integers(11, size=given) if which == "sentence" else rng.normal(size=given)
    return model, x.astype("int32" if which == "sentence" else "float32")


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
@pytest.mark.parametrize("which", ["frames", "norm", "sentence"])
def test_a_model_at_every_step(of: str, which: str, tmp_path: Path) -> None:
    keras = importlib.import_module(of)
    if which == "norm" and of == "keras":
        pytest.skip("statistics of each step are refused")
    for steps in (3, None) if which != "sentence" else (3,):
        model, x = build(keras, which, steps)
        sources: list[Any] = [model]
        for form in ("keras", "h5"):
            sources.append(tmp_path / f"model_{steps}.{form}")
            model.save(sources[-1])
        codes = set()
        for source in sources:
            port = torchport.convert(source, keep_io=True, class_name="Net")
            module, given = port.module(), torch.from_numpy(x)
            np.testing.assert_allclose(module(given).detach().numpy(), np.asarray(model(x)), atol=1e-5)
            codes.add(port.code)
            if which == "norm":
                before = model.get_weights()
                module.train()
                for it in module.modules():
                    if isinstance(it, torch.nn.Dropout):
                        it.p = 0.0
                keeps = {it: it.rate for it in model._flatten_layers() if type(it).__name__ == "Dropout"}
                for it in keeps:
                    it.rate = 0.0
                want = np.asarray(model(x, training=True))
                np.testing.assert_allclose(module(given).detach().numpy(), want, atol=1e-4)
                # The statistics have moved as far as Keras's, which runs the model twice.
                got = module.eval()(given).detach().numpy()
                np.testing.assert_allclose(got, np.asarray(model(x)), atol=1e-4)
                model.set_weights(before)
                for it, rate in keeps.items():
                    it.rate = rate
        assert len(codes) == 1


def test_verify_follows_the_model_at_every_step(tmp_path: Path) -> None:
    keras = importlib.import_module("tf_keras")
    model, _ = build(keras, "frames", 3)
    found = torchport.verify(model, torchport.convert(model), **QUICK)
    assert found.passed, str(found)
