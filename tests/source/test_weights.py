"""A file of Keras's weights, given with the code that makes the model, is a state_dict of the port."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from torchport.errors import TorchportError
from torchport.source import port_source

TEXT = """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class Net(keras.Model):
    def __init__(self, width=8):
        super().__init__()
        self.conv = layers.Conv2D(width, 3, padding="same")
        self.norm = layers.BatchNormalization()
        self.gain = self.add_weight(name="gain", shape=(width,), initializer="ones")
        self.head = layers.Dense(3)

    def call(self, x, training=None):
        x = tf.nn.relu(self.norm(self.conv(x), training=training)) * self.gain
        return self.head(tf.reduce_mean(x, axis=[1, 2]))


def build(width=6):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
"""
CASES = {
    "class": ("Net(6)(keras.Input((8, 8, 3)))", "Net", {"in_channels": 3, "width": 6}, ".weights.h5"),
    "builder": ("build(5)", "Build", {"width": 5}, ".keras"),
}


def file_of(source: Path, call: str, ending: str) -> tuple[Any, Path]:
    """A model of the source's with weights of its own, and the file that Keras saves."""
    import keras
    import numpy as np

    space: dict[str, Any] = {}
    exec(compile(source.read_text(), str(source), "exec"), space)
    if call.startswith("Net"):
        model = space["Net"](6)
        model(np.zeros((1, 8, 8, 3), "float32"))
    else:
        model = eval(call, space)
    numbers = np.random.default_rng(5)
    for it in model.variables:
        it.assign(numbers.uniform(0.2, 0.9, it.shape))
    path = source.with_name(f"net{ending}")
    (model.save_weights if ending.endswith("h5") else model.save)(str(path))
    keras.backend.clear_session()
    return model, path


@pytest.mark.parametrize("name", CASES)
def test_the_port_loads_them(tmp_path: Path, name: str) -> None:
    import numpy as np
    import torch
    from safetensors.torch import load_file

    call, cls, given, ending = CASES[name]
    source = tmp_path / "net.py"
    source.write_text(dedent(TEXT))
    model, file = file_of(source, call, ending)
    port = port_source(source, [call.partition("(")[0]], calls=[call], weights=file)
    written = port.save(tmp_path / "ported")
    spec = importlib.util.spec_from_file_location("ported_net", written)
    assert spec and spec.loader and port.state
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ours = getattr(module, cls)(**given)
    ours.load_state_dict(load_file(written.with_suffix(".safetensors")))
    assert port.state.made.startswith(f"{cls}(") and port.state.proof.checks > 3
    x = np.random.default_rng(1).uniform(size=(2, 8, 8, 3)).astype("float32")
    theirs = np.asarray(model(x, training=False))
    found = ours.eval()(torch.from_numpy(x).permute(0, 3, 1, 2)).detach().numpy()
    assert np.allclose(found, theirs, atol=1e-5)


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text(dedent(TEXT))
    _, file = file_of(source, "build(5)", ".weights.h5")
    with pytest.raises(TorchportError) as error:
        port_source(source, ["build"], calls=["build(4)"], weights=file)
    assert "cannot be loaded" in str(error.value) and error.value.advice
