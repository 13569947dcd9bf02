"""Every layer with every option computes in PyTorch what TensorFlow computes, however it is laid out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.layers.cases import CASES, UNREACHABLE
from tests.layers.harness import Case, Reference, pins, ports, problems
from torchport.rules import TABLE


@pytest.fixture(autouse=True)
def _pins() -> Iterator[None]:
    with pins():
        yield


@pytest.mark.parametrize("case", CASES, ids=str)
def test_as_tensorflow(case: Case) -> None:
    reference = Reference(case)
    for port in ports(reference.model):
        found = problems(case, reference, port)
        assert not found, "\n".join([port.layout, *found, port.code])
