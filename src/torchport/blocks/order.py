"""The order in which a person writes the steps: one branch after the other, the longest first, but those
that are laid end to end as they lie.

Keras lists layers by depth, which interleaves branches. Here every step stands as late as it can: it is
written when the first that reads it is, and of several branches the deepest is written first. Only the calls
of a layer that is called more than once keep the order in which Keras runs them: each updates its running
statistics.
"""

from __future__ import annotations

from dataclasses import replace

from torchport.program import Apply, Definition, Step, walk


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
    place = {step.name: at for at, step in enumerate(definition.steps)}
    done: dict[str, Step] = {}

    def sources(step: Step) -> list[Step]:
        found = {producer[name].name: producer[name] for name in step.inputs if name in producer}
        if step.name in previous:
            found[previous[step.name].name] = previous[step.name]
        if step.kind == "Concatenate":
            return list(found.values())
        return sorted(found.values(), key=lambda it: (-depth[it.name], place[it.name]))

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
    parts = {layer: in_reading_order(part, seen) for layer, part in definition.parts.items()}
    seen[id(definition)] = replace(definition, steps=tuple(done.values()), parts=parts)
    return seen[id(definition)]


def _previous_calls(definition: Definition) -> dict[str, Step]:
    """For each further call of a layer that holds modules, the call that Keras runs before it."""
    calls: dict[str, list[Step]] = {}
    for step in definition.steps:
        if any(isinstance(node, Apply) for node in walk(step.value)):
            calls.setdefault(step.layer, []).append(step)
    found = {}
    for steps in calls.values():
        ordered = sorted(steps, key=lambda it: it.turn)
        found.update({later.name: earlier for earlier, later in zip(ordered, ordered[1:], strict=False)})
    return found
