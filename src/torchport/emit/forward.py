"""The statements of `forward`: which values get a name, and which stand inside the expression that uses them.

A line holds one module that does the work, with what belongs to it (normalisation, activation) around it:
`x = F.relu(self.bn1(self.conv1(x)))`. A value that is used once is written where it is used, as long as the
line stays readable. Names: `x` for what goes on from line to line, a name from the source for what is used
again later.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torchport.emit.expression import Writer
from torchport.names import NOUNS, identifier, is_automatic, snake, unique
from torchport.program import (
    Apply,
    Call,
    Definition,
    Expr,
    IfElse,
    Index,
    Infix,
    Item,
    Mark,
    Step,
    Unpack,
    Var,
    children,
    is_heavy,
    rewrite,
    walk,
)

#: How deep calls may stand inside one another, and how long a line's expression may be.
DEPTH, LENGTH, SHORT = 4, 84, 80


#: Between a tensor's name and the item of a tuple that it is made of.
ITEM = ".item:"


@dataclass(frozen=True)
class Statement:
    """`outputs = value`; a statement with no outputs returns."""

    outputs: tuple[str, ...]
    value: Any

    @property
    def reads(self) -> set[str]:
        return {node.tensor for node in walk(self.value) if isinstance(node, Var)}


def depth(expr: Any) -> int:
    """How many calls stand inside one another."""
    below = max((depth(child) for child in children(expr)), default=0)
    return below + isinstance(expr, (Call, Apply))


def heavy_depth(expr: Any) -> int:
    """How many working modules stand inside one another."""
    below = max((heavy_depth(child) for child in children(expr)), default=0)
    return below + is_heavy(expr)


def size(expr: Any) -> int:
    """About how many characters the expression takes."""
    inside = [size(child) for child in children(expr)]
    commas = sum(inside) + 2 * max(0, len(inside) - 1)
    if isinstance(expr, Var):
        return 5
    if isinstance(expr, Apply):
        return len(expr.owner[-12:]) + 7 + commas
    if isinstance(expr, Call):
        return len(expr.function) + 2 + sum(len(key) + 1 for key in expr.kwargs) + commas
    if isinstance(expr, (Infix, IfElse, Index, tuple, list)):
        return 2 + commas
    return commas if isinstance(expr, (Mark, Item)) else len(str(expr))


def unpacked(steps: Sequence[Step], result: Any) -> list[Step]:
    """The steps, with one for each tuple that a module gives, `x, (h, c) = self.lstm(x)`, and each output.

    Of the outputs of a step that picks items out of tuples, those that are not read are left out.
    """
    read = {name for step in steps for name in step.inputs}
    read |= {node.tensor for node in walk(result) if isinstance(node, Var)}
    found: list[Step] = []
    for step in steps:
        if not any(isinstance(node, Item) for node in walk(step.value)):
            found.append(step)
            continue
        whole: Any = step.value
        values = whole if isinstance(whole, tuple) else (whole,)
        pairs = zip(step.outputs, values, strict=True)
        kept: dict[str, Any] = {it: value for it, value in pairs if it in read}
        number = 0
        while items := _innermost(kept.values()):
            call = [item for item in items if item.value == items[0].value]
            stem = f"{step.outputs[0]}{ITEM}{number}"
            names = {item.name: _alone(item, kept) or f"{stem}.{item.name}" for item in call}
            order = [name for name in _leaves(call[0].pattern) if name in names]
            tuple_ = Unpack(call[0].value, _numbered(call[0].pattern, order))
            outputs = tuple(names[name] for name in order)
            found.append(Step(f"{outputs[0]} unpacked", step.layer, step.kind, outputs, tuple_))
            known = [(item, Var(names[item.name])) for item in call]
            for output, value in kept.items():
                kept[output] = rewrite(value, partial(_replaced, known))
            number += 1
        found += [
            Step(output, step.layer, step.kind, (output,), value)
            for output, value in kept.items()
            if value != Var(output)
        ]
    return found


def _innermost(values: Iterable[Any]) -> list[Item]:
    """Items of tuples that are made of no other items, each once, in order."""
    found: list[Item] = []
    for node in walk(tuple(values)):
        inner = isinstance(node, Item) and not any(isinstance(it, Item) for it in walk(node.value))
        if inner and node not in found:
            found.append(node)
    return found


def _alone(item: Item, kept: Mapping[str, Any]) -> str:
    """The output that an item is, if it is one of them and no other."""
    outputs = [output for output, value in kept.items() if value == item]
    return outputs[0] if len(outputs) == 1 else ""


def _replaced(known: Sequence[tuple[Item, Var]], node: Any) -> Any:
    return next((var for item, var in known if item == node), node)


def _leaves(pattern: Any) -> list[str]:
    return [pattern] if isinstance(pattern, str) else [it for part in pattern for it in _leaves(part)]


def _numbered(pattern: Any, order: Sequence[str]) -> Any:
    """The pattern with the number of each name that is kept; None for one, or a tuple, of which none is."""
    if isinstance(pattern, str):
        return order.index(pattern) if pattern in order else None
    parts = tuple(_numbered(part, order) for part in pattern)
    return None if all(part is None for part in parts) else parts


def statements(definition: Definition, result: Any) -> list[Statement]:
    """The statements of `forward`; the last returns `result`."""
    unmarked: set[str] = set()
    uses: Counter[str] = Counter(name for step in definition.steps for name in step.inputs)
    uses.update(node.tensor for node in walk(result) if isinstance(node, Var))
    followers = _followers(definition.steps, uses)
    values: dict[str, Expr] = {}
    lines: list[Statement] = []

    def first_read(expr: Any) -> Any:
        """A tensor that was unpacked from a tuple is marked where it is first read."""
        if isinstance(expr, Var) and expr.tensor in unmarked:
            unmarked.remove(expr.tensor)
            return Mark(expr, expr.tensor)
        return expr

    for step in definition.steps:
        room = _Room(step, followers)

        def settle(expr: Any, room: _Room = room) -> Any:
            if isinstance(expr, Var) and expr.tensor in values:
                value = values.pop(expr.tensor)
                if room.takes(value):
                    return value
                lines.append(Statement((expr.tensor,), value))
            return first_read(expr)

        value = rewrite(step.value, settle)
        if isinstance(value, Unpack):
            unmarked.update(name for name in step.outputs if ITEM not in name)
        elif len(step.outputs) == 1:
            value = value if isinstance(value, Var) or step.kind == "pad" else Mark(value, step.outputs[0])
            if uses[step.outputs[0]] == 1:
                values[step.outputs[0]] = value
                continue
        lines.append(Statement(step.outputs, value))

    def settle_result(expr: Any) -> Any:
        return values.pop(expr.tensor, first_read(expr)) if isinstance(expr, Var) else expr

    lines.append(Statement((), rewrite(result, settle_result)))
    return lines


def _followers(steps: Sequence[Step], uses: Counter[str]) -> dict[str, int]:
    """For each step, how many light calls will stand around it: its norm, its activation."""
    readers = {name: step for step in steps for name in step.inputs}
    count: dict[str, int] = {}
    for step in reversed(steps):
        following = readers.get(step.outputs[0])
        alone = len(step.outputs) == 1 and uses[step.outputs[0]] == 1 and following is not None
        light = alone and following is not None and heavy_depth(following.value) == 0
        count[step.name] = 1 + count[following.name] if light and following is not None else 0
    return count


class _Room:
    """How much may still stand inside one step's expression."""

    def __init__(self, step: Step, followers: Mapping[str, int]) -> None:
        self.depth, self.heavy = depth(step.value), heavy_depth(step.value)
        self.size = size(step.value)
        self.around = min(followers[step.name], 2)
        self.block = isinstance(step.value, Apply) and not step.value.module.cls.startswith("nn.")

    def takes(self, value: Expr) -> bool:
        """Whether the value may stand inside; it then takes its room."""
        working = heavy_depth(value) + self.heavy
        if working > 1 and not self._is_short(value):
            return False
        if self.heavy and depth(value) + self.depth + self.around > DEPTH - 1:
            return False
        if depth(value) + self.depth > DEPTH or working > 2:
            return False
        if self.size + size(value) > LENGTH:
            return False
        self.size += size(value)
        self.heavy = working
        return True

    def _is_short(self, value: Expr) -> bool:
        """Whether a block may stand inside another: `self.dec1(torch.cat([enc1, self.up1(x)], dim=1))`."""
        return self.block and self.heavy + heavy_depth(value) <= 2 and self.size + size(value) <= SHORT


