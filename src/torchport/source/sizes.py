"""Sizes that TensorFlow computes while it runs, as numbers: `tf.shape(x)[1]` of (?, 8, 3) is 8."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "AddV2": operator.add, "Sub": operator.sub, "Mul": operator.mul, "FloorDiv": operator.floordiv,
    "FloorMod": operator.mod,
}  # fmt: skip


def number_of(value: Any) -> int | None:
    """The number that a size is; None where it is that of the examples, which is open."""
    if value is None or isinstance(value, int):
        return value
    if hasattr(value, "numpy") and not hasattr(value, "op"):
        return int(value.numpy())
    if not hasattr(value, "op"):
        try:
            return int(value)
        except (TypeError, ValueError, NotImplementedError, AttributeError):
            return None
    import tensorflow as tf

    if (known := tf.get_static_value(value)) is not None:
        return int(known)
    op = value.op
    if op.type == "StridedSlice" and op.inputs[0].op.type == "Shape":
        at = tf.get_static_value(op.inputs[1])
        return op.inputs[0].op.inputs[0].shape[int(at[0])] if at is not None and len(at) == 1 else None
    if op.type in ("Cast", "Identity"):
        return number_of(op.inputs[0])
    if op.type in OPERATIONS:
        left, right = map(number_of, op.inputs)
        return None if left is None or right is None else OPERATIONS[op.type](left, right)
    return None


__all__ = ["number_of"]
