"""Dense layers."""

from __future__ import annotations

from collections.abc import Mapping

from torchport.axes import Order
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load, module
from torchport.rules.facts import PASSES
from torchport.rules.sizes import features
from torchport.rules.table import FOLLOWS, SOURCE, Value, Want, Wants, rule


def dense_wants(x: Tensor) -> Wants:
    """Flat features in any order, its kernel turned; over images it follows."""
    if len(x.shape) == 2:
        return Wants(Want.ANY, Want.ANY)
    return FOLLOWS if len(x.shape) <= 5 else SOURCE


def dense_shape(x: Tensor, *, units: int) -> Shape:
    return (*x.shape[:-1], units)


def dense_weights(x: Tensor, *, units: int, use_bias: bool) -> Mapping[str, Shape]:
    kernel = (features(x), units)
    return {"kernel": kernel, **({"bias": (units,)} if use_bias else {})}


@rule(
    "Dense", wants=dense_wants, shape=dense_shape, weights=dense_weights, activation=True,
    ignores="quantization_config", masks=PASSES, noun="fc",
)  # fmt: skip
def dense(x: Value, *, out: Value, units: int, use_bias: bool = True) -> Expr:
    """nn.Linear over the last axis; over channels that come first, a convolution of 1."""
    count = features(x)
    bias = None if use_bias else False
    if x.order is Order.CHANNELS_FIRST and x.rank > 2:
        ones = " ".join("1" * (x.rank - 2))
        loads = {"weight": Load.of("kernel", f"i o -> o i {ones}")}
        if use_bias:
            loads["bias"] = Load.of("bias", "o -> o")
        return module(f"nn.Conv{x.rank - 2}d", count, units, 1, bias=bias, loads=loads)(x)
    rows, columns = (x.regroup, out.regroup) if x.rank == 2 else ((), ())
    loads = {"weight": Load.of("kernel", "i o -> o i", (0, rows), (1, columns))}
    if use_bias:
        loads["bias"] = Load.of("bias", "o -> o", (0, columns))
    return module("nn.Linear", count, units, bias=bias, loads=loads)(x)
