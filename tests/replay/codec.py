"""Graphs as JSON and back: all that a model's reader gives, but for the numbers of its weights."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from torchport import graph as room
from torchport.infer.quantised import parts_of

Load = Callable[[], np.ndarray]
CLASSES = {name: value for name, value in vars(room).items() if dataclasses.is_dataclass(value)}


def encode(value: Any) -> Any:
    """A graph, or a value in one, as JSON has it: what JSON lacks is an object with one tag."""
    count = Counter(id(it.load) for it in weights(value))
    return encoded(value, {it: at for at, it in enumerate(it for it, times in count.items() if times > 1)})


def weights(value: Any) -> Iterator[room.Weight]:
    """Every weight in a graph, or in a value in one."""
    match value:
        case room.Weight():
            yield value
        case Mapping():
            yield from weights(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from weights(item)
        case _ if type(value) in CLASSES.values():
            yield from weights(list(vars(value).values()))


def encoded(value: Any, shared: Mapping[int, int]) -> Any:
    """The same, of a part of it. `shared`: numbers of variables that are several weights, by their load."""
    part = partial(encoded, shared=shared)
    match value:
        case room.Weight(name=name, shape=shape, dtype=dtype, trains=trains, load=load):
            number = [shared[id(load)]] if id(load) in shared else []
            return {"!Weight": [name, list(shape), dtype, trains, *number]}
        case Mapping():
            return {"!map": [[part(key), part(item)] for key, item in value.items()]}
        case tuple():
            return {"!tuple": [part(item) for item in value]}
        case list():
            return [part(item) for item in value]
        case set() | frozenset():
            return {"!set": sorted(part(item) for item in value)}
        case slice():
            return {"!slice": [part(item) for item in (value.start, value.stop, value.step)]}
        case np.ndarray() | np.generic():
            array = np.asarray(value)
            return {"!array": [str(array.dtype), list(array.shape), part(array.ravel().tolist())]}
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
            return {f"!{type(value).__name__}": {key: part(own) for key, own in fields(value)}}
    raise TypeError(f"no graph holds a {type(value).__name__}")


def fields(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass that are read, and not as its default."""
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        if is_read(value, field.name) and not is_default(own, field):
            yield field.name, own


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
    return decoded(value, {})


def decoded(value: Any, shared: dict[int, Load]) -> Any:
    """The same, of a part of it. `shared`: the variables with a number that were met."""
    part = partial(decoded, shared=shared)
    if isinstance(value, list):
        return list(map(part, value))
    if not isinstance(value, dict):
        return value
    ((tag, inner),) = value.items()
    match tag:
        case "!map":
            return {part(key): part(item) for key, item in inner}
        case "!tuple":
            return tuple(map(part, inner))
        case "!set":
            return frozenset(map(part, inner))
        case "!slice":
            return slice(*map(part, inner))
        case "!array":
            dtype, shape, items = inner
            return np.array(part(items), dtype=dtype).reshape(shape)
        case "!float":
            return float(inner)
        case "!complex":
            return complex(inner)
        case "!bytes":
            return bytes.fromhex(inner)
        case "!ellipsis":
            return ...
        case "!Weight":
            name, shape, dtype, trains, *number = inner
            load = loader(name, shape, dtype)
            load = shared.setdefault(number[0], load) if number else load
            return room.Weight(name, tuple(shape), dtype, load, trains)
    return CLASSES[tag.removeprefix("!")](**{name: part(item) for name, item in inner.items()})


def loader(name: str, shape: Sequence[int], dtype: str) -> Load:
    """The numbers 1, 2, 3, … in a shape, so that each element can be told from all others.

    Where a weight says to which group of a quantised kernel a row belongs, all belong to the first.
    """

    def load() -> np.ndarray:
        if name.rpartition("/")[2] == "g_idx":
            return np.zeros(shape, dtype)
        kept = "float32" if dtype == "bfloat16" else dtype
        return np.arange(1, math.prod(shape) + 1).astype(kept).reshape(shape)

    return load
