"""What a block's docstring says of shapes, in terms of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.blocks.block import Block
from torchport.blocks.parameters import Parameter
from torchport.program import Spec


def docstring(block: Block, parameters: Sequence[Parameter]) -> str:
    """`(n, in_channels, h, w) -> (n, out_channels, h / stride, w / stride)`."""
    seen: dict[str, list[Any]] = {}
    takes = [
        _shape([it.specs[it.reads[at]] for it in block.uses], parameters, seen)
        for at in range(len(block.uses[0].reads))
    ]
    gives = [
        _shape([it.specs[it.writes[at]] for it in block.uses], parameters, seen)
        for at in range(len(block.uses[0].writes))
    ]
    return f"{', '.join(takes)} -> {', '.join(gives)}"


def _shape(specs: Sequence[Spec], parameters: Sequence[Parameter], seen: dict[str, list[Any]]) -> str:
    """One tensor's shape over all uses; `seen`: sizes that an axis name stands for already."""
    axes = specs[0].torch_axes.split()
    if any(len(it.shape) != len(axes) for it in specs):
        return "(...)"
    words = []
    for at, axis in enumerate(axes):
        column = [it.shape[at] for it in specs]
        words.append(_size(axis, column, parameters, seen))
    return f"({', '.join(words)})"


def _size(axis: str, column: list[Any], parameters: Sequence[Parameter], seen: dict[str, list[Any]]) -> str:
    if axis == "n":
        return "n"
    if axis == "c":
        for found in parameters:
            if list(found.values) == column:
                return found.name
        return str(column[0]) if len(set(column)) == 1 and column[0] is not None else "c"
    if axis not in seen:
        seen[axis] = column
        return axis
    first = seen[axis]
    if column == first:
        return axis
    stride = next((it.values for it in parameters if it.name == "stride"), None)
    if stride and all(
        a is None or b is None or (isinstance(s, int) and -(-b // s) == a)
        for a, b, s in zip(column, first, stride, strict=True)
    ):
        return f"{axis} / stride"
    for ratio in (2, 3, 4):
        pairs = [(a, b) for a, b in zip(column, first, strict=True) if a is not None and b is not None]
        if pairs and all(a == b * ratio for a, b in pairs):
            return f"{ratio} * {axis}"
        if pairs and all(a == -(-b // ratio) or a == b // ratio for a, b in pairs):
            return f"{axis} / {ratio}"
    return f"{axis}'"
