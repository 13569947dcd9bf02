"""Operations of `keras.ops` that work element by element, and the operators of Python on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.arguments import plain, scaled
from torchport.rules.broadcast import check_bias
from torchport.rules.constants import shape_of
from torchport.rules.dtypes import WHOLE, as_float, float_dtype, is_complex, is_float, kept_float, real_of
from torchport.rules.operations.operands import (
    broadcast_shape,
    buffer,
    chosen,
    divided,
    operand,
    promoted,
    tensor,
    together,
)
from torchport.rules.table import FOLLOWS, SOURCE, Value, Wants, rule


def is_name(function: str) -> bool:
    return function[0].isalpha() or function[0] == "."


#: What a constant is to an operator: the name of its buffer.
ROLES = {"+": "offset", "-": "offset", "*": "scale", "/": "divisor", "**": "exponent"}


def role_of(function: str, x1: Any, x2: Any, out: Value) -> str:
    """What a constant operand is called; vectors for all places of a series are added for their positions."""
    shapes = [shape_of(it) for it in (x1, x2) if not isinstance(it, Value)]
    is_series = function == "+" and out.rank == 3
    for it in shapes if is_series else ():
        if len(it) > 1 and 1 not in it[-2:] and it[-2] != it[-1]:  # not a matrix of pairs
            return "positions"
    return ROLES.get(function, "constant")


def both(x1: Any, x2: Any, out: Value, role: str = "constant") -> tuple[Any, Any]:
    """Two operands, of which one may be a constant."""
    return operand(x1, out, role), operand(x2, out, role)


def bare(x: Any) -> Any:
    """A float of Python without its `.0`; anything else as it is."""
    return plain(x) if isinstance(x, float) else x


def binary(function: str) -> Callable[..., Expr]:
    """The rule of an operator of Python, or of a function or method of two tensors."""

    def write(x1: Any, x2: Any, *, out: Value, dialect: str = "") -> Expr:
        if function == "+" and not isinstance(x2, Value):
            check_bias(shape_of(x1), shape_of(x2), dialect)
        left, right = both(x1, x2, out, role_of(function, x1, x2, out))
        if function in ROLES and out.tensor.dtype != "bool":
            left, right = (
                call(".int", given) if isinstance(it, Value) and it.tensor.dtype == "bool" else given
                for it, given in ((x1, left), (x2, right))
            )
        if all(is_float(it.tensor.dtype) for it in (x1, x2) if isinstance(it, Value)):
            left, right = bare(left), bare(right)
            if function == "*" and isinstance(right, (int, float)):
                return scaled(left, right)
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
    float_dtype: {
        "Exp": "torch.exp", "Exp2": "torch.exp2", "Expm1": "torch.expm1", "Log": "torch.log",
        "Log2": "torch.log2", "Log10": "torch.log10", "Log1p": "torch.log1p", "Sqrt": "torch.sqrt",
        "Rsqrt": "torch.rsqrt", "Sin": "torch.sin", "Cos": "torch.cos", "Tan": "torch.tan",
        "Arcsin": "torch.asin", "Arccos": "torch.acos", "Arctan": "torch.atan", "Sinh": "torch.sinh",
        "Cosh": "torch.cosh", "Tanh": "torch.tanh", "Arcsinh": "torch.asinh", "Arccosh": "torch.acosh",
        "Arctanh": "torch.atanh", "Reciprocal": "torch.reciprocal", "Erf": "torch.erf",
        "Erfinv": "torch.erfinv", "Sigmoid": "torch.sigmoid", "Deg2rad": "torch.deg2rad",
        "Rad2deg": "torch.rad2deg", "Erfc": "torch.erfc", "Sinc": "torch.sinc", "I0": "torch.i0",
    },
    kept_float: {"Trunc": "torch.trunc", "Fabs": ".abs"},
    real_of: {"Angle": "torch.angle"},
    "": {
        "BitwiseInvert": "torch.bitwise_not", "BitwiseNot": "torch.bitwise_not",
        "Negative": "torch.neg", "Square": ".square", "StopGradient": ".detach",
    },
    "bool": {
        "Isnan": "torch.isnan", "Isinf": "torch.isinf", "Isfinite": "torch.isfinite",
        "LogicalNot": "torch.logical_not", "Isposinf": "torch.isposinf", "Isneginf": "torch.isneginf",
        "Isreal": "torch.isreal", "Signbit": "torch.signbit",
    },
}  # fmt: skip
for _dtype, _functions in UNARY.items():
    for _name, _function in _functions.items():
        rule(f"keras.ops.{_name}", dtype=_dtype)(unary(_function))

#: Operators of Python and functions of two tensors, by the dtype of their result.
BINARY: dict[str | Callable[..., str], dict[str, str]] = {
    promoted: {
        "Add": "+", "Subtract": "-", "Multiply": "*", "Mod": "%", "Power": "**",
        "BitwiseAnd": "&", "BitwiseOr": "|", "BitwiseXor": "torch.bitwise_xor",
        "BitwiseLeftShift": "torch.bitwise_left_shift", "LeftShift": "torch.bitwise_left_shift",
        "BitwiseRightShift": "torch.bitwise_right_shift", "RightShift": "torch.bitwise_right_shift",
    },
    "bool": {
        "Equal": "==", "NotEqual": "!=", "Greater": ">", "GreaterEqual": ">=", "Less": "<",
        "LessEqual": "<=",
    },
}  # fmt: skip
#: What people call what they give.
RESULTS = {"Add": "total", "Subtract": "difference", "Multiply": "product"}
for _dtype, _functions in BINARY.items():
    for _name, _function in _functions.items():
        rule(
            f"keras.ops.{_name}", wants=together, shape=broadcast_shape, dtype=_dtype, constants=True,
            value=RESULTS.get(_name, ""),
        )(binary(_function))  # fmt: skip


@rule(
    "keras.ops.Divide", "keras.ops.TrueDivide", wants=together, shape=broadcast_shape, dtype=divided,
    constants=True, value="ratio",
)  # fmt: skip
def divide(x1: Any, x2: Any, *, out: Value, dialect: str = "") -> Expr:
    """a / b; whole numbers of TensorFlow's own as float64."""
    tensors = [it for it in (x1, x2) if isinstance(it, Value)]
    if out.tensor.dtype != "float64" or any(is_float(it.tensor.dtype) for it in tensors):
        return binary("/")(x1, x2, out=out)
    left, right = both(x1, x2, out, "divisor")
    if isinstance(x1, Value):
        return Infix("/", call(".double", left), right)
    return Infix("/", left, call(".double", right))


