"""The geometry of a network, as data: table, cards, page and JSON are made of it. `docs/explain-json.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any

#: Of the document; it grows by new keys, and another number says that an old one means something else.
SCHEMA = 1


@dataclass(frozen=True)
class Side:
    """A tensor as one framework has it: names and sizes of its axes; None is the number of samples."""

    axes: tuple[str, ...]
    sizes: tuple[int | None, ...]


@dataclass(frozen=True)
class Span:
    """A piece of model.py: first line and column, last line and the column behind it; lines count from 1."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class Sees:
    """How many steps of an axis of an input the elements of a tensor depend on: the fewest, and the most.

    `axis`: the number of the input's axis in Keras's order, `name` its letter. `along`: the number of the
    tensor's axis by whose step it differs; None where all see the same.
    """

    input: str
    axis: int
    name: str
    fewest: int
    most: int
    along: int | None


@dataclass(frozen=True)
class Tensor:
    """A tensor on both sides. `op` gives it; None: the user does. `parts`: what a flat axis is made of.

    `module`: the path of the module of model.py in whose `forward` it is made, by the expression `code` at
    `span`. `bytes`: of one sample.
    """

    id: str
    op: str | None
    keras: Side
    torch: Side
    dtype: str
    bytes: int
    parts: tuple[tuple[int, ...], ...]
    module: str
    code: str
    span: Span | None
    sees: tuple[Sees, ...]


@dataclass(frozen=True)
class Pair:
    """One element on both sides: its index, and its place in memory counted from 0."""

    keras: tuple[int, ...]
    torch: tuple[int, ...]
    keras_place: int
    torch_place: int
    value: float | None


@dataclass(frozen=True)
class Weight:
    """A weight on both sides; `constant`: one that Keras does not have. `steps`: docs/port-json.md.

    `sample`: a corner of it in Keras's order, `shape` and `values` in a row.
    """

    keras: str | None
    keras_side: Side | None
    torch: str
    torch_side: Side
    dtype: str
    bytes: int
    pattern: str
    steps: tuple[Mapping[str, Any], ...]
    is_statistic: bool
    constant: Any = None
    pairs: tuple[Pair, ...] = ()
    sample: Mapping[str, Any] | None = None
    largest: float | None = None


@dataclass(frozen=True)
class Layer:
    """A layer with its weights: all its calls share them. `modules`: what it became in model.py.

    `code`: the expression at `span` that makes the first of these; empty where a function stands for it.
    """

    id: str
    kind: str
    options: Mapping[str, Any]
    modules: tuple[str, ...]
    code: str
    span: Span | None
    parameters: int
    statistics: int
    weights: tuple[Weight, ...]
    affine: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reads:
    """What an op reads of one tensor: for each axis, in Keras's order, what a step of the output reads."""

    tensor: str
    axes: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Section:
    """A part of a card: its title, and what is said, line by line."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Op:
    """One call of a layer or an operation. `multiplies`: multiply-adds for one sample; None: not counted.

    `kind` is the layer's class in Keras, or the function's name.
    """

    id: str
    layer: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reads: tuple[Reads, ...]
    multiplies: int | None
    card: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Block:
    """A class of model.py where it stands: `path` is its module's, "" the model's own. `times`: how often.

    `parent`: the path of the block that holds it, None for the model.
    """

    path: str
    cls: str
    times: int
    line: int
    end_line: int
    parent: str | None


@dataclass(frozen=True)
class Totals:
    """`parameters`: what trains. `statistics`: what does not, running means say. `bytes`: of all weights."""

    parameters: int
    statistics: int
    bytes: int
    multiplies: int
    not_counted: int
    layers: int


@dataclass(frozen=True)
class Network:
    """All of it. `size`: the number for each axis that the model leaves open, by letter. `code`: model.py."""

    name: str
    cls: str
    source: str
    keras: str
    torchport: str
    size: Mapping[str, int]
    totals: Totals
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    permutes: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    code: str
    schema: int = field(default=SCHEMA)

    def record(self) -> dict[str, Any]:
        """The document of `docs/explain-json.md`."""
        found = plain(self)
        return {"schema": found.pop("schema"), **found}

    def text(self) -> str:
        """The same as text, without what JSON does not need."""
        return json.dumps(self.record(), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


#: Names that Python keeps for itself.
NAMES = {"cls": "class"}


#: What JSON has as it is.
SIMPLE = (str, int, bool, type(None))


@cache
def keys(cls: type) -> tuple[tuple[str, str], ...]:
    """The fields of a dataclass: their names, and those in JSON."""
    return tuple((it.name, NAMES.get(it.name, it.name)) for it in fields(cls))


def plain(value: Any) -> Any:
    """A value as JSON has it: dataclasses as objects, tuples as lists; a number that is none is text."""
    cls = type(value)
    if cls in SIMPLE or isinstance(value, (str, int)):
        return value
    if is_dataclass(cls):
        return {name: plain(getattr(value, own)) for own, name in keys(cls)}
    if isinstance(value, Mapping):
        return {str(key): plain(it) for key, it in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(it) for it in value]
    if isinstance(value, float) and value - value != 0:
        return repr(value)
    return value
