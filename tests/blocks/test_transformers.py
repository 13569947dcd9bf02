"""Transformers of many layers, written with the Functional API, learn the same.

Golden files hold their text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.blocks.networks import encoder, encoder_decoder, vit
from tests.quick import QUICK

import torchport


@pytest.mark.parametrize("make", [encoder, encoder_decoder, vit])
def test_it_agrees(make: Any, tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "model.keras")
    ported = torchport.convert(tmp_path / "model.keras")
    found = torchport.verify(tmp_path / "model.keras", ported, **QUICK)
    assert found.passed, [row for row in found.rows if not row.passed]
