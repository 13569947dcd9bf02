"""Blocks as definitions: the class of each, and the constructor call of each use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchport.blocks.block import Block, leaves
from torchport.blocks.naming import is_word, local, use_name
from torchport.blocks.nodes import ABSENT, Node, filled, holes
from torchport.blocks.pads import pads_joined
from torchport.blocks.parameters import KEPT, POSITIONAL, agree
from torchport.blocks.parameters import Parameter as Found
from torchport.blocks.shapes import docstring
from torchport.blocks.steps import Steps, as_module, tensor_name
from torchport.blocks.structures import kernel, structure_name
from torchport.names import class_name, identifier, is_automatic, short_name, snake, unique
from torchport.program import (
    APART,
    REQUIRED,
    Apply,
    Code,
    Definition,
    Expr,
    Inside,
    Module,
    Parameter,
    State,
    Step,
    Var,
    is_loop,
    rewrite,
    walk,
)
from torchport.rules.nouns import layer_noun, noun_of

#: So many branches are an Inception block.
MANY = 3


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
                named = [(index, name) for index, name in enumerate(it.writes) if not name.endswith(APART)]
                tensors.update({tensor_name(at, index): name for index, name in named})
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


def _is_owned(node: Node) -> bool:
    """Whether a step has modules or parameters, which stand in the class under a name."""
    return any(isinstance(it, (Apply, State)) for it in walk(node.step.value))


def _classes(made: Module) -> Iterator[str]:
    """The classes of a module and of those in it."""
    yield made.cls
    for it in made.args:
        if isinstance(it, Module):
            yield from _classes(it)


class _Class(Steps):
    """One block on its way to a definition: its constructor, and its steps as uses of what that makes."""

    def __init__(self, builder: Builder, block: Block, blocks: Mapping[Any, Block]) -> None:
        super().__init__(block)
        self.builder, self.blocks = builder, blocks
        self.parts: dict[str, Definition] = {}
        self.constructed: set[str] = set()

    def make(self) -> Made:
        own = class_name(self.block.cls) if self.block.cls else structure_name(self.structure())
        name = unique(own, self.builder.taken)
        self.builder.taken.add(name)
        inputs = self.inputs()
        self.called = [self._called(at) for at in range(len(self.nodes))]
        steps = [self._step(at, inputs) for at in range(len(self.nodes))]
        steps = self.optional(self.rows(steps), inputs)
        attributes = {text.text for _, text in self.flags} - self.constructed
        follows = self.parameters.paddings(attributes)
        flags = [(attribute, follows.get(text.text, text.text)) for attribute, text in self.flags]
        found = self.parameters.finish()
        definition = Definition(
            name,
            inputs=tuple(self.spec(inputs[at], it) for at, it in enumerate(self.block.uses[0].reads)),
            outputs=tuple(
                self.spec(self.name(wire, inputs), it)
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
            flags=tuple(flags),
            locals=tuple((it.name, text) for it, text in self.parameters.locals),
            shapes=docstring(self.block, (*found, *(it for it, _ in self.parameters.locals))),
        )  # fmt: skip
        uses = {id(it): at for at, it in enumerate(self.block.uses)}
        return Made(definition, found, uses, tuple(self.owners))

    def _step(self, at: int, inputs: Sequence[str]) -> Step:
        """The step in a slot, its numbers as parameters and its tensors by the class's names."""
        slot, it = self.block.slots[at], self.nodes[at]
        owner = self._owner(at)
        self.owners.append(owner)
        reads = [self.name(wire, inputs) for wire in slot.reads]
        outputs = tuple(tensor_name(at, index) for index in range(len(it.writes)))
        column = self.block.column(at)
        if it.inside is not None:
            value: Any = self._nested(at, column, owner, reads)
            return Step(owner, owner, value.module.cls, outputs, value)
        built = {
            cls for made in walk(it.step.value) if isinstance(made, Apply) for cls in _classes(made.module)
        }
        built.add("state")
        values = []
        for place, (callee, name) in enumerate(holes(it.step)):
            numbers = tuple(ABSENT if other is None else other.values[place] for other in column)
            role = self._role(at, callee, name, numbers)
            value = self.parameters.expression(numbers, role)
            values.append(self._built(value) if callee in built else self._kept(value, role))
        step = filled(it.step, values)

        rest = iter(reads)

        def settle(expr: Any) -> Any:
            if isinstance(expr, Var):
                return Var(next(rest))
            return replace(expr, owner=owner) if isinstance(expr, (Apply, State)) else expr

        return Step(f"{at}", owner, it.step.kind, outputs, rewrite(step.value, settle))

    def _built(self, value: Any) -> Any:
        """A number that the constructor needs."""
        if isinstance(value, Code):
            self.constructed.add(value.text)
        return value

    def _kept(self, value: Any, role: str) -> Any:
        """A number that `forward` needs: where it is a parameter, the attribute that keeps it."""
        if not isinstance(value, Code):
            return value
        known = [name for name, text in self.flags if text == value]
        own = value.text if value.text.isidentifier() else role
        name = known[0] if known else unique(identifier(own), [it for it, _ in self.flags])
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
            role = self._nested_role(at, owner, found.name, numbers)
            values.append(self._built(self.parameters.expression(numbers, role)))
        module = self.builder.call(made, values)
        return Apply(module, tuple(map(Var, reads)), owner=owner)

    def _owner(self, at: int) -> str:
        """A name for what stands in a slot, unique in the class; those that are called alike are numbered."""
        name = self.called[at]
        it = self.nodes[at]
        for place, other in enumerate(self.owners):
            if it.shared and self.nodes[place].shared and self.nodes[place].step.layer == it.step.layer:
                return other
        if it.inside is None and not _is_owned(it):
            return name
        alike = [place for place, other in enumerate(self.called) if other == name and self._holds(place)]
        alike = [place for place in alike if not self._is_again(place)]
        if len(alike) > 1:
            name = f"{name}{'_' if name[-1].isdigit() else ''}{alike.index(at) + 1}"
        taken = [other for place, other in enumerate(self.owners) if self._holds(place)]
        return unique(name, [other for other in taken if other != it.step.layer])

    def _is_again(self, at: int) -> bool:
        """Whether a slot calls a layer that one before it calls."""
        layers = [it.step.layer for it in self.nodes[:at] if it.shared]
        return self.nodes[at].shared and self.nodes[at].step.layer in layers

    def _holds(self, at: int) -> bool:
        """Whether what stands in a slot holds modules, and so has an attribute."""
        it = self.nodes[at]
        return it.inside is not None or _is_owned(it)

    def _called(self, at: int) -> str:
        """What stands in a slot is called, by the words that its names in all uses share."""
        it = self.nodes[at]
        column = zip(self.block.column(at), self.prefixes, strict=True)
        uses = [(node, start) for node, start in column if node]
        if it.inside is not None:
            names = [use_name(leaves(node), start) for node, start in uses]
            name = local(names) if all(names) else ""
            kind = self.builder.made[self.blocks[it.key].number].definition.name
            return name if is_word(name) else f"{snake(kind)}_{at}"
        layer, kind = it.step.layer, it.step.kind
        owned = [each for each in walk(it.step.value) if isinstance(each, (Apply, State))]
        if (
            self.block.cls
            and len(owned) == 1
            and isinstance(owned[0], State)
            and owned[0].owner == owned[0].role
        ):
            return owned[0].role  # a weight of the user's class, which its author called so
        listed = next((each.owner for each in walk(it.step.value) if is_loop(each)), "")
        if listed:
            return listed.rpartition("_")[0]
        given = [(node.step.layer, start) for node, start in uses if not is_automatic(node.step.layer, kind)]
        if not given or (is_automatic(layer, kind) and _is_owned(it)):
            return f"{snake(short_name(kind))}_{at}" if is_automatic(layer, kind) else layer
        name = local([layer.removeprefix(start) for layer, start in given])
        return name if is_word(name) else f"{layer_noun(kind) or snake(short_name(kind))}{name}"

    def _role(self, at: int, callee: str, name: str, numbers: tuple[Any, ...]) -> str:
        """What a person calls a number that differs: by what it is of which call."""
        heavy = [number for number, it in enumerate(self.nodes) if it.heavy]
        if name == "kernel_size" and "pool" in callee:
            return "pool_size"
        if name in ("channels", "in_channels") and agree(numbers, self.parameters.sizes):
            return self.parameters.entering("channels")
        if name in ("out_channels", "out_features", "in_channels", "in_features") and heavy:
            stem = name.split("_")[1]
            if at == heavy[0] and name.startswith("in"):
                return self.parameters.entering(stem)
            if in_branch := self._branch_role(at):
                return in_branch
            last = self._last_size(heavy[-1])
            return f"out_{stem}" if last and agree(numbers, last) else f"hidden_{stem}"
        return name or "size"

    def _branch_role(self, at: int) -> str:
        """What a convolution in a branch of an Inception block gives, by its kernel: `channels_3x3`."""
        structure = self.structure()
        if not structure.ends("Concatenate") or structure.branches < MANY or structure.inputs > 1:
            return ""
        kernels = {kernel(it) for it in self.block.column(at) if it is not None}
        size = kernels.pop() if len(kernels) == 1 else 0
        if not size or self.nodes[at].inside is not None:
            return ""
        behind = at + 1
        while behind < len(self.nodes) and self._reads_last(behind) and self.nodes[behind].light:
            behind += 1
        reduced = kernel(self.nodes[behind]) if behind < len(self.nodes) and self._reads_last(behind) else 0
        if size == 1 and reduced > 1:
            return f"channels_{reduced}x{reduced}_reduce"
        is_pooled = at > 0 and self._reads_last(at) and "Pooling" in self.nodes[at - 1].step.kind
        return "channels_pool" if is_pooled else f"channels_{size}x{size}"

    def _reads_last(self, at: int) -> bool:
        """Whether a slot reads the one before it."""
        return self.block.slots[at].reads == ((at - 1, 0),)

    def _nested_role(self, at: int, owner: str, name: str, numbers: tuple[Any, ...]) -> str:
        """What a number of a block inside is called here: by its name there, or as that block's own."""
        width = f"in_{name}" if name in KEPT else name
        called = self._role(at, "", width, numbers) if width.startswith(("in_", "out_")) else name
        if self.parameters.has(called):
            stem = re.sub("^(in|out|hidden)_", "", name)
            return f"{noun_of(class_name(re.sub(r'_[0-9]+$', '', owner)))}_{stem}"
        return called

    def _last_size(self, at: int) -> tuple[Any, ...] | None:
        """The output size of the last working module, in every use."""
        it = self.nodes[at]
        names = [name for _, name in holes(it.step)] if it.inside is None else []
        place = next((number for number, name in enumerate(names) if name.startswith("out_")), None)
        if it.inside is not None:
            made = self.builder.made[self.blocks[it.key].number]
            widths = [it for it in made.parameters if it.name.startswith("out_") or it.name in KEPT]
            values = next((found.values for found in widths), None)
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
