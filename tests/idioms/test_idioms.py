"""Several operations are written as the one that a person writes, and compute the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import ops
from tests.quick import QUICK

import torchport
from torchport.idioms import IDIOMS
from torchport.idioms.slices import _part

L = keras.layers
IMAGE = (8, 9, 6)


def conv(filters: int = 6, size: int = 3, **options: Any) -> Any:
    return L.Conv2D(filters, size, **options)


def padded(x: Any, amount: Any = 1) -> Any:
    return L.ZeroPadding2D(amount)(x)


def relu_pooled(x: Any) -> Any:
    return L.MaxPooling2D(3, 2)(padded(conv(activation="relu")(x)))


def twice(x: Any) -> Any:
    """One layer, called with a padded tensor and one that is not."""
    layer = conv()
    return L.Add()([layer(padded(x)), conv(padding="same")(layer(x + 1))[:, :1, :1]])


def shuffled(x: Any) -> Any:
    """Sub-pixel convolution, spelled by reshape and transpose."""
    return shuffled_by(conv(12, padding="same")(x))


def shuffled_by(x: Any) -> Any:
    x = ops.transpose(ops.reshape(x, (-1, 8, 9, 2, 2, 3)), (0, 1, 3, 2, 4, 5))
    return conv(2)(ops.reshape(x, (-1, 16, 18, 3)))


def shuffled_channels(x: Any) -> Any:
    """ShuffleNet's groups change places, an activation before."""
    x = L.Reshape((8, 9, 2, 3))(conv(6, padding="same", activation="relu")(x))
    return conv(2)(L.Reshape((8, 9, 6))(L.Permute((1, 2, 4, 3))(x)))


def dense(x: Any) -> Any:
    """Each layer reads all that there is so far, laid end to end anew."""
    features = [x]
    for _ in range(3):
        features.append(conv(2, padding="same")(L.Concatenate()(features) if features[1:] else x))
    return L.Concatenate()(features)


def tanh_gelu(x: Any, factor: float = (2 / math.pi) ** 0.5) -> Any:
    return 0.5 * x * (1 + ops.tanh(factor * (x + 0.044715 * x**3)))


def counted(x: Any) -> Any:
    """The places of columns, as people count them in a graph."""
    ones = ops.ones_like(ops.cast(x[:, :, :, 0], "int32"))
    return ops.cumsum(ones, axis=2) - 1


