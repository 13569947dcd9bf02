"""Nested models: those that repeat as uses of one block, short chains as nn.Sequential."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from torchport.blocks.align import merge
from torchport.blocks.block import Block, Readers, Slot, use
from torchport.blocks.cost import PART, class_cost, lines, use_cost
from torchport.blocks.draft import Body, Draft, is_one, rows
from torchport.blocks.nodes import Node, node, nodes_of
from torchport.blocks.steps import as_module
from torchport.program import Apply, Definition, Module, Var

#: A nested model of so many modules in a row is written as nn.Sequential.
CHAIN = 6


def open_models(definition: Definition, draft: Draft) -> dict[str, Definition]:
    """Nested models that repeat become uses of one block, short chains nn.Sequential; gives all others.

    Only models that are called once: the calls of one that is shared are calls of one module.
    """
    body, rest = draft.bodies[0], dict(definition.parts)
    calls = Counter(step.layer for step in definition.steps)
    models: dict[int, list[Node]] = {}
    for at, it in enumerate(body.nodes):
        part = rest.get(it.step.layer)
        if part is not None and it.step.kind == "Model" and calls[it.step.layer] == 1:
            if len(part.inputs) == len(part.outputs) == 1 and not part.parts and part.steps:
                inside = nodes_of(part)
                if not any(one.shared for one in inside):
                    models[at] = inside
    waiting = list(models)
    while waiting:
        family = [waiting.pop(0)]
        for other in list(waiting):
            ours, theirs = (rest[body.nodes[it].step.layer].cls for it in (family[0], other))
            if ours == theirs and _alike(models[family[0]], models[other]):
                family.append(other)
                waiting.remove(other)
        results = [rest[body.nodes[at].step.layer].outputs[0].name for at in family]
        layers = [body.nodes[at].step.layer for at in family]
        cls = rest[layers[0]].cls
        if len(family) > 1 and _adopt(draft, family, [models[at] for at in family], results, cls):
            for layer in layers:
                del rest[layer]
            continue
        for at, layer in zip(family, layers, strict=True):
            if is_chain(models[at]) and len(models[at]) <= CHAIN:
                call = body.nodes[at].step
                modules = tuple(as_module(it.step, layer) for it in models[at])
                value = Apply(Module("nn.Sequential", modules), (Var(call.inputs[0]),), owner=layer)
                body.nodes[at] = node(replace(call, value=value), definition)
                del rest[layer]
    body.refresh()
    return rest


def _alike(one: Sequence[Node], other: Sequence[Node]) -> bool:
    """Whether two nested models are one but for optional parts."""
    runs = [rows(nodes, Readers(nodes, nodes[-1].writes), False) for nodes in (one, other)]
    merged = merge(runs[0], runs[1])
    if merged is None:
        return False
    uses = [
        [None if a is None else one[a] for a, _ in merged.slots],
        [None if b is None else other[b] for _, b in merged.slots],
    ]
    return is_one(merged, uses)


def _adopt(
    draft: Draft, at: Sequence[int], models: Sequence[Sequence[Node]], results: Sequence[str], cls: str
) -> bool:
    """Make one block of nested models that are one but for optional parts, called at these nodes.

    `results`: what each returns. `cls`: the user's own class that they are calls of. Gives False, and does
    nothing, where that saves no lines.
    """
    body = draft.bodies[0]
    single = all(sum(it.heavy for it in nodes) == 1 for nodes in models)
    runs = [
        rows(nodes, Readers(nodes, (result,)), single) for nodes, result in zip(models, results, strict=True)
    ]
    order = sorted(range(len(models)), key=lambda it: -len(models[it]))
    block = Block(next(draft.numbers), [Slot(row.key, row.reads) for row in runs[order[0]].rows],
                  runs[order[0]].outputs or (), cls=cls)  # fmt: skip
    uses: dict[int, Node] = {}
    for number in order:
        merged = merge(block.run() if block.uses else runs[order[0]], runs[number])
        if merged is None or len(merged.inputs) != 1:
            return False
        block.become(merged, [row.key for row in runs[number].rows])
        inside = [None if it is None else models[number][it] for _, it in merged.slots]
        call = body.nodes[at[number]]
        uses[at[number]] = use(block, inside, call.reads, call.writes, call)
    count = block.tally.parameters()
    apart = sum(map(_alone, models))
    together = class_cost(count) + lines(block.nodes()) + PART * len(block.parts)
    together += len(models) * use_cost(count, draft.fit)
    if together >= apart:
        return False
    for place, it in uses.items():
        body.nodes[place] = it
    draft.blocks.append(block)
    draft.bodies.append(Body([], (), block))
    for other in draft.bodies:
        other.refresh()
    return True


def is_chain(nodes: Sequence[Node]) -> bool:
    """Whether the nodes can stand in nn.Sequential, one after the other."""
    return all(it.modular for it in nodes) and all(
        it.reads == before.writes for before, it in zip(nodes, nodes[1:], strict=False)
    )


def _alone(nodes: Sequence[Node]) -> float:
    """Lines of a nested model by itself: as nn.Sequential if it is a chain, else as a class."""
    if is_chain(nodes):
        return 1.7 + (len(nodes) + 1 if len(nodes) > 1 else 0)
    return class_cost(0) + lines(nodes) + use_cost(0)
