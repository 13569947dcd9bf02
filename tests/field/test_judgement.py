"""Right ports of people's models that verify once called wrong, and wrong ones that it let pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import torchport
from torchport.errors import TorchportError
from torchport.verify import Verification

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")


def report(result: Verification) -> str:
    return "\n".join([str(result), *(str(row) for row in result.rows if not row.passed)][:6])


def residual() -> Any:
    """Blocks that a port is written in classes for, unless it is flat."""
    L = keras.layers
    x = image = keras.Input((8, 8, 3))
    for _ in range(2):
        y = L.ReLU()(L.BatchNormalization()(L.Conv2D(3, 3, padding="same")(x)))
        x = L.ReLU()(L.Add()([x, L.Conv2D(3, 3, padding="same")(y)]))
    return keras.Model(image, L.Dense(2)(L.Flatten()(x)), name="residual")


def test_a_flat_port_is_compared_with_a_flat_program(tmp_path: Path) -> None:
    model = residual()
    folder = torchport.convert(model, flat=True).save(tmp_path / "port")
    result = torchport.verify(model, folder)
    assert result.passed, report(result)
    assert not any("edited" in note for note in result.notes)


def from_file(model: Any, path: Path, **options: Any) -> Verification:
    """The verification of a port of a file."""
    model.save(path)
    folder = torchport.convert(path).save(path.parent / "port")
    return torchport.verify(path, folder, **options)


def test_keras_2_folds_the_batch_in_time_distributed(tmp_path: Path) -> None:
    """What is inside of it sees every step as an image of its own; the tensor is named as it is outside."""
    L = tf_keras.layers
    dense = L.TimeDistributed(L.Dense(4, activation="sigmoid"), name="steps")
    result = from_file(tf_keras.Sequential([L.Input((6, 5)), dense]), tmp_path / "model.h5")
    assert result.passed, report(result)
    assert {"steps", "steps.linear"} <= {row.tensor for row in result.rows if row.check == "training"}


@pytest.mark.parametrize("inside", [False, True])
def test_keras_2_resizes_in_float32(inside: bool, tmp_path: Path) -> None:
    """Whatever the policy: from there on TensorFlow's float32 is what is compared with, and that is said."""
    L = tf_keras.layers
    layers = [L.Conv2D(2, 3, name="conv"), L.UpSampling2D(2, interpolation="bilinear", name="up")]
    layers = layers[::-1] if inside else layers
    result = from_file(tf_keras.Sequential([L.Input((8, 8, 3)), *layers]), tmp_path / "model.h5")
    assert result.passed, report(result)
    assert any("computes up in float32" in note for note in result.notes)
    limits = {row.layer: row.limit for row in result.rows if row.check == "inference"}
    assert limits["conv"] > 1e-9 if inside else limits["conv"] == 1e-10
    assert 1e-9 < limits["up"] < 1e-4
    assert {row.check for row in result.rows} >= {"gradient", "steps"}


def test_statistics_that_are_one_number(tmp_path: Path) -> None:
    """Normalization(axis=None) keeps numbers, and makes tensors of one value of them when it is loaded."""
    L = keras.layers
    layer = L.Normalization(axis=None, name="scale")
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)))
    model = keras.Sequential([keras.Input((4,)), layer, L.Dense(2, name="fc")])
    result = from_file(model, tmp_path / "model.keras")
    assert result.passed, report(result)


def test_whole_numbers_for_outputs(tmp_path: Path) -> None:
    """They have no gradient, which is said; all else is compared, exactly."""
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(4, 3, name="conv")(x)
    result = from_file(keras.Model(x, keras.ops.argmax(y, axis=-1)), tmp_path / "model.keras")
    assert result.passed, report(result)
    assert any("whole numbers" in note for note in result.notes)
    checks = {row.check for row in result.rows}
    assert "gradient" not in checks and {"inference", "training", "steps"} <= checks


def normalised(keras: Any) -> Any:
    """A bias before batch normalisation and a key's bias in attention: gradients that are zero by nature."""
    L = keras.layers
    x = image = keras.Input((6, 8), name="x")
    y = L.MultiHeadAttention(2, 4, name="attend")(x, x)
    y = L.BatchNormalization(name="norm")(L.Dense(8, name="before")(L.Add()([x, y])))
    y = L.Dense(8, activation="relu", name="after")(y)
    return keras.Model(image, L.Dense(2, name="out")(y), name="normalised")


