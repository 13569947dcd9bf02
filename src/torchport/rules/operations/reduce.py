"""Operations that reduce axes or run along one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.operations.axes import Kept, axes_of, dims_of, in_order, kept_wants
from torchport.rules.operations.operands import as_dtype, as_float, is_float
from torchport.rules.table import MEMORY, Value, Wants, rule


def reduced_kept(x: Tensor, axis: Any, keepdims: bool) -> Kept:
    gone = axes_of(axis, len(x.shape))
    return [at for at in range(len(x.shape)) if keepdims or at not in gone]


def reduced_shape(x: Tensor, *, axis: Any, keepdims: bool) -> Shape:
    gone = axes_of(axis, len(x.shape))
    return tuple(1 if at in gone else x.shape[at] for at in reduced_kept(x, axis, keepdims) if at is not None)


def reduced_wants(x: Tensor, *, axis: Any, keepdims: bool) -> Wants:
    return kept_wants(len(x.shape), reduced_kept(x, axis, keepdims))


def index_wants(x: Tensor, *, axis: Any, keepdims: bool) -> Wants:
    """As others, but the index of flattened features depends on their order."""
    return MEMORY if axis is None or len(x.shape) == 2 else reduced_wants(x, axis=axis, keepdims=keepdims)


def reduction(function: str, fractions: bool = False, **options: Any) -> Callable[..., Expr]:
    """The rule of a function or method that takes `dim` and `keepdim`."""

    def write(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
        given: Expr = (
            as_dtype(x, x.tensor.dtype, "float32") if fractions and not is_float(x.tensor.dtype) else x
        )
        dim = dims_of(x, axis)
        if dim is None and (keepdims or function == "torch.logsumexp"):
            dim = tuple(range(x.rank))
        return call(function, given, dim=dim, **options, keepdim=keepdims or None)

    write.__doc__ = f"{function}."
    return write


def summed(x: Tensor) -> str:
    return "int32" if x.dtype == "bool" else x.dtype


REDUCTIONS: dict[str, tuple[Callable[..., Expr], Any]] = {
    "Mean": (reduction(".mean", fractions=True), as_float),
    "Sum": (reduction(".sum"), summed),
    "Max": (reduction(".amax"), ""),
    "Amax": (reduction(".amax"), ""),
    "Min": (reduction(".amin"), ""),
    "Amin": (reduction(".amin"), ""),
    "Var": (reduction(".var", fractions=True, correction=0), as_float),
    "Std": (reduction(".std", fractions=True, correction=0), as_float),
    "Any": (reduction(".any"), "bool"),
    "All": (reduction(".all"), "bool"),
    "Logsumexp": (reduction("torch.logsumexp"), as_float),
}
for _name, (_write, _dtype) in REDUCTIONS.items():
    rule(
        f"keras.ops.{_name}", wants=reduced_wants, shape=reduced_shape, dtype=_dtype,
        only={"initial": (None,)}, ignores="initial",
    )(_write)  # fmt: skip


@rule("keras.ops.Prod", wants=reduced_wants, shape=reduced_shape, dtype=summed, ignores="dtype")
def prod(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.prod, which takes one axis at a time."""
    if axis is None and not keepdims:
        return call(".prod", x)
    result: Expr = x
    for dim in reversed(sorted(x.dim(it) for it in axes_of(axis, x.rank))):
        result = call(".prod", result, dim=dim, keepdim=keepdims or None)
    return result


@rule("keras.ops.Argmax", wants=index_wants, shape=reduced_shape, dtype="int32")
def argmax(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.argmax: of several the first, as TensorFlow."""
    return call(".argmax", x, dim=dims_of(x, axis), keepdim=keepdims or None)


@rule("keras.ops.Argmin", wants=index_wants, shape=reduced_shape, dtype="int32")
def argmin(x: Value, *, axis: Any = None, keepdims: bool = False) -> Expr:
    """x.argmin: of several the first, as TensorFlow."""
    return call(".argmin", x, dim=dims_of(x, axis), keepdim=keepdims or None)


@rule("keras.ops.Norm", wants=reduced_wants, shape=reduced_shape, only={"ord": (None, 2, 1)})
def norm(x: Value, *, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Expr:
    """torch.linalg.vector_norm."""
    if ord is not None and len(axes_of(axis, x.rank)) > 1:
        raise Unsupported(f"ord={ord!r} of a matrix")
    return call("torch.linalg.vector_norm", x, *([ord] if ord == 1 else []), dim=dims_of(x, axis),
                keepdim=keepdims or None)  # fmt: skip


def cumulative(function: str) -> Callable[..., Expr]:
    def write(x: Value, *, axis: Any = None) -> Expr:
        if axis is None:
            raise Unsupported("axis=None: over all axes", "give it an axis")
        return call(function, x, dim=x.dim(axis))

    write.__doc__ = f"{function}."
    return write


rule("keras.ops.Cumsum", wants=in_order, only={"dtype": (None,)})(cumulative("torch.cumsum"))
rule("keras.ops.Cumprod", wants=in_order, only={"dtype": (None,)})(cumulative("torch.cumprod"))


@rule("keras.ops.Sort", wants=in_order)
def sort(x: Value, *, axis: int = -1) -> Expr:
    """The values of torch.sort."""
    return call("torch.sort", x, dim=x.dim(axis))[0]
