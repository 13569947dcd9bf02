"""Operations of `keras.ops` that work element by element, and the operators of Python on tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Code, Expr, Fill, Infix, Load, State, call, module
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


def kept_float(x: Any) -> str:
    """The dtype of a function that torch has for fractions only. Raises Unsupported for others."""
    if not is_float(x.dtype):
        raise Unsupported(f"of {x.dtype} values", "cast them to float32 first")
    return str(x.dtype)


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


def divided(*xs: Any) -> str:
    """The dtype of a division, which has fractions."""
    found = promoted(*xs)
    return found if is_float(found) else "float32"


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


def chosen(condition: Any, x1: Any, x2: Any) -> str:
    return promoted(x1, x2)


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


def dtype_of(dtype: Any) -> str:
    """The name of a dtype that both have."""
    name = str(dtype).removeprefix("<dtype: '").removesuffix("'>")
    if name not in (*FLOATS, *WHOLE):
        raise Unsupported(f"dtype={name!r} is not ported")
    return name


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
