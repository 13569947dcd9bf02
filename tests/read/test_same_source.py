"""The same network, saved by every Keras version there was, gives the same source and the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

import torchport
from torchport.port import Port

from . import dialects
from .dialects import NETWORKS, Network


def saved(package: Any, ending: str) -> Callable[[Path, Network], Path]:
    def save(path: Path, network: Network) -> Path:
        path = path.with_suffix(ending)
        dialects.built(package, network).save(path)
        return path

    return save


FILES: dict[str, Callable[[Path, Network], Path]] = {
    "1.2": dialects.keras_1,
    "2.0": dialects.keras_2_0,
    "2.2-tf": dialects.keras_2_2,
    "2.4": dialects.keras_2_4,
    "2.15 h5": saved(tf_keras, ".h5"),
    "2.15 keras": saved(tf_keras, ".keras"),
    "3 h5": saved(keras, ".h5"),
    "tfjs": lambda path, network: dialects.tfjs(path.parent / "web", network),
    "tfjs shards": lambda path, network: dialects.tfjs(path.parent / "web", network, shard=1001),
}


def tensors(port: Port) -> dict[str, np.ndarray]:
    return {entry.name: entry.array() for entry in port.program.entries}


@pytest.fixture(scope="module", params=NETWORKS)
def today(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Port]:
    path = tmp_path_factory.mktemp("today") / "m"
    return request.param, torchport.convert(
        saved(keras, ".keras")(path, NETWORKS[request.param]), class_name="Net"
    )


@pytest.mark.parametrize("version", FILES)
def test_same_source_and_weights(version: str, today: tuple[str, Port], tmp_path: Path) -> None:
    name, expected = today
    port = torchport.convert(FILES[version](tmp_path / "m.h5", NETWORKS[name]), class_name="Net")
    assert port.code == expected.code
    ours, theirs = tensors(port), tensors(expected)
    assert ours.keys() == theirs.keys()
    for key, array in theirs.items():
        assert np.array_equal(ours[key], array), key


@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_keras_does(name: str) -> None:
    """The network that all files are of, once against Keras itself."""
    model = dialects.built(keras, NETWORKS[name])
    x = np.random.default_rng(0).normal(size=(2, *NETWORKS[name][0][1:])).astype("float32")
    assert np.allclose(torchport.convert(model).run(x), model(x).numpy(), atol=1e-5)
