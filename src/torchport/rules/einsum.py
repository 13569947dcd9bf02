"""EinsumDense: a product that letters describe."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load, State, call, module
from torchport.rules.bound import size
from torchport.rules.broadcast import check_bias
from torchport.rules.facts import KERNEL
from torchport.rules.table import SOURCE, Value, rule


def terms(equation: str, rank: int) -> tuple[str, str, str]:
    """Letters of the input, the kernel and the output; an ellipsis at one end becomes letters."""
    found = re.fullmatch(r"([a-zA-Z.]+),([a-zA-Z]+)->([a-zA-Z.]+)", equation.replace(" ", ""))
    if found is None or not _has_axes_alike(found[1], found[3]):
        raise Unsupported(f"equation={equation!r}: letters, or an ellipsis at one end, are ported")
    letters = [it for it in "nmlkjihgfABCDEFGH" if it not in equation]
    free = "".join(letters[: rank - len(found[1].replace(".", ""))])
    left, kernel, right = (it.replace("...", free) for it in (found[1], found[2], found[3]))
    if len(left) != rank or any(len(set(it)) != len(it) for it in (left, kernel, right)):
        raise Unsupported(f"equation={equation!r} of a tensor with {rank} axes")
    return left, kernel, right


def _has_axes_alike(left: str, right: str) -> bool:
    """Whether an ellipsis stands at the start of both, at the end of both, or nowhere."""
    shape = r"(\.\.\.)?[a-zA-Z]+(\.\.\.)?"
    ends = [it.groups() for it in (re.fullmatch(shape, left), re.fullmatch(shape, right)) if it is not None]
    return len(ends) == 2 and ends[0] == ends[1] and None in ends[0]


def sizes(x: Tensor | Value, equation: str, output_shape: Any) -> dict[str, int | None]:
    """The size of each axis by its letter."""
    left, _, right = terms(equation, len(x.shape))
    given = [output_shape] if isinstance(output_shape, int) else list(output_shape)
    if equation.rstrip().endswith("..."):  # then what is given follows the batch, and is what the letters say
        found = dict(zip(right[1:], given, strict=False))
    else:
        found = dict(zip(right[::-1], given[::-1], strict=False))
    return {**found, **dict(zip(left, x.shape, strict=True))}


def einsum_shape(x: Tensor, *, equation: str, output_shape: Any) -> Shape:
    known = sizes(x, equation, output_shape)
    return tuple(known.get(it) for it in terms(equation, len(x.shape))[2])


def bias_of(x: Tensor | Value, equation: str, output_shape: Any, bias_axes: str) -> tuple[int, ...]:
    """The bias's shape, from its first axis on. Source: einsum_dense.py, _analyze_split_string."""
    known, right = sizes(x, equation, output_shape), terms(equation, len(x.shape))[2]
    first = min(map(right.index, bias_axes))
    return tuple(known[it] or 0 if it in bias_axes else 1 for it in right[first:])


def einsum_weights(
    x: Tensor, *, equation: str, output_shape: Any, bias_axes: str | None
) -> Mapping[str, Shape]:
    known, kernel = sizes(x, equation, output_shape), terms(equation, len(x.shape))[1]
    if any(known.get(it) is None for it in kernel):
        raise Unsupported("a size of its kernel is not known")
    bias = {"bias": bias_of(x, equation, output_shape, bias_axes)} if bias_axes else {}
    return {"kernel": tuple(known[it] for it in kernel), **bias}


def einsum_products(x: Tensor, *, equation: str, output_shape: Any) -> int:
    """One for each of all letters' steps, those of the batch aside."""
    left, kernel, _ = terms(equation, len(x.shape))
    known = sizes(x, equation, output_shape)
    return size([known[it] for it in {*left[1:], *kernel}])


@rule(
    "EinsumDense", wants=SOURCE, shape=einsum_shape, weights=einsum_weights, activation=True,
    ignores="quantization_config gptq_unpacked_column_size", linear=KERNEL,
    products=einsum_products,
)  # fmt: skip
def einsum_dense(
    x: Value, *, out: Value, equation: str, output_shape: Any, bias_axes: str | None = None,
    dialect: str = "",
) -> Expr:  # fmt: skip
    """nn.Linear where it is one, its new axes split off; else torch.einsum with a parameter."""
    if bias_axes:
        check_bias(out.shape, bias_of(x, equation, output_shape, bias_axes), dialect)
    left, kernel, right = terms(equation, x.rank)
    known = sizes(x, equation, output_shape)
    summed = [it for it in left if it not in right]
    kept, new = left[: len(left) - len(summed)], [it for it in right if it not in left]
    plain = (
        left == kept + "".join(summed) and right == kept + "".join(new) and summed and new
        and sorted(kernel) == sorted([*summed, *new]) and (not bias_axes or sorted(bias_axes) == sorted(new))
    )  # fmt: skip
    if plain:
        counts = {it: known[it] or 0 for it in (*summed, *new)}
        inside, outside = (math.prod(counts[it] for it in letters) for letters in (summed, new))
        pattern = f"{' '.join(kernel)} -> {group(new)} {group(summed)}"
        loads = {"weight": Load.of("kernel", pattern, **merged(counts, new, summed))}
        if bias_axes:
            loads["bias"] = Load.of("bias", f"{' '.join(new)} -> {group(new)}", **merged(counts, new))
        linear = module("nn.Linear", inside, outside, bias=None if bias_axes else False, loads=loads)
        read: Any = call("torch.flatten", x, x.rank - len(summed)) if len(summed) > 1 else x
        made = linear(read)
        return call(".unflatten", made, -1, tuple(counts[it] for it in new)) if len(new) > 1 else made
    shape = tuple(known[it] or 0 for it in kernel)
    names = " ".join(kernel)
    weight = State("kernel", Load.of("kernel", f"{names} -> {names}"), shape)
    result: Expr = call("torch.einsum", f"{left},{kernel}->{right}", x, weight)
    if not bias_axes:
        return result
    full = bias_of(x, equation, output_shape, bias_axes)
    axes = " ".join("1" if size == 1 else f"b{at}" for at, size in enumerate(full))
    return result + State("bias", Load.of("bias", f"{axes} -> {axes}"), full)


def group(letters: Sequence[str]) -> str:
    return letters[0] if len(letters) == 1 else f"({' '.join(letters)})"


def merged(counts: Mapping[str, int], *groups: Sequence[str]) -> dict[str, int]:
    """Sizes of the axes that a pattern merges, without which there is no way back."""
    return {it: counts[it] for letters in groups if len(letters) > 1 for it in letters}