#: What layers call the parts of a unit; a name that ends in one of these is named for the unit.
ENDINGS = re.compile(
    r"(_(relu|act|activation|bn|norm|conv|out|output|pool|add|concat|cat|merge|drop|dropout)\d*)$"
)


class Variables:
    """A name for every tensor that a statement writes."""

    def __init__(self, definition: Definition, lines: Sequence[Statement], inputs: Mapping[str, str]) -> None:
        self.names = dict(inputs)
        self.last: dict[str, int] = {}
        self.read_at: dict[str, list[int]] = defaultdict(list)
        for at, line in enumerate(lines):
            for name in line.reads:
                self.last[name] = at
                self.read_at[name].append(at)
        self.steps = {name: step for step in definition.steps for name in step.outputs}
        self.readers: dict[str, list[str]] = defaultdict(list)
        for step in definition.steps:
            for name in step.inputs:
                self.readers[name].append(step.kind)
        self.holders = {variable: tensor for tensor, variable in inputs.items()}
        self.numbered = self._numbered(lines)
        for at, line in enumerate(lines):
            for name in line.outputs:
                self.names[name] = self._name(name, at, len(line.outputs))
                self.holders[self.names[name]] = name

    def __getitem__(self, tensor: str) -> str:
        return self.names[tensor]

    def _free(self, variable: str, at: int) -> bool:
        return variable not in self.holders or self.last.get(self.holders[variable], -1) <= at

    def _name(self, tensor: str, at: int, count: int) -> str:
        step = self.steps[tensor]
        item = tensor.partition(ITEM)[2].partition(".")[2] or "x"
        if item != "x":
            return unique(item, {it for it in self.holders if not self._free(it, at)})
        passing = (count == 1 or isinstance(step.value, Unpack)) and not step.kind.startswith("mask:")
        if passing and self.read_at[tensor] == [at + 1]:
            for variable in ("x", "out", "y", "z"):
                if self._free(variable, at):
                    return variable
        name = self.numbered.get(tensor) or self._descriptive(tensor)
        return unique(name, {it for it in self.holders if not self._free(it, at)} | {"x"})

    def _numbered(self, lines: Sequence[Statement]) -> dict[str, str]:
        """Names with a number for tensors that are called alike and live at one time: `skip1`, `skip2`."""
        alike: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for at, line in enumerate(lines):
            for name in line.outputs:
                if len(line.outputs) == 1 and name in self.steps and self.read_at[name] != [at + 1]:
                    alike[self._descriptive(name)].append((at, name))
        found = {}
        for base, places in alike.items():
            both = zip(places, places[1:], strict=False)
            if any(self.last.get(name, -1) > at for (_, name), (at, _) in both) and not base[-1].isdigit():
                found.update({name: f"{base}{number}" for number, (_, name) in enumerate(places, 1)})
        return found

    def _descriptive(self, tensor: str) -> str:
        """What a person calls a value that is used again later."""
        step = self.steps[tensor]
        layer = step.layer.removesuffix(".activation")
        index = tensor.rpartition(":")[2] if ":" in tensor else ""
        if not layer:
            return identifier(tensor.replace(".source", "_last").replace(".channels_first", "_first"))
        if not is_automatic(layer, step.kind) and not step.kind.startswith("activation:"):
            shorter = ENDINGS.sub("", layer)
            return identifier(f"{shorter}_{index}" if index else shorter)
        if step.kind.startswith("activation:") and not re.fullmatch(r"(activation|re_lu|relu)(_\d+)?", layer):
            if not re.fullmatch(r"(conv|dense|separable_conv|depthwise_conv)\w*?(_\d+)?", layer):
                return identifier(ENDINGS.sub("", layer))
        kinds = self.readers[tensor]
        if "Concatenate" in kinds:
            return "skip"
        if "Add" in kinds:
            return "shortcut"
        return NOUNS.get(step.kind, identifier(snake(step.kind.rpartition(":")[2])))


