"""Blocks as definitions: the class of each, and the constructor call of each use."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torchport.blocks.align import Wire
from torchport.blocks.block import Block, leaves
from torchport.blocks.naming import block_name, local, named_layers, prefix, use_name
from torchport.blocks.nodes import ABSENT, MODULES, Node, filled, holes, is_activation
from torchport.blocks.parameters import POSITIONAL, Parameters, agree
from torchport.blocks.parameters import Parameter as Found
from torchport.blocks.shapes import docstring
from torchport.names import identifier, is_automatic, snake, unique
from torchport.program import (
    REQUIRED,
    Apply,
    Call,
    Code,
    Definition,
    Expr,
    IfElse,
    Inside,
    Mark,
    Module,
    Parameter,
    Spec,
    State,
    Step,
    Var,
    is_heavy,
    rewrite,
    walk,
)


@dataclass(frozen=True)
class Made:
    """A block as a class: its definition, its parameters, its uses in order, and where each slot went."""

    definition: Definition
    parameters: tuple[Found, ...]
    uses: Mapping[int, int]
    owners: tuple[str, ...]


class Builder:
    """Turns blocks into definitions, the inner ones first."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.made: dict[int, Made] = {}

    def block(self, block: Block, blocks: Mapping[Any, Block]) -> Made:
        """The class of a block."""
        if block.number in self.made:
            return self.made[block.number]
        for it in block.nodes():
            if it.key in blocks:
                self.block(blocks[it.key], blocks)
        made = _Class(self, block, blocks).make()
        self.made[block.number] = made
        return made

    def module(self, use: Node, blocks: Mapping[Any, Block]) -> Module:
        """The constructor call of one use, its numbers as they are."""
        made = self.made[blocks[use.key].number]
        at = made.uses[id(use)]
        values = [it.values[at] for it in made.parameters]
        return self.call(made, values, self.inside(use, blocks))

    @staticmethod
    def call(made: Made, values: Sequence[Any], inside: Inside | None = None) -> Module:
        """A constructor call: channels by position, the rest by name, defaults left out."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for found, value in zip(made.parameters, values, strict=True):
            plain = not isinstance(value, Expr)
            if found.default is not ABSENT and plain and (value is ABSENT or value == found.default):
                continue
            value = 0 if value is ABSENT else value
            if found.name.startswith(POSITIONAL) and not kwargs:
                args.append(value)
            else:
                kwargs[found.name] = value
        return Module(made.definition.name, tuple(args), kwargs, inside=inside)

    def inside(self, use: Node, blocks: Mapping[Any, Block]) -> Inside:
        """What one use is made of, by the names in its class."""
        block = blocks[use.key]
        made = self.made[block.number]
        modules: dict[tuple[str, str], Module | State | None] = {}
        tensors: dict[str, str] = {}
        chains: dict[str, list[Module | None]] = {}
        for at, (_slot, it) in enumerate(zip(block.slots, use.inside or (), strict=True)):
            owner = made.owners[at]
            if it is not None and it.step.kind != "pad":
                tensors.update({_tensor(at, index): name for index, name in enumerate(it.writes)})
            if owner.startswith("part:"):
                chains.setdefault(owner.removeprefix("part:"), []).append(
                    None if it is None else self._single(it, blocks)
                )
            elif it is None:
                continue
            elif it.inside is not None:
                modules[owner, ""] = self.module(it, blocks)
            else:
                for expr in walk(it.step.value):
                    if isinstance(expr, Apply):
                        modules[owner, expr.module.role] = expr.module
                    elif isinstance(expr, State):
                        modules[owner, expr.role] = expr
        for owner, chain in chains.items():
            there = [it for it in chain if it is not None]
            whole = there[0] if len(chain) == 1 and there else Module("nn.Sequential", tuple(there))
            modules[owner, ""] = whole if there else None
        return Inside(modules, tensors, use.model)

    def _single(self, it: Node, blocks: Mapping[Any, Block]) -> Module:
        """A node of a chain as a module."""
        return self.module(it, blocks) if it.inside is not None else as_module(it.step)


def as_module(step: Step, model: str = "") -> Module:
    """A step that is one module, or an activation, as a module without its input."""
    value = step.value.value if isinstance(step.value, Mark) else step.value
    gives = (model, step.outputs[0])
    if isinstance(value, Apply):
        return replace(value.module, role="", gives=gives)
    assert isinstance(value, Call)
    return Module(MODULES[value.function], value.args[1:], value.kwargs, gives=gives)


def _padded(pads: Mapping[str, Any], expr: Any) -> Any:
    """The padding that a tensor stands for."""
    return pads.get(expr.tensor, expr) if isinstance(expr, Var) else expr


def pads_joined(steps: Sequence[Step]) -> list[Step]:
    """The steps with every padding inside the one call that it is for, where that call always has it."""
    pads = {step.outputs[0]: step for step in steps if step.kind == "pad" and isinstance(step.value, Call)}
    reads = Counter(name for step in steps for name in step.inputs)
    joined: list[Step] = []
    for step in steps:
        if step.kind == "pad" and step.outputs[0] in pads and reads[step.outputs[0]] == 1:
            continue
        inside = {name: pads[name].value for name in step.inputs if name in pads and reads[name] == 1}
        joined.append(replace(step, value=rewrite(step.value, partial(_padded, inside))))
    return joined


def _tensor(slot: int, index: int) -> str:
    return f"s{slot}" if index == 0 else f"s{slot}:{index}"


def _called(value: Any) -> str:
    """A name for whether something is done, from what it is: `pad` of `F.pad(x, ...)`."""
    value = value.value if isinstance(value, Mark) else value
    if is_activation(value):
        return "activate"
    return identifier(value.function.rpartition(".")[2]) if isinstance(value, Call) else "apply"


def _present(inside: Sequence[Node | None] | None, at: int) -> Node:
    found = inside[at] if inside else None
    assert found is not None
    return found


class _Class:
    """One block on its way to a definition."""

    def __init__(self, builder: Builder, block: Block, blocks: Mapping[Any, Block]) -> None:
        self.builder, self.block, self.blocks = builder, block, blocks
        fullest = sorted(block.uses, key=lambda it: -sum(inner is not None for inner in it.inside or ()))
        chosen = [
            next(it for it in fullest if it.inside and it.inside[at] is not None)
            for at in range(len(block.slots))
        ]
        self.nodes = [_present(it.inside, at) for at, it in enumerate(chosen)]
        self.common = [prefix(named_layers(leaves(it))) for it in chosen]
        entering = [it.specs[it.reads[0]] for it in block.uses]
        sizes = tuple(
            it.shape[it.torch_axes.split().index("c")] if "c" in it.torch_axes else None for it in entering
        )
        self.parameters = Parameters(len(block.uses), sizes)
        self.flags: list[tuple[str, Any]] = []
        self.parts: dict[str, Definition] = {}
        self.owners: list[str] = []

    def make(self) -> Made:
        name = unique(block_name([leaf for it in self.nodes for leaf in leaves(it)]), self.builder.taken)
        self.builder.taken.add(name)
        inputs = self._inputs()
        steps = [self._step(at, inputs) for at in range(len(self.nodes))]
        steps = self._optional(self._rows(steps), inputs)
        found = self.parameters.finish()
        definition = Definition(
            name,
            inputs=tuple(self._spec(inputs[at], it) for at, it in enumerate(self.block.uses[0].reads)),
            outputs=tuple(
                self._spec(self._name(wire, inputs), it)
                for wire, it in zip(self.block.outputs, self.block.uses[0].writes, strict=True)
            ),
            steps=tuple(pads_joined(steps)),
            parts=self.parts,
            frozen=frozenset(
                owner for owner, it in zip(self.owners, self.nodes, strict=True)
                if it.frozen
            ),
            parameters=tuple(
                Parameter(it.name, it.annotation, REQUIRED if it.default is ABSENT else it.default)
                for it in found
            ),
            flags=tuple((name, text.text) for name, text in self.flags),
            shapes=docstring(self.block, found),
        )  # fmt: skip
        uses = {id(it): at for at, it in enumerate(self.block.uses)}
        return Made(definition, found, uses, tuple(self.owners))

    def _inputs(self) -> list[str]:
        """Names for the tensors that enter: the one that goes on is x."""
        names = ["x"]
        for at in range(1, self.block.inputs):
            readers = [
                it for slot, it in zip(self.block.slots, self.nodes, strict=True) if ("in", at) in slot.reads
            ]
            kinds = {leaf.step.kind for it in readers for leaf in leaves(it)}
            base = "skip" if "Concatenate" in kinds else "shortcut" if "Add" in kinds else "other"
            names.append(unique(base, names))
        return names

    def _name(self, wire: Wire, inputs: Sequence[str]) -> str:
        return inputs[wire[1]] if wire[0] == "in" else _tensor(int(wire[0]), wire[1])

    def _spec(self, name: str, tensor: str) -> Spec:
        return replace(self.block.uses[0].specs[tensor], name=name)

    def _step(self, at: int, inputs: Sequence[str]) -> Step:
        """The step in a slot, its numbers as parameters and its tensors by the class's names."""
        slot, it = self.block.slots[at], self.nodes[at]
        owner = self._owner(at)
        self.owners.append(owner)
        reads = [self._name(wire, inputs) for wire in slot.reads]
        outputs = tuple(_tensor(at, index) for index in range(len(it.writes)))
        column = self.block.column(at)
        if it.inside is not None:
            value: Any = self._nested(at, column, owner, reads)
            return Step(owner, owner, value.module.cls, outputs, value)
        built = {made.module.cls for made in walk(it.step.value) if isinstance(made, Apply)} | {"state"}
        values = []
        for place, (callee, name) in enumerate(holes(it.step)):
            numbers = tuple(ABSENT if other is None else other.values[place] for other in column)
            value = self.parameters.expression(numbers, self._role(at, callee, name, numbers))
            values.append(value if callee in built else self._kept(value))
        step = filled(it.step, values)

        rest = iter(reads)

        def settle(expr: Any) -> Any:
            if isinstance(expr, Var):
                return Var(next(rest))
            return replace(expr, owner=owner) if isinstance(expr, (Apply, State)) else expr

        return Step(f"{at}", owner, it.step.kind, outputs, rewrite(step.value, settle))

    def _kept(self, value: Any) -> Any:
        """A number that `forward` needs: where it is a parameter, the attribute that keeps it."""
        if not isinstance(value, Code):
            return value
        known = [name for name, text in self.flags if text == value]
        name = known[0] if known else unique(identifier(value.text), [it for it, _ in self.flags])
        if not known:
            self.flags.append((name, value))
        return Code(f"self.{name}")

    def _nested(self, at: int, column: Sequence[Node | None], owner: str, reads: Sequence[str]) -> Apply:
        made = self.builder.made[self.blocks[self.nodes[at].key].number]
        self.parts[owner] = made.definition
        values = []
        for found in made.parameters:
            numbers = tuple(
                ABSENT if other is None else found.values[made.uses[id(other)]] for other in column
            )
            values.append(
                self.parameters.expression(numbers, self._nested_role(at, owner, found.name, numbers))
            )
        module = self.builder.call(made, values)
        return Apply(module, tuple(map(Var, reads)), owner=owner)

    def _owner(self, at: int) -> str:
        """A name for what stands in a slot, unique in the class."""
        it = self.nodes[at]
        if it.inside is not None:
            name = use_name(leaves(it), self.common[at])
            kind = self.builder.made[self.blocks[it.key].number].definition.name
            return unique(name, self.owners) if name else f"{snake(kind)}_{at}"
        layer = it.step.layer
        owned = [expr.owner for expr in walk(it.step.value) if isinstance(expr, (Apply, State))]
        if not owned:
            return local(layer, self.common[at])
        if is_automatic(layer, it.step.kind):
            return layer
        return unique(local(layer, self.common[at]), [other for other in self.owners if other != layer])

    def _role(self, at: int, callee: str, name: str, numbers: tuple[Any, ...]) -> str:
        """What a person calls a number that differs: by what it is of which call."""
        heavy = [number for number, it in enumerate(self.nodes) if it.heavy]
        if name == "channels" and agree(numbers, self.parameters.sizes):
            return "in_channels"
        if name in ("out_channels", "out_features", "in_channels", "in_features") and heavy:
            stem = name.split("_")[1]
            if at == heavy[0] and name.startswith("in"):
                return name
            last = self._last_size(heavy[-1])
            return f"out_{stem}" if last and agree(numbers, last) else f"hidden_{stem}"
        return name or "size"

    def _nested_role(self, at: int, owner: str, name: str, numbers: tuple[Any, ...]) -> str:
        """What a number of a block inside is called here: by its name there, or as that block's own."""
        called = self._role(at, "", name, numbers) if name.startswith(("in_", "out_")) else name
        if self.parameters.has(called):
            stem = re.sub("^(in|out|hidden)_", "", name)
            return f"{identifier(re.sub(r'_[0-9]+$', '', owner))}_{stem}"
        return called

    def _last_size(self, at: int) -> tuple[Any, ...] | None:
        """The output size of the last working module, in every use."""
        it = self.nodes[at]
        names = [name for _, name in holes(it.step)] if it.inside is None else []
        place = next((number for number, name in enumerate(names) if name.startswith("out_")), None)
        if it.inside is not None:
            made = self.builder.made[self.blocks[it.key].number]
            values = next((found.values for found in made.parameters if found.name.startswith("out_")), None)
            return (
                None
                if values is None
                else tuple(
                    ABSENT if other is None else values[made.uses[id(other)]]
                    for other in self.block.column(at)
                )
            )
        if place is None:
            return None
        return tuple(ABSENT if other is None else other.values[place] for other in self.block.column(at))

    def _rows(self, steps: list[Step]) -> list[Step | None]:
        """The steps with uses of one block in a row as nn.Sequential; None where a step went into one."""
        found: list[Step | None] = list(steps)
        readers = Counter(wire for slot in self.block.slots for wire in slot.reads)
        readers.update(self.block.outputs)
        at = 0
        while at < len(steps):
            end = at + 1
            while end < len(steps) and self._follows(end, readers):
                end += 1
            if end - at > 1:
                chain = steps[at:end]
                layer = unique(
                    "branch" if self._goes_to("Concatenate", end - 1) else "blocks",
                    [it.removeprefix("part:") for it in self.owners],
                )
                inputs = chain[0].value.args if isinstance(chain[0].value, Apply) else ()
                value = Apply(
                    Module("nn.Sequential", tuple(as_module(it) for it in chain)),
                    inputs,
                    owner=layer,
                )
                found[at:end] = [
                    *[None] * (end - at - 1),
                    Step(chain[-1].name, layer, chain[0].kind, chain[-1].outputs, value),
                ]
                self.owners[at:end] = [f"part:{layer}"] * (end - at)
            at = end
        return found

    def _follows(self, at: int, readers: Counter[Wire]) -> bool:
        """Whether a slot is a use of the same block as the one before it, which it alone reads."""
        slot, before = self.block.slots[at], self.block.slots[at - 1]
        return (
            self.nodes[at].inside is not None and self.nodes[at].key == self.nodes[at - 1].key
            and slot.reads == ((at - 1, 0),) and readers[at - 1, 0] == 1
            and slot.part is None and before.part is None
        )  # fmt: skip

    def _goes_to(self, kind: str, at: int) -> bool:
        return any(
            (at, 0) in slot.reads and any(leaf.step.kind == kind for leaf in leaves(it))
            for slot, it in zip(self.block.slots, self.nodes, strict=True)
        )

    def _optional(self, steps: list[Step | None], inputs: Sequence[str]) -> list[Step]:
        """The steps with every optional part as one step."""
        made: dict[int, Step | None] = dict(enumerate(steps))
        for number, part in enumerate(self.block.parts):
            inside = [at for at, slot in enumerate(self.block.slots) if slot.part == number]
            there = [it.inside is not None and it.inside[inside[0]] is not None for it in self.block.uses]
            passes = self._name(part.passes, inputs)
            chain = [it for at in inside if (it := steps[at]) is not None]
            if any(self.nodes[at].weighted for at in inside):
                one = self._chain(number, chain, passes, there)
                for at in inside:
                    self.owners[at] = f"part:{one.layer}"
            elif all(isinstance(it.value, Apply) and "Dropout" in it.value.module.cls for it in chain):
                continue
            else:
                one = self._conditional(number, chain, passes, there)
            made.update({at: None for at in inside})
            made[inside[-1]] = one
        return [it for it in made.values() if it is not None]

    def _chain(self, number: int, chain: Sequence[Step], passes: str, there: Sequence[bool]) -> Step:
        """Modules that are there or not: `nn.Sequential(...) if ... else nn.Identity()`."""
        inside = {it.layer for it in chain}
        taken = [it.removeprefix("part:") for it in self.owners if it not in inside]
        layer = unique(self._part_name(chain, passes, there), taken)
        modules = [as_module(it) for it in chain]
        made = modules[0] if len(modules) == 1 else Module("nn.Sequential", tuple(modules))
        test = self.parameters.flag(there, layer)
        value = Apply(replace(made, when=test.text, role=""), (Var(passes),), owner=layer)
        kind = chain[0].kind
        return Step(f"part{number}", layer, f"{kind}", chain[-1].outputs, value)

    def _part_name(self, chain: Sequence[Step], passes: str, there: Sequence[bool]) -> str:
        added = [
            it for it in self.block.slots
            if any(self._name(wire, ["x"] * 9) == chain[-1].outputs[0] for wire in it.reads)
        ]  # fmt: skip
        merges = any(len(set(it.reads)) > 1 for it in added)
        if passes == "x" and merges:
            return "shortcut"
        first = chain[0].value
        if isinstance(first, Apply) and not is_heavy(first):
            return "norm" if "Norm" in first.module.cls else "dropout"
        return "expand" if passes == "x" else "optional"

    def _conditional(self, number: int, chain: Sequence[Step], passes: str, there: Sequence[bool]) -> Step:
        """What is computed or not: `x + shortcut if self.residual else x`."""
        values: dict[str, Any] = {}
        for it in chain:
            value = rewrite(it.value, lambda e: values.get(e.tensor, e) if isinstance(e, Var) else e)
            values[it.outputs[0]] = Mark(value, it.outputs[0])
        kinds = [it.kind for it in chain]
        name = "residual" if "Add" in kinds else _called(chain[0].value)
        text = self.parameters.flag(there, name)
        flag = unique(name, [it for it, _ in self.flags])
        self.flags.append((flag, text))
        last = chain[-1]
        value = IfElse(Code(f"self.{flag}"), values[last.outputs[0]], Var(passes))
        return Step(f"part{number}", last.layer, last.kind, last.outputs, value)
