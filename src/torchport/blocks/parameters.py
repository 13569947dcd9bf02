"""What differs between the uses of a block becomes its constructor's parameters.

A number that is the same in all uses stays inside. Numbers that are always equal share one parameter; one
that is always a multiple of another is written so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torchport.blocks.nodes import ABSENT
from torchport.program import Code

Column = tuple[Any, ...]

#: Parameters that come first and without a name at the call.
POSITIONAL = ("in_channels", "hidden_channels", "out_channels", "in_features", "hidden_features",
              "out_features", "channels", "kernel_size")  # fmt: skip

#: Numbers that are no parameter of their own if they follow from another.
RATIOS = (2, 3, 4, 6, 8)


#: Conditions that people write for parts that are there or not.
CONDITIONS = (
    "stride == 1 and in_channels == out_channels",
    "in_channels == out_channels",
    "in_channels != out_channels",
    "stride == 1",
    "stride != 1",
    "stride != 1 or in_channels != out_channels",
    "in_channels != hidden_channels",
    "in_channels != 4 * hidden_channels",
)


@dataclass(frozen=True)
class Parameter:
    """One constructor parameter: its name, its value in every use, and its default if it has one."""

    name: str
    values: Column
    default: Any = ABSENT

    @property
    def annotation(self) -> str:
        kinds = {type(it) for it in self.values if it is not ABSENT}
        if kinds <= {bool}:
            return "bool"
        if kinds <= {int}:
            return "int"
        if kinds <= {int, float}:
            return "float"
        if tuple in kinds and kinds <= {int, tuple}:
            sizes = {len(it) for it in self.values if isinstance(it, tuple)}
            inside = ", ".join(["int"] * sizes.pop()) if len(sizes) == 1 else "int, ..."
            return f"int | tuple[{inside}]" if int in kinds else f"tuple[{inside}]"
        return " | ".join(sorted("None" if it is type(None) else it.__name__ for it in kinds))


class Parameters:
    """The parameters of one block, found one number at a time."""

    def __init__(self, count: int, sizes: Column = ()) -> None:
        """`sizes`: the channels that enter each use, which stand in where a use lacks the first part."""
        self.count, self.sizes = count, sizes
        self.found: list[tuple[str, list[Any]]] = []

    def expression(self, column: Column, name: str) -> Any:
        """What is written for a number: itself if it never differs, else an expression of parameters."""
        known = [it for it in column if it is not ABSENT]
        if not known:
            return 0
        if all(_same(it, known[0]) for it in known):
            return known[0]
        for called, values in self.found:
            if agree(column, values):
                _merge(values, column)
                return Code(called)
        derived = self._derived(column, name)
        if derived:
            return Code(derived)
        called = self._unique(name)
        values = list(column)
        if name.startswith("in_") and self.sizes and agree(column, self.sizes):
            _merge(values, self.sizes)
        self.found.append((called, values))
        return Code(called)

    def _derived(self, column: Column, name: str) -> str | None:
        """The number as a multiple, a fraction or a sum of parameters."""
        if not all(type(it) is int for it in column if it is not ABSENT):
            return None
        for called, values in self.found:
            pairs = [
                (ours, theirs) for ours, theirs in zip(column, values, strict=True) if ours is not ABSENT
            ]
            if any(type(theirs) is not int or theirs == 0 for _, theirs in pairs):
                continue
            if name == "padding" and called.startswith("kernel_size"):
                if all(ours == theirs // 2 for ours, theirs in pairs):
                    return f"{called} // 2"
                continue
            if called.startswith(("kernel_size", "stride", "padding", "dilation", "groups")):
                continue
            if len({theirs for _, theirs in pairs}) < 2:
                continue
            for ratio in RATIOS:
                if all(ours == ratio * theirs for ours, theirs in pairs):
                    return f"{ratio} * {called}"
                if all(ours * ratio == theirs for ours, theirs in pairs):
                    return f"{called} // {ratio}"
            differences = {ours - theirs for ours, theirs in pairs}
            if len(pairs) > 2 and len(differences) == 1:
                (difference,) = differences
                return f"{called} + {difference}" if difference > 0 else f"{called} - {-difference}"
        for at, (one, left) in enumerate(self.found):
            for other, right in self.found[at:]:
                triples = list(zip(column, left, right, strict=True))
                known = [it for it in triples if it[0] is not ABSENT]
                if all(type(a) is int and type(b) is int for _, a, b in known) and len(known) > 2:
                    if (
                        all(ours == a + b for ours, a, b in known)
                        and "channels" in one
                        and "channels" in other
                    ):
                        return f"{one} + {other}" if one != other else f"2 * {one}"
        return None

    def has(self, name: str) -> bool:
        return any(called == name for called, _ in self.found)

    def _unique(self, name: str) -> str:
        taken = {called for called, _ in self.found}
        if name not in taken:
            return name
        number = 2
        while f"{name}{number}" in taken:
            number += 1
        return f"{name}{number}"

    def flag(self, column: Sequence[bool], name: str) -> Code:
        """A condition that tells the uses that have a part: one of the parameters, or a flag of its own."""
        if all(column):
            return Code("True")
        for text in CONDITIONS:
            values = [self._test(text, at) for at in range(self.count)]
            if values == list(column):
                return Code(text)
        called = self._unique(name)
        self.found.append((called, list(column)))
        return Code(called)

    def _test(self, text: str, at: int) -> bool | None:
        """What a condition of this module's list says of one use; None if it names no parameter of ours."""
        named = {called: values[at] for called, values in self.found}
        try:
            return bool(eval(text, {"__builtins__": {}}, named))
        except (NameError, TypeError):
            return None

    def finish(self) -> tuple[Parameter, ...]:
        """The parameters in the order of the signature; those that are mostly alike have a default."""
        made = []
        for called, values in self.found:
            there = [it for it in values if it is not ABSENT]
            usual, often = Counter(map(repr, there)).most_common(1)[0]
            default: Any = ABSENT
            if called.startswith("dropout") and len(there) < len(values):
                default = 0.0
            elif not called.rstrip("0123456789").endswith(("channels", "features")) and often * 2 >= len(
                there
            ):
                default = next(it for it in there if repr(it) == usual)
            made.append(Parameter(called, tuple(values), default))
        return tuple(sorted(made, key=_place))


def _place(parameter: Parameter) -> tuple[bool, int]:
    names = [it for it in POSITIONAL if parameter.name.startswith(it)]
    return parameter.default is not ABSENT, POSITIONAL.index(names[0]) if names else len(POSITIONAL)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def agree(column: Sequence[Any], values: Sequence[Any]) -> bool:
    """Whether two columns are the same number wherever both are there, and somewhere both are."""
    pairs = [
        (one, other) for one, other in zip(column, values, strict=True)
        if one is not ABSENT and other is not ABSENT
    ]  # fmt: skip
    return bool(pairs) and all(_same(one, other) for one, other in pairs)


def _merge(values: list[Any], column: Column) -> None:
    for at, it in enumerate(column):
        if values[at] is ABSENT:
            values[at] = it
