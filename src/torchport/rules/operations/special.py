"""Functions of TensorFlow's own that are special in mathematics, or that leave NaN out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.dtypes import kept_float
from torchport.rules.operations.elementwise import of_tensors
from torchport.rules.operations.operands import broadcast_shape, operand, promoted, together
from torchport.rules.table import MEMORY, SOURCE, Value, Wants, rule

#: Functions of one tensor that torch has.
UNARY = {
    "lgamma": "torch.lgamma", "digamma": "torch.digamma", "bessel_i0e": "torch.special.i0e",
    "bessel_i1": "torch.special.i1", "bessel_i1e": "torch.special.i1e", "ndtri": "torch.special.ndtri",
}  # fmt: skip


def unary(function: str) -> Callable[..., Expr]:
    def write(x: Value) -> Expr:
        return call(function, x)

    write.__doc__ = f"{function}."
    return write


for _name, _function in UNARY.items():
    rule(f"tf.{_name}", dtype=kept_float)(unary(_function))

# The kernel gives zeros of whole numbers; tf.round does not call it for them.
rule("tf.raw_ops.Round", dtype=kept_float)(unary("torch.round"))

#: Functions of two tensors.
BINARY = {
    "xlogy": "torch.xlogy", "xlog1py": "torch.special.xlog1py", "xdivy": "xdivy",
    "multiply_no_nan": "multiply_no_nan",
}  # fmt: skip
for _name, _function in BINARY.items():
    rule(f"tf.{_name}", wants=together, shape=broadcast_shape, dtype=promoted, constants=True)(
        of_tensors(_function)
    )


@rule("tf.erfcinv", dtype=kept_float)
def erfcinv(x: Value) -> Expr:
    """torch.special.ndtri of a half, scaled. Source: tensorflow/python/ops/math_ops.py, erfcinv."""
    return call("torch.special.ndtri", x / 2) * -(math.sqrt(0.5))


@rule("tf.reciprocal_no_nan", dtype=kept_float)
def reciprocal_no_nan(x: Value) -> Expr:
    """1 / x, and 0 where x is 0."""
    return call("divide_no_nan", call("torch.ones_like", x), x)


@rule("tf.polygamma", shape=lambda a, x: x.shape, dtype=lambda a, x: x.dtype)
def polygamma(a: Any, x: Value) -> Expr:
    """torch.polygamma of a whole order."""
    if not isinstance(a, (int, float)) or not float(a).is_integer() or not isinstance(x, Value):
        raise Unsupported("of an order that is a tensor, or no whole number", "give it as a number")
    return call("torch.polygamma", int(a), x)


def gammas(function: str) -> Callable[..., Expr]:
    """The rule of an incomplete gamma function, of which torch has no gradient along its first argument."""

    def write(a: Any, x: Value) -> Expr:
        if isinstance(a, Value) or not isinstance(x, Value):
            raise Unsupported("torch has no gradient along its first argument", "give that as a number")
        return call(function, call("torch.full_like", x, a), x)

    write.__doc__ = f"{function}, with a number before the tensor."
    return write


for _name, _function in (("igamma", "torch.special.gammainc"), ("igammac", "torch.special.gammaincc")):
    rule(f"tf.{_name}", shape=lambda a, x: x.shape, dtype=lambda a, x: x.dtype)(gammas(_function))


def zeta_shape(x: Any, q: Any) -> Shape:
    if not isinstance(x, (int, float)):
        raise Unsupported("torch has no gradient along its first argument", "give that as a number")
    return broadcast_shape(x, q)


@rule("tf.zeta", shape=zeta_shape, dtype=lambda x, q: q.dtype)
def zeta(x: Any, q: Value) -> Expr:
    """torch.special.zeta."""
    return call("torch.special.zeta", x, q)


def rows(x: Tensor) -> Shape:
    return x.shape[:-1]


@rule("tf.lbeta", wants=SOURCE, shape=rows, dtype=kept_float)
def lbeta(x: Value) -> Expr:
    """The sum of torch.lgamma less that of the sum."""
    return call(".sum", call("torch.lgamma", x), -1) - call("torch.lgamma", call(".sum", x, -1))


def polynomial_shape(coefficients: Sequence[Any], x: Tensor) -> Shape:
    return broadcast_shape(*coefficients, x)


def polynomial_dtype(coefficients: Sequence[Any], x: Tensor) -> str:
    return x.dtype


def polynomial_wants(coefficients: Sequence[Any], x: Tensor, *, out: Tensor) -> Wants:
    return together(*coefficients, x, out=out)


@rule("tf.polyval", wants=polynomial_wants, shape=polynomial_shape, dtype=polynomial_dtype)
def polyval(coefficients: Sequence[Any], x: Value, *, out: Value) -> Expr:
    """(a * x + b) * x + c: Horner's scheme."""
    if len(coefficients) < 2:
        raise Unsupported("of less than two coefficients", "write the number itself")
    first, *others = (operand(it, out, f"coefficient{at}") for at, it in enumerate(coefficients))
    result, times = first, operand(x, out)
    for it in others:
        result = Infix("+", Infix("*", result, times), it)
    return result  # type: ignore[no-any-return]


def no_axes(x: Tensor) -> Shape:
    return ()


def in_memory(x: Tensor) -> Wants:
    return MEMORY


for _name, _sign in (("is_non_decreasing", ">="), ("is_strictly_increasing", ">")):

    def increases(x: Value, _sign: str = _sign) -> Expr:
        """torch.diff of all values, compared with 0."""
        return call(".all", Infix(_sign, call(".diff", call("torch.flatten", x)), 0))

    rule(f"tf.{_name}", wants=in_memory, shape=no_axes, dtype="bool")(increases)


@rule("tf.zero_fraction", shape=no_axes, dtype="float32")
def zero_fraction(x: Value) -> Expr:
    """The share of zeros."""
    return call(".mean", call(".to", Infix("==", x, 0), call("torch.get_default_dtype")))
