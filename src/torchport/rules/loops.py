"""A cell of the user's own from step to step. The cell is a nested model, which `layout/loops.py` hands over.

step = loop:step(x);  y, h_next = Model cell(step, h);  outputs, end = loop:over(y, [h_next], x, [h])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.graph import Shape, Tensor
from torchport.program import Item, call
from torchport.rules.recurrent import as_mask
from torchport.rules.table import SOURCE, Value, rule


def step_shape(x: Tensor) -> Shape:
    return (x.shape[0], *x.shape[2:])


@rule("loop:step", wants=SOURCE, shape=step_shape)
def step(x: Value) -> Any:
    """One step of x: (n, t, ...) -> (n, ...)."""
    return x[:, 0]


def over_shape(y: Tensor, ends: Sequence[Tensor], x: Tensor, starts: Sequence[Tensor]) -> list[Shape]:
    return [(*x.shape[:2], *y.shape[1:]), *(it.shape for it in ends)]


def over_dtype(y: Tensor, ends: Sequence[Tensor], x: Tensor, starts: Sequence[Tensor]) -> list[str]:
    return [y.dtype, *(it.dtype for it in ends)]


@rule("loop:over", wants=SOURCE, shape=over_shape, dtype=over_dtype)
def over(
    y: Value, ends: Sequence[Value], x: Value, starts: Sequence[Value], *, go_backwards: bool = False,
    zero_output_for_mask: bool = False, kept: Any = None,
) -> Any:  # fmt: skip
    """A function that calls the cell at each step: its outputs at all of them, and its last states.

    Under a mask states and outputs stay as they were, or the output is zero.
    """
    mask = None if kept is None else as_mask(kept)
    steps: Any = x
    if go_backwards:
        steps = call(".flip", steps, 1)
        mask = None if mask is None else call(".flip", mask, 1)
    zeros = True if zero_output_for_mask and mask is not None else None
    run = call("run_cell", y, steps, *starts, mask=mask, zeros=zeros)
    pattern = ("x", *(f"h{at}" if len(ends) > 1 else "h" for at in range(len(ends))))
    return tuple(Item(run, pattern, it) for it in pattern)
