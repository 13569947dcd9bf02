"""A model up to some of its layers: `--outputs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from tests.quick import QUICK
from typer.testing import CliRunner

import torchport
from torchport.cli import app
from torchport.errors import Refused, TorchportError

RNG = np.random.default_rng(0)


def lost(args: Any) -> Any:
    prediction, label, steps, length = args
    return tf_keras.backend.ctc_batch_cost(label, prediction, steps, length)


@pytest.fixture
def recogniser(tmp_path: Path) -> tuple[Any, Path]:
    """A network that reads text, with its loss inside, as people save it."""
    layers = tf_keras.layers
    image = layers.Input((8, 6, 1), name="image")
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.Reshape((8, 18), name="steps")(x)
    x = layers.Dense(5, activation="softmax", name="softmax")(x)
    label, steps, length = (layers.Input((size,), name=name) for name, size in
                            (("label", 4), ("input_length", 1), ("label_length", 1)))  # fmt: skip
    loss = layers.Lambda(lost, output_shape=(1,), name="ctc")([x, label, steps, length])
    model = tf_keras.Model([image, label, steps, length], loss)
    path = tmp_path / "ocr.h5"
    model.save(path)
    return tf_keras.Model(image, x), path


def test_loss_in_the_model(recogniser: tuple[Any, Path]) -> None:
    """It is refused, and the refusal says where to cut; so cut, the port is right."""
    network, path = recogniser
    with pytest.raises(Refused) as error:
        torchport.convert(path)
    assert "--outputs softmax" in str(error.value)
    port = torchport.convert(path, outputs=["softmax"])
    assert [it.name for it in port.inputs] == ["image"]
    x = RNG.random((2, 8, 6, 1), "float32")
    np.testing.assert_allclose(port.run(x), network(x), rtol=1e-5, atol=1e-6)
    assert any("ends at softmax" in it and "ctc" in it for it in port.program.notes)
    result = torchport.verify(path, port, **QUICK)
    assert result.passed, str(result)


def test_from_the_command_line(recogniser: tuple[Any, Path], tmp_path: Path) -> None:
    folder = tmp_path / "port"
    made = CliRunner().invoke(
        app, ["convert", str(recogniser[1]), "-o", str(folder), "--outputs", "conv,softmax"]
    )
    assert made.exit_code == 0, made.output
    assert len(json.loads((folder / "port.json").read_text())["outputs"]) == 2
    assert torchport.verify(recogniser[1], folder, **QUICK).passed


@pytest.mark.parametrize("package", [keras, tf_keras], ids=lambda it: it.__name__)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_features_of_a_network(package: Any, suffix: str, tmp_path: Path) -> None:
    layers = package.layers
    inner = package.Sequential([layers.Input((4, 4, 3)), layers.Conv2D(2, 3, name="c")], name="inner")
    x = package.Input((4, 4, 3), name="x")
    first = layers.Conv2D(3, 1, name="first")(x)
    second = inner(first)
    shared = layers.Dense(2, name="shared")
    y = shared(shared(second))
    model = package.Model(x, layers.Dense(1, name="last")(y))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    data = RNG.random((2, 4, 4, 3), "float32")
    want = package.Model(x, [second, first])(data)
    for source in (path, model):
        port = torchport.convert(source, outputs=["inner", "first"])
        for ours, theirs in zip(port.run(data), want, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert torchport.verify(path, port, **QUICK).passed


def test_chain(tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")])
    model.save(tmp_path / "m.keras")
    port = torchport.convert(tmp_path / "m.keras", outputs=["a"])
    x = RNG.random((2, 5), "float32")
    np.testing.assert_allclose(port.run(x), model.layers[0](x), rtol=1e-5, atol=1e-6)
    assert torchport.verify(tmp_path / "m.keras", port, **QUICK).passed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dens", "for instance --outputs dense"),
        ("twice", "called 2 times"),
        ("in", "inside of the model 'inner'"),
    ],
)
def test_no_such_layer(name: str, said: str) -> None:
    layers = keras.layers
    x = keras.Input((3,))
    twice = layers.Dense(3, name="twice")
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="in")], name="inner")
    model = keras.Model(x, inner(twice(twice(layers.Dense(3, name="dense")(x)))))
    with pytest.raises(TorchportError) as error:
        torchport.convert(model, outputs=[name])
    assert said in str(error.value)
