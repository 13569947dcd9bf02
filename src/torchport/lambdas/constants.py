"""What Python does with constants, for as long as they stay small."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from torchport.errors import Unsupported
from torchport.lambdas.values import CODE, Loop, leaves

#: Numbers of a constant, and bits of a whole number, that are still computed.
MOST, WIDEST = 200_000, 4096

BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "@": operator.matmul, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "is": operator.is_, "is not": operator.is_not, "[]": operator.getitem,
    "in": lambda x, y: x in y, "not in": lambda x, y: x not in y,
}  # fmt: skip
UNARY: Mapping[str, Callable[[Any], Any]] = {
    "-": operator.neg, "+": operator.pos, "~": operator.invert, "not": operator.not_,
}  # fmt: skip
PLAIN = (
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type(...),
    slice,
    range,
    np.ndarray,
    np.generic,
    np.dtype,
)


def operate(symbol: str, *operands: Any) -> Any:
    """An operator of Python. Raises Unsupported for what is no constant, goes wrong or becomes too large."""
    if len(operands) == 1:
        return checked(UNARY[symbol], *operands)
    left, right = operands
    if symbol in ("**", "<<", ">>"):
        return power(symbol, left, right)
    if symbol == "*":
        for value, other in ((left, right), (right, left)):
            if isinstance(value, (list, tuple, str, bytes)) and isinstance(other, int):
                check(len(value) * max(other, 0))
        check(size(left) if size(left) > 1 and size(right) <= 1 else size(left) * size(right))
    if symbol == "%" and isinstance(left, (str, bytes)):
        raise Unsupported("it formats a text", CODE)
    if symbol == "@" and isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        check(size(left) * (right.shape[-1] if right.ndim > 1 else 1))
    return checked(BINARY[symbol], left, right)


def power(symbol: str, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        bits = {"**": max(left.bit_length(), 1) * max(right, 0), "<<": left.bit_length() + max(right, 0)}
        if bits.get(symbol, 0) > WIDEST:
            raise Unsupported("a number becomes too long", CODE)
    functions: Mapping[str, Callable[..., Any]] = {
        "**": operator.pow, "<<": operator.lshift, ">>": operator.rshift,
    }  # fmt: skip
    return checked(functions[symbol], left, right)


def checked(function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
    """What a function makes of constants."""
    try:
        with np.errstate(all="ignore"):
            found = function(*operands, **options)
    except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise Unsupported(f"Python refuses it: {error}", CODE) from error
    check(size(found))
    return found


def size(value: Any) -> int:
    """How many numbers a constant has, those of what is in it as well."""
    if isinstance(value, np.ndarray):
        return int(value.size)
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, int) and value.bit_length() > WIDEST:
        return MOST + 1
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return sum(size(it) for it in leaves(value))
    return 1


def check(count: int) -> None:
    if count > MOST:
        raise Unsupported(f"it makes constants of more than {MOST:,} numbers", CODE)


def items(value: Any) -> list[Any]:
    """What a loop over a constant goes through."""
    if isinstance(value, range):
        check(len(value))
    if isinstance(value, Loop):
        found = list(islice(value.rest, MOST + 1))
    elif isinstance(value, (list, tuple, range, str, np.ndarray, set, frozenset, Mapping)):
        found = list(value)
    else:
        raise Unsupported(f"it goes through {type(value).__name__}", CODE)
    check(len(found))
    return found


def is_true(value: Any) -> bool:
    """Whether a condition on a constant holds."""
    try:
        return bool(value)
    except (ValueError, TypeError) as error:
        raise Unsupported(f"Python refuses it: {error}", CODE) from error


# Functions of Python itself


def _range(*ends: int) -> range:
    return range(*ends)


def _zip(*rows: Any) -> list[Any]:
    return list(zip(*map(items, rows), strict=False))


def _enumerate(values: Any, start: int = 0) -> list[Any]:
    return list(enumerate(items(values), start))


def _round(value: Any, *places: Any) -> Any:
    return round(value, *places)


BUILTINS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "all": lambda it: all(map(is_true, items(it))), "any": lambda it: any(map(is_true, items(it))),
    "bool": is_true, "dict": lambda **named: dict(named), "divmod": divmod, "enumerate": _enumerate,
    "float": lambda it: float(it), "int": lambda it: int(it), "len": len, "list": lambda it=(): items(it),
    "max": lambda *them: max(*them), "min": lambda *them: min(*them), "pow": lambda x, y: power("**", x, y),
    "range": _range, "reversed": lambda it: items(it)[::-1], "round": _round,
    "set": lambda it=(): set(items(it)), "slice": slice, "sorted": lambda it: sorted(items(it)),
    "str": lambda it: str(it) if isinstance(it, (str, int, float)) else _no_text(it),
    "tuple": lambda it=(): tuple(items(it)), "zip": _zip,
}  # fmt: skip


def _no_text(value: Any) -> str:
    raise Unsupported(f"the text of {type(value).__name__}", CODE)


#: Methods of constants that are known.
METHODS: Mapping[type, frozenset[str]] = {
    list: frozenset({"append", "extend", "insert", "index", "count", "copy", "reverse", "pop"}),
    tuple: frozenset({"index", "count"}),
    dict: frozenset({"get", "items", "keys", "values", "copy"}),
    str: frozenset({"lower", "upper", "startswith", "endswith"}),
    np.ndarray: frozenset({"astype", "reshape", "tolist", "item", "sum", "mean", "min", "max", "prod", "copy",
                           "flatten", "ravel", "transpose"}),
    np.generic: frozenset({"astype", "item"}),
}  # fmt: skip


def method(owner: Any, name: str, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A method of a constant."""
    for kind, known in METHODS.items():
        if isinstance(owner, kind) and name in known:
            found = checked(getattr(owner, name), *args, **options)
            check(len(owner) if isinstance(owner, (list, dict)) else size(owner))
            return items(found) if name in ("items", "keys", "values") else found
    raise Unsupported(f"it calls .{name} of {type(owner).__name__}", CODE)


