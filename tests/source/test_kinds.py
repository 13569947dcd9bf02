"""Kinds of code, each as small as it can be: what is written, and what is refused where."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from torchport.cli import app
from torchport.source import SourcePort, SourceRefused, observe, port_source

HEAD = "import tensorflow as tf\nfrom tensorflow import keras\nfrom tensorflow.keras import layers\n\n\n"


def port(tmp_path: Path, text: str, *calls: str, partial: bool = False) -> SourcePort:
    path = tmp_path / "code.py"
    path.write_text(HEAD + dedent(text))
    return port_source(path, calls=calls, partial=partial)


def test_a_flag_of_the_source_is_one_of_the_port(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def block(x, filters, use_bias=False):
            return layers.Conv2D(filters, 1, use_bias=use_bias)(x)
        """,
        "block(keras.Input((4, 4, 3)), 2)",
        "block(keras.Input((4, 4, 3)), 2, True)",
    )
    assert "nn.Conv2d(in_channels, filters, 1, bias=use_bias)" in found.code


def test_a_return_in_a_condition(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def block(x, filters, residual=True):
            y = layers.Dense(filters)(x)
            if residual:
                return layers.Add()([x, y])
            return y
        """,
        "block(keras.Input((4,)), 4)",
        "block(keras.Input((4,)), 4, False)",
    )
    assert "        if self.residual:\n            return x + y\n        return y\n" in found.code


def test_a_size_that_padding_depends_on_is_read_at_run_time(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def block(x, filters):
            return layers.Conv2D(filters, 3, strides=2, padding="same")(x)
        """,
        "block(keras.Input((8, 8, 3)), 2)",
        "block(keras.Input((7, 7, 3)), 2)",
    )
    assert "same_pad(x, 3, 2)" in found.code


def test_a_layer_is_made_where_its_sizes_are_known(tmp_path: Path) -> None:
    """The author makes it before a condition that decides how many channels it gets."""
    found = port(
        tmp_path,
        """
        class Gated(layers.Layer):
            def __init__(self, units):
                super().__init__()
                self.units = units
                self.norm = layers.LayerNormalization()
                self.project = layers.Dense(units)

            def call(self, inputs):
                x = inputs
                if inputs.shape[-1] != self.units:
                    x = self.project(inputs)
                return self.norm(x)
        """,
        "Gated(4)(keras.Input((6,)))",
        "Gated(6)(keras.Input((6,)))",
    )
    assert "x_channels = in_channels\n        self.norm = nn.LayerNorm(x_channels" in found.code
    assert len(found.proofs["Gated"].cases) > 3


def test_layers_of_another_model_are_none_of_the_builder_s(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def build_encoder(width=4):
            inputs = keras.Input((6,))
            return keras.Model(inputs, layers.Dense(width)(inputs))


        def build_decoder(width=4):
            inputs = keras.Input(build_encoder(width).output.shape[1:])
            return keras.Model(inputs, layers.Dense(6)(inputs))
        """,
        "build_decoder()",
    )
    assert [it.cls for it in found.units] == ["Encoder", "Decoder"]


def test_a_mode_without_default_is_given(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Block(layers.Layer):
            def __init__(self, width):
                super().__init__()
                self.dense = layers.Dense(width)
                self.dropout = layers.Dropout(0.3)

            def call(self, inputs, training):
                return self.dropout(self.dense(inputs), training=training)
        """,
        "Block(4)(keras.Input((6,)), training=False)",
    )
    assert "return self.dropout(self.dense(inputs))" in found.code


