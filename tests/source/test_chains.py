"""A Sequential that a function gives back: grown in loops and conditions, of lists, with input or without."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.source.test_kinds import port

CASES = {
    "added in a loop": (
        """
        def build_head(outputs, depth=3):
            head = keras.Sequential([keras.Input((6,))])
            for _ in range(depth):
                # as many as asked for
                head.add(layers.Dense(8))
                head.add(layers.ReLU())
            head.add(layers.Dense(outputs))
            return head
        """,
        "build_head(4)",
        ["            # as many as asked for\n            x = fc1(x)\n            x = F.relu(x)\n"],
    ),
    "added under conditions": (
        """
        def downsample(channels, apply_norm=True, apply_dropout=False):
            block = keras.Sequential()
            block.add(layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False))
            if apply_norm:
                block.add(layers.BatchNormalization())
            block.add(layers.LeakyReLU(0.2))
            if apply_dropout:
                block.add(layers.Dropout(0.5))
            return block


        def build_encoder(width=4):
            inputs = keras.Input((8, 8, 3))
            x = downsample(width, apply_norm=False)(inputs)
            x = downsample(width * 2)(x)
            return keras.Model(inputs, x)
        """,
        "build_encoder()",
        ["        if self.apply_norm:\n            x = self.bn(x)\n", "Downsample(width, width * 2)"],
    ),
    "options that are right together": (
        """
        def upsample(filters, size, apply_dropout=False):
            result = keras.Sequential()
            result.add(layers.Conv2DTranspose(filters, size, strides=2, padding="same", use_bias=False))
            result.add(layers.BatchNormalization())
            if apply_dropout:
                result.add(layers.Dropout(0.5))
            result.add(layers.ReLU())
            return result


        def build(width=4):
            inputs = keras.Input((4, 4, 3))
            return keras.Model(inputs, upsample(width, 4)(upsample(2 * width, 4, apply_dropout=True)(inputs)))
        """,
        "build()",
        ["nn.ConvTranspose2d(in_channels, filters, 4, stride=2, padding=1, bias=False)"],
    ),
    "a list, and nobody calls it": (
        """
        def create_ffn(units, rate=0.1):
            ffn_layers = []
            for width in units[:-1]:
                ffn_layers.append(layers.Dense(width, activation="relu"))
            ffn_layers.append(layers.Dense(units=units[-1]))
            ffn_layers.append(layers.Dropout(rate))
            ffn = keras.Sequential(ffn_layers)
            return ffn
        """,
        "create_ffn([8, 6])",
        ["for width in units[:-1]:", "return self.dropout(x)"],
    ),
    "written out, of sizes that follow from others": (
        """
        def mlp(width, hidden=None, rate=0.1):
            hidden = hidden or width
            return keras.Sequential(
                [
                    layers.Dense(units=hidden, activation="gelu"),
                    layers.Dense(units=width),
                    layers.Dropout(rate=rate),
                ]
            )


        class Block(layers.Layer):
            def __init__(self, width):
                super().__init__()
                self.norm = layers.LayerNormalization()
                self.mlp = mlp(width, 2 * width)

            def call(self, x):
                return x + self.mlp(self.norm(x))
        """,
        "Block(8)(keras.Input((5, 8)))",
        ["x = F.gelu(self.fc1(x))\n        x = self.fc2(x)\n        return self.dropout(x)\n"],
    ),
    "of a comprehension": (
        """
        def mlp(widths=(8, 6), rate=0.1):
            dense = [layers.Dense(it, activation="relu") for it in widths]
            return keras.Sequential(dense + [layers.Dropout(rate)])
        """,
        "mlp()",
        ["for it in widths:\n            self.fcs.append(nn.Linear(x_channels, it))"],
    ),
    "of own layers and models": (
        """
        class Scale(layers.Layer):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.dense = layers.Dense(units, activation="sigmoid")

            def call(self, x):
                return x * self.dense(x)


        def head(units):
            return keras.Sequential([layers.Dense(units), layers.ReLU()])


        def build(units=6):
            model = keras.Sequential(name="net")
            model.add(keras.Input((units,)))
            model.add(Scale(units))
            model.add(head(4))
            model.add(layers.Dense(2))
            return model
        """,
        "build()",
        ["self.head = Head(units, 4)", "x = self.head(x)\n        return self.fc(x)\n"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_sequential_that_is_given_back(tmp_path: Path, case: str) -> None:
    text, call, shown = CASES[case]
    found = port(tmp_path, text, call)
    for it in shown:
        assert it in found.code
    for proof in found.proofs.values():
        assert len(proof.cases) > 1 and not proof.differences
