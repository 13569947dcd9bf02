"""Dropout and its kin: identity in inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.axes import to_order
from torchport.errors import Unsupported
from torchport.program import Expr, call, module
from torchport.rules.facts import DROPOUT, LINEAR, NOISE, PASSES, PASSES_NEWLY
from torchport.rules.table import Value, image, rule


@rule(
    "Identity", "ActivityRegularization", ignores="l1 l2",
    masks={"Identity": PASSES_NEWLY, "ActivityRegularization": PASSES}, linear=LINEAR,
)  # fmt: skip
def identity(x: Value) -> Expr:
    """Nothing; what it adds to the loss is part of the training."""
    return x


@rule("Dropout", masks=PASSES, training=DROPOUT, noun="dropout", linear=LINEAR)
def dropout(x: Value, *, rate: float, noise_shape: Sequence[int | None] | None = None) -> Expr:
    """nn.Dropout; where `noise_shape` has one value for many, of a mask that is broadcast."""
    drop = module("nn.Dropout", rate, loads={})
    if noise_shape is None:
        return drop(x)
    if len(noise_shape) != x.rank:
        raise Unsupported(f"noise_shape={noise_shape!r} of a tensor with {x.rank} axes")
    sizes = to_order(list(noise_shape), x.order)
    mask = call(
        ".new_ones", x,
        *(call(".size", x, dim) if size is None else size for dim, size in enumerate(sizes)),
    )  # fmt: skip
    return x * drop(mask)


@rule(
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", wants=image, only={"noise_shape": (None,)},
    masks=PASSES, training=DROPOUT, noun="dropout", linear=LINEAR,
)  # fmt: skip
def spatial_dropout(
    x: Value, *, rate: float, data_format: str | None = None, noise_shape: Any = None
) -> Expr:
    """nn.Dropout2d: whole channels. tf.keras 2 saves a `noise_shape` that the layer does not read."""
    return module(f"nn.Dropout{x.rank - 2}d", rate, loads={})(x)


@rule("GaussianDropout", masks=PASSES, training=DROPOUT, linear=LINEAR)
def gaussian_dropout(x: Value, *, rate: float) -> Expr:
    """A module of a few lines: noise of mean 1 that is multiplied."""
    return module("GaussianDropout", rate, loads={})(x)


@rule("GaussianNoise", masks=PASSES, training=NOISE, linear=LINEAR)
def gaussian_noise(x: Value, *, stddev: float) -> Expr:
    """A module of a few lines: noise that is added."""
    return module("GaussianNoise", stddev, loads={})(x)


@rule("AlphaDropout", masks=PASSES, training=DROPOUT, only={"noise_shape": (None,)}, linear=LINEAR)
def alpha_dropout(x: Value, *, rate: float, noise_shape: Any = None) -> Expr:
    """nn.AlphaDropout."""
    return module("nn.AlphaDropout", rate, loads={})(x)
