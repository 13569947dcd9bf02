"""Layers that a call changes are called in Keras's order, however the lines are cut."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import keras
import pytest
from tests.quick import QUICK

import torchport

L = keras.layers


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("join", ["Concatenate", "outputs", "nested"])
def test_calls_of_one_layer_keep_their_order(order: tuple[int, ...], join: str) -> None:
    """Running statistics are those after the calls in Keras's order: verify compares them."""
    norm = L.BatchNormalization(momentum=0.3)
    inputs = [keras.Input((3,)) for _ in range(3)]
    named = [L.SpectralNormalization(L.Dense(4), name="a_layer_with_a_name_so_long_that_it_fills_a_line")]
    named.append(L.Dense(5, name="another_layer_whose_name_is_as_long_as_that"))
    made = [norm(it) for it in inputs]
    if join == "nested":
        inner = [keras.Input((3,)), keras.Input((3,))]
        own = L.BatchNormalization(momentum=0.3)
        model = keras.Model(inner, L.Subtract()([named[0](own(inner[1])), named[0](own(inner[0]))]))
        made = [model([made[0], inputs[1]]), model([made[2], made[1]]), named[1](made[0])]
    else:
        made = [named[1](named[0](it)) for it in made]
    picked = [made[at] for at in order]
    model = keras.Model(inputs, picked if join == "outputs" else L.Concatenate()(picked))
    found = torchport.verify(model, torchport.convert(model), **QUICK)
    assert found.passed, str(found)


def tower(*inputs: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Each input through the same layers."""
    made = list(inputs)
    for _ in range(6):
        layers = L.Conv2D(5, 3, padding="same"), L.BatchNormalization(), L.ReLU()
        for layer in layers:
            made = [layer(it) for it in made]
    return made


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_layer_that_is_called_again_stays_one(wrapped: bool) -> None:
    """Towers of the same layers would make a block, which has modules of its own for each use."""
    inputs = [keras.Input((5, 7, 5)) for _ in range(3)]
    model = keras.Model(inputs, L.Concatenate()(tower(*inputs)))
    if wrapped:
        parts = []
        for _ in range(2):
            x = keras.Input((5, 7, 5))
            parts.append(keras.Model(x, L.Add()(tower(x, L.ReLU()(x), L.Dropout(0.1)(x)))))
        model = keras.Model(inputs[0], parts[1](parts[0](inputs[0])))
    port = torchport.convert(model)
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    assert len(list(port.module().parameters())) == len(model.trainable_variables)


@pytest.mark.parametrize("make", [lambda: L.LayerNormalization(), lambda: L.Dense(4)])
def test_one_module_reads_tensors_of_other_ranks(make: Callable[[], Any]) -> None:
    """A norm, or a Dense, of channels first is another module than that of flat features."""
    series, flat = keras.Input((6, 4)), keras.Input((4,))
    layer = make()
    padded = L.ZeroPadding1D(1)(series)
    shifted = L.Add()([layer(flat), padded])
    model = keras.Model([series, flat], [L.SeparableConv1D(3, 2)(padded), layer(shifted)])
    result = torchport.verify(model, torchport.convert(model), **QUICK)
    assert result.passed, result
