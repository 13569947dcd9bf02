"""Functions of TensorFlow and Keras in graphs that people wrote: activations by name, losses, draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import torchport
from torchport.errors import Refused

L = tf_keras.layers
RNG = np.random.default_rng(0)


def saved(make: Callable[[], Any], path: Path, suffix: str = ".h5") -> tuple[Any, str]:
    tf_keras.backend.clear_session()
    model = make()
    file = str(path / f"model{suffix}")
    model.save(file)
    return model, file


@tf_keras.utils.register_keras_serializable(package="Addons")
def mish(x: Any) -> Any:
    return x * tf.tanh(tf.math.softplus(x))


@tf_keras.utils.register_keras_serializable(package="Addons")
def lisht(x: Any) -> Any:
    return x * tf.tanh(x)


@tf_keras.utils.register_keras_serializable(package="Addons")
def snake(x: Any, frequency: float = 1) -> Any:
    return x + (1 - tf.cos(2 * frequency * x)) / (2 * frequency)


def own(x: Any) -> Any:
    return x * 2


@pytest.mark.parametrize(
    "function", [tf.sin, tf.nn.log_softmax, tf.math.erf, tf.square, tf.nn.crelu, mish, lisht, snake]
)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_function_as_activation(function: Any, suffix: str, tmp_path: Path) -> None:
    model, file = saved(
        lambda: tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(3, activation=function)]), tmp_path, suffix
    )
    x = RNG.normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(torchport.convert(file).run(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "said"), [(own, "'own' is a function of its own"), (lambda x: x * 2, "a lambda")]
)
def test_activation_of_ones_own_is_named(function: Any, said: str, tmp_path: Path) -> None:
    make = lambda: tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(3, activation=function)])  # noqa: E731
    _, file = saved(make, tmp_path)
    with pytest.raises(Refused) as caught:
        torchport.convert(file)
    assert said in str(caught.value) and "4wEA" not in str(caught.value)


def test_losses_and_metrics_are_left_out(tmp_path: Path) -> None:
    def make() -> Any:
        i = tf_keras.Input((4,))
        code = L.Dense(3, name="code")(i)
        model = tf_keras.Model(i, L.Dense(4)(code))
        model.add_loss(tf.reduce_mean(tf_keras.losses.mse(i, model.output)))
        model.add_metric(tf.reduce_max(code), name="largest")
        return model

    model, file = saved(make, tmp_path)
    port = torchport.convert(file)
    assert "mean" not in port.code and "amax" not in port.code
    assert any("add_loss, add_metric" in note for note in port.program.notes)
    x = RNG.normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(port.run(x), model(x), rtol=1e-5, atol=1e-6)


def test_numbers_are_drawn_in_torch(tmp_path: Path) -> None:
    K = tf_keras.backend

    def make() -> Any:
        i = tf_keras.Input((4,))
        noise = K.random_normal(K.shape(i), mean=3.0, stddev=2.0)
        wide = tf.random.uniform([tf.shape(i)[0], 2], -1.0, 1.0)
        cut = tf.random.truncated_normal(tf.shape(i))
        return tf_keras.Model(i, [noise, wide, cut, tf.nn.dropout(i, 0.25)])

    _, file = saved(make, tmp_path)
    port = torchport.convert(file)
    assert any("drawn anew at every call" in note for note in port.program.notes)
    noise, wide, cut, dropped = port.run(np.ones((20000, 4), "float32"))
    assert abs(noise.mean() - 3) < 0.05 and abs(noise.std() - 2) < 0.05
    assert wide.shape == (20000, 2) and wide.min() >= -1 and wide.max() <= 1 and abs(wide.mean()) < 0.05
    assert abs(cut).max() <= 2 and abs(cut.std() - 0.88) < 0.02
    assert abs((dropped == 0).mean() - 0.25) < 0.02 and np.isclose(dropped.max(), 4 / 3)


@pytest.mark.parametrize("operation", ["convert_to_tensor", "zeros_like", "cast"])
def test_operations_with_a_dtype_in_hdf5(operation: str, tmp_path: Path) -> None:
    i = keras.Input((4,))
    options = ("int32",) if operation == "cast" else ()
    model = keras.Model(i, getattr(keras.ops, operation)(i, *options))
    model.save(tmp_path / "model.h5")
    x = 3 * RNG.normal(size=(5, 4)).astype("float32")
    np.testing.assert_array_equal(torchport.convert(str(tmp_path / "model.h5")).run(x), model(x))


LIVE: dict[str, Callable[[Any], Any]] = {
    "einsum": lambda x: tf.einsum("bij,bkj->bik", x, tf.nn.relu(x)),
    "constant": lambda x: tf.einsum("...c,cd->...d", x, np.ones((3, 2), "float32")),
    "equal": lambda x: tf.cast(tf.round(x) == 1, "float32"),
    "meshgrid": lambda x: tf.meshgrid(x[0, 0], x[1, 1])[1],
}


@pytest.mark.parametrize("name", LIVE)
def test_operands_that_keras_2_does_not_save(name: str, tmp_path: Path) -> None:
    """The live model has them; a file is refused, and says so."""

    def make() -> Any:
        i = tf_keras.Input((5, 3))
        return tf_keras.Model(i, LIVE[name](i))

    model, file = saved(make, tmp_path)
    with pytest.raises(Refused, match="Keras 2 does not save the tensors that it was called with"):
        torchport.convert(file)
    x = (2 * RNG.normal(size=(4, 5, 3))).astype("float32")
    np.testing.assert_allclose(torchport.convert(model).run(x), model(x), rtol=1e-5, atol=1e-6)
