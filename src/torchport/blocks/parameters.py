"""What differs between the uses of a block becomes its constructor's parameters.

A number that is the same in all uses stays inside. Numbers that are always equal share one parameter; one
that is always a multiple of another is written so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.blocks.derive import derived, padding_before
from torchport.blocks.nodes import ABSENT, Same
from torchport.program import Code

Column = tuple[Any, ...]

#: Parameters that come first and without a name at the call.
POSITIONAL = ("in_channels", "hidden_channels", "out_channels", "in_features", "hidden_features",
              "out_features", "channels", "features", "kernel_size")  # fmt: skip
#: What enters and leaves a block that gives as many as it takes: it has one name, and comes first.
KEPT = ("channels", "features")

#: Conditions that people write for parts that are there or not.
CONDITIONS = (
    "stride == 1 and in_channels == out_channels",
    "in_channels == out_channels",
    "in_channels != out_channels",
    "stride == 1",
    "stride != 1",
    "stride != 1 or in_channels != out_channels",
    "in_channels != hidden_channels",
    "in_channels != 2 * hidden_channels",
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

    def __init__(self, count: int, sizes: Column = (), given: Column = ()) -> None:
        """`sizes`: the channels that enter each use, which stand in where a use lacks the first part.

        `given`: those that leave it.
        """
        self.count, self.sizes = count, sizes
        #: Whether as many leave each use as enter it: they are `channels`, not `in_channels`.
        self.keeps = sizes == given and len(set(sizes)) > 1 and all(type(it) is int for it in sizes)
        self.conditions = [it.replace("in_channels", self.entering("channels")) for it in CONDITIONS]
        if len(set(given)) == 1 and isinstance(given[0], int):
            self.conditions.append(f"in_channels != {given[0]}")
        self.found: list[tuple[str, list[Any]]] = []
        #: Whether a padding that differs was written `same`: all that keep the size are, from there on.
        self.keeps_written = False
        #: What was written for numbers that follow from parameters.
        self.written: list[tuple[str, Column]] = []
        #: What the constructor has a name for, and its text: `channels = a + b + c`.
        self.locals: list[tuple[Parameter, str]] = []

    def entering(self, stem: str) -> str:
        """What the channels, or features, that enter are called."""
        return stem if self.keeps else f"in_{stem}"

    def expression(self, numbers: Column, name: str) -> Any:
        """What is written for a number: itself if it never differs, else an expression of parameters."""
        keeps = all(isinstance(it, Same) for it in numbers if it is not ABSENT)
        column = tuple(it.padding if isinstance(it, Same) else it for it in numbers)
        known = [it for it in column if it is not ABSENT]
        if not known:
            return 0
        if all(_same(it, known[0]) for it in known):
            return known[0] if len(known) == len(column) else self._of_a_part(column, name, known[0])
        if keeps and self.keeps_written:
            return "same"
        for called, values in self.found:
            if agree(column, values):
                _merge(values, column)
                return Code(called)
        for text, numbers in self.written:  # the first that holds everywhere, not one that holds by chance
            if len(known) < len(column) and agree(column, numbers):
                return Code(text)
        for local, _ in self.locals:
            if agree(column, local.values):
                return Code(local.name)
        follows = derived(column, name, self.found)
        if follows and follows.count("+") > 1:
            self.locals.append((Parameter(self._unique(name), column), follows))
            return Code(self.locals[-1][0].name)
        if follows:
            self.written.append((follows, column))
            return Code(follows)
        if keeps:
            self.keeps_written = True
            return "same"
        called = self._unique(name)
        values = list(column)
        if (name.startswith("in_") or name in KEPT) and self.sizes and agree(column, self.sizes):
            _merge(values, self.sizes)
        self.found.append((called, values))
        return Code(called)

    def _of_a_part(self, column: Column, name: str, value: Any) -> Any:
        """A number that is always the same where a part is there: the parameter of that name, if it agrees.

        A projection of the one use that has it is written for any other as well, its window apart.
        """
        if name.startswith(("kernel_size", "padding", "dilation")):
            return value
        known = next((values for called, values in self.found if called == name), None)
        return value if known is None or not agree(column, known) else Code(name)

    def has(self, name: str) -> bool:
        return any(called == name for called, _ in self.found)

    def _unique(self, name: str) -> str:
        taken = {called for called, _ in self.found} | {local.name for local, _ in self.locals}
        if name not in taken:
            return name
        stem, number = f"{name}_" if name[-1].isdigit() else name, 2
        while f"{stem}{number}" in taken:
            number += 1
        return f"{stem}{number}"

    def flag(self, column: Sequence[bool], name: str) -> Code:
        """A condition that tells the uses that have a part: one of the parameters, or a flag of its own."""
        if all(column):
            return Code("True")
        # what is padded before a convolution depends on its stride
        for text in sorted(self.conditions, key=lambda it: name == "pad" and not it.startswith("stride")):
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

    def paddings(self, names: Collection[str]) -> dict[str, str]:
        """Which of these follow from other parameters, and what is written for them: they are none then."""
        texts = {}
        for called, values in self.found:
            text = padding_before(values, self.found) if called in names else None
            if text:
                texts[called] = text
        self.found = [it for it in self.found if it[0] not in texts]
        return texts

    def finish(self) -> tuple[Parameter, ...]:
        """The parameters in the order of the signature; those that are mostly alike have a default."""
        made = []
        for called, values in self.found:
            there = [it for it in values if it is not ABSENT]
            usual, often = Counter(map(repr, there)).most_common(1)[0]
            default: Any = ABSENT
            if called.startswith("dropout") and len(there) < len(values):
                default = 0.0
            elif not _is_width(called) and often * 2 >= len(there):
                default = next(it for it in there if repr(it) == usual)
            made.append(Parameter(called, tuple(values), default))
        return tuple(sorted(made, key=_place))


def _is_width(name: str) -> bool:
    """Whether a parameter says how many channels there are, which every use does: it has no default."""
    return name.rstrip("0123456789").endswith(("channels", "features")) or name.startswith("channels_")


def _place(parameter: Parameter) -> tuple[bool, float]:
    if parameter.name in KEPT:
        return parameter.default is not ABSENT, 0.5
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
