"""Operations that reduce axes or run along one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Code, Expr, Infix, Unpack, call
from torchport.rules.arguments import default
from torchport.rules.constants import shape_of
from torchport.rules.dtypes import WHOLE, as_dtype, float_dtype, kept_float
from torchport.rules.operations.axes import Kept, in_order, kept_wants
from torchport.rules.operations.operands import buffer
from torchport.rules.sizes import axes_of, dims_of, product
from torchport.rules.table import SOURCE, Value, Wants, rule
from torchport.rules.window import Onto, Past, Reading, Whole

#: Functions that want to be told over which axes, all or not.
EXTREMES = (".amax", ".amin")
TOLD = ("torch.logsumexp", "nan_amax", "nan_amin", "nan_var", "nan_std")


def reduced_kept(x: Tensor, axis: Any, keepdims: bool) -> Kept:
    gone = axes_of(axis, len(x.shape))
    return [at for at in range(len(x.shape)) if keepdims or at not in gone]


def reduced_shape(x: Tensor, *, axis: Any, keepdims: bool) -> Shape:
    gone = axes_of(axis, len(x.shape))
    return tuple(1 if at in gone else x.shape[at] for at in reduced_kept(x, axis, keepdims) if at is not None)


def reduced_wants(x: Tensor, *, axis: Any, keepdims: bool) -> Wants:
    return kept_wants(len(x.shape), reduced_kept(x, axis, keepdims))


def reduction(function: str, fractions: bool = False, **options: Any) -> Callable[..., Expr]:
    """The rule of a function or method that takes `dim` and `keepdim`."""

    def write(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
        given: Expr = as_dtype(x, x.tensor.dtype, float_dtype(x.tensor)) if fractions else x
        dim = dims_of(x, axis)
        if dim is None and (keepdims or function in TOLD):
            dim = tuple(range(x.rank))
        if function in EXTREMES and any(x.shape[at] == 0 for at in axes_of(axis, x.rank)):
            raise Unsupported("the largest or smallest of no values", "leave out the empty slice before it")
        return call(function, given, dim=dim, **options, keepdim=keepdims or None)

    write.__doc__ = f"{function}."
    return write


def summed(x: Tensor, *, dialect: str = "") -> str:
    """The dtype of a sum: Keras widens, TensorFlow's own functions do not. Source: ops/numpy.py, Sum."""
    if is_keras_2(dialect):
        return x.dtype
    wide = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "int64", "uint16": "int64"}
    return wide.get(x.dtype, x.dtype)


def own(x: Value, dtype: str) -> Code | None:
    """The dtype in which torch sums whole numbers, that it keeps TensorFlow's and wraps as it does."""
    return (
        Code(f"torch.{dtype}") if dtype in WHOLE and (dtype, x.tensor.dtype) != ("int64", "int64") else None
    )


@rule(
    "keras.ops.Sum",
    wants=reduced_wants,
    shape=reduced_shape,
    dtype=summed,
    only={"initial": (None,)},
    ignores="initial",
)
def total(x: Value, *, out: Value, axis: Any = None, keepdims: bool = False) -> Expr:
    """.sum."""
    return reduction(".sum", dtype=own(x, out.tensor.dtype))(x, axis=axis, keepdims=keepdims)


def meant(x: Tensor, *, dialect: str = "") -> str:
    return x.dtype if is_keras_2(dialect) and x.dtype in WHOLE[1:] else float_dtype(x)


@rule("keras.ops.Mean", wants=reduced_wants, shape=reduced_shape, dtype=meant)
def mean(x: Value, *, out: Value, axis: Any = None, keepdims: bool = False) -> Expr:
    """.mean; TensorFlow's own of whole numbers is a whole number, cut towards zero."""
    if out.tensor.dtype not in WHOLE:
        return reduction(".mean", fractions=True)(x, axis=axis, keepdims=keepdims)
    count = product([x.shape[at] for at in axes_of(axis, x.rank)])
    if count is None:
        raise Unsupported(
            f"the mean of {x.tensor.dtype} values over a size that is not known", "cast them to float32 first"
        )
    return call("torch.div", total(x, out=out, axis=axis, keepdims=keepdims), count, rounding_mode="trunc")


