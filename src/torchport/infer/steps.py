"""How many steps each BatchNormalization has that Keras 3 calls step by step.

before:  y = BatchNormalization(x.steps), steps=("x",);  x: (n, 5, h, w, c)
after:   y = BatchNormalization(x.steps), steps=5

The same for those in a model that is called so, whose op has the option.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from torchport.errors import Refusal, Unsupported
from torchport.graph import Graph, Op

UNKNOWN = (
    "BatchNormalization at every step, and how many steps there are is not known",
    "give the model's input its number of steps, or freeze it (trainable=False)",
)
SEVERAL = (
    "BatchNormalization in calls with different numbers of steps, of each of which it takes statistics",
    "call it alike, or freeze it (trainable=False)",
)


def count_steps(graph: Graph, refusals: list[Refusal], times: int = 1) -> Graph:
    """The graph with numbers for the tensors that said how many steps there are.

    `times`: how many steps the model itself is called at. What cannot be told is added to `refusals`.
    """
    seen: dict[str, int] = {}

    def counted(op: Op) -> Op:
        try:
            steps = times * _steps(op, graph)
            if seen.setdefault(op.layer, steps) != steps and (op.kind == "Model" or op.is_in_training):
                raise Unsupported(*SEVERAL)
        except Unsupported as error:
            refusals.append(Refusal(f"{graph.name}/{op.name}", op.kind, op.at_line(error.why), error.advice))
            return op
        config = {key: value for key, value in op.config.items() if key != "steps"}
        return replace(op, config={**config, "steps": steps} if op.kind != "Model" and steps > 1 else config)

    kinds = ("BatchNormalization", "Model")
    ops = tuple(counted(op) if op.kind in kinds else op for op in graph.ops)
    bodies = {
        layer: count_steps(body, refusals, seen.get(layer, times)) for layer, body in graph.bodies.items()
    }
    return graph.replace(ops=ops, bodies=bodies)


def _steps(op: Op, graph: Graph) -> int:
    """How many steps an op is called at. Raises Unsupported where that is not known."""
    counts = [graph.tensors[name].shape[1] for name in op.config.get("steps", ())]
    if None in counts:
        raise Unsupported(*UNKNOWN)
    return prod(counts)  # type: ignore[arg-type]
