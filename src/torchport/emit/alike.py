"""Classes of the user's own that differ in numbers alone are one class, whose constructor takes the numbers.

before:  class Block: self.fc = nn.Linear(8, 16)        class Block2: self.fc = nn.Linear(16, 4)
after:   class Block: __init__(self, in_features: int, out_features: int);  Block(8, 16), Block(16, 4)

What differs in `forward` keeps its class: sizes that it reads are its own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: What torch calls the first arguments of a constructor; "" for one that has no good name.
ARGUMENTS = {
    **dict.fromkeys(("nn.Linear", "nn.LazyLinear"), ("in_features", "out_features")),
    **{f"nn.{kind}{rank}d": ("in_channels", "out_channels", "kernel_size")
       for kind in ("Conv", "ConvTranspose") for rank in (1, 2, 3)},
    **{f"nn.BatchNorm{rank}d": ("channels",) for rank in (1, 2, 3)},
    "nn.LayerNorm": ("features",), "nn.GroupNorm": ("groups", "channels"), "nn.Dropout": ("dropout",),
    "nn.Embedding": ("tokens", "features"),
}  # fmt: skip
#: So many numbers a constructor may take.
MOST = 6
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])")


@dataclass(frozen=True)
class Number:
    """A number in a line of a constructor: where it stands, and what torch calls it."""

    line: int
    start: int
    end: int
    value: Any
    role: str


@dataclass(frozen=True)
class Shared:
    """The text that some classes share: parameters with their annotations, constructor lines, docstring."""

    parameters: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    shapes: str


def shared(
    constructors: Sequence[Sequence[str]], shapes: Sequence[str], told: Mapping[str, Sequence[str]]
) -> tuple[Shared, list[tuple[Any, ...]]] | None:
    """One text for several constructors, and the numbers of each; None where more than numbers differs.

    `shapes`: what their docstrings say. `told`: the parameters of classes that are called in them, by name.
    """
    found = [[*numbers(lines, told)] for lines in constructors]
    plain = {blanked(lines, those) for lines, those in zip(constructors, found, strict=True)}
    if len(plain) != 1 or len({tuple(it.role for it in those) for those in found}) != 1:
        return None
    columns = [tuple(those[at].value for those in found) for at in range(len(found[0]))]
    names: dict[tuple[Any, ...], str] = {}
    for at, column in enumerate(columns):
        if len(set(column)) > 1 and column not in names:
            names[column] = free(found[0][at].role, names.values())
    if len(names) > MOST:
        return None
    lines = [*constructors[0]]
    for it, column in reversed([*zip(found[0], columns, strict=True)]):
        if column in names:
            lines[it.line] = lines[it.line][: it.start] + names[column] + lines[it.line][it.end :]
    kinds = {column: "float" if any(isinstance(it, float) for it in column) else "int" for column in names}
    parameters = tuple((name, kinds[column]) for column, name in names.items())
    values = [tuple(column[at] for column in names) for at in range(len(constructors))]
    return Shared(parameters, tuple(lines), described(shapes, names)), values


def numbers(lines: Sequence[str], told: Mapping[str, Sequence[str]]) -> Iterator[Number]:
    """The numbers in the lines of a constructor, in their order."""
    for at, line in enumerate(lines):
        found = []
        if not line.startswith("self."):  # what freezes weights: a loop
            continue
        for node in ast.walk(ast.parse(line)):
            if isinstance(node, ast.Call):
                callee = ast.unparse(node.func)
                names = told.get(callee) or ARGUMENTS.get(callee, ())
                places = [(names[i] if i < len(names) else "size", arg) for i, arg in enumerate(node.args)]
                for role, value in [*places, *((it.arg or "size", it.value) for it in node.keywords)]:
                    kind = type(value.value) if isinstance(value, ast.Constant) else None
                    if isinstance(value, ast.Constant) and kind in (int, float):
                        end = value.end_col_offset or 0
                        found.append(Number(at, value.col_offset, end, value.value, role or "size"))
        yield from sorted(found, key=lambda it: it.start)


def blanked(lines: Sequence[str], found: Sequence[Number]) -> tuple[str, ...]:
    """Lines without those numbers."""
    made = [*lines]
    for it in reversed(found):
        made[it.line] = made[it.line][: it.start] + "#" + made[it.line][it.end :]
    return tuple(made)


def described(shapes: Sequence[str], names: Mapping[tuple[Any, ...], str]) -> str:
    """Shapes as all say them: a number that is a parameter by its name, another that differs by its axis."""
    if len(set(shapes)) == 1:
        return shapes[0]
    parts = [NUMBER.split(it) for it in shapes]
    if any(it != parts[0] for it in parts):
        return ""
    columns = [*zip(*(NUMBER.findall(it) for it in shapes), strict=True)]
    by_text = {tuple(map(str, column)): name for column, name in names.items()}
    texts = [column[0] if len(set(column)) == 1 else by_text.get(column, "") for column in columns]
    at, seen = 0, dict[str, tuple[str, ...]]()
    pieces = []
    for tensor in re.split(r"(?<=\))", "#".join(parts[0])):
        count = tensor.count("#")
        own, at = range(at, at + count), at + count
        letters = iter(axes(tensor, sum(not texts[it] for it in own)))
        for it in own:
            tensor = tensor.replace("#", texts[it] or sized(next(letters), columns[it], seen), 1)
        pieces.append(tensor)
    return "".join(pieces)


def axes(tensor: str, count: int) -> Sequence[str]:
    """What the axes of a tensor are called of which so many differ: `(n, #, #, #)`."""
    rank = tensor.rpartition("(")[2].count(",") + 1
    known = {(4, 2): "hw", (4, 3): "chw", (3, 1): "t", (3, 2): "ct", (2, 1): "c", (5, 3): "dhw"}
    return known.get((rank, count), ["..."] * count)


def sized(axis: str, column: tuple[str, ...], seen: dict[str, tuple[str, ...]]) -> str:
    """A size by the name of its axis, or as a part of what that stands for already."""
    first = seen.setdefault(axis, column)
    if axis == "..." or first == column:
        return axis
    pairs = [(float(own), float(whole)) for own, whole in zip(column, first, strict=True)]
    for ratio in (2, 4, 8):
        if all(own * ratio == whole for own, whole in pairs):
            return f"{axis} / {ratio}"
        if all(own == whole * ratio for own, whole in pairs):
            return f"{ratio} * {axis}"
    return f"{axis}'"


def free(role: str, taken: Any) -> str:
    """A parameter's name: what torch calls it, with a number where that is taken."""
    name, at = role, 1
    while name in taken:
        at += 1
        name = f"{role}{at}"
    return name
