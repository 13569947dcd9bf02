"""TensorFlow's own functions as activations: verify's float64 has the slope that was asked for."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_number_of_python_has_all_its_digits(package: object) -> None:
    """tf-keras has TensorFlow as tensorflow.compat.v2, whose `cast` makes a float32 of 1/255 first."""
    layers = package.layers  # type: ignore[attr-defined]
    x = package.Input((8, 8, 3))  # type: ignore[attr-defined]
    y = layers.Conv2D(2, 3)(layers.Rescaling(1 / 255, offset=-0.3)(x))
    model = package.Model(x, y)  # type: ignore[attr-defined]
    assert torchport.verify(model, torchport.convert(model)).passed


def test_complex_numbers_are_compared_whole() -> None:
    """Their imaginary part too."""
    x = tf_keras.Input((64,))
    y = tf.math.log(tf.abs(tf.signal.stft(x, frame_length=16, frame_step=8)) + 1e-3)
    model = tf_keras.Model(x, tf_keras.layers.Dense(2)(y))
    result = torchport.verify(model, torchport.convert(model))
    assert result.passed and any("stft" in it.name for it in result.rows)


def test_a_last_bit_makes_no_other_token(tmp_path: Path) -> None:
    """A mask that the port has not is a difference, though a word of 1e-16 is not masked in the source."""
    layers = tf_keras.layers
    words = tf_keras.Input((6,))
    model = tf_keras.Model(words, layers.LSTM(3)(layers.Embedding(9, 4, mask_zero=True)(words)))
    folder = torchport.convert(model).save(tmp_path / "port")
    text = (folder / "model.py").read_text()
    assert text.count("x != 0") == 1
    (folder / "model.py").write_text(text.replace("x != 0", "x > -1"))
    assert torchport.verify(model, folder).differs
