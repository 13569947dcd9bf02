"""Calls and options of layers as people write them, in Keras 2 and 3: the port gives what the model gives."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import torch
from tests.quick import QUICK

import torchport
from torchport.errors import Refused
from torchport.report.conversion import notes

BOTH = pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras3", "keras2"])


def check(model: Any) -> torchport.Port:
    """The port of a model, which gives what the model gives."""
    rng = np.random.default_rng(0)
    shapes = [(2, *(size or 5 for size in it.shape[1:])) for it in model.inputs]
    given = [
        rng.random(shape) > 0.4 if "bool" in str(it.dtype) else rng.normal(size=shape).astype("float32")
        for shape, it in zip(shapes, model.inputs, strict=True)
    ]
    for variable in model.weights:
        variable.assign(rng.random(variable.shape).astype("float32") + 0.1)
    port = torchport.convert(model)
    wanted = np.asarray(model(given if len(given) > 1 else given[0], training=False))
    np.testing.assert_allclose(port.run(*given), wanted, rtol=1e-4, atol=1e-5)
    return port


def assert_verified(model: Any, port: torchport.Port) -> None:
    result = torchport.verify(model, port, **QUICK)
    assert result.passed, "\n".join([str(result), *[str(row) for row in result.rows if not row.passed][:5]])


def refused(model: Any) -> str:
    with pytest.raises(Refused) as caught:
        torchport.convert(model)
    return str(caught.value)


@BOTH
@pytest.mark.parametrize(
    "call",
    [
        lambda L, x, y, mask: L.MultiHeadAttention(2, 4)(query=x, value=x, key=x),
        lambda L, x, y, mask: L.MultiHeadAttention(2, 4)(value=y, query=x, attention_mask=mask),
        lambda L, x, y, mask: L.MultiHeadAttention(2, 4)(x, key=y, value=y, training=False),
        lambda L, x, y, mask: L.MultiHeadAttention(2, 4)(x, y, key=None, attention_mask=None, training=None),
        lambda L, x, y, mask: L.Dense(3)(inputs=x),
        lambda L, x, y, mask: L.BatchNormalization()(inputs=x, training=None),
        lambda L, x, y, mask: L.Dropout(0.3)(inputs=x, training=None),
        lambda L, x, y, mask: L.Add()(inputs=[x, x]),
        lambda L, x, y, mask: L.Attention()(inputs=[x, y]),
        lambda L, x, y, mask: L.TimeDistributed(L.Dense(3))(inputs=x),
        lambda L, x, y, mask: L.LSTM(3)(x, mask=None, training=None),
    ],
)  # fmt: skip
def test_tensors_that_a_call_names(package: Any, call: Any) -> None:
    x, y = package.Input((6, 8)), package.Input((5, 8))
    mask = package.Input((6, 5), dtype="bool")
    check(package.Model([x, y, mask], call(package.layers, x, y, mask)))


CAUSAL = np.tril(np.ones((1, 6, 6), bool))


@pytest.mark.parametrize("suffix", ["", ".keras", ".h5"])
@pytest.mark.parametrize(
    ("package", "call"),
    [
        (keras, lambda L, x: L.MultiHeadAttention(2, 4)(x, x, attention_mask=CAUSAL)),
        (keras, lambda L, x: L.Add()([x, np.arange(8, dtype="float32") * np.ones((1, 6, 1), "float32")])),
        (tf_keras, lambda L, x: L.MultiHeadAttention(2, 4)(x, x, attention_mask=CAUSAL)),
        (tf_keras, lambda L, x: L.MultiHeadAttention(2, 4)(x, x, attention_mask=tf.constant(CAUSAL))),
    ],
)
def test_arrays_in_the_call_of_a_layer(package: Any, call: Any, suffix: str, tmp_path: Path) -> None:
    """A causal mask made beforehand, a table that is added: they are constants of the port."""
    x = package.Input((6, 8))
    model = package.Model(x, package.layers.Dense(2)(call(package.layers, x)))
    check(model)
    if suffix:
        model.save(tmp_path / f"model{suffix}")
        given = np.random.default_rng(1).normal(size=(2, 6, 8)).astype("float32")
        port = torchport.convert(tmp_path / f"model{suffix}")
        np.testing.assert_allclose(port.run(given), np.asarray(model(given)), rtol=1e-4, atol=1e-5)


@BOTH
@pytest.mark.parametrize("axes", [None, 1, (2,), (1, 2)])
def test_attention_over_axes_of_images(package: Any, axes: Any) -> None:
    x, y = package.Input((4, 6, 8)), package.Input((4, 6, 8))
    check(package.Model([x, y], package.layers.MultiHeadAttention(2, 4, attention_axes=axes)(x, y)))


@BOTH
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"return_attention_scores": True}, "the scores over other axes"),
        ({"attention_mask": True}, "masks over other axes"),
    ],
)
def test_attention_over_axes_that_is_refused(package: Any, options: dict[str, Any], said: str) -> None:
    x, mask = package.Input((4, 6, 8)), package.Input((4, 6, 4, 6), dtype="bool")
    given = {"attention_mask": mask} if "attention_mask" in options else options
    y = package.layers.MultiHeadAttention(2, 4)(x, x, **given)
    assert said in refused(package.Model([x, mask], y))


@pytest.mark.parametrize(
    "norm",
    [
        lambda: tf_keras.layers.experimental.SyncBatchNormalization(),
        lambda: keras.layers.BatchNormalization(synchronized=True),
    ],
)
def test_synchronized_batch_norm_is_batch_norm_with_a_note(norm: Any) -> None:
    layer = norm()
    package = tf_keras if isinstance(layer, tf_keras.layers.Layer) else keras
    x = package.Input((5, 7, 3))
    model = package.Model(x, package.layers.TimeDistributed(package.layers.Dense(2))(layer(x)))
    port = check(model)
    assert "nn.BatchNorm2d(3" in port.code
    assert any("convert_sync_batchnorm" in it for it in notes(port))
    assert "BiasedBatchNorm2d" in torchport.convert(model, exact=True).code


def test_locally_connected_network() -> None:
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            tf_keras.Input((11, 11, 3)), layers.Conv2D(4, 2, activation="relu"), layers.MaxPooling2D(2),
            layers.LocallyConnected2D(4, 2, activation="relu"), layers.LocallyConnected2D(3, 2, strides=2),
            layers.Flatten(), layers.Dense(2),
        ]
    )  # fmt: skip
    assert_verified(model, check(model))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"implementation": 2}, "implementation=2"),
        ({"implementation": 3, "padding": "same"}, "implementation=3"),
        ({"data_format": "channels_first"}, "data_format='channels_first'"),
    ],
)
def test_other_kinds_of_locally_connected_are_refused(options: dict[str, Any], said: str) -> None:
    x = tf_keras.Input((5, 5, 5))
    assert said in refused(tf_keras.Model(x, tf_keras.layers.LocallyConnected2D(2, 3, **options)(x)))


def test_random_height_and_width_of_a_course() -> None:
    layers = tf_keras.layers
    augment = tf_keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomHeight(0.2), layers.RandomWidth(0.2)]
    )
    x = tf_keras.Input((12, 12, 3))
    y = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(augment(x))))
    model = tf_keras.Model(x, layers.Dense(2)(y))
    port = check(model)
    assert_verified(model, port)
    module = port.module().train().augmentation
    torch.manual_seed(0)  # the outermost sizes are rare
    sizes = {tuple(module(torch.zeros(1, 3, 12, 12)).shape[2:]) for _ in range(200)}
    assert {height for height, _ in sizes} == {width for _, width in sizes} == set(range(9, 15))
    silent = tf_keras.Model(x, layers.RandomHeight(0.2)(x, training=False))
    assert "RandomHeight" not in torchport.convert(silent).code


@BOTH
def test_conv_lstm_with_dropout(package: Any) -> None:
    x = package.Input((3, 4, 4, 2))
    layer = package.layers.ConvLSTM2D(3, 2, dropout=0.3, recurrent_dropout=0.4)
    model = package.Model(x, layer(x))
    port = check(model)
    assert "dropout=0.3, recurrent_dropout=0.4" in port.code
    assert_verified(model, port)


def test_a_pipeline_of_augmentation_is_no_class_of_somebody() -> None:
    layers = keras.layers
    x = keras.Input((5, 7, 3))
    model = keras.Model(x, layers.Pipeline([layers.RandomFlip(), layers.Rescaling(0.5)])(x))
    assert not list(notes(check(model)))
