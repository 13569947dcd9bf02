"""Activations that differ from run to run: arguments of the port, and choices where the model is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.source.proofs import check_whole
from tests.source.test_kinds import port

from torchport.source import SourceRefused

CASES = {
    "of the first turn alone": (
        """
        def mlp(x, hidden_units, rate=0.1):
            for idx, units in enumerate(hidden_units):
                x = layers.Dense(units, activation=tf.nn.gelu if idx == 0 else None)(x)
                x = layers.Dropout(rate)(x)
            return x
        """,
        "mlp(keras.Input((6,)), [8, 4])",
        ["nn.GELU() if idx == 0 else nn.Identity()", "x = activation(fc(x))\n"],
    ),
    "of a name": (
        """
        def head(x, classes=2):
            if classes == 2:
                activation, units = "sigmoid", 1
            else:
                activation, units = "softmax", classes
            return layers.Dense(units, activation=activation)(x)
        """,
        "head(keras.Input((6,)))",
        ['{"sigmoid": nn.Sigmoid(), "softmax": nn.Softmax(dim=1)}[activation]'],
    ),
    "a layer, a function or none": (
        """
        def block(x, filters, activation, use_bn=False):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            if use_bn:
                x = layers.BatchNormalization()(x)
            if activation:
                x = activation(x)
            return x


        def build(width=4):
            inputs = keras.Input((8, 8, 3))
            x = block(inputs, width, layers.LeakyReLU(0.2), use_bn=True)
            x = block(x, width, None)
            return keras.Model(inputs, block(x, 3, keras.activations.tanh))
        """,
        "build()",
        [
            "activation: nn.Module | None",
            "Block(in_channels, width, nn.LeakyReLU(0.2), use_bn=True)",
            "nn.Tanh())",
        ],
    ),
    "a default that is handed on": (
        """
        def residual(x, width, act=keras.activations.swish):
            y = layers.Dense(width, activation=act)(x)
            return layers.Dense(width)(act(y))


        def build(width=4, act=keras.activations.gelu):
            inputs = keras.Input((6,))
            x = residual(inputs, width)
            return keras.Model(inputs, residual(x, width, act))
        """,
        "build()",
        ["act: nn.Module = nn.SiLU()", "self.residual2 = Residual(width, width, act)"],
    ),
    "of a class": (
        """
        class Mixer(layers.Layer):
            def __init__(self, width, activation="relu", **kwargs):
                super().__init__(**kwargs)
                self.up = layers.Dense(width, activation=activation)
                self.act = layers.Activation(activation)
                self.down = layers.Dense(width)

            def call(self, x):
                return self.act(self.down(self.up(x)))


        def build(width=4):
            inputs = keras.Input((6,))
            return keras.Model(inputs, Mixer(3, "gelu")(Mixer(width)(inputs)))
        """,
        "build()",
        ['{"gelu": nn.GELU(), "relu": nn.ReLU()}[activation]'],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_activation(tmp_path: Path, case: str) -> None:
    text, call, shown = CASES[case]
    found = port(tmp_path, text, call)
    check_whole(found, shown)


def test_an_activation_without_a_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="in one run and"):
        port(
            tmp_path,
            """
            def block(x, filters, act):
                return act(layers.Dense(filters)(x))
            """,
            "block(keras.Input((6,)), 4, keras.ops.square)",
            "block(keras.Input((6,)), 4, keras.ops.absolute)",
        )
