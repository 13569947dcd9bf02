"""A model of each kind of people's own code trains for five steps as in TensorFlow, its draws the same."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
import tf_keras

import torchport

pytestmark = pytest.mark.filterwarnings("ignore")
L = tf_keras.layers
KINDS: dict[str, Callable[[], Any]] = {}


def kind(build: Callable[[], Any]) -> Callable[[], Any]:
    KINDS[build.__name__] = build
    return build


def around(layer: Any, shape: tuple[int, ...] = (6,)) -> Any:
    """A network with the layer in its midst: what is before it trains by its gradient."""
    x = tf_keras.Input(shape)
    return tf_keras.Model(x, L.Dense(3)(layer(L.Dense(4, activation="tanh")(x))))


@kind
def lambdas() -> Any:
    return around(
        L.Lambda(lambda x: tf.nn.l2_normalize(x, -1) * tf.exp(-tf.reduce_mean(x, -1, keepdims=True)))
    )


class Weighted(L.Layer):
    """Weights of its own: one that trains, one that does not, one that is made in `__init__`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.temperature = self.add_weight(name="temperature", initializer="ones")

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 5))
        self.shift = self.add_weight(name="shift", shape=(5,), trainable=False, initializer="ones")

    def call(self, x: Any) -> Any:
        return tf.nn.softplus(x @ self.kernel / self.temperature + self.shift)


@kind
def add_weight() -> Any:
    return around(Weighted())