#: What the model does to an image (n, 8, 9, 6), what is written, and what is not.
CASES: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "convolution": (lambda x: conv()(padded(x)), "nn.Conv2d(6, 6, 3, padding=1)", "F.pad"),
    "wide": (lambda x: conv(size=7, strides=2)(padded(x, 3)), "7, stride=2, padding=3)", "F.pad"),
    "unlike axes": (lambda x: conv()(padded(x, (2, 1))), "padding=(2, 1)", "F.pad"),
    "depthwise": (lambda x: L.DepthwiseConv2D(3)(padded(x)), "padding=1, groups=6", "F.pad"),
    "on top": (lambda x: conv(padding="same")(padded(x, 2)), "padding=3", "F.pad"),
    "3d": (
        lambda x: L.Conv3D(2, 3)(L.ZeroPadding3D(1)(ops.expand_dims(x, -1))), "nn.Conv3d(1, 2, 3, padding=1)",
        "F.pad",
    ),
    "1d": (lambda x: L.Conv1D(2, 3)(L.ZeroPadding1D(1)(ops.mean(x, 1))), "3, padding=1)", "F.pad"),
    "uneven": (lambda x: conv()(padded(x, ((1, 0), (1, 0)))), "F.pad(x, (1, 0, 1, 0))", "padding="),
    "read by several": (
        lambda x: (lambda y: L.Add()([conv()(y), conv()(y), L.AveragePooling2D(3, 1)(y)]))(padded(x)),
        "F.avg_pool2d(x, 3, stride=1, padding=1)", "F.pad",
    ),
    "dilated": (lambda x: conv(dilation_rate=2)(padded(x, 2)), "padding=2, dilation=2)", "F.pad"),
    "called twice": (twice, "F.pad(", "nn.Conv2d(6, 6, 3, padding=2)"),
    "max pool": (relu_pooled, "3, stride=2, padding=1)", "F.pad"),
    "max pool of anything": (lambda x: L.MaxPooling2D(3, 2)(padded(conv()(x))), "F.pad(", "padding=1"),
    "average pool": (lambda x: L.AveragePooling2D(3, 2)(padded(x)), "3, stride=2, padding=1)", "F.pad"),
    "pool too small": (lambda x: L.AveragePooling2D(2, 2)(padded(x, 2)), "F.pad(", "padding=2"),
    "permutes": (
        lambda x: conv()(L.Permute((2, 1, 3))(L.Permute((2, 1, 3))(x))), "return self.conv(x)", "permute"
    ),
    "lstm": (
        lambda x: L.Conv1D(3, 2)(L.Permute((2, 1))(L.LSTM(4, return_sequences=True)(x[:, 0]))), "self.conv(",
        ".permute(0, 2, 1).permute",
    ),
    "one channel": (
        lambda x: conv(4)(L.Reshape((7, 7, 1))(L.Dense(49)(L.Flatten()(x)[:, None])[:, 0])), "(1, 7, 7)",
        "permute",
    ),
    "reshapes": (
        lambda x: L.Dense(2)(L.Reshape((16, 27))(L.Reshape((4, 108))(x))), ".reshape(-1, 16, 27)", "4, 108"
    ),
    "pixels": (shuffled, "F.pixel_shuffle(self.conv1(x), 2)", "depth_to_space"),
    "pixels behind an activation": (
        lambda x: conv(2)(ops.nn.depth_to_space(conv(12, padding="same", activation="relu")(x), 2))
        if hasattr(ops.nn, "depth_to_space") else shuffled(x), "F.pixel_shuffle(", "depth_to_space"
    ),
    "pixels of a sum": (
        lambda x: shuffled_by(L.Add()([conv(12, padding="same")(x), conv(12, padding="same")(x)])),
        "depth_to_space(", "pixel_shuffle",
    ),
    "permutes around an activation": (
        lambda x: conv()(L.Permute((2, 1, 3))(L.ReLU()(L.Permute((2, 1, 3))(x)) * 2.0)),
        "self.conv(F.relu(x) * 2)", "permute",
    ),
    "permutes around a layer": (
        lambda x: conv()(L.Permute((2, 1, 3))(L.BatchNormalization(axis=1)(x))), "self.bn(", "self.bn1"
    ),
    "flattened steps": (
        lambda x: L.LSTM(2)(L.TimeDistributed(L.Flatten())(x)), "torch.flatten(x, 2)", "unflatten"
    ),
    "positions": (
        lambda x: x + L.Embedding(9, 6)(counted(x)), "torch.arange(", "cumsum"
    ),
    "hardswish": (lambda x: (lambda y: y * ops.relu6(y + 3) / 6)(conv()(x)), "F.hardswish(", "relu6"),
    "hardswish by 1 / 6": (
        lambda x: (lambda y: y * (ops.relu6(y + 3.0) * (1.0 / 6.0)))(conv()(x)), "F.hardswish(", "relu6"
    ),
    "hardswish of others": (
        lambda x: (lambda y: y * ops.relu6(conv()(x) + 3) / 6)(conv()(x)), "F.relu6(", "hardswish"
    ),
    "silu": (lambda x: (lambda y: L.Multiply()([y, ops.sigmoid(y)]))(conv()(x)), "F.silu(", "sigmoid"),
    "gate": (lambda x: conv()(x) * ops.sigmoid(conv()(x)), "torch.sigmoid(", "silu"),
    "mish": (lambda x: (lambda y: y * ops.tanh(ops.softplus(y)))(conv()(x)), "F.mish(", "softplus"),
    "gelu": (
        lambda x: (lambda y: 0.5 * y * (1 + ops.erf(y / 2**0.5)))(conv()(x)), "F.gelu(self.conv(x))", "erf"
    ),
    "tanh gelu": (lambda x: tanh_gelu(conv()(x)), 'F.gelu(self.conv(x), approximate="tanh")', "torch.tanh"),
    "not gelu": (lambda x: tanh_gelu(conv()(x), 0.79), "torch.tanh(", "F.gelu"),
    "maximum": (
        lambda x: L.Maximum()([conv()(x) for _ in range(5)]), ".amax(dim=0)", "torch.maximum"
    ),
    "minimum": (lambda x: L.Minimum()([conv()(x) for _ in range(4)]), ".amin(dim=0)", "torch.minimum"),
    "maximum of two": (lambda x: L.Maximum()([conv()(x), conv()(x)]), "torch.maximum(", "amax"),
    "maximum of others": (
        lambda x: L.Maximum()([conv()(x), conv()(x), conv(1, 1)(x)[:, :1, :1]]), "torch.maximum(", "amax"
    ),
    "channel shuffle": (shuffled_channels, "F.channel_shuffle(x, 2)", "permute"),
    "rows of a head": (
        lambda x: L.Concatenate(axis=1)([L.Reshape((-1, 3))(conv(6, size)(x)) for size in (2, 3)]),
        ".flatten(1).unflatten(1, (-1, 3))", ".reshape(",
    ),
    "windows of one": (
        lambda x: L.UpSampling2D(1)(L.AveragePooling2D(1)(conv()(x))), "return self.conv(x)", "pool"
    ),
    "no bound": (lambda x: ops.clip(conv()(x), 0.5, float("inf")), ".clamp(min=0.5)", "inf"),
    "windows of one, apart": (
        lambda x: L.MaxPooling2D(1, strides=2)(conv()(x)), "F.max_pool2d(", "F.interpolate("
    ),
    "dense block": (dense, "torch.cat([x, ", "torch.cat([x, conv1, "),
    "states": (
        lambda x: L.LSTM(3)(x[:, 1], initial_state=L.LSTM(3, return_state=True)(x[:, 0])[1:]), "(h, c))",
        "unsqueeze",
    ),
    "slices": (lambda x: conv()(conv()(x)[:, :-1, 1:][:, :-2, :3, :5]), "[:, :5, :-3, 1:4]", "]["),
    "slices that go by a size": (lambda x: conv()(conv()(x)[:, :5][:, :-1]), "[:, :, :5][:, :, :-1]", ":4"),
    "no number below": (
        lambda x: ops.sqrt(ops.maximum(ops.sum(conv()(x) ** 2, -1), 0)), "torch.sqrt(", "clamp"
    ),
    "numbers below": (
        lambda x: ops.sqrt(ops.clip(ops.sum(conv()(x), -1), 0, math.inf) + 1), ".clamp(min=0)", "inf"
    ),
    "a weight for each step": (
        lambda x: (lambda y: L.Multiply()([
            y, L.Permute((2, 1))(L.RepeatVector(3)(L.Softmax()(L.Flatten()(L.Dense(1)(y)))))
        ]))(L.Conv1D(3, 2)(x[:, 0])), ".unsqueeze(2)", ".expand(",
    ),
    "one step, repeated": (
        lambda x: L.RepeatVector(4)(L.Flatten()(L.Dense(2)(x[:, 0, :1]))), ").expand(-1, 4, -1)", "flatten"
    ),
    "a weight for each channel": (
        lambda x: (lambda y: y * ops.sigmoid(L.Dense(6)(ops.mean(y, (1, 2))))[:, None, None, :])(conv()(x)),
        "[:, :, None, None]", "permute",
    ),
    "copies": (lambda x: conv()(L.Concatenate()([x] * 3)), ".repeat(1, 3, 1, 1)", "torch.cat"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_and_that_it_is_the_same(name: str) -> None:
    build, written, gone = CASES[name]
    x = keras.Input(IMAGE)
    model = keras.Model(x, build(x))
    port = torchport.convert(model, flat=True)
    text = port.code.rpartition("super().__init__()")[2]
    assert written in text and gone not in text, text
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, f"{found}\n{text}"


def test_idioms_reach_nested_models() -> None:
    x = keras.Input(IMAGE)
    inner = keras.Sequential([keras.Input(IMAGE), L.ZeroPadding2D(1), L.Conv2D(6, 3)], name="inner")
    port = torchport.convert(keras.Model(x, inner(inner(x))), flat=True)
    assert "padding=1" in port.code and "F.pad" not in port.code


NUMBERS = (None, 0, 1, 3, 20, -1, -4)


def test_a_part_of_a_part() -> None:
    """Of lists of every length."""
    parts = [slice(*it) for it in itertools.product(NUMBERS, NUMBERS)]
    found = [(one, two, _part(one, two)) for one, two in itertools.product(parts, parts)]
    assert sum(it is not None for _, _, it in found) > 800
    for one, two, whole in found:
        for count in range(9) if whole else ():
            values = list(range(count))
            assert values[one][two] == values[whole], (one, two, whole, count)


def test_every_idiom_says_before_and_after() -> None:
    for idiom in IDIOMS:
        doc = idiom.__doc__ or ""
        assert "->" in doc or "`" in doc, idiom
