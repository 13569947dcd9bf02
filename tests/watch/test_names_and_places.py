"""What people call things, and where Keras keeps functions, in ports of their own layers."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import keras
import pytest
import tensorflow as tf
import tf_keras

import torchport
from torchport.emit.alike import described

pytestmark = pytest.mark.filterwarnings("ignore")


class Length(tf_keras.layers.Layer):  # type: ignore[misc,name-defined]
    def call(self, x: Any) -> Any:
        return tf.sqrt(tf.reduce_sum(tf.square(x), -1))


@pytest.mark.parametrize("name", ["lengths", "net"])
def test_a_layer_of_the_models_name(name: str) -> None:
    """As in the capsule networks of the field: it was taken for the model, and refused as unknown."""
    x = tf_keras.Input((5, 3))
    port = torchport.convert(tf_keras.Model(x, Length(name=name)(x), name="net"))
    assert "class Length(" in port.code


class Patches(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return keras.ops.reshape(keras.ops.image.extract_patches(x, 4), (-1, 4, 48))


def test_functions_of_keras_ops_image() -> None:
    """They were read as what Keras makes of them: a convolution with a buffer of ones and zeros."""
    x = keras.Input((8, 8, 3))
    code = torchport.convert(keras.Model(x, Patches()(x))).code
    assert "F.unfold" in code and "nn.Buffer" not in code


class Blend(tf_keras.layers.Layer):  # type: ignore[misc,name-defined]
    def build(self, shape: Any) -> None:
        self.G = self.add_weight(name="G", shape=(shape[0][-1], 2))
        self.b = self.add_weight(name="b", shape=(2,))

    def call(self, inputs: Any) -> Any:
        first, second = inputs
        return tf.nn.relu(tf.matmul(first, self.G) + self.b) * tf.reduce_mean(second, -1, keepdims=True)


def test_a_list_is_called_as_it_is_unpacked() -> None:
    x, y = tf_keras.Input((4,)), tf_keras.Input((3,))
    assert (
        "def forward(self, first: Tensor, second: Tensor)"
        in torchport.convert(tf_keras.Model([x, y], Blend()([x, y]))).code
    )


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (
            "(n, 8, 24, 24) -> (n, 8, 12, 12)",
            "(n, 4, 12, 12) -> (n, 4, 6, 6)",
            "(n, width, h, w) -> (n, width, h / 2, w / 2)",
        ),
        ("(n, 6, 16) -> (n, 6)", "(n, 6, 12) -> (n, 6)", "(n, 6, t) -> (n, 6)"),
        ("(n, 2, 16, 16) -> (n, 3)", "(n, 5, 8, 8) -> (n, 3)", "(n, c, h, w) -> (n, 3)"),
        ("x (n, 9), y (n, 3) -> (n, 3)", "x (n, 7), y (n, 2) -> (n, 2)", "x (n, c), y (n, c') -> (n, c')"),
    ],
)
def test_shapes_of_a_class_of_several_sizes(one: str, other: str, said: str) -> None:
    """They were `(n, ..., ..., ...)`."""
    assert described([one, other], {(8, 4): "width"}) == said


class Scaled(tf_keras.layers.Layer):  # type: ignore[misc,name-defined]
    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, shape: Any) -> None:
        self.W = self.add_weight(name="W", shape=(shape[-1], self.units))
        self.b = self.add_weight(name="b", shape=(self.units,))

    def call(self, x: Any) -> Any:
        return tf.nn.relu(tf.matmul(x, tf.tanh(self.W)) + self.b)


def test_weights_of_a_class_of_several_sizes_keep_their_names() -> None:
    """They were called after what is done to them: tanh_w, add_b."""
    x = tf_keras.Input((4,))
    code = torchport.convert(tf_keras.Model(x, Scaled(3)(Scaled(5)(x)))).code
    assert (
        "self.w = nn.Parameter" in code
        and "self.b = nn.Parameter" in code
        and code.count("class Scaled") == 1
    )
