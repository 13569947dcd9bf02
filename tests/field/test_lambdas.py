"""Lambda layers that people write: read from the bytes in the file, nothing of them run."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras import ops
from tf_keras.applications import imagenet_utils

import torchport
from torchport.errors import Refused
from torchport.lambdas.signatures import PARAMETERS
from torchport.lambdas.tensorflow import between, spaced

#: What people call them.
K = B = tf_keras.backend
RNG = np.random.default_rng(0)
Shape = tuple[int | None, ...]
IMAGE, STEPS, FLAT = (6, 5, 3), (7, 4), (5,)


#: Expressions of one tensor, with the shape of it.
ONE: list[tuple[Callable[[Any], Any], Shape]] = [
    (lambda x: x / 255.0, IMAGE),
    (lambda x: x / 127.5 - 1, IMAGE),
    (lambda x: (x - 0.5) * 2, IMAGE),
    (lambda x: 1.0 - x, IMAGE),
    (lambda x: -x, FLAT),
    (lambda x: x**2, FLAT),
    (lambda x: x * math.sqrt(5), FLAT),
    (lambda x: x * np.sqrt(5.0) + np.pi, FLAT),
    (lambda x: K.l2_normalize(x, axis=1), FLAT),
    (lambda x: K.l2_normalize(x, axis=-1), IMAGE),
    (lambda x: tf.math.l2_normalize(x, axis=1), FLAT),
    (lambda x: tf.nn.l2_normalize(x, -1), STEPS),
    (lambda x: tf.expand_dims(x, -1), FLAT),
    (lambda x: tf.expand_dims(x, axis=1), FLAT),
    (lambda x: K.expand_dims(x), FLAT),
    (lambda x: K.expand_dims(x, 1), STEPS),
    (lambda x: tf.squeeze(x[:, :1], axis=1), STEPS),
    (lambda x: K.squeeze(x[:, :1], 1), STEPS),
    (lambda x: x[:, -1], STEPS),
    (lambda x: x[:, 0, :], STEPS),
    (lambda x: x[:, 1:-1], STEPS),
    (lambda x: x[:, ::2, ::2], IMAGE),
    (lambda x: x[..., 0], IMAGE),
    (lambda x: x[..., ::-1], IMAGE),
    (lambda x: x[:, :, None], STEPS),
    (lambda x: x[:, tf.newaxis, :], FLAT),
    (lambda x: K.mean(x, axis=1), STEPS),
    (lambda x: K.mean(x, axis=[1, 2]), IMAGE),
    (lambda x: K.sum(x, axis=1, keepdims=True), STEPS),
    (lambda x: K.max(x, axis=1), STEPS),
    (lambda x: tf.reduce_mean(x, axis=[1, 2]), IMAGE),
    (lambda x: tf.reduce_mean(x, [1, 2], keepdims=True), IMAGE),
    (lambda x: tf.reduce_max(x, axis=-1), STEPS),
    (lambda x: tf.reduce_sum(x, 1), STEPS),
    (lambda x: tf.image.resize(x, (8, 10)), IMAGE),
    (lambda x: tf.image.resize(x, [12, 10], method="nearest"), IMAGE),
    (lambda x: K.resize_images(x, 2, 2, "channels_last"), IMAGE),
    (lambda x: tf.image.rgb_to_grayscale(x), IMAGE),
    (lambda x: K.reverse(x, axes=1), STEPS),
    (lambda x: tf.reverse(x, [1]), STEPS),
    (lambda x: K.permute_dimensions(x, (0, 2, 1)), STEPS),
    (lambda x: tf.transpose(x, [0, 2, 1]), STEPS),
    (lambda x: K.reshape(x, (-1, 28)), STEPS),
    (lambda x: tf.reshape(x, (-1, 4, 7)), STEPS),
    (lambda x: tf.reshape(x, [tf.shape(x)[0], -1]), STEPS),
    (lambda x: K.reshape(x, (K.shape(x)[0], 28)), STEPS),
    (lambda x: tf.reshape(x, (-1, x.shape[1] * x.shape[2])), STEPS),
    (lambda x: K.reshape(x, (-1, K.int_shape(x)[1] * K.int_shape(x)[2])), STEPS),
    (lambda x: K.batch_flatten(x), STEPS),
    (lambda x: K.repeat(x, 3), FLAT),
    (lambda x: K.repeat_elements(x, 2, axis=1), STEPS),
    (lambda x: tf.tile(tf.expand_dims(x, 1), [1, 3, 1]), FLAT),
    (lambda x: K.tile(x, [1, 2]), FLAT),
    (lambda x: K.relu(x), FLAT),
    (lambda x: K.relu(x, max_value=0.5), FLAT),
    (lambda x: K.relu(x, alpha=0.1), FLAT),
    (lambda x: tf.nn.relu6(x * 6), FLAT),
    (lambda x: tf.nn.leaky_relu(x, alpha=0.1), FLAT),
    (lambda x: x * K.sigmoid(x), FLAT),
    (lambda x: x * K.tanh(K.softplus(x)), FLAT),
    (lambda x: K.softmax(x), STEPS),
    (lambda x: K.softmax(x, axis=1), STEPS),
    (lambda x: tf.nn.softmax(x / 0.5), FLAT),
    (lambda x: tf.nn.log_softmax(x, axis=-1), FLAT),
    (lambda x: K.hard_sigmoid(x), FLAT),
    (lambda x: K.elu(x, 0.5), FLAT),
    (lambda x: K.exp(x) + K.square(x) - K.abs(x), FLAT),
    (lambda x: K.sqrt(x), FLAT),
    (lambda x: K.log(K.abs(x) + K.epsilon()), FLAT),
    (lambda x: K.clip(x, 0.1, 0.9), FLAT),
    (lambda x: tf.clip_by_value(x, 0.0, 1.0), FLAT),
    (lambda x: K.pow(x, 2), FLAT),
    (lambda x: K.sign(x) * K.round(x * 3), FLAT),
    (lambda x: K.std(x, axis=1), STEPS),
    (lambda x: K.var(x, axis=-1, keepdims=True), STEPS),
    (lambda x: (x - K.mean(x, axis=1, keepdims=True)) / (K.std(x, axis=1, keepdims=True) + 1e-7), STEPS),
    (lambda x: K.cast(K.greater(x, 0.0), "float32"), FLAT),
    (lambda x: tf.cast(x > 0, tf.float32) * x, FLAT),
    (lambda x: tf.where(x > 0, x, 0.1 * x), FLAT),
    (lambda x: tf.where(tf.greater(x, 0.0), x, tf.zeros_like(x)), FLAT),
    (lambda x: tf.maximum(x, 0.0), FLAT),
    (lambda x: K.maximum(x, 0.2 * x), FLAT),
    (lambda x: K.concatenate([x, x], axis=1), FLAT),
    (lambda x: tf.concat([x, -x], axis=-1), STEPS),
    (lambda x: K.concatenate([K.mean(x, axis=-1, keepdims=True), K.max(x, axis=-1, keepdims=True)]), IMAGE),
    (lambda x: tf.stack([x, x * 2], axis=1), FLAT),
    (lambda x: K.stack([x[:, 0], x[:, 1]], axis=1), STEPS),
    (lambda x: tf.split(x, 2, axis=-1)[0], STEPS),
    (lambda x: [x[:, :2], x[:, 2:]], FLAT),
    (lambda x: tf.unstack(x, axis=1)[-1], STEPS),
    (lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0]]), STEPS),
    (lambda x: tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="REFLECT"), IMAGE),
    (lambda x: tf.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=1.0), STEPS),
    (lambda x: K.spatial_2d_padding(x, ((1, 1), (2, 2))), IMAGE),
    (lambda x: K.temporal_padding(x, (2, 0)), STEPS),
    (lambda x: K.argmax(x, axis=-1), STEPS),
    (lambda x: tf.argmax(x, axis=-1), STEPS),
    (lambda x: tf.gather(x, [0, 2], axis=1), STEPS),
    (lambda x: tf.gather(x, np.array([2, 1, 0]), axis=-1), IMAGE),
    (lambda x: tf.nn.depth_to_space(tf.concat([x, x, x, x], -1), 2), IMAGE),
    (lambda x: tf.nn.space_to_depth(x[:, :, :4], 2), IMAGE),
    (lambda x: tf.nn.avg_pool2d(x, 2, 1, "VALID"), IMAGE),
    (lambda x: tf.nn.max_pool2d(x, ksize=2, strides=2, padding="SAME"), IMAGE),
    (lambda x: K.pool2d(x, (2, 2), strides=(2, 2), pool_mode="avg"), IMAGE),
    (lambda x: tf.nn.moments(x, axes=[1])[0], STEPS),
    (lambda x: x - np.array([0.485, 0.456, 0.406]), IMAGE),
    (lambda x: (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], IMAGE),
    (lambda x: x[..., ::-1] - tf.constant([103.939, 116.779, 123.68]), IMAGE),
    (lambda x: tf.matmul(x, x, transpose_b=True), STEPS),
    (lambda x: x @ tf.transpose(x, [0, 2, 1]), STEPS),
    (lambda x: K.batch_dot(x, x, axes=[2, 2]), STEPS),
    (lambda x: K.dot(x, K.constant(np.ones((4, 2)))), STEPS),
    (lambda x: tf.einsum("btc,bsc->bts", x, x), STEPS),
    (lambda x: tf.linalg.norm(x, axis=-1), STEPS),
    (lambda x: tf.norm(x, axis=1, keepdims=True), FLAT),
    (lambda x: K.cumsum(x, axis=1), STEPS),
    (lambda x: tf.cumsum(x, axis=1, reverse=True), STEPS),
    (lambda x: tf.sin(x) + tf.cos(x) + tf.math.erf(x), FLAT),
    (lambda x: tf.math.log1p(tf.abs(x)), FLAT),
    (lambda x: tf.stop_gradient(x) * 2, FLAT),
    (lambda x: K.stop_gradient(x) + x, FLAT),
    (lambda x: sum([x[:, n] for n in range(3)]), STEPS),
    (lambda x: K.concatenate([x[:, n : n + 2] for n in range(0, 4, 2)], axis=-1), STEPS),
    (lambda x: x if K.ndim(x) == 3 else K.expand_dims(x), STEPS),
    (lambda x: x * 2 if x.shape[-1] == 4 else x, STEPS),
    (lambda x: tf.reshape(x, [-1] + x.shape.as_list()[1:][::-1]), STEPS),
    (lambda x: tf.reshape(x, (-1,) + tuple(x.get_shape()[1:]) + (1,)), STEPS),
    (lambda x, factor=3.0: x * factor, FLAT),
    (lambda x: K.zeros_like(x) + K.ones_like(x) * x, FLAT),
    (lambda x: tf.ones_like(x) - x, FLAT),
    (lambda x: x + tf.range(5, dtype=tf.float32), FLAT),
    (lambda x: x * tf.linspace(0.0, 1.0, 5), FLAT),
    (lambda x: tf.keras.backend.mean(x, axis=1), STEPS),
    (lambda x: B.abs(x), FLAT),
    (lambda x: tf.keras.activations.relu(x), FLAT),
    (lambda x: tf.repeat(x, 2, axis=1), STEPS),
    (lambda x: tf.roll(x, 1, axis=1), STEPS),
    (lambda x: tf.strided_slice(x, [0, 1], [7, 3]), STEPS),
    (lambda x: tf.slice(x, [0, 1, 0], [-1, 2, -1]), STEPS),
    (lambda x: tf.math.divide_no_nan(x, x - x), FLAT),
    (lambda x: tf.logical_not(x > 0), FLAT),
    (lambda x: (x > 0.2) & (x < 0.8), FLAT),
    (lambda x: x // 0.3, FLAT),
    (lambda x: x % 0.3, FLAT),
    (lambda x: abs(x), FLAT),
    (lambda x: tf.round(x * 10) / 10, FLAT),
    (lambda x: K.any(K.greater(x, 0.5), axis=-1), STEPS),
    (lambda x: tf.sort(x, axis=-1, direction="DESCENDING"), STEPS),
    (lambda x: tf.nn.top_k(x, k=2).values, STEPS),
    (lambda x: tf.math.top_k(x, 2)[0], STEPS),
    (lambda x: tf.one_hot(tf.argmax(x, -1), 4), STEPS),
]  # fmt: skip


def saved(package: Any, functions: list[Any], shapes: list[Shape], folder: Path, **options: Any) -> Any:
    """A model of Lambdas side by side, each of all inputs, and its file."""
    inputs = [package.Input(shape) for shape in shapes]
    given = inputs if len(inputs) > 1 else inputs[0]
    layers = [package.layers.Lambda(it, name=f"f{at}", **options) for at, it in enumerate(functions)]
    model = package.Model(inputs, [layer(given) for layer in layers])
    path = folder / ("model.keras" if package is keras else "model.h5")
    model.save(path)
    return model, path


def flat(given: Any) -> list[np.ndarray]:
    if isinstance(given, (list, tuple)):
        return [leaf for it in given for leaf in flat(it)]
    return [np.asarray(given)]


def agree(model: Any, port: Any, inputs: list[np.ndarray]) -> None:
    """Every output of a model is that of its port."""
    want, got = flat(model(inputs if len(inputs) > 1 else inputs[0])), flat(port.run(*inputs))
    assert len(got) == len(want)
    for at, (ours, theirs) in enumerate(zip(got, want, strict=True)):
        assert ours.shape == theirs.shape, at
        np.testing.assert_allclose(
            ours.astype("float64"), theirs.astype("float64"), rtol=1e-5, atol=1e-5, err_msg=str(at)
        )


@pytest.mark.parametrize("package", [keras, tf_keras], ids=lambda it: it.__name__)
@pytest.mark.parametrize("shape", [IMAGE, STEPS, FLAT], ids=str)
def test_of_one_tensor(package: Any, shape: Shape, tmp_path: Path) -> None:
    functions = [function for function, of in ONE if of == shape]
    model, path = saved(package, functions, [shape], tmp_path)
    agree(model, torchport.convert(path), [RNG.uniform(-0.2, 1, (2, *shape)).astype("float32")])


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 11, 64])
def test_constants_to_the_last_bit(count: int) -> None:
    """They are numbers of the port: TensorFlow's own, not numpy's."""
    for start, stop in ((0.0, 1.0), (-1.0, 1.0), (0.1, 0.7), (3.0, -2.0)):
        np.testing.assert_array_equal(between(start, stop, count), tf.linspace(start, stop, count))
    for ends in ((count,), (float(count),), (0.0, 1.0, 1 / count), (-1, count, 2), (0.1, 7.0, 0.3)):
        want = tf.range(*ends)
        np.testing.assert_array_equal(spaced(*ends), want)
        assert spaced(*ends).dtype == want.dtype.as_numpy_dtype


def test_positional_arguments_are_tensorflows() -> None:
    """The table of parameters is that of the installed TensorFlow."""
    found = 0
    for module in (tf, tf.math, tf.nn, tf.linalg, tf.image, tf.signal):
        for name, parameters in PARAMETERS.items():
            function = getattr(module, name, None)
            if callable(function) and name != "transpose":
                theirs = [it for it in inspect.signature(function).parameters if it not in ("name", "kwargs")]
                assert [it.rstrip("*") for it in parameters] == theirs, name
                found += 1
    assert found > 250


#: Expressions of Keras 3's own operations.
OPS: list[tuple[Callable[[Any], Any], Shape]] = [
    (lambda x: ops.mean(x, axis=1), STEPS),
    (lambda x: ops.expand_dims(x, -1), FLAT),
    (lambda x: ops.concatenate([x, ops.flip(x, axis=1)], axis=-1), STEPS),
    (lambda x: keras.ops.normalize(x, axis=-1), STEPS),
    (lambda x: ops.relu(x) - ops.softmax(x, axis=1), STEPS),
    (lambda x: ops.nn.silu(x) + ops.abs(x), FLAT),
    (lambda x: ops.transpose(x, (0, 2, 1)), STEPS),
    (lambda x: ops.reshape(x, (-1, ops.shape(x)[1] * ops.shape(x)[2])), STEPS),
    (lambda x: ops.reshape(x, (ops.shape(x)[0], 28)), STEPS),
    (lambda x: ops.image.resize(x, (8, 8)), IMAGE),
    (lambda x: ops.cast(x > 0.3, "float32"), FLAT),
    (lambda x: ops.where(x > 0, x, ops.zeros_like(x)), FLAT),
    (lambda x: ops.clip(x, 0.1, 0.5), FLAT),
    (lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), STEPS),
    (lambda x: ops.einsum("btc,bsc->bts", x, x), STEPS),
    (lambda x: ops.split(x, 2, axis=-1)[1], STEPS),
    (lambda x: ops.stack([x, -x], axis=1), FLAT),
    (lambda x: ops.sum(ops.square(x), axis=-1, keepdims=True), STEPS),
    (lambda x: ops.max(x, axis=1) + ops.min(x, 1), STEPS),
    (lambda x: ops.take(x, [2, 0], axis=1), STEPS),
    (lambda x: ops.one_hot(ops.argmax(x, axis=-1), 4), STEPS),
    (lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 0]]), STEPS),
    (lambda x: x + ops.arange(4, dtype="float32"), STEPS),
    (lambda x: x * ops.ones((4,)) + ops.zeros((ops.shape(x)[0], 7, 4)), STEPS),
    (lambda x: ops.repeat(x, 2, axis=1), STEPS),
    (lambda x: ops.sqrt(ops.maximum(x, 1e-6)), FLAT),
    (lambda x: keras.activations.gelu(x), FLAT),
    (lambda x: ops.squeeze(x[:, :1], axis=1), STEPS),
    (lambda x: ops.log(ops.exp(x) + 1) * ops.sign(x), FLAT),
    (lambda x: ops.norm(x, axis=-1), STEPS),
]  # fmt: skip


@pytest.mark.parametrize("shape", [IMAGE, STEPS, FLAT], ids=str)
def test_of_keras_operations(shape: Shape, tmp_path: Path) -> None:
    model, path = saved(keras, [function for function, of in OPS if of == shape], [shape], tmp_path)
    port = torchport.convert(path)
    agree(model, port, [RNG.uniform(-0.2, 1, (2, *shape)).astype("float32")])
    assert torchport.verify(path, port).passed


#: Expressions of two tensors.
TWO: list[Callable[[Any], Any]] = [
    lambda x: K.abs(x[0] - x[1]),
    lambda x: tf.abs(x[0] - x[1]),
    lambda x: K.concatenate(x, axis=-1),
    lambda x: x[0] * x[1],
    lambda x: K.sum(x[0] * x[1], axis=-1, keepdims=True),
    lambda x: K.sqrt(K.maximum(K.sum(K.square(x[0] - x[1]), axis=1, keepdims=True), K.epsilon())),
    lambda x: K.batch_dot(x[0], x[1], axes=1),
    lambda x: tf.reduce_sum(tf.nn.l2_normalize(x[0], 1) * tf.nn.l2_normalize(x[1], 1), axis=1),
    lambda x: tf.add_n(x),
    lambda x: tf.stack(x, axis=1),
    lambda inputs: inputs[0] + K.exp(0.5 * inputs[1]),
    lambda x: tf.where(x[0] > x[1], *x),
    lambda x: tf.einsum("ni,nj->nij", *x),
    lambda x: K.stack([*x, x[0]], axis=-1),
    lambda x: -K.mean(x[0] * K.log(x[1] * x[1] + 1e-3), axis=-1),
]


@pytest.mark.parametrize("package", [keras, tf_keras], ids=lambda it: it.__name__)
def test_of_two_tensors(package: Any, tmp_path: Path) -> None:
    def distance(vectors: Any) -> Any:
        left, right = vectors
        difference = left - right
        for _ in range(2):
            difference = difference * 0.5
        return K.sqrt(K.sum(K.square(difference), axis=1, keepdims=True) + K.epsilon())

    scale, names = 3.0, [0, 1]
    closures = [lambda x: x[0] * scale + x[names[1]], lambda x: (lambda y: y + scale)(x[0])]
    functions = [*TWO, *closures, *([distance] if package is tf_keras else [])]
    model, path = saved(package, functions, [FLAT, FLAT], tmp_path)
    agree(model, torchport.convert(path), [RNG.uniform(-1, 1, (2, 5)).astype("float32") for _ in range(2)])


def test_variational_sampling(tmp_path: Path) -> None:
    """The draw is a draw: verify gives both sides the same."""

    def sampling(args: Any) -> Any:
        z_mean, z_log_var = args
        batch = K.shape(z_mean)[0]
        dim = K.int_shape(z_mean)[1]
        epsilon = K.random_normal(shape=(batch, dim), mean=0.0, stddev=1.0)
        return z_mean + K.exp(0.5 * z_log_var) * epsilon

    x = tf_keras.Input((6,))
    parts = [tf_keras.layers.Dense(2, name="mean")(x), tf_keras.layers.Dense(2, name="log_var")(x)]
    model = tf_keras.Model(x, tf_keras.layers.Lambda(sampling, name="z", output_shape=(2,))(parts))
    model.save(tmp_path / "vae.h5")
    port = torchport.convert(tmp_path / "vae.h5")
    assert "torch.randn_like" in port.code or ".normal_()" in port.code
    assert any("z was read from its bytes" in it and "K for keras.backend" in it for it in port.program.notes)
    result = torchport.verify(tmp_path / "vae.h5", port)
    assert result.passed, str(result)
    assert any("were not run" in it for it in result.notes)


#: As the modules of keras.applications do it.
PREPARED: dict[str, Callable[[Any], Any]] = {
    "caffe": lambda x, data_format=None: imagenet_utils.preprocess_input(
        x, data_format=data_format, mode="caffe"
    ),
    "tf": lambda x: imagenet_utils.preprocess_input(x, mode="tf"),
    "torch": lambda x: imagenet_utils.preprocess_input(x, mode="torch"),
}


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_images_prepared_as_for_imagenet(mode: str, tmp_path: Path) -> None:
    """`Lambda(preprocess_input)` of a model of keras.applications, which calls imagenet_utils."""
    model, path = saved(tf_keras, [PREPARED[mode]], [IMAGE], tmp_path)
    port = torchport.convert(path)
    agree(model, port, [RNG.uniform(0, 255, (2, *IMAGE)).astype("float32")])
    assert torchport.verify(path, port).passed


def refused(package: Any, function: Any, folder: Path) -> str:
    x = package.Input(FLAT)
    model = package.Model(x, package.layers.Lambda(function, name="f", output_shape=FLAT)(x))
    path = folder / ("model.keras" if package is keras else "model.h5")
    model.save(path)
    with pytest.raises(Refused) as error:
        torchport.convert(path)
    return str(error.value)


def outside(x: Any) -> Any:
    return x


def test_what_cannot_be_known_is_refused(tmp_path: Path) -> None:
    assert "does not say what outside is" in refused(keras, lambda x: outside(x), tmp_path)
    text = refused(keras, outside, tmp_path)
    assert "'outside'" in text and "has its name alone" in text and "--code" in text
    assert "calls tf.py_function" in refused(
        tf_keras, lambda x: tf.ensure_shape(tf.py_function(lambda y: y, [x], tf.float32), x.shape), tmp_path
    )
    assert "calls tf.io.write_file" in refused(
        tf_keras, lambda x: x if tf.io.write_file("canary", "x") is None else -x, tmp_path
    )
    assert "line " in refused(keras, lambda x: x if len(str(x)) else outside(x), tmp_path)
