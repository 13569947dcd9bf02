"""Products of matrices and tensors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.operations.operands import promoted
from torchport.rules.sizes import broadcast, product
from torchport.rules.table import SOURCE, Value, rule


def matmul_shape(x1: Tensor, x2: Tensor) -> Shape:
    if len(x1.shape) < 2 or len(x2.shape) < 2:
        raise Unsupported("a product with a vector", "give it two matrices")
    return (*broadcast(x1.shape[:-2], x2.shape[:-2]), x1.shape[-2], x2.shape[-1])


@rule("keras.ops.Matmul", wants=SOURCE, shape=matmul_shape, dtype=promoted)
def matmul(x1: Value, x2: Value) -> Expr:
    """a @ b."""
    return Infix("@", x1, x2)


def contracted(x1: Tensor | Value, x2: Tensor | Value, axes: Any) -> tuple[list[int], list[int]]:
    """The axes that are summed over."""
    first, second = len(x1.shape), len(x2.shape)
    if isinstance(axes, int):
        return list(range(first - axes, first)), list(range(axes))
    left, right = ([it] if isinstance(it, int) else list(it) for it in axes)
    return [it % first for it in left], [it % second for it in right]


def tensordot_shape(x1: Tensor, x2: Tensor, *, axes: Any) -> Shape:
    left, right = contracted(x1, x2, axes)
    rest = [size for at, size in enumerate(x1.shape) if at not in left]
    return (*rest, *(size for at, size in enumerate(x2.shape) if at not in right))


@rule("keras.ops.Tensordot", wants=SOURCE, shape=tensordot_shape, dtype=promoted)
def tensordot(x1: Value, x2: Value, *, axes: Any = 2) -> Expr:
    """torch.tensordot."""
    left, right = contracted(x1, x2, axes)
    return call("torch.tensordot", x1, x2, dims=(left, right))


def dot_axes(x1: Tensor | Value, x2: Tensor | Value) -> tuple[list[int], list[int]]:
    return [len(x1.shape) - 1], [max(len(x2.shape) - 2, 0)]


def dot_shape(x1: Tensor, x2: Tensor) -> Shape:
    return tensordot_shape(x1, x2, axes=dot_axes(x1, x2))


@rule("keras.ops.Dot", wants=SOURCE, shape=dot_shape, dtype=promoted)
def dot(x1: Value, x2: Value) -> Expr:
    """torch.tensordot."""
    return call("torch.tensordot", x1, x2, dims=dot_axes(x1, x2))


def terms(subscripts: str, xs: Sequence[Tensor | Value]) -> tuple[list[str], str]:
    """An equation's inputs and output, without blanks; `...` is left out of none."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    if "." in text:
        raise Unsupported(f"{subscripts!r}: an ellipsis", "name all axes")
    if not arrow:
        letters = left.replace(",", "")
        right = "".join(sorted(it for it in set(letters) if letters.count(it) == 1))
    given = left.split(",")
    if len(given) != len(xs) or any(len(it) != len(x.shape) for it, x in zip(given, xs, strict=False)):
        raise Unsupported(f"{subscripts!r} of tensors with {[len(x.shape) for x in xs]} axes")
    if not re.fullmatch(r"[A-Za-z,]*->[A-Za-z]*", f"{left}->{right}"):
        raise Unsupported("its equation has other signs than letters")
    return given, right


def einsum_shape(*xs: Tensor, subscripts: str) -> Shape:
    given, right = terms(subscripts, xs)
    sizes = {
        letter: size
        for it, x in zip(given, xs, strict=True)
        for letter, size in zip(it, x.shape, strict=True)
    }
    return tuple(sizes[letter] for letter in right)


@rule("keras.ops.Einsum", wants=SOURCE, shape=einsum_shape, dtype=promoted)
def einsum(*xs: Value, subscripts: str) -> Expr:
    """torch.einsum."""
    given, right = terms(subscripts, xs)
    return call("torch.einsum", f"{','.join(given)}->{right}", *xs)


def inner_shape(x1: Tensor, x2: Tensor) -> Shape:
    return (*x1.shape[:-1], *x2.shape[:-1])


@rule("keras.ops.Inner", wants=SOURCE, shape=inner_shape, dtype=promoted)
def inner(x1: Value, x2: Value) -> Expr:
    """torch.inner."""
    return call("torch.inner", x1, x2)


def outer_shape(x1: Tensor, x2: Tensor) -> Shape:
    return (product(x1.shape), product(x2.shape))


@rule("keras.ops.Outer", wants=SOURCE, shape=outer_shape, dtype=promoted)
def outer(x1: Value, x2: Value) -> Expr:
    """torch.outer of all numbers."""
    return call("torch.outer", *(it if it.rank == 1 else call(".flatten", it) for it in (x1, x2)))


def scalar(x1: Tensor, x2: Tensor) -> Shape:
    return ()


@rule("keras.ops.Vdot", wants=SOURCE, shape=scalar, dtype=promoted)
def vdot(x1: Value, x2: Value) -> Expr:
    """The sum of all products."""
    return call("torch.dot", call(".flatten", x1), call(".flatten", x2))


def kron_shape(x1: Tensor, x2: Tensor) -> Shape:
    if len(x1.shape) != len(x2.shape):
        raise Unsupported("of tensors with different numbers of axes")
    pairs = zip(x1.shape, x2.shape, strict=True)
    return tuple(map(product, pairs))


@rule("keras.ops.Kron", wants=SOURCE, shape=kron_shape, dtype=promoted)
def kron(x1: Value, x2: Value) -> Expr:
    """torch.kron."""
    return call("torch.kron", x1, x2)


def distances_shape(x1: Tensor, x2: Tensor) -> Shape:
    return (*broadcast(x1.shape[:-2], x2.shape[:-2]), x1.shape[-2], x2.shape[-2])


@rule("keras.ops.CDist", wants=SOURCE, shape=distances_shape, dtype=promoted)
def cdist(x1: Value, x2: Value) -> Expr:
    """torch.cdist, of differences: products of matrices are faster, and far less exact."""
    return call("torch.cdist", x1, x2, compute_mode="donot_use_mm_for_euclid_dist")
