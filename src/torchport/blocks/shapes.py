"""What a block's docstring says of shapes, in terms of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.axis import LETTERS
from torchport.blocks.block import Block
from torchport.blocks.parameters import Parameter
from torchport.infer.probes import UNIT
from torchport.program import Spec
from torchport.shapes import SLACK


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
    """One tensor's shape over all uses. `seen`: sizes that an axis name stands for already."""
    axes = [" * ".join(axis.atoms) for axis in specs[0].axes]
    if any(len(it.shape) != len(axes) for it in specs):
        return "(...)"
    words = []
    for at, axis in enumerate(axes):
        column = [it.probe[at] for it in specs]
        words.append(_size(axis, column, parameters, seen))
    return f"({', '.join(words)}) {specs[0].numbers}".rstrip()


def _size(axis: str, column: list[Any], parameters: Sequence[Parameter], seen: dict[str, list[Any]]) -> str:
    if axis == "n":
        return "n"
    if axis == "c":
        return _channels(column, parameters)
    if set(column) == {1} or (axis in LETTERS and len(set(column)) == 1 and None not in column):
        return str(column[0])
    if axis not in seen:
        seen[axis] = column
        return axis
    first = seen[axis]
    if None not in column and column == first:
        return axis
    stride = next((it.values for it in parameters if it.name == "stride"), None)
    triples = [it for it in zip(column, first, stride or (), strict=False) if None not in it]
    if triples and all(isinstance(s, int) and -(-b // s) == a for a, b, s in triples):
        return f"{axis} / stride"
    pairs = [(a, b) for a, b in zip(column, first, strict=True) if a is not None and b is not None]
    for ratio in (2, 3, 4, 8, 16, 32):
        if pairs and all(a == b * ratio for a, b in pairs):
            return f"{ratio} * {axis}"
        if pairs and all(_is_part(a, b, ratio) for a, b in pairs):
            return f"{axis} / {ratio}"
    return f"{axis}'"


def _is_part(size: int, whole: int, ratio: int) -> bool:
    """Whether a size is that part of another, but for a rest, or what a window takes of a large one."""
    return size in (whole // ratio, -(-whole // ratio)) or (
        size > UNIT // 2 and abs(ratio * size - whole) <= ratio * SLACK
    )


def _channels(column: list[Any], parameters: Sequence[Parameter]) -> str:
    """How many channels: a number, a parameter, a multiple of one, or so many more."""
    if len(set(column)) == 1 and column[0] is not None:
        return str(column[0])
    sizes = [it for it in parameters if all(type(value) is int for value in it.values)]
    for found in sizes:
        if list(found.values) == column:
            return found.name
    for found in sizes:
        pairs = list(zip(column, found.values, strict=True))
        ratios = {ours / theirs if ours and theirs else 0 for ours, theirs in pairs}
        more = {ours - theirs if ours else 0 for ours, theirs in pairs}
        if len(ratios) == 1 and (ratio := ratios.pop()) > 1 and ratio == int(ratio):
            return f"{int(ratio)} * {found.name}"
        if len(more) == 1 and "channels" in found.name and (number := more.pop()) > 0:
            return f"{found.name} + {number}"
    return "c"
