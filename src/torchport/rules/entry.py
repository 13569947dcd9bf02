"""A layer as a class: its fields are the source's options, its methods what is known of it.

    @layer("Dense", activation=True)
    class Dense(Layer):
        units: int
        use_bias: bool = True

It is bound once for each op: an option that it has no field for is refused by name, and a misspelt one in its
methods is found by mypy. Weights name their axes once, each with the axis of a tensor that it runs along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load, Module, module
from torchport.rules.bound import kernels, positions
from torchport.rules.broadcast import check_bias
from torchport.rules.facts import Linear, Masks, Training
from torchport.rules.image import channels, one, padded, slide, spatial, spatial_axes, window_shape
from torchport.rules.table import CHANNELS_FIRST, FOLLOWS, SOURCE, Bound, Value, Wants, rule
from torchport.rules.window import Reading, Window

#: Kernel axes by number of spatial axes.
SPACE = {1: "t", 2: "h w", 3: "d h w"}


@dataclass(frozen=True)
class Span:
    """How long an axis is and, where it is flat and held channels first, what it is made of."""

    size: int
    parts: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, x: Tensor | Value, axis: int) -> Span:
        """That of an axis of a tensor. Raises Unsupported where only the run time knows its size."""
        size = x.shape[axis]
        if size is None:
            raise Unsupported(f"the size of axis {axis % len(x.shape)} is not known")
        return cls(size, x.regroup if isinstance(x, Value) and len(x.shape) == 2 else ())


@dataclass(frozen=True)
class Variable:
    """A weight as the source has it: `h w i o`, and what each of these axes runs along.

    Called with the axes as torch wants them, `o i h w`, it is the load of a state_dict entry.
    """

    name: str
    axes: str
    along: Mapping[str, Span]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.along[axis].size for axis in self.axes.split())

    def __call__(self, wanted: str) -> Load:
        own, words = self.axes.split(), wanted.replace("(", " ").replace(")", " ").split()
        kept = " ".join(axis if axis in words else "1" for axis in own)
        turned = [(at, self.along[axis].parts) for at, axis in enumerate(own)]
        joint = wanted.partition("(")[2].partition(")")[0].split()[-1:]
        return Load.of(self.name, f"{kept} -> {wanted}", *turned, **{it: self.along[it].size for it in joint})


@dataclass(frozen=True, kw_only=True)
class Layer(Bound):
    """A layer with its options. `x` is what it reads, `y` what it writes; `exact` as in `Options`."""

    dialect: str = ""
    exact: bool = False

    def shape(self, x: Any) -> Any:
        """The shape of its output, or a list of those of several."""
        return x.shape

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        """Its weights by name, in the order in which Keras makes them."""
        return {}

    def wants(self, x: Any, y: Any) -> Wants:
        """The orders that it wants its tensors in."""
        return FOLLOWS

    def write(self, *args: Any, **kwargs: Any) -> Any:
        """How it is written: called with `x`, `y` and its weights by their names."""
        raise NotImplementedError

    def sizes(self, x: Any, y: Any) -> Mapping[str, Shape]:
        return {name: it.shape for name, it in self.weights(x, y).items()}

    def expression(self, x: Any, y: Any) -> Any:
        return self.write(x, y, **self.weights(x, y))


def variables(**found: tuple[str, Mapping[str, Any]] | None) -> dict[str, Variable]:
    """Weights by name: the names of their axes, and the span or the size of each; None: it has none such."""
    made = {}
    for name, (axes, along) in ((name, it) for name, it in found.items() if it is not None):
        spans = {axis: it if isinstance(it, Span) else Span(it) for axis, it in along.items()}
        made[name] = Variable(name, axes, spans)
    return made


@dataclass(frozen=True, kw_only=True)
class Windowed(Layer):
    """A layer that slides over space. Shape, padding and what is read come of its windows."""

    data_format: str | None = None

    def windows(self, x: Tensor | Value) -> Sequence[Reading]:
        """What an output step reads along each spatial axis."""
        raise NotImplementedError

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        return dict(zip(spatial_axes(len(x.shape), self.data_format), self.windows(x), strict=True))

    def features(self, x: Tensor | Value) -> int:
        """Channels of the output: those of the input."""
        return self.channels(x)

    @property
    def is_first(self) -> bool:
        """Whether the source has channels behind the batch."""
        return self.data_format == "channels_first"

    def channels(self, x: Tensor | Value) -> int:
        return channels(x.shape, self.data_format)

    def spatial(self, x: Tensor | Value) -> Shape:
        """Sizes of the spatial axes."""
        return spatial(x.shape, self.data_format)

    def shape(self, x: Tensor) -> Shape:
        return window_shape(x, self.windows(x), self.features(x), self.data_format)

    def wants(self, x: Any, y: Any) -> Wants:
        return SOURCE if self.is_first else CHANNELS_FIRST

    def products(self, *args: Any, y: Any) -> int | None:
        return kernels(self.sizes(args[0], y)) * positions(y.shape, self.is_first)

    def biased(self, y: Value, bias: Variable | None) -> Load | None:
        """The bias as it is. Raises Unsupported where Keras 3 adds it along another axis."""
        if bias and self.is_first:
            check_bias(y.shape, (1, y.shape[1], *[1] * (y.rank - 2)), self.dialect)
        return bias("o") if bias else None

    def slid(self, x: Value, over: Sequence[Window]) -> tuple[Expr, Any, dict[str, Any]]:
        """The input, padded where torch's module cannot; the window's size; the module's other options."""
        before, options = slide(x, over, self.data_format)
        return before, one([it.k for it in over]), options

    def padded(self, x: Value, over: Sequence[Window]) -> Expr:
        """The input with all that its windows add."""
        return padded(x, over, self.data_format)


def kernel_module(
    cls: str, *args: Any, weight: Load, bias: Load | None, role: str = "", **kwargs: Any
) -> Module:
    """A module with a weight and perhaps a bias: that it has none is written."""
    loads = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    given = {**kwargs, "bias": None if bias else False}
    return module(cls, *args, role=role, loads=loads, **given)


L = TypeVar("L", bound=type[Layer])


@dataclass_transform(frozen_default=True, kw_only_default=True)
def layer(
    *kinds: str,
    activation: bool = False,
    ignores: str = "",
    only: Mapping[str, tuple[Any, ...]] | None = None,
    constants: bool = False,
    masks: str | Masks | Mapping[str, Masks] = "",
    training: Training | None = None,
    statistics: str = "",
    noun: str = "",
    value: str = "",
    indexes: bool = False,
    linear: Linear | None = None,
) -> Callable[[L], L]:
    """Enter a class of layers in the table under one or more kinds; the facts are those of `rule`."""

    def enter(cls: L) -> L:
        made = dataclass(frozen=True, kw_only=True)(cls)
        return rule(
            *kinds, activation=activation, ignores=ignores, only=only, constants=constants, masks=masks,
            training=training, statistics=statistics, noun=noun, value=value, indexes=indexes,
            linear=linear,
        )(made)  # type: ignore[return-value]  # fmt: skip

    return enter
