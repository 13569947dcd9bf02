"""An entry with the options of one op: what the other rooms ask."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from torchport.graph import Shape
from torchport.rules.wants import Wants
from torchport.rules.window import Reading

if TYPE_CHECKING:
    from torchport.rules.table import Rule

#: Keyword arguments of a rule that are not options: the outputs as `Value`s, the Keras version, whether
#: BatchNorm has to match to the last bit, the shapes of the weights by name.
RESERVED = frozenset({"out", "dialect", "exact", "weight_shapes"})


def named(function: Callable[..., Any]) -> tuple[str, ...]:
    """The keyword-only parameters of a function, or of the one that it wraps."""
    if isinstance(function, type):  # its own options, then those of what it is made of
        return tuple(dict.fromkeys(name for cls in function.__mro__ for name in fields_of(cls)))
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # a partial: rare
        parameters = inspect.signature(function).parameters.values()
        return tuple(it.name for it in parameters if it.kind is it.KEYWORD_ONLY)
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]  # type: ignore[no-any-return]


def fields_of(cls: type) -> list[str]:
    """The fields that a dataclass declares itself."""
    known = {it.name for it in fields(cls)} if is_dataclass(cls) else set()
    return [name for name in cls.__dict__.get("__annotations__", {}) if name in known]


def apply(function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Call a rule's function with the tensors and those of the options that it names."""
    return function(*args, **{name: options[name] for name in named(function) if name in options})


class Bound:
    """An entry with the options of one op: what the other rooms ask. `y` is what the op writes."""

    @property
    def has_parts(self) -> bool:
        """Whether it says what flat axes are made of."""
        return False

    @property
    def has_weights(self) -> bool:
        """Whether it says what its weights are."""
        return True

    def shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output, or a list of those of several; None: that of the first input."""
        raise NotImplementedError

    def sizes(self, *args: Any, **kwargs: Any) -> Mapping[str, Shape]:
        """The shapes of the weights by name, in the order in which Keras makes them."""
        raise NotImplementedError

    def wants(self, *args: Any, **kwargs: Any) -> Wants:
        """The orders that it wants its tensors in."""
        raise NotImplementedError

    def parts(self, *args: Any, **kwargs: Any) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """What flat axes are made of, by the tensor's name."""
        return {}

    def dtype(self, *args: Any, **kwargs: Any) -> Any:
        """That of the output, or a list of those of several; "": that of the first input."""
        return ""

    def reads(self, *args: Any) -> Mapping[int, Reading] | Sequence[Mapping[int, Reading]]:
        """What an output step reads along each axis of the first input over which something slides.

        Or, where these differ, of each input in order.
        """
        return {}

    def products(self, *args: Any, y: Any) -> int | None:
        """Multiply-adds for one sample: of kernels, each at every step of the output. None: not counted.

        Products of two tensors count, too; sums, comparisons, and products of each value by itself do not.
        """
        return kernels(self.sizes(*args, y=y)) * positions(y.shape)

    def expression(self, *args: Any, **kwargs: Any) -> Any:
        """What is written for a call."""
        raise NotImplementedError


def kernels(sizes: Mapping[str, Shape]) -> int:
    """How many numbers the kernels among the weights have."""
    found = (shape for name, shape in sizes.items() if name.endswith("kernel"))
    return sum(math.prod(size or 1 for size in shape) for shape in found)


def uncounted(*args: Any) -> None:
    """`products` of what is computed in ways that differ from library to library: inverses, spectra."""
    return None


def size(shape: Sequence[int | None]) -> int:
    """How many values a tensor of this shape has; an open size counts once."""
    return math.prod(1 if it is None else it for it in shape)


def positions(shape: Shape, is_first: bool = False) -> int:
    """The steps of a tensor for one sample: all of its axes but the features."""
    return math.prod(size or 1 for size in (shape[2:] if is_first else shape[1:-1]))


@dataclass(frozen=True)
class Functions(Bound):
    """The functions of a rule, with those of the options that each names."""

    rule: Rule
    options: Mapping[str, Any]

    @property
    def has_parts(self) -> bool:
        return self.rule.parts is not None

    @property
    def has_weights(self) -> bool:
        return self.rule.weights is not None

    def shape(self, *args: Any) -> Any:
        return apply(self.rule.shape, args, self.options) if self.rule.shape else None

    def sizes(self, *args: Any, y: Any = None) -> Mapping[str, Shape]:
        return apply(self.rule.weights, args, self.options) if self.rule.weights else {}

    def wants(self, *args: Any, y: Any) -> Wants:
        wants = self.rule.wants
        return apply(wants, args, {**self.options, "out": y}) if callable(wants) else wants

    def parts(self, *args: Any, y: Any) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        return apply(self.rule.parts, args, {**self.options, "out": y}) if self.rule.parts else {}

    def dtype(self, *args: Any) -> Any:
        dtype = self.rule.dtype
        return apply(dtype, args, self.options) if callable(dtype) else dtype

    def reads(self, *args: Any) -> Mapping[int, Reading] | Sequence[Mapping[int, Reading]]:
        return apply(self.rule.reads, args, self.options) if self.rule.reads else {}

    def products(self, *args: Any, y: Any) -> int | None:
        if self.rule.products is None:
            return super().products(*args, y=y)
        known = {**self.options, "out": y, "weight_shapes": self.sizes(*args)}
        return apply(self.rule.products, args, known)  # type: ignore[no-any-return]

    def expression(self, *args: Any, y: Any) -> Any:
        return apply(self.rule.write, args, {**self.options, "out": y})