def _targets(line: Statement, writer: Writer) -> str:
    """The left side of a statement: `x, (h, _)`."""

    def text(pattern: Any) -> str:
        if isinstance(pattern, tuple):
            return f"({', '.join(map(text, pattern))})"
        return "_" if pattern is None else writer.variable(line.outputs[pattern])

    if isinstance(line.value, Unpack):
        return ", ".join(map(text, line.value.pattern))
    return ", ".join(map(writer.variable, line.outputs))


def body(
    definition: Definition,
    result: Any,
    inputs: Mapping[str, str],
    attribute: Any,
    marks: bool = False,
) -> list[str]:
    """The lines of `forward`, unindented; `inputs` names the parameters."""
    definition = replace(definition, steps=tuple(unpacked(definition.steps, result)))
    lines = statements(definition, result)
    writer = Writer(Variables(definition, lines, inputs).__getitem__, attribute, marks)
    text = []
    for line in lines:
        if not line.outputs:
            inside = (
                ", ".join(map(writer.text, line.value))
                if isinstance(line.value, tuple)
                else writer.text(line.value)
            )
            text.append(f"return {inside}")
        else:
            names = _targets(line, writer)
            if names != writer.text(line.value):
                text.append(f"{names} = {writer.text(line.value)}")
    return text
