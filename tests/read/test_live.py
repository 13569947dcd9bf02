"""Live models: read without importing Keras, with weights as they are when loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torchport.errors import TorchportError
from torchport.read import read

from .files import archive, members


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def test_weights_are_those_of_the_call(keras: Any) -> None:
    model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3, name="d")], name="m")
    model.layers[0].set_weights([np.full((7, 3), 2.0), np.full(3, 5.0)])
    (op,) = read(model).ops
    model.layers[0].set_weights([np.full((7, 3), 7.0), np.full(3, 8.0)])
    model.layers[0].kernel.assign_add(np.full((7, 3), 9.0))
    assert [(w.name, w.load().flat[0]) for w in op.stored.values()] == [("d/kernel", 2.0), ("d/bias", 5.0)]


def test_nested_names(keras: Any) -> None:
    inner = keras.Sequential([keras.Input((7,)), keras.layers.Dense(3, name="d")], name="inner")
    graph = read(keras.Sequential([keras.Input((7,)), inner], name="m"))
    (op,) = graph.bodies["inner"].ops
    assert [w.name for w in op.stored.values()] == ["inner/d/kernel", "inner/d/bias"]


def test_lambda_is_only_an_op(keras: Any) -> None:
    x = keras.Input((7,))
    graph = read(keras.Model(x, keras.layers.Lambda(lambda t: t * 2, output_shape=(7,))(x)))
    assert [op.kind for op in graph.ops] == ["Lambda"]


def test_augmentation_has_no_weights_to_port(keras: Any) -> None:
    layers = [keras.Input((7, 7, 3)), keras.layers.RandomFlip(), keras.layers.Dropout(0.5)]
    assert [dict(op.stored) for op in read(keras.Sequential(layers)).ops] == [{}, {}]


@pytest.mark.parametrize("source", [None, 5, object(), ["m.keras"], b"m.keras"])
def test_what_is_no_model(source: Any) -> None:
    with pytest.raises(TorchportError, match="cannot read a model from"):
        read(source)


def test_reading_imports_no_framework(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", members())
    code = (
        "import sys; from torchport.read import read; "
        f"graph = read({str(path)!r}); graph.ops[0].stored['vars/0'].load(); "
        "print(sorted({'keras', 'tf_keras', 'tensorflow', 'torch', 'pickle5'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
