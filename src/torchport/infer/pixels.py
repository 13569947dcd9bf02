"""Blocks of channels that a reshape, a transpose and a reshape lay out as pixels are depth_to_space.

before:  a = Reshape(x), (h, w, r, r, c);  b = Permute(a), (1, 3, 2, 4, 5);  y = Reshape(b), (h * r, w * r, c)
after:   y = keras.ops.DepthToSpace(x), block_size=r

Only where that is one function of torch: c is 1, or a convolution gives x, whose rows can change places.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from torchport.graph import Graph, Op, Ref

RESHAPES = ("Reshape", "keras.ops.Reshape")
#: How the axes change places, and where that is said: a layer's are without the batch.
TURNS = {"Permute": ("dims", (1, 3, 2, 4, 5)), "keras.ops.Transpose": ("axes", (0, 1, 3, 2, 4, 5))}


def join_pixels(graph: Graph) -> Graph:
    """The graph with one op for the three where nobody else reads what is between."""
    bodies = {layer: join_pixels(body) for layer, body in graph.bodies.items()}
    reads = Counter(name for op in graph.ops for name in op.inputs)
    reads.update(graph.outputs)
    calls = Counter(op.layer for op in graph.ops)
    alone = {
        op.outputs[0]: op for op in graph.ops
        if len(op.outputs) == 1 and reads[op.outputs[0]] == 1 and calls[op.layer] == 1
    }  # fmt: skip
    gone: set[str] = set()
    ops: list[Op] = []
    for op in graph.ops:
        turn = alone.get(op.inputs[0]) if op.kind in RESHAPES and len(op.inputs) == 1 else None
        split = alone.get(turn.inputs[0]) if turn is not None and _is_turn(turn) else None
        if turn is not None and split is not None and (size := _block_size(graph, split, op)):
            gone |= {turn.name, split.name}
            options = {"block_size": size, "data_format": "channels_last"}
            op = replace(
                op, kind="keras.ops.DepthToSpace", args=(Ref(split.inputs[0]),), config=options, kwargs={}
            )
        ops.append(op)
    kept = tuple(op for op in ops if op.name not in gone)
    return graph.replace(ops=kept, bodies=bodies)


def _is_turn(op: Op) -> bool:
    name, axes = TURNS.get(op.kind, ("", ()))
    given = op.config.get(name)
    return isinstance(given, (list, tuple)) and tuple(given) == axes


def _block_size(graph: Graph, split: Op, join: Op) -> int | None:
    """The side of the blocks, if the two reshapes cut images into blocks of channels and lay these out."""
    if split.kind not in RESHAPES or len(split.inputs) != 1:
        return None
    shapes = [graph.tensors[it].shape for it in (split.inputs[0], split.outputs[0], join.outputs[0])]
    if [len(it) for it in shapes] != [4, 6, 4]:
        return None
    before, (batch, height, width, size, again, channels), after = shapes
    if height is None or width is None or size is None or channels is None or batch is not None:
        return None
    given = next((op for op in graph.ops if split.inputs[0] in op.outputs), None)
    turns = channels == 1 or (given is not None and given.kind == "Conv2D")
    whole = before == (None, height, width, size**2 * channels)
    laid = after == (None, height * size, width * size, channels)
    return size if size == again and whole and laid and turns else None
