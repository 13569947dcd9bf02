"""The factored program: bodies as steps again, uses of blocks as constructor calls, runs as stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torchport.blocks.block import Block, goes_on, leaves
from torchport.blocks.branches import branches_joined
from torchport.blocks.build import Builder
from torchport.blocks.draft import Body, Draft
from torchport.blocks.factor import search
from torchport.blocks.models import open_models
from torchport.blocks.naming import use_name
from torchport.blocks.nodes import Node, is_weighted, nodes_of
from torchport.blocks.pads import pads_apart, pads_joined
from torchport.names import class_name, identifier, is_automatic, snake, unique
from torchport.program import Apply, Definition, Module, Step, Var, walk

#: What sources call any of several blocks in a row.
GENERIC = ("block", "unit", "layer", "cell")
#: So many uses of a block of several inputs are a loop.
LOOP = 3


def factor(definition: Definition, name: str) -> Definition:
    """The definition with repeated structure as classes; nested models are factored each for itself.

    `name`: of the model's class, which no block takes.
    """
    return _factored(definition, {name, *_model_names(definition)})


def _model_names(definition: Definition) -> Iterator[str]:
    """Names of the classes that nested models become."""
    for layer, part in definition.parts.items():
        yield class_name(layer)
        yield from _model_names(part)


def _factored(definition: Definition, taken: set[str]) -> Definition:
    frozen = is_frozen(definition)
    if frozen:  # as a whole, from outside: blocks need not know
        definition = replace(definition, frozen=frozenset())
    definition = branches_joined(pads_apart(definition))
    draft = Draft(Body(nodes_of(definition), tuple(spec.name for spec in definition.outputs)))
    parts = open_models(definition, draft)
    search(draft)
    parts = {layer: _factored(part, taken) for layer, part in parts.items()}
    blocks = {block.key: block for block in draft.blocks}
    builder = Builder(taken)
    for it in draft.bodies[0].nodes:  # names are given in the order in which they are read
        if it.key in blocks:
            builder.block(blocks[it.key], blocks)
    steps, made = _steps(draft.bodies[0], blocks, builder)
    still = frozenset(step.layer for step in steps) if frozen else definition.frozen
    return replace(definition, steps=tuple(pads_joined(steps)), parts={**parts, **made}, frozen=still)


def is_frozen(definition: Definition) -> bool:
    """Whether a definition has weights of its own, and none of them trains."""
    held = [step.layer for step in definition.steps for it in walk(step.value) if is_weighted(it)]
    return bool(held) and definition.frozen.issuperset(held)


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
