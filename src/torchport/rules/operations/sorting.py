"""Operations that sort, search or count values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, call
from torchport.rules.arguments import default
from torchport.rules.constants import numbers, shape_of
from torchport.rules.dtypes import kept_float
from torchport.rules.operations.axes import in_order
from torchport.rules.operations.operands import buffer
from torchport.rules.operations.reduce import reduced_shape, reduced_wants
from torchport.rules.sizes import all_along, axes_of, dims_of
from torchport.rules.table import MEMORY, SOURCE, Value, Wants, rule


def index_wants(x: Tensor, *, axis: Any, keepdims: bool) -> Wants:
    """As others, but the index of flattened features depends on their order."""
    return MEMORY if axis is None or len(x.shape) == 2 else reduced_wants(x, axis=axis, keepdims=keepdims)


def quantile_shape(x: Tensor, q: Any = None, *, axis: Any, keepdims: bool) -> Shape:
    q = numbers(q)
    if isinstance(q, Tensor) or len(axes_of(axis, len(x.shape))) not in (1, len(x.shape)):
        raise Unsupported("over some axes, or of a share that is a tensor", "one axis, or all, are ported")
    count = (len(q),) if isinstance(q, Sequence) else ()
    return (*count, *reduced_shape(x, axis=axis, keepdims=keepdims))


def quantile_wants(x: Tensor, q: Any = None, *, axis: Any, keepdims: bool) -> Wants:
    whole = isinstance(numbers(q), Sequence)
    return SOURCE if whole else reduced_wants(x, axis=axis, keepdims=keepdims)


def quantile_of(x: Value, function: str, q: Any, axis: Any, keepdims: bool, method: str = "linear") -> Expr:
    shares: Any = buffer(q, "shares") if isinstance(q, Sequence) else q
    dim = None if axis is None or x.rank == 1 else dims_of(x, axis)
    if dim is None and keepdims:
        raise Unsupported("over all axes with keepdims=True", "reshape the number instead")
    return call(
        function, x, shares, dim=dim, keepdim=keepdims or None, interpolation=default(method, "linear")
    )


def quantile(function: str, parts: float = 1) -> Callable[..., Expr]:
    """The rule of quantiles that are so many parts of the whole."""

    def write(x: Value, q: Any, *, axis: Any = None, keepdims: bool = False, method: str = "linear") -> Expr:
        given = numbers(q)
        shares = [it / parts for it in given] if isinstance(given, Sequence) else given / parts
        return quantile_of(x, function, shares, axis, keepdims, method)

    write.__doc__ = f"{function}."
    return write


for _name, _function, _parts in (
    ("Percentile", "torch.quantile", 100), ("Nanquantile", "torch.nanquantile", 1),
    ("Nanpercentile", "torch.nanquantile", 100),
):  # fmt: skip
    rule(f"keras.ops.{_name}", wants=quantile_wants, shape=quantile_shape, dtype=kept_float)(
        quantile(_function, _parts)
    )
# In a graph Keras does not look at its method. Source: keras/src/ops/numpy.py, Quantile.call.
rule(
    "keras.ops.Quantile", wants=quantile_wants, shape=quantile_shape, dtype=kept_float,
    only={"method": ("linear",)},
)(quantile("torch.quantile"))  # fmt: skip


def median(function: str) -> Callable[..., Expr]:
    def write(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
        return quantile_of(x, function, 0.5, axis, keepdims)

    write.__doc__ = f"{function} at a half; torch's own median is the lower of two."
    return write


for _name, _function in (("Median", "torch.quantile"), ("Nanmedian", "torch.nanquantile")):
    rule(f"keras.ops.{_name}", wants=quantile_wants, shape=quantile_shape, dtype=kept_float)(
        median(_function)
    )


def place_dtype(x: Tensor, *, output_type: Any = None, dialect: str = "") -> str:
    """That of an index: int64 of TensorFlow's own."""
    return str(output_type or ("int64" if is_keras_2(dialect) else "int32"))


