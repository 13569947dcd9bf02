"""Dropout and its kin: identity in inference."""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.program import Expr, module
from torchport.rules.table import Value, image, rule


@rule("Dropout")
def dropout(x: Value, *, rate: float, noise_shape: Any = None) -> Expr:
    """nn.Dropout."""
    if noise_shape is not None:
        raise Unsupported(f"noise_shape={noise_shape!r} is not ported")
    return module("nn.Dropout", rate, loads={})(x)


@rule("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", wants=image)
def spatial_dropout(x: Value, *, rate: float, data_format: str | None = None) -> Expr:
    """nn.Dropout2d: whole channels."""
    return module(f"nn.Dropout{x.rank - 2}d", rate, loads={})(x)
