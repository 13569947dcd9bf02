"""Variables that a `call` gives other values: state that follows the batches, kernels that are masked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchport.watch.parts import variable_of

#: Operations that give a variable another value.
ASSIGNS = ("Assign", "ResourceScatter", "ResourceStridedSliceAssign")
#: Those that are ported, and the function of the old value and of what is given.
WRITTEN = {"AssignVariableOp": "", "AssignAddVariableOp": "add", "AssignSubVariableOp": "subtract"}
#: The file of Keras 3 whose SeedGenerator.next moves the state on from which the next numbers are drawn.
GENERATOR = "keras/src/random/seed_generator.py"
WRITES = "assign to a whole variable of the layer's own that does not train, or give a rule with --rules"


@dataclass(frozen=True)
class Write:
    """A variable of the layer given another value: by that operation, of that number."""

    number: int
    variable: Any
    op: Any


def measured(layer: Any) -> Iterator[Any]:
    """The variables of the metrics that a layer has: they say how training goes, and change nothing."""
    metrics = [it for it in vars(layer).values() if hasattr(it, "update_state")]
    for metric in (*metrics, *(getattr(layer, "metrics", None) or ())):
        yield from map(variable_of, metric.variables)


def draws(op: Any) -> bool:
    """Whether an operation is a generator's own: whoever holds it, a port draws from torch's."""
    return any(Path(it.filename).as_posix().endswith(GENERATOR) for it in op.traceback or ())
