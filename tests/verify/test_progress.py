"""Work that takes long is not silent: each layer is told of as it runs, on both sides."""

import itertools

import pytest

import torchport
from torchport.verify import progress

keras = pytest.importorskip("keras")


def test_layers_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE", -1.0)
    x = keras.Input((5,))
    model = keras.Model(x, keras.layers.Dense(3, name="head")(keras.layers.Dense(7, name="hidden")(x)))
    told: list[str] = []
    assert torchport.verify(model, torchport.convert(model), progress=told.append).passed
    for side, dtype, mode in itertools.product(
        ("TensorFlow", "the port"), ("float64", "float32"), ("inference", "training")
    ):
        for layer in ("hidden", "head"):
            assert f"{side} in {dtype}, {mode} mode: {layer}" in told, (side, dtype, mode, layer)
    assert any("the gradient of head/kernel, then 2 steps more" in text for text in told)


def test_texts_come_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = [0.0], list[str]()
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    tell = progress.teller(told.append, "TensorFlow")
    for at in range(100):
        now[0] = 1 + at / 100
        tell(str(at))
    assert 4 <= len(told) <= 6 and told[0] == "TensorFlow: 0"
