"""Graphs as JSON and back: all that a model's reader gives, but for the numbers of its weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from torchport import graph as room
from torchport.infer.quantised import parts_of

CLASSES = {name: value for name, value in vars(room).items() if dataclasses.is_dataclass(value)}


def encode(value: Any) -> Any:
    """A graph, or a value in one, as JSON has it: what JSON lacks is an object with one tag."""
    match value:
        case room.Weight(name=name, shape=shape, dtype=dtype, trains=trains):
            return {"!Weight": [name, list(shape), dtype, trains]}
        case Mapping():
            return {"!map": [[encode(key), encode(item)] for key, item in value.items()]}
        case tuple():
            return {"!tuple": [encode(item) for item in value]}
        case list():
            return [encode(item) for item in value]
        case set() | frozenset():
            return {"!set": sorted(encode(item) for item in value)}
        case slice():
            return {"!slice": [encode(item) for item in (value.start, value.stop, value.step)]}
        case np.ndarray() | np.generic():
            array = np.asarray(value)
            return {"!array": [str(array.dtype), list(array.shape), encode(array.ravel().tolist())]}
        case float() if not math.isfinite(value):
            return {"!float": repr(value)}
        case complex():
            return {"!complex": repr(value)}
        case bytes():
            return {"!bytes": value.hex()}
        case _ if value is Ellipsis:
            return {"!ellipsis": None}
        case None | bool() | int() | float() | str():
            return value
        case _ if type(value) in CLASSES.values():
            return {f"!{type(value).__name__}": fields(value)}
    raise TypeError(f"no graph holds a {type(value).__name__}")


def fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not as its default, encoded."""
    filled = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {
        field.name: encode(own)
        for field, own in filled.items()
        if is_read(value, field.name) and not is_default(own, field)
    }


def is_read(value: Any, field: str) -> bool:
    """Whether a stage of a conversion reads a field: that of a model's entry, `dequantise` alone does."""
    return field != "entry" or isinstance(value, room.Graph) and is_quantised(value)


def is_quantised(graph: room.Graph) -> bool:
    """Whether a layer has quantised weights, here or in a nested model."""
    own = any(part.mode for op in graph.ops for part in parts_of(op))
    return own or any(map(is_quantised, graph.bodies.values()))


def is_default(value: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a field has its default; arrays never have."""
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    return type(value) is type(default) and not isinstance(value, np.ndarray) and bool(value == default)


def decode(value: Any) -> Any:
    """What `encode` was given. Weights hold the numbers 1, 2, 3, … in order."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, inner),) = value.items()
    match tag:
        case "!map":
            return {decode(key): decode(item) for key, item in inner}
        case "!tuple":
            return tuple(decode(item) for item in inner)
        case "!set":
            return frozenset(decode(item) for item in inner)
        case "!slice":
            return slice(*(decode(item) for item in inner))
        case "!array":
            dtype, shape, items = inner
            return np.array(decode(items), dtype=dtype).reshape(shape)
        case "!float":
            return float(inner)
        case "!complex":
            return complex(inner)
        case "!bytes":
            return bytes.fromhex(inner)
        case "!ellipsis":
            return ...
        case "!Weight":
            return weight(*inner)
    return CLASSES[tag.removeprefix("!")](**{name: decode(item) for name, item in inner.items()})


def weight(name: str, shape: list[int], dtype: str, trains: bool | None) -> room.Weight:
    """A weight of 1, 2, 3, … in its shape, so that each element can be told from all others.

    Where it says to which group of a quantised kernel a row belongs, all belong to the first.
    """

    def load() -> np.ndarray:
        if name.rpartition("/")[2] == "g_idx":
            return np.zeros(shape, dtype)
        kept = "float32" if dtype == "bfloat16" else dtype
        return np.arange(1, math.prod(shape) + 1).astype(kept).reshape(shape)

    return room.Weight(name, tuple(shape), dtype, load, trains)
