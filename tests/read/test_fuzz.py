"""Seeded damage to sound files and configs: each is a Graph or a TorchportError, and soon."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torchport.errors import TorchportError
from torchport.graph import Graph
from torchport.read import config, read
from torchport.read.document import bounded
from torchport.read.hdf5 import Within

from .files import archive, legacy, members
from .test_config import call, layer, nest, start, tensor

JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    5,
    10**30,
    2.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "d",
    [],
    {},
]
JUNK += [[None], ["x", 0, 0], ["d", 7, 0], {"class_name": "x"}, {"config": 5}, [[[[]]]], "\ud800"]
JUNK += [{"class_name": "__keras_tensor__", "config": {"keras_history": ["d", 0, 0]}}, "Sequential"]


def keras_3() -> dict[str, Any]:
    core = nest("core", "3") | {"inbound_nodes": [call(tensor("d")), call(tensor("core"))]}
    inner = {
        "name": "m",
        "trainable": True,
        "layers": [
            start(),
            layer("Dense", "d", call(tensor("x"), training=False), units=3),
            core,
            layer("LeakyReLU", "e", call([tensor("core", 1)], mask=None), alpha=0.3),
            layer("GRU", "g", call(tensor("e"), initial_state=[tensor("d")]), time_major=False),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": {"a": ["g", 0, 0], "b": [["core", 2, 0]]},
    }
    return {"module": "keras", "class_name": "Functional", "config": inner}


def keras_2() -> dict[str, Any]:
    core = nest("core", "2") | {"inbound_nodes": [[["d", 0, 0, {}]], [["core", 1, 0, {}]]]}
    inner = {
        "name": "m",
        "layers": [
            start(key="batch_input_shape"),
            layer("Dense", "d", [["x", 0, 0, {"training": False}]], units=3),
            core,
            layer("BatchNormalization", "e", [["core", 2, 0, {}]], axis=[3]),
            layer("TFOpLambda", "o", ["e", 0, 0, {"y": ["d", 0, 0], "name": None}]),
            layer("LSTM", "g", [["o", 0, 0, {}], ["d", 0, 0, {}], ["d", 0, 0, {}]]),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["g", 0, 0]],
    }
    return {"class_name": "Model", "config": inner}


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a tree."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def mutate(tree: Any, rng: random.Random) -> Any:
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        container, key = rng.choice(list(places(tree)))
        way = rng.randrange(4)
        if way == 0:
            del container[key]
        elif way == 1 and isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        elif way == 2:
            other, at = rng.choice(list(places(tree)))
            container[key] = copy.deepcopy(other[at])
        else:
            container[key] = copy.deepcopy(rng.choice(JUNK))
        if not tree:
            break
    return tree


def outcome(build: Any) -> str:
    """Whether `build` gives a Graph or a TorchportError; any other exception fails the test."""
    begin = time.process_time()
    try:
        graph = build()
    except TorchportError as problem:
        assert str(problem)
        result = "error"
    else:
        assert isinstance(graph, Graph)
        assert str(graph)
        result = "graph"
    assert time.process_time() - begin < 5
    return result


@pytest.mark.parametrize(("entry", "version"), [(keras_3(), "3.15.1"), (keras_2(), "2.15.0")])
def test_configs(entry: dict[str, Any], version: str) -> None:
    def build(tree: Any) -> Graph:
        return config.graph(bounded(tree, "here"), version, Within(), "here").check()

    assert outcome(lambda: build(entry)) == "graph"
    rng = random.Random(7)
    trees = (mutate(entry, rng) for _ in range(3001))
    results = [outcome(lambda tree=tree: build(tree)) for tree in trees]
    assert results.count("error") > 300
    assert results.count("graph") > 300


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_damaged_bytes(tmp_path: Path, kind: str) -> None:
    sound = tmp_path / "sound"
    archive(sound, members()) if kind == "keras" else legacy(sound)
    data = sound.read_bytes()
    path = tmp_path / "damaged"
    rng = random.Random(11)

    def build() -> Graph:
        graph = read(path)
        for op in graph.ops:
            for weight in op.stored.values():
                assert weight.load().shape == weight.shape
        return graph

    results = []
    for _ in range(701):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 2, 5, 17])):
            at = rng.randrange(len(damaged))
            damaged[at : at + rng.choice([1, 1, 4, 8])] = rng.randbytes(rng.choice([1, 4, 8]))
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        results.append(outcome(build))
    assert results.count("error") > 50
    assert results.count("graph") > 50


def test_damaged_members(tmp_path: Path) -> None:
    """The config is damaged as a tree, so that the damage gets past the JSON."""
    rng = random.Random(13)
    entry = json.loads(members()["config.json"])
    results = []
    for _ in range(301):
        text = json.dumps(mutate(entry, rng)).encode()
        path = archive(tmp_path / "m.keras", members(config_json=text))
        results.append(outcome(lambda path=path: read(path)))
    assert results.count("error") > 50
    assert results.count("graph") > 30
