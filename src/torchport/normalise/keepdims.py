"""A global pooling whose result is given its spatial axes back keeps them.

before:  pool = GlobalAveragePooling2D(x);  reshape = Reshape(pool), target_shape=(1, 1, 64)
after:   reshape = GlobalAveragePooling2D(x), keepdims=True
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from torchport.graph import Graph, Op


def keep_dims(graph: Graph) -> Graph:
    """The graph with pooling and reshape as one op where nobody else reads what is between."""
    bodies = {layer: keep_dims(body) for layer, body in graph.bodies.items()}
    reads = Counter(name for op in graph.ops for name in op.inputs)
    reads.update(graph.outputs)
    calls = Counter(op.layer for op in graph.ops)
    pools = {op.outputs[0]: op for op in graph.ops if _is_pool(op) and reads[op.outputs[0]] == 1}
    gone: set[str] = set()
    ops: list[Op] = []
    for op in graph.ops:
        pool = pools.get(op.inputs[0]) if len(op.inputs) == 1 else None
        if pool is not None and calls[op.layer] == calls[pool.layer] == 1 and _gives_back(op, pool):
            gone.add(pool.name)
            op = replace(pool, config={**pool.config, "keepdims": True}, outputs=op.outputs)
        ops.append(op)
    # The fused op stands where the reshape stood, under the pooling's name.
    kept = [op for op in ops if op.name not in gone or op.config.get("keepdims")]
    return graph.replace(ops=tuple(kept), bodies=bodies)


def _is_pool(op: Op) -> bool:
    return op.kind.startswith("Global") and not op.config.get("keepdims") and len(op.outputs) == 1


def _gives_back(op: Op, pool: Op) -> bool:
    """Whether the op is a Reshape to ones and the channels, where the pooling had them."""
    shape = op.config.get("target_shape")
    if op.kind != "Reshape" or not isinstance(shape, (list, tuple)):
        return False
    rank = int(pool.kind[-2])
    first = pool.config.get("data_format") == "channels_first"
    ones = shape[1:] if first else shape[:-1]
    return len(shape) == rank + 1 and all(size == 1 for size in ones)
