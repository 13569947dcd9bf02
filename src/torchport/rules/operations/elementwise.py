"""Operations of `keras.ops` that work element by element, and the operators of Python on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.operations.operands import (
    as_dtype,
    as_float,
    broadcast_shape,
    chosen,
    divided,
    dtype_of,
    is_float,
    kept_float,
    operand,
    promoted,
    together,
)
from torchport.rules.table import Value, rule


def is_name(function: str) -> bool:
    return function[0].isalpha() or function[0] == "."


def binary(function: str) -> Callable[..., Expr]:
    """The rule of an operator of Python, or of a function or method of two tensors."""

    def write(x1: Any, x2: Any, *, out: Value) -> Expr:
        left, right = operand(x1, out, "left"), operand(x2, out, "right")
        return call(function, left, right) if is_name(function) else Infix(function, left, right)

    write.__doc__ = f"{function}."
    return write


def unary(function: str) -> Callable[..., Expr]:
    """The rule of a function or method of one tensor."""

    def write(x: Value) -> Expr:
        return call(function, x)

    write.__doc__ = f"{function}."
    return write


#: Functions that torch has under a name of its own, by the dtype of their result.
UNARY: dict[str | Callable[..., str], dict[str, str]] = {
    as_float: {
        "Exp": "torch.exp", "Exp2": "torch.exp2", "Expm1": "torch.expm1", "Log": "torch.log",
        "Log2": "torch.log2", "Log10": "torch.log10", "Log1p": "torch.log1p", "Sqrt": "torch.sqrt",
        "Rsqrt": "torch.rsqrt", "Sin": "torch.sin", "Cos": "torch.cos", "Tan": "torch.tan",
        "Arcsin": "torch.asin", "Arccos": "torch.acos", "Arctan": "torch.atan", "Sinh": "torch.sinh",
        "Cosh": "torch.cosh", "Tanh": "torch.tanh", "Arcsinh": "torch.asinh", "Arccosh": "torch.acosh",
        "Arctanh": "torch.atanh", "Reciprocal": "torch.reciprocal", "Erf": "torch.erf",
        "Erfinv": "torch.erfinv", "Sigmoid": "torch.sigmoid", "Deg2rad": "torch.deg2rad",
        "Rad2deg": "torch.rad2deg",
    },
    kept_float: {"Floor": "torch.floor", "Ceil": "torch.ceil", "Trunc": "torch.trunc"},
    "": {
        "Absolute": ".abs", "Abs": ".abs", "Negative": "torch.neg", "Sign": "torch.sign",
        "Square": ".square", "StopGradient": ".detach",
    },
    "bool": {
        "Isnan": "torch.isnan", "Isinf": "torch.isinf", "Isfinite": "torch.isfinite",
        "LogicalNot": "torch.logical_not",
    },
}  # fmt: skip
for _dtype, _functions in UNARY.items():
    for _name, _function in _functions.items():
        rule(f"keras.ops.{_name}", dtype=_dtype)(unary(_function))

#: Operators of Python and functions of two tensors, by the dtype of their result.
BINARY: dict[str | Callable[..., str], dict[str, str]] = {
    promoted: {
        "Add": "+", "Subtract": "-", "Multiply": "*", "Mod": "%", "Power": "**",
        "BitwiseAnd": "&", "BitwiseOr": "|",
    },
    divided: {"Divide": "/", "TrueDivide": "/"},
    "bool": {
        "Equal": "==", "NotEqual": "!=", "Greater": ">", "GreaterEqual": ">=", "Less": "<",
        "LessEqual": "<=",
    },
}  # fmt: skip
for _dtype, _functions in BINARY.items():
    for _name, _function in _functions.items():
        rule(f"keras.ops.{_name}", wants=together, shape=broadcast_shape, dtype=_dtype, constants=True)(
            binary(_function)
        )

#: Functions of two tensors, which take no number of Python.
TENSORS: dict[str | Callable[..., str], dict[str, str]] = {
    "bool": {
        "LogicalAnd": "torch.logical_and", "LogicalOr": "torch.logical_or",
        "LogicalXor": "torch.logical_xor",
    },
    divided: {
        "Arctan2": "torch.atan2", "Logaddexp": "torch.logaddexp", "Hypot": "torch.hypot",
    },
}  # fmt: skip


def of_tensors(function: str) -> Callable[..., Expr]:
    """The rule of a function that takes tensors only."""

    def write(x1: Any, x2: Any, *, out: Value) -> Expr:
        if not isinstance(x1, Value) or not isinstance(x2, Value):
            raise Unsupported("of a tensor and a constant", "write it with two tensors")
        return call(function, operand(x1, out), operand(x2, out))

    write.__doc__ = f"{function}."
    return write


for _dtype, _functions in TENSORS.items():
    for _name, _function in _functions.items():
        rule(f"keras.ops.{_name}", wants=together, shape=broadcast_shape, dtype=_dtype)(of_tensors(_function))


def bounded(x1: Any, x2: Any, out: Value, function: str, side: str) -> Expr:
    """The larger or smaller of two; against a number it is a clamp."""
    tensor, other = (x1, x2) if isinstance(x1, Value) else (x2, x1)
    if isinstance(other, (int, float)):
        return call(".clamp", tensor, **{side: other})
    return call(function, operand(x1, out, "left"), operand(x2, out, "right"))


@rule("keras.ops.Maximum", wants=together, shape=broadcast_shape, dtype=promoted, constants=True)
def maximum(x1: Any, x2: Any, *, out: Value) -> Expr:
    """torch.maximum, or a clamp."""
    return bounded(x1, x2, out, "torch.maximum", "min")


@rule("keras.ops.Minimum", wants=together, shape=broadcast_shape, dtype=promoted, constants=True)
def minimum(x1: Any, x2: Any, *, out: Value) -> Expr:
    """torch.minimum, or a clamp."""
    return bounded(x1, x2, out, "torch.minimum", "max")


@rule("keras.ops.SquaredDifference", wants=together, shape=broadcast_shape, dtype=promoted, constants=True)
def squared_difference(x1: Any, x2: Any, *, out: Value) -> Expr:
    """(a - b)². An operation of tf."""
    return call(".square", Infix("-", operand(x1, out, "left"), operand(x2, out, "right")))


@rule("keras.ops.FloorDivide", wants=together, shape=broadcast_shape, dtype=promoted, constants=True)
def floor_divide(x1: Any, x2: Any, *, out: Value) -> Expr:
    """a // b; of fractions torch.floor of the quotient, since // has no gradient in torch."""
    left, right = operand(x1, out, "left"), operand(x2, out, "right")
    fractions = is_float(out.tensor.dtype)
    return call("torch.floor", Infix("/", left, right)) if fractions else Infix("//", left, right)


