"""More networks in the styles in which people write them, for what those of people.py do not show."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers
from tests.blocks.people import unit


def inception_v1() -> keras.Model:
    """Blocks of four branches, named where they meet, and two classifiers aside."""

    def conv(x: Any, width: int, size: int, **options: Any) -> Any:
        return layers.Conv2D(width, size, padding="same", activation="relu", **options)(x)

    def block(x: Any, widths: tuple[int, ...], name: str) -> Any:
        pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
        wide = [conv(conv(x, widths[at], 1), widths[at + 1], size) for at, size in ((1, 3), (3, 5))]
        branches = [conv(x, widths[0], 1), *wide, conv(pooled, widths[5], 1)]
        return layers.Concatenate(name=f"inception_{name}")(branches)

    def classifier(x: Any, name: str) -> Any:
        x = conv(layers.AveragePooling2D(5, strides=3)(x), 128, 1)
        x = layers.Dropout(0.7)(layers.Dense(1024, activation="relu")(layers.Flatten()(x)))
        return layers.Dense(10, activation="softmax", name=name)(x)

    x = image = keras.Input((224, 224, 3))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(conv(x, 64, 7, strides=2, name="conv_1_7x7"))
    x = conv(conv(x, 64, 1, name="conv_2a_1x1"), 192, 3, name="conv_2b_3x3")
    sizes = {
        "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128),
    }  # fmt: skip
    aside = []
    for name, widths in sizes.items():
        if name in ("3a", "4a", "5a"):
            x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = block(x, widths, name)
        if name in ("4a", "4d"):
            aside.append(classifier(x, f"auxiliary_{len(aside) + 1}"))
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    output = layers.Dense(10, activation="softmax", name="output")(x)
    return keras.Model(image, [output, *aside], name="inception_v1")


def ssd() -> keras.Model:
    """A detector with heads for maps of four sizes, their rows laid end to end."""
    x = image = keras.Input((300, 480, 3))
    x, maps = layers.Rescaling(1 / 127.5, offset=-1.0)(x), []
    for at, (width, size) in enumerate(((32, 5), (48, 3), (64, 3), (64, 3), (48, 3), (48, 3), (32, 3)), 1):
        x = layers.Conv2D(width, size, padding="same", name=f"conv{at}")(x)
        x = layers.ELU()(layers.BatchNormalization(name=f"bn{at}")(x))
        if at >= 4:
            maps.append(x)
        x = layers.MaxPooling2D()(x) if at < 7 else x
    rows = []
    for name, width in (("classes", 6), ("boxes", 4)):
        heads = [
            layers.Conv2D(4 * width, 3, padding="same", name=f"{name}{at}")(it) for at, it in enumerate(maps)
        ]
        rows.append(layers.Concatenate(axis=1)([layers.Reshape((-1, width))(it) for it in heads]))
    return keras.Model(image, layers.Concatenate()([layers.Softmax()(rows[0]), rows[1]]), name="ssd")


def skip_tcn() -> keras.Model:
    """Causal blocks with a loop over their skips: the first projects, of the last only the skip is read."""
    x = series = keras.Input((None, 9))
    skips = []
    for rate in (1, 2, 4, 8, 16):
        y = x
        for _ in range(2):
            y = layers.Conv1D(24, 8, dilation_rate=rate, padding="causal")(y)
            y = layers.SpatialDropout1D(0.1)(layers.ReLU()(layers.BatchNormalization()(y)))
        x = layers.Conv1D(24, 1)(x) if x.shape[-1] != 24 else x
        x = layers.ReLU()(layers.Add()([x, y]))
        skips.append(y)
    return keras.Model(series, layers.Dense(1)(layers.Add()(skips)[:, -1, :]), name="tcn")


def unet_3_plus() -> keras.Model:
    """Each node of the decoder reads all scales: the encoder stands first, then node by node."""
    widths = (16, 32, 64, 128)
    x = image = keras.Input((96, 96, 1))
    encoder: list[Any] = []
    for width in widths:
        x = layers.MaxPooling2D()(x) if encoder else x
        x = unit(unit(x, width), width)
        encoder.append(x)
    decoder = {3: encoder[3]}
    for level in (2, 1, 0):
        parts = []
        for at, it in enumerate(encoder):
            if at < level:
                it = layers.MaxPooling2D(2 ** (level - at))(it)
            elif at > level:
                it = layers.UpSampling2D(2 ** (at - level), interpolation="bilinear")(decoder[at])
            parts.append(unit(it, 16))
        decoder[level] = unit(layers.Concatenate()(parts), 64)
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(decoder[0])
    return keras.Model(image, mask, name="unet_3_plus")


def shufflenet() -> keras.Model:
    """Channels of groups change places, by two reshapes and a permute."""

    def shuffle(x: Any) -> Any:
        _, h, w, c = x.shape
        x = layers.Permute((1, 2, 4, 3))(layers.Reshape((h, w, 3, c // 3))(x))
        return layers.Reshape((h, w, c))(x)

    def block(x: Any, width: int, stride: int) -> Any:
        given = x.shape[-1]
        y = layers.Conv2D(width // 4, 1, groups=3 if given > 24 else 1, use_bias=False)(x)
        y = shuffle(layers.ReLU()(layers.BatchNormalization()(y)))
        y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization()(y)
        y = layers.Conv2D(width - given * (stride - 1), 1, groups=3, use_bias=False)(y)
        y = layers.BatchNormalization()(y)
        if stride == 1:
            return layers.ReLU()(layers.Add()([y, x]))
        return layers.ReLU()(layers.Concatenate()([y, layers.AveragePooling2D(3, 2, padding="same")(x)]))

    image = keras.Input((224, 224, 3))
    x = layers.MaxPooling2D(3, 2, padding="same")(unit(image, 24, strides=2))
    for width, count in ((240, 3), (480, 7), (960, 3)):
        x = block(x, width, 2)
        for _ in range(count):
            x = block(x, width, 1)
    x = layers.Dense(1000, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, x, name="shufflenet_g3")


def dense_cifar() -> keras.Model:
    """A DenseNet whose layers read a list of all that there is, laid end to end anew each time."""
    image, width = keras.Input((32, 32, 3)), 16
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(image)
    for stage in range(3):
        features = [x]
        for _ in range(6):
            y = layers.ReLU()(layers.BatchNormalization()(x))
            features.append(layers.Dropout(0.2)(layers.Conv2D(12, 3, padding="same", use_bias=False)(y)))
            x = layers.Concatenate()(features)
            width += 12
        if stage < 2:
            x = layers.ReLU()(layers.BatchNormalization()(x))
            x = layers.Dropout(0.2)(layers.Conv2D(width, 1, use_bias=False)(x))
            x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x), name="densenet")


def two_tower() -> keras.Model:
    """Users and films as vectors, by towers that are named by hand."""

    def tower(name: str, count: int, numbers: int) -> tuple[list[Any], Any]:
        ids = keras.Input((), dtype="int32", name=f"{name}_id")
        features = keras.Input((numbers,), name=f"{name}_features")
        x = layers.Dense(32, activation="relu", name=f"{name}_features_dense")(features)
        x = layers.Concatenate()([layers.Embedding(count, 32, name=f"{name}_embedding")(ids), x])
        x = layers.Dropout(0.1)(layers.Dense(64, activation="relu", name=f"{name}_dense_1")(x))
        x = layers.Dense(32, name=f"{name}_dense_2")(x)
        return [ids, features], layers.UnitNormalization(name=f"{name}_norm")(x)

    (users, user), (films, film) = tower("user", 943, 4), tower("film", 1682, 19)
    score = layers.Dot(axes=1, name="cosine")([user, film])
    rating = layers.Dense(1, activation="sigmoid", name="rating")(score)
    return keras.Model([*users, *films], rating, name="two_tower")
