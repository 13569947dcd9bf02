"""Rows of layers: Sequential, lists of layers, loops in loops; what is written, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest
import tf_keras
from tests.source.test_kinds import port

from torchport.source import SourceRefused, port_source

TF_KERAS = """
import tf_keras as keras
from tf_keras import layers


def block(x, filters):
    x = layers.Conv2D(filters, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x)


def build_net(width=4):
    inputs = keras.Input((8, 8, 3))
    x = block(inputs, width)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
"""


def test_code_of_keras_2(tmp_path: Path) -> None:
    """A policy that somebody has set is not that of the proof, which computes in float64."""
    policy = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(policy)
    path = tmp_path / "old.py"
    path.write_text(TF_KERAS)
    found = port_source(path, calls=["build_net()"])
    assert [it.cls for it in found.units] == ["Block", "Net"]
    for proof in found.proofs.values():
        assert len(proof.cases) > 1 and not proof.differences
    assert "nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)" in found.code


def test_a_sequential_in_a_function(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def mlp(x, width=8):
            net = keras.Sequential([layers.Dense(width, activation="relu"), layers.Dense(4)])
            return net(x)
        """,
        "mlp(keras.Input((6,)))",
    )
    assert "y = F.relu(self.fc1(x))\n        return self.fc2(y)\n" in found.code


def test_a_sequential_that_layers_are_added_to(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def build_mlp(width=8):
            model = keras.Sequential()
            model.add(keras.Input((6,)))
            model.add(layers.Dense(width, activation="relu"))
            model.add(layers.Dense(4))
            return model
        """,
        "build_mlp()",
    )
    assert "self.fc1 = nn.Linear(in_channels, width)\n        self.fc2 = nn.Linear(width, 4)" in found.code


def test_a_loop_in_a_loop(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def blocks(x, widths=(4, 6), depth=2):
            for width in widths:
                for _ in range(depth):
                    x = layers.Dense(width)(x)
                x = layers.ReLU()(x)
            return x
        """,
        "blocks(keras.Input((6,)))",
    )
    assert "for fcs in self.fcs:\n            for fc in fcs:\n                x = fc(x)\n" in found.code
    assert len(found.proofs["blocks"].cases) > 3


REFUSED = {
    "layers in a list": (
        """
        class Stack(layers.Layer):
            def __init__(self, widths):
                super().__init__()
                self.dense = [layers.Dense(width) for width in widths]

            def call(self, x):
                return self.dense[0](x)
        """,
        "Stack([4, 5])(keras.Input((6,)))",
        (13, "self.dense[0]"),
    ),
    "added in a loop": (
        """
        def mlp(x, widths=(8, 4)):
            model = keras.Sequential()
            for width in widths:
                model.add(layers.Dense(width, activation="relu"))
            return model(x)
        """,
        "mlp(keras.Input((6,)))",
        (10, "model.add(layers.Dense(width, activation="),
    ),
    "added in a condition": (
        """
        def mlp(x, is_deep=False):
            model = keras.Sequential()
            if is_deep:
                model.add(layers.Dense(5))
            model.add(layers.Dense(4))
            return model(x)
        """,
        "mlp(keras.Input((6,)))",
        (10, "model.add(layers.Dense(5))"),
    ),
    "three loops": (
        """
        def blocks(x, widths=(4, 6), depth=2):
            for width in widths:
                for _ in range(depth):
                    for _ in range(2):
                        x = layers.Dense(width)(x)
            return x
        """,
        "blocks(keras.Input((6,)))",
        (11, "x = layers.Dense(width)(x)"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_at_its_line(tmp_path: Path, case: str) -> None:
    text, call, (line, shown) = REFUSED[case]
    with pytest.raises(SourceRefused) as error:
        port(tmp_path, text, call)
    (refusal,) = error.value.refusals
    assert refusal.line == line and refusal.text.startswith(shown) and refusal.advice, refusal
    assert "not the same" not in refusal.why
