"""The order in which a person writes the steps: one branch after the other, the longest first, but those
that are laid end to end as they lie.

Keras lists layers by depth, which interleaves branches. Here every step stands as late as it can: it is
written when the first that reads it is, and of several branches the deepest is written first; heads for
several scales are written behind all that they read. Only the calls of a layer that is called more than once
keep the order in which Keras runs them: each updates its running statistics.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from torchport.blocks.regions import dominators
from torchport.callees import callee
from torchport.names import short_name
from torchport.program import Apply, Assign, Definition, Step, reads_state, walk


def in_reading_order(definition: Definition, seen: dict[int, Definition] | None = None) -> Definition:
    """The definition, and all in it, with its steps in reading order. Steps nobody reads keep their place.

    `seen`: what became of definitions, which stay one where they stand in several places.
    """
    seen = {} if seen is None else seen
    if id(definition) in seen:
        return seen[id(definition)]
    producer = {name: step for step in definition.steps for name in step.outputs}
    depth: dict[str, int] = {}
    for step in definition.steps:
        below = [depth[producer[name].name] for name in step.inputs if name in producer]
        depth[step.name] = 1 + max(below, default=0)
    previous = _previous_calls(definition)
    before = _around_assignments(definition.steps)
    place = {step.name: at for at, step in enumerate(definition.steps)}
    done: dict[str, Step] = {}

    def sources(step: Step) -> list[Step]:
        found = {producer[name].name: producer[name] for name in step.inputs if name in producer}
        if step.name in previous:
            found[previous[step.name].name] = previous[step.name]
        found.update((it.name, it) for it in before.get(step.name, ()))
        if step.kind == "Concatenate":
            return [*trunk_of(step), *found.values()]
        return sorted(found.values(), key=lambda it: (-depth[it.name], place[it.name]))

    readers = Counter(name for step in definition.steps for name in step.inputs)
    readers.update(spec.name for spec in definition.outputs)

    def chain_to(name: str) -> list[Step]:
        """The steps that give a tensor, back to the first that reads several or that others read too."""
        found: list[Step] = []
        while name in producer:
            found.insert(0, producer[name])
            if len(found) > 1 and readers[name] > 1 or len(set(producer[name].inputs)) != 1:
                break
            name = producer[name].inputs[0]
        return found

    def trunk_of(step: Step) -> list[Step]:
        """What the deepest of several branches begins with, where branches of several scales are gathered."""
        chains = {name: chain for name in step.inputs if (chain := chain_to(name))}
        gathers = _gathers([chain[1:] for chain in chains.values()]) or _is_pyramid(step, definition)
        if len(step.inputs) < SIDES or not gathers:
            return []
        deepest = max(chains.values(), key=lambda chain: depth[chain[-1].name])
        resize = next((at for at, it in enumerate(deepest) if RESIZE.match(short_name(it.kind))), 0)
        is_node = deepest[0].kind == "Concatenate"  # a decoder's, which is written as a whole
        return [deepest[resize if is_node else 0]]

    def visit(goal: Step) -> None:
        stack = [(goal, iter(sources(goal)))]
        while stack:
            step, rest = stack[-1]
            following = next((it for it in rest if it.name not in done), None)
            if following is None:
                done.setdefault(step.name, step)
                stack.pop()
            else:
                stack.append((following, iter(sources(following))))

    for spec in definition.outputs:
        if spec.name in producer and producer[spec.name].name not in done:
            visit(producer[spec.name])
    for step in definition.steps:
        if step.name not in done:
            visit(step)
    steps = _sides_first(list(done.values()), definition)
    parts = {layer: in_reading_order(part, seen) for layer, part in definition.parts.items()}
    seen[id(definition)] = replace(definition, steps=tuple(steps), parts=parts)
    return seen[id(definition)]


def _around_assignments(steps: Sequence[Step]) -> dict[str, list[Step]]:
    """For each step those that stand before it since it assigns what they read, or reads what they assign."""
    found: dict[str, list[Step]] = {}
    for at, step in enumerate(steps):
        if isinstance(step.value, Assign):
            for place, other in enumerate(steps):
                if other is not step and reads_state(other.value, step.value):
                    first, second = (other, step) if place < at else (step, other)
                    found.setdefault(second.name, []).append(first)
    return found


def _is_pyramid(step: Step, definition: Definition) -> bool:
    """Whether rows of several sizes are laid end to end: what a detector's heads give at all scales."""
    shapes = [it.shape for name in step.inputs if (it := definition.specs.get(name)) is not None]
    is_rows = len(shapes) > 1 and all(len(it) == 3 and it[2] == shapes[0][2] for it in shapes)
    return is_rows and len({it[1] for it in shapes}) == len(shapes)