@rule("keras.ops.Where", wants=together, shape=broadcast_shape, dtype=chosen, constants=True)
def where(condition: Any, x1: Any, x2: Any, *, out: Value) -> Expr:
    """torch.where."""
    test = operand(condition, out, "condition")
    if not isinstance(condition, Value):
        raise Unsupported("the condition is a constant")
    if condition.tensor.dtype != "bool":
        test = call(".bool", test)
    return call("torch.where", test, operand(x1, out, "left"), operand(x2, out, "right"))


@rule("keras.ops.Clip")
def clip(x: Value, *, x_min: float, x_max: float) -> Expr:
    """x.clamp."""
    return call(".clamp", x, x_min, x_max)


@rule("keras.ops.Round", dtype=kept_float)
def round_(x: Value, *, decimals: int = 0) -> Expr:
    """torch.round: halves to even, as TensorFlow."""
    return call("torch.round", x, decimals=decimals or None)


@rule("keras.ops.Copy", "keras.ops.ConvertToTensor", ignores="sparse ragged")
def same(x: Value) -> Expr:
    """Nothing."""
    return x


def cast_dtype(x: Tensor, *, dtype: str) -> str:
    return dtype_of(dtype)


#: `dtype` is in every layer's config, where it changes nothing; here it is the whole point.
@rule("keras.ops.Cast", dtype=cast_dtype)
def cast(x: Value, *, dtype: str) -> Expr:
    """x.to(dtype)."""
    return as_dtype(x, x.tensor.dtype, dtype_of(dtype))


def like_dtype(x: Tensor, *, dtype: Any) -> str:
    return x.dtype if dtype is None else dtype_of(dtype)


@rule("keras.ops.OnesLike", dtype=like_dtype)
def ones_like(x: Value, *, dtype: Any = None) -> Expr:
    """torch.ones_like."""
    return as_dtype(call("torch.ones_like", x), x.tensor.dtype, like_dtype(x.tensor, dtype=dtype))


@rule("keras.ops.ZerosLike", dtype=like_dtype)
def zeros_like(x: Value, *, dtype: Any = None) -> Expr:
    """torch.zeros_like."""
    return as_dtype(call("torch.zeros_like", x), x.tensor.dtype, like_dtype(x.tensor, dtype=dtype))
