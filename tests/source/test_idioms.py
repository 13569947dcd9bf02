"""What U-Nets and their blocks look like in files of many people, ported together and proven."""

from __future__ import annotations

import pytest

from torchport.source import SourcePort, port_source

SOURCE = """
from functools import partial

import tensorflow as tf
from tensorflow.keras import Input, Model, layers
from tensorflow.keras import backend as K
from tensorflow.keras.layers import *

Conv = partial(Conv2D, kernel_size=3, padding="same", activation="relu")
smooth = 1e-15


def squeeze(init, ratio=8):
    channel_axis = -1
    filters = init.shape[channel_axis]
    se_shape = (1, 1, filters)
    se = GlobalAveragePooling2D()(init)
    se = Reshape(se_shape)(se)
    se = Dense(filters // ratio, activation="relu", use_bias=False)(se)
    se = Dense(filters, activation="sigmoid", use_bias=False)(se)
    return Multiply()([init, se])


def conv_bn(x, filters):
    channel_axis = 1 if K.image_data_format() == "channels_first" else -1
    if K.image_data_format() == "channels_first":
        bn_axis = 1
    else:
        bn_axis = 3
    y = Conv(filters)(x)
    y = BatchNormalization(axis=bn_axis)(y)
    return concatenate([x, y], axis=channel_axis)


def backwards(shape=(16, 16, 3), widths=(4, 6)):
    inputs = Input(shape)
    x = inputs
    skips = []
    for f in widths:
        x = Conv(f)(x)
        skips.append(x)
        x = MaxPooling2D()(x)
    skips.reverse()
    for i, f in enumerate(reversed(widths)):
        x = Concatenate()([UpSampling2D()(x), skips[i]])
        x = Conv(f)(x)
    return Model(inputs, x)


def sliced(shape=(16, 16, 3), widths=(4, 6)):
    inputs = Input(shape)
    x = inputs
    skips = []
    for f in widths:
        x = Conv(f)(x)
        skips.append(x)
        x = MaxPooling2D()(x)
    for skip, f in zip(skips[::-1], widths[::-1]):
        x = Concatenate()([UpSampling2D()(x), skip])
        x = Conv(f)(x)
    return Model(inputs, x)


def levels(shape=(16, 16, 3), widths=(4, 6)):
    inputs = Input(shape)
    x = inputs
    skips = {}
    for i, f in enumerate(widths):
        x = Conv(f)(x)
        skips[i] = x
        x = MaxPooling2D()(x)
    for i in reversed(range(len(widths))):
        x = Concatenate()([UpSampling2D()(x), skips[i]])
        x = Conv(widths[i])(x)
    return Model(inputs, x)


def shuffle(x, groups):
    _, h, w, c = x.shape
    x = Reshape((h, w, groups, c // groups))(x)
    x = Permute((1, 2, 4, 3))(x)
    return Reshape((h, w, c))(x)


def dice(y_true, y_pred):
    y_true = layers.Flatten()(y_true)
    y_pred = layers.Flatten()(y_pred)
    y_pred = K.clip(y_pred, K.epsilon(), 1 - K.epsilon())
    inside = tf.reduce_sum(y_true * y_pred)
    return (2.0 * inside + smooth) / (tf.reduce_sum(y_true) + tf.reduce_sum(y_pred) + smooth)
"""
CALLS = (
    "squeeze(Input((4, 4, 16)))", "conv_bn(Input((4, 4, 3)), 2)", "backwards()", "sliced()", "levels()",
    "shuffle(Input((4, 4, 4)), 2)",
)  # fmt: skip


@pytest.fixture(scope="module")
def ported(tmp_path_factory: pytest.TempPathFactory) -> SourcePort:
    path = tmp_path_factory.mktemp("idioms") / "code.py"
    path.write_text(SOURCE)
    return port_source(path, calls=CALLS)


def text_of(ported: SourcePort, name: str) -> str:
    (found,) = (it.text for it in ported.units if it.name == name)
    return found


def test_an_axis_that_has_a_name_is_one_of_an_image(ported: SourcePort) -> None:
    text = text_of(ported, "squeeze")
    assert "channel_axis" not in text
    assert "nn.Conv2d(filters, filters // ratio, 1, bias=False)" in text
    assert text.endswith("return init * se")


def test_the_order_of_images_is_settled(ported: SourcePort) -> None:
    text = text_of(ported, "conv_bn")
    assert "axis" not in text
    assert "torch.cat([x, y], dim=1)" in text


def test_a_partial_layer_has_all_of_its_options(ported: SourcePort) -> None:
    assert "nn.Conv2d(in_channels, filters, 3, padding=1)" in text_of(ported, "conv_bn")


@pytest.mark.parametrize(
    ("name", "loop"),
    [
        ("backwards", "        skips.reverse()\n        for i, conv2 in enumerate(self.convs2):\n"),
        ("sliced", "        for skip, conv2 in zip(skips[::-1], self.convs2):\n"),
        ("levels", "            skips[i] = x\n"),
    ],
)
def test_skips_that_are_gone_through_backwards(ported: SourcePort, name: str, loop: str) -> None:
    assert loop in text_of(ported, name)


def test_sizes_that_a_shape_is_unpacked_into(ported: SourcePort) -> None:
    assert "_, c, h, w = x.shape" in text_of(ported, "shuffle")


def test_a_measure_that_flattens_with_a_layer_is_a_function(ported: SourcePort) -> None:
    text = text_of(ported, "dice")
    assert text.startswith("def dice(y_true: Tensor, y_pred: Tensor) -> Tensor:")
    assert "y_pred.clamp(1e-7, 1 - 1e-07)" in text
