"""Keras's loops over time around cells of the user's own: what the cell does at a step is watched once."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

pytestmark = pytest.mark.filterwarnings("ignore")


def cells(package: Any) -> tuple[Any, Any]:
    """A cell of weights, which gives its state, and one of layers with two states and a mode."""
    L = package.layers

    @package.saving.register_keras_serializable(package="loops")
    class Plain(L.Layer):  # type: ignore[misc]
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = self.state_size = units

        def build(self, shape):
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
            self.inner = self.add_weight(name="inner", shape=(self.units, self.units))
            self.built = True

        def call(self, x, states):
            h = tf.matmul(x, self.kernel) + tf.matmul(states[0], self.inner)
            return h, [h]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @package.saving.register_keras_serializable(package="loops")
    class Gated(L.Layer):  # type: ignore[misc]
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = self.output_size = units
            self.state_size = [units, 2 * units]
            self.gate, self.widen = L.Dense(units, activation="sigmoid"), L.Dense(2 * units)
            self.drop = L.Dropout(0.2)

        def build(self, shape):
            self.gate.build((None, shape[-1] + self.units))
            self.widen.build((None, self.units))
            self.built = True

        def call(self, x, states, training=False):
            h, c = states
            h = h * self.gate(tf.concat([x, h], -1))
            c = tf.tanh(c + self.widen(h)) if not training else 0.5 * c + self.widen(h)
            return self.drop(h + c[:, : self.units] + 1.0, training=training), [h, c]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Plain, Gated


def last(package: Any) -> Any:
    x, L = package.Input((5, 3)), package.layers
    return package.Model(x, L.Dense(2)(L.RNN(cells(package)[0](4))(x)))


def backwards(package: Any) -> Any:
    x, L = package.Input((None, 3)), package.layers
    layer = L.RNN(cells(package)[1](4), return_sequences=True, return_state=True, go_backwards=True)
    return package.Model(x, layer(x))


def masked(package: Any) -> Any:
    x, L = package.Input((5, 3)), package.layers
    plain, gated = cells(package)
    y = L.RNN(gated(4), return_sequences=True)(L.Masking()(x))
    return package.Model(x, [y, L.RNN(plain(2), zero_output_for_mask=True, return_sequences=True)(y)])


def started(package: Any) -> Any:
    x, L = package.Input((5, 3)), package.layers
    states = [package.Input((4,)), package.Input((8,))]
    return package.Model([x, *states], L.RNN(cells(package)[1](4))(x, initial_state=states))


def both_ways(package: Any) -> Any:
    x, L = package.Input((5, 3)), package.layers
    layer = L.RNN(cells(package)[1](4), return_sequences=True)
    return package.Model(x, L.Bidirectional(layer, merge_mode="sum")(x))


def stacked(package: Any) -> Any:
    x, L = package.Input((5, 3)), package.layers
    return package.Model(x, L.RNN([cells(package)[1](4), L.LSTMCell(3)], return_sequences=True)(x))


def wide(package: Any) -> Any:
    """States with more than two axes, and a layer that torch has channels first."""
    L = package.layers

    class Grid(L.Layer):  # type: ignore[misc]
        state_size, output_size = [[4, 4, 2]], [4, 4, 2]

        def __init__(self, **options):
            super().__init__(**options)
            self.conv = L.Conv2D(2, 3, padding="same")

        def build(self, shape):
            self.conv.build((None, 4, 4, 5))
            self.built = True

        def call(self, x, states):
            h = tf.nn.relu(self.conv(tf.concat([x, states[0]], -1)))
            return h, [h]

        def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
            return [tf.zeros((batch_size, 4, 4, 2), dtype or "float32")]

    x = package.Input((5, 4, 4, 3))
    return package.Model(x, L.RNN(Grid(), return_sequences=True)(x))


@pytest.mark.parametrize(
    ("package", "build"),
    [
        (tf_keras, last), (keras, backwards), (tf_keras, masked), (keras, masked), (keras, started),
        (keras, both_ways), (tf_keras, both_ways), (tf_keras, stacked), (tf_keras, wide),
    ],
    ids=lambda it: str(it.__name__),
)  # fmt: skip
def test_a_cell_is_a_module_that_is_called_at_each_step(package: Any, build: Any) -> None:
    package.utils.set_random_seed(5)
    model = build(package)
    port = torchport.convert(model)
    assert "run_cell(self.cell, " in port.code
    assert port.code.count("class ") <= 7
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(3, *(it or 4 for it in x.shape[1:]))).astype("float32") for x in model.inputs]
    if build is masked:
        inputs[0][0, 2], inputs[0][1], inputs[0][2, :2] = 0, 0, 0
    assert torchport.verify(model, port, **QUICK, inputs=inputs).passed


class Function:
    """No layer: its `call` is not watched."""

    state_size = 3

    def call(self, x, states):
        return x + states[0], [x + states[0]]

    __call__ = call


class Constant(tf_keras.layers.Layer):
    state_size = 3

    def call(self, x, states, constants):
        return x + states[0] * constants[0], [x + states[0]]


class Normed(tf_keras.layers.Layer):
    state_size = 3

    def __init__(self):
        super().__init__()
        self.norm = tf_keras.layers.BatchNormalization()

    def call(self, x, states, training=False):
        y = self.norm(x, training=training) + states[0]
        return y, [y]


@pytest.mark.parametrize("what", ["constants", "stateful", "statistics"])
def test_what_else_a_loop_is_given_is_refused_with_the_line(what: str) -> None:
    L = tf_keras.layers
    x = tf_keras.Input((5, 3), 2)
    if what == "constants":
        y = L.RNN(Constant())(x, constants=tf_keras.Input((3,), 2))
    elif what == "statistics":
        y = L.RNN(Normed())(x)
    else:
        y = L.RNN(cells(tf_keras)[0](3), stateful=True)(x)
    model = tf_keras.Model(tf_keras.utils.get_source_inputs(y), y)
    with pytest.raises(Refused, match=r"loop over time|assigns|statistics") as told:
        torchport.convert(model)
    assert told.value.refusals[0].advice
