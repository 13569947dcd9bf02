"""Whole generated programs, compared with files: a refactoring must leave them unchanged."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from tests.blocks.networks import NETWORKS

import torchport

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", NETWORKS)
def test_program(name: str, accept: bool) -> None:
    keras.utils.clear_session()
    build, limit = NETWORKS[name]
    code = torchport.convert(build()).code
    file = GOLDEN / f"{name}.py"
    if accept:
        file.write_text(code)
    assert len(code.splitlines()) <= limit
    assert code == file.read_text(), f"{file} differs; look at it, then pytest --accept"


def test_every_golden_file_has_a_network() -> None:
    assert {file.stem for file in GOLDEN.glob("*.py")} == set(NETWORKS)
