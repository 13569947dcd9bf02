"""TensorFlow's own functions as activations: verify's float64 has the slope that was asked for."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
import tf_keras

import torchport


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_function_of_tensorflow_as_activation(package: object) -> None:
    """A layer holds the function itself; TensorFlow's kernel keeps its slope as a float32 number."""
    layers = package.layers  # type: ignore[attr-defined]
    x = package.Input((8,))  # type: ignore[attr-defined]
    y = layers.Dense(4, activation=tf.nn.leaky_relu)(layers.Activation(tf.nn.leaky_relu)(x))
    model = package.Model(x, y)  # type: ignore[attr-defined]
    assert torchport.verify(model, torchport.convert(model)).passed