def rounded(mode: str) -> Callable[..., Expr]:
    """The rule of a division whose whole numbers are rounded."""

    def write(x1: Any, x2: Any, *, out: Value) -> Expr:
        left, right = both(x1, x2, out, "divisor")
        if is_float(out.tensor.dtype) or is_complex(out.tensor.dtype):
            return Infix("/", bare(left), bare(right))
        if not isinstance(x1, Value):
            left = call(".new_tensor", x2, left)
        return call("torch.div", left, right, rounding_mode=mode)

    write.__doc__ = f"a / b; torch.div of whole numbers with rounding_mode={mode!r}."
    return write


for _name, _mode in (("tf.div", "floor"), ("tf.raw_ops.Div", "trunc")):
    rule(_name, wants=together, shape=broadcast_shape, dtype=promoted, constants=True)(rounded(_mode))


@rule("tf.truncatediv", wants=together, shape=broadcast_shape, dtype=promoted, constants=True)
def truncated(x1: Any, x2: Any, *, out: Value) -> Expr:
    """torch.div with rounding_mode='trunc', of fractions too."""
    left, right = both(x1, x2, out, "divisor")
    left = left if isinstance(x1, Value) else call(".new_tensor", x2, left)
    return call("torch.div", left, right, rounding_mode="trunc")


#: Functions of two tensors, which take no number of Python.
TENSORS: dict[str | Callable[..., str], dict[str, str]] = {
    "bool": {
        "LogicalAnd": "torch.logical_and", "LogicalOr": "torch.logical_or",
        "LogicalXor": "torch.logical_xor",
    },
    divided: {
        "Arctan2": "torch.atan2", "Logaddexp": "torch.logaddexp", "Hypot": "torch.hypot",
        "Logaddexp2": "torch.logaddexp2", "Nextafter": "torch.nextafter", "DivideNoNan": "divide_no_nan",
    },
    promoted: {
        "Fmax": "torch.fmax", "Fmin": "torch.fmin", "Fmod": "torch.fmod", "Gcd": "torch.gcd",
        "Lcm": "torch.lcm",
    },
}  # fmt: skip


def of_tensors(function: str) -> Callable[..., Expr]:
    """The rule of a function that takes tensors only."""

    def write(x1: Any, x2: Any, *, out: Value) -> Expr:
        like = x1 if isinstance(x1, Value) else x2
        return call(function, tensor(x1, out, like), tensor(x2, out, like))

    write.__doc__ = f"{function}."
    return write


