"""Operations that change the kind of numbers: casts, complex numbers; and tensors like another."""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.dtypes import as_dtype, dtype_of, is_complex, real_of
from torchport.rules.operations.operands import broadcast_shape
from torchport.rules.table import SOURCE, Value, rule


@rule("keras.ops.Conjugate")
def conjugate(x: Value) -> Expr:
    """torch.conj_physical; a real number is its own."""
    return call("torch.conj_physical", x) if is_complex(x.tensor.dtype) else x


@rule("keras.ops.Real", dtype=real_of)
def real(x: Value) -> Expr:
    """torch.real; a real number is its own."""
    return call("torch.real", x) if is_complex(x.tensor.dtype) else x


@rule("keras.ops.Imag", dtype=real_of)
def imag(x: Value) -> Expr:
    """torch.imag; zeros of real numbers."""
    return call("torch.imag" if is_complex(x.tensor.dtype) else "torch.zeros_like", x)


def parts_shape(x: Tensor) -> Shape:
    return (*x.shape, 2)


@rule("keras.ops.ViewAsReal", wants=SOURCE, shape=parts_shape, dtype="float32")
def view_as_real(x: Value) -> Expr:
    """torch.view_as_real."""
    return call("torch.view_as_real", x)


@rule("keras.ops.Polar", wants=SOURCE, shape=broadcast_shape, dtype="complex64")
def polar(size: Value, angle: Value) -> Expr:
    """torch.complex of both parts; torch.polar has another gradient where the size is below zero."""
    return call("torch.complex", size * call("torch.cos", angle), size * call("torch.sin", angle))


def complex_dtype(x: Any, y: Any) -> str:
    return "complex64"


@rule("tf.complex", wants=SOURCE, shape=broadcast_shape, dtype=complex_dtype)
def complex_(x: Value, y: Value) -> Expr:
    """torch.complex."""
    return call("torch.complex", x, y)


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


#: Whole numbers that every float holds: the range of each.
RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}


@rule("keras.ops.SaturateCast", dtype=cast_dtype)
def saturate_cast(x: Value, *, dtype: str) -> Expr:
    """A clamp, then x.to(dtype)."""
    name = dtype_of(dtype)
    if name not in RANGES or is_complex(x.tensor.dtype):
        raise Unsupported(f"of {x.tensor.dtype} to {name}", "a result of 8 and 16 bits is ported")
    return as_dtype(call(".clamp", x, *RANGES[name]), x.tensor.dtype, name)


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


def filled_dtype(x: Tensor, value: Any, *, dtype: Any) -> str:
    return like_dtype(x, dtype=dtype)


def same_shape(x: Tensor, *others: Any) -> Shape:
    return x.shape


@rule("keras.ops.FullLike", shape=same_shape, dtype=filled_dtype)
def full_like(x: Value, value: Any, *, dtype: Any = None) -> Expr:
    """torch.full_like."""
    if not isinstance(value, (int, float)):
        raise Unsupported("with more than a number", "keras.ops.broadcast_to is ported")
    return as_dtype(call("torch.full_like", x, value), x.tensor.dtype, like_dtype(x.tensor, dtype=dtype))
