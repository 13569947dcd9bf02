"""Small functional models that work with sizes, constants on the left, slices and one image alone."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import importlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import torch

import torchport

W = np.linspace(-1, 1, 8).astype("float32").reshape(4, 2)
HELD = tf.Variable(W)
V, S, M = [(4,)], [(5, 3)], [(4, 3)]
STEPS = [((None, 3), (7, 3))]
#: A call of x, y, z, and what these are: shapes, those of open sizes with the sizes that are tried.
KERAS_2: dict[str, list[Any]] = {
    "1 - x": V, "2**x": V, "7 // (x + 9)": V, "7 % (x + 9)": V, "-abs(x) / (x + 9)": V,
    "x[..., None] * x[:, tf.newaxis]": V, "x[:, ::-1]": S, "x[:, ::-2, 1:]": S,
    "x[:, -3:-1] - x[..., -1][:, None, :1]": S, "W.T @ x[:, :, None]": V,
    "x * y[:, None] + y[:, :, None][:, :1]": [(5, 3), (3,)], "x @ W": V,
    "np.arange(4, dtype='float32') * x": V, "x @ HELD + HELD[0]": V, "x * tf.Variable(2.0)": V,
    "tf.cast((x > 0) & (x < 1), 'float32') + tf.cast(~(x > 0) | (x > 1), 'float32')": V,
    "tf.reshape(x, [tf.shape(x)[0], -1])": M, "tf.reshape(x, (tf.shape(x)[0] * 4, 3))": M,
    "tf.reshape(x, tf.concat([tf.shape(x)[:1], [12]], 0))": M,
    "tf.reshape(x, tf.shape(y))": [(4, 3), (12,)],
    "tf.concat([x, tf.fill([tf.shape(x)[0], 1], 2.0), tf.zeros((tf.shape(x)[0], tf.shape(x)[1]))], -1)": V,
    "x[:, :, None] * tf.tile(W[None], [tf.shape(x)[0], 1, 1])": V,
    "x + tf.cast(tf.range(tf.shape(x)[1]), 'float32')[None, :, None]": STEPS,
    "x + L.Embedding(9, 3)(tf.range(start=0, limit=tf.shape(x)[1], delta=1))": STEPS,
    "tf.split(x, [1, 2, 1], -1)[1] * tf.concat(tf.split(x, 2, -1)[::-1], -1)[:, :2]": V,
    "tf.add_n(tf.unstack(x, axis=1))": S, "x[:, : tf.shape(x)[1] // 2]": STEPS,
    "x[:, tf.shape(x)[1] - 2 :]": STEPS, "x[:, : tf.shape(y)[1]]": [*STEPS, ((None, 2), (4, 2))],
    "(lambda t: tf.where(t[:, None] >= t, tf.matmul(x, x, 0, 1), 0.0))(tf.range(tf.shape(x)[1]))": STEPS,
    "tf.transpose(tf.reshape(x, (-1, tf.shape(x)[1], 3, 1)), (0, 2, 1, 3))": STEPS,
    "tf.reduce_sum(x, 1) / tf.cast(tf.shape(x)[1], 'float32')": STEPS,
    "tf.image.resize(x, tf.shape(x)[1:3] * 2)": [((None, None, 3), (4, 5, 3))],
    "tf.repeat(x, 3)": V, "(lambda b, t, c: tf.reshape(x, (b, t * c)))(*tf.unstack(tf.shape(x)))": STEPS,
    "tf.concat([tf.tile(x[:, None], [1, tf.shape(y)[1], 1]), y], -1)": [(4,), *STEPS],
    "tf.nn.conv2d_transpose(x, np.ones((3, 3, 2, 3), 'float32'), tf.stack([tf.shape(x)[0], 8, 10, 2]), 2)":
        [(4, 5, 3)],
    "tf.image.resize(tf.image.central_crop(x[0], 0.5), (3, 4))": [(8, 6, 3)],
}  # fmt: skip
KERAS_3: dict[str, list[Any]] = {
    "1 - x": V, "2**x": V, "7 // (x + 9)": V, "7 % (x + 9)": V, "-abs(x) / (x + 9)": V,
    "x[..., None] * x[:, None]": V, "x[:, ::-1]": S, "x[:, ::-2, 1:]": S,
    "x @ W": V, "ops.matmul(x, keras.Variable(W))": V, "ops.matmul(x, W[:, 0])": V,
    "x * y[:, None] + y[:, :, None][:, :1]": [(5, 3), (3,)], "x + keras.Variable(W[:, 0])": V,
    "ops.where((x > 0) & (x < 1), x, 0.1 * x)": V, "ops.reshape(x, (-1, ops.shape(x)[1] * 3))": M,
    "x + ops.cast(ops.arange(ops.shape(x)[1]), 'float32')": V, "x + L.Embedding(9, 3)(ops.arange(5))": S,
    "ops.split(x, [1, 3], -1)[1]": V, "sum(ops.unstack(x, axis=1))": S,
    "ops.slice(x, [0, 1, 0], [2, 2, 3])": S, "x * ops.tril(ops.ones((5, 5)))": [(5, 5)],
    "ops.slice_update(x, [0, 1], ops.ones((2, 2)))": V, "ops.repeat(x, 3)": V,
    "ops.image.resize(x[0], (7, 4))": [(5, 6, 3)],
}  # fmt: skip
CALLS = [("tf_keras", call, it) for call, it in KERAS_2.items()]
CALLS += [("keras", call, it) for call, it in KERAS_3.items()]


@pytest.mark.parametrize(("of", "call", "shapes"), CALLS, ids=[f"{of}-{call}" for of, call, _ in CALLS])
def test_computes_the_same(of: str, call: str, shapes: list[Any], tmp_path: Path) -> None:
    package = importlib.import_module(of)
    package.backend.clear_session()
    pairs = [it if isinstance(it[-1], tuple) else (it, it) for it in shapes]
    inputs = [package.Input(declared) for declared, _ in pairs]
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, *real)).astype("float32") for _, real in pairs]
    space = {"tf": tf, "np": np, "L": package.layers, "ops": keras.ops, "keras": keras, "W": W, "HELD": HELD}
    output = eval(call, {**space, **dict(zip("xyz", inputs, strict=False))})
    model = package.Model(inputs, output)
    want = np.asarray(model(arrays if len(arrays) > 1 else arrays[0]))
    sources: list[Any] = [model]
    if "HELD" not in call and "Variable(2" not in call:  # which tf-keras does not save
        sources.append(tmp_path / f"model.{'h5' if of == 'tf_keras' else 'keras'}")
        model.save(sources[-1])
    for source in sources:
        found = torchport.convert(source, keep_io=True).run(*arrays)
        assert found.dtype.kind == want.dtype.kind
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5, err_msg=str(source))


def test_a_model_is_left_as_it_was() -> None:
    """Variables that functions of tf-keras were called with are still theirs."""
    x = tf_keras.Input((4,))
    held = tf.Variable(2.0)
    model = tf_keras.Model(x, x * held)
    array = np.ones((1, 4), "float32")
    port = torchport.convert(model)
    held.assign(3.0)
    assert model(array).numpy()[0, 0] == 3 and port.run(array)[0, 0] == 2


IMAGES = (
    "RandomFlip()", "RandomRotation(0.1)", "RandomZoom(0.1)", "RandomContrast(0.1)", "RandomBrightness(0.1)",
    "RandomTranslation(0.1, 0.1)", "Resizing(3, 4)", "RandomCrop(3, 4)",
)  # fmt: skip


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
@pytest.mark.parametrize("layer", IMAGES)
def test_one_image(of: str, layer: str) -> None:
    """Layers of images take one without a batch: the same in inference, another in training."""
    package = importlib.import_module(of)
    x = package.Input(batch_shape=(6, 8, 3))
    model = package.Model(x, eval(f"L.{layer}", {"L": package.layers})(x))
    array = np.random.default_rng(0).uniform(0, 255, (6, 8, 3)).astype("float32")
    port = torchport.convert(model, keep_io=True)
    want = np.asarray(model(array, training=False))
    np.testing.assert_allclose(port.run(array), want, rtol=1e-4, atol=1e-3, err_msg=port.code)
    trained = port.module().train()(torch.from_numpy(array))
    if layer.startswith("Random"):
        assert tuple(trained.shape) == tuple(model(array, training=True).shape), port.code
