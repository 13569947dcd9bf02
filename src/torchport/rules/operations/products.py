"""Products of matrices and tensors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.bound import size
from torchport.rules.constants import shape_of
from torchport.rules.dtypes import is_complex, is_float
from torchport.rules.operations.operands import buffer, promoted
from torchport.rules.sizes import broadcast, product, size_of
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Among, Onto, Reading, Whole, lookup


def multiplied(*xs: Any) -> str:
    """The dtype of a product of matrices. Raises Unsupported for numbers that wrap or saturate otherwise."""
    found = promoted(*xs)
    if not (is_float(found) or is_complex(found) or found in ("int32", "int64")):
        raise Unsupported(f"of {found} values", "cast them to int32 or float32 first")
    return found


def matmul_shape(x1: Any, x2: Any) -> Shape:
    left, right = shape_of(x1), shape_of(x2)
    if not left or not right:
        raise Unsupported("a product with a number", "multiply by it")
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()  # a vector has none
    return (*broadcast(left[:-2], right[:-2]), *rows, *columns)


def matmul_products(x1: Any, x2: Any, *, out: Tensor) -> int:
    return size(out.shape[1:]) * (shape_of(x1)[-1] or 1)


@rule(
    "keras.ops.Matmul", wants=SOURCE, shape=matmul_shape, dtype=multiplied, value="product",
    products=matmul_products,
)  # fmt: skip
def matmul(x1: Any, x2: Any) -> Expr:
    """a @ b; of vectors as torch has it too."""
    return Infix("@", buffer(x1, "matrix"), buffer(x2, "matrix"))


def contracted(x1: Any, x2: Any, axes: Any) -> tuple[list[int], list[int]]:
    """The axes that are summed over."""
    first, second = len(shape_of(x1)), len(shape_of(x2))
    if isinstance(axes, int):
        return list(range(first - axes, first)), list(range(axes))
    left, right = ([it] if isinstance(it, int) else list(it) for it in axes)
    return [it % first for it in left], [it % second for it in right]


def tensordot_shape(x1: Any, x2: Any, *, axes: Any) -> Shape:
    left, right = contracted(x1, x2, axes)
    rest = [size for at, size in enumerate(shape_of(x1)) if at not in left]
    return (*rest, *(size for at, size in enumerate(shape_of(x2)) if at not in right))


def tensordot_products(x1: Any, x2: Any, *, out: Tensor, axes: Any) -> int:
    left, _ = contracted(x1, x2, axes)
    return size(out.shape[1:]) * size([shape_of(x1)[at] for at in left])


@rule(
    "keras.ops.Tensordot", wants=SOURCE, shape=tensordot_shape, dtype=multiplied, products=tensordot_products
)
def tensordot(x1: Any, x2: Any, *, axes: Any = 2) -> Expr:
    """torch.tensordot; a product of matrices where it is one."""
    left, right = contracted(x1, x2, axes)
    first, second = buffer(x1, "matrix"), buffer(x2, "matrix")
    if len(shape_of(x2)) == 2 and (left, right) == ([len(shape_of(x1)) - 1], [0]):
        return Infix("@", first, second)
    return call("torch.tensordot", first, second, dims=(left, right))


def dot_axes(x1: Any, x2: Any) -> tuple[list[int], list[int]]:
    return [len(shape_of(x1)) - 1], [max(len(shape_of(x2)) - 2, 0)]


def dot_shape(x1: Any, x2: Any) -> Shape:
    return tensordot_shape(x1, x2, axes=dot_axes(x1, x2))


@rule("keras.ops.Dot", wants=SOURCE, shape=dot_shape, dtype=multiplied, products=matmul_products)
def dot(x1: Any, x2: Any) -> Expr:
    """torch.tensordot."""
    return tensordot(x1, x2, axes=dot_axes(x1, x2))  # type: ignore[no-any-return]


def terms(subscripts: str, xs: Sequence[Any]) -> tuple[list[str], str]:
    """An equation's inputs and output in letters alone: those of an ellipsis are new ones."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    given, ranks = left.split(","), [len(shape_of(x)) for x in xs]
    if not re.fullmatch(r"[A-Za-z,.]*->[A-Za-z.]*", f"{left}->{right}") or len(given) != len(xs):
        raise Unsupported(f"{subscripts!r} of {len(xs)} tensors", "letters, or one ellipsis each, are ported")
    free = [it for it in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if it not in text]
    counts = [
        rank - len(it.replace("...", "")) if "..." in it else 0 for it, rank in zip(given, ranks, strict=True)
    ]
    if min(counts) < 0 or max(counts) > len(free):
        raise Unsupported(f"{subscripts!r} of tensors with {ranks} axes")
    ellipsis = "".join(free[: max(counts)])[::-1]
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = ellipsis + "".join(sorted(it for it in set(letters) if letters.count(it) == 1))
    given = [
        it.replace("...", ellipsis[len(ellipsis) - count :] if count else "")
        for it, count in zip(given, counts, strict=True)
    ]
    if [len(it) for it in given] != ranks:
        raise Unsupported(f"{subscripts!r} of tensors with {ranks} axes")
    return given, right.replace("...", ellipsis)


