"""TimeDistributed around the user's own layers, and around models that have some."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS, FRAMES = (5, 6), (3, 8, 7, 2)


def layers_of(K: Any) -> dict[str, Any]:
    """Layers that people write, for one of the packages."""
    L = K.layers

    class Gate(L.Layer):
        def build(self, shape):
            self.w = self.add_weight(name="w", shape=(shape[-1], 4))
            self.built = True

        def call(self, x):
            return tf.nn.sigmoid(tf.matmul(x, self.w))

        def compute_output_shape(self, shape):
            return (*shape[:-1], 4)

    class Frame(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.conv, self.pool = L.Conv2D(4, 3, padding="same"), L.GlobalAveragePooling2D()

        def build(self, shape):
            self.conv.build(shape)
            self.built = True

        def call(self, x, training=None):
            x = tf.nn.relu(self.conv(x))
            return self.pool(x * 1.5 if training else x)

        def compute_output_shape(self, shape):
            return (shape[0], 4)

    class Normed(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.norm = L.BatchNormalization()

        def build(self, shape):
            self.norm.build(shape)
            self.built = True

        def call(self, x, training=None):
            return tf.tanh(self.norm(x, training=training))

        def compute_output_shape(self, shape):
            return shape

    class Centred(L.Layer):
        """Of each batch the mean is taken off: a sample hangs on the others."""

        def call(self, x):
            return x - tf.reduce_mean(x, 0, keepdims=True)

        def compute_output_shape(self, shape):
            return shape

    class Video(L.Layer):
        """Has TimeDistributed in it."""

        def __init__(self, **options):
            super().__init__(**options)
            self.frames, self.head = L.TimeDistributed(Frame()), L.Dense(3)

        def build(self, shape):
            self.frames.build(shape)
            self.head.build((*shape[:2], 4))
            self.built = True

        def call(self, x):
            features = self.frames(x)
            return self.head(features)

    class Counting(L.Layer):
        def build(self, shape):
            self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)
            self.built = True

        def call(self, x, training=None):
            if training:
                self.count.assign(self.count + 1.0)
            return x * 2.0

        def compute_output_shape(self, shape):
            return shape

    return {it.__name__.lower(): it for it in (Gate, Frame, Normed, Centred, Video, Counting)}


def built(K: Any, x: Any, *results: Any) -> Any:
    made = K.Model(x, [K.layers.Dense(2)(it) for it in results])
    rng = np.random.default_rng(5)
    for variable in made.trainable_variables:
        variable.assign(variable + rng.normal(size=variable.shape).astype("float32") * 0.3)
    return made


def alone(K: Any, kind: str) -> Any:
    x = K.Input(ROWS)
    return built(K, x, K.layers.TimeDistributed(layers_of(K)[kind]())(x))


def rows(K: Any) -> Any:
    L, own = K.layers, layers_of(K)
    x, pairs = K.Input(ROWS), K.Input((2, *ROWS))
    results = (L.TimeDistributed(own[kind]())(x) for kind in ("gate", "normed"))
    return built(K, [x, pairs], *results, L.TimeDistributed(L.TimeDistributed(own["gate"]()))(pairs))


def frames(K: Any) -> Any:
    L, own = K.layers, layers_of(K)
    x, inside = K.Input(FRAMES), K.Input(FRAMES[1:])
    chain = K.Model(inside, L.Dense(3)(own["frame"]()(inside)))
    return built(K, x, L.TimeDistributed(own["frame"]())(x), L.TimeDistributed(chain)(x), own["video"]()(x))


PACKAGES = pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])


@PACKAGES
@pytest.mark.parametrize("model", [rows, frames], ids=lambda it: str(it.__name__))
def test_at_every_step(package: Any, model: Any) -> None:
    """In float64: both modes, gradients and a step."""
    source = model(package)
    port = torchport.convert(source)
    result = torchport.verify(source, port, **QUICK)
    assert result.passed, f"{result}\n{port.code}"
    assert ".flatten(0, 1)" in port.code
    assert "class Gate(nn.Module)" in port.code or "class Video(nn.Module)" in port.code


@PACKAGES
def test_samples_that_hang_on_one_another(package: Any) -> None:
    """Keras 2 takes the mean of all steps where it does not know the batch size, and Keras 3 that of each."""
    with pytest.raises(Refused, match=r"test_steps.py:\d+: TimeDistributed calls it step by step"):
        torchport.convert(alone(package, "centred"))


@PACKAGES
def test_state_at_every_step(package: Any) -> None:
    """It moves once for all steps in `fit` of Keras 2, once for each in Keras 3."""
    with pytest.raises(Refused, match="at every step"):
        torchport.convert(alone(package, "counting"))
