"""Layers of TensorFlow Addons and keras_contrib, against stand-ins that compute what their sources say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tests.field.test_packages import FixedDropout, Kept
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

L, K = tf_keras.layers, tf_keras.backend
RNG = np.random.default_rng(0)
addons = tf_keras.utils.register_keras_serializable(package="Addons")
INITIAL = {
    f"{it}_{of}": None for it in ("gamma", "beta") for of in ("initializer", "regularizer", "constraint")
}


class InstanceNormalization(Kept):
    """That of keras_contrib."""

    OPTIONS = {"axis": None, "epsilon": 1e-3, "center": True, "scale": True, **INITIAL}

    def build(self, shape: Any) -> None:
        size = (1,) if self.own["axis"] is None else (shape[self.own["axis"]],)
        self.gamma = self.add_weight(name="gamma", shape=size) if self.own["scale"] else None
        self.beta = self.add_weight(name="beta", shape=size) if self.own["center"] else None

    def call(self, x: Any) -> Any:
        axis = self.own["axis"]
        axes = [it for it in range(1, len(x.shape)) if axis is None or it != axis % len(x.shape)]
        y = (x - K.mean(x, axes, True)) / (K.std(x, axes, True) + self.own["epsilon"])
        shape = [1] * len(x.shape)
        if axis is not None:
            shape[axis] = -1
        y = y if self.gamma is None else y * tf.reshape(self.gamma, shape)
        return y if self.beta is None else y + tf.reshape(self.beta, shape)


InstanceNormalization.__module__ = "keras_contrib.layers.normalization.instancenormalization"


@addons
class FilterResponseNormalization(Kept):
    OPTIONS = {"axis": [1, 2], "epsilon": 1e-6, "learned_epsilon": False, "learned_epsilon_constraint": None,
               **INITIAL}  # fmt: skip

    def build(self, shape: Any) -> None:
        learns, size = self.own["learned_epsilon"], (1, 1, 1, shape[-1])
        self.e = self.add_weight(name="learned_epsilon", shape=(1,)) if learns else 0.0
        self.gamma = self.add_weight(name="gamma", shape=size)
        self.beta = self.add_weight(name="beta", shape=size)

    def call(self, x: Any) -> Any:
        mean = tf.reduce_mean(x * x, [1, 2], keepdims=True)
        return self.gamma * x / tf.sqrt(mean + abs(self.own["epsilon"]) + tf.abs(self.e)) + self.beta


@addons
class StochasticDepth(Kept):
    OPTIONS = {"survival_probability": 0.5}

    def call(self, x: Any, training: Any = None) -> Any:
        p = self.own["survival_probability"]
        return x[0] + x[1] * (K.random_bernoulli([], p=p) if training else p)


@addons
class SpectralNormalization(L.Wrapper):
    def __init__(self, layer: Any, power_iterations: int = 1, **options: Any) -> None:
        super().__init__(layer, **options)
        self.power_iterations = power_iterations

    def build(self, shape: Any) -> None:
        super().build(shape)
        self.w = self.layer.kernel
        self.u = self.add_weight(name="sn_u", shape=(1, self.w.shape[-1]), trainable=False)

    def call(self, x: Any, training: Any = None) -> Any:
        if training:
            w, u = tf.reshape(self.w, [-1, self.w.shape[-1]]), self.u
            for _ in range(self.power_iterations):
                v = tf.math.l2_normalize(u @ tf.transpose(w))
                u = tf.math.l2_normalize(v @ w)
            self.u.assign(u)
            self.w.assign(self.w / tf.squeeze(v @ w @ tf.transpose(u)))
        return self.layer(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}


@addons
class WeightNormalization(L.Wrapper):
    #: Whether it keeps that its g was set, as that of the package does.
    remembers = True

    def __init__(self, layer: Any, data_init: bool = True, **options: Any) -> None:
        super().__init__(layer, **options)
        self.data_init = data_init

    def build(self, shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(shape)
        self.g = self.add_weight(name="g", shape=self.layer.kernel.shape[-1:])
        self.v = self.layer.kernel
        if not self.remembers:
            self.built = True
            return
        self.set = self.add_weight(name="initialized", shape=None, dtype=tf.bool, trainable=False,
                                   initializer="zeros")  # fmt: skip
        if self.data_init:
            config = tf_keras.layers.serialize(self.layer)
            config["config"]["trainable"] = False
            self._naked_clone_layer = tf_keras.layers.deserialize(config)
            with tf.name_scope("data_dep_init"):
                self._naked_clone_layer.build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        axes = list(range(len(self.v.shape) - 1))
        self.layer.kernel = tf.nn.l2_normalize(self.v, axis=axes) * self.g
        return self.layer(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_init": self.data_init}


@addons
def sparsemax(x: Any, axis: int = -1) -> Any:
    """The projection: numbers above a threshold, which are the k largest for the largest k that fits."""
    z = tf.sort(tf.experimental.numpy.moveaxis(x, axis, -1), direction="DESCENDING")
    k = tf.range(1, z.shape[-1] + 1, dtype=x.dtype)
    sums = tf.cumsum(z, axis=-1)
    count = tf.reduce_sum(tf.cast(1 + k * z > sums, tf.int32), -1, keepdims=True)
    threshold = (tf.gather(sums, count - 1, batch_dims=len(x.shape) - 1) - 1) / tf.cast(count, x.dtype)
    return tf.nn.relu(x - tf.experimental.numpy.moveaxis(threshold, -1, axis))


@addons
class Sparsemax(Kept):
    OPTIONS = {"axis": -1}

    def call(self, x: Any) -> Any:
        return sparsemax(x, self.own["axis"])


@addons
def rrelu(x: Any, lower: float = 0.125, upper: float = 1 / 3, training: Any = None) -> Any:
    a = K.in_train_phase(lambda: tf.random.uniform(tf.shape(x), lower, upper), (lower + upper) / 2, training)
    return tf.where(x >= 0, x, a * x)


CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "channels": (lambda x: InstanceNormalization(axis=-1)(x), (6, 5, 3)),
    "sample": (lambda x: InstanceNormalization(epsilon=0.1)(x), (6, 5, 3)),
    "one_channel": (lambda x: InstanceNormalization(axis=-1, epsilon=0.1)(x), (6, 5, 1)),
    "channels_first": (lambda x: InstanceNormalization(axis=1, scale=False)(x), (3, 6, 5)),
    "steps": (lambda x: InstanceNormalization(axis=2, center=False)(x), (7, 4)),
    "flat": (lambda x: InstanceNormalization()(x), (7,)),
    "behind_conv": (lambda x: InstanceNormalization(axis=3)(L.Conv2D(4, 3)(x)), (6, 5, 3)),
    "flattened": (lambda x: InstanceNormalization()(L.Flatten()(L.Conv2D(4, 3)(x))), (6, 5, 3)),
    "filter_response": (lambda x: FilterResponseNormalization()(x), (6, 5, 3)),
    "learned_epsilon": (
        lambda x: FilterResponseNormalization(learned_epsilon=True, epsilon=0.1)(x),
        (6, 5, 3),
    ),
    "depth": (lambda x: StochasticDepth(survival_probability=0.7)([x, L.Conv2D(3, 1)(x)]), (6, 5, 3)),
    "spectral": (lambda x: SpectralNormalization(L.Conv2D(4, 3, activation="relu"))(x), (6, 5, 3)),
    "spectral_dense": (lambda x: SpectralNormalization(L.Dense(4), power_iterations=2)(x), (5,)),
    "weight": (lambda x: WeightNormalization(L.Conv2D(4, 3, activation="relu"))(x), (6, 5, 3)),
    "weight_dense": (lambda x: WeightNormalization(L.Dense(4, use_bias=False), data_init=False)(x), (5,)),
    "weight_steps": (lambda x: WeightNormalization(L.Conv1D(4, 3, padding="causal"))(x), (6, 3)),
    "weight_wider": (lambda x: WeightNormalization(L.Conv2DTranspose(4, 3))(x), (6, 5, 3)),
    "sparsemax": (lambda x: Sparsemax()(x), (7,)),
    "sparsemax_axis": (lambda x: Sparsemax(axis=1)(x), (5, 3)),
    "activation": (lambda x: L.Dense(6, activation=sparsemax)(x), (5,)),
    "rrelu": (lambda x: L.Conv2D(4, 3, activation=rrelu)(x), (6, 5, 3)),
    "dropout": (lambda x: FixedDropout(0.2, noise_shape=(None, 1, 1, None))(x), (6, 5, 3)),
}
CLASSES = (
    InstanceNormalization,
    FilterResponseNormalization,
    StochasticDepth,
    SpectralNormalization,
    Sparsemax,
)
OWN = {it.__name__: it for it in (*CLASSES, FixedDropout, sparsemax, rrelu)}


def model_of(make: Any, shape: tuple[int, ...]) -> Any:
    x = tf_keras.Input(shape)
    model = tf_keras.Model(x, make(x))
    model.set_weights(
        [np.array(RNG.uniform(0.5, 1.5, it.shape)).astype(it.dtype) for it in model.get_weights()]
    )
    return model


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_as_their_source(case: str, suffix: str, tmp_path: Path) -> None:
    make, shape = CASES[case]
    model = model_of(make, shape)
    model.save(tmp_path / f"model{suffix}")
    port = torchport.convert(tmp_path / f"model{suffix}")
    data = RNG.uniform(-1, 1, (2, *shape)).astype("float32")
    np.testing.assert_allclose(port.run(data), model(data), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "case", ["channels", "learned_epsilon", "depth", "spectral", "sparsemax", "rrelu", "weight"]
)
def test_verified_in_both_modes(case: str, tmp_path: Path) -> None:
    model_of(*CASES[case]).save(tmp_path / "model.h5")
    port = torchport.convert(tmp_path / "model.h5")
    assert torchport.verify(tmp_path / "model.h5", port, custom=OWN, **QUICK).passed


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("case", ["weight", "weight_steps", "weight_dense"])
def test_a_copy_that_keeps_its_g_alone(
    case: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WeightNormalization, "remembers", False)
    make, shape = CASES[case]
    model = model_of(make, shape)
    model.save(tmp_path / f"model{suffix}")
    port = torchport.convert(tmp_path / f"model{suffix}")
    data = RNG.uniform(-1, 1, (2, *shape)).astype("float32")
    np.testing.assert_allclose(port.run(data), model(data), rtol=1e-5, atol=1e-5)
    assert torchport.verify(tmp_path / f"model{suffix}", port, custom=OWN, **QUICK).passed


def test_a_norm_that_no_batch_has_set_is_refused(tmp_path: Path) -> None:
    x = tf_keras.Input((5,))
    tf_keras.Model(x, WeightNormalization(L.Dense(4))(x)).save(tmp_path / "m.h5")
    with pytest.raises(Refused, match="set by the first batch"):
        torchport.convert(tmp_path / "m.h5")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_class_that_a_file_does_not_say_whose_it_is(suffix: str, tmp_path: Path) -> None:
    """An archive has the class's module, an HDF5 file has not."""
    model_of(lambda x: InstanceNormalization(axis=-1)(x), (6, 5, 3)).save(tmp_path / f"model{suffix}")
    notes = torchport.convert(tmp_path / f"model{suffix}").program.notes
    said = any("InstanceNormalization was taken for that of keras_contrib" in it for it in notes)
    assert said is (suffix == ".h5"), notes


class Other(Kept):
    OPTIONS = {"epsilon": 1e-3}

    def call(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_class_of_that_name_with_other_options_is_somebodys_own(suffix: str, tmp_path: Path) -> None:
    Other.__name__ = "InstanceNormalization"
    model_of(lambda x: Other()(x), (3,)).save(tmp_path / f"model{suffix}")
    with pytest.raises(Refused, match="InstanceNormalization"):
        torchport.convert(tmp_path / f"model{suffix}")
