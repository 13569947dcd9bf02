"""Dense layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torchport.axes import Order
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, Load, State, call
from torchport.rules.entry import Layer, Span, Variable, kernel_module, layer, variables
from torchport.rules.facts import KERNEL, PASSES
from torchport.rules.sizes import features
from torchport.rules.table import FOLLOWS, SOURCE, Value, Want, Wants, rule


@layer("Dense", activation=True, ignores="quantization_config", masks=PASSES, noun="fc", linear=KERNEL)
class Dense(Layer):
    """nn.Linear over the last axis; over channels that come first, a convolution of 1."""

    units: int
    use_bias: bool = True

    def shape(self, x: Tensor) -> Shape:
        return (*x.shape[:-1], self.units)

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        """The kernel's rows run along the features read, its columns along those given."""
        i, o = Span.of(x, -1), Span.of(y, -1)
        return variables(kernel=("i o", {"i": i, "o": o}), bias=("o", {"o": o}) if self.use_bias else None)

    def wants(self, x: Tensor, y: Any) -> Wants:
        """Flat features in any order, its kernel turned; over images it follows."""
        rank = len(x.shape)
        if rank == 3:  # of two places for a permute, the one that leaves it nn.Linear
            return replace(FOLLOWS, cost=0.01)
        return Wants(Want.ANY, Want.ANY) if rank == 2 else FOLLOWS if rank <= 5 else SOURCE

    def write(self, x: Value, y: Value, kernel: Variable, bias: Variable | None = None) -> Expr:
        sizes, own_bias = kernel.shape, bias("o") if bias else None
        if x.order is Order.CHANNELS_FIRST and x.rank > 2:
            weight = kernel(" ".join(["o i", *"1" * (x.rank - 2)]))
            return kernel_module(f"nn.Conv{x.rank - 2}d", *sizes, 1, weight=weight, bias=own_bias)(x)
        return kernel_module("nn.Linear", *sizes, weight=kernel("o i"), bias=own_bias)(x)


def fourier_shape(x: Tensor, *, output_dim: int) -> Shape:
    return (x.shape[0], output_dim)


def fourier_weights(x: Tensor, *, output_dim: int) -> Mapping[str, Shape]:
    kernel = (features(x), output_dim)
    return {"kernel_scale": (1,), "unscaled_kernel": kernel, "phase": (output_dim,)}


@rule(
    "RandomFourierFeatures", wants=SOURCE, shape=fourier_shape, weights=fourier_weights,
    ignores="kernel_initializer scale", statistics="unscaled_kernel phase",
)  # fmt: skip
def random_fourier_features(x: Value, *, output_dim: int) -> Expr:
    """The cosine of a product with a matrix that does not train; of the layer only a scale may.

    Source: tf_keras/src/layers/kernelized.py, `call`.
    """
    kernel = State("kernel", Load.of("unscaled_kernel", "i o -> i o"), (features(x), output_dim), False)
    scale = State("scale", Load.of("kernel_scale", "1 -> 1"), (1,))
    phase = State("phase", Load.of("phase", "o -> o"), (output_dim,), False)
    return call("torch.cos", Infix("@", x, kernel) / scale + phase)
