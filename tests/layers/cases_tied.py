"""Layers that hold weights in a way of their own: SpectralNormalization and ReversibleEmbedding."""

from __future__ import annotations

from typing import Any

from tests.layers.harness import Case, Inner


def spectral(kind: str, options: dict[str, Any], x: str, steps: int = 1, **given: Any) -> Case:
    wrapper = {"layer": Inner(kind, options), "power_iterations": steps}
    return Case("SpectralNormalization", wrapper, x, **given)


CONV = {"filters": 7, "kernel_size": 3}
WORDS = "5, 3, dtype='float64'"


def reversible(options: str, call: str, below: int = 5) -> Case:
    made = f"layers.ReversibleEmbedding({WORDS}{options})"
    x = "2 7" if below else "2 7 3"
    return Case("ReversibleEmbedding", call=f"(lambda words: {call})({made})", x=x, below=below)


CASES = [
    spectral("Conv2D", CONV, "2 7 5 3"),
    spectral("Conv2D", {**CONV, "activation": "relu", "use_bias": False}, "2 7 5 3", 3),
    spectral("Conv2D", {**CONV, "filters": 6, "groups": 2}, "2 7 5 4", 2),
    spectral("Conv2D", {**CONV, "strides": 2, "padding": "same"}, "2 7 6 3"),
    spectral("Conv2D", {**CONV, "data_format": "channels_first"}, "2 3 7 5", compiled=True),
    spectral("Conv1D", {**CONV, "padding": "causal"}, "2 7 3"),
    spectral("Conv3D", CONV, "2 5 4 3 2"),
    spectral("Conv1DTranspose", {**CONV, "strides": 2}, "2 5 3"),
    spectral("Conv2DTranspose", {**CONV, "strides": 2, "padding": "same"}, "2 5 7 3"),
    spectral("Conv3DTranspose", {**CONV, "kernel_size": 2}, "2 3 2 3 2"),
    spectral("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, "2 7 3"),
    spectral("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}, "2 7 5 3", 2),
    spectral("Dense", {"units": 5, "activation": "tanh"}, "2 3", 2),
    spectral("Dense", {"units": 5}, "2 7 3"),
    spectral("Dense", {"units": 5}, "2 7 5 3"),
    Case(
        "Flatten", {}, "2 3 5 7",
        then=(("SpectralNormalization", {"layer": Inner("Dense", {"units": 30})}),
              ("Reshape", {"target_shape": (2, 3, 5)}), ("Conv2D", {"filters": 2, "kernel_size": 2})),
    ),
    reversible("", "words(x)"),
    reversible("", "words(words(x), reverse=True)"),
    reversible("", "words(x, reverse=True)", below=0),
    reversible(", tie_weights=False, logit_soft_cap=2.5", "words(words(x), reverse=True)"),
    reversible(", tie_weights=False", "words(x)"),
    reversible(", mask_zero=True", "layers.LSTM(4, dtype='float64')(words(x))"),
]  # fmt: skip
