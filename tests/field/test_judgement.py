"""Right ports of people's models that verify once called wrong, and wrong ones that it let pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import torchport
from torchport.verify import Verification

keras = pytest.importorskip("keras")


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
