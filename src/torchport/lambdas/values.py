"""What functions of Lambda layers work with, beside plain constants of Python and tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torchport.errors import Unsupported

#: What to do about a function that cannot be read.
CODE = "give --code FILE.py, the file that has this function"


@dataclass(frozen=True)
class Path:
    """A module, a function or a constant of a package, by its whole name: `tf.nn.relu`, `np.pi`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Method:
    """A method of a value."""

    owner: Any
    name: str


@dataclass
class Cell:
    """A variable that an inner function shares."""

    content: Any = None
    is_full: bool = False


@dataclass
class Loop:
    """A loop over constants: what is left of them."""

    rest: Iterator[Any]


class Results(list[Any]):
    """What a function gives several of, by names as well."""

    names: tuple[str, ...] = ()


class Sizes(tuple[Any, ...]):
    """The shape of a tensor: a tuple of sizes, of which that of the batch is None."""

    __slots__ = ()


class World(Protocol):
    """Tensors, and what is done with them."""

    def is_tensor(self, value: Any) -> bool: ...

    def operate(self, symbol: str, *operands: Any) -> Any:
        """An operator of Python, `[]` and unary ones among them, of operands of which one is a tensor."""

    def call(self, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A function of a package."""

    def attribute(self, tensor: Any, name: str) -> Any:
        """An attribute of a tensor that is no method."""

    def method(self, tensor: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A method of a tensor."""


def leaves(value: Any, most: int = 100_000) -> Iterator[Any]:
    """What is in lists and the like, however deep. Raises Unsupported where that is too much."""
    stack = [value]
    while stack:
        most -= 1
        if most < 0:
            raise Unsupported("its values are too large", CODE)
        it = stack.pop()
        if isinstance(it, (list, tuple, set, frozenset)):
            stack += it
        elif isinstance(it, dict):
            stack += it.values()
        elif isinstance(it, slice):
            stack += [it.start, it.stop, it.step]
        else:
            yield it


@dataclass
class Budget:
    """How much a function may do: instructions, and calls in calls."""

    steps: int = 200_000
    depth: int = 30
    inside: int = field(default=0)

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Unsupported("it does not come to an end soon", CODE)

    def enter(self, call: Callable[[], Any]) -> Any:
        """A call, if there are not too many around it."""
        self.inside += 1
        if self.inside > self.depth:
            raise Unsupported("its calls are nested too deeply", CODE)
        try:
            return call()
        finally:
            self.inside -= 1
