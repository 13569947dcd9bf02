"""Constants in the place of tensors become ops of their own.

before:  y = keras.ops.Concatenate([x, [[1.0], [2.0]]]), axis=1
after:   c = tf.constant([[1.0], [2.0]]);  y = keras.ops.Concatenate([x, c]), axis=1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

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
    if (
        not op.kind.startswith((OPS, "tf."))
        or op.kind in TAKING
        or not op.args
        or (entry := find(op.kind)) is None
        or entry.constants
    ):
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
