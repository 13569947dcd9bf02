"""Every element that a card names is read again: of Keras's file by h5py alone, and of the safetensors.

No TensorFlow, and nothing of torchport reads the source's file here. The networks are of models/build.py.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

import torchport

UNET = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"
MODELS = sorted((Path(__file__).parent / "models").glob("*.keras"))
#: How many lines of cards name an element of a weight.
PRINTED = {
    "first": 3, "ihc_unet": 18, "nested": 5, "recurrent": 11, "residual": 6, "signal": 5, "steps": 5,
    "transformer": 20, "volume": 4,
}  # fmt: skip
LINE = re.compile(
    r"^\s*([\w.]+)\[([\d, ]+)\] is (\w+)\[([\d, ]+)\] = (\S+): in memory at ([\d,]+), now at ([\d,]+)$"
)


def variables(path: Path) -> dict[str, np.ndarray]:
    """The variables of a `.keras` file by their place in it."""
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        found: dict[str, np.ndarray] = {}

        def keep(name: str, it: Any) -> None:
            if isinstance(it, h5py.Dataset) and it.ndim:
                found[name] = it[()]

        file.visititems(keep)
    return found


@dataclass(frozen=True)
class Port:
    """A model's document, as `--json` has it, and the numbers of both of its files."""

    document: dict[str, Any]
    source: dict[str, np.ndarray]
    held: dict[str, np.ndarray]

    def where(self, weight: dict[str, Any], at: tuple[int, ...], value: float) -> Iterator[np.ndarray]:
        """The variables of its shape in the source's file that have this number there."""
        shape = tuple(weight["keras_side"]["sizes"])
        return (it for it in self.source.values() if it.shape == shape and float(it[at]) == value)


@pytest.fixture(scope="module", params=[*MODELS, UNET], ids=lambda it: it.stem)
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Port]:
    found = torchport.explain(request.param)
    folder = found.port.save(tmp_path_factory.mktemp("pairs") / "port")
    document = json.loads(found.network.text())
    held = load_file(folder / "model.safetensors")
    return request.param.stem, Port(document, variables(request.param), held)


def test_there_is_a_model_of_each_kind() -> None:
    assert {it.stem for it in MODELS} | {"ihc_unet"} == {*PRINTED}


def test_every_pair_of_the_document_is_one_number_in_both_files(port: tuple[str, Port]) -> None:
    """At its index, and at its place in memory; every weight that Keras has has pairs."""
    _, it = port
    weights = [weight for layer in it.document["layers"] for weight in layer["weights"] if weight["keras"]]
    assert {weight["torch"] for weight in weights} <= {*it.held}
    for weight in weights:
        assert weight["pairs"], weight["torch"]
        array = it.held[weight["torch"]]
        for pair in weight["pairs"]:
            at, to = tuple(pair["keras"]), tuple(pair["torch"])
            assert float(array[to]) == pair["value"], weight["torch"]
            assert np.ravel_multi_index(to, array.shape) == pair["torch_place"]
            (own,) = it.where(weight, at, pair["value"])  # the numbers are drawn: one variable has it there
            assert np.ravel_multi_index(at, own.shape) == pair["keras_place"]


def test_all_pairs_of_a_weight_are_of_one_variable(port: tuple[str, Port]) -> None:
    """And no two weights are of the same numbers there, unless they are one variable."""
    _, it = port
    for layer in it.document["layers"]:
        for weight in layer["weights"]:
            found = [
                {id(own) for own in it.where(weight, tuple(pair["keras"]), pair["value"])}
                for pair in weight["pairs"] if weight["keras"]
            ]  # fmt: skip
            assert not found or set.intersection(*found), weight["keras"]


def test_every_element_that_a_card_prints_is_in_both_files(port: tuple[str, Port]) -> None:
    """What is printed is taken apart again: the index in Keras's file, the other, the value, both places."""
    name, it = port
    layers = {layer["id"]: layer for layer in it.document["layers"]}
    count = 0
    for op in it.document["ops"]:
        weights = layers[op["layer"]]["weights"]
        for text in (line for part in op["card"] if part["title"] == "weights" for line in part["lines"]):
            found = LINE.match(text)
            if not found:
                assert " is " not in text, text
                continue
            role, at, own, to, value, place, now = found.groups()
            source, target = (tuple(map(int, part.split(","))) for part in (at, to))
            there, here = (int(part.replace(",", "")) for part in (place, now))
            (weight,) = [
                one for one in weights if one["torch"].endswith(f".{own}")
                and one["keras"] and one["keras"].endswith(f"/{role}")
                and f"{it.held[one['torch']][target]:+.6f}" == value
            ]  # fmt: skip
            array = it.held[weight["torch"]]
            assert array.reshape(-1)[here] == array[target]
            (stored,) = it.where(weight, source, float(array[target]))
            assert stored.reshape(-1)[there] == array[target]
            count += 1
    assert count == PRINTED[name]