@pytest.mark.parametrize("precision", ["both", "float64", "float32"])
def test_gradients_that_are_zero_by_nature(precision: str) -> None:
    """Rounding noise on both sides, in whichever precision."""
    model = normalised(keras)
    result = torchport.verify(model, torchport.convert(model), precision=precision)
    assert result.passed, report(result)
    rows = {row.tensor: row for row in result.rows if row.check == "gradient"}
    assert {"before/bias", "attend/key_dense/bias"} <= set(rows)
    left_out = [note for note in result.notes if "was not compared" in note]
    assert bool(left_out) is (precision != "both")
    assert result.precision == ("float32" if precision == "float32" else "float64")


@pytest.mark.parametrize("precision", ["both", "float64", "float32"])
def test_a_fault_beside_a_gradient_that_is_zero_by_nature(precision: str, tmp_path: Path) -> None:
    """That one gradient is noise excuses no other: a detached bias, a doubled one, a scaled kernel."""
    model = normalised(keras)
    folder = torchport.convert(model).save(tmp_path / "port")
    code = (folder / "model.py").read_text()
    for before, after in (("self.out(", "self.out(0.999999 * "), ("self.out(", "1e-3 + self.out(")):
        assert before in code
        (folder / "model.py").write_text(code.replace(before, after))
        result = torchport.verify(model, folder, precision=precision)
        assert result.differs or (precision == "float32" and "0.99" in after), str(result)


@pytest.mark.parametrize("precision", ["both", "float32"])
def test_a_tiny_batch(precision: str) -> None:
    """Of two rows batch normalisation makes plus and minus one, whatever they were: gradients vanish."""
    keras.utils.set_random_seed(5)  # of some weights float32 alone cannot decide, and says so
    L = keras.layers
    x = keras.Input((5,), batch_size=2, name="x")
    y = L.BatchNormalization(name="norm")(L.Dense(7, name="one")(x))
    y = L.BatchNormalization(name="again")(L.Dense(3, name="two", activation="tanh")(y))
    model = keras.Model(x, L.Dense(2)(y), name="tiny")
    result = torchport.verify(model, torchport.convert(model), precision=precision)
    assert result.passed, report(result)


@pytest.mark.parametrize("precision", ["both", "float64", "float32"])
def test_outputs_that_cancel(precision: str) -> None:
    """What is left of a sum is rounding."""
    L = keras.layers
    x = keras.Input((4, 6), name="x")
    y = L.Dense(5, name="dense")(x)
    mean = keras.ops.mean(y, axis=-1, keepdims=True)
    model = keras.Model(x, keras.ops.mean(y - mean, axis=-1), name="cancels")
    result = torchport.verify(model, torchport.convert(model), precision=precision)
    assert result.passed, report(result)


def test_statistics_over_many_values() -> None:
    """TensorFlow's float32 loses digits there; the float64 limit follows it, and no further."""
    L = keras.layers
    x = keras.Input((260, 260, 1), name="x")
    model = keras.Model(x, L.BatchNormalization(name="norm")(L.Rescaling(1e-3, 300.0)(x)), name="many")
    result = torchport.verify(model, torchport.convert(model))
    assert result.passed, report(result)
    assert result.inputs[0]["shape"][0] == 2


DRAWS = """
from torchport.rules import FOLLOWS, call, helper, rule

helper(\"\"\"
def noisy(x: Tensor) -> Tensor:
    '''A draw around x.'''
    return x + SCALE * DRAW
\"\"\")


@rule("tests>Draws", wants=FOLLOWS, ignores="draw")
def draws(x):
    return call("noisy", x)
"""
#: What verify can make the same on both sides, and what it cannot: in torch, and in TensorFlow.
REPLAYED = {
    "normal": ("torch.randn_like(x)", lambda x: tf.random.normal(tf.shape(x), dtype=x.dtype)),
    "uniform": ("torch.rand_like(x)", lambda x: tf.random.uniform(tf.shape(x), dtype=x.dtype)),
}
OWN = {
    "gamma": (
        "torch._standard_gamma(torch.ones_like(x))",
        lambda x: tf.random.gamma(tf.shape(x), 1.0, dtype=x.dtype),
    ),
    "poisson": (
        "torch.poisson(torch.full_like(x, 4.0))",
        lambda x: tf.random.poisson(tf.shape(x), 4.0, dtype=x.dtype),
    ),
    "classes": (
        "torch.multinomial(torch.ones(5, dtype=x.dtype), x.numel(), True).reshape(x.shape)",
        lambda x: tf.reshape(tf.cast(tf.random.categorical([[0.0] * 5], tf.size(x)), x.dtype), tf.shape(x)),
    ),
    "numpy": (
        "torch.from_numpy(__import__('numpy').random.normal(size=x.shape)).to(x)",
        lambda x: x * 0 + np.random.normal(size=x.shape[1:]),
    ),
}


