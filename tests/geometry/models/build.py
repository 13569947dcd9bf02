"""The files beside this one, as Keras writes them: `KERAS_BACKEND=tensorflow python build.py`.

Small networks of the kinds that the page is tested on, all of their numbers drawn: tests read them without
TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import Input, Model, layers

HERE = Path(__file__).parent


def transformer() -> Model:
    tokens = Input((6,), name="tokens")
    x = layers.Embedding(11, 8, name="emb")(tokens)
    for number in range(2):
        y = layers.MultiHeadAttention(2, 3, name=f"attend{number}")(x, x)
        x = layers.LayerNormalization(name=f"norm{number}")(layers.Add()([x, y]))
        y = layers.Dense(8, name=f"out{number}")(layers.Dense(12, activation="gelu", name=f"in{number}")(x))
        x = layers.LayerNormalization(name=f"norm_{number}")(layers.Add()([x, y]))
    return Model(tokens, layers.Dense(3, name="classes")(layers.GlobalAveragePooling1D()(x)))


def recurrent() -> Model:
    x = steps = Input((7, 4), name="steps")
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both")(x)
    x = layers.GRU(4, return_sequences=True, name="gru")(x)
    x = layers.SimpleRNN(3, name="rnn")(x)
    return Model(steps, layers.Dense(2, name="fc")(x))


def volume() -> Model:
    x = scan = Input((8, 8, 8, 2), name="scan")
    skip = x = layers.Conv3D(3, 3, padding="same", activation="relu", name="down")(x)
    x = layers.Conv3D(4, 3, padding="same", name="middle")(layers.MaxPooling3D()(x))
    x = layers.Conv3DTranspose(3, 2, strides=2, name="up")(layers.BatchNormalization(name="bn")(x))
    return Model(scan, layers.Conv3D(1, 1, name="head")(layers.Concatenate()([skip, x])))


def signal() -> Model:
    x = wave = Input((32, 3), name="wave")
    x = layers.Conv1D(6, 5, strides=2, padding="same", name="conv")(x)
    x = layers.SeparableConv1D(7, 3, padding="same", name="separable")(x)
    x = layers.Conv1DTranspose(4, 3, strides=2, padding="same", name="up")(x)
    x = layers.Flatten()(layers.MaxPooling1D(4)(x))
    return Model(wave, layers.Dense(5, name="fc")(x))


def nested() -> Model:
    inside = Input((9, 9, 3), name="patch")
    stem = Model(inside, layers.Conv2D(4, 3, name="a")(layers.Conv2D(5, 3, name="b")(inside)), name="stem")
    image = Input((9, 9, 3), name="image")
    x = layers.Flatten()(layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(stem(image)))
    head = keras.Sequential([layers.Dense(6, name="first"), layers.Dense(2, name="last")], name="head")
    return Model(image, head(x))


def first() -> Model:
    x = image = Input((3, 8, 10), name="image")
    x = layers.Conv2D(4, 3, padding="same", data_format="channels_first", name="conv")(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same", data_format="channels_first", name="up")(x)
    return Model(image, layers.Dense(2, name="fc")(layers.Flatten(data_format="channels_first")(x)))


def residual() -> Model:
    x = image = Input((16, 16, 3), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    for number, (filters, stride) in enumerate(((6, 1), (8, 2))):
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", groups=2, name=f"conv{number}")(x)
        y = layers.BatchNormalization(name=f"bn{number}")(y)
        if stride > 1:
            x = layers.Conv2D(filters, 1, strides=stride, name=f"shortcut{number}")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(layers.GroupNormalization(2, name="group")(x))
    return Model(image, layers.Dense(4, name="classes")(layers.GlobalAveragePooling2D()(x)))


def steps() -> Model:
    frames = Input((3, 8, 8, 2), name="frames")
    x = layers.TimeDistributed(layers.Conv2D(3, 3, name="each"), name="over")(frames)
    x = layers.ConvLSTM2D(2, 3, padding="same", name="memory")(x)
    x = layers.EinsumDense("bhwc,cd->bhwd", output_shape=(6, 6, 3), name="einsum")(x)
    return Model(frames, layers.Dense(2, name="fc")(layers.Flatten()(x)))


ALL: tuple[Callable[[], Model], ...] = (
    transformer, recurrent, volume, signal, nested, first, residual, steps,
)  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(0)
    for make in ALL:
        model = make()
        for variable in model.variables:
            if "seed" not in variable.path:
                variable.assign(rng.uniform(0.1, 1, variable.shape))
        model.save(HERE / f"{make.__name__}.keras")


if __name__ == "__main__":
    main()