@rule("keras.ops.Argmax", wants=index_wants, shape=reduced_shape, dtype=place_dtype)
def argmax(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.argmax: of several the first, as TensorFlow."""
    read = call(".int", x) if x.tensor.dtype == "bool" else x
    return call(".argmax", read, dim=dims_of(x, axis), keepdim=keepdims or None)


@rule("keras.ops.Argmin", wants=index_wants, shape=reduced_shape, dtype=place_dtype)
def argmin(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.argmin: of several the first, as TensorFlow."""
    read = call(".int", x) if x.tensor.dtype == "bool" else x
    return call(".argmin", read, dim=dims_of(x, axis), keepdim=keepdims or None)


@rule("keras.ops.Sort", wants=in_order, reads=all_along)
def sort(x: Value, *, axis: int = -1, descending: bool = False) -> Expr:
    """The values of torch.sort."""
    if axis is None:
        raise Unsupported("axis=None: of the flattened tensor", "give it an axis")
    return call("torch.sort", x, dim=x.dim(axis), descending=descending or None)[0]


def index_order(x: Tensor, *, axis: Any) -> Wants:
    return MEMORY if axis is None else in_order(x)


def sorted_shape(x: Tensor, *, axis: Any) -> Shape:
    if axis is None:
        raise Unsupported("axis=None: of the flattened tensor", "give it an axis")
    return x.shape


@rule("keras.ops.Argsort", wants=index_order, shape=sorted_shape, dtype="int32")
def argsort(x: Value, *, axis: Any = -1, descending: bool = False) -> Expr:
    """x.argsort, stable as TensorFlow's."""
    return call(".argsort", x, dim=x.dim(axis), descending=descending or None, stable=True)


def best_shape(x: Tensor, *, k: int) -> list[Shape]:
    return [(*x.shape[:-1], k)] * 2


def best_dtypes(x: Tensor) -> list[str]:
    return [x.dtype, "int32"]


@rule(
    "keras.ops.TopK",
    wants=SOURCE,
    shape=best_shape,
    dtype=best_dtypes,
    only={"sorted": (True,)},
    ignores="sorted",
)
def top_k(x: Value, *, k: int) -> Expr:
    """The start of a stable sort: of equal values TensorFlow gives the first, torch.topk any."""
    return call("top_k", x, k)


def first_shape(targets: Tensor, predictions: Tensor) -> Shape:
    return targets.shape


@rule("tf.in_top_k", wants=SOURCE, shape=lambda predictions, targets: targets.shape, dtype="bool")
def of_predictions(predictions: Value, targets: Value, *, k: int) -> Expr:
    """Whether fewer than k are larger; with the predictions before the targets."""
    return call("in_top_k", targets, predictions, k)


@rule("keras.ops.InTopK", wants=SOURCE, shape=first_shape, dtype="bool")
def in_top_k(targets: Value, predictions: Value, *, k: int) -> Expr:
    """Whether fewer than k are larger."""
    return call("in_top_k", targets, predictions, k)


def searched_shape(sequence: Any, values: Any) -> Shape:
    sorted_, wanted = shape_of(sequence), shape_of(values)
    if len(sorted_) != 1 and sorted_[:-1] != wanted[:-1]:
        raise Unsupported(f"in sequences {sorted_} of values {wanted}", "give both the same first axes")
    return wanted


def integers(*xs: Any, out_type: Any = None) -> str:
    return str(out_type or "int32")


@rule("keras.ops.SearchSorted", wants=SOURCE, shape=searched_shape, dtype=integers)
def searchsorted(sequence: Any, values: Any, *, side: str = "left") -> Expr:
    """torch.searchsorted."""
    found = buffer(sequence, "sequence"), buffer(values, "values")
    return call("torch.searchsorted", *found, right=True if side == "right" else None)


def binned_shape(x: Tensor, bins: Any) -> Shape:
    if isinstance(bins, Tensor):
        raise Unsupported("in bins that are a tensor", "keras.ops.searchsorted is ported")
    return x.shape


def binned_dtype(x: Tensor, bins: Any) -> str:
    return "int32"


@rule("keras.ops.Digitize", shape=binned_shape, dtype=binned_dtype)
def digitize(x: Value, bins: Any) -> Expr:
    """torch.bucketize."""
    return call("torch.bucketize", x, buffer(bins, "bins", "float32"), right=True)


def counted_shape(x: Tensor, *, together: bool = False) -> Shape:
    return (None,) if together else (*x.shape[:-1], None)


@rule(
    "keras.ops.Bincount", wants=SOURCE, shape=counted_shape, dtype="int32",
    only={"weights": (None,), "sparse": (False,)}, ignores="weights sparse",
)  # fmt: skip
def bincount(x: Value, *, minlength: int = 0, together: bool = False) -> Expr:
    """How often each number is in each row; as long as the largest number of all rows.

    `together`: in all rows as one, torch.bincount.
    """
    if together:
        numbers = call(".flatten", x) if x.rank > 1 else x
        return call("torch.bincount", numbers, **({"minlength": minlength} if minlength else {}))
    return call("bincount", x, *([minlength] if minlength else []))


def unravelled_shape(x: Tensor, *, shape: Sequence[int]) -> list[Shape]:
    if len(x.shape) != 1:
        raise Unsupported("of several axes", "Keras gives these in the wrong order: flatten them first")
    return [x.shape] * len(shape)


@rule("keras.ops.UnravelIndex", wants=SOURCE, shape=unravelled_shape)
def unravel_index(x: Value, *, shape: Sequence[int]) -> Expr:
    """torch.unravel_index; in one axis x itself."""
    return call("torch.unravel_index", x, tuple(shape)) if len(shape) > 1 else x
