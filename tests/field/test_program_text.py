"""What reviewers struck out in generated programs, each as the text that they would merge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from tests.blocks import people

import torchport

L = keras.layers


def luong() -> Any:
    """Sentences of two lengths: a decoder that looks at what an encoder gives."""
    source, target = keras.Input((None, 4), name="source"), keras.Input((None, 4), name="target")
    seen = L.LSTM(6, return_sequences=True)(source)
    said = L.LSTM(6, return_sequences=True)(target)
    return keras.Model([source, target], L.Concatenate()([said, L.Attention()([said, seen])]))


def pyramid() -> Any:
    """An image of any size at three scales."""
    x = image = keras.Input((None, None, 3))
    scales = []
    for width in (4, 8, 16):
        x = L.Conv2D(width, 3, strides=2, padding="same", name=f"scale{width}")(x)
        scales.append(x)
    return keras.Model(image, scales)


def tokens() -> Any:
    words = keras.Input((None,), dtype="int32", name="words")
    seen = keras.Input((5,), dtype="bool", name="seen")
    x = L.GlobalAveragePooling1D()(L.Embedding(9, 5)(words))
    return keras.Model([words, seen], ops.where(seen, x, 0.0))


def causal() -> Any:
    x = signal = keras.Input((None, 3))
    for dilation in (1, 2, 4, 8):
        y = L.Conv1D(3, 2, padding="causal", dilation_rate=dilation, activation="tanh")(x)
        x = L.Add()([x, L.Conv1D(3, 1)(y)])
    return keras.Model(signal, x)


def flattened() -> Any:
    image = keras.Input((None, None, 3))
    return keras.Model(image, L.Reshape((-1, 4))(L.Conv2D(4, 2, strides=2, padding="same")(image)))


def shorter() -> Any:
    signal = keras.Input((None, 3))
    return keras.Model(signal, L.Conv1D(4, 5)(signal))


#: What a model's docstring says of the sizes that it leaves open, and of what is no fraction.
SHAPES: dict[Callable[[], Any], str] = {
    luong: "source (n, t, 4), target (n, s, 4) -> (n, s, 12)",
    pyramid: "(n, 3, h, w) -> scale4 (n, 4, h / 2, w / 2), scale8 (n, 8, h / 4, w / 4), "
    "scale16 (n, 16, h / 8, w / 8)",
    tokens: "words (n, t) int, seen (n, 5) bool -> (n, 5)",
    causal: "(n, 3, t) -> (n, 3, t)",
    flattened: "(n, 3, h, w) -> (n, 4, h * w / 4)",
    shorter: "(n, 3, t) -> (n, 4, t - 4)",
}


@pytest.mark.parametrize("build", SHAPES, ids=lambda it: it.__name__)
def test_a_docstring_says_sizes(build: Callable[[], Any]) -> None:
    code = torchport.convert(build(), class_name="Net").code
    text = code[code.index("class Net") :].partition('"""')[2].partition('"""')[0]
    assert " ".join(text.split()) == f"{SHAPES[build]}."


def test_a_block_says_the_channels_that_follow_from_its_parameters() -> None:
    x = image = keras.Input((16, 16, 3))
    for width in (4, 4, 8, 8):
        y = L.Conv2D(width, 1, activation="relu")(x)
        y = L.Conv2D(width, 3, padding="same", activation="relu")(y)
        x = L.ReLU()(L.Add()([L.Conv2D(4 * width, 1)(x), L.Conv2D(4 * width, 1)(y)]))
    assert "-> (n, 4 * hidden_channels, h, w)" in torchport.convert(keras.Model(image, x)).code


def test_layers_without_names_are_numbered_in_a_block() -> None:
    x = signal = keras.Input((20, 4))
    for _ in range(3):
        y = L.LayerNormalization()(L.Conv1D(4, 3, padding="causal", dilation_rate=2)(x))
        y = L.LayerNormalization()(L.Conv1D(4, 3, padding="causal", dilation_rate=2)(y))
        x = L.Add()([x, y])
    code = torchport.convert(keras.Model(signal, x)).code
    assert "self.conv1 = " in code and "self.conv2 = " in code and "conv1d" not in code.replace("Conv1d", "")


def test_a_factor_is_no_division_by_a_longer_number() -> None:
    x = keras.Input((4,))
    code = torchport.convert(keras.Model(x, x * 0.5**0.5)).code
    assert "x * 0.7071067811865476" in code


def conv_norm_relu(x: Any, width: int, size: int = 3, **options: Any) -> Any:
    x = L.Conv2D(width, size, padding="same", use_bias=False, **options)(x)
    return L.ReLU()(L.BatchNormalization()(x))


def attention_unet() -> Any:
    """Skips weighted by what the decoder knows: a gate before each concatenation."""
    x = image = keras.Input((32, 32, 3))
    skips = []
    for width in (4, 8, 16):
        x = conv_norm_relu(conv_norm_relu(x, width), width)
        skips.append(x)
        x = L.MaxPooling2D()(x)
    x = conv_norm_relu(conv_norm_relu(x, 32), 32)
    for width, skip in zip((16, 8, 4), skips[::-1], strict=True):
        gate = L.ReLU()(L.Add()([L.Conv2D(width, 2, strides=2)(skip), L.Conv2D(width, 1)(x)]))
        gate = L.UpSampling2D()(L.Conv2D(1, 1, activation="sigmoid")(gate))
        x = L.Conv2DTranspose(width, 2, strides=2)(x)
        x = L.Concatenate()([x, L.Multiply()([skip, gate])])
        x = conv_norm_relu(conv_norm_relu(x, width), width)
    return keras.Model(image, L.Conv2D(1, 1)(x))


def pyramid_pooling() -> Any:
    """DeepLab: the same unit with kernels and dilations of several sizes."""
    x = image = keras.Input((64, 64, 3))
    x = low = conv_norm_relu(L.MaxPooling2D()(conv_norm_relu(x, 4)), 8)
    x = conv_norm_relu(L.MaxPooling2D()(conv_norm_relu(L.MaxPooling2D()(x), 8)), 16)
    branches = [conv_norm_relu(x, 8, 1), *(conv_norm_relu(x, 8, dilation_rate=rate) for rate in (2, 4, 6))]
    x = L.UpSampling2D(4)(conv_norm_relu(L.Concatenate()(branches), 8, 1))
    x = L.Concatenate()([x, conv_norm_relu(low, 6, 1)])
    return keras.Model(image, L.Conv2D(2, 1)(conv_norm_relu(conv_norm_relu(x, 12), 12)))


def residual() -> Any:
    """Blocks of which some halve and project."""
    x = image = keras.Input((32, 32, 8))
    for width, stride in ((8, 1), (8, 1), (16, 2), (16, 1), (32, 2), (32, 1)):
        y = conv_norm_relu(x, width, 3, strides=stride)
        y = L.BatchNormalization()(L.Conv2D(width, 3, padding="same", use_bias=False)(y))
        if stride == 2:
            x = L.BatchNormalization()(L.Conv2D(width, 1, strides=2, use_bias=False)(x))
        x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(image, x)


def detector() -> Any:
    """Two heads, each over three scales."""
    image = keras.Input((32, 32, 3))
    scales = [L.Conv2D(8, 3, strides=stride, padding="same")(image) for stride in (1, 2, 4)]
    outputs = {}
    for name, width in (("box", 4), ("score", 2)):
        steps = [L.Conv2D(8, 3, padding="same", activation="relu"), L.Conv2D(width, 3, padding="same")]
        head = keras.Sequential([keras.Input((None, None, 8)), *steps], name=f"{name}_head")
        outputs[name] = L.Concatenate(axis=1)([L.Reshape((-1, width))(head(it)) for it in scales])
    return keras.Model(image, outputs)


def masked_transformer() -> Any:
    words = keras.Input((8,), dtype="int32", name="words")
    counts = keras.Input((8,), dtype="int32", name="counts")
    mask = ops.cast(ops.expand_dims(counts, 1), "bool")
    x = L.Embedding(9, 16)(words)
    for _ in range(3):
        x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 8, dropout=0.1)(x, x, attention_mask=mask))
        x = L.LayerNormalization()(x + L.Dense(16)(L.Dense(32, activation="gelu")(x)))
    return keras.Model([words, counts], x)


def float_tokens() -> Any:
    """As Keras 2's Sequential declares words, and as people do who leave `dtype` out."""
    words, others = keras.Input((6,), name="words"), keras.Input((6,), name="others")
    x = L.LSTM(4)(L.Embedding(9, 4, mask_zero=True)(words))
    y = L.Embedding(9, 4)(others) * ops.expand_dims(others, 2)
    return keras.Model([words, others], L.Concatenate()([x, L.GlobalAveragePooling1D()(y)]))


