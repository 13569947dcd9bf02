"""The factored program: bodies as steps again, uses of blocks as constructor calls, runs as stages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torchport.blocks.block import Block, goes_on, leaves
from torchport.blocks.branches import branches_joined
from torchport.blocks.build import Builder
from torchport.blocks.collected import row_from
from torchport.blocks.cost import CALL, FIT, PART, SEVERAL, class_cost, lines, use_cost
from torchport.blocks.draft import Body, Draft, Steps, steps_of
from torchport.blocks.factor import search
from torchport.blocks.models import open_models
from torchport.blocks.naming import use_name
from torchport.blocks.nodes import Node, is_weighted, nodes_of
from torchport.blocks.pads import pads_apart, pads_joined
from torchport.blocks.tails import with_tails
from torchport.names import class_name, identifier, is_automatic, snake, unique
from torchport.program import Apply, Collect, Definition, Module, Step, Var, walk

#: What sources call any of several blocks in a row.
GENERIC = ("block", "unit", "layer", "cell")
#: So many uses of a block of several inputs are a loop.
LOOP = 3


def factor(
    definition: Definition, name: str, length: Callable[[Definition], int] | None = None
) -> Definition:
    """The definition with repeated structure as classes; nested models are factored each for itself.

    `name`: of the model's class, which no block takes. `length`: of the text that is written for a
    definition. The search goes by estimates; what it finds is measured, and blocks without which the text is
    shorter are given up.
    """
    attempt = partial(_Attempt, definition, frozenset({name, *_model_names(definition)}))
    best = attempt()
    if length is None or not (best.bent or best.lists or best.wide() or best.doubtful()):
        return best.result
    count = len(definition.steps)
    rest = 0 if count > LARGE else min(TRIES, WORK // count)
    if not rest and not best.bent:
        return best.result
    shortest = length(best.result) + best.burden()

    def is_shorter(other: _Attempt) -> bool:
        nonlocal best, shortest
        found = length(other.result) + other.burden()
        has_names = bool(other.classes) and not best.classes  # of equal length, units with names
        if found > shortest or (found == shortest and not has_names):
            return False
        best, shortest = other, found
        return True

    if best.bent:
        is_shorter(attempt(placed=False))
    if best.wide() and rest:
        is_shorter(attempt(placed=best.placed, fit=FIT))
    if best.lists and rest:
        is_shorter(attempt(branches=False, placed=best.placed, fit=best.fit))
        is_shorter(attempt(blocks=False))
    while rest:
        for steps in best.doubtful()[:rest]:
            rest -= 1
            if is_shorter(attempt(best.banned | {steps}, best.branches, best.placed, best.fit)):
                break
        else:
            break
    return best.result


#: So many blocks, at most, are given up to see whether the text becomes shorter; of those of which the
#: estimate is that they save no more than so many lines.
TRIES, DOUBT = 8, 6.0
#: Steps that all tries together look at, about: a network of many is tried less often.
WORK = 2000
#: In a network of more steps than this none are: a search takes a second for each thousand.
LARGE = 600
#: What it counts, in lines, that people have no name for a class, and that a part of it is there or not.
NAMELESS, SWITCH = 4.0, 4.0


class _Attempt:
    """What the search makes of a definition, some blocks banned, branches side by side as lists or not.

    `blocks`: whether any are made, beside those of nested models.
    `placed` as in Draft; `bent`: the search might end elsewhere with the other.
    """

    def __init__(
        self, definition: Definition, taken: frozenset[str], banned: frozenset[Steps] = frozenset(),
        branches: bool = True, placed: bool = True, fit: int = CALL, blocks: bool = True,
    ) -> None:  # fmt: skip
        self.blocks = blocks
        self.banned, self.branches, self.placed, self.fit = banned, branches, placed, fit
        self.lists = self.bent = False
        self.saved: dict[Steps, float] = {}
        self.classes: dict[str, Definition] = {}
        self.result = self._factored(definition, set(taken))

    def burden(self) -> float:
        """Lines that classes count beyond those of the text: what takes a reader longer to see."""
        total = 0.0
        for it in self.classes.values():
            total += NAMELESS if re.fullmatch(r"Block\d*", it.name) else 0
            total += SWITCH * sum(one.annotation == "bool" for one in it.parameters)
            total += SEVERAL * (len(it.outputs) - 1)
        return total

    def wide(self) -> bool:
        """Whether a class has so many parameters that it decides how many are taken to fit on a line."""
        return any(len(it.parameters) >= FIT for it in self.classes.values())

    def doubtful(self) -> list[Steps]:
        """Blocks that may save no lines, those that are estimated to save least first."""
        return sorted((it for it, saved in self.saved.items() if saved < DOUBT), key=self.saved.__getitem__)

    def _factored(self, definition: Definition, taken: set[str]) -> Definition:
        frozen = is_frozen(definition)
        if frozen:  # as a whole, from outside: blocks need not know
            definition = replace(definition, frozen=frozenset())
        definition = pads_apart(definition)
        if self.branches:
            listed = branches_joined(definition)
            self.lists |= listed.steps != definition.steps
            definition = listed
        definition, unread = with_tails(definition)
        results = (*(spec.name for spec in definition.outputs), *unread[-1:])
        draft = Draft(Body(nodes_of(definition), results), self.banned, self.placed, self.fit)
        parts = open_models(definition, draft)
        if self.blocks:
            search(draft)
        self.bent |= draft.bent
        self.saved |= {steps_of(block.nodes()): _saved(draft, block) for block in draft.blocks}
        parts = {layer: self._factored(part, taken) for layer, part in parts.items()}
        blocks = {block.key: block for block in draft.blocks}
        builder = Builder(taken)
        for it in draft.bodies[0].nodes:  # names are given in the order in which they are read
            if it.key in blocks:
                builder.block(blocks[it.key], blocks)
        steps, made = _steps(draft.bodies[0], blocks, builder)
        steps = [it for it in steps if not set(unread).issuperset(it.outputs)]
        found = (it.definition for it in builder.made.values())
        self.classes |= {it.name: it for it in found}
        still = frozenset(step.layer for step in steps) if frozen else definition.frozen
        return replace(definition, steps=tuple(pads_joined(steps)), parts={**parts, **made}, frozen=still)


def _saved(draft: Draft, block: Block) -> float:
    """About how many lines a block saves, by the places in which it is written."""
    places = sum(it.key == block.key for body in draft.bodies for it in body.nodes)
    count, each = block.tally.parameters(), lines(block.nodes())
    return (
        (places - 1) * each
        - places * use_cost(count, draft.fit)
        - class_cost(count)
        - PART * len(block.parts)
    )


def _model_names(definition: Definition) -> Iterator[str]:
    """Names of the classes that nested models become."""
    for layer, part in definition.parts.items():
        yield class_name(layer)
        yield from _model_names(part)


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
    meetings: dict[str, Step] = {}
    taken: list[str] = [it.step.layer for it in body.nodes if it.inside is None]
    at = 0
    while at < len(body.nodes):
        it = body.nodes[at]
        if it.inside is None:
            steps.append(meetings.get(it.step.name, it.step))
            at += 1
            continue
        if row := row_from(body, at):
            listed = f"{row.uses[0].step.name} aside"
            owner, step, definition = _whole(row.uses, blocks, builder, taken, at)
            assert isinstance(step.value, Apply)
            value = Collect(step.value, row.goes_on)
            steps.append(replace(step, outputs=(row.uses[-1].writes[row.goes_on], listed), value=value))
            parts[owner] = definition
            meetings[row.meets.name] = row.listed(listed)
            at += len(row.uses)
            continue
        stage = _stage(body, at)
        if not it.modular and len(stage) < LOOP:
            stage = [it]
        owner, step, definition = _whole(stage, blocks, builder, taken, at)
        steps.append(step)
        parts[owner] = definition
        at += len(stage)
    return steps, parts


def _whole(
    stage: Sequence[Node], blocks: Mapping[Any, Block], builder: Builder, taken: list[str], at: int
) -> tuple[str, Step, Definition]:
    """Uses of a block in a row as one step: the attribute that holds them, the step, their class."""
    made = builder.made[blocks[stage[0].key].number]
    modules = [builder.module(one, blocks) for one in stage]
    owner, kind = _owner(stage, made.definition.name, taken, at)
    taken.append(owner)
    row = "nn.Sequential" if stage[0].modular and len(stage[0].writes) == 1 else "nn.ModuleList"
    module = modules[0] if len(modules) == 1 else Module(row, tuple(modules))
    value = Apply(module, tuple(map(Var, stage[0].reads)), owner=owner)
    return owner, Step(owner, owner, kind, stage[-1].writes, value), made.definition


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
        return f"blocks_{at}", cls
    return f"{snake(cls)}_{at}", cls