def test_imports_that_sizes_are_computed_with_are_kept(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        import numpy as np
        from functools import reduce
        from math import log2


        def block(x, width=8):
            x = layers.Dense(int(np.sqrt(width * 2)))(x)
            x = layers.Dense(1 + int(log2(width)))(x)
            return layers.Dense(reduce(max, [2, width]))(x)
        """,
        "block(keras.Input((4,)))",
    )
    head = "from functools import reduce\nfrom math import log2\n\nimport numpy as np\nfrom torch import"
    assert head in found.code


ENDLESS = """
    import time


    def halvings(width):
        count = 0
        while width != 1:
            width = width / 2
            count = count + 1
        return count


    def block(x, width=4, flag=True):
        if flag:
            return layers.Dense(halvings(width))(x)
        return layers.Dense(2)(x)


    def squares(x, width=4):
        # no call and no statement inside
        found = [it for it in iter(int, 1) if it] if width != 4 else [1]
        return layers.Dense(len(found))(x)


    def slow(x):
        for _ in range(10):
            time.sleep(0.06)
        return layers.Dense(1)(x)
    """


def test_an_endless_run_with_other_arguments_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half of 5 is ever 1. The author's own calls are not limited."""
    monkeypatch.setattr(observe, "SECONDS", 0.3)
    monkeypatch.setattr(observe.Watched, "patience", property(lambda self: observe.SECONDS))
    calls = [f"{name}(keras.Input((4,)))" for name in ("block", "squares", "slow")]
    found = port(tmp_path, ENDLESS, *calls, partial=True)
    stopped = [it for it in found.notes if "stopped after" in it]
    assert "block: stopped after 0 s with width=5, flag=True" in stopped
    assert any(it.startswith("squares: ") for it in stopped)
    assert len(stopped) == len(set(stopped)) and "slow" in found.proofs and found.passed
    assert [it.is_varied for it in found.proofs["slow"].cases] == [False]
    proof = found.proofs["block"]
    assert len(proof.cases) > 1 and not proof.differences
    assert not any("width=5, flag=True" in str(it) for it in proof.cases)


def test_code_that_ends_the_program_for_other_arguments_ends_that_run_alone(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def block(x, width=8):
            if width != 8:
                raise SystemExit("8 is the only width")
            return layers.Dense(width)(x)
        """,
        "block(keras.Input((4,)))",
        partial=True,
    )
    assert found.units or found.refusals


REFUSED = [
    (
        """
        def gate(x):
            if tf.reduce_mean(x) > 0.5:
                return x
            return layers.Conv2D(8, 1)(x)
        """,
        "gate(tf.ones((1, 8, 8, 8)))",
        ":8:8",
        "a condition on a tensor's values",
    ),
    (
        """
        def block(x):
            with tf.name_scope("block"):
                x = layers.Dense(4)(x)
            return layers.Dense(2)(x)
        """,
        "block(keras.Input((4,)))",
        ":8:5",
        "with is not ported",
    ),
]


@pytest.mark.parametrize(("text", "call", "where", "why"), REFUSED, ids=["condition", "with"])
def test_a_refusal_says_where_and_why(tmp_path: Path, text: str, call: str, where: str, why: str) -> None:
    with pytest.raises(SourceRefused) as error:
        port(tmp_path, text, call)
    assert "NotImplementedError" in port(tmp_path, text, call, partial=True).code
    (refusal,) = error.value.refusals
    assert f"code.py{where}  " in str(refusal) and why in refusal.why and refusal.advice


def test_a_size_that_no_text_of_the_source_gives_is_refused(tmp_path: Path) -> None:
    """Kernels that differ from call to call have no text that is right for all."""
    text = """
        SIZES = {4: 3, 8: 5}


        def block(x, filters):
            kernel = "same" if filters == 4 else "valid"
            return layers.Conv2D(filters, 3, padding=kernel)(x)
        """
    with pytest.raises(SourceRefused, match="in one run and"):
        port(tmp_path, text, "block(keras.Input((9, 9, 3)), 4)", "block(keras.Input((9, 9, 3)), 8)")


def test_what_is_not_ported_raises_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    text = """
    def good(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred))


    def bad(x):
        while True:
            return layers.Dense(2)(x)
    """
    path.write_text(HEAD + dedent(text))
    command = ["port", str(path), "-o", str(tmp_path / "out"), "--call", "bad(keras.Input((4,)))"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2 and not (tmp_path / "out").exists()
    partly = CliRunner().invoke(app, [*command, "--partial", "--json", "--tests"])
    assert partly.exit_code == 3, partly.output
    facts = json.loads(partly.stdout)
    assert [it["name"] for it in facts["units"]] == ["good"] and not facts["passed"]
    code = (tmp_path / "out" / "code.py").read_text()
    assert 'raise NotImplementedError("code.py:12")' in code and "def good(y_true: Tensor" in code
    proves = runpy.run_path(str(tmp_path / "out" / "test_code.py"))["test_is_the_same"]
    proves("good")
    (tmp_path / "out" / "code.py").write_text(code.replace(".mean()", ".sum()"))
    with pytest.raises(AssertionError, match="output 0"):
        proves("good")


def test_a_gradient_that_is_nothing_but_rounding(tmp_path: Path) -> None:
    """That of a bias before a batch normalisation is zero, computed as the sum of large numbers."""
    found = port(
        tmp_path,
        """
        def block(x, filters):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            return 1e6 * layers.BatchNormalization()(x)
        """,
        "block(keras.Input((4, 4, 3)), 2)",
    )
    assert [it.name for it in found.units] == ["block"]