for _dtype, _functions in TENSORS.items():
    for _name, _function in _functions.items():
        rule(f"keras.ops.{_name}", wants=together, shape=broadcast_shape, dtype=_dtype, constants=True)(
            of_tensors(_function)
        )


def closeness(x1: Any, x2: Any, out: Value, rtol: float, atol: float, equal_nan: bool) -> Expr:
    if not (isinstance(x1, Value) and isinstance(x2, Value)):
        raise Unsupported("of a tensor and a constant", "write it with two tensors")
    tolerances = (rtol, atol) if (rtol, atol) != (1e-5, 1e-8) else ()
    return call("torch.isclose", operand(x1, out), operand(x2, out), *tolerances, equal_nan=equal_nan or None)


def compared(x1: Any, x2: Any, *tolerances: float) -> Shape:
    return broadcast_shape(x1, x2)


@rule("keras.ops.Isclose", wants=SOURCE, shape=compared, dtype="bool")
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, *, out: Value, equal_nan: bool = False
) -> Expr:
    """torch.isclose."""
    return closeness(x1, x2, out, rtol, atol, equal_nan)


def scalar(*xs: Any) -> Shape:
    return ()


@rule("keras.ops.AllClose", wants=SOURCE, shape=scalar, dtype="bool")
def allclose(x1: Any, x2: Any, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Expr:
    """torch.isclose of all."""
    if not isinstance(x1, Value) or x1.shape != shape_of(x2):
        raise Unsupported("of tensors of different shapes", "broadcast one first")
    return call(".all", closeness(x1, x2, x1, rtol, atol, equal_nan))


def bounded(x1: Any, x2: Any, out: Value, function: str, side: str) -> Expr:
    """The larger or smaller of two; against a number it is a clamp."""
    tensor, other = (x1, x2) if isinstance(x1, Value) else (x2, x1)
    if isinstance(other, (int, float)):
        return call(".clamp", tensor, **{side: other})
    return call(function, *both(x1, x2, out, "bound"))


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
    if is_complex(out.tensor.dtype):  # TensorFlow takes a conjugate
        raise Unsupported("of complex values", "take their real and imaginary parts apart")
    return call(".square", Infix("-", *both(x1, x2, out, "offset")))


@rule("keras.ops.FloorDivide", wants=together, shape=broadcast_shape, dtype=promoted, constants=True)
def floor_divide(x1: Any, x2: Any, *, out: Value) -> Expr:
    """a // b; of fractions torch.floor of the quotient, since // has no gradient in torch."""
    left, right = both(x1, x2, out, "divisor")
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
    return call("torch.where", test, operand(x1, out, "chosen"), operand(x2, out, "otherwise"))


def chosen_shape(condition: Any, x1: Any, x2: Any) -> Shape:
    shapes = list(map(shape_of, (condition, x1, x2)))
    if len(shapes[0]) == 1 < len(shapes[1]):
        return shapes[1]
    return broadcast_shape(condition, x1, x2)


@rule("tf.compat.v1.where", wants=SOURCE, shape=chosen_shape, dtype=chosen)
def where_rows(condition: Value, x1: Any, x2: Any, *, out: Value) -> Expr:
    """torch.where; a condition of one axis chooses rows, and does not broadcast from the last axis."""
    behind = out.rank - condition.rank if condition.rank == 1 else 0
    test = condition[(slice(None), *(None,) * behind)] if behind else condition
    return call("torch.where", test, operand(x1, out, "chosen"), operand(x2, out, "otherwise"))


def selected_shape(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Shape:
    return broadcast_shape(*conditions, *choices, default)


def selected_dtype(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> str:
    return promoted(*choices, default)


@rule("keras.ops.Select", wants=SOURCE, shape=selected_shape, dtype=selected_dtype)
def select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0, *, out: Value) -> Expr:
    """torch.where in torch.where: the first condition that holds counts."""
    result = operand(default, out, "default")
    for at, (test, choice) in reversed(list(enumerate(zip(conditions, choices, strict=True)))):
        result = call("torch.where", operand(test, out), operand(choice, out, f"choice{at}"), result)
    return result  # type: ignore[no-any-return]


@rule("keras.ops.Heaviside", wants=together, shape=broadcast_shape, dtype=divided, constants=True)
def heaviside(x1: Any, x2: Any, *, out: Value) -> Expr:
    """0 below zero, 1 above it, x2 at it; torch.heaviside has no gradient."""
    x, at_zero = both(x1, x2, out, "at_zero")
    above = call("torch.where", Infix(">", x, 0), 1.0, at_zero)
    return call("torch.where", Infix("<", x, 0), 0.0, above)


@rule("keras.ops.Ldexp", wants=together, shape=broadcast_shape, dtype=divided)
def ldexp(x1: Value, x2: Value, *, out: Value) -> Expr:
    """x * 2.0 ** y: torch.ldexp has a wrong gradient where y is a whole number below zero."""
    return Infix("*", operand(x1, out), Infix("**", 2.0, operand(x2, out)))


@rule("keras.ops.Absolute", "keras.ops.Abs", dtype=real_of)
def absolute(x: Value) -> Expr:
    """.abs; True and False are their own."""
    return x if x.tensor.dtype == "bool" else call(".abs", x)


def rounding(function: str) -> Callable[..., Expr]:
    """The rule of a function that rounds; whole numbers become fractions, as in Keras."""

    def write(x: Value) -> Expr:
        return as_float(x) if x.tensor.dtype in WHOLE else call(function, x)

    write.__doc__ = f"{function}."
    return write


rule("keras.ops.Floor", dtype=float_dtype)(rounding("torch.floor"))
rule("keras.ops.Ceil", dtype=float_dtype)(rounding("torch.ceil"))


@rule("keras.ops.Sign")
def sign(x: Value) -> Expr:
    """torch.sign; a helper keeps NaN, which torch takes for 0."""
    if is_complex(x.tensor.dtype):
        raise Unsupported("of complex values", "divide by tf.abs")
    return call("sign" if is_float(x.tensor.dtype) else "torch.sign", x)


@rule("keras.ops.Cbrt", dtype=kept_float)
def cbrt(x: Value) -> Expr:
    """The sign, times the size to the power of 1 / 3."""
    return call(".sign", x) * Infix("**", call(".abs", x), Infix("/", 1, 3))


@rule("keras.ops.NanToNum", dtype=kept_float)
def nan_to_num(
    x: Value, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Expr:
    """torch.nan_to_num."""
    return call("torch.nan_to_num", x, nan=nan or None, posinf=posinf, neginf=neginf)


@rule("keras.ops.Clip")
def clip(x: Value, *, x_min: float | Value, x_max: float | Value) -> Expr:
    """x.clamp. Of fractions between whole numbers; an end may be a tensor."""
    plainly = is_float(x.tensor.dtype)
    ends = [plain(it) if plainly and isinstance(it, (int, float)) else it for it in (x_min, x_max)]
    return call(".clamp", x, *ends)


@rule("keras.ops.Round")
def round_(x: Value, *, decimals: int = 0) -> Expr:
    """torch.round: halves to even, as TensorFlow. Whole numbers are round."""
    if x.tensor.dtype in WHOLE and decimals >= 0:
        return x
    return call("torch.round", x, decimals=decimals or None)


@rule("keras.ops.Size", wants=SOURCE, shape=scalar, dtype="int32")
def size(x: Value) -> Expr:
    """How many values there are, as a tensor."""
    return call("torch.tensor", call(".numel", x))


def isin_shape(x1: Any, x2: Any) -> Shape:
    return shape_of(x1)


@rule("keras.ops.IsIn", wants=SOURCE, shape=isin_shape, dtype="bool", ignores="assume_unique")
def isin(x1: Any, x2: Any, *, invert: bool = False) -> Expr:
    """torch.isin."""
    if not isinstance(x1, Value):
        raise Unsupported("of a constant", "give it a tensor")
    return call("torch.isin", x1, buffer(x2, "elements"), invert=invert or None)


def is_first(data_format: Any) -> bool:
    return str(data_format or "").startswith("NC")


def biased_wants(x: Tensor, bias: Any, *, data_format: Any) -> Wants:
    return SOURCE if is_first(data_format) else FOLLOWS


def biased_shape(x: Tensor, bias: Any) -> Shape:
    return x.shape


@rule("tf.bias_add", wants=biased_wants, shape=biased_shape, constants=True)
def bias_add(x: Value, bias: Any, *, data_format: Any = None) -> Expr:
    """x + bias, along the last axis or, in NCHW, the second."""
    if not is_first(data_format) or x.rank < 3:
        return Infix("+", x, operand(bias, x, "bias"))
    return Infix("+", x, buffer(bias, "bias")[(slice(None), *(None,) * (x.rank - 2))])
