"""The factored program: bodies as steps again, uses of blocks as constructor calls, runs as stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torchport.blocks.block import Block, goes_on, leaves
from torchport.blocks.build import Builder, as_module, pads_joined
from torchport.blocks.factor import Body, Factoring, is_chain
from torchport.blocks.naming import use_name
from torchport.blocks.nodes import Node, node
from torchport.names import class_name, identifier, is_automatic, snake, unique
from torchport.program import Apply, Call, Definition, Module, Spec, Step, Var

#: A nested model of so many modules in a row is written as nn.Sequential.
CHAIN = 6
#: What sources call any of several blocks in a row.
GENERIC = ("block", "unit", "layer", "cell")
#: So many uses of a block of several inputs are a loop.
LOOP = 3


def factor(definition: Definition, name: str) -> Definition:
    """The definition with repeated structure as classes; nested models are factored each for itself.

    `name`: of the model's class, which no block takes.
    """
    return _factored(definition, {class_name(name), *_model_names(definition)})


def _model_names(definition: Definition) -> Iterator[str]:
    """Names of the classes that nested models become."""
    for layer, part in definition.parts.items():
        yield class_name(layer)
        yield from _model_names(part)


def _factored(definition: Definition, taken: set[str]) -> Definition:
    definition = _pads_apart(definition)
    nodes = [node(step, definition) for step in definition.steps]
    found = Factoring(Body(nodes, tuple(spec.name for spec in definition.outputs)))
    parts = _open_models(definition, found)
    found.run()
    parts = {layer: _factored(part, taken) for layer, part in parts.items()}
    blocks = {block.key: block for block in found.blocks}
    builder = Builder(taken)
    for block in found.blocks:
        builder.block(block, blocks)
    steps, made = _steps(found.bodies[0], blocks, builder)
    return replace(definition, steps=tuple(pads_joined(steps)), parts={**parts, **made})


def _pads_apart(definition: Definition) -> Definition:
    """The definition with a step for every padding before a module: some uses of a block lack it."""
    steps: list[Step] = []
    specs = dict(definition.specs)
    for step in definition.steps:
        value = step.value
        inside = value.args[0] if isinstance(value, Apply) and len(value.args) == 1 else None
        if isinstance(inside, Call) and inside.function == "F.pad" and isinstance(inside.args[0], Var):
            name, spec = f"{step.outputs[0]}.padded", specs[inside.args[0].tensor]
            shape = tuple(None if axis in "dhwt" else size for axis, size in zip(
                spec.tensor.axes, spec.tensor.shape, strict=True))  # fmt: skip
            specs[name] = Spec(name, replace(spec.tensor, name=name, shape=shape), spec.order)
            steps.append(Step(name, step.layer, "pad", (name,), inside))
            assert isinstance(value, Apply)
            step = replace(step, value=replace(value, args=(Var(name),)))
        steps.append(step)
    return replace(definition, steps=tuple(steps), specs=specs)


def _open_models(definition: Definition, found: Factoring) -> dict[str, Definition]:
    """Nested models that repeat become uses of one block, short chains nn.Sequential; gives all others.

    Only models that are called once: the calls of one that is shared are calls of one module.
    """
    body, rest = found.bodies[0], dict(definition.parts)
    calls = Counter(step.layer for step in definition.steps)
    models: dict[int, list[Node]] = {}
    for at, it in enumerate(body.nodes):
        part = rest.get(it.step.layer)
        if part is not None and it.step.kind == "Model" and calls[it.step.layer] == 1:
            if len(part.inputs) == len(part.outputs) == 1 and not part.parts and part.steps:
                models[at] = [node(step, part) for step in part.steps]
    waiting = list(models)
    while waiting:
        family = [waiting.pop(0)]
        for other in list(waiting):
            if found.alike(models[family[0]], models[other]):
                family.append(other)
                waiting.remove(other)
        results = [rest[body.nodes[at].step.layer].outputs[0].name for at in family]
        layers = [body.nodes[at].step.layer for at in family]
        if len(family) > 1 and found.adopt(family, [models[at] for at in family], results):
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


def _steps(
    body: Body, blocks: Mapping[Any, Block], builder: Builder
) -> tuple[list[Step], dict[str, Definition]]:
    """The steps of the model's own body, and the classes of its blocks by the attribute they stand in."""
    steps: list[Step] = []
    parts: dict[str, Definition] = {}
    taken: list[str] = [it.step.layer for it in body.nodes if it.inside is None]
    at = 0
    while at < len(body.nodes):
        it = body.nodes[at]
        if it.inside is None:
            steps.append(it.step)
            at += 1
            continue
        stage = _stage(body, at)
        if not it.modular and len(stage) < LOOP:
            stage = [it]
        block = blocks[it.key]
        made = builder.made[block.number]
        modules = [builder.module(one, blocks) for one in stage]
        owner, kind = _owner(stage, made.definition.name, taken, at)
        taken.append(owner)
        parts[owner] = made.definition
        row = "nn.Sequential" if it.modular else "nn.ModuleList"
        module = modules[0] if len(modules) == 1 else Module(row, tuple(modules))
        value = Apply(module, tuple(map(Var, it.reads)), owner=owner)
        steps.append(Step(owner, owner, kind, stage[-1].writes, value))
        at += len(stage)
    return steps, parts


def _stage(body: Body, at: int) -> list[Node]:
    """Uses of one block that go on from one to the next, as far as their names say one stage."""
    stage = [body.nodes[at]]
    while at + len(stage) < len(body.nodes):
        last, following = stage[-1], body.nodes[at + len(stage)]
        alone = body.readers.count[last.writes[0]] == 1
        if not alone or not goes_on(last, following) or _stage_name(last) != _stage_name(following):
            break
        stage.append(following)
    return stage


def _stage_name(it: Node) -> str:
    """The part of a block's name that its whole stage shares: `conv2` of `conv2_block1`; empty if none."""
    name = use_name(leaves(it))
    words = name.rstrip("abcdefgh").rstrip("0123456789").rstrip("_").split("_") if name else []
    if len(words) > 1 and words[-1] in GENERIC:
        return "_".join(words[:-1])
    if name and name[-1].isalpha() and words != [name]:
        return name.rstrip("abcdefgh")
    if name and words != [name] and words[0] not in GENERIC:
        return words[0]
    return ""


def _owner(stage: Sequence[Node], cls: str, taken: Sequence[str], at: int) -> tuple[str, str]:
    """The attribute's name and kind: what the source calls the stage or the block, else the class's name."""
    model = stage[0].model
    if model and len(stage) == 1 and not is_automatic(model, "Model"):
        return unique(identifier(model), taken), cls
    inside = [leaf for it in stage for leaf in leaves(it)]
    name = (_stage_name(stage[0]) or use_name(inside)) if len(stage) > 1 else use_name(inside)
    if name:
        return unique(name, taken), cls
    if len(stage) > 1:
        return unique("blocks", taken), cls
    return f"{snake(cls)}_{at}", cls
