"""What in a run is the same at every call, and the numbers that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from torchport.read.dialect import shortest

#: Nodes of a graph that draw random numbers, and the function that draws the same.
DRAWS = {
    "RandomStandardNormal": "random.normal", "StatelessRandomNormal": "random.normal",
    "StatelessRandomNormalV2": "random.normal", "RandomUniform": "random.uniform",
    "StatelessRandomUniform": "random.uniform", "StatelessRandomUniformV2": "random.uniform",
    "TruncatedNormal": "random.truncated_normal", "StatelessTruncatedNormal": "random.truncated_normal",
    "StatelessTruncatedNormalV2": "random.truncated_normal",
}  # fmt: skip
#: The same of whole numbers: the inputs that are the bounds.
WHOLE_DRAWS = {"RandomUniformInt": 1, "StatelessRandomUniformInt": 2, "StatelessRandomUniformIntV2": 4}
#: Functions of numbers that are computed as Python has them, where a graph has float32.
NUMBERS: dict[str, Any] = {
    "Sqrt": np.sqrt, "Rsqrt": lambda x: 1 / np.sqrt(x), "Square": np.square, "Exp": np.exp, "Log": np.log,
    "Neg": np.negative, "Reciprocal": np.reciprocal, "Pow": np.power, "Mul": np.multiply, "AddV2": np.add,
    "Sub": np.subtract, "RealDiv": np.divide, "Maximum": np.maximum, "Minimum": np.minimum,
    "Identity": lambda x: x, "Cast": lambda x: x,
}  # fmt: skip


def varying(graph: Any, given: set[int]) -> set[str]:
    """The operations of a graph whose results are not the same at every call.

    They read arguments (`given`, tensors by their ids), variables or random numbers, or what is made of them.
    Operations stand in the graph behind those that they read.
    """
    captured = {id(inner) for _, inner in graph.captures}
    found: set[str] = set()
    for op in graph.get_operations():
        varies = op.op_def.is_stateful or op.type in DRAWS or op.type in WHOLE_DRAWS
        varies = varies or op.type == "Placeholder" and id(op.outputs[0]) not in captured
        varies = varies or any(id(it) in given for it in op.outputs)
        if varies or any(it.dtype.name == "resource" or it.op.name in found for it in op.inputs):
            found.add(op.name)
    return found


def exactly(value: Any, known: Mapping[str, float]) -> float | None:
    """A number with a fraction by the numbers that it is made of: the root of 8, not that in float32.

    `known`: numbers of Python by the nodes that hold them. None where it is made of anything else.
    """
    import tensorflow as tf

    if value.shape.rank != 0:
        return None
    if value.op.name in known:
        return known[value.op.name]
    if value.op.type == "Const":
        found = tf.get_static_value(value)
        return None if found.dtype.kind not in "fiu" else float(shortest(found))
    if value.op.type not in NUMBERS or not value.dtype.is_floating:
        whole = tf.get_static_value(value) if value.dtype.is_integer else None
        return None if whole is None else float(whole)
    inside = [exactly(it, known) for it in value.op.inputs]
    with np.errstate(all="ignore"):
        return None if None in inside else float(NUMBERS[value.op.type](*inside))


def constant(array: np.ndarray, dtype: str = "") -> Any:
    """A constant: a number of Python where it is one number, else its values with their dtype.

    `dtype`: that of a tensor that it stands for, where it has to be one.
    """
    if dtype and array.ndim == 0:
        return {"class_name": "__numpy__", "config": {"value": array.item(), "dtype": dtype}}
    if array.dtype.kind not in "fiub":
        array = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    if array.ndim == 0:
        return shortest(array) if array.dtype.kind == "f" else array.item()
    if array.dtype.kind in "iu" and array.ndim == 1 and not dtype:
        return array.tolist()
    return {"class_name": "__numpy__", "config": {"value": array.tolist(), "dtype": str(array.dtype)}}


def sizes_of(value: Any) -> Any:
    """Whole numbers as Python has them, where they were a constant."""
    is_constant = isinstance(value, Mapping) and value.get("class_name") == "__numpy__"
    return value["config"]["value"] if is_constant and "int" in value["config"]["dtype"] else value