def of_bools(function: str) -> Callable[..., Expr]:
    """The rule of a reduction of True and False; of bytes torch would give bytes."""

    def write(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
        dim = tuple(range(x.rank)) if axis is None and keepdims else dims_of(x, axis)
        given = call(".bool", x) if x.tensor.dtype == "uint8" else x
        return call(function, given, dim=dim, keepdim=keepdims or None)

    write.__doc__ = f"{function}."
    return write


REDUCTIONS: dict[str, tuple[Callable[..., Expr], Any]] = {
    "Max": (reduction(".amax"), ""),
    "Amax": (reduction(".amax"), ""),
    "Min": (reduction(".amin"), ""),
    "Amin": (reduction(".amin"), ""),
    "Var": (reduction(".var", fractions=True, correction=0), float_dtype),
    "Std": (reduction(".std", fractions=True, correction=0), float_dtype),
    "Any": (of_bools(".any"), "bool"),
    "All": (of_bools(".all"), "bool"),
    "Logsumexp": (reduction("torch.logsumexp"), float_dtype),
    "Nansum": (reduction("torch.nansum"), summed),
    "Nanmean": (reduction("torch.nanmean", fractions=True), float_dtype),
    "Nanmax": (reduction("nan_amax"), kept_float),
    "Nanmin": (reduction("nan_amin"), kept_float),
    "Nanvar": (reduction("nan_var"), kept_float),
    "Nanstd": (reduction("nan_std"), kept_float),
}
for _name, (_write, _dtype) in REDUCTIONS.items():
    rule(
        f"keras.ops.{_name}", wants=reduced_wants, shape=reduced_shape, dtype=_dtype,
        only={"initial": (None,)}, ignores="initial",
    )(_write)  # fmt: skip


def multiplied(x: Expr, dims: Sequence[int], keepdims: bool, dtype: Code | None = None) -> Expr:
    for dim in reversed(dims):
        x = call(".prod", x, dim=dim, keepdim=keepdims or None, dtype=dtype)
    return x


@rule("keras.ops.Nanprod", wants=reduced_wants, shape=reduced_shape, dtype=kept_float)
def nanprod(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.prod with 1 in the place of NaN."""
    known = call("torch.where", call("torch.isnan", x), 1.0, x)
    return multiplied(known, sorted(x.dim(it) for it in axes_of(axis, x.rank)), keepdims)


@rule("keras.ops.Prod", wants=reduced_wants, shape=reduced_shape, dtype=summed, ignores="dtype")
def prod(x: Value, *, out: Value, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.prod, which takes one axis at a time."""
    dtype = own(x, out.tensor.dtype)
    if axis is None and not keepdims:
        return call(".prod", x, dtype=dtype)
    return multiplied(x, sorted(x.dim(it) for it in axes_of(axis, x.rank)), keepdims, dtype)


def over(x: Tensor, *, axis: Any) -> Shape:
    return reduced_shape(x, axis=axis, keepdims=False)


def count_dtype(x: Tensor, *, dtype: Any = None, dialect: str = "") -> str:
    return str(dtype or ("int64" if is_keras_2(dialect) else "int32"))


@rule("keras.ops.CountNonzero", wants=reduced_wants, shape=reduced_shape, dtype=count_dtype)
def count_nonzero(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """torch.count_nonzero."""
    if keepdims:
        return call(
            ".sum",
            Infix("!=", x, 0),
            dim=dims_of(x, axis) if axis is not None else tuple(range(x.rank)),
            keepdim=True,
        )
    return call("torch.count_nonzero", x, dim=dims_of(x, axis))


@rule("keras.ops.Ptp", wants=reduced_wants, shape=reduced_shape)
def ptp(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """The largest value less the smallest."""
    largest, smallest = (reduction(it)(x, axis=axis, keepdims=keepdims) for it in (".amax", ".amin"))
    return largest - smallest


def moments_shape(x: Tensor, *, axes: Any, keepdims: bool) -> list[Shape]:
    return [reduced_shape(x, axis=axes, keepdims=keepdims)] * 2


def moments_wants(x: Tensor, *, axes: Any, keepdims: bool) -> Wants:
    return reduced_wants(x, axis=axes, keepdims=keepdims)


@rule(
    "keras.ops.Moments", wants=moments_wants, shape=moments_shape, dtype=kept_float,
    only={"synchronized": (False,)}, ignores="synchronized",
)  # fmt: skip
def moments(x: Value, *, axes: Any, keepdims: bool = False) -> Expr:
    """torch.var_mean, which gives the variance first."""
    found = call("torch.var_mean", x, dim=dims_of(x, axes), correction=0, keepdim=keepdims or None)
    return Unpack(found, (1, 0))


def average_reads(x: Tensor, *others: Any, axis: Any, weights: Any = None) -> list[dict[int, Reading]]:
    """What is left of the axes; weights along one are all read."""
    gone = axes_of(axis, len(x.shape))
    left = [at for at in range(len(x.shape)) if at not in gone]
    own: dict[int, Reading] = {
        at: Onto(left.index(at)) if at in left else Whole() for at in range(len(x.shape))
    }
    return [
        {} if len(it.shape) < len(x.shape) else own for it in (x, *others, weights) if isinstance(it, Tensor)
    ]


@rule("keras.ops.Average", wants=SOURCE, shape=over, dtype=kept_float, reads=average_reads)
def average(x: Value, *, weights: Any = None, axis: Any = None) -> Expr:
    """x.mean; with weights, the sum of products over the sum of weights."""
    if weights is None:
        return reduction(".mean")(x, axis=axis)
    given, dim = buffer(weights, "weights"), dims_of(x, axis)
    if axis is None or len(shape_of(weights)) == x.rank:
        return call(".sum", x * given, dim=dim) / call(".sum", given, dim=dim)
    return call("torch.tensordot", x, given, dims=([dim], [0])) / call(".sum", given)


NAMES = (None, "fro", "nuc")


def normed_shape(x: Tensor, *, ord: Any, axis: Any, keepdims: bool) -> Shape:
    if ord not in NAMES and not isinstance(ord, (int, float)):
        raise Unsupported(f"ord={ord!r}", "numbers, 'fro' and 'nuc' are ported")
    return reduced_shape(x, axis=axis, keepdims=keepdims)


@rule("keras.ops.Norm", wants=reduced_wants, shape=normed_shape, dtype=kept_float)
def norm(x: Value, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Expr:
    """torch.linalg.vector_norm; of a matrix, torch.linalg.matrix_norm."""
    axes = axes_of(axis, x.rank)
    if len(axes) == 2 and ord not in (None, "fro"):
        rows, columns = (range(x.rank) if axis is None else axis)[:2]
        dims = (x.dim(rows), x.dim(columns))
        return call("torch.linalg.matrix_norm", x, ord, dim=default(dims, (x.rank - 2, x.rank - 1)),
                    keepdim=keepdims or None)  # fmt: skip
    if ord is not None and len(axes) != 1 + (ord == "fro"):
        raise Unsupported(f"ord={ord!r} over {len(axes)} axes")
    kind = [] if ord in (None, 2, "fro") else [ord]
    return call("torch.linalg.vector_norm", x, *kind, dim=dims_of(x, axis), keepdim=keepdims or None)


def accumulated(x: Tensor) -> str:
    return "int32" if x.dtype == "bool" else x.dtype


def cumulative(function: str, nan: float | None = None) -> Callable[..., Expr]:
    """The rule of a running sum or product; `nan` stands in the place of NaN."""

    def write(x: Value, *, axis: Any = None, exclusive: bool = False, reverse: bool = False) -> Expr:
        if axis is None:
            raise Unsupported("axis=None: over all axes", "give it an axis")
        known = x if nan is None else call("torch.nan_to_num", x, nan=nan or None)
        dim = x.dim(axis)
        backwards = call(".flip", known, dim) if reverse else known
        found: Expr = call(function, backwards, dim=dim, dtype=own(x, accumulated(x.tensor)))
        if exclusive:
            found = call("exclusive", found, dim, *([1] if function == "torch.cumprod" else []))
        return call(".flip", found, dim) if reverse else found

    write.__doc__ = f"{function}."
    return write


def past(x: Tensor, *, axis: Any, reverse: bool = False) -> dict[int, Reading]:
    """What a sum that runs along an axis has read."""
    return {at: Past(backwards=reverse) for at in axes_of(axis, len(x.shape))}


for _name, _function, _nan in (
    ("Cumsum", "torch.cumsum", None), ("Cumprod", "torch.cumprod", None),
    ("Nancumsum", "torch.cumsum", 0.0), ("Nancumprod", "torch.cumprod", 1.0),
):  # fmt: skip
    rule(f"keras.ops.{_name}", wants=in_order, dtype=accumulated, only={"dtype": (None,)}, reads=past)(
        cumulative(_function, _nan)
    )


@rule(
    "tf.cumulative_logsumexp",
    wants=in_order,
    reads=past,
    dtype=kept_float,
    only={"exclusive": (False,)},
    ignores="exclusive",
)
def log_cumulative(x: Value, *, axis: Any = 0, reverse: bool = False) -> Expr:
    """torch.logcumsumexp."""
    dim = x.dim(axis)
    found = call("torch.logcumsumexp", call(".flip", x, dim) if reverse else x, dim=dim)
    return call(".flip", found, dim) if reverse else found


@rule("tf.clip_by_norm", dtype=kept_float)
def clip_by_norm(x: Value, *, clip_norm: float, axes: Any = None) -> Expr:
    """A helper: divided by its norm where that is too large."""
    dims = tuple(range(x.rank)) if axes is None else dims_of(x, axes)
    return call("clip_by_norm", x, clip_norm, dims)
