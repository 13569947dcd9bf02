"""Shapes of tensors as values: handed on, and counted."""

from __future__ import annotations

from pathlib import Path

from torchport.source import port_source

SOURCE = """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class Quantizer(layers.Layer):
    def __init__(self, codes, dim, **kwargs):
        super().__init__(**kwargs)
        self.codes = codes
        self.dim = dim

    def build(self, input_shape):
        start = tf.random_uniform_initializer()
        self.book = tf.Variable(
            initial_value=start(shape=(self.dim, self.codes), dtype="float32"), trainable=True, name="book"
        )

    def call(self, x):
        input_shape = tf.shape(x)
        flat = tf.reshape(x, [-1, self.dim])
        similar = tf.matmul(flat, self.book)
        chosen = tf.one_hot(tf.argmax(similar, axis=1), self.codes)
        found = tf.matmul(chosen, self.book, transpose_b=True)
        found = tf.reshape(found, input_shape)
        self.add_loss(tf.reduce_mean((tf.stop_gradient(found) - x) ** 2))
        return x + tf.stop_gradient(found - x)


class Drop(layers.Layer):
    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, x, training=None):
        if training:
            kept = 1 - self.rate
            shape = (tf.shape(x)[0],) + (1,) * (tf.shape(x).shape[0] - 1)
            mask = tf.floor(kept + tf.random.uniform(shape, 0, 1))
            return (x / kept) * mask
        return x
"""


def test_a_model_in_a_model_whose_size_has_a_default(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(
        """
from tensorflow import keras
from tensorflow.keras import layers


def get_encoder(width=4):
    inputs = keras.Input(shape=(6, 6, 1))
    return keras.Model(inputs, layers.Conv2D(width, 3)(inputs))


def get_model(width=4):
    encoder = get_encoder(width)
    inputs = keras.Input(shape=(6, 6, 1))
    return keras.Model(inputs, layers.Conv2D(2, 1)(encoder(inputs)))
"""
    )
    found = port_source(path, calls=["get_model()"])
    assert [it.name for it in found.units] == ["get_encoder", "get_model"]
    assert "self.encoder = Encoder(width=width, in_channels=in_channels)" in found.code


def test_a_tensor_gets_the_shape_of_another_and_a_shape_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(SOURCE)
    calls = ["Quantizer(5, 3)(keras.Input((4, 6, 3)))", "Drop(0.4)(keras.Input((4, 5)))"]
    found = port_source(path, calls=calls)
    assert [it.name for it in found.units] == ["Quantizer", "Drop"]
    assert "found = found.reshape(-1, x.shape[2], x.shape[3], x.shape[1]).permute(0, 3, 1, 2)\n" in found.code
    assert "return x + (found - x).detach()\n" in found.code
    assert found.notes == ("Quantizer: line 26: add_loss() is left out: compute it in your training loop",)
    assert "torch.rand(x.shape[0], 1, 1, device=x.device)" in found.code
