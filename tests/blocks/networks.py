"""Networks whose programs are compared with golden files: small to read, unlike in structure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops
from tests.blocks import people, styles


def classic_unet(levels: int = 4, width: int = 64) -> keras.Model:
    """The U-Net of Ronneberger et al. as Keras tutorials write it, layers unnamed."""
    image = keras.Input((256, 256, 3))
    skips, x = [], image
    for level in range(levels):
        x = double_conv(x, width * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = double_conv(x, width * 2**levels)
    for level in reversed(range(levels)):
        x = layers.Conv2DTranspose(width * 2**level, 2, strides=2, padding="same")(x)
        x = layers.Concatenate()([skips[level], x])
        x = double_conv(x, width * 2**level)
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x), name="unet")


def double_conv(x: Any, filters: int) -> Any:
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    return x


def pix2pix() -> keras.Model:
    """The generator of the pix2pix tutorial: nested Sequential models, some without batch norm."""

    def down(filters: int, norm: bool = True) -> keras.Model:
        stack = [layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)]
        stack += [layers.BatchNormalization()] if norm else []
        return keras.Sequential([*stack, layers.LeakyReLU()])

    def up(filters: int, dropout: bool = False) -> keras.Model:
        stack = [
            layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
        ]
        stack += [layers.Dropout(0.5)] if dropout else []
        return keras.Sequential([*stack, layers.ReLU()])

    x = image = keras.Input((64, 64, 3))
    skips = []
    for block in (down(16, norm=False), down(32), down(64), down(64)):
        x = block(x)
        skips.append(x)
    for block, skip in zip((up(64, dropout=True), up(32), up(16)), skips[-2::-1], strict=True):
        x = layers.Concatenate()([block(x), skip])
    last = layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")
    return keras.Model(image, last(x), name="generator")


def dcgan_generator() -> keras.Model:
    """Noise to image: Dense, Reshape, transposed convolutions; the Dense kernel's columns turn."""
    return keras.Sequential(
        [
            keras.Input((100,)),
            layers.Dense(7 * 7 * 64, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 64)),
            layers.Conv2DTranspose(32, 5, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(16, 5, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh"),
        ],
        name="generator",
    )


def residual_tower() -> keras.Model:
    """Pre-activation residual blocks of three widths, projections where the width changes."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same")(image)
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        for repeat in range(3):
            first = repeat == 0 and width != 16
            shortcut = layers.Conv2D(width, 1, strides=stride)(x) if first else x
            y = layers.BatchNormalization()(x)
            y = layers.Activation("relu")(y)
            y = layers.Conv2D(width, 3, strides=stride if first else 1, padding="same")(y)
            y = layers.BatchNormalization()(y)
            y = layers.Activation("relu")(y)
            y = layers.Conv2D(width, 3, padding="same")(y)
            x = layers.Add()([shortcut, y])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x), name="residual_tower")


WIDTH, HEADS, WORDS = 64, 4, 101


def embedded(words: Any, name: str) -> Any:
    """Words and positions."""
    positions = ops.cumsum(ops.ones_like(words), axis=1) - 1
    table = layers.Embedding(64, WIDTH, name=f"{name}_positions")
    return layers.Embedding(WORDS, WIDTH, name=f"{name}_tokens")(words) + table(positions)


def attended(x: Any, other: Any, name: str, **options: Any) -> Any:
    attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1, name=f"{name}_attention")
    x = x + layers.Dropout(0.1)(attention(x, other, **options))
    return layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(x)


def fed(x: Any, name: str) -> Any:
    y = layers.Dense(4 * WIDTH, activation="gelu", name=f"{name}_fc1")(x)
    y = layers.Dropout(0.1)(layers.Dense(WIDTH, name=f"{name}_fc2")(y))
    return layers.LayerNormalization(epsilon=1e-6, name=f"{name}_out")(x + y)


def encoder(count: int = 12) -> Any:
    words = keras.Input((16,), dtype="int32", name="words")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(embedded(words, "bert"))
    x = layers.Dropout(0.1)(x)
    for at in range(count):
        x = fed(attended(x, x, f"layer{at}"), f"layer{at}_ff")
    pooled = layers.Dense(WIDTH, activation="tanh", name="pooler")(x[:, 0])
    return keras.Model(words, [x, pooled], name="bert")


def encoder_decoder(count: int = 6) -> Any:
    source = keras.Input((16,), dtype="int32", name="source")
    target = keras.Input((12,), dtype="int32", name="target")
    x, y = embedded(source, "encoder"), embedded(target, "decoder")
    for at in range(count):
        x = fed(attended(x, x, f"encoder{at}"), f"encoder{at}_ff")
    for at in range(count):
        y = attended(y, y, f"decoder{at}_self", use_causal_mask=True)
        y = fed(attended(y, x, f"decoder{at}_cross"), f"decoder{at}_ff")
    return keras.Model([source, target], layers.Dense(WORDS, name="head")(y), name="translator")


def vit(count: int = 6) -> Any:
    """Norms stand before what they norm for, and one after the last block."""
    image = keras.Input((32, 32, 3))
    x = layers.Reshape((16, WIDTH))(layers.Conv2D(WIDTH, 8, strides=8, name="patches")(image))
    x = x + layers.Embedding(16, WIDTH, name="positions")(ops.arange(16))
    for _ in range(count):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1)(y, y), x])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dropout(0.1)(layers.Dense(2 * WIDTH, activation="gelu")(y))
        x = layers.Add()([layers.Dropout(0.1)(layers.Dense(WIDTH)(y)), x])
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(image, layers.Dense(10)(layers.Dropout(0.5)(x)), name="vit")


def text_classifier() -> keras.Model:
    """Kim's convolutions of three sizes over words, side by side."""
    words = keras.Input((40,), dtype="int32", name="words")
    x = layers.Embedding(1000, 50, name="embedding")(words)
    pooled = [layers.GlobalMaxPooling1D()(layers.Conv1D(64, n, activation="relu")(x)) for n in (3, 4, 5)]
    x = layers.Dropout(0.5)(layers.Concatenate()(pooled))
    return keras.Model(words, layers.Dense(2, activation="softmax", name="head")(x), name="text_classifier")


def wavenet() -> keras.Model:
    """Gated convolutions whose skips are summed."""
    series = keras.Input((64, 1), name="series")
    x, skips = layers.Conv1D(16, 2, padding="causal")(series), []
    for rate in 2 * (1, 2, 4, 8):
        y = layers.Conv1D(16, 2, dilation_rate=rate, padding="causal", activation="tanh")(x)
        z = layers.Conv1D(16, 2, dilation_rate=rate, padding="causal", activation="sigmoid")(x)
        y = layers.Multiply()([y, z])
        skips.append(layers.Conv1D(16, 1)(y))
        x = layers.Add()([x, layers.Conv1D(16, 1)(y)])
    x = layers.Conv1D(16, 1, activation="relu")(layers.ReLU()(layers.Add()(skips)))
    return keras.Model(series, layers.Conv1D(8, 1, activation="softmax")(x), name="wavenet")


def tagger() -> keras.Model:
    """A label for each word: masked, in both directions."""
    words = keras.Input((20,), dtype="int32", name="words")
    x = layers.Embedding(500, 16, mask_zero=True, name="embedding")(words)
    x = layers.Bidirectional(layers.LSTM(12, return_sequences=True), name="lstm")(x)
    return keras.Model(words, layers.Dense(7, activation="softmax", name="tags")(x), name="tagger")


def application(name: str) -> Callable[[], keras.Model]:
    """One of Keras's own networks, weights as initialised."""
    return lambda: getattr(keras.applications, name)(weights=None)


#: Network, and the lines that its program may have.
NETWORKS: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "unet": (classic_unet, 75),
    "pix2pix": (pix2pix, 75),
    "dcgan": (dcgan_generator, 45),
    "residual_tower": (residual_tower, 75),
    "vit": (vit, 80),
    "encoder": (encoder, 80),
    "encoder_decoder": (encoder_decoder, 115),
    "text_classifier": (text_classifier, 45),
    "wavenet": (wavenet, 90),
    "tagger": (tagger, 110),
    "attention_unet": (people.attention_unet, 80),
    "unet_plus_plus": (people.unet_plus_plus, 80),
    "inception_time": (people.inception_time, 65),
    "retinanet": (people.retinanet, 130),
    "stacked_hourglass": (people.stacked_hourglass, 100),
    "deeplab": (people.deeplab, 75),
    "tabnet": (people.tabnet, 80),
    "temporal_convolutions": (people.temporal_convolutions, 80),
    "edsr": (people.edsr, 55),
    "masked_bert": (people.masked_bert, 90),
    "inception_v1": (styles.inception_v1, 110),
    "ssd": (styles.ssd, 85),
    "skip_tcn": (styles.skip_tcn, 70),
    "unet_3_plus": (styles.unet_3_plus, 85),
    "shufflenet": (styles.shufflenet, 95),
    "dense_cifar": (styles.dense_cifar, 70),
    "two_tower": (styles.two_tower, 60),
    "ResNet50": (application("ResNet50"), 110),
    "MobileNetV2": (application("MobileNetV2"), 110),
    "EfficientNetB0": (application("EfficientNetB0"), 150),
    "ConvNeXtTiny": (application("ConvNeXtTiny"), 110),
    "DenseNet121": (application("DenseNet121"), 100),
    "InceptionV3": (application("InceptionV3"), 240),
    "Xception": (application("Xception"), 110),
}
