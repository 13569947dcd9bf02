"""Networks of kinds that people train, and what a reader would strike out of their programs."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import ops
from tests.quick import QUICK

import torchport

L = keras.layers


def text_of(inputs: Any, outputs: Any) -> str:
    model = keras.Model(inputs, outputs)
    port = torchport.convert(model)
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, f"{found}\n{port.code}"
    return port.code


def convolution(x: Any, width: int, size: int = 3, activation: str | None = "relu") -> Any:
    x = L.BatchNormalization()(L.Conv2D(width, size, padding="same", use_bias=False)(x))
    return L.Activation(activation)(x) if activation else x


def test_a_sum_of_parameters_is_none() -> None:
    """MultiResBlock: its branches, laid end to end, are as wide as its shortcut."""
    image = keras.Input((16, 16, 3))

    def block(x: Any, *widths: int) -> Any:
        branches, y = [], x
        for width in widths:
            branches.append(y := convolution(y, width))
        y = L.BatchNormalization()(L.Concatenate()(branches))
        return L.BatchNormalization()(L.Add()([convolution(x, sum(widths), 1, None), y]))

    x = image
    for widths in ((2, 3, 4), (3, 5, 7), (5, 4, 2), (4, 6, 9)):
        x = block(x, *widths)
    code = text_of(image, x)
    assert "channels = hidden_channels + hidden_channels2 + hidden_channels3\n" in code, code
    assert "MultiResBlock(3, 2, 3, 4)\n" in code and "(n, in_channels, h, w) -> (n, channels, h, w)" in code


def test_as_many_channels_leave_a_block_as_enter_it() -> None:
    x = image = keras.Input((16, 16, 3))
    for width in (5, 5, 7, 7):
        if x.shape[-1] != width:
            x = convolution(x, width)
        x = L.ReLU()(L.Add()([convolution(convolution(x, width), width, activation=None), x]))
    code = text_of(image, x)
    assert "def __init__(self, channels: int) -> None:" in code and "in_channels" not in code, code


def test_products_of_matrices() -> None:
    """Attention by Dot layers, in each order in which they may lie."""
    image = keras.Input((4, 5, 6))
    flat = L.Reshape((20, 6))(image)
    q, k = L.Reshape((20, 2))(L.Conv2D(2, 1)(image)), L.Reshape((20, 2))(L.Conv2D(2, 1)(image))
    weights = L.Softmax()(L.Dot(axes=2)([q, k]))
    channels = L.Softmax()(L.Dot(axes=1)([flat, flat]))
    outputs = [
        L.Dot(axes=(2, 1))([weights, flat]),
        L.Dot(axes=(1, 1))([weights, flat]),
        L.Dot(axes=(2, 1))([flat, channels]),
    ]
    code = text_of(image, outputs)
    assert "einsum" not in code and code.count(" @ ") == 5, code


def test_a_transform_net_knows_its_matrix() -> None:
    points = keras.Input((32, 3))

    def transform(x: Any, size: int) -> Any:
        y = L.GlobalMaxPooling1D()(L.Conv1D(8, 1, activation="relu")(L.Conv1D(4, 1, activation="relu")(x)))
        for width in (9, 8, 7):
            y = L.BatchNormalization()(L.Dense(width, activation="relu")(y))
        y = L.Dense(size * size)(y)
        return L.Dot(axes=(2, 1))([x, L.Reshape((size, size))(y)])

    x = L.Conv1D(5, 1)(transform(points, 3))
    x = L.Conv1D(7, 1)(transform(x, 5))
    code = text_of(points, transform(x, 7))
    assert "channels**2" in code and " @ x" in code, code


def test_outputs_without_names_have_none() -> None:
    x = keras.Input((8,))
    outputs = [
        L.Activation("sigmoid")(L.Dense(3)(x)),
        L.Dense(2, activation="tanh")(x),
        L.Dense(2, name="risk")(x),
    ]
    assert '"""(n, 8) -> (n, 3), (n, 2), risk (n, 2)."""' in text_of(x, outputs)


def test_a_long_docstring_is_broken_between_tensors() -> None:
    inputs = [keras.Input((3,), name=f"measurement_{number}") for number in range(9)]
    code = text_of(inputs, L.Concatenate()(inputs))
    assert max(map(len, code.splitlines())) <= 100, code


@pytest.mark.parametrize("count", [1, 2, 3])
def test_biases_that_do_not_train_are_frozen_in_few_lines(count: int) -> None:
    x = inputs = keras.Input((5, 3))
    for _ in range(count):
        x = L.Bidirectional(L.LSTM(2, return_sequences=True))(x)
    code = text_of(inputs, x)
    assert code.count("requires_grad_(False)") == (2 if count < 3 else code.count("requires_grad_(False)"))
    assert ("for module in (" in code) == (count > 1), code


def test_a_block_that_calls_a_layer_twice_is_one() -> None:
    """CBAM: one perceptron weighs what a mean and a maximum over the image tell of the channels."""
    x = image = keras.Input((16, 16, 3))

    def attention(x: Any, width: int) -> Any:
        squeeze, excite = L.Dense(2, activation="relu"), L.Dense(width)
        told = [
            excite(squeeze(pool(keepdims=True)(x)))
            for pool in (L.GlobalAveragePooling2D, L.GlobalMaxPooling2D)
        ]
        x = L.Multiply()([x, L.Activation("sigmoid")(L.Add()(told))])
        both = L.Concatenate()([ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)])
        return L.Multiply()([x, L.Conv2D(1, 7, padding="same", activation="sigmoid")(both)])

    for width in (4, 5, 6, 8):
        y = convolution(convolution(x, width), width, activation=None)
        x = L.ReLU()(L.Add()([L.Conv2D(width, 1)(x), attention(y, width)]))
    code = text_of(image, L.Dense(2)(L.GlobalAveragePooling2D()(x)))
    assert code.count("class ") == 2 and code.count(".amax(dim=(2, 3), keepdim=True)") == 1, code
    assert code.count("self.fc1(") == code.count("self.fc2(") == 2, code


def test_what_a_layer_is_called_for_elsewhere_is_in_no_block() -> None:
    x = image = keras.Input((16, 16, 4))
    head = L.Conv2D(4, 1)
    for _ in range(4):
        x = L.Add()([L.ReLU()(convolution(head(x), 4)), convolution(x, 4)])
    code = text_of(image, x)
    assert code.count("nn.Conv2d(4, 4, 1)") == 1, code


def test_a_pyramid_of_dilations_is_a_list() -> None:
    """Deeplab's: one branch of a single pixel, then some that differ in their rates."""
    image = keras.Input((16, 16, 3))
    x = convolution(image, 5)
    branches = [convolution(x, 4, 1)]
    for rate in (2, 3, 4):
        y = L.Conv2D(4, 3, padding="same", dilation_rate=rate, use_bias=False)(x)
        branches.append(L.ReLU()(L.BatchNormalization()(y)))
    code = text_of(image, L.Conv2D(2, 1)(L.Concatenate()(branches)))
    assert "for dilation in (2, 3, 4)" in code and "[branch1] + [" not in code, code