def einsum_sizes(given: Sequence[str], xs: Sequence[Any]) -> dict[str, int | None]:
    """The size of each letter; what is broadcast has 1 in one place, and another in one more."""
    sizes: dict[str, int | None] = {}
    for it, x in zip(given, xs, strict=True):
        for letter, own in zip(it, shape_of(x), strict=True):
            if sizes.get(letter) in (None, 1):
                sizes[letter] = own
    return sizes


def einsum_shape(*xs: Any, subscripts: str) -> Shape:
    given, right = terms(subscripts, xs)
    sizes = einsum_sizes(given, xs)
    return tuple(sizes[letter] for letter in right)


def einsum_products(*xs: Any, out: Tensor, subscripts: str) -> int | None:
    """Of two tensors; of more it depends on which are multiplied first."""
    given, right = terms(subscripts, xs)
    if len(xs) != 2:
        return None if len(xs) > 2 else 0
    sizes = einsum_sizes(given, xs) | dict(zip(right, out.shape, strict=True))
    return size([it for letter, it in sizes.items() if letter != right[:1]])


def einsum_reads(*xs: Any, subscripts: str) -> list[dict[int, Reading]]:
    """An axis whose letter the output has is that of it; of another all is summed."""
    given, right = terms(subscripts, xs)
    return [
        {at: Onto(right.index(letter)) if letter in right and it.count(letter) == 1 else Whole()
         for at, (letter, size) in enumerate(zip(it, x.shape, strict=True)) if size != 1}
        for it, x in zip(given, xs, strict=True) if isinstance(x, Tensor)
    ]  # fmt: skip


@rule(
    "keras.ops.Einsum", wants=SOURCE, shape=einsum_shape, dtype=multiplied, products=einsum_products,
    reads=einsum_reads,
)  # fmt: skip
def einsum(*xs: Any, subscripts: str) -> Expr:
    """torch.einsum."""
    given, right = terms(subscripts, xs)
    operands = [buffer(x, f"operand{at}") for at, x in enumerate(xs)]
    return call("torch.einsum", f"{','.join(given)}->{right}", *operands)


def inner_shape(x1: Tensor, x2: Tensor) -> Shape:
    return (*x1.shape[:-1], *x2.shape[:-1])


@rule("keras.ops.Inner", wants=SOURCE, shape=inner_shape, dtype=multiplied, products=matmul_products)
def inner(x1: Value, x2: Value) -> Expr:
    """torch.inner."""
    return call("torch.inner", x1, x2)


def outer_shape(x1: Tensor, x2: Tensor) -> Shape:
    return (product(x1.shape), product(x2.shape))


def flat_reads(x1: Tensor, x2: Tensor) -> list[dict[int, Reading]]:
    """Of values that are laid in a row, one of each."""
    row = Among("one {0}: all values are in one row")
    return [
        {0: Onto(side)} if len(x.shape) == 1 else dict.fromkeys(range(len(x.shape)), row)
        for side, x in enumerate((x1, x2))
    ]


def kron_reads(x1: Tensor, x2: Tensor) -> list[dict[int, Reading]]:
    """A step of the output is a step of the first for each of the second."""
    first: dict[int, Reading] = {}
    second: dict[int, Reading] = {}
    for at in range(1, len(x1.shape)):
        n = size_of(x2, at)
        steps = range(size_of(x1, at) * n)
        first[at] = Onto(at, lookup((it // n for it in steps), f"its {{0}} // {n}"))
        second[at] = Onto(at, lookup((it % n for it in steps), f"its {{0}} mod {n}"))
    return [first, second]


@rule("keras.ops.Outer", wants=SOURCE, shape=outer_shape, dtype=promoted, reads=flat_reads)
def outer(x1: Value, x2: Value) -> Expr:
    """torch.outer of all numbers."""
    return call("torch.outer", *(it if it.rank == 1 else call(".flatten", it) for it in (x1, x2)))


def scalar(x1: Tensor, x2: Tensor) -> Shape:
    return ()


def all_products(x1: Tensor, x2: Tensor) -> int:
    return size(x1.shape[1:])


@rule("keras.ops.Vdot", wants=SOURCE, shape=scalar, dtype=promoted, products=all_products)
def vdot(x1: Value, x2: Value) -> Expr:
    """The sum of all products."""
    return call("torch.dot", call(".flatten", x1), call(".flatten", x2))


def kron_shape(x1: Tensor, x2: Tensor) -> Shape:
    if len(x1.shape) != len(x2.shape):
        raise Unsupported("of tensors with different numbers of axes")
    pairs = zip(x1.shape, x2.shape, strict=True)
    return tuple(map(product, pairs))


@rule("keras.ops.Kron", wants=SOURCE, shape=kron_shape, dtype=promoted, reads=kron_reads)
def kron(x1: Value, x2: Value) -> Expr:
    """torch.kron."""
    return call("torch.kron", x1, x2)


def distances_shape(x1: Tensor, x2: Tensor) -> Shape:
    return (*broadcast(x1.shape[:-2], x2.shape[:-2]), x1.shape[-2], x2.shape[-2])


@rule("keras.ops.CDist", wants=SOURCE, shape=distances_shape, dtype=promoted)
def cdist(x1: Value, x2: Value) -> Expr:
    """torch.cdist, of differences: products of matrices are faster, and far less exact."""
    return call("torch.cdist", x1, x2, compute_mode="donot_use_mm_for_euclid_dist")