@keras.saving.register_keras_serializable("tests")
class Draws(keras.layers.Layer):
    """Random numbers in either mode."""

    def __init__(self, draw: str = "normal", **options: Any) -> None:
        super().__init__(**options)
        self.draw = draw

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "draw": self.draw}

    def call(self, x: Any) -> Any:
        return x + {**REPLAYED, **OWN}[self.draw][1](x)


def drawing(draw: str, scale: float) -> str:
    """The rules for a layer that draws, times a scale."""
    return DRAWS.replace("SCALE", str(scale)).replace("DRAW", {**REPLAYED, **OWN}[draw][0])


def drawn(draw: str, scale: float, precision: str, path: Path) -> Verification:
    """The verification of a model that draws in the midst."""
    L = keras.layers
    rules = path / "rules.py"
    rules.write_text(drawing(draw, scale))
    x = keras.Input((5,), name="x")
    y = Draws(draw, name="draw")(L.Dense(4, name="fc")(x))
    model = keras.Model(x, L.Dense(2, name="out")(y), name="drawn")
    port = torchport.convert(model, rules=rules)
    return torchport.verify(model, port, precision=precision, rules=rules)


PRECISIONS = ["both", "float64", "float32"]


@pytest.mark.parametrize("draw", REPLAYED)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_draws_are_compared(draw: str, precision: str, tmp_path: Path) -> None:
    """Both sides are given the same numbers, so that a port which draws as the source does agrees."""
    result = drawn(draw, 1, precision, tmp_path)
    assert result.passed, report(result)
    assert any("both sides were given the same" in note for note in result.notes)


@pytest.mark.parametrize("draw", REPLAYED)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_draw_that_is_a_little_larger(draw: str, precision: str, tmp_path: Path) -> None:
    result = drawn(draw, 1.01, precision, tmp_path)
    assert result.differs and result.first and result.first.layer == "draw", report(result)


@pytest.mark.parametrize("draw", OWN)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_draws_decide_nothing(draw: str, precision: str, tmp_path: Path) -> None:
    """Where each side has numbers of its own, which differ by as much in the source itself."""
    result = drawn(draw, 1, precision, tmp_path)
    assert result.verdict == "not decided", report(result)
    assert not result and not result.passed
    rows = {row.name: row for row in result.rows if row.check == "inference"}
    assert rows["fc"].passed
    assert "draws random numbers" in result.because
    assert rows["draw"].passed is None and rows["output 0"].passed is None


@pytest.mark.parametrize("draw", OWN)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_nor_do_draws_let_pass_what_is_further_off(draw: str, precision: str, tmp_path: Path) -> None:
    """Than the source is from itself."""
    result = drawn(draw, 1000, precision, tmp_path)
    assert result.differs, report(result)
    assert not result and result.first and result.first.layer == "draw"


def small(size: int = 5) -> Any:
    L = keras.layers
    x = keras.Input((8, 8, 3), name="x")
    y = L.Conv2D(4, 3, name="first", activation="relu")(x)
    y = L.Dropout(0.25, name="drop")(L.Conv2D(4, 3, name="second", activation="relu")(y))
    return keras.Model(x, L.Dense(size, name="head")(L.Flatten(name="flat")(y)), name="small")


