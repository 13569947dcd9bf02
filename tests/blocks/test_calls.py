"""Layers that a call changes are called in Keras's order, however the lines are cut."""

from __future__ import annotations

import itertools

import keras
import pytest

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
        model = keras.Model(inner, L.Subtract()([named[0](norm(inner[1])), named[0](norm(inner[0]))]))
        made = [model([made[0], inputs[1]]), model([made[2], made[1]]), named[1](made[0])]
    else:
        made = [named[1](named[0](it)) for it in made]
    picked = [made[at] for at in order]
    model = keras.Model(inputs, picked if join == "outputs" else L.Concatenate()(picked))
    found = torchport.verify(model, torchport.convert(model))
    assert found.passed, str(found)
