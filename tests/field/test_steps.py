"""Training steps that magnify rounding: fewer are compared, and it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import torchport
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
    assert any("3 training steps magnify rounding" in it for it in found.notes)


def test_a_fault_that_one_step_shows(model: Any, tmp_path: Path) -> None:
    """Fewer steps excuse nothing: another momentum is a difference."""
    folder = torchport.convert(model).save(tmp_path / "port")
    text = (folder / "model.py").read_text()
    assert "momentum=0.01" in text
    (folder / "model.py").write_text(text.replace("momentum=0.01", "momentum=0.02"))
    found = torchport.verify(model, folder, precision="float64", steps=3)
    assert found.differs and found.steps == 3, str(found)
