"""Sub-pixel convolutions: TensorFlow lays blocks of channels with the channel innermost, torch outermost.

depth_to_space(self.conv(x), 2)  ->  F.pixel_shuffle(self.conv(x), 2), the rows of the kernel in torch's order

What stands between the two is in another order than in the source: its tensors are no tensors of the graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torchport.axes import Turn, parse
from torchport.idioms.permutes import elementwise, instead
from torchport.idioms.view import View
from torchport.program import Apply, Call, Definition, Load, Module, Spec, Step, Var, apart, rewrite, walk


def pixels(definition: Definition) -> Definition:
    """The definition with `F.pixel_shuffle` wherever a convolution that is called once gives the blocks."""
    view = View(definition)
    for step in definition.steps:
        for it in walk(step.value):
            if isinstance(it, Call) and it.function == "depth_to_space":
                chain = list(_chain(it.args[0], view))
                made = _turned(chain[-1].value, it.args[1], view) if chain else None
                if made is not None:
                    return pixels(_written(definition, step, it, chain, made))
    return definition


def _chain(x: Any, view: View) -> Iterator[Step]:
    """The steps that give a tensor, from the last to a module, if each is read by the next one alone."""
    while isinstance(x, Var) and x.tensor in view.steps and view.reads[x.tensor] == 1:
        step = view.steps[x.tensor]
        yield step
        x = elementwise(step.value)


def _turned(value: Any, size: int, view: View) -> Apply | None:
    """A convolution that is called once, its rows in torch's order; None of anything else."""
    if not isinstance(value, Apply) or not re.fullmatch(r"nn\.Conv2d", value.module.cls):
        return None
    made = value.module
    channels = made.args[1]
    alone = view.calls[value.owner, made.role] == 1 and "groups" not in made.kwargs
    if not alone or not isinstance(channels, int) or channels % size**2:
        return None
    loads = {name: _rows(load, size) for name, load in made.loads.items()}
    return None if None in loads.values() else replace(value, module=Module(**{**vars(made), "loads": loads}))


def _rows(load: Any, size: int) -> Load | None:
    """How a kernel or a bias is loaded, its output channels (r s c) as (c r s)."""
    if not isinstance(load, Load) or load.turn.regroup or load.turn.blocks or load.turn.view:
        return None
    left, right = (list(parse(side)) for side in load.turn.pattern.split("->"))
    rows = right[0]
    if rows not in left or not rows.isalpha() or {"r", "s", "c"} & {*left, *right} - {rows}:
        return None
    left[left.index(rows)], right[0] = f"(r s {rows})", f"({rows} r s)"
    sizes = (*load.turn.sizes, ("r", size), ("s", size))
    return replace(load, turn=Turn(f"{' '.join(left)} -> {' '.join(right)}", (), sizes))


def _written(definition: Definition, goal: Step, blocks: Call, chain: list[Step], made: Apply) -> Definition:
    """The definition with the chain in torch's order, its tensors by names that no graph has."""
    names = {step.outputs[0]: apart(step.outputs[0]) for step in chain}
    specs = dict(definition.specs)
    changed: dict[str, Step] = {}
    for step in chain:
        name = step.outputs[0]
        value: Any = made
        if step is not chain[-1]:
            inner = elementwise(step.value)
            value = instead(step.value, inner, Var(names[inner.tensor]))
        changed[step.name] = replace(step, outputs=(names[name],), value=value)
        spec: Spec = specs[name]
        specs[names[name]] = replace(spec, name=names[name])
    shuffled = Call("F.pixel_shuffle", (Var(names[chain[0].outputs[0]]), *blocks.args[1:]))
    value = rewrite(goal.value, lambda it: shuffled if it == blocks else it)
    changed[goal.name] = replace(goal, value=value)
    steps = tuple(changed.get(step.name, step) for step in definition.steps)
    return replace(definition, steps=steps, specs=specs)