def constants() -> Any:
    x = keras.Input((3,))
    return keras.Model(x, ops.clip(x + np.array([1, 2, 3], "float32"), 0.0, 1.0))


#: What stands in a program, and what does not.
TEXTS: dict[Callable[[], Any], tuple[tuple[str, ...], tuple[str, ...]]] = {
    attention_unet: (("self.double_conv(torch.cat(", "self.up3 = Up(8)"), ("Hourglass",)),
    pyramid_pooling: (
        ('padding="same", dilation=dilation', "dilation=4)"),
        ("padding: int",),
    ),
    people.inception_time: (
        ("return F.relu(self.bn(x))", "self.blocks1 = nn.Sequential(InceptionBlock(3)"),
        ("bn3",),
    ),
    detector: (("self.box_head(", "self.score_head("), ("box_head1", "score_head1")),
    masked_transformer: (
        (
            "def forward(self, x: Tensor, mask: Tensor)",
            "ZeroMaskedMultiHeadAttention(16, 2, 8, 0.1)",
            "block(x, mask)",
        ),
        ("AttentionHeads", "other"),
    ),
    float_tokens: (("words (n, 6) int, others (n, 6) ->", "(words)", "(others.int())"), ("words.int()",)),
    constants: (("self.offset = nn.Buffer(", ".clamp(0, 1)"), ("add_",)),
    residual: (("nn.Conv2d(in_channels, out_channels, 1, stride=stride",), ("1, stride=2",)),
}


@pytest.mark.parametrize("build", TEXTS, ids=lambda it: it.__name__)
def test_a_program_is_written_so(build: Callable[[], Any]) -> None:
    code = " ".join(torchport.convert(build()).code.split())
    written, left_out = TEXTS[build]
    assert not [it for it in written if it not in code]
    assert not [it for it in left_out if it in code]