def _gathers(chains: Iterable[Sequence[Step]]) -> bool:
    """Whether several chains change the size of an image: they bring scales together."""
    return sum(any(RESIZE.match(short_name(it.kind)) for it in chain) for chain in chains) > 1


#: Layers that change the size of an image.
RESIZE = re.compile(r"UpSampling|(Max|Average)Pooling|Resize")
#: So many chains that lead aside from the way to one step are written where they leave it.
SIDES = 3


def _sides_first(steps: list[Step], definition: Definition) -> list[Step]:
    """The steps, those that lead aside to a meeting far away where they begin: a WaveNet's skips.

    A chain that leads aside begins at a tensor through which not all goes that meets there. What meets is of
    one size: rows of a detector's heads for images of several sizes are written head by head.
    """
    if any(isinstance(step.value, Assign) for step in steps):
        return steps
    producer = {name: at for at, step in enumerate(steps) for name in step.outputs}
    readers = Counter(name for step in steps for name in step.inputs)
    readers.update(spec.name for spec in definition.outputs)
    dominates = dominators([(step.inputs, step.outputs) for step in steps])
    calls = Counter(step.layer for step in steps)
    moved: dict[int, list[int]] = {}
    for at, step in enumerate(steps):
        names = list(dict.fromkeys(step.inputs))
        is_row = len(names) >= SIDES and not _is_pyramid(step, definition)
        sides = [_side(name, steps, producer, readers) for name in names] if is_row else []
        aside = [side for side in sides if side[1:] and side[0] >= 0 and side[0] != dominates[at]]
        if _gathers([steps[it] for it in side[1:]] for side in aside):
            continue
        if len(aside) >= SIDES and all(calls[steps[it].layer] == 1 for side in aside for it in side[1:]):
            for start, *chain in aside:
                moved.setdefault(start, []).extend(chain)
    gone = {it for chain in moved.values() for it in chain}
    order: list[int] = []
    for at in range(len(steps)):
        order += [] if at in gone else [at, *moved.get(at, [])]
    return [steps[at] for at in order] if len(order) == len(steps) else steps


def _side(name: str, steps: list[Step], producer: dict[str, int], readers: Counter[str]) -> list[int]:
    """The step at which a chain leaves the way, and those of the chain that gives a tensor to one reader."""
    chain: list[int] = []
    while name in producer and readers[name] == 1:
        step = steps[producer[name]]
        if len(set(step.inputs)) != 1 or len(step.outputs) != 1:
            break
        chain.insert(0, producer[name])
        name = step.inputs[0]
    return [producer.get(name, -1), *chain] if readers[name] > 1 else [-1]


def _has_state(step: Step, definition: Definition) -> bool:
    """Whether a call of a module in a step depends on those before it: it changes, or draws numbers."""
    for node in walk(step.value):
        if isinstance(node, Assign):
            return True
        if isinstance(node, Apply) and node.module.cls == "Model" and step.layer in definition.parts:
            part = definition.parts[step.layer]
            return any(_has_state(inner, part) for inner in part.steps)
        if isinstance(node, Apply):
            made = callee(node.module.cls)
            if made.is_stateful or made.amount:
                return True
    return False


def _previous_calls(definition: Definition) -> dict[str, Step]:
    """For each further call of a layer that holds modules, the call that Keras runs before it."""
    calls: dict[str, list[Step]] = {}
    for step in definition.steps:
        if _has_state(step, definition):
            calls.setdefault(step.layer, []).append(step)
    found = {}
    for steps in calls.values():
        ordered = sorted(steps, key=lambda it: it.turn)
        found.update({later.name: earlier for earlier, later in zip(ordered, ordered[1:], strict=False)})
    return found
