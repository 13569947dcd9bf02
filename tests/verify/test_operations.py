"""Models of operations are proved as others are: several outputs, buffers, sizes that are numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import torchport


def vision() -> Any:
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)
    x = ops.depth_to_space((x - mean) * ops.rsqrt(variance + 1e-3), 2)
    x = ops.image.extract_patches(x, (4, 4))
    x = layers.Dense(24)(ops.reshape(x, (-1, 64, 32)))
    heads = ops.reshape(x, (-1, 64, 3, 8))
    x = ops.reshape(ops.dot_product_attention(heads, heads, heads), (-1, 64, 24))
    real, imaginary = ops.rfft(x)
    scores = ops.mean(x, axis=-1)
    best, places = ops.top_k(scores, 5)
    again = ops.take_along_axis(scores, places, axis=1)
    return keras.Model(inputs, [best + again, real + imaginary])


def old() -> Any:
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.Input((8, 8, 6))
    x = tf_keras.layers.Conv2D(6, 3, padding="same")(inputs)
    shape = tf.shape(x)
    steps = tf.reshape(x, [shape[0], shape[1] * shape[2], 6])
    pairs = tf.reshape(steps, [tf.shape(inputs)[0], -1, 12])
    blur = tf.nn.depthwise_conv2d(x, np.full((3, 3, 6, 1), 0.125, "float32"), [1, 1, 1, 1], "SAME")
    sums = tf.math.unsorted_segment_sum(tf.transpose(steps, [1, 0, 2]), list(range(32)) * 2, 32)
    return tf_keras.Model(inputs, [pairs, blur, tf.math.top_k(steps, 2)[0], tf.transpose(sums, [1, 0, 2])])


@pytest.mark.parametrize(("make", "suffix"), [(vision, ".keras"), (old, ".h5")])
def test_operations_are_proved(make: Any, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    make().save(file)
    torchport.convert(str(file)).save(str(tmp_path / "port"))
    assert torchport.verify(str(file), str(tmp_path / "port")).passed