def test_modules_under_other_names(tmp_path: Path) -> None:
    """In code and weights alike: they are known by what they hold and do, and so is a fault in one."""
    model = small()
    folder = torchport.convert(model).save(tmp_path / "port")
    names = {"first": "stem", "second": "conv_b", "head": "classifier", "drop": "regularise"}
    code = (folder / "model.py").read_text()
    for old, new in names.items():
        code = re.sub(rf"self\.{old}\b", f"self.{new}", code)
    (folder / "model.py").write_text(code)
    state = load_file(folder / "model.safetensors")
    state = {".".join(names.get(part, part) for part in name.split(".")): it for name, it in state.items()}
    save_file(state, folder / "model.safetensors")
    result = torchport.verify(model, folder)
    assert result.passed, report(result)
    assert any("first.weight is stem.weight" in note for note in result.notes)
    assert {row.name for row in result.rows if row.check == "gradient"} >= {"stem.weight", "classifier.bias"}
    state["conv_b.weight"] = state["conv_b.weight"][::-1].copy()
    save_file(state, folder / "model.safetensors")
    assert torchport.verify(model, folder).differs


def test_the_port_of_another_model(tmp_path: Path) -> None:
    folder = torchport.convert(small()).save(tmp_path / "port")
    with pytest.raises(TorchportError, match="is the port of another model: it has first/bias"):
        torchport.verify(residual(), folder)
    model = small()
    model.get_layer("head").name = "other"
    with pytest.raises(TorchportError, match="it has head/bias, head/kernel and lacks other/bias"):
        torchport.verify(model, folder)
    again = small()
    again.set_weights([it + 1 for it in again.get_weights()])
    result = torchport.verify(again, folder)
    assert result.differs and any("every weight differs" in note for note in result.notes)


def test_what_verify_was_not_given(tmp_path: Path) -> None:
    """Numbers that are none, rules, classes: one line each, with what to do."""
    model = small()
    folder = torchport.convert(model).save(tmp_path / "port")
    image = np.zeros((1, 8, 8, 3), np.float32)
    image[0, 3, 3, 1] = np.nan
    with pytest.raises(TorchportError, match="the input 'x': 1 of 192 values are not finite"):
        torchport.verify(model, folder, inputs=[image])
    (tmp_path / "rules.py").write_text(drawing("normal", 1))
    x = keras.Input((5,), name="x")
    drawn = keras.Model(x, Draws(name="draw")(x), name="drawn")
    drawn.save(tmp_path / "drawn.keras")
    other = torchport.convert(drawn, rules=tmp_path / "rules.py").save(tmp_path / "other")
    with pytest.raises(TorchportError, match="was made with rules for tests>Draws") as error:
        torchport.verify(drawn, other)
    assert "--rules" in error.value.advice
    known = keras.saving.get_custom_objects()
    kept = known.pop("tests>Draws")
    try:
        with pytest.raises(TorchportError, match="does not know the class Draws") as error:
            torchport.verify(tmp_path / "drawn.keras", other, rules=tmp_path / "rules.py")
    finally:
        known["tests>Draws"] = kept
    assert "--custom" in error.value.advice


def test_edits_that_give_the_same_whole_numbers(tmp_path: Path) -> None:
    """That argmax agrees does not prove what is before it: then nothing is decided."""
    x = keras.Input((8, 8, 3), name="x")
    y = keras.layers.Conv2D(4, 3, name="conv")(x)
    model = keras.Model(x, keras.ops.argmax(keras.layers.ReLU(name="relu")(y), axis=-1), name="labels")
    folder = torchport.convert(model).save(tmp_path / "port")
    code = (folder / "model.py").read_text()
    assert "self.conv(x)" in code
    (folder / "model.py").write_text(code.replace("self.conv(x)", "(2 * self.conv(x))"))
    result = torchport.verify(model, folder)
    assert result.verdict == "not decided", str(result)
    assert "whole numbers do not prove" in result.because


def test_tokens_of_a_float_input_lose_no_digits(tmp_path: Path) -> None:
    """A lookup gives weights, which float32 holds whole: that is no kernel that lacks digits."""
    L = keras.layers
    model = keras.Sequential([keras.Input((6,)), L.Embedding(9, 12, name="words"), L.LSTM(3, name="lstm")])
    result = from_file(model, tmp_path / "model.keras")
    assert result.passed, report(result)
    assert not any("in float32" in note for note in result.notes)
    assert {row.limit for row in result.rows if row.check == "inference"} <= {1e-10}
