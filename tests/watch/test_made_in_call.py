"""What verify has to know of own layers: layers that `call` makes, lists that became a model."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import keras
import pytest
import tensorflow as tf
import tf_keras
from keras import ops
from tests.quick import QUICK

import torchport

pytestmark = pytest.mark.filterwarnings("ignore")
L = keras.layers


class Dropped(L.Layer):
    """Makes what it drops with at each call, and what it adds with."""

    def __init__(self, rate=0.3):
        super().__init__()
        self.rate, self.dense = rate, L.Dense(4)

    def call(self, x):
        y = L.Dropout(self.rate)(self.dense(x))
        return L.Add()([x, y])


class OldDropped(tf_keras.layers.Layer):
    """The same for Keras 2."""

    def __init__(self):
        super().__init__()
        self.dense = tf_keras.layers.Dense(4)

    def call(self, x, training=None):
        return tf_keras.layers.Dropout(0.3)(self.dense(x), training=training) + x


class Mlp(L.Layer):
    """A list of layers, of which a model is made under the same name."""

    def __init__(self):
        super().__init__()
        self.net = [L.Dense(5), L.Activation("relu")]
        self.net.append(L.Dense(4))
        self.net = keras.Sequential(self.net)

    def build(self, shape):
        self.net.build(shape)
        self.built = True

    def call(self, x):
        return self.net(x)


class Causal(L.Layer):
    """A mask of infinities."""

    def __init__(self):
        super().__init__()
        self.query = L.Dense(4)

    def call(self, x):
        size = ops.shape(x)[1]
        mask = ops.triu(ops.ones((1, size, size), dtype=self.compute_dtype) * -float("inf"), k=1)
        return ops.softmax(self.query(x) @ ops.transpose(x, (0, 2, 1)) + mask) @ x


class Resized(L.Layer):
    """Resizes, which TensorFlow does in float32, and goes on with that."""

    def __init__(self):
        super().__init__()
        self.conv = L.Conv2D(4, 3, padding="same")

    def call(self, x):
        y = L.Resizing(7, 5, interpolation="bilinear")(self.conv(x))
        return self.conv(tf.image.resize(y, (6, 9)))


class Pixels(L.Layer):
    def __init__(self, filters):
        super().__init__()
        self.conv = L.Conv2D(filters, 1)

    def call(self, x):
        return self.conv(x)


class Attending(L.Layer):
    """Four layers of one class, of which three read channels first: two programs of one name."""

    def __init__(self):
        super().__init__()
        self.norm = L.GroupNormalization(2)
        self.q, self.k, self.v, self.out = (Pixels(4) for _ in range(4))

    def call(self, x):
        y = self.norm(x)
        q, k, v = self.q(y), self.k(y), self.v(y)
        h, w, c = ops.shape(q)[1:]
        k = ops.reshape(ops.transpose(k, (0, 3, 1, 2)), (-1, c, h * w))
        scores = ops.softmax(ops.reshape(q, (-1, h * w, c)) @ k)
        v = ops.reshape(ops.transpose(v, (0, 3, 1, 2)), (-1, c, h * w))
        y = ops.transpose(v @ ops.transpose(scores, (0, 2, 1)), (0, 2, 1))
        return self.out(ops.reshape(y, (-1, h, w, c))) + x


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Dropped, (5, 4)),
        (OldDropped, (4,)),
        (Mlp, (4,)),
        (Causal, (5, 4)),
        (Resized, (5, 6, 4)),
        (Attending, (3, 5, 4)),
    ],
    ids=lambda it: str(getattr(it, "__name__", "")),
)
def test_is_not_called_wrong(layer: Any, shape: tuple[int, ...]) -> None:
    package = tf_keras if layer is OldDropped else keras
    package.utils.set_random_seed(3)
    x = package.Input(shape)
    model = package.Model(x, layer()(x))
    port = torchport.convert(model)
    result = torchport.verify(model, port, **QUICK)
    assert result.passed, f"{result}\n{port.code}"
    if layer in (Dropped, OldDropped):  # another rate is another program
        (dropout,) = [it for it in result.rows if it.check == "dropout"]
        assert "rate 0.3" in dropout.note


class Padded(tf_keras.layers.Layer):
    """Decides by sizes, in Python and as TensorFlow does."""

    def call(self, x):
        steps = tf.shape(x)[1]
        extra = tf.convert_to_tensor(0)
        if steps % 3 != 0:
            extra = 3 - steps % 3
            x = tf.pad(x, [[0, 0], [0, extra], [0, 0]])
        x = tf.reshape(x, [tf.shape(x)[0], (steps + extra) // 3, 3, x.shape[2]])
        return tf.cond(tf.less_equal(2, steps), lambda: x * 2.0, lambda: x - 1.0)


def test_conditions_on_sizes_that_the_model_fixes_are_decided() -> None:
    x = tf_keras.Input((5, 4))
    model = tf_keras.Model(x, Padded()(x))
    port = torchport.convert(model)
    assert torchport.verify(model, port, **QUICK).passed, port.code