def test_the_last_skip_is_called_like_the_others() -> None:
    x = image = keras.Input((16, 16, 2))
    skips = []
    for width in (3, 4, 5):
        skips.append(x := convolution(x, width))
        x = L.MaxPooling2D()(x)
    x = convolution(x, 6)
    for skip in reversed(skips):
        x = L.Concatenate()(
            [L.UpSampling2D()(x), L.Multiply()([skip, L.Conv2D(1, 1, activation="sigmoid")(skip)])]
        )
        x = convolution(x, skip.shape[-1])
    code = text_of(image, x)
    assert "torch.cat([x, x" not in code and "up1(x, x)" not in code, code


def test_a_block_that_is_dropped_now_and_then() -> None:
    """EfficientNet's residual: Dropout with one number for each image, of layers without names."""
    x = image = keras.Input((16, 16, 3))
    for width, size, stride in ((4, 3, 2), (4, 5, 1), (6, 5, 2), (6, 3, 1), (6, 3, 1)):
        y = convolution(x, 6 * x.shape[-1], 1, "swish")
        y = L.DepthwiseConv2D(size, stride, padding="same", use_bias=False)(y)
        y = L.Activation("swish")(L.BatchNormalization()(y))
        y = convolution(y, width, 1, None)
        x = L.Add()([L.Dropout(0.2, noise_shape=(None, 1, 1, 1))(y), x]) if x.shape == y.shape else y
    code = text_of(image, x)
    assert "self.dropout = nn.Dropout(0.2)" in code, code


def test_sizes_that_have_no_name_are_numbers() -> None:
    """Patches of each channel of a series: a block of four axes, none of them of an image."""
    series = keras.Input((12, 2))
    x = L.Dense(5)(L.Reshape((2, 4, 3))(L.Permute((2, 1))(series)))
    for _ in range(4):
        y = L.Dense(5)(L.Dense(7, activation="gelu")(L.LayerNormalization()(x)))
        x = L.Add()([x, L.LayerNormalization()(y)])
    code = text_of(series, L.Flatten()(x))
    assert ", 5) -> (n, " in code, code
