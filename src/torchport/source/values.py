"""What an expression is while a function is staged: known when the model is built, or a tensor."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torchport.axes import Order


@dataclass(frozen=True)
class Static:
    """Known when the model is built; `text` stands in `__init__`."""

    text: str
    node: ast.AST | None = field(default=None, compare=False)

    @property
    def is_literal(self) -> bool:
        try:
            ast.literal_eval(self.text)
        except (ValueError, SyntaxError):
            return False
        return True


@dataclass(frozen=True)
class Flow:
    """A tensor: `text` stands in `forward`, `channels` in `__init__` for the size of its last axis.

    `channels` None: that size has no text that is right each time.
    """

    text: str
    rank: int
    channels: str | None = None
    order: Order = Order.SOURCE
    #: Whether it is a weight of the class itself: it has no axis of examples.
    is_weight: bool = False
    #: Of an array that the class holds: the texts of all of its sizes.
    sizes: tuple[str, ...] = ()
    #: Whether `channels` is right for the sizes of space alone that were watched: of an image made flat.
    is_spatial: bool = False


@dataclass(frozen=True)
class Items:
    """A list or tuple whose entries are known one by one; `text` is what stands for it in `forward`."""

    items: tuple[Any, ...]
    text: str = ""
    is_tuple: bool = False
    #: Of a dictionary: what its entries are called.
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stack:
    """A list of tensors that grows: `text` in `forward`, in `__init__` `shadow`, their channels."""

    text: str
    shadow: str
    rank: int = 0
    order: Order = Order.SOURCE


@dataclass(frozen=True)
class Maker:
    """A layer, or another part, that is made here: `node` is the call of its class; not yet applied."""

    node: ast.Call
    #: Attribute that holds it, where it was assigned to one: `conv1`; in a list, what it is called in a loop.
    name: str = ""
    #: Attribute that is a list of such.
    listed: str = ""
    #: What names were where it is made.
    env: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Size:
    """A size that `forward` reads off a tensor: `x.shape[2]`; `known` stands for it in `__init__`."""

    text: str
    known: str | None = None


@dataclass(frozen=True)
class Group:
    """A list of layers that a loop makes: `for target in over`."""

    maker: Maker
    over: ast.expr
    target: ast.expr
    name: str


@dataclass(frozen=True)
class Row:
    """`keras.Sequential([...])`, or a list of layers: one after the other; `node` makes it."""

    makers: tuple[Maker, ...]
    node: ast.expr


@dataclass(frozen=True)
class Chain:
    """A Sequential that the function gives back: `name` is the tensor that flows through it.

    `has_input`: whether the function itself says what shape that has.
    """

    name: str
    has_input: bool


@dataclass(frozen=True)
class Choice:
    """One of two layers, by a condition where the model is built: `test`, as text."""

    test: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Course:
    """A Sequential whose layers come from loops, conditions and lists.

    `steps`: the statements that put them in, each with what names were there; `node`: the call of Sequential.
    """

    steps: tuple[tuple[ast.stmt, Mapping[str, Any]], ...] = field(compare=False)
    node: ast.AST


@dataclass(frozen=True)
class Shape:
    """The shape of a tensor."""

    flow: Flow


@dataclass(frozen=True)
class Network:
    """`keras.Model(inputs, outputs)`. `inputs`: None where they are not known one by one."""

    outputs: Any
    inputs: Any = None


#: What `training` is in `forward`.
MODE = "self.training"


def mode() -> Static:
    """`training`, an argument of `call`: known neither when the model is built, nor a tensor."""
    return Static(MODE)


def leaves(value: Any) -> Iterator[Flow]:
    """The tensors of a value, in order."""
    if isinstance(value, Flow):
        yield value
    elif isinstance(value, Items):
        for it in value.items:
            yield from leaves(it)
    elif isinstance(value, (list, tuple)):
        for it in value:
            yield from leaves(it)
    elif isinstance(value, dict):
        for it in value.values():
            yield from leaves(it)


def is_static(value: Any) -> bool:
    if isinstance(value, Items):
        return all(map(is_static, value.items))
    return isinstance(value, Static)
