"""Networks whose ports are edited by hand in the ways in which people get ports wrong."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers


def randomised(model: Any, seed: int) -> Any:
    """The model with weights of a usual size, and statistics that are not 0 and 1."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        name, shape = variable.path.rpartition("/")[2], tuple(variable.shape)
        if not np.issubdtype(np.dtype(variable.dtype), np.floating):
            continue
        value = 0.2 * rng.standard_normal(shape)
        if "variance" in name:
            value = rng.uniform(0.5, 1.5, shape)
        elif name == "gamma":
            value = 1 + 0.1 * rng.standard_normal(shape)
        elif "kernel" in name or "embeddings" in name:
            value = rng.standard_normal(shape) * np.sqrt(1.5 / max(1, np.prod(shape[:-1])))
        variable.assign(value)
    return model


def image_network() -> Any:
    """Windows of every kind, norms, activations; sizes are such that 'same' pads unevenly."""
    image = keras.Input((12, 16, 3), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="stem")(image)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.LeakyReLU(negative_slope=0.2, name="stem_act")(x)
    side = layers.Conv2D(6, 1, name="side")(x)
    x = layers.Conv2D(6, (3, 5), padding="same", name="mid")(x)
    x = layers.BatchNormalization(momentum=0.9, name="mid_bn")(x)
    x = layers.Activation("gelu", name="mid_act")(x)
    x = layers.Subtract(name="minus")([x, side])
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depth")(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same", name="up")(x)
    pooled = layers.AveragePooling2D(3, strides=2, padding="same", name="pool")(x)
    peaks = layers.MaxPooling2D(2, name="peaks")(x)
    x = layers.Concatenate(name="join")([pooled, peaks])
    x = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = layers.Conv2D(8, 1, name="squeeze")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(10, activation="relu", name="hidden")(x)
    x = layers.LayerNormalization(name="ln")(x)
    return randomised(keras.Model(image, layers.Dense(10, name="head")(x), name="cnn"), 3)


def flat_network() -> Any:
    """A dense layer behind an image, and a softmax."""
    image = keras.Input((4, 5, 3), name="image")
    x = layers.Flatten(name="flat")(layers.Conv2D(7, 2, name="conv")(image))
    x = layers.Dense(6, activation="tanh", name="hidden")(x)
    return randomised(
        keras.Model(image, layers.Dense(6, activation="softmax", name="head")(x), name="flat"), 5
    )


def sequence_network() -> Any:
    """Recurrent layers of every kind, and steps taken of them."""
    series = keras.Input((9, 7), name="series")
    x = layers.LSTM(8, return_sequences=True, name="lstm")(series)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x)
    x = layers.Conv1D(8, 3, padding="causal", name="causal")(x)
    x = layers.GRU(6, name="gru")(x)
    return randomised(keras.Model(series, layers.Dense(3, name="head")(x), name="rnn"), 4)


def zoom_network() -> Any:
    """A resize, which TensorFlow computes in float32, and an activation behind it."""
    image = keras.Input((6, 7, 3), name="image")
    x = layers.Conv2D(5, 3, name="conv")(image)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="grow")(x)
    x = layers.Activation("sigmoid", name="last_act")(layers.Conv2D(2, 3, name="last")(x))
    return randomised(keras.Model(image, x, name="zoom"), 6)
