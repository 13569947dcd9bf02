"""What does not train in Keras does not train in a factored program, wherever its module stands."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from tests.quick import QUICK

import torchport

L = keras.layers


@pytest.mark.parametrize(
    "layers",
    [
        [L.BatchNormalization(trainable=False), L.ReLU()],
        [L.Conv2D(4, 1, trainable=False), L.ReLU(), L.Conv2D(3, 2)],
        [L.BatchNormalization(scale=False), L.Conv2D(2, 1)],
    ],
    ids=["all", "one", "a constant"],
)
def test_nested_chain(layers: list[keras.Layer]) -> None:
    """In nn.Sequential there is no name by which a layer could be frozen."""
    image = keras.Input((5, 4, 3))
    model = keras.Model(image, keras.Sequential(layers)(image) * 2)
    for flat in (False, True):
        module = torchport.convert(model, flat=flat).module()
        trained = sum(it.requires_grad for it in module.parameters())
        assert trained == len(model.trainable_variables)


def block(x: Any, trainable: bool) -> Any:
    out = L.Conv2D(4, 3, padding="same", trainable=trainable)(x)
    out = L.ReLU()(L.BatchNormalization(trainable=trainable)(out))
    return L.Add()([x, L.Conv2D(4, 3, padding="same", trainable=trainable)(out)])


@pytest.mark.parametrize("frozen", [3, 6])
def test_a_backbone_is_frozen_from_outside(frozen: int) -> None:
    """In one line where all of it is, with one class; the first blocks alone where only they are."""
    image = keras.Input((6, 6, 4))
    x = image
    for at in range(6):
        x = block(x, at >= frozen)
    base = keras.Model(image, x, name="base")
    image = keras.Input((6, 6, 4))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(base(image))))
    port = torchport.convert(model)
    module = port.module()
    assert sum(it.requires_grad for it in module.parameters()) == len(model.trainable_variables)
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    lines = [line.strip() for line in port.code.splitlines() if "requires_grad_" in line]
    assert len(lines) <= 1
    if frozen == 6:
        assert lines == ["self.base.requires_grad_(False)"] and port.code.count("class ResidualBlock") == 1
