"""Models that verify is tried on: all that it has to see is in one of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

BUILDERS: dict[str, Callable[[Any], Any]] = {}


def builder(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    BUILDERS[build.__name__] = build
    return build


@builder
def image(keras: Any) -> Any:
    """Known sizes: kernels, a crop, padding that is uneven, pooling, a merge, Flatten before Dense."""
    L = keras.layers
    x = keras.Input((11, 14, 3), name="image")
    y = L.Conv2D(5, (3, 5), padding="same", name="conv")(x)
    y = skip = L.LeakyReLU(name="leaky")(L.BatchNormalization(momentum=0.8, name="bn")(y))
    y = L.AveragePooling2D(2, padding="same", name="avg")(y)
    y = L.Dropout(0.3, name="drop")(y)
    y = L.Conv2DTranspose(7, 3, strides=2, padding="same", name="up")(y)
    y = L.Cropping2D(((0, 1), (0, 0)), name="crop")(y)
    y = L.Concatenate(name="join")([skip, y])
    y = L.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="down")(y)
    y = L.Flatten(name="flat")(y)
    return keras.Model(x, L.Dense(4, activation="tanh", name="fc")(y), name="small")


@builder
def scales(keras: Any) -> Any:
    """Unknown sizes: padding that depends on them, an image for output."""
    L = keras.layers
    x = keras.Input((None, None, 3), name="image")
    y = L.Conv2D(5, 3, strides=2, padding="same", activation="relu", name="first")(x)
    y = L.SeparableConv2D(7, 3, padding="same", activation="sigmoid", name="second")(y)
    return keras.Model(x, L.Conv2D(2, 1, name="head")(y), name="scales")


@builder
def shared(keras: Any) -> Any:
    """A layer called twice, a frozen one, several inputs and outputs, in dictionaries."""
    L = keras.layers
    a, b = keras.Input((7,), name="a"), keras.Input((7,), name="b")
    twin = L.Dense(7, activation="relu", name="twin")
    fixed = L.Dense(5, name="fixed")
    fixed.trainable = False
    left, right = twin(a), twin(b)
    both = L.Subtract(name="minus")([left, right])
    outputs = {"z": fixed(both), "y": L.BatchNormalization(name="norm")(twin(both))}
    return keras.Model({"b": b, "a": a}, outputs, name="twins")


@builder
def nested(keras: Any) -> Any:
    """Models in models; the inner ones called several times, one with two outputs, one with dropout."""
    L = keras.layers
    p = keras.Input((5,), name="p")
    dense = L.Dense(5, activation="relu", name="dense")
    core = keras.Model(p, [L.Dropout(0.4, name="off")(dense(p)), L.Dense(3, name="side")(p)], name="core")
    q = keras.Input((5,), name="q")
    one, side = core(q)
    two, last = core(one)
    middle = keras.Model(
        q,
        [L.Add(name="plus")([one, two]), L.Concatenate(name="beside")([side, last])],
        name="middle",
    )
    x = keras.Input((5,), name="x")
    three, four = middle(x)
    tail = keras.Sequential(
        [keras.Input((5,)), L.Dense(3, name="out"), L.LayerNormalization(name="ln")], name="tail"
    )
    return keras.Model(x, [tail(three), four, tail(x)], name="outer")


@builder
def chain(keras: Any) -> Any:
    """Sequential, with the layers that keep a biased variance in Keras 2, and one that is fused there."""
    L = keras.layers
    return keras.Sequential(
        [
            keras.Input((11, 7, 3)),
            L.Conv2D(5, 3, padding="same", use_bias=False, name="conv"),
            L.BatchNormalization(momentum=0.9, name="fused"),
            L.Activation("relu", name="relu"),
            L.GaussianNoise(0.2, name="noise"),
            L.SpatialDropout2D(0.25, name="spatial"),
            L.MaxPooling2D(2, name="pool"),
            L.Flatten(name="flat"),
            L.Dense(6, name="fc"),
            L.GaussianDropout(0.2, name="gauss"),
            L.AlphaDropout(0.1, name="alpha"),
            L.BatchNormalization(scale=False, momentum=0.9, name="flat_bn"),
            L.Dense(2, activation="softmax", name="out"),
        ],
        name="chain",
    )


@builder
def unet(keras: Any) -> Any:
    """Repeated structure, which becomes classes; sizes unknown, divisible by 4."""
    L = keras.layers

    def block(x: Any, count: int, name: str) -> Any:
        for i in (1, 2):
            x = L.Conv2D(count, 3, padding="same", name=f"{name}_conv{i}")(x)
            x = L.BatchNormalization(name=f"{name}_bn{i}")(x)
            x = L.Activation("relu", name=f"{name}_relu{i}")(x)
        return x

    x = image = keras.Input((None, None, 3), name="image")
    skips = []
    for depth, count in enumerate((3, 5)):
        x = block(x, count, f"enc{depth}")
        skips.append(x)
        x = L.MaxPooling2D(name=f"pool{depth}")(x)
    x = block(x, 7, "bottom")
    for depth, count in ((1, 5), (0, 3)):
        x = L.Conv2DTranspose(count, 2, strides=2, name=f"up{depth}")(x)
        x = L.Concatenate(name=f"skip{depth}")([skips[depth], x])
        x = block(x, count, f"dec{depth}")
    return keras.Model(image, L.Conv2D(1, 1, activation="sigmoid", name="head")(x), name="unet")


def build(name: str, keras: Any) -> Any:
    """A model with weights that are all different, the same each time; scales and variances positive."""
    keras.utils.set_random_seed(0)
    model = BUILDERS[name](keras)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for weight in model.weights:
        if "seed" in weight.name:
            continue
        shape = tuple(weight.shape)
        fan = max(np.prod(shape[:-1]), 1.0) if len(shape) > 1 else 1.0
        values = rng.uniform(0.3, 1.0, shape) / np.sqrt(fan)
        if not any(it in weight.name for it in ("gamma", "variance")):
            values *= rng.choice([-1.0, 1.0], shape)
        weight.assign(values.astype("float32"))
    return model
