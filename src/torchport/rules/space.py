"""Layers that change how large space is: up-sampling, zero padding, cropping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torchport.axes import to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.named import whole_number
from torchport.program import Expr, call
from torchport.rules.arguments import indexed
from torchport.rules.entry import Windowed, layer
from torchport.rules.facts import LINEAR
from torchport.rules.image import each, one, pad, spatial_axes
from torchport.rules.table import FOLLOWS, Value, Wants
from torchport.rules.window import Reading, Stretch, Window


@layer(
    "UpSampling1D", "UpSampling2D", "UpSampling3D", only={"interpolation": ("nearest", "bilinear")},
    noun="up", linear=LINEAR,
)  # fmt: skip
class UpSampling(Windowed):
    """F.interpolate. 'nearest' is a repeat, which torch's `nearest` is for every whole factor."""

    size: Any = 2
    interpolation: str = "nearest"

    def windows(self, x: Tensor | Value) -> Sequence[Reading]:
        return [Stretch(factor, method=self.interpolation) for factor in each(self.size, len(x.shape) - 2)]

    def write(self, x: Value, y: Value) -> Expr:
        factors = each(self.size, x.rank - 2)
        mode = None if self.interpolation == "nearest" else self.interpolation
        # TorchScript takes no whole numbers here
        return call("F.interpolate", x, scale_factor=one([float(it) for it in factors]), mode=mode)


def amounts(value: Any, rank: int) -> list[tuple[int, int]]:
    """Before and after for each spatial axis: from a number, one for each, or a pair for each."""
    if rank == 1:
        values = list(value) if isinstance(value, Sequence) else [value, value]
        values = [values] if len(values) == 2 else values
    else:
        values = list(each(value, rank))
    pairs = [tuple(it) if isinstance(it, Sequence) else (it, it) for it in values]
    return [(whole_number(before), whole_number(after)) for before, after in pairs]


@dataclass(frozen=True, kw_only=True)
class Margin(Windowed):
    """What adds to the ends of space or takes from them, in either order."""

    def pairs(self, x: Tensor | Value) -> list[tuple[int, int]]:
        """What is added before and after each spatial axis; less than zero is cut off."""
        raise NotImplementedError

    def windows(self, x: Tensor | Value) -> Sequence[Reading]:
        return [Window(1, padding=pair) for pair in self.pairs(x)]

    def wants(self, x: Any, y: Any) -> Wants:
        return FOLLOWS

    def write(self, x: Value, y: Any = None) -> Expr:
        full = [(0, 0)] * x.rank
        for axis, pair in zip(spatial_axes(x.rank, self.data_format), self.pairs(x), strict=True):
            full[axis] = pair
        pairs = list(to_order(full, x.order))
        if all(n <= 0 for pair in pairs for n in pair):
            return indexed(x, [slice(-before or None, after or None) for before, after in pairs])
        first = next(at for at, pair in enumerate(pairs) if any(pair))
        return pad(x, pairs[first:])


@layer("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", value="pad", linear=LINEAR)
class ZeroPadding(Margin):
    """F.pad."""

    padding: Any = 1

    def pairs(self, x: Tensor | Value) -> list[tuple[int, int]]:
        return amounts(self.padding, len(x.shape) - 2)


@layer("Cropping1D", "Cropping2D", "Cropping3D", linear=LINEAR)
class Cropping(Margin):
    """A slice."""

    cropping: Any = 1

    def pairs(self, x: Tensor | Value) -> list[tuple[int, int]]:
        return [(-before, -after) for before, after in amounts(self.cropping, len(x.shape) - 2)]

    def shape(self, x: Tensor) -> Shape:
        if 0 in (sizes := super().shape(x)):
            raise Unsupported(f"cropping={self.cropping!r} leaves nothing of {list(x.shape)}")
        return sizes