# numpy and math


def _filled(value: float) -> Callable[..., Any]:
    def make(shape: Any, dtype: Any = "float64") -> Any:
        sizes = items(shape) if isinstance(shape, (list, tuple)) else [shape]
        check(math.prod(int(it) for it in sizes))
        return np.full(tuple(sizes), value, dtype)

    return make


def _arange(*ends: Any, dtype: Any = None) -> Any:
    bounds: tuple[Any, ...] = (0, *ends, 1) if len(ends) == 1 else (*ends, 1)
    first, last, step = bounds[:3]
    check(int(abs((last - first) / step)) + 1)
    make: Any = np.arange
    return make(first, last, step, dtype=dtype)


def _linspace(start: Any, stop: Any, num: int = 50) -> Any:
    check(num)
    return np.linspace(start, stop, num)


def _eye(rows: int, columns: int | None = None, dtype: Any = float) -> Any:
    check(rows * (columns or rows))
    return np.eye(rows, columns, dtype=dtype)


#: Functions of numpy that give no more numbers than they get.
KEEPING = (
    "array asarray sqrt square exp log log2 log10 abs absolute sin cos tan tanh arctan floor ceil round sign "
    "power add subtract multiply divide minimum maximum prod sum mean std var min max argmin argmax cumsum "
    "reshape transpose squeeze expand_dims concatenate stack float32 float64 float16 int32 int64 int8 uint8 "
    "bool_ negative reciprocal clip log1p expm1 degrees radians product amax amin flip ravel hamming hanning"
).split()
NUMPY: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in KEEPING if hasattr(np, name)},
    "product": np.prod, "zeros": _filled(0.0), "ones": _filled(1.0), "arange": _arange,
    "linspace": _linspace, "eye": _eye, "identity": _eye,
}  # fmt: skip
#: Those of two arrays, whose result may have as many numbers as both together.
TWO = frozenset("power add subtract multiply divide minimum maximum".split())
NUMPY_CONSTANTS = {"pi": np.pi, "e": np.e, "inf": np.inf, "newaxis": None, "nan": np.nan}
MATH: Mapping[str, Callable[..., Any]] = {
    name: getattr(math, name)
    for name in (
        "sqrt exp log log2 log10 sin cos tan tanh atan atan2 floor ceil fabs pow prod radians degrees log1p "
        "expm1 hypot gcd"
    ).split()
}
MATH_CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan, "tau": math.tau}


def is_plain(value: Any) -> bool:
    """Whether a value is made of constants alone."""
    return all(isinstance(it, PLAIN) for it in leaves(value))


def package(path: str, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A function of numpy or math on constants; its name is `np.sqrt` or `math.sqrt`."""
    module, _, name = path.partition(".")
    known = (NUMPY if module == "np" else MATH).get(name)
    if known is None or not is_plain(list(args)) or not is_plain(options):
        raise Unsupported(f"it calls {path}", CODE)
    if name in ("hamming", "hanning"):
        check(int(args[0]))
    check(math.prod(max(size(it), 1) for it in args) if name in TWO else sum(map(size, args)))
    if name in ("power", "pow") and len(args) == 2:
        args = [float(it) if isinstance(it, int) and module == "math" else it for it in args]
    return checked(known, *args, **options)
