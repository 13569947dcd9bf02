"""Several operations as the one that a person writes: each rewrite is exact.

An idiom looks at one expression of a step, operands first, and at what its tensors are made of; it gives
what is written instead, or None. What is read no more goes. Each has its texts, before and after, and its
numbers in tests/idioms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torchport.idioms import activations, channels, counts, merge, nothing, pads, permutes, slices
from torchport.idioms.shuffle import pixels
from torchport.idioms.view import View
from torchport.layout.write import base_of, needed
from torchport.program import Call, Definition, rewrite, walk

Idiom = Callable[[Any, View], Any]

#: In the order in which they are tried.
IDIOMS: tuple[Idiom, ...] = (
    permutes.cancelled,
    permutes.across,
    permutes.of_each_step,
    permutes.of_one_channel,
    permutes.of_new_axes,
    permutes.reshaped_again,
    permutes.depth_to_space,
    channels.channel_shuffle,
    channels.head_rows,
    nothing.window_of_one,
    nothing.no_bound,
    nothing.least_of_none,
    nothing.broadcast,
    nothing.axis_of_one,
    pads.of_a_convolution,
    pads.of_a_max_pool,
    pads.of_an_average_pool,
    activations.hardswish,
    activations.silu,
    activations.mish,
    activations.gelu,
    slices.of_a_slice,
    counts.positions,
    merge.extremum,
    merge.repeat,
    merge.extend,
)


def idiomatic(definition: Definition) -> Definition:
    """The definition, and all in it, as a person writes it."""
    while True:
        change = partial(_changed, View(definition))
        steps = tuple(replace(step, value=rewrite(step.value, change)) for step in definition.steps)
        if steps == definition.steps:
            break
        kept = needed(steps, (spec.name for spec in definition.outputs))
        definition = replace(definition, steps=kept)
    definition = pixels(definition)
    parts = {layer: idiomatic(part) for layer, part in definition.parts.items()}
    left = {base_of(step.name) for step in definition.steps if step.kind == "permute" and moves(step.value)}
    permutes = tuple(it for it in definition.permutes if it.tensor in left)
    return replace(definition, parts=parts, permutes=permutes)


def moves(value: Any) -> bool:
    """Whether axes change places in an expression."""
    return any(isinstance(it, Call) and it.function in (".permute", ".transpose") for it in walk(value))


def _changed(view: View, expr: Any) -> Any:
    for idiom in IDIOMS:
        found = idiom(expr, view)
        if found is not None:
            return found
    return expr
