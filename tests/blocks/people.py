"""Networks in the styles in which people write them: read as a reviewer reads, and kept as golden files."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


def unit(x: Any, width: int, size: int = 3, **options: Any) -> Any:
    """Convolution, norm, activation."""
    x = layers.Conv2D(width, size, padding="same", use_bias=False, **options)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def attention_unet() -> keras.Model:
    """Skips weighted by what the decoder knows: a gate before each concatenation."""
    x = image = keras.Input((64, 64, 3))
    skips = []
    for width in (16, 32, 64):
        x = unit(unit(x, width), width)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = unit(unit(x, 128), 128)
    for skip in skips[::-1]:
        width = skip.shape[-1]
        gate = layers.Add()([layers.Conv2D(width, 2, strides=2)(skip), layers.Conv2D(width, 1)(x)])
        gate = layers.Conv2D(1, 1, activation="sigmoid")(layers.ReLU()(gate))
        gated = layers.Multiply()([skip, layers.UpSampling2D()(gate)])
        x = layers.Concatenate()([layers.Conv2DTranspose(width, 2, strides=2)(x), gated])
        x = unit(unit(x, width), width)
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="mask")(x)
    return keras.Model(image, mask, name="attention_unet")


def unet_plus_plus() -> keras.Model:
    """Nested skips: each node reads all nodes before it at its depth, and the one below."""

    def double(x: Any, width: int) -> Any:
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        return layers.Conv2D(width, 3, padding="same", activation="relu")(layers.Dropout(0.1)(x))

    x = image = keras.Input((64, 64, 3))
    widths, node = (16, 32, 64, 128), {}
    for depth, width in enumerate(widths):
        node[depth, 0] = double(x, width)
        x = layers.MaxPooling2D()(node[depth, 0])
    for step in range(1, 4):
        for depth in range(4 - step):
            up = layers.Conv2DTranspose(widths[depth], 2, strides=2)(node[depth + 1, step - 1])
            row = [up, *(node[depth, before] for before in range(step))]
            node[depth, step] = double(layers.Concatenate()(row), widths[depth])
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(node[0, 3]), name="unet_plus_plus")


def inception_time() -> keras.Model:
    """Series through blocks of branches, with a residual over three of them."""
    x = kept = series = keras.Input((128, 3))
    for depth in range(6):
        narrow = layers.Conv1D(32, 1, use_bias=False)(x)
        branches = [layers.Conv1D(32, size, padding="same", use_bias=False)(narrow) for size in (39, 19, 9)]
        pooled = layers.MaxPooling1D(3, strides=1, padding="same")(x)
        branches.append(layers.Conv1D(32, 1, use_bias=False)(pooled))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()(branches)))
        if depth % 3 == 2:
            kept = layers.BatchNormalization()(layers.Conv1D(128, 1, use_bias=False)(kept))
            x = kept = layers.ReLU()(layers.Add()([kept, x]))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(series, layers.Dense(5, activation="softmax")(x), name="inception_time")


def retinanet() -> keras.Model:
    """A backbone, a pyramid of its features, and two heads that are shared by all scales."""

    def residual(x: Any, width: int, stride: int = 1) -> Any:
        y = unit(x, width, strides=stride)
        y = layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same", use_bias=False)(y))
        if stride != 1:
            x = layers.BatchNormalization()(layers.Conv2D(width, 1, strides=stride, use_bias=False)(x))
        return layers.ReLU()(layers.Add()([x, y]))

    def head(width: int, name: str) -> keras.Model:
        steps = [layers.Conv2D(64, 3, padding="same", activation="relu") for _ in range(3)]
        last = layers.Conv2D(width, 3, padding="same")
        return keras.Sequential([keras.Input((None, None, 64)), *steps, last], name=name)

    image = keras.Input((64, 64, 3), name="image")
    x, features = unit(layers.Rescaling(1 / 255)(image), 16, strides=2), []
    for width in (32, 64, 128):
        x = residual(residual(x, width, 2), width)
        features.append(x)
    scales = [layers.Conv2D(64, 1, name=f"lateral{at}")(it) for at, it in enumerate(features, 3)]
    for at in (1, 0):
        scales[at] = layers.Add()([scales[at], layers.UpSampling2D()(scales[at + 1])])
    scales = [layers.Conv2D(64, 3, padding="same", name=f"p{at}")(it) for at, it in enumerate(scales, 3)]
    outputs = []
    for width, name in ((4, "boxes"), (20, "scores")):
        shared = head(9 * width, f"{name}_head")
        rows = [layers.Reshape((-1, width))(shared(it)) for it in scales]
        outputs.append(layers.Concatenate(axis=1, name=name)(rows))
    return keras.Model(image, outputs, name="retinanet")


def stacked_hourglass() -> keras.Model:
    """Two networks that go down and up again, each with its heat maps."""

    def bottleneck(x: Any, width: int = 64) -> Any:
        short = x if x.shape[-1] == width else layers.Conv2D(width, 1)(x)
        for size, channels in ((1, width // 2), (3, width // 2), (1, width)):
            x = layers.Conv2D(channels, size, padding="same", activation="relu")(x)
            x = layers.BatchNormalization()(x)
        return layers.Add()([short, x])

    def hourglass(x: Any, depth: int) -> Any:
        low = bottleneck(layers.MaxPooling2D()(x))
        low = bottleneck(hourglass(low, depth - 1) if depth > 1 else bottleneck(low))
        return layers.Add()([bottleneck(x), layers.UpSampling2D()(low)])

    image = keras.Input((64, 64, 3))
    x = layers.Conv2D(32, 7, strides=2, padding="same", activation="relu")(image)
    x = bottleneck(layers.BatchNormalization()(x))
    maps = []
    for stack in (1, 2):
        y = layers.Conv2D(64, 1, activation="relu")(hourglass(x, 3))
        y = layers.BatchNormalization()(y)
        maps.append(layers.Conv2D(16, 1, name=f"heatmaps{stack}")(y))
        if stack == 1:
            x = layers.Add()([x, layers.Conv2D(64, 1)(y), layers.Conv2D(64, 1)(maps[0])])
    return keras.Model(image, maps, name="stacked_hourglass")


def deeplab() -> keras.Model:
    """The same unit with kernels and dilations of several sizes, side by side and one after the other."""
    image = keras.Input((64, 64, 3))
    low = unit(layers.MaxPooling2D()(unit(layers.Rescaling(1 / 255)(image), 16)), 32)
    x = unit(layers.MaxPooling2D()(unit(layers.MaxPooling2D()(low), 64)), 128)
    pooled = unit(layers.AveragePooling2D(8)(x), 64, 1)
    branches = [layers.UpSampling2D(8, interpolation="bilinear")(pooled), unit(x, 64, 1)]
    branches += [unit(x, 64, dilation_rate=rate) for rate in (2, 4, 6)]
    x = unit(layers.Concatenate()(branches), 64, 1)
    x = layers.UpSampling2D(4, interpolation="bilinear")(x)
    x = unit(unit(layers.Concatenate()([x, unit(low, 48, 1)]), 64), 64)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(image, layers.Conv2D(20, 1)(x), name="deeplabv3_plus")


def tabnet() -> keras.Model:
    """Numbers and categories; each step looks at the features that the steps before it left."""

    def gated(x: Any) -> Any:
        gate = layers.Dense(32, activation="sigmoid")(x)
        return layers.Multiply()([layers.BatchNormalization()(layers.Dense(32)(x)), gate])

    sizes = {"store": (50, 8), "item": (300, 16), "month": (13, 3)}
    names = [keras.Input((1,), dtype="int32", name=name) for name in sizes]
    numeric = keras.Input((8,), name="numeric")
    known = [
        layers.Flatten()(layers.Embedding(*size, name=f"{it.name}_embedding")(it))
        for it, size in zip(names, sizes.values(), strict=True)
    ]
    features = layers.Concatenate(name="features")([*known, layers.BatchNormalization(name="norm")(numeric)])
    total, left = features, None
    for step in range(3):
        asked = layers.BatchNormalization()(layers.Dense(features.shape[-1])(total))
        mask = layers.Softmax()(asked if left is None else asked * left)
        left = 1.5 - mask if left is None else left * (1.5 - mask)
        x = gated(layers.Multiply()([mask, features]))
        x = layers.ReLU()((x + gated(x)) * 0.5**0.5)
        total = total + x if step else x
    return keras.Model([*names, numeric], layers.Dense(1, name="sales")(total), name="tabnet")


def temporal_convolutions() -> keras.Model:
    """A TCN: causal convolutions whose dilation doubles from block to block."""
    x = signal = keras.Input((100, 8))
    for level, width in enumerate((32, 32, 64, 64)):
        y = x
        for _ in range(2):
            y = layers.Conv1D(width, 3, padding="causal", dilation_rate=2**level)(y)
            y = layers.SpatialDropout1D(0.2)(layers.ReLU()(layers.LayerNormalization()(y)))
        short = x if x.shape[-1] == width else layers.Conv1D(width, 1)(x)
        x = layers.ReLU()(layers.Add()([short, y]))
    return keras.Model(signal, layers.Dense(1)(x[:, -1]), name="tcn")


def edsr() -> keras.Model:
    """Super-resolution whose pixels are shuffled by reshape and transpose."""
    x = image = keras.Input((24, 24, 3))
    x = first = layers.Conv2D(32, 3, padding="same")(x * (1 / 255))
    for _ in range(4):
        y = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
        x = layers.Add()([x, layers.Conv2D(32, 3, padding="same")(y) * 0.1])
    x = layers.Add()([first, layers.Conv2D(32, 3, padding="same")(x)])
    x = layers.Conv2D(128, 3, padding="same")(x)
    x = ops.transpose(ops.reshape(x, (-1, 24, 24, 2, 2, 32)), (0, 1, 3, 2, 4, 5))
    x = layers.Conv2D(3, 3, padding="same")(ops.reshape(x, (-1, 48, 48, 32)))
    return keras.Model(image, ops.clip(x * 255.0, 0.0, 255.0), name="edsr")


def masked_bert() -> keras.Model:
    """Words of which some do not count, each with the place where it stands."""
    words, counts = (keras.Input((24,), dtype="int32", name=it) for it in ("input_ids", "attention_mask"))
    places = ops.cumsum(ops.ones_like(words), axis=1) - 1
    x = layers.Embedding(1000, 64, name="word_embeddings")(words)
    x = x + layers.Embedding(24, 64, name="position_embeddings")(places)
    x = layers.Dropout(0.1)(layers.LayerNormalization(epsilon=1e-12, name="embeddings_norm")(x))
    mask = ops.cast(ops.expand_dims(counts, 1), "bool")
    for at in range(3):
        attention = layers.MultiHeadAttention(4, 16, dropout=0.1, name=f"layer{at}_attention")
        y = layers.Dropout(0.1)(attention(x, x, attention_mask=mask))
        x = layers.LayerNormalization(epsilon=1e-12, name=f"layer{at}_attention_norm")(x + y)
        y = layers.Dense(128, activation="gelu", name=f"layer{at}_intermediate")(x)
        y = layers.Dropout(0.1)(layers.Dense(64, name=f"layer{at}_output")(y))
        x = layers.LayerNormalization(epsilon=1e-12, name=f"layer{at}_output_norm")(x + y)
    pooled = layers.Dense(64, activation="tanh", name="pooler")(x[:, 0])
    return keras.Model([words, counts], [x, pooled], name="bert")
