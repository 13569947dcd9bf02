"""Numbers that stand in the source's configuration, and buffers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Fill, State
from torchport.rules.dtypes import is_float
from torchport.rules.table import Value


def numbers(value: Any) -> Any:
    """A number, or the nested lists that a numpy array or a tensor was saved as."""
    if isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") not in ("__numpy__", "__tensor__") or not isinstance(config, Mapping):
            raise Unsupported(f"{value.get('class_name')!r} is not a constant")
        return config["value"]
    return value


def saved_dtype(value: Any) -> str:
    """The dtype of a constant; "" for a number of Python, which takes that of the tensor."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        return str(value["config"].get("dtype", "float32"))
    if isinstance(value, Sequence) and not isinstance(value, str):
        flat = value
        while isinstance(flat[0], Sequence):
            flat = flat[0]
        return {"bool": "bool", "int": "int32"}.get(type(flat[0]).__name__, "float32")
    return ""


def shape_of(value: Any) -> Shape:
    """The shape of a tensor or a constant."""
    if isinstance(value, (Tensor, Value)):
        return value.shape
    value, sizes = numbers(value), []
    while isinstance(value, Sequence):
        sizes.append(len(value))
        value = value[0] if value else 0
    return tuple(sizes)


def fixed(role: str, values: Any, dtype: str = "float32") -> State:
    """A buffer with these values, fractions as float32."""
    import numpy as np

    array = np.asarray(values, "float32" if is_float(dtype) else dtype)
    fill = Fill(nested(array.tolist()), array.shape, str(array.dtype))
    return State(role, fill, array.shape, trainable=False)


def nested(value: Any) -> Any:
    """Nested lists as tuples, which compare and hash."""
    return tuple(map(nested, value)) if isinstance(value, list) else value
