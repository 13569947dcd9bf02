"""Operands of operations: tensors and constants, and the dtype and shape that several have together."""

from __future__ import annotations

from typing import Any

from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import call
from torchport.rules.broadcast import constant
from torchport.rules.constants import fixed, numbers, saved_dtype, shape_of
from torchport.rules.dtypes import FLOATS, WHOLE, is_complex, is_float
from torchport.rules.sizes import broadcast
from torchport.rules.table import FOLLOWS, SOURCE, Value, Wants


def promoted(*xs: Any) -> str:
    """The dtype of several operands together. Source: keras/src/backend/common/dtypes.py, result_type."""
    found = [x.dtype if isinstance(x, Tensor) else saved_dtype(x) for x in xs]
    weak = [type(x).__name__ for x, dtype in zip(xs, found, strict=True) if not dtype]
    strong = [dtype for dtype in found if dtype]
    if any(map(is_complex, strong)):
        return "complex64"
    floats = [dtype for dtype in strong if is_float(dtype)]
    if floats:
        return "float32" if {"float16", "bfloat16"} <= set(floats) else max(floats, key=FLOATS.index)
    if "float" in weak:
        return "float32"
    widest = max(strong, key=WHOLE.index, default="int32")
    return "int32" if widest == "bool" and "int" in weak else widest


def divided(*xs: Any, dialect: str = "") -> str:
    """The dtype of a division, which has fractions: of TensorFlow's own, of wide whole numbers float64.

    Source: tensorflow/python/ops/math_ops.py, _TRUEDIV_TABLE.
    """
    found = promoted(*xs)
    if is_float(found) or is_complex(found):
        return found
    return "float64" if is_keras_2(dialect) and found in ("int32", "int64", "uint32", "uint64") else "float32"


def chosen(condition: Any, x1: Any, x2: Any) -> str:
    return promoted(x1, x2)


def broadcast_shape(*xs: Any) -> Shape:
    return broadcast(*map(shape_of, xs))


def together(*xs: Any, out: Tensor) -> Wants:
    """Free; but a tensor with fewer axes than the result has them in the source's order."""
    ranks = [len(x.shape) for x in xs if isinstance(x, Tensor)]
    return SOURCE if any(1 < rank < len(out.shape) for rank in ranks) else FOLLOWS


def operand(x: Any, out: Value, role: str = "constant") -> Any:
    """A tensor or a constant, laid to broadcast against the result."""
    if not isinstance(x, Value):
        value, rank = numbers(x), len(shape_of(x))
        if rank:
            return constant(out, role, value, range(out.rank - rank, out.rank), saved_dtype(x))
        return value
    after = out.rank - 1 - out.dim(-1) if out.rank else 0
    if x.rank != 1 or not after:
        return x
    return x[(slice(None), *(None for _ in range(after)))]


def tensor(x: Any, out: Value, like: Any) -> Any:
    """As `operand`, for a function that takes no numbers of Python: a number as a tensor like `like`."""
    found = operand(x, out)
    return call(".new_tensor", like, found) if isinstance(found, (bool, int, float)) else found


def buffer(x: Any, role: str, dtype: str = "") -> Any:
    """A tensor, or a constant as a buffer in the source's order: what does not broadcast."""
    if isinstance(x, Value):
        return x
    return fixed(role, numbers(x), dtype or saved_dtype(x) or ("int32" if isinstance(x, int) else "float32"))
