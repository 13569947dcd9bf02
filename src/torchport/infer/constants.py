"""Constants in the place of tensors become ops of their own.

before:  y = keras.ops.Concatenate([x, [[1.0], [2.0]]]), axis=1
after:   c = tf.constant([[1.0], [2.0]]);  y = keras.ops.Concatenate([x, c]), axis=1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torchport.graph import Op, Ref, refs
from torchport.rules import find

OPS = "keras.ops."
#: Operations that take constants in the place of tensors themselves.
TAKING = frozenset({
    *(f"{OPS}{name}" for name in "Einsum Matmul Tensordot Dot Scatter SearchSorted".split()),
    *(f"tf.{name}" for name in "zeros ones fill range eye linspace polyval igamma igammac polygamma zeta "
      "constant random.normal random.uniform random.truncated_normal size_of_sizes".split()),
})  # fmt: skip


def lift(op: Op) -> Iterator[Op]:
    """An op behind those of the constants that it reads in the place of tensors."""
    if not op.kind.startswith((OPS, "tf.")):
        yield from lift_all(op)
        return
    if op.kind in TAKING or not op.args or (entry := find(op.kind)) is None or entry.constants:
        yield op
        return
    listed = isinstance(op.args[0], list) and any(refs(op.args[0]))
    if not listed and (any(refs(op.args[0])) or not isinstance(op.args[0], (list, Mapping))):
        yield op
        return
    values = list(op.args[0]) if listed else [op.args[0]]
    for at, value in enumerate(values):
        if not any(refs(value)):
            name = f"{op.outputs[0]}.constant{at or ''}"
            yield Op(name, "tf.constant", (value,), (name,), layer=name)
            values[at] = Ref(name)
    yield replace(op, args=(values if listed else values[0], *op.args[1:]))


def lift_all(op: Op) -> Iterator[Op]:
    """A call of a layer behind the arrays that it is given: a mask, one of two summands."""
    made: list[Op] = []

    def lifted(tree: Any) -> Any:
        if is_array(tree):
            name = f"{op.outputs[0]}.constant{len(made) or ''}"
            made.append(Op(name, "tf.constant", (tree,), (name,), layer=name))
            return Ref(name)
        if isinstance(tree, Mapping):
            return {key: lifted(value) for key, value in tree.items()}
        return type(tree)(map(lifted, tree)) if isinstance(tree, (list, tuple)) else tree

    args, kwargs = lifted(op.args), lifted(op.kwargs)
    yield from made
    yield replace(op, args=args, kwargs=kwargs) if made else op


def is_array(value: Any) -> bool:
    """Whether a value is an array as Keras 3 saves it, or lists of lists of numbers, as Keras 2 does."""
    if isinstance(value, Mapping):
        return value.get("class_name") in ("__numpy__", "__tensor__")
    return isinstance(value, list) and bool(value) and all(map(is_row, value))


def is_row(value: Any) -> bool:
    """Whether a value is a list of numbers, or of such lists."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(it, (bool, int, float)) for it in value) or all(map(is_row, value))
