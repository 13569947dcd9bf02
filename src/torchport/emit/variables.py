"""Names for the tensors that the statements of `forward` write.

`x` for what goes on from line to line, a name from the source for what is used again later. No tensor is
called like a module that does not give it.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.emit.attributes import LISTS
from torchport.emit.models import own_output
from torchport.emit.unpack import ITEM
from torchport.layout.write import base_of
from torchport.names import identifier, is_automatic, short_name, snake, unique
from torchport.program import (
    Apply,
    Assign,
    Call,
    Collect,
    Definition,
    Each,
    Infix,
    Mark,
    State,
    Step,
    Unpack,
    Var,
    is_choice,
    is_heavy,
    is_loop,
    loop_of,
    walk,
)
from torchport.rules.nouns import value_of


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


#: What people call layers that go with others, maybe numbered: what they give is called like the others.
LIGHT = re.compile(r"(relu|lrelu|elu|act|activation|bn|norm|drop|dropout)\d+")
#: What operations give that only lay values out anew: no name says anything of that.
PLAIN = re.compile(r"(reshape|permute|flatten|expand_dims|squeeze|cast|repeat_vector)\d*")

#: What a recurrent layer gives beside its output.
STATES = {"1": "h", "2": "c"}


def called(definition: Definition) -> set[str]:
    """The functions by whose names alone `forward` calls them: those of the same file."""
    nodes = (node for step in definition.steps for node in walk(step.value) if isinstance(node, Call))
    return {node.function for node in nodes if "." not in node.function}


def _is_branched(step: Step, tensor: str) -> bool:
    """Whether a step reads a tensor only as what each of its branches begins with."""
    lists = [each for each in walk(step.value) if isinstance(each, Each)]
    inside = [it for each in lists for it in walk(each) if isinstance(it, Var) and it.tensor == tensor]
    return bool(inside) and len(inside) == step.inputs.count(tensor)


class Variables:
    """A name for every tensor that a statement writes."""

    def __init__(
        self,
        definition: Definition,
        lines: Sequence[Statement],
        inputs: Mapping[str, str],
        attribute: Callable[[str, str], str],
    ) -> None:
        self.names = dict(inputs)
        self.inputs = inputs
        self.attribute = attribute
        self.order = lines
        self.lines = {name: line for line in lines for name in line.outputs}
        self.modules = {self._module(node) for line in lines for node in walk(line.value)} - {""}
        self.last: dict[str, int] = {}
        self.read_at: dict[str, list[int]] = defaultdict(list)
        #: What every turn of a loop reads again, beside what goes on.
        self.beside: set[str] = set()
        self.specs = definition.specs
        for at, line in enumerate(lines):
            for name in line.reads:
                self.last[name] = at
                self.read_at[name].append(at)
            if loop := loop_of(line.value):  # every turn reads the others again
                self.last.update({it.tensor: at + 1 for it in loop.args[1:]})
                self.beside.update(it.tensor for it in loop.args[1:])
        self.steps = {name: step for step in definition.steps for name in step.outputs}
        self.parts = definition.parts
        self.readers: dict[str, list[Step]] = defaultdict(list)
        for step in definition.steps:
            for name in step.inputs:
                self.readers[name].append(step)
        self.holders = {variable: tensor for tensor, variable in inputs.items()}
        for function in called(definition):  # a variable of that name would hide it
            self.holders[function], self.last[function] = function, len(lines)
        self.numbered = self._numbered(lines)
        for at, line in enumerate(lines):
            if isinstance(line.value, Assign):  # what it gives is read where it is kept
                continue
            for name in line.outputs:
                if len(line.outputs) > 1 and not isinstance(line.value, Collect) and not self.is_read(name):
                    self.names[name] = "_"
                    continue
                self.names[name] = self._name(name, at, len(line.outputs))
                self.holders[self.names[name]] = name

    def __getitem__(self, tensor: str) -> str:
        return self.names[tensor]

    def is_read(self, tensor: str) -> bool:
        """Whether a line reads what another writes."""
        return tensor in self.last

    def new(self, *names: str) -> str:
        """A name that no tensor has, for what a loop goes over: the first of these that is free."""
        taken = set(self.names.values())
        return next((it for it in names if it not in taken), unique(names[0], taken))

    def _goes_on(self, tensor: str, at: int) -> bool:
        """Whether the next line alone reads what line `at` gives: no name is needed.

        Of several branches that are put together, the last is a branch as well.
        """
        if self.read_at[tensor] != [at + 1] or tensor in self.beside:
            return False
        reader = self.readers[tensor][0] if self.readers[tensor] else None
        if reader is None or short_name(reader.kind) != "Concatenate":
            return True
        beside = [name for name in reader.inputs if name in self.lines and name != tensor]
        return not any(self.read_at[name] == [at + 1] and len(self.readers[name]) == 1 for name in beside)

    def _is_alone(self, at: int, last: int) -> bool:
        """Whether no line between two gives what goes on to the next one."""
        between = list(enumerate(self.order))[at + 1 : last]
        return not any(self._goes_on(name, place) for place, line in between for name in line.outputs)

    def _free(self, variable: str, at: int) -> bool:
        return variable not in self.holders or self.last.get(self.holders[variable], -1) <= at

    def _name(self, tensor: str, at: int, count: int) -> str:
        step = self.steps[tensor]
        item = tensor.partition(ITEM)[2].partition(".")[2] or "x"
        if item != "x":
            return unique(item, {it for it in self.holders if not self._free(it, at)})
        if isinstance(step.value, Collect) and tensor == step.outputs[1]:
            return unique("skips", {it for it in self.holders if not self._free(it, at)})
        if (kept := self._kept(tensor, at)) is not None:
            return kept
        loop = loop_of(step.value)
        if loop is not None and isinstance(first := loop.args[0], Var):
            same = self.names[first.tensor]
            if same in ("x", "out", "y", "z") and self._free(same, at):
                return same
        passing = (count == 1 or isinstance(step.value, Unpack)) and not step.kind.startswith("mask:")
        if passing and self._goes_on(tensor, at) and tensor not in self.numbered:
            for variable in ("x", "out", "y", "z"):
                if self._free(variable, at):
                    return variable
        name = self.numbered.get(tensor) or self._descriptive(tensor)
        if PLAIN.fullmatch(name) and self._free("x", at) and self._is_alone(at, self.last.get(tensor, at)):
            return "x"
        if re.match("reshape|flatten", name) and PLAIN.fullmatch(name):
            name = "flat"
        return unique(name, {it for it in self.holders if not self._free(it, at)} | self._others(tensor))

    def _kept(self, tensor: str, at: int) -> str | None:
        """The variable of what stays the same in one mode, where nobody needs it after."""
        value = self.lines[tensor].value
        if not is_choice(value):
            return None
        sides = [it for it in (value.other, value.value) if isinstance(it, Var)]
        names = [self.names[it.tensor] for it in sides if self.last.get(it.tensor, -1) <= at]
        return next((it for it in names if "." not in it), None)

    def _module(self, node: Any) -> str:
        """The attribute that holds a module or a value, where a node is one."""
        if isinstance(node, State):
            return self.attribute(node.owner, node.role)
        return self.attribute(node.owner, node.module.role) if isinstance(node, Apply) else ""

    def _by_meeting(
        self, base: str, places: list[tuple[int, str]]
    ) -> Iterator[tuple[str, list[tuple[int, str]]]]:
        """Branches by the step in which they meet, where those of one are over before another's begin."""
        groups: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for at, name in places:
            groups[self.readers[name][0].name if self.readers[name] else ""].append((at, name))
        ends = {key: max(self.last.get(name, -1) for _, name in rows) for key, rows in groups.items()}
        spans = sorted((rows[0][0], ends[key]) for key, rows in groups.items())
        apart = all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
        found = list(groups.values()) if base == "branch" and apart else [places]
        yield from ((base, rows) for rows in found)

    def _own(self, tensor: str) -> str:
        """The module that does the work of the line which gives the tensor alone, by its attribute."""
        line = self.lines.get(tensor)
        if line is None or is_loop(line.value) or len(line.outputs) > 1:
            return ""
        whole = line.value.value if isinstance(line.value, Mark) else line.value
        if isinstance(whole, Call) and whole.function == "torch.cat":
            return ""
        calls = [node for node in self._givers(tensor) if isinstance(node, Apply) and node.called]
        calls = [node for node in calls if is_heavy(node)] or calls
        if isinstance(whole, Infix):  # what meets a shortcut gives it its name
            calls = [node for node in calls if not node.module.cls.startswith("nn.")] or calls
        return self._module(calls[-1]) if calls else ""

    def _others(self, tensor: str) -> set[str]:
        """Names of modules that do not give the tensor: it is called like none of them."""
        return (self.modules - set(map(self._module, self._givers(tensor)))) | {"x"}

    def _givers(self, tensor: str) -> list[Any]:
        """The nodes of the line that gives a tensor; of a sum, those of the line before it as well."""
        value = self.lines[tensor].value
        whole = value.value if isinstance(value, Mark) else value
        sides = (whole.left, whole.right) if isinstance(whole, Infix) else ()
        before = (it.tensor for it in sides if isinstance(it, Var) and self.names.get(it.tensor) == "x")
        more = [node for side in before if side in self.lines for node in walk(self.lines[side].value)]
        return [*more, *walk(value)]

    def _numbered(self, lines: Sequence[Statement]) -> dict[str, str]:
        """Names with a number for tensors that are called alike and live at one time: `skip1`, `skip2`."""
        alike: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for at, line in enumerate(lines):
            for name in line.outputs:
                if len(line.outputs) == 1 and name in self.steps and not self._goes_on(name, at):
                    alike[self._descriptive(name)].append((at, name))
        if skips := alike.get("skip"):
            ends = [(at, self.last.get(name, -1)) for at, name in skips]
            last = [(at, name) for at, name in self._last_skips() if any(a < at < end for a, end in ends)]
            alike["skip"] = sorted([*skips, *last])
        found = {}
        for base, places in [it for group in alike.items() for it in self._by_meeting(*group)]:
            both = zip(places, places[1:], strict=False)
            if any(self.last.get(name, -1) > at for (_, name), (at, _) in both) and not base[-1].isdigit():
                numbered = {name: f"{base}{number}" for number, (_, name) in enumerate(places, 1)}
                if not any(text in self._others(name) for name, text in numbered.items()):
                    found.update(numbered)
        return found | dict(self._pieces(lines))

    def _pieces(self, lines: Sequence[Statement]) -> Iterator[tuple[str, str]]:
        """Names with a number for the pieces of one tensor, where what becomes of each does not tell it."""
        for line in lines:
            step = self.steps.get(line.outputs[0]) if len(line.outputs) > 1 else None
            whole = line.value.value if isinstance(line.value, (Unpack, Mark)) else line.value
            if step is None or not isinstance(whole, Call):
                continue
            read = [name for name in line.outputs if self.is_read(name)]
            bases = {self._descriptive(name).rstrip("0123456789") for name in read}
            noun = value_of(step.kind) or identifier(snake(short_name(step.kind).rpartition(":")[2]))
            if len(bases) < len(read) and bases & {"skip", "branch", noun}:  # others have the author's name
                yield from ((name, f"{noun}{number}") for number, name in enumerate(read, 1))

    def _last_skips(self) -> Iterator[tuple[int, str]]:
        """What the next line alone reads, and there goes both on and past others: a U-Net's last skip."""
        for at, line in enumerate(self.order):
            name = line.outputs[0] if len(line.outputs) == 1 else ""
            if name in self.steps and self._goes_on(name, at) and len(self.readers[name]) > 1:
                if self._past(name) == "skip":
                    yield at, name

    def _descriptive(self, tensor: str) -> str:
        """What a person calls a value that is used again later."""
        step = self.steps[tensor]
        layer = step.layer.removesuffix(".activation")
        index = tensor.rpartition(":")[2] if ":" in tensor else ""
        if step.kind == "Model" and (own := own_output(self.parts.get(layer), step, tensor)):
            return own
        if tensor in step.outputs[1:] and ":" not in tensor:  # q, k, v as the author has it
            return identifier(tensor)
        if step.kind.startswith("mask:"):
            given = [self.inputs[name] for name in step.inputs if name in self.inputs]
            return f"{given[0]}_mask" if len(given) == 1 and given[0] != "x" else "mask"
        spec = self.specs.get(tensor)
        if spec is not None and spec.numbers == "bool" and is_automatic(layer or step.kind, step.kind):
            return "mask"
        if re.fullmatch(r"(CuDNN)?(LSTM|GRU)|SimpleRNN", step.kind) and index in STATES:
            return STATES[index]
        if not layer:
            base, past = base_of(tensor), self._past(tensor)
            if past:
                return past
            return self._descriptive(base) if base in self.steps and base != tensor else identifier(base)
        if step.kind == "Model" and is_automatic(layer, "Model"):
            return "features"
        if (LISTS.fullmatch(layer) or LIGHT.fullmatch(layer)) and (own := self._own(tensor)):
            return own
        if not is_automatic(layer, step.kind) and not step.kind.startswith("activation:"):
            shorter = ENDINGS.sub("", layer)
            return identifier(f"{shorter}_{index}" if index else shorter)
        if step.kind.startswith("activation:") and not re.fullmatch(r"(activation|re_lu|relu)(_\d+)?", layer):
            if not re.fullmatch(r"(conv|dense|separable_conv|depthwise_conv)\w*?(_\d+)?", layer):
                return identifier(ENDINGS.sub("", layer))
        if past := self._past(tensor):
            return past
        noun = identifier(snake(short_name(step.kind).rpartition(":")[2]))
        return self._own(tensor) or value_of(step.kind) or noun

    def _past(self, tensor: str) -> str:
        """What a tensor is called that goes past others and meets them again, or stands beside them."""
        for step in self.readers[tensor]:
            kind = short_name(step.kind)
            others = [name for name in step.inputs if name != tensor]
            goes_past = any(self._leads(tensor, name) for name in others)
            aside = len(self.steps[tensor].outputs) > 1
            if _is_branched(step, tensor):
                continue
            if kind == "Concatenate":
                return "skip" if goes_past or aside else "branch"
            if kind == "Add" and aside:
                return "skip"
            if kind == "Add" and goes_past:
                return "shortcut"
            if goes_past and isinstance(step.value, Apply) and step.inputs[0] != tensor:
                return "skip"
        return ""

    def _leads(self, start: str, end: str) -> bool:
        """Whether a tensor is among what another is made of."""
        seen, stack = set[str](), [end]
        while stack:
            name = stack.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                stack += self.steps[name].inputs if name in self.steps else ()
        return False
