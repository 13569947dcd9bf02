"""Paddings before modules are steps of their own while blocks are sought: some uses of a block lack them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torchport.program import Apply, Call, Definition, Spec, Step, Var, rewrite


def pads_apart(definition: Definition) -> Definition:
    """The definition with a step for every padding before a module: some uses of a block lack it."""
    steps: list[Step] = []
    specs = dict(definition.specs)
    for step in definition.steps:
        value = step.value
        inside = value.args[0] if isinstance(value, Apply) and len(value.args) == 1 else None
        if isinstance(inside, Call) and inside.function == "F.pad" and isinstance(inside.args[0], Var):
            name, spec = f"{step.outputs[0]}.padded", specs[inside.args[0].tensor]
            shape = tuple(None if axis.name in ("d", "h", "w", "t") else size for axis, size in zip(
                spec.tensor.axes, spec.tensor.shape, strict=True))  # fmt: skip
            specs[name] = Spec(name, replace(spec.tensor, name=name, shape=shape, probe=()), spec.order)
            steps.append(Step(name, step.layer, "pad", (name,), inside))
            assert isinstance(value, Apply)
            step = replace(step, value=replace(value, args=(Var(name),)))
        steps.append(step)
    return replace(definition, steps=tuple(steps), specs=specs)


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
