"""What does not train in Keras does not train in a factored program, wherever its module stands."""

from __future__ import annotations

import keras
import pytest

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
