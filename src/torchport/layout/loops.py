"""The cell of a loop over time, which is written as a call of one step, is handed to the function that loops.

before:  y, h_next = self.cell(step, h);  outputs, h_end = run_cell(y, x, h)
after:   outputs, h_end = run_cell(self.cell, x, h)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torchport.program import Apply, Call, Step, Var, rewrite

LOOP = "loop:over"


def looped(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, those of cells in the steps of their loops."""
    givers = {name: step for step in steps for name in step.outputs}
    inside: set[str] = set()
    made = []
    for step in steps:
        if step.kind == LOOP:
            step, cell = handed(step, givers)
            inside.add(cell.name)
        made.append(step)
    yield from (it for it in made if it.name not in inside)


def handed(loop: Step, givers: dict[str, Step]) -> tuple[Step, Step]:
    """A loop that is given the module of its cell, and the step of the cell."""
    found: list[Step] = []

    def change(node: Any) -> Any:
        if not isinstance(node, Call) or node.function != "run_cell" or not isinstance(node.args[0], Var):
            return node
        cell = givers[node.args[0].tensor]
        assert isinstance(cell.value, Apply), cell
        found.append(cell)
        return replace(node, args=(replace(cell.value, args=(), called=False), *node.args[1:]))

    return replace(loop, value=rewrite(loop.value, change)), found[0]
