"""Layers of people's own become classes of the port, equal in both modes; what is refused names the line."""

from __future__ import annotations

import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from tests.watch import people

import torchport
from torchport.errors import Refused

PACKAGES = {"keras3": (keras, 3), "keras2": (tf_keras, 2)}
#: What is refused, and what the refusal says.
REFUSED = {"cond": "a condition or a loop"}
#: Every other model of each Keras, to be quick; ALL are tried where somebody asks for many examples.
ALL = [
    (name, package, at)
    for order, (package, (module, version)) in enumerate(PACKAGES.items())
    for at, name in enumerate(people.make(module, version), order)
]
CASES = [it[:2] for it in ALL if it[2] % 2 == 0 or it[0] in REFUSED or "TORCHPORT_EXAMPLES" in os.environ]


def randomise(model: Any) -> None:
    rng = np.random.default_rng(3)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            values = rng.normal(size=tuple(variable.shape)) * 0.5
            variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)


def built(name: str, package: str) -> Any:
    module, version = PACKAGES[package]
    module.utils.set_random_seed(1)
    model = people.make(module, version)[name]()
    randomise(model)
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "package"), [it for it in CASES if it[0] not in REFUSED])
def test_agrees(name: str, package: str) -> None:
    model = built(name, package)
    port = torchport.convert(model)
    result = torchport.verify(model, port, precision="float64", steps=1)
    assert result.passed, str(result)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "package"), [it for it in CASES if it[0] in REFUSED])
def test_is_refused(name: str, package: str) -> None:
    with pytest.raises((Refused, torchport.BadFile)) as error:
        torchport.convert(built(name, package))
    assert REFUSED[name] in str(error.value)


def test_attributes_come_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protobuf gives the attributes of a node in an order of its own, of each message another one."""
    from google.protobuf import json_format

    own, turns = json_format.MessageToDict, itertools.cycle((1, -1))

    def turned(message: Any) -> dict[str, Any]:
        found = own(message)
        return {**found, "attr": dict(list(found["attr"].items())[:: next(turns)])}

    model = built("capsule", "keras2")
    expected = torchport.convert(model).code
    monkeypatch.setattr(json_format, "MessageToDict", turned)
    assert torchport.convert(model).code == expected
