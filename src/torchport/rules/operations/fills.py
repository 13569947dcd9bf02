"""Tensors made of a shape alone: zeros, a range, random numbers. The first argument gives a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import TRAINING, Assign, Attribute, Code, Expr, IfElse, Load, State, call
from torchport.rules.arguments import default, plain
from torchport.rules.constants import fixed, numbers, saved_dtype, shape_of
from torchport.rules.dtypes import as_dtype, dtype_of, is_float
from torchport.rules.table import FOLLOWS, Value, Want, Wants, rule

#: A tensor that nobody has put in an order yet.
FRESH = Wants(Want.ANY, Want.SOURCE)


def sizes_of(shape: Any) -> list[Any]:
    """The sizes, of which some are numbers that only the run time knows."""
    given = numbers(shape)
    found = list(given) if isinstance(given, Sequence) else [given]
    if not all(isinstance(it, (int, Value, Tensor)) for it in found):
        raise Unsupported("of a shape that is a tensor", "give its sizes as numbers")
    return found


def made_shape(like: Tensor, shape: Any, *rest: Any) -> Shape:
    return tuple(it if isinstance(it, int) else None for it in sizes_of(shape))


def made_wants(like: Tensor, shape: Any, *rest: Any, whole: bool = False) -> Wants:
    return FOLLOWS if whole else FRESH


def made_dtype(like: Tensor, shape: Any, *, dtype: Any = None) -> str:
    return dtype_of(dtype or "float32")


def written(dtype: str) -> Expr:
    """A dtype as torch calls it; float32 is the model's own."""
    return call("torch.get_default_dtype") if dtype == "float32" else Code(f"torch.{dtype}")


def told(like: Value, dtype: str) -> Expr | None:
    """The dtype, where it is not that of the tensor."""
    return None if like.tensor.dtype == dtype else written(dtype)


def full(like: Value, shape: Any, value: Any, dtype: str, whole: bool) -> Expr:
    """zeros, ones or a number everywhere, as large as the tensor or of other sizes."""
    name = {0: "zeros", 1: "ones"}.get(value, "full")
    given = [] if name != "full" else [value]
    if whole:
        return call(f"torch.{name}_like", like, *given, dtype=told(like, dtype))
    return call(f".new_{name}", like, tuple(sizes_of(shape)), *given, dtype=told(like, dtype))


@rule("tf.zeros", wants=made_wants, shape=made_shape, dtype=made_dtype, ignores="layout")
def zeros(like: Value, shape: Any, *, out: Value, dtype: Any = None, whole: bool = False) -> Expr:
    """x.new_zeros, or torch.zeros_like."""
    return full(like, shape, 0, out.tensor.dtype, whole)


@rule("tf.ones", wants=made_wants, shape=made_shape, dtype=made_dtype, ignores="layout")
def ones(like: Value, shape: Any, *, out: Value, dtype: Any = None, whole: bool = False) -> Expr:
    """x.new_ones, or torch.ones_like."""
    return full(like, shape, 1, out.tensor.dtype, whole)


def filled_dtype(like: Tensor, shape: Any, *, value: Any) -> str:
    return {"bool": "bool", "int": "int32"}.get(type(value).__name__, "float32")


@rule("tf.fill", wants=made_wants, shape=made_shape, dtype=filled_dtype, ignores="layout")
def fill(like: Value, shape: Any, *, out: Value, value: Any, whole: bool = False) -> Expr:
    """x.new_full, or torch.full_like."""
    if not isinstance(value, (int, float)):
        raise Unsupported("with a value that is a tensor", "tf.broadcast_to is ported")
    return full(like, shape, value, out.tensor.dtype, whole)


def range_ends(start: Any, limit: Any) -> tuple[Any, Any]:
    return (0, start) if limit is None else (start, limit)


