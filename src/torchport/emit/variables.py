"""Names for the tensors that the statements of `forward` write.

`x` for what goes on from line to line, a name from the source for what is used again later.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.emit.unpack import ITEM
from torchport.names import NOUNS, identifier, is_automatic, short_name, snake, unique
from torchport.program import Call, Definition, Unpack, Var, is_loop, walk


@dataclass(frozen=True)
class Statement:
    """`outputs = value`; a statement with no outputs returns."""

    outputs: tuple[str, ...]
    value: Any

    @property
    def reads(self) -> set[str]:
        return {node.tensor for node in walk(self.value) if isinstance(node, Var)}


#: What layers call the parts of a unit; a name that ends in one of these is named for the unit.
ENDINGS = re.compile(
    r"(_(relu|act|activation|bn|norm|conv|out|output|pool|add|concat|cat|merge|drop|dropout)\d*)$"
)


def called(definition: Definition) -> set[str]:
    """The functions by whose names alone `forward` calls them: those of the same file."""
    nodes = (node for step in definition.steps for node in walk(step.value) if isinstance(node, Call))
    return {node.function for node in nodes if "." not in node.function}


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
            if is_loop(line.value):  # every turn reads the others again
                self.last.update({it.tensor: at + 1 for it in line.value.args[1:]})
        self.steps = {name: step for step in definition.steps for name in step.outputs}
        self.parts = definition.parts
        self.readers: dict[str, list[str]] = defaultdict(list)
        for step in definition.steps:
            for name in step.inputs:
                self.readers[name].append(short_name(step.kind))
        self.holders = {variable: tensor for tensor, variable in inputs.items()}
        for function in called(definition):  # a variable of that name would hide it
            self.holders[function], self.last[function] = function, len(lines)
        self.numbered = self._numbered(lines)
        for at, line in enumerate(lines):
            for name in line.outputs:
                self.names[name] = self._name(name, at, len(line.outputs))
                self.holders[self.names[name]] = name

    def __getitem__(self, tensor: str) -> str:
        return self.names[tensor]

    def new(self, name: str) -> str:
        """A name that no tensor has, for what a loop goes over."""
        return unique(name, set(self.names.values()))

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

    def _own_name(self, layer: str, at: int) -> str:
        """What a nested model calls one of its several outputs, by the layer that gives it."""
        inside = self.parts.get(layer)
        if inside is None or len(inside.outputs) == 1:
            return ""
        tensor = inside.outputs[at].name
        giver = next((it for it in inside.steps if tensor in it.outputs), None)
        if giver is None or not giver.layer or is_automatic(giver.layer, giver.kind):
            return ""
        return identifier(giver.layer.removesuffix(".activation"))

    def _descriptive(self, tensor: str) -> str:
        """What a person calls a value that is used again later."""
        step = self.steps[tensor]
        layer = step.layer.removesuffix(".activation")
        index = tensor.rpartition(":")[2] if ":" in tensor else ""
        if step.kind == "Model" and (own := self._own_name(layer, step.outputs.index(tensor))):
            return own
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
        return NOUNS.get(step.kind, identifier(snake(short_name(step.kind).rpartition(":")[2])))
