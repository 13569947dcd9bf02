"""Kinds of numbers: what a dtype is, what an operation makes of it, and tensors as another."""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Tensor
from torchport.program import Code, Expr, Infix, call
from torchport.rules.table import Value

FLOATS = ("float16", "bfloat16", "float32", "float64")
#: Whole numbers from the narrowest on; what two of them make is as wide as both.
WHOLE = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")

CASTS = {
    "float64": ".double", "float16": ".half", "bfloat16": ".bfloat16", "int32": ".int", "int64": ".long",
    "bool": ".bool",
}  # fmt: skip


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


def is_complex(dtype: str) -> bool:
    return dtype.startswith("complex")


def dtype_of(dtype: Any) -> str:
    """The name of a dtype that both have."""
    name = str(dtype).removeprefix("<dtype: '").removesuffix("'>")
    if name not in (*FLOATS, *WHOLE, "complex64"):
        raise Unsupported(f"dtype={name!r} is not ported")
    return name


def float_dtype(x: Any) -> str:
    """The dtype of a function that has fractions: floats stay what they are."""
    kept = isinstance(x, Tensor) and (is_float(x.dtype) or is_complex(x.dtype))
    return x.dtype if kept else "float32"


def real_of(x: Tensor) -> str:
    """The dtype of a function that makes real numbers of complex ones."""
    return "float32" if is_complex(x.dtype) else x.dtype


def kept_float(x: Tensor, *others: Any) -> str:
    """The dtype of a function that torch has for fractions only. Raises Unsupported for others."""
    if not is_float(x.dtype):
        raise Unsupported(f"of {x.dtype} values", "cast them to float32 first")
    return x.dtype


def as_dtype(x: Expr, had: str, dtype: str) -> Expr:
    """`x` of another dtype. What Keras calls float32 is the model's own dtype."""
    if had == dtype:
        return x
    if is_complex(had):
        return as_dtype(call("torch.real", x), "float32", dtype)
    if is_complex(dtype):
        real = as_dtype(x, had, "float32")
        return call("torch.complex", real, call("torch.zeros_like", real))
    if dtype == "float32":
        return call(".to", x, call("torch.get_default_dtype"))
    return call(CASTS[dtype], x) if dtype in CASTS else call(".to", x, Code(f"torch.{dtype_of(dtype)}"))


def as_float(x: Value) -> Expr:
    """A tensor of `float_dtype`: whole numbers as floats of the model's own dtype."""
    return as_dtype(x, x.tensor.dtype, float_dtype(x.tensor))


def as_index(x: Value) -> Expr:
    """Numbers as torch looks up by: floats are cut towards zero, narrow whole numbers become wider."""
    dtype = x.tensor.dtype
    if dtype in ("int32", "int64"):
        return x
    return call(".long" if dtype in ("uint32", "uint64") else ".int", x)


def as_bool(x: Value) -> Expr:
    """A mask, of whatever dtype, as True and False; TorchScript has no Tensor.bool()."""
    return x if x.tensor.dtype == "bool" else Infix("!=", x, 0)


def whole(x: Value, what: str) -> Value:
    """Whole numbers. Refuses fractions, which TensorFlow rounds towards zero or rejects."""
    if x.tensor.dtype not in WHOLE:
        advice = "declare the input as int32: keras.Input(..., dtype='int32')"
        raise Unsupported(f"{what} of fractions", advice)
    return x
