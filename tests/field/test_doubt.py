"""What rounding leaves in doubt: steps that magnify it, values beyond float32, one precision alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.quick import QUICK

import torchport
from torchport.verify import record
from torchport.verify.compare import Compared, Noise, judge
from torchport.verify.comparison import Comparison


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 3)), keras.layers.BatchNormalization(), keras.layers.LSTM(3)]
    return keras.Sequential([*layers, keras.layers.Dense(2)])


def test_fewer_steps(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps are left open, as a network of many kinks leaves them; one agrees, and counts."""
    rows = Comparison.training_rows

    def left_open(self: Comparison, *arguments: Any) -> Any:
        found = rows(self, *arguments)
        return found if arguments[3] == 1 else [
            (replace(it, passed=None) if it.check == "steps" else it, at) for it, at in found
        ]  # fmt: skip

    monkeypatch.setattr(Comparison, "training_rows", left_open)
    found = torchport.verify(model, torchport.convert(model), precision="float64", steps=3)
    assert found.passed and found.steps == 1, str(found)
    assert float(str(found).split()[-1]) < 1e-12, "the error of the source's own float32 is none of the port"
    assert any("3 training steps magnify rounding" in it for it in found.notes)


def test_a_fault_that_one_step_shows(model: Any, tmp_path: Path) -> None:
    """Fewer steps excuse nothing: another momentum is a difference."""
    folder = torchport.convert(model).save(tmp_path / "port")
    text = (folder / "model.py").read_text()
    assert "momentum=0.01" in text
    (folder / "model.py").write_text(text.replace("momentum=0.01", "momentum=0.02"))
    found = torchport.verify(model, folder, precision="float64", steps=3)
    assert found.differs and found.steps == 3, str(found)


@pytest.fixture(scope="module")
def beyond() -> Any:
    """A model whose outputs are beyond what float32 holds, some of them."""
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(40, activation="exponential")])
    kernel = np.random.default_rng(0).normal(size=(3, 40)).astype("float32") * 60
    model.layers[0].set_weights([kernel, np.zeros(40, "float32")])
    return model


@pytest.mark.parametrize("precision", ["both", "float64"])
def test_values_beyond_float32(beyond: Any, precision: str, tmp_path: Path) -> None:
    """TensorFlow's own float32 is infinite there: it neither accuses a port nor excuses one."""
    folder = torchport.convert(beyond).save(tmp_path / "port")
    found = torchport.verify(beyond, folder, precision=precision, steps=1)
    assert not found.differs and found.worst("inference") < 1e-10, str(found)
    text = (folder / "model.py").read_text()
    assert "torch.exp(" in text
    (folder / "model.py").write_text(text.replace("torch.exp(", "1.0001 * torch.exp("))
    assert torchport.verify(beyond, folder, precision=precision, steps=1).differs


def test_an_infinite_error_of_float32_excuses_nothing() -> None:
    for low in (float("inf"), float("nan")):
        assert judge(Compared(1e-6), None, Noise(low=low)).passed is False
        assert judge(Compared(1e-12), Compared(problem="not finite"), Noise(low=low)).passed


def test_numbers_of_one_precision_that_were_kept(tmp_path: Path) -> None:
    """A saturated gate is in doubt in float64 alone: a record has the float32 error that tells."""
    import keras

    x = keras.Input((5, 4))
    y = keras.layers.LSTM(2)(keras.layers.BatchNormalization()(x))
    model = keras.Model(x, y)
    rng = np.random.default_rng(0)
    for it in model.trainable_variables:
        it.assign(rng.normal(size=it.shape).astype("float32") * 9)
    folder = torchport.convert(model).save(tmp_path / "port")
    record(model, tmp_path / "truth", precision="float64", steps=1)
    kept, live = (
        torchport.verify(it, folder, precision="float64", steps=1) for it in (tmp_path / "truth", model)
    )
    assert kept.verdict == live.verdict == "agrees", f"{kept} {live}"


def test_dropout_that_ends_blocks_in_a_row() -> None:
    """The row of blocks is of the layer that ends it as well: all dropouts were taken for the last."""
    import keras

    x = inputs = keras.Input((16, 16, 2))
    for width in (2, 3, 4, 5):
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Dropout(0.1)(x)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    port = torchport.convert(model)
    assert "nn.Sequential(" in port.code
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    assert sum(row.check == "dropout" for row in found.rows) == 4
