"""Arrays, shapes and sizes that layer classes hold: buffers, tuples of sizes, parameters of `__init__`."""

from __future__ import annotations

from textwrap import dedent

import pytest
from tests.source.proofs import check_unit

from torchport.source import SourcePort, port_of, watched_project
from torchport.source.sites import SourceFile

TEXT = """
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

SHIFT = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def positional_encoding(length, depth):
    positions = np.arange(length)[:, np.newaxis]
    depths = np.arange(depth // 2)[np.newaxis, :] / (depth / 2)
    angles = positions / (10000**depths)
    return tf.cast(np.concatenate([np.sin(angles), np.cos(angles)], axis=-1), dtype=tf.float32)


class PositionalEmbedding(layers.Layer):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.d_model = d_model
        self.embedding = layers.Embedding(vocab_size, d_model)
        self.pos_encoding = positional_encoding(length=32, depth=d_model)

    def call(self, x):
        length = tf.shape(x)[1]
        x = self.embedding(x)
        x *= tf.math.sqrt(tf.cast(self.d_model, tf.float32))
        return x + self.pos_encoding[tf.newaxis, :length, :]


class Masked(layers.Layer):
    def __init__(self, size, units):
        super().__init__()
        self.mask = np.zeros((size, size))
        self.mask[1:] = 0.7
        self.dense = layers.Dense(units)

    def call(self, x):
        x = x * self.mask[None, :, :1]
        return self.dense(x * SHIFT)


class Chosen(layers.Layer):
    def __init__(self, order):
        super().__init__()
        self.order = order
        self.table = tf.constant([[1, 2], [3, 4]], dtype=tf.float32)
        self.mean = [0.485, 0.456]

    def call(self, x):
        return tf.matmul(tf.gather(x, self.order, axis=-1), self.table) - self.mean


class Blur(layers.Layer):
    def __init__(self):
        super().__init__()
        kernel = np.array([1.0, 2.0, 1.0])
        kernel = kernel[:, None] * kernel[None, :]
        self.kernel = tf.constant((kernel / kernel.sum())[:, :, None, None], tf.float32)

    def call(self, x):
        kernel = tf.tile(self.kernel, [1, 1, 3, 1])
        return tf.nn.depthwise_conv2d(x, kernel, strides=[1, 1, 1, 1], padding="SAME")


class Causal(layers.Layer):
    def __init__(self, heads, dim):
        super().__init__()
        self.mha = layers.MultiHeadAttention(heads, dim // heads)

    def causal_mask(self, batch_size, n_dest, n_src, dtype):
        i = tf.range(n_dest)[:, None]
        j = tf.range(n_src)
        mask = tf.reshape(tf.cast(i >= j - n_src + n_dest, dtype), [1, n_dest, n_src])
        mult = tf.concat([tf.expand_dims(batch_size, -1), tf.constant([1, 1], dtype=tf.int32)], 0)
        return tf.tile(mask, mult)

    def call(self, x):
        shape = tf.shape(x)
        return x + self.mha(x, x, attention_mask=self.causal_mask(shape[0], shape[1], shape[1], tf.bool))


class ClassToken(layers.Layer):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def build(self, input_shape):
        self.cls = self.add_weight(name="cls", shape=(1, 1, self.dim), initializer="zeros")
        self.pos = self.add_weight(name="pos", shape=(1, input_shape[1] + 2, self.dim), initializer="ones")

    def call(self, x):
        count = tf.shape(x)[0]
        first = tf.broadcast_to(self.cls, [count, 1, self.dim])
        last = tf.repeat(self.cls, repeats=count, axis=0)
        return tf.concat([first, x, last], axis=1) + self.pos


class Resized(layers.Layer):
    def build(self, input_shape):
        self.size = input_shape[1:3]

    def call(self, x, mask):
        return x * tf.image.resize(mask, self.size, method="nearest")


class Noise(layers.Layer):
    def build(self, input_shape):
        n, h, w, c = input_shape[0]
        self.b = self.add_weight(shape=[1, 1, 1, c], initializer="zeros", name="b")

    def call(self, inputs):
        x, noise = inputs
        return x + self.b * noise


class Pad(layers.Layer):
    def __init__(self, padding=(1, 2)):
        super().__init__()
        self.padding = tuple(padding)

    def call(self, x):
        w, h = self.padding
        amounts = [[0, 0], [h, h], [w, w], [0, 0]]
        return tf.pad(x, amounts, mode="REFLECT")


def attend(q, k, v):
    scores = tf.matmul(q, k, transpose_b=True) / tf.math.sqrt(tf.cast(tf.shape(k)[-1], tf.float32))
    weights = tf.nn.softmax(scores, axis=-1)
    return tf.matmul(weights, v), weights


class Heads(layers.Layer):
    def __init__(self, dim, heads):
        super().__init__()
        self.dim = dim
        self.heads = heads
        self.dense = layers.Dense(dim)

    def split(self, x):
        x = tf.reshape(x, (tf.shape(x)[0], -1, self.heads, self.dim // self.heads))
        return tf.transpose(x, perm=[0, 2, 1, 3])

    def call(self, x):
        q = self.split(self.dense(x))
        found, weights = attend(q, q, q)
        return tf.reshape(tf.transpose(found, perm=[0, 2, 1, 3]), (tf.shape(x)[0], -1, self.dim)), weights
"""
CALLS = (
    "PositionalEmbedding(20, 8)(keras.Input((7,), dtype='int32'))", "Masked(5, 4)(keras.Input((5, 6)))",
    "Chosen([1, 0])(keras.Input((5, 3)))", "Blur()(keras.Input((8, 8, 3)))",
    "Causal(2, 8)(keras.Input((5, 8)))", "ClassToken(8)(keras.Input((5, 8)))",
    "Resized()(keras.Input((8, 8, 3)), keras.Input((4, 4, 3)))",
    "Noise()([keras.Input((8, 8, 3)), keras.Input((8, 8, 1))])", "Pad()(keras.Input((8, 8, 3)))",
    "Heads(8, 2)(keras.Input((5, 8)))",
)  # fmt: skip
#: What stands in the port of a unit.
PARTS = {
    "PositionalEmbedding": (
        "positional_encoding(length=32, depth=d_model), persistent=False",
        "x + self.pos_encoding[None, :length]",
    ),
    "Masked": (
        "mask[1:] = 0.7", 'register_buffer("mask", torch.tensor(mask, dtype=torch.float32)',
        "x * self.mask[None, :, :1]", 'register_buffer("shift", torch.tensor(SHIFT, dtype=torch.float32)',
    ),
    "Chosen": ('register_buffer("order", torch.tensor(order)', "torch.tensor([[1, 2], [3, 4]], dtype="),
    "Blur": ("self.kernel.repeat(1, 1, 3, 1)",),
    "Causal": (
        "mask.tile(", "def causal_mask(self, batch_size: int, n_dest: int, n_src: int)",
        "torch.arange(n_dest, device=next(self.parameters()).device)",
    ),
    "ClassToken": (
        "def __init__(self, in_length: int, dim", "torch.ones(1, in_length + 2, dim)",
        "self.cls.expand(count, 1, self.dim)", "self.cls.expand(count, -1, -1)",
    ),
    "Resized": ("def __init__(self, x_height: int, x_width: int)",),
    "Noise": ("self.b = nn.Parameter(torch.zeros(1, 1, 1, x_channels))",),
    "Pad": ("F.pad(x, (self.w, self.w, self.h, self.h)",),
    "attend": ("q @ k.transpose(2, 3)",),
    "Heads": ("attend(q, q, q)",),
}  # fmt: skip


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> SourcePort:
    path = tmp_path_factory.mktemp("arrays") / "arrays.py"
    path.write_text(dedent(TEXT))
    return port_of(watched_project(SourceFile.of(path), (), CALLS), calls=CALLS)


@pytest.mark.parametrize("name", PARTS)
def test_is_written_and_proven(port: SourcePort, name: str) -> None:
    check_unit(port, name, PARTS[name])


def test_scores_of_attention_are_no_images(port: SourcePort) -> None:
    """Heads go through as they are: no axis of them is one of channels."""
    assert all("permute(0, 3, 1, 2)" not in it.text for it in port.units if it.name in ("attend", "Heads"))