class Lists(L.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.branches = [L.Dense(4, activation=it) for it in ("relu", "tanh", "sigmoid")]
        self.heads = {"left": L.Dense(2), "right": L.Dense(3)}

    def call(self, x: Any) -> Any:
        for it in self.branches:
            x = x + it(x)
        return tf.concat([self.heads["left"](x), self.heads["right"](x)], -1)


@kind
def lists_and_dicts() -> Any:
    return around(Lists())


@kind
def called_twice() -> Any:
    x, y = tf_keras.Input((6,)), tf_keras.Input((6,))
    layer, norm = Weighted(), L.BatchNormalization()
    return tf_keras.Model([x, y], L.Dense(2)(L.Subtract()([norm(layer(x)), norm(layer(y))])))


class Outer(L.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner, self.norm = Lists(), L.BatchNormalization(momentum=0.8)
        self.gate = self.add_weight(name="gate", initializer="ones")

    def call(self, x: Any, training: Any = None) -> Any:
        return self.norm(self.inner(x), training=training) * self.gate


@kind
def nested() -> Any:
    return around(Outer())


class Modes(L.Layer):
    """Something else in training than in inference."""

    def call(self, x: Any, training: Any = None) -> Any:
        return x * 2.0 if training else tf.abs(x)


@kind
def training_argument() -> Any:
    return around(Modes())


class Pooled(L.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.score = L.Dense(1)

    def call(self, x: Any, mask: Any = None) -> Any:
        scores = self.score(x)[..., 0]
        scores = tf.where(mask, scores, -1e9) if mask is not None else scores
        return tf.einsum("nt,ntc->nc", tf.nn.softmax(scores), x)


@kind
def mask_argument() -> Any:
    x = tf_keras.Input((5,), dtype="int32")
    return tf_keras.Model(x, L.Dense(2)(Pooled()(L.Embedding(4, 6, mask_zero=True)(x))))


class Centred(L.Layer):
    """Keeps a running mean, as BatchNormalization does, and counts its steps."""

    def build(self, shape: Any) -> None:
        own = {"trainable": False, "initializer": "zeros"}
        self.mean = self.add_weight(name="mean", shape=shape[-1:], **own)
        self.count = self.add_weight(name="count", shape=(), **own)

    def call(self, x: Any, training: Any = None) -> Any:
        if training:
            mean = tf.reduce_mean(x, 0)
            self.mean.assign(0.9 * self.mean + 0.1 * mean)
            self.count.assign_add(1.0)
            return x - mean
        return x - self.mean


@kind
def state_that_call_assigns() -> Any:
    return around(Centred())


class Noise(L.Layer):
    def call(self, x: Any, training: Any = None) -> Any:
        return x + 0.3 * tf.random.normal(tf.shape(x)) if training else x


class DropPath(L.Layer):
    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate

    def call(self, x: Any, training: Any = None) -> Any:
        if not training:
            return x
        kept = tf.floor(1 - self.rate + tf.random.uniform((tf.shape(x)[0], 1)))
        return x / (1 - self.rate) * kept


class Dropped(L.Layer):
    def call(self, x: Any, training: Any = None) -> Any:
        return tf.nn.dropout(x, 0.4) if training else x


class Drawn(L.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.noise, self.path, self.drop, self.known = Noise(), DropPath(0.3), Dropped(), L.Dropout(0.2)
        self.dense = L.Dense(4)

    def call(self, x: Any, training: Any = None) -> Any:
        x = x + self.path(self.dense(self.noise(x, training=training)), training=training)
        return self.known(self.drop(x, training=training), training=training)


@kind
def draws() -> Any:
    return around(Drawn())


class Sampled(L.Layer):
    """A latent code, and a loss that is left to the training loop."""

    def call(self, x: Any) -> Any:
        mean, log_variance = tf.split(x, 2, -1)
        self.add_loss(-0.5 * tf.reduce_mean(1 + log_variance - mean**2 - tf.exp(log_variance)))
        return mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))


@kind
def loss_and_samples() -> Any:
    return around(Sampled())


class Lazy(L.Layer):
    """Makes a layer and a weight when it is called first."""

    dense: Any = None

    def call(self, x: Any) -> Any:
        if self.dense is None:
            self.dense = L.Dense(x.shape[-1])
            self.scale = self.add_weight(name="scale", shape=x.shape[-1:], initializer="ones")
        return self.dense(x) * self.scale


@kind
def weights_made_lazily() -> Any:
    return around(Lazy())


class Network(tf_keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = [L.Dense(6, activation="tanh") for _ in range(2)]
        self.drop, self.head = L.Dropout(0.3), L.Dense(2)
        self.scale = self.add_weight(name="scale", shape=(6,), initializer="ones")

    def call(self, x: Any, training: Any = None) -> Any:
        for it in self.blocks:
            x = x + self.drop(it(x), training=training) * self.scale
        return self.head(x)


@kind
def subclassed_model() -> Any:
    model = Network()
    model(tf.zeros((2, 6)))
    return model


class Mixed(keras.layers.Layer):
    """Keras 3: functions of keras.ops, random numbers of a generator, a state."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seed, self.dense = keras.random.SeedGenerator(1), keras.layers.Dense(4)

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")
        self.gain = self.add_weight(shape=shape[-1:], initializer="ones", name="gain")

    def call(self, x: Any, training: Any = None) -> Any:
        y = keras.ops.gelu(self.dense(x)) * self.gain
        if training:
            self.seen.assign(self.seen + 1.0)
            y = y + 0.1 * keras.random.normal(keras.ops.shape(y), seed=self.seed)
            y = keras.random.dropout(y, 0.3, seed=self.seed)
        return x + y


@kind
def of_keras_3() -> Any:
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(3)(Mixed()(keras.layers.Dense(4)(x))))


def trains_alike(model: Any, **given: Any) -> Any:
    port = torchport.convert(model, **given)
    result = torchport.verify(model, port, precision="float64", steps=5, **given)
    assert result.passed, f"{result}\n{port.code}"
    return port


@pytest.mark.parametrize("name", KINDS)
def test_trains_alike(name: str) -> None:
    tf_keras.utils.set_random_seed(5)
    keras.utils.set_random_seed(5)
    port = trains_alike(KINDS[name]())
    if name == "loss_and_samples":
        assert any("add_loss" in it for it in port.program.notes)


CODE = """
import tensorflow as tf
import tf_keras

class Gate(tf_keras.layers.Layer):
    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.units, self.dense = units, tf_keras.layers.Dense(units, activation="sigmoid")
    def call(self, x, training=None):
        y = x * self.dense(x)
        return y + 0.1 * tf.random.normal(tf.shape(y)) if training else y
    def get_config(self):
        return {**super().get_config(), "units": self.units}

class Net(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.gates = tf_keras.layers.Dense(4), [Gate() for _ in range(2)]
    def call(self, x, training=None):
        x = self.first(x)
        for gate in self.gates:
            x = gate(x, training=training)
        return x
"""


def test_a_file_with_its_code(tmp_path: Path) -> None:
    code = tmp_path / "own_gates.py"
    code.write_text(CODE)
    space: dict[str, Any] = {}
    exec(CODE, space)
    around(space["Gate"]()).save(tmp_path / "gate.h5")
    trains_alike(tmp_path / "gate.h5", code=str(code))


def test_a_model_class_of_a_file(tmp_path: Path) -> None:
    code = tmp_path / "own_net.py"
    code.write_text(CODE)
    trains_alike(f"{code}:Net", input_shape="6")
