"""The steps of a block's class: uses in a row and optional parts are one step."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torchport.blocks.align import Wire
from torchport.blocks.block import Block, leaves
from torchport.blocks.naming import named_layers, prefix
from torchport.blocks.nodes import Node, is_activation
from torchport.blocks.parameters import Parameters
from torchport.blocks.structures import Structure, merge_kind
from torchport.callees import callee
from torchport.names import identifier, short_name, unique
from torchport.program import (
    APART,
    Apply,
    Call,
    Code,
    IfElse,
    Mark,
    Module,
    Spec,
    Step,
    Var,
    is_heavy,
    rewrite,
)
from torchport.rules.nouns import noun_of


def as_module(step: Step, model: str = "") -> Module:
    """A step that is one module, or an activation, as a module without its input."""
    value = step.value.value if isinstance(step.value, Mark) else step.value
    gives = ("", "") if step.outputs[0].endswith(APART) else (model, step.outputs[0])
    if isinstance(value, Apply):
        return replace(value.module, role="", gives=gives)
    assert isinstance(value, Call)
    return Module(callee(value.function).module, value.args[1:], value.kwargs, gives=gives)


def tensor_name(slot: int, index: int) -> str:
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


def _narrows(it: Node) -> bool:
    """Whether a step is one convolution that gives fewer channels than it takes."""
    value = it.step.value.value if isinstance(it.step.value, Mark) else it.step.value
    sizes = value.module.args[:2] if isinstance(value, Apply) else ()
    return len(sizes) == 2 and sizes[1] < sizes[0]


def channels(spec: Spec) -> int | None:
    """How many channels a tensor has; None: none, or as many as the run time says."""
    names = [axis.name for axis in spec.axes]
    if "c" in names:
        return spec.shape[names.index("c")]
    return spec.shape[1] if len(names) == 2 else None


class Steps:
    """A block's slots as steps of its class, of which some become one step together."""

    def __init__(self, block: Block) -> None:
        self.block = block
        fullest = sorted(block.uses, key=lambda it: -sum(inner is not None for inner in it.inside or ()))
        chosen = [
            next(it for it in fullest if it.inside and it.inside[at] is not None)
            for at in range(len(block.slots))
        ]
        self.nodes = [_present(it.inside, at) for at, it in enumerate(chosen)]
        self.prefixes = [prefix(named_layers(leaves(it))) for it in block.uses]
        entering = tuple(channels(it.specs[it.reads[0]]) for it in block.uses)
        leaving = tuple(channels(it.specs[it.writes[0]]) for it in block.uses)
        self.parameters = Parameters(len(block.uses), entering, leaving)
        self.flags: list[tuple[str, Any]] = []
        self.owners: list[str] = []

    def structure(self) -> Structure:
        return Structure(self.nodes, [slot.reads for slot in self.block.slots], self.block.outputs)

    def inputs(self) -> list[str]:
        """Names for the tensors that enter: the one that goes on is x."""
        names = ["x"]
        first = {it.key for it in self._readers(0)}
        for at in range(1, self.block.inputs):
            readers = self._readers(at)
            kinds = {short_name(leaf.step.kind) for it in readers for leaf in leaves(it)}
            base = (
                "mask"
                if self.block.uses[0].specs[self.block.uses[0].reads[at]].numbers == "bool"
                else "skip"
                if "Concatenate" in kinds or self._is_kept(at)
                else "shortcut"
                if "Add" in kinds
                else "x"
                if {it.key for it in readers} == first and not any(it.merges for it in readers)
                else "other"
            )
            names.append(unique(base, names))
        return names

    def _readers(self, at: int) -> list[Node]:
        """What reads an input."""
        both = zip(self.block.slots, self.nodes, strict=True)
        return [it for slot, it in both if ("in", at) in slot.reads]

    def _is_kept(self, at: int) -> bool:
        """Whether an input is as large as what the block makes of a smaller one: a U-Net's skip."""
        use = self.block.uses[0]
        sizes = [use.specs[it].shape[2:] for it in (use.reads[0], use.reads[at], use.writes[0])]
        return self.structure().grows and sizes[1] == sizes[2] != sizes[0]

    def name(self, wire: Wire, inputs: Sequence[str]) -> str:
        return inputs[wire[1]] if wire[0] == "in" else tensor_name(int(wire[0]), wire[1])

    def spec(self, name: str, tensor: str) -> Spec:
        return replace(self.block.uses[0].specs[tensor], name=name)

    def rows(self, steps: list[Step]) -> list[Step | None]:
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
            (at, 0) in slot.reads and any(short_name(leaf.step.kind) == kind for leaf in leaves(it))
            for slot, it in zip(self.block.slots, self.nodes, strict=True)
        )

    def optional(self, steps: list[Step | None], inputs: Sequence[str]) -> list[Step]:
        """The steps with every optional part as one step."""
        made: dict[int, Step | None] = dict(enumerate(steps))
        for number, part in enumerate(self.block.parts):
            inside = [at for at, slot in enumerate(self.block.slots) if slot.part == number]
            there = [it.inside is not None and it.inside[inside[0]] is not None for it in self.block.uses]
            passes = self.name(part.passes, inputs)
            chain = [it for at in inside if (it := steps[at]) is not None]
            if any(self.nodes[at].weighted for at in inside):
                one = self._chain(inside[0], chain, passes, there)
                for at in inside:
                    self.owners[at] = f"part:{one.layer}"
            elif all(isinstance(it.value, Apply) and "Dropout" in it.value.module.cls for it in chain):
                continue
            else:
                one = self._conditional(number, chain, passes, there)
            made.update({at: None for at in inside})
            made[inside[-1]] = one
        return [it for it in made.values() if it is not None]

    def _chain(self, at: int, chain: Sequence[Step], passes: str, there: Sequence[bool]) -> Step:
        """Modules that are there or not: `nn.Sequential(...) if ... else nn.Identity()`."""
        inside = {it.layer for it in chain}
        taken = [it.removeprefix("part:") for it in self.owners if it not in inside]
        layer = unique(self._part_name(chain, passes, self.nodes[at]), taken)
        modules = [as_module(it) for it in chain]
        made = modules[0] if len(modules) == 1 else Module("nn.Sequential", tuple(modules))
        test = self.parameters.flag(there, layer)
        value = Apply(replace(made, when=test.text, role=""), (Var(passes),), owner=layer)
        kind = chain[0].kind
        return Step(f"part{at}", layer, kind, chain[-1].outputs, value)

    def _part_name(self, chain: Sequence[Step], passes: str, whole: Node) -> str:
        """What a person calls it; `whole`: its first step with the numbers of one use."""
        readers = [
            it for it, slot in zip(self.nodes, self.block.slots, strict=True)
            if any(self.name(wire, ["x"] * 9) == chain[-1].outputs[0] for wire in slot.reads)
        ]  # fmt: skip
        if passes == "x" and any(it.merges and merge_kind(it) == "Add" for it in readers):
            return "shortcut"
        first = chain[0].value
        if isinstance(first, Apply) and not is_heavy(first):
            return "norm" if "Norm" in first.module.cls else "dropout"
        cls = first.module.cls if isinstance(first, Apply) else ""
        if passes == "x" and cls.startswith("nn.Conv"):
            return "reduce" if _narrows(whole) else "expand"
        noun = re.sub(r"_?\d+d?$", "", noun_of(cls.removeprefix("nn.")))
        return f"extra_{noun}" if noun in ("conv", "fc") else noun or "optional"

    def _conditional(self, number: int, chain: Sequence[Step], passes: str, there: Sequence[bool]) -> Step:
        """What is computed or not: `x + shortcut if self.residual else x`."""
        values: dict[str, Any] = {}
        for it in chain:
            value = rewrite(it.value, lambda e: values.get(e.tensor, e) if isinstance(e, Var) else e)
            values[it.outputs[0]] = Mark(value, it.outputs[0])
        kinds = [short_name(it.kind) for it in chain]
        name = "residual" if "Add" in kinds else _called(chain[0].value)
        text = self.parameters.flag(there, name)
        taken = [it for it, _ in self.flags]
        if name == "pad" and name in taken and text.text == "stride != 1":  # that keeps the amounts
            name = "downsample"
        flag = unique(name, taken)
        self.flags.append((flag, text))
        last = chain[-1]
        value = IfElse(Code(f"self.{flag}"), values[last.outputs[0]], Var(passes))
        return Step(f"choice{number}", last.layer, last.kind, last.outputs, value)