def range_shape(like: Tensor, start: Any, *, limit: Any = None, delta: Any = 1) -> Shape:
    first, last = range_ends(start, limit)
    if all(isinstance(it, (int, float)) for it in (first, last, delta)):
        return (max(0, -int(-(last - first) // delta)),)
    if isinstance(delta, (Tensor, Value)):
        raise Unsupported("a step that is a tensor", "give it as a number")
    return (None,)


def range_dtype(like: Tensor, start: Any, *, limit: Any = None, delta: Any = 1, dtype: Any = None) -> str:
    floats = any(isinstance(it, float) for it in (start, limit, delta))
    return dtype_of(dtype) if dtype else "float32" if floats else "int32"


@rule("tf.range", wants=FRESH, shape=range_shape, dtype=range_dtype)
def range_(
    like: Value, start: Any, *, out: Value, limit: Any = None, delta: Any = 1, dtype: Any = None
) -> Expr:
    """torch.arange on the tensor's device."""
    first, last = range_ends(start, limit)
    ends = [last] if first == 0 and delta == 1 else [first, last]
    step = [delta] if delta != 1 else []
    kind = written(out.tensor.dtype)
    return call("torch.arange", *ends, *step, dtype=kind, device=Attribute(like, "device"))


def eye_shape(like: Tensor, rows: Any, *, num_columns: Any = None, batch_shape: Any = None) -> Shape:
    if batch_shape:
        raise Unsupported("several of them", "add a batch axis to one: tf.eye(n)[None]")
    return tuple(
        it if isinstance(it, int) else None for it in (rows, rows if num_columns is None else num_columns)
    )


@rule("tf.eye", wants=FRESH, shape=eye_shape, dtype=made_dtype)
def eye(
    like: Value, rows: Any, *, out: Value, num_columns: Any = None, batch_shape: Any = None, dtype: Any = None
) -> Expr:
    """torch.eye on the tensor's device."""
    sizes = [rows] if num_columns in (None, rows) else [rows, num_columns]
    return as_dtype(call("torch.eye", *sizes, device=Attribute(like, "device")), "float32", out.tensor.dtype)


def spaced_shape(*args: Any, stop: Any, num: Any, axis: int = 0) -> Shape:
    if len(args) < 2 or not isinstance(args[1], (int, float)) or not isinstance(stop, (int, float)):
        raise Unsupported("between tensors", "add multiples of their difference")
    return (num if isinstance(num, int) else None,)


@rule("tf.linspace", wants=FRESH, shape=spaced_shape, dtype="float32")
def linspace(like: Value, start: Any, *, stop: Any, num: Any, axis: int = 0) -> Expr:
    """torch.linspace on the tensor's device."""
    return call("torch.linspace", plain(start), plain(stop), num, device=Attribute(like, "device"))


def empty(like: Value, shape: Any, whole: bool) -> Expr:
    """A tensor to draw into, as large as another or of other sizes."""
    dtype = told(like, "float32")
    if whole:
        return call("torch.empty_like", like, dtype=dtype)
    return call(".new_empty", like, tuple(sizes_of(shape)), dtype=dtype)


def numbers_only(**options: Any) -> None:
    for name, value in options.items():
        if not isinstance(value, (int, float)):
            raise Unsupported(
                f"{name} that is a tensor", "draw with numbers, and scale and move what is drawn"
            )


@rule("tf.random.normal", wants=made_wants, shape=made_shape, dtype=made_dtype, ignores="seed")
def normal(
    like: Value, shape: Any, *, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, whole: bool = False
) -> Expr:  # fmt: skip
    """torch.randn_like, or x.new_empty(...).normal_()."""
    numbers_only(mean=mean, stddev=stddev)
    if whole and (mean, stddev) == (0, 1):
        return call("torch.randn_like", like, dtype=told(like, "float32"))
    options = [] if (mean, stddev) == (0, 1) else [plain(mean), plain(stddev)]
    return call(".normal_", empty(like, shape, whole), *options)


@rule("tf.random.uniform", wants=made_wants, shape=made_shape, dtype=made_dtype, ignores="seed")
def uniform(
    like: Value, shape: Any, *, out: Value, minval: Any = 0, maxval: Any = None, dtype: Any = None,
    whole: bool = False,
) -> Expr:  # fmt: skip
    """torch.rand_like, or x.new_empty(...).uniform_(); torch.randint of whole numbers."""
    high = 1 if maxval is None else maxval
    if any(isinstance(it, Value) for it in (minval, high)) and is_float(out.tensor.dtype):
        drawn = call(".uniform_", empty(like, shape, whole))
        return high * drawn if minval == 0 else minval + (high - minval) * drawn
    numbers_only(minval=minval, maxval=high)
    if not is_float(out.tensor.dtype):
        sizes: Any = tuple(sizes_of(shape)) if not whole else Attribute(like, "shape")
        ends = [high] if minval == 0 else [minval, high]
        kind = written(out.tensor.dtype)
        return call("torch.randint", *ends, sizes, dtype=kind, device=Attribute(like, "device"))
    if whole and (minval, high) == (0, 1):
        return call("torch.rand_like", like, dtype=told(like, "float32"))
    options = [] if (minval, high) == (0, 1) else [plain(minval), plain(high)]
    return call(".uniform_", empty(like, shape, whole), *options)


@rule("tf.random.truncated_normal", wants=made_wants, shape=made_shape, dtype=made_dtype, ignores="seed")
def truncated_normal(
    like: Value, shape: Any, *, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, whole: bool = False
) -> Expr:  # fmt: skip
    """nn.init.trunc_normal_: drawn again beyond two standard deviations."""
    numbers_only(mean=mean, stddev=stddev)
    ends = (mean - 2 * stddev, mean + 2 * stddev)
    options = [
        default(plain(it), usual) for it, usual in zip((mean, stddev, *ends), (0, 1, -2, 2), strict=True)
    ]
    names = zip(("mean", "std", "a", "b"), options, strict=True)
    return call("nn.init.trunc_normal_", empty(like, shape, whole), **dict(names))


def variable_dtype(*, dtype_: str) -> str:
    return dtype_


def variable_shape(*, shape: Any) -> Shape:
    return tuple(shape)


@rule(
    "tf.Variable", wants=FRESH, shape=variable_shape, weights=lambda *, shape: {"value": tuple(shape)},
    dtype=variable_dtype,
)  # fmt: skip
def variable(*, attribute: str, shape: Any, trainable_: bool, dtype_: str, of_: str = "") -> Expr:
    """A parameter, or a buffer where the source does not train it.

    `of_`: the layer whose weight it is, and which, `tokens/embeddings`; empty for one of the class itself.
    """
    axes = " ".join("abcdefgh"[: len(shape)])
    return State(attribute, Load.of("value", f"{axes} -> {axes}"), tuple(shape), trainable=trainable_)


def select_shape(x: Tensor, y: Tensor) -> Shape:
    if len(x.shape) != len(y.shape):
        raise Unsupported("of tensors of other shapes in training and in inference")
    return tuple(a if a == b else None for a, b in zip(x.shape, y.shape, strict=True))


@rule("mode:select", shape=select_shape)
def select(x: Value, y: Value) -> Expr:
    """One tensor in training, another in inference."""
    return IfElse(TRAINING, x, y)


@rule("state:assign", shape=lambda state, value: state.shape)
def assign(state: Value, value: Value, *, training: bool | None = None) -> Expr:
    """A buffer of the class is given another value, in one mode alone if that is said."""
    return Assign(state, value, {None: "", True: "self.training", False: "not self.training"}[training])


def constant_dtype(value: Any) -> str:
    return saved_dtype(value) or {"bool": "bool", "int": "int32"}.get(type(value).__name__, "float32")


@rule("tf.constant", wants=FRESH, shape=lambda value: shape_of(value), dtype=constant_dtype)
def constant(value: Any, *, out: Value) -> Expr:
    """A buffer."""
    return fixed("constant", numbers(value), out.tensor.dtype)
