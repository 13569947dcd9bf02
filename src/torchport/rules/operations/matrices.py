"""Operations of linear algebra, and those on diagonals. They work on the last two axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.arguments import default, unless
from torchport.rules.bound import uncounted
from torchport.rules.constants import shape_of
from torchport.rules.dtypes import kept_float
from torchport.rules.operations.operands import buffer
from torchport.rules.operations.reduce import reduced_shape, summed
from torchport.rules.sizes import all_along, all_of_last, axes_of, broadcast, size_of
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Among, Onto, Reading, Whole

#: What they read of a matrix: all of it.
MATRICES = all_of_last(2)


def one(function: str) -> Callable[..., Expr]:
    """The rule of a function of one matrix."""

    def write(x: Value) -> Expr:
        return call(function, x)

    write.__doc__ = f"{function}."
    return write


def number_shape(x: Tensor) -> Shape:
    return x.shape[:-2]


def turned(x: Tensor) -> Shape:
    return (*x.shape[:-2], x.shape[-1], x.shape[-2])


def two_numbers(x: Tensor) -> list[Shape]:
    return [x.shape[:-2]] * 2


rule("keras.ops.Inv", wants=SOURCE, products=uncounted, reads=MATRICES, dtype=kept_float)(
    one("torch.linalg.inv")
)
rule("keras.ops.Det", wants=SOURCE, products=uncounted, shape=number_shape, dtype=kept_float)(
    one("torch.linalg.det")
)
rule("keras.ops.Logdet", wants=SOURCE, products=uncounted, shape=number_shape, dtype=kept_float)(
    one("torch.logdet")
)
rule("keras.ops.Slogdet", wants=SOURCE, products=uncounted, shape=two_numbers, dtype=kept_float)(
    one("torch.linalg.slogdet")
)


@rule("keras.ops.Cholesky", wants=SOURCE, products=uncounted, reads=MATRICES, dtype=kept_float)
def cholesky(x: Value, *, upper: bool = False) -> Expr:
    """torch.linalg.cholesky."""
    return call("torch.linalg.cholesky", x, upper=upper or None)


@rule("keras.ops.CholeskyInverse", wants=SOURCE, products=uncounted, reads=MATRICES, dtype=kept_float)
def cholesky_inverse(x: Value, *, upper: bool = False) -> Expr:
    """torch.cholesky_inverse."""
    return call("torch.cholesky_inverse", x, upper=upper or None)


def solved_shape(a: Tensor, b: Tensor) -> Shape:
    return b.shape


def solved(function: str, a: Value, b: Value, **options: Any) -> Expr:
    """A function of a matrix and one or, in a batch, several right sides: torch wants columns."""
    if b.rank == a.rank - 1:
        return call(".squeeze", call(function, a, call(".unsqueeze", b, -1), **options), -1)
    return call(function, a, b, **options)


def solved_reads(a: Tensor, b: Tensor) -> list[dict[int, Reading]]:
    """All of the matrix, and of its own right side."""
    rank = len(a.shape)
    whole: dict[int, Reading] = {at: Whole(keeps=True) for at in (rank - 2, rank - 1)}
    side: dict[int, Reading] = {rank - 2: Whole(keeps=True)}
    return [whole, {**side, rank - 1: Onto(rank - 1)} if len(b.shape) == rank else side]


@rule(
    "keras.ops.Solve",
    wants=SOURCE,
    products=uncounted,
    reads=solved_reads,
    shape=solved_shape,
    dtype=kept_float,
)
def solve(a: Value, b: Value) -> Expr:
    """torch.linalg.solve."""
    return solved("torch.linalg.solve", a, b)


@rule(
    "keras.ops.SolveTriangular",
    wants=SOURCE,
    products=uncounted,
    reads=solved_reads,
    shape=solved_shape,
    dtype=kept_float,
)
def solve_triangular(a: Value, b: Value, *, lower: bool = False) -> Expr:
    """torch.linalg.solve_triangular."""
    return solved("torch.linalg.solve_triangular", a, b, upper=not lower)


def qr_shape(x: Tensor, *, mode: str) -> list[Shape]:
    *batch, rows, columns = x.shape
    if rows is None or columns is None:
        raise Unsupported("of a matrix whose sizes are not known")
    inner = rows if mode == "complete" else min(rows, columns)
    return [(*batch, rows, inner), (*batch, inner, columns)]


@rule(
    "keras.ops.Qr",
    wants=SOURCE,
    products=uncounted,
    reads=MATRICES,
    shape=qr_shape,
    dtype=kept_float,
    only={"mode": ("reduced", "complete")},
)
def qr(x: Value, *, mode: str = "reduced") -> Expr:
    """torch.linalg.qr: by Householder's reflections, as TensorFlow, so that signs are the same.

    Source: Eigen's makeHouseholder and LAPACK's larfg both give the diagonal the sign against the column's.
    """
    return call("torch.linalg.qr", x, mode=default(mode, "reduced"))


def singular_shape(x: Tensor, *, compute_uv: bool) -> Shape:
    if compute_uv:
        raise Unsupported("the signs of singular vectors are free", "compute_uv=False is ported")
    sizes = [size_of(x, axis) for axis in (-2, -1)]
    return (*x.shape[:-2], min(sizes))


@rule(
    "keras.ops.SVD",
    wants=SOURCE,
    products=uncounted,
    reads=MATRICES,
    shape=singular_shape,
    dtype=kept_float,
    ignores="full_matrices",
)
def svd(x: Value, *, compute_uv: bool = True) -> Expr:
    """torch.linalg.svdvals: the values alone."""
    return call("torch.linalg.svdvals", x)


@rule("keras.ops.Pinv", wants=SOURCE, products=uncounted, reads=MATRICES, shape=turned, dtype=kept_float)
def pinv(x: Value, *, rcond: float | None = None) -> Expr:
    """torch.linalg.pinv. TensorFlow takes for zero what is below ten times the larger size times epsilon."""
    return call("torch.linalg.pinv", x, rtol=rcond) if rcond is not None else call("pinv", x)


@rule(
    "keras.ops.MatrixRank",
    wants=SOURCE,
    products=uncounted,
    shape=number_shape,
    dtype="int32",
    only={"tol": (None,)},
    ignores="tol",
)
def matrix_rank(x: Value) -> Expr:
    """torch.linalg.matrix_rank, with the same tolerance."""
    return call("torch.linalg.matrix_rank", x)


def least_squares_shape(a: Tensor, b: Tensor) -> Shape:
    if len(a.shape) != 2 or len(b.shape) not in (1, 2):
        raise Unsupported("of a batch of matrices", "Keras has it for one matrix alone")
    return (a.shape[1], *b.shape[1:])


@rule(
    "keras.ops.Lstsq",
    wants=SOURCE,
    products=uncounted,
    reads=MATRICES,
    shape=least_squares_shape,
    dtype=kept_float,
)
def lstsq(a: Value, b: Value, *, rcond: float | None = None) -> Expr:
    """The pseudo-inverse times b, as Keras: with a cut at epsilon times the larger size."""
    return Infix("@", call("torch.linalg.pinv", a, rtol=rcond), b)


def diagonal_length(x: Tensor, offset: int, axis1: int, axis2: int) -> int:
    rows, columns = size_of(x, axis1), size_of(x, axis2)
    return max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)


def rest(x: Tensor, axis1: int, axis2: int) -> Shape:
    gone = axes_of([axis1, axis2], len(x.shape))
    return tuple(size for at, size in enumerate(x.shape) if at not in gone)


def diagonal_shape(x: Tensor, *, offset: int, axis1: int, axis2: int) -> Shape:
    return (*rest(x, axis1, axis2), diagonal_length(x, offset, axis1, axis2))


def diagonal_reads(x: Tensor, *, axis1: int, axis2: int) -> dict[int, Reading]:
    """The same place along both; other axes stand before the diagonal."""
    gone = axes_of([axis1, axis2], len(x.shape))
    left = [at for at in range(len(x.shape)) if at not in gone]
    says = Among("one {0}: the diagonal's at its place")
    return {**{at: Onto(left.index(at)) for at in left}, **dict.fromkeys(gone, says)}


@rule("keras.ops.Diagonal", wants=SOURCE, shape=diagonal_shape, reads=diagonal_reads)
def diagonal(x: Value, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Expr:
    """torch.diagonal."""
    return call("torch.diagonal", x, offset=offset or None, dim1=default(axis1, 0), dim2=default(axis2, 1))


def trace_shape(x: Tensor, *, axis1: int, axis2: int) -> Shape:
    return rest(x, axis1, axis2)


def trace_reads(x: Tensor, *, axis1: int, axis2: int) -> dict[int, Reading]:
    gone = axes_of([axis1, axis2], len(x.shape))
    return dict.fromkeys(gone, Among("those {0} that are on the diagonal"))


# Keras itself fails with another offset.
@rule(
    "keras.ops.Trace",
    wants=SOURCE,
    shape=trace_shape,
    dtype=summed,
    only={"offset": (0,)},
    ignores="offset",
    reads=trace_reads,
)
def trace(x: Value, *, axis1: int = 0, axis2: int = 1) -> Expr:
    """The sum of the diagonal."""
    return call(".sum", diagonal(x, axis1=axis1, axis2=axis2), -1)


def diag_shape(x: Tensor, *, k: int) -> Shape:
    if len(x.shape) == 1:
        return (None, None) if x.shape[0] is None else (x.shape[0] + abs(k),) * 2
    return diagonal_shape(x, offset=k, axis1=0, axis2=1)


def diag_reads(x: Tensor) -> dict[int, Reading]:
    return dict.fromkeys(range(len(x.shape)), Among("one {0}: that of the diagonal"))


@rule("keras.ops.Diag", wants=SOURCE, shape=diag_shape, reads=diag_reads)
def diag(x: Value, *, k: int = 0) -> Expr:
    """torch.diag."""
    return call("torch.diag", x, *unless(k, 0))


def diagflat_shape(x: Tensor) -> Shape:
    return (None, None)


@rule("keras.ops.Diagflat", wants=SOURCE, shape=diagflat_shape)
def diagflat(x: Value, *, k: int = 0) -> Expr:
    """torch.diagflat."""
    return call("torch.diagflat", x, *unless(k, 0))


def vander_shape(x: Tensor, *, N: int | None) -> Shape:
    return (x.shape[0], size_of(x, 0) if N is None else N)


@rule("keras.ops.Vander", wants=SOURCE, shape=vander_shape)
def vander(x: Value, *, N: int | None = None, increasing: bool = False) -> Expr:
    """The powers of each number; torch.vander has no gradient."""
    powers = list(range(size_of(x, 0) if N is None else N))
    return Infix("**", x[(slice(None), None)], buffer(powers if increasing else powers[::-1], "powers"))


def related_shape(x: Tensor) -> Shape:
    return (x.shape[0], x.shape[0])


@rule("keras.ops.Corrcoef", wants=SOURCE, shape=related_shape, reads=MATRICES, dtype=kept_float)
def corrcoef(x: Value) -> Expr:
    """torch.corrcoef."""
    if x.rank != 2:
        raise Unsupported("of a tensor with more than two axes")
    return call("torch.corrcoef", x)


def crossed_shape(x1: Any, x2: Any, *, axisa: int, axisb: int, axisc: int, axis: int | None) -> Shape:
    first, second = shape_of(x1), shape_of(x2)
    at = axisa if axis is None else axis
    if axis is None and len({axisa, axisb, axisc}) > 1:
        raise Unsupported("along different axes", "move them to one axis first")
    if first[at] != 3 or second[at] != 3:
        raise Unsupported("of vectors of two numbers", "three are ported")
    return broadcast(first, second)


def crossed_reads(x1: Any, x2: Any, *, axisa: int, axis: int | None) -> list[dict[int, Reading]]:
    others = Among("the two other {0}")
    return [{axisa if axis is None else axis: others} for it in (x1, x2) if isinstance(it, Tensor)]


@rule("keras.ops.Cross", wants=SOURCE, shape=crossed_shape, ignores="axisb axisc", reads=crossed_reads)
def cross(
    x1: Any, x2: Any, *, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Expr:
    """torch.linalg.cross."""
    at = axisa if axis is None else axis
    return call("torch.linalg.cross", buffer(x1, "left"), buffer(x2, "right"), dim=default(at, -1))


@rule("tf.band_part", wants=SOURCE)
def band_part(x: Value, *, num_lower: int, num_upper: int) -> Expr:
    """torch.tril and torch.triu; below zero all is kept."""
    result: Expr = x
    if num_upper >= 0:
        result = call("torch.tril", result, *unless(num_upper, 0))
    if num_lower >= 0:
        result = call("torch.triu", result, *unless(-num_lower, 0))
    return result


def right_shape(matrix: Tensor, rhs: Tensor) -> Shape:
    return rhs.shape


@rule(
    "tf.cholesky_solve", wants=SOURCE, reads=MATRICES, products=uncounted, shape=right_shape, dtype=kept_float
)
def cholesky_solve(chol: Value, rhs: Value) -> Expr:
    """torch.cholesky_solve."""
    return call("torch.cholesky_solve", rhs, chol)


def laid_shape(x: Tensor, *, k: Any) -> Shape:
    if not isinstance(k, int):
        raise Unsupported(f"k={k!r}: one diagonal is ported")
    size = x.shape[-1]
    return (*x.shape[:-1], *[None if size is None else size + abs(k)] * 2)


@rule(
    "tf.diag", wants=SOURCE, shape=laid_shape, ignores="num_rows num_cols padding_value align",
    only={"num_rows": (-1,), "num_cols": (-1,), "padding_value": (0,)},
)  # fmt: skip
def diag_embed(x: Value, *, k: int = 0) -> Expr:
    """torch.diag_embed."""
    return call("torch.diag_embed", x, *unless(k, 0))


def replaced_shape(x: Tensor, diagonal: Any) -> Shape:
    return x.shape


@rule("tf.set_diag", wants=SOURCE, shape=replaced_shape, ignores="align")
def set_diag(x: Value, diagonal: Any, *, k: int = 0) -> Expr:
    """torch.diagonal_scatter."""
    if not isinstance(k, int):
        raise Unsupported(f"k={k!r}: one diagonal is ported")
    given = buffer(diagonal, "diagonal")
    return call("torch.diagonal_scatter", x, given, offset=default(k, 0), dim1=-2, dim2=-1)


def values_shape(x: Tensor) -> Shape:
    return x.shape[:-1]


rule("tf.eigvalsh", wants=SOURCE, products=uncounted, shape=values_shape, dtype=kept_float)(
    one("torch.linalg.eigvalsh")
)
rule("tf.expm", wants=SOURCE, reads=MATRICES, products=uncounted, dtype=kept_float)(
    one("torch.linalg.matrix_exp")
)


def vector_only(x: Tensor) -> Shape:
    if len(x.shape) != 1:
        raise Unsupported("of a tensor with several axes", "tf.linalg.diag is ported")
    return (x.shape[0], x.shape[0])


def matrix_only(x: Tensor) -> Shape:
    if len(x.shape) != 2:
        raise Unsupported("of a tensor that is no matrix", "tf.linalg.diag_part is ported")
    return (x.shape[0],)


rule("tf.tensor_diag", wants=SOURCE, shape=vector_only)(one("torch.diag"))
rule("tf.tensor_diag_part", wants=SOURCE, shape=matrix_only)(one("torch.diag"))


def normed_shape(x: Tensor, *, axis: Any) -> list[Shape]:
    return [x.shape, reduced_shape(x, axis=axis, keepdims=True)]


@rule("tf.normalize", wants=SOURCE, reads=all_along, shape=normed_shape, dtype=kept_float, ignores="keepdims")
def normalize(x: Value, *, ord: Any = None, axis: Any = None) -> Expr:
    """x over its norm, and that norm."""
    return call("normalize", x, ord or 2, tuple(axes_of(axis, x.rank)))
