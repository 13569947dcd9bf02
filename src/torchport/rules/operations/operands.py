"""Operands of operations: constants, dtypes, and how several are broadcast together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Code, Expr, Fill, Load, State, call
from torchport.rules.broadcast import along, nested
from torchport.rules.table import FOLLOWS, SOURCE, Value, Wants

FLOATS = ("float16", "bfloat16", "float32", "float64")
#: Whole numbers from the narrowest on; what two of them make is as wide as both.
WHOLE = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


def is_complex(dtype: str) -> bool:
    return dtype.startswith("complex")


def numbers(value: Any) -> Any:
    """A constant operand: a number, or the nested lists that a numpy array or a tensor was saved as."""
    if isinstance(value, Mapping):
        if value.get("class_name") not in ("__numpy__", "__tensor__"):
            raise Unsupported(f"{value.get('class_name')!r} is not a constant")
        return value["config"]["value"]
    return value


def saved_dtype(value: Any) -> str:
    """The dtype of a constant operand; "" for a number of Python, which takes that of the tensor."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        return str(value["config"].get("dtype", "float32"))
    if isinstance(value, Sequence) and not isinstance(value, str):
        flat = value
        while isinstance(flat[0], Sequence):
            flat = flat[0]
        return {"bool": "bool", "int": "int32"}.get(type(flat[0]).__name__, "float32")
    return ""


def dtype_of(dtype: Any) -> str:
    """The name of a dtype that both have."""
    name = str(dtype).removeprefix("<dtype: '").removesuffix("'>")
    if name not in (*FLOATS, *WHOLE):
        raise Unsupported(f"dtype={name!r} is not ported")
    return name


CASTS = {
    "float64": ".double", "float16": ".half", "bfloat16": ".bfloat16", "int32": ".int", "int64": ".long",
    "bool": ".bool",
}  # fmt: skip


def as_dtype(x: Expr, had: str, dtype: str) -> Expr:
    """`x` of another dtype. What Keras calls float32 is the model's own dtype."""
    if had == dtype:
        return x
    if dtype == "float32":
        return call(".to", x, call("torch.get_default_dtype"))
    return call(CASTS[dtype], x) if dtype in CASTS else call(".to", x, Code(f"torch.{dtype_of(dtype)}"))


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


def divided(*xs: Any) -> str:
    """The dtype of a division, which has fractions."""
    found = promoted(*xs)
    return found if is_float(found) or is_complex(found) else "float32"


def chosen(condition: Any, x1: Any, x2: Any) -> str:
    return promoted(x1, x2)


def as_float(x: Any) -> str:
    """The dtype of a function that has fractions: floats stay what they are."""
    kept = isinstance(x, Tensor) and (is_float(x.dtype) or is_complex(x.dtype))
    return x.dtype if kept else "float32"


def real_of(x: Tensor) -> str:
    """The dtype of a function that makes real numbers of complex ones."""
    return "float32" if is_complex(x.dtype) else x.dtype


def kept_float(x: Any, *others: Any) -> str:
    """The dtype of a function that torch has for fractions only. Raises Unsupported for others."""
    if not is_float(x.dtype):
        raise Unsupported(f"of {x.dtype} values", "cast them to float32 first")
    return str(x.dtype)


def shape_of(value: Any) -> Shape:
    """The shape of an operand, a tensor or a constant."""
    if isinstance(value, (Tensor, Value)):
        return value.shape
    value, sizes = numbers(value), []
    while isinstance(value, Sequence):
        sizes.append(len(value))
        value = value[0] if value else 0
    return tuple(sizes)


def broadcast(*shapes: Shape) -> Shape:
    """The shape of several together, aligned from the last axis as numpy does."""
    rank = max(map(len, shapes), default=0)
    sizes: list[int | None] = []
    for column in zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        known = {size for size in column if size not in (None, 1)}
        if len(known) > 1:
            raise Unsupported(f"sizes {sorted(known)} do not fit each other")
        sizes.append(known.pop() if known else (None if None in column else 1))
    return tuple(sizes)


def broadcast_shape(*xs: Any) -> Shape:
    return broadcast(*map(shape_of, xs))


def together(*xs: Any, out: Tensor) -> Wants:
    """Free; but a tensor with fewer axes than the result has them in the source's order."""
    ranks = [len(x.shape) for x in xs if isinstance(x, Tensor)]
    return SOURCE if any(1 < rank < len(out.shape) for rank in ranks) else FOLLOWS


def operand(x: Any, out: Value, role: str = "constant") -> Any:
    """A tensor or a constant, laid to broadcast against the result."""
    if not isinstance(x, Value):
        value = numbers(x)
        return constant(value, saved_dtype(x), out, role) if isinstance(value, Sequence) else value
    after = out.rank - 1 - out.dim(-1) if out.rank else 0
    if x.rank != 1 or not after:
        return x
    return x[(slice(None), *(None for _ in range(after)))]


def constant(value: Any, dtype: str, out: Value, role: str) -> Expr:
    """A buffer. Raises Unsupported for fractions that float32 cannot hold."""
    import numpy as np

    array = np.asarray(value, dtype)
    if is_float(dtype) and not np.array_equal(array, array.astype("float32")):
        array = array.astype("float32")
    axes = list(range(out.rank - array.ndim, out.rank))
    flat = out.rank == 2 and 1 in axes and out.shape[1] == array.shape[-1]
    turn = Load.of(role, along(out, axes), (axes.index(1) if flat else 0, out.regroup if flat else ())).turn
    array = turn.apply(array)
    kind = "float32" if is_float(dtype) else dtype
    return State(role, Fill(nested(array.tolist()), array.shape, kind), array.shape, trainable=False)


def buffer(x: Any, role: str, dtype: str = "") -> Any:
    """A tensor, or a constant as a buffer in the source's order: what does not broadcast."""
    import numpy as np

    if isinstance(x, Value):
        return x
    kind = dtype or saved_dtype(x) or ("int32" if isinstance(x, int) else "float32")
    array = np.asarray(numbers(x), kind)
    if is_float(kind):
        array, kind = array.astype("float32"), "float32"
    return State(role, Fill(nested(array.tolist()), array.shape, kind), array.shape, trainable=False)
