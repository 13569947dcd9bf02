"""Other arguments than those that were watched: flags flipped, counts and widths changed, lists shortened."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: How many other arguments are tried.
TRIED = 10


def variations(
    arguments: Mapping[str, Any], choices: Mapping[str, Sequence[str]] | None = None
) -> Iterator[dict[str, Any]]:
    """Arguments of which one is another, then all that can be at once; the source may refuse them.

    `choices`: the texts that the source compares an argument to.
    """
    changed: dict[str, Any] = {}
    for name, value in arguments.items():
        texts = [it for it in (choices or {}).get(name, ()) if it != value]
        for other in (*others(value), *(texts if isinstance(value, (str, type(None))) else ())):
            changed.setdefault(name, other)
            yield {**arguments, name: other}
    if len(changed) > 1:
        yield {**arguments, **changed}


def choices_of(node: ast.AST) -> dict[str, list[str]]:
    """The texts that a function or class compares names to: `if kind == "add"`, `in ("add", "mean")`."""
    found: dict[str, list[str]] = {}
    for it in ast.walk(node):
        if not isinstance(it, ast.Compare) or len(it.ops) != 1:
            continue
        sides = [it.left, *it.comparators]
        names = [
            ast.unparse(one).removeprefix("self.")
            for one in sides
            if isinstance(one, (ast.Name, ast.Attribute))
        ]
        texts = [
            one.value
            for side in sides
            for one in (side.elts if isinstance(side, (ast.Tuple, ast.List, ast.Set)) else [side])
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        for name in names:
            found.setdefault(name, []).extend(one for one in texts if one not in found.get(name, ()))
    return found


def coupled(
    arguments: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> Iterator[tuple[dict[str, Any], tuple[tuple[int, ...], ...]]]:
    """Another number for a size that arguments and tensors share: `Block(8)` on tensors of 8 channels.

    All whole numbers of that size change, those in lists too.
    """

    def turned(value: Any, old: int, new: int) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(turned(it, old, new) for it in value)
        return new if type(value) is int and value == old else value

    numbers = {it for value in arguments.values() for it in flat(value) if type(it) is int}
    for size in dict.fromkeys(it for shape in shapes for it in reversed(shape[1:]) if it in numbers):
        for other in (smaller(size), size * 2):
            yield (
                {key: turned(it, size, other) for key, it in arguments.items()},
                tuple((it[0], *turned(it[1:], size, other)) if it else it for it in shapes),
            )


def flat(value: Any) -> Iterator[Any]:
    """The entries of nested lists."""
    if isinstance(value, (list, tuple)):
        for it in value:
            yield from flat(it)
    else:
        yield value


def others(value: Any) -> Iterator[Any]:
    """Other values of the same kind."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield smaller(value)
    elif isinstance(value, float):
        yield value + 0.25 if 0 <= value < 0.7 else value * 0.5
    elif isinstance(value, (list, tuple)) and value and all(type(it) is int for it in value):
        yield type(value)(map(smaller, value))
        yield type(value)(value[:-1] if len(value) > 1 else (*value, value[-1]))


def smaller(value: int) -> int:
    """Another whole number: half of an even one that is large, so that both sides run quickly."""
    return value // 2 if value > 7 and value % 2 == 0 else value + 1


def image_sizes(shapes: tuple[tuple[int, ...], ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The same tensors with other channels, and with other sizes of space."""
    if shapes and all(len(it) > 1 for it in shapes):
        yield tuple((*it[:-1], smaller(it[-1])) for it in shapes)
    if any(len(it) > 3 for it in shapes):
        yield tuple((it[0], *map(smaller, it[1:-1]), it[-1]) if len(it) > 3 else it for it in shapes)


def has_defaults(function: Any) -> bool:
    """Whether a function can be called without arguments."""
    found = inspect.signature(function).parameters.values()
    return all(it.default is not it.empty or it.kind in (it.VAR_POSITIONAL, it.VAR_KEYWORD) for it in found)
