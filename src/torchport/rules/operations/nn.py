"""Operations of `keras.ops` for networks, most of them layers as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.program import Expr, call
from torchport.rules import activation
from torchport.rules.pool import average_pool, max_pool, pool_shape
from torchport.rules.table import TABLE, Value, image, rule

#: Operations that are functions of keras.activations, with the same defaults.
ACTIVATIONS = {
    "Relu": "relu", "Relu6": "relu6", "Softplus": "softplus", "Softsign": "softsign", "Silu": "silu",
    "SoftShrink": "soft_shrink", "SparsePlus": "sparse_plus", "SparseSigmoid": "sparse_sigmoid",
    "Squareplus": "squareplus", "LogSigmoid": "log_sigmoid", "LeakyRelu": "leaky_relu",
    "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Elu": "elu", "Selu": "selu", "Celu": "celu",
    "Glu": "glu", "TanhShrink": "tanh_shrink", "HardTanh": "hard_tanh", "HardShrink": "hard_shrink",
    "Threshold": "threshold", "Softmax": "softmax", "LogSoftmax": "log_softmax", "Sparsemax": "sparsemax",
}  # fmt: skip
for _name, _function in ACTIVATIONS.items():
    _entry = TABLE[f"activation:{_function}"]
    rule(f"keras.ops.{_name}", wants=_entry.wants, shape=_entry.shape)(_entry.write)


@rule("keras.ops.Gelu")
def gelu(x: Value, *, approximate: bool = True) -> Expr:
    """F.gelu; the tanh form by default, as keras.activations.gelu is not."""
    return activation.gelu(x, approximate=approximate)  # type: ignore[no-any-return]


@rule("keras.ops.MaxPool", wants=image, shape=pool_shape)
def ops_max_pool(
    x: Value, *, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Expr:
    """F.max_pool2d."""
    return max_pool(x, pool_size=pool_size, strides=strides, padding=padding, data_format=data_format)  # type: ignore[no-any-return]


@rule("keras.ops.AveragePool", wants=image, shape=pool_shape)
def ops_average_pool(
    x: Value, *, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Expr:
    """F.avg_pool2d."""
    return average_pool(x, pool_size=pool_size, strides=strides, padding=padding, data_format=data_format)  # type: ignore[no-any-return]


@rule("keras.ops.Normalize", only={"order": (2, 1)})
def normalize(x: Value, *, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Expr:
    """F.normalize; Keras's epsilon is 1e-7."""
    if order == 1 or isinstance(axis, Sequence):
        raise Unsupported(f"order={order}, axis={axis!r}: the 2-norm along one axis is ported")
    return call("F.normalize", x, dim=x.dim(axis), eps=1e-7 if epsilon is None else epsilon)
