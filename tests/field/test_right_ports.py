"""Right ports that verify called wrong, or left undecided."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tf_keras

import torchport
from torchport.verify.truth import Truth

PACKAGES = pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])


@PACKAGES
def test_a_gradient_that_is_zero_at_first(package: Any) -> None:
    """A norm that starts from gamma = 0: no gradient reaches the bias before it, later that of rounding."""
    L, x = package.layers, package.Input((6,))
    y = L.Dense(2)(L.BatchNormalization(gamma_initializer="zeros")(L.Dense(5)(x)))
    model = package.Model(x, y)
    result = torchport.verify(model, torchport.convert(model), steps=3)
    assert result.passed, str(result)


@PACKAGES
def test_a_weight_that_moves_from_such_a_gradient_alone_is_wrong(package: Any, tmp_path: Any) -> None:
    """What the bound allows is rounding: a port that trains otherwise is still found."""
    L, x = package.layers, package.Input((6,))
    y = L.Dense(2)(L.BatchNormalization(gamma_initializer="zeros")(L.Dense(5)(x)))
    model = package.Model(x, y)
    torchport.convert(model).save(tmp_path / "port")
    file = tmp_path / "port" / "model.py"
    text = file.read_text()
    edited = text.replace("return self.fc2(x)", "return self.fc2(x) + 1e-3 * self.fc1.bias.sum()")
    assert edited != text
    file.write_text(edited)
    result = torchport.verify(model, tmp_path / "port", steps=3)
    assert not result.passed


@PACKAGES
def test_a_batch_of_one_before_a_norm_of_rows(package: Any) -> None:
    """Keras trains on zeros, torch refuses: no fault of the port, and nothing to compare."""
    L, x = package.layers, package.Input((4,), batch_size=1)
    model = package.Model(x, L.Dense(2)(L.BatchNormalization()(L.Dense(3)(x))))
    result = torchport.verify(model, torchport.convert(model), steps=1)
    assert not result.passed and not result.differs
    assert "more than 1 value per channel" in str(result)
    assert all(it.passed for it in result.rows if it.check == "inference")


def test_statistics_of_a_model_that_tensorflow_runs_in_float32_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They start from the file's, not from where a step in training mode had moved them."""
    run = Truth.inference

    def inference(truth: Truth, dtype: str, *given: Any) -> Any:
        if dtype == "float64":
            raise ValueError("no kernel")
        return run(truth, dtype, *given)

    monkeypatch.setattr(Truth, "inference", inference)
    L, x = keras.layers, keras.Input((6,))
    model = keras.Model(x, L.Dense(2)(L.BatchNormalization(momentum=0.5)(x)))
    result = torchport.verify(model, torchport.convert(model))
    assert any("does not run this model in float64" in it for it in result.notes)
    assert result.passed, str(result)
