"""What people do in `call` beside computing: constants, sizes, variables that it assigns to."""

from __future__ import annotations

import os
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import torchport
from torchport.errors import Refused

pytestmark = pytest.mark.filterwarnings("ignore")
L = tf_keras.layers
SEQUENCE, IMAGE = (5, 6), (8, 7, 3)


class Padded(L.Layer):
    """Paddings and shapes that are tensors; tables made of constants."""

    def call(self, x):
        x = tf.pad(x, tf.constant([[0, 0], [1, 2], [0, 0]]))
        table = tf.tile(tf.range(4)[:, None], [1, 2])
        return x * tf.cast(tf.reshape(table, [8, 1]), x.dtype)


class Scaled(L.Layer):
    """Numbers that TensorFlow keeps as float32."""

    def build(self, shape):
        self.w = self.add_weight(name="w", shape=(shape[-1],), initializer="ones")
        self.scale = tf.sqrt(2 / 7)
        super().build(shape)

    def call(self, x):
        return x * self.scale * self.w


class Causal(L.Layer):
    """A mask of a size that is asked for, tiled for the batch."""

    def call(self, x):
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        mask = tf.range(length)[:, None] >= tf.range(length)
        mask = tf.reshape(tf.cast(mask, x.dtype), [1, length, length])
        count = tf.concat([tf.expand_dims(batch, -1), tf.constant([1, 1], dtype=tf.int32)], 0)
        return tf.matmul(tf.tile(mask, count), x)


class MaskedKernel(L.Layer):
    """PixelCNN's: the kernel of a layer in it is set to zero in part at each call."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = L.Conv2D(4, 3, padding="same")

    def build(self, shape):
        self.conv.build(shape)
        mask = np.ones(self.conv.kernel.shape, "float32")
        mask[1, 2:] = mask[2:] = 0
        self.mask = mask
        super().build(shape)

    def call(self, x):
        self.conv.kernel.assign(self.conv.kernel * self.mask)
        return self.conv(x)


class MovingMean(L.Layer):
    """State that `call` assigns: a buffer that follows the batches in training."""

    def build(self, shape):
        self.mean = self.add_weight(name="mean", shape=(shape[-1],), initializer="zeros", trainable=False)
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)
        super().build(shape)

    def call(self, x, training=None):
        if training:
            batch = tf.reduce_mean(x, [0, 1])
            self.mean.assign(0.9 * self.mean + 0.1 * batch)
            self.count.assign_add(1.0)
        return x - self.mean


class Tied(L.Layer):
    """The weight of a layer in it, read: logits by the embeddings' own vectors."""

    def __init__(self, **options):
        super().__init__(**options)
        self.tokens = L.Embedding(11, 6)

    def call(self, x):
        return tf.matmul(self.tokens(x), self.tokens.embeddings, transpose_b=True)


class OwnDropout(L.Layer):
    """Drops in training, by numbers that it draws, with the mode handed on by place."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense, self.drop = L.Dense(6), L.Dropout(0.3)

    def call(self, x, training=None):
        y = self.drop(self.dense(x), training)
        if training:
            shape = (tf.shape(y)[0],) + (1,) * (len(tf.shape(y)) - 1)
            y = y * tf.floor(0.7 + tf.random.uniform(shape)) / 0.7
        return x + y


class Penalised(L.Layer):
    """Adds a loss, and measures something."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense, self.size = L.Dense(4), tf_keras.metrics.Mean(name="size")

    def call(self, x):
        y = self.dense(x)
        self.add_loss(0.01 * tf.reduce_sum(tf.square(y)))
        self.size.update_state(tf.reduce_mean(y))
        return y


class Masked(L.Layer):
    """Takes the mask that goes with its argument."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def compute_mask(self, x, mask=None):
        return None

    def call(self, x, mask=None):
        weights = tf.cast(mask, tf.float32)[..., None]
        return tf.reduce_sum(x * weights, 1) / tf.reduce_sum(weights, 1)


class Scores(L.Layer):
    """Attention whose numbers are float32 by its own word; a list in the place of a tensor."""

    def __init__(self, **options):
        super().__init__(**options)
        self.q, self.k = L.Dense(5), L.Dense(5)

    def call(self, x):
        width = tf.cast(tf.shape(x)[-1], tf.float32)
        scores = tf.matmul(self.q(x), self.k(x), transpose_b=True) / tf.math.sqrt(width)
        mean, most = tf.reduce_mean(scores, -1), tf.reduce_max(scores, -1)
        return tf.math.softmax([mean, most], axis=0)[1]


class Gated(tf_keras.Model):
    """A model of one's own class, with layers in a list."""

    def __init__(self):
        super().__init__()
        self.blocks = [L.Dense(6, activation="tanh") for _ in range(2)]
        self.gate = L.Dense(6, activation="sigmoid")

    def call(self, x, training=None):
        for block in self.blocks:
            x = x + self.gate(x) * block(x)
        return x


def masked():
    x = tf_keras.Input(SEQUENCE)
    return tf_keras.Model(x, Masked()(L.Masking()(x)))


