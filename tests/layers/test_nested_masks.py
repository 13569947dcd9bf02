"""Masks that meet nested models: carried in, through and out, refused where made of what is inside."""

from __future__ import annotations

import importlib
from typing import Any

import keras
import pytest
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

WORDS: dict[str, Any] = {"input_dim": 5, "output_dim": 4, "mask_zero": True}


def verified(model: Any) -> str:
    port = torchport.convert(model)
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    return port.code


@pytest.fixture(params=["keras", "tf_keras"])
def package(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


def functional(package: Any, *layers: Any) -> Any:
    inputs = x = package.Input((7, 4))
    for layer in layers:
        x = layer(x)
    return package.Model(inputs, x, name="inner")


def test_into_a_model(package: Any) -> None:
    layers = package.layers
    words = package.Input((7,), dtype="int32")
    inner = functional(package, layers.Dense(4), layers.LSTM(3))
    code = verified(package.Model(words, inner(layers.Embedding(**WORDS)(words))))
    assert "def forward(self, x: Tensor, mask: Tensor)" in code


def test_into_a_model_in_a_model(package: Any) -> None:
    layers = package.layers
    words = package.Input((7,), dtype="int32")
    inner = package.Sequential([package.Input((7, 4)), layers.GRU(4, return_sequences=True), layers.LSTM(3)])
    middle = functional(package, layers.Dropout(0.5), inner)
    verified(package.Model(words, middle(layers.Embedding(**WORDS)(words))))


def test_through_a_model(package: Any) -> None:
    layers = package.layers
    words = package.Input((7,), dtype="int32")
    inner = functional(package, layers.Dense(3), layers.Dropout(0.5))
    code = verified(package.Model(words, layers.LSTM(3)(inner(layers.Embedding(**WORDS)(words)))))
    assert "mask" not in code.partition("class Inner")[2].partition("class ")[0]


def test_shared_by_two_calls(package: Any) -> None:
    layers = package.layers
    words = [package.Input((7,), dtype="int32") for _ in range(2)]
    embedding, inner = layers.Embedding(**WORDS), functional(package, layers.LSTM(3))
    verified(package.Model(words, layers.Concatenate()([inner(embedding(it)) for it in words])))


def test_out_of_a_model(package: Any) -> None:
    layers = package.layers
    words = package.Input((7,), dtype="int32")
    reader = package.Model(words, layers.Dropout(0.5)(layers.Embedding(**WORDS)(words)), name="reader")
    again = package.Input((7,), dtype="int32")
    code = verified(package.Model(again, layers.LSTM(3)(reader(again))))
    assert "self.lstm" in code and "x != 0" in code.partition("class Model")[2]


def test_out_of_a_model_in_a_model(package: Any) -> None:
    layers = package.layers
    one, other = (package.Input((7,), dtype="int32") for _ in range(2))
    reader = package.Model(one, layers.Embedding(**WORDS)(one), name="reader")
    both = package.Model([one, other], layers.Add()([reader(one), reader(other)]), name="both")
    left, right = (package.Input((7,), dtype="int32") for _ in range(2))
    verified(package.Model([left, right], layers.GRU(3)(both([right, left]))))


def test_out_of_two_calls(package: Any) -> None:
    layers = package.layers
    words = package.Input((7,), dtype="int32")
    x = package.Input((7, 4))
    reader = package.Model([words, x], layers.Concatenate(axis=1)([
        layers.Embedding(**WORDS)(words), layers.Masking(0.5)(x)]), name="reader")  # fmt: skip
    inputs = [package.Input((7,), dtype="int32"), package.Input((7, 4))]
    verified(package.Model(inputs, layers.SimpleRNN(3)(reader(inputs))))


def refused(model: Any) -> str:
    with pytest.raises(Refused) as caught:
        torchport.convert(model)
    return str(caught.value)


def test_what_is_refused() -> None:
    """All of it in one message."""
    layers = keras.layers
    words, plain = keras.Input((7,), dtype="int32"), keras.Input((7, 4))
    inner = functional(keras, layers.LSTM(3))
    x = layers.Embedding(**WORDS)(words)
    reader = keras.Model(words, layers.Masking()(layers.Embedding(5, 4)(words)), name="reader")
    both = layers.Concatenate()([inner(x), inner(plain)])
    model = keras.Model(
        [words, plain], [both, layers.GRU(2)(reader(words)), layers.Dense(2, dtype="bfloat16")(x)]
    )
    text = refused(model)
    assert "other masks than before" in text and "made in the nested model 'reader'" in text
    assert text.startswith("3 things")
