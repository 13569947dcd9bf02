"""Numbers of a program are those that people wrote: 0.2, where Keras 2 has it as a float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

import torchport

L2, L3 = tf_keras.layers, keras.layers
#: Layers of Keras 2 whose options are float32 in its files, and what stands in the program.
LAYERS: dict[str, tuple[Any, str]] = {
    "LeakyReLU": (lambda: L2.LeakyReLU(0.2), ", 0.2)"),
    "ELU": (lambda: L2.ELU(0.3), "alpha=0.3)"),
    "ThresholdedReLU": (lambda: L2.ThresholdedReLU(0.7), "0.7"),
    "ReLU": (lambda: L2.ReLU(max_value=0.9, negative_slope=0.1, threshold=0.05), "0.05"),
}


def network(package: Any, layer: Any) -> Any:
    x = package.Input((6,))
    return package.Model(x, package.layers.Dense(3)(layer(package.layers.Dense(5)(x))))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("suffix", [".h5", ".keras", "live"])
def test_options_that_keras_2_made_float32(kind: str, suffix: str, tmp_path: Path) -> None:
    make, text = LAYERS[kind]
    source = model = network(tf_keras, make())
    if suffix != "live":
        source = tmp_path / f"m{suffix}"
        model.save(source)
    port = torchport.convert(source)
    assert text in port.code, port.code
    assert "000000" not in port.code and "9999" not in port.code and "1192" not in port.code
    result = torchport.verify(source, port, steps=1)
    assert result.passed, str(result)


def test_a_network_that_went_through_keras_2_and_3(tmp_path: Path) -> None:
    """Keras 3 keeps what Keras 2 had written."""
    model = network(keras, L3.LeakyReLU(float(np.float32(0.2))))
    model.save(tmp_path / "m.keras")
    port = torchport.convert(tmp_path / "m.keras")
    assert ", 0.2)" in port.code
    assert torchport.verify(tmp_path / "m.keras", port, steps=1).passed


def test_a_layer_of_float64_has_its_number_whole(tmp_path: Path) -> None:
    number = float(np.float32(0.2))
    x = keras.Input((6,), dtype="float64")
    model = keras.Model(x, L3.LeakyReLU(number, dtype="float64")(L3.Dense(3, dtype="float64")(x)))
    model.save(tmp_path / "m.keras")
    port = torchport.convert(tmp_path / "m.keras")
    assert "0.20000000298023224" in port.code
    result = torchport.verify(tmp_path / "m.keras", port, steps=1)
    assert result.passed, str(result)


class Scaled(tf_keras.layers.Layer):
    """Keeps numbers as numpy has them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.by, self.plus = np.float32(0.2), np.asarray(0.7, "float32")
        self.inner = L2.LeakyReLU(0.3)

    def call(self, x: Any) -> Any:
        return self.inner(x * self.by + self.plus)


def test_numbers_of_a_layer_of_ones_own() -> None:
    model = network(tf_keras, Scaled())
    port = torchport.convert(model)
    assert "0.2 + 0.7, 0.3" in port.code, port.code
    result = torchport.verify(model, port, steps=1)
    assert result.passed, str(result)
