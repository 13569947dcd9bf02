"""Operations of `keras.ops` that work element by element, and the operators of Python on tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Fill, Infix, Load, State, call, module
from torchport.rules.broadcast import along, nested, parameter
from torchport.rules.norm import size_of
from torchport.rules.table import FOLLOWS, SOURCE, Value, Wants, rule

FLOATS = ("float16", "bfloat16", "float32", "float64")
#: Whole numbers from the narrowest on; what two of them make is as wide as both.
WHOLE = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


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


def promoted(*xs: Any) -> str:
    """The dtype of several operands together. Source: keras/src/backend/common/dtypes.py, result_type."""
    found = [x.dtype if isinstance(x, Tensor) else saved_dtype(x) for x in xs]
    weak = [type(x).__name__ for x, dtype in zip(xs, found, strict=True) if not dtype]
    strong = [dtype for dtype in found if dtype]
    floats = [dtype for dtype in strong if is_float(dtype)]
    if floats:
        return "float32" if {"float16", "bfloat16"} <= set(floats) else max(floats, key=FLOATS.index)
    if "float" in weak:
        return "float32"
    widest = max(strong, key=WHOLE.index, default="int32")
    return "int32" if widest == "bool" and "int" in weak else widest


def as_float(x: Any) -> str:
    """The dtype of a function that has fractions: floats stay what they are."""
    return x.dtype if isinstance(x, Tensor) and is_float(x.dtype) else "float32"


def together(*xs: Any, out: Tensor) -> Wants:
    """Free; but a tensor with fewer axes than the result has them in the source's order."""
    ranks = [len(x.shape) for x in xs if isinstance(x, Tensor)]
    return SOURCE if any(1 < rank < len(out.shape) for rank in ranks) else FOLLOWS


def operand(x: Any, out: Value, role: str = "constant") -> Any:
    """A tensor or a constant, laid to broadcast against the result."""
    if not isinstance(x, Value):
        value = numbers(x)
        return value if not isinstance(value, Sequence) else constant(value, saved_dtype(x), out, role)
    if x.rank != 1 or out.rank < 3 or out.dim(-1) == out.rank - 1:
        return x
    return x[(slice(None), *(None for _ in range(out.dim(-1) + 1, out.rank)))]


def constant(value: Any, dtype: str, out: Value, role: str) -> Expr:
    """A buffer; a few fractions that float32 cannot hold are written where they are used."""
    import numpy as np

    array = np.asarray(value, dtype)
    axes = list(range(out.rank - array.ndim, out.rank))
    if is_float(dtype) and array.size <= 64 and not np.array_equal(array, array.astype("float32")):
        if array.ndim > 1 and out.dim(-1) != out.rank - 1:
            raise Unsupported("a constant of several axes that float32 cannot hold")
        made = call(".new_tensor", out_like(out), array.tolist())
        return made
    load = Load.of(
        role, along(out, axes), (axes.index(1), out.regroup) if out.rank == 2 and 1 in axes else (0, ())
    )
    array = load.turn.apply(array)
    return State(role, Fill(nested(array.tolist()), array.shape, dtype), array.shape, trainable=False)


def out_like(out: Value) -> Value:
    return out


def binary(symbol: str) -> Callable[..., Expr]:
    """The rule of an operator of Python, or of a function of two tensors."""

    def write(x1: Any, x2: Any, *, out: Value) -> Expr:
        left, right = operand(x1, out, "left"), operand(x2, out, "right")
        if symbol[0].isalpha() or symbol[0] == ".":
            return call(symbol, left, right)
        return Infix(symbol, left, right)

    write.__doc__ = f"{symbol}."
    return write


OPERATORS = {"Add": "+", "Subtract": "-", "Multiply": "*"}
for _name, _symbol in OPERATORS.items():
    rule(f"keras.ops.{_name}", wants=together, shape=broadcast_shape)(binary(_symbol))


def scale_weights(x: Tensor) -> Mapping[str, Shape]:
    return {"gamma": (size_of(x, len(x.shape) - 1),)}


@rule("LayerScale", weights=scale_weights, ignores="init_values projection_dim")
def layer_scale(x: Value) -> Expr:
    """x * gamma, one for each channel. A layer of keras.applications.convnext."""
    return x * parameter(x, "gamma", [x.rank - 1], [size_of(x, x.rank - 1)])


@rule("StochasticDepth")
def stochastic_depth(x: Value, *, drop_path_rate: float) -> Expr:
    """A module of a few lines: drops whole samples. A layer of keras.applications.convnext."""
    return module("StochasticDepth", drop_path_rate, loads={})(x)


def first_shape(xs: Sequence[Tensor]) -> Shape:
    return xs[0].shape


@rule("CustomScaleLayer", shape=first_shape)
def scaled_sum(xs: Sequence[Value], *, scale: float) -> Expr:
    """x + y * scale. A layer of keras.applications.inception_resnet_v2."""
    return xs[0] + xs[1] * scale