def gated():
    model = Gated()
    model(np.zeros((2, *SEQUENCE), "float32"))
    return model


def tokens():
    x = tf_keras.Input((5,), dtype="int32")
    return tf_keras.Model(x, Tied()(x))


def function():
    x = tf_keras.Input(SEQUENCE)
    return tf_keras.Model(x, L.Lambda(lambda x: tf.nn.relu(x) * 2 - tf.reduce_mean(x, 1, keepdims=True))(x))


def function_of_mode():
    x = tf_keras.Input(SEQUENCE)
    y = L.Lambda(lambda x, training=None: 3 * x + 1 if training else x)(x)
    return tf_keras.Model(x, L.Dense(3)(y))


def function_of_mask():
    x = tf_keras.Input(SEQUENCE)
    y = L.Lambda(lambda x, mask=None: x * tf.cast(mask, x.dtype)[..., None])(L.Masking()(x))
    return tf_keras.Model(x, L.Dense(3)(y))


class Words(L.Layer):
    """Makes the mask of its words itself."""

    def __init__(self, **options):
        super().__init__(**options)
        self.tokens = L.Embedding(11, 6)

    def call(self, x):
        return self.tokens(x) * 2.0

    def compute_mask(self, x, mask=None):
        return tf.math.not_equal(x, 0)


def words():
    x = tf_keras.Input((5,), dtype="int32")
    return tf_keras.Model(x, L.LSTM(4)(Words()(x)))


class Shifted(L.Layer):
    """Makes a table by whole numbers that it keeps, and sizes that it was built for."""

    def build(self, shape):
        self.index = tf.Variable(np.arange(shape[1])[::-1].copy(), trainable=False)
        self.w = self.add_weight(name="w", shape=(shape[1], shape[2]))
        super().build(shape)

    def call(self, x):
        return x + tf.gather(self.w, self.index)


PORTED = {
    "function_of_mode": function_of_mode,
    "function_of_mask": function_of_mask,
    "words": words,
    "shifted": lambda: around(Shifted(), SEQUENCE),
    "padded": lambda: around(Padded(), SEQUENCE),
    "scaled": lambda: around(Scaled(), SEQUENCE),
    "causal": lambda: around(Causal(), SEQUENCE),
    "masked_kernel": lambda: around(MaskedKernel(), IMAGE),
    "moving_mean": lambda: around(MovingMean(), SEQUENCE),
    "own_dropout": lambda: around(OwnDropout(), SEQUENCE),
    "penalised": lambda: around(Penalised(), SEQUENCE),
    "scores": lambda: around(Scores(), SEQUENCE),
    "masked": masked,
    "gated": gated,
    "tied": tokens,
    "function": function,
}


def around(layer: Any, shape: tuple[int, ...]) -> Any:
    x = tf_keras.Input(shape)
    return tf_keras.Model(x, layer(x))


def built(name: str) -> Any:
    tf_keras.utils.set_random_seed(2)
    model = PORTED[name]()
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign(variable + rng.normal(size=variable.shape) * 0.3)
    return model


@pytest.mark.parametrize("name", PORTED)
def test_trains_the_same_for_five_steps(name: str) -> None:
    """In float64: outputs in both modes, gradients, and weights and state after five steps of both sides.

    What is drawn is the same on both sides: `verify/draws.py`.
    """
    model = built(name)
    port = torchport.convert(model)
    result = torchport.verify(model, port, precision="float64", steps=5)
    assert result.passed, f"{result}\n{port.code}"


def test_state_is_assigned_in_training_alone() -> None:
    code = torchport.convert(built("moving_mean")).code
    assert re.search(r"\n        if self.training:\n(            .*\n)*            self\.mean = ", code)


def test_state_that_stands_still_is_found(tmp_path: Path) -> None:
    """The proof sees state: a port that does not move it differs."""
    model = built("moving_mean")
    port = torchport.convert(model)
    port.save(tmp_path / "port")
    still = port.code.replace("self.mean = ", "_ = ").replace("_ = nn.", "self.mean = nn.")
    assert still != port.code
    (tmp_path / "port" / "model.py").write_text(still)
    assert not torchport.verify(model, tmp_path / "port", precision="float64", steps=2).passed


def test_weights_of_a_layer_are_tied() -> None:
    assert "self.tokens.weight.T" in torchport.convert(built("tied")).code


def test_what_is_left_out_is_said() -> None:
    notes = " ".join(torchport.convert(built("penalised")).program.notes)
    assert "add_loss of" in notes


class Shadowed(L.Layer):
    """Reads a weight, changes it, and uses what it read."""

    def build(self, shape):
        self.w = self.add_weight(name="w", shape=(shape[-1],))
        super().build(shape)

    def call(self, x):
        before = x * self.w
        self.w.assign(self.w / 2)
        return before


def test_a_weight_that_changes_while_it_is_used_is_refused() -> None:
    with pytest.raises(Refused, match=r"test_own_calls.py:\d+: .* assigns to it before that is used"):
        torchport.convert(around(Shadowed(), SEQUENCE))
