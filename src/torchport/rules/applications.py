"""Layers of keras.applications' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchport.graph import Shape, Tensor
from torchport.program import Expr, module
from torchport.rules.broadcast import parameter
from torchport.rules.facts import Training
from torchport.rules.sizes import features
from torchport.rules.table import Value, rule
from torchport.rules.window import Onto, Reading


def scale_weights(x: Tensor) -> Mapping[str, Shape]:
    return {"gamma": (features(x),)}


@rule("LayerScale", weights=scale_weights, ignores="init_values projection_dim")
def layer_scale(x: Value) -> Expr:
    """x * gamma, one for each channel. A layer of keras.applications.convnext."""
    return x * parameter(x, "gamma", [x.rank - 1], [features(x)])


@rule("StochasticDepth", training=Training("drop_path_rate"))
def stochastic_depth(x: Value, *, drop_path_rate: float) -> Expr:
    """A module of a few lines: drops whole samples. A layer of keras.applications.convnext."""
    return module("StochasticDepth", drop_path_rate, loads={})(x)


def first_shape(xs: Sequence[Tensor]) -> Shape:
    return xs[0].shape


def first_reads(xs: Sequence[Tensor]) -> list[dict[int, Reading]]:
    """Each its own step."""
    return [{at: Onto(at) for at in range(1, len(x.shape))} for x in xs]


@rule("CustomScaleLayer", shape=first_shape, reads=first_reads)
def scaled_sum(xs: Sequence[Value], *, scale: float) -> Expr:
    """x + y * scale. A layer of keras.applications.inception_resnet_v2."""
    return xs[0] + xs[1] * scale
