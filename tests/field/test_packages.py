"""Layers that packages registered, against stand-ins that compute what their documentation says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

L = tf_keras.layers
RNG = np.random.default_rng(0)
addons = tf_keras.utils.register_keras_serializable(package="Addons")


class Kept(L.Layer):
    """A layer that keeps its options for its configuration."""

    OPTIONS: dict[str, Any] = {}

    def __init__(self, **options: Any) -> None:
        own = {key: options.pop(key, usual) for key, usual in self.OPTIONS.items()}
        super().__init__(**options)
        self.own = own

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.own}


@addons
class GroupNormalization(Kept):
    OPTIONS = {"groups": 2, "axis": -1, "epsilon": 1e-3, "center": True, "scale": True}

    def build(self, shape: Any) -> None:
        size = shape[self.own["axis"]]
        self.groups = size if self.own["groups"] == -1 else self.own["groups"]
        self.gamma = self.add_weight(name="gamma", shape=(size,)) if self.own["scale"] else None
        self.beta = self.add_weight(name="beta", shape=(size,)) if self.own["center"] else None

    def call(self, x: Any) -> Any:
        parts = tf.split(x, self.groups, axis=self.own["axis"])
        normed = []
        for part in parts:
            mean, variance = tf.nn.moments(part, list(range(1, len(x.shape))), keepdims=True)
            normed.append((part - mean) / tf.sqrt(variance + self.own["epsilon"]))
        y = tf.concat(normed, axis=self.own["axis"])
        shape = [1] * len(x.shape)
        shape[self.own["axis"]] = -1
        y = y if self.gamma is None else y * tf.reshape(self.gamma, shape)
        return y if self.beta is None else y + tf.reshape(self.beta, shape)


@addons
class InstanceNormalization(GroupNormalization):
    OPTIONS = {**GroupNormalization.OPTIONS, "groups": -1}


@addons
class Maxout(Kept):
    OPTIONS = {"num_units": 1, "axis": -1}

    def call(self, x: Any) -> Any:
        axis, units = self.own["axis"] % len(x.shape), self.own["num_units"]
        parts = tf.split(x, x.shape[axis] // units, axis=axis)
        return tf.reduce_max(tf.stack(parts), axis=0)


@addons
class AdaptiveAveragePooling2D(Kept):
    OPTIONS = {"output_size": (1, 1), "data_format": "channels_last"}

    def call(self, x: Any) -> Any:
        first = 2 if self.own["data_format"] == "channels_first" else 1
        for axis, count in enumerate(self.own["output_size"], first):
            step = x.shape[axis] / count
            ends = [(int(at * step), int(-(-(at + 1) * step // 1))) for at in range(count)]
            pieces = [tf.reduce_mean(tf.gather(x, range(*it), axis=axis), axis=axis) for it in ends]
            x = tf.stack(pieces, axis=axis)
        return x


class FixedDropout(L.Dropout):
    """That of efficientnet."""


CASES: list[tuple[Any, tuple[int, ...]]] = [
    (lambda: InstanceNormalization(), (6, 5, 3)),
    (lambda: InstanceNormalization(epsilon=1e-5, center=False), (6, 5, 3)),
    (lambda: InstanceNormalization(axis=1, scale=False), (3, 6, 5)),
    (lambda: InstanceNormalization(), (7, 4)),
    (lambda: GroupNormalization(groups=2), (6, 5, 4)),
    (lambda: GroupNormalization(groups=3, axis=-1), (5, 6)),
    (lambda: GroupNormalization(groups=1, epsilon=1e-6), (6, 5, 3)),
    (lambda: Maxout(num_units=2), (6,)),
    (lambda: Maxout(num_units=2), (5, 3, 4)),
    (lambda: Maxout(num_units=3, axis=1), (6, 5)),
    (lambda: AdaptiveAveragePooling2D(output_size=(2, 5)), (6, 5, 3)),
    (lambda: AdaptiveAveragePooling2D(output_size=(3, 2)), (7, 5, 3)),
    (lambda: AdaptiveAveragePooling2D(output_size=(2, 2), data_format="channels_first"), (3, 6, 4)),
]


@pytest.mark.parametrize("number", range(len(CASES)))
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_as_documented(number: int, suffix: str, tmp_path: Path) -> None:
    make, shape = CASES[number]
    x = tf_keras.Input(shape)
    model = tf_keras.Model(x, make()(x))
    model.set_weights([RNG.uniform(0.5, 1.5, it.shape) for it in model.get_weights()])
    path = tmp_path / f"model{suffix}"
    model.save(path)
    port = torchport.convert(path)
    data = RNG.uniform(-1, 1, (2, *shape)).astype("float32")
    np.testing.assert_allclose(port.run(data), model(data), rtol=1e-5, atol=1e-5)
    if suffix == ".h5" and number in (0, 4, 8, 11):
        own = {it.__name__: it for it in (GroupNormalization, Maxout, AdaptiveAveragePooling2D, FixedDropout)}
        assert torchport.verify(path, port, custom=own, **QUICK).passed


def test_dropout_of_efficientnet(tmp_path: Path) -> None:
    x = tf_keras.Input((6, 5, 3))
    model = tf_keras.Model(x, FixedDropout(0.2, noise_shape=(None, 1, 1, 1))(x))
    model.save(tmp_path / "m.h5")
    port = torchport.convert(tmp_path / "m.h5")
    assert "nn.Dropout(0.2)" in port.code
    assert torchport.verify(tmp_path / "m.h5", port, **QUICK).passed, (
        "Keras has the class, and none need be given"
    )


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_hub_says_what_to_do(suffix: str, tmp_path: Path) -> None:
    class KerasLayer(Kept):
        OPTIONS = {"handle": "https://example"}

        def call(self, x: Any) -> Any:
            return x

    KerasLayer.__module__ = "tensorflow_hub.keras_layer"
    x = tf_keras.Input((3,))
    tf_keras.Model(x, KerasLayer()(x)).save(tmp_path / f"m{suffix}")
    with pytest.raises(Refused, match="a layer of tensorflow_hub"):
        torchport.convert(tmp_path / f"m{suffix}")
