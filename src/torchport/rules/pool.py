"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torchport.graph import Shape, Tensor
from torchport.program import Code, Expr, call
from torchport.rules.entry import Windowed, layer
from torchport.rules.facts import LINEAR, Masks, Reads
from torchport.rules.image import each, one, per_axis, spatial_axes, windows
from torchport.rules.sizes import dims_of
from torchport.rules.table import FOLLOWS, Value, Wants
from torchport.rules.window import Adaptive, Reading, Whole, Window


def pool_padding(it: Window, size: int | None) -> tuple[int, int, bool] | None:
    """How torch pools one axis as 'same' does; None if that depends on a size that is not known.

    Gives torch's `padding`, how many results to drop at the start, and whether the last window
    hangs over the end (`ceil_mode`), so that nothing needs to be padded first. What hangs over is
    not counted in a mean.
    """
    if it.padding == "valid":
        return 0, 0, False
    if it.s == 1:
        return it.k // 2, 1 - it.k % 2, False
    sizes = range(it.k, it.k + it.s) if size is None else (size,)
    amounts = {it.pads(n) for n in sizes}
    befores = {amount[0] for amount in amounts if amount}
    if len(befores) > 1:
        return None
    return befores.pop(), 0, any(amount and amount[0] < amount[1] for amount in amounts)


@dataclass(frozen=True, kw_only=True)
class Pooling(Windowed):
    """torch's pooling; a helper pads before it where 'same' depends on sizes that are not known."""

    KIND: ClassVar[str]
    pool_size: Any = 2
    strides: Any = None
    padding: str = "valid"

    def windows(self, x: Tensor | Value) -> list[Window]:
        """Their stride is their size by default."""
        strides = self.pool_size if self.strides is None else self.strides
        return windows(x, self.pool_size, strides, padding=self.padding)

    def write(self, x: Value, y: Value) -> Expr:
        over = self.windows(x)
        size, stride = one([it.k for it in over]), one([it.s for it in over])
        function, step = f"F.{self.KIND}_pool{x.rank - 2}d", None if stride == size else stride
        axes = [pool_padding(it, n) for it, n in zip(over, self.spatial(x), strict=True)]
        known = [axis for axis in axes if axis]
        if len(known) < len(axes):
            if self.KIND == "avg":
                return call("same_avg_pool", x, per_axis(size), per_axis(stride))
            before = call("same_pad", x, per_axis(size), per_axis(stride), value=Code('float("-inf")'))
            return call(function, before, size, stride=step)
        pads, drops, hangs = zip(*known, strict=True)
        options: dict[str, Any] = {"padding": one(pads, 0), "ceil_mode": any(hangs) or None}
        if any(pads) and self.KIND == "avg":
            options["count_include_pad"] = False
        pooled = call(function, x, size, stride=step, **options)
        if not any(drops):
            return pooled
        return pooled[(slice(None), slice(None), *(slice(drop or None, None) for drop in drops))]


@layer("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "keras.ops.MaxPool", noun="pool")
class MaxPooling(Pooling):
    """F.max_pool2d. 'same' pads with minus infinity, the odd one at the end."""

    KIND = "max"


@layer(
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "keras.ops.AveragePool",
    noun="pool",
    linear=LINEAR,
)
class AveragePooling(Pooling):
    """F.avg_pool2d. 'same' leaves what it pads out of the mean."""

    KIND = "avg"


@dataclass(frozen=True, kw_only=True)
class Global(Windowed):
    """What is made of all of space, wherever the layout put it."""

    keepdims: bool = False

    def windows(self, x: Tensor | Value) -> Sequence[Reading]:
        return [Whole()] * (len(x.shape) - 2)

    def shape(self, x: Tensor) -> Shape:
        return super().shape(x) if self.keepdims else (x.shape[0], self.channels(x))

    def wants(self, x: Any, y: Any) -> Wants:
        return FOLLOWS

    def over_space(self, x: Value, method: str) -> Expr:
        """A method that takes `dim`, over space."""
        dim = dims_of(x, spatial_axes(x.rank, self.data_format))
        return call(method, x, dim=dim, keepdim=self.keepdims or None)


@layer(
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    masks={"GlobalAveragePooling1D": Masks(Reads.FIRST)}, linear=LINEAR,
)  # fmt: skip
class GlobalAveragePooling(Global):
    """The mean over space; over those steps that a mask keeps."""

    mask: Value | None = None

    def write(self, x: Value, y: Value) -> Expr:
        if self.mask is None:
            return self.over_space(x, ".mean")
        kept = call(".unsqueeze", self.mask, x.dim(1 if self.is_first else 2))
        dim = x.dim(2 if self.is_first else 1)
        sums = (call(".sum", it, dim=dim, keepdim=self.keepdims or None) for it in (x * kept, kept))
        return next(sums) / next(sums)


@layer("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D")
class GlobalMaxPooling(Global):
    """The maximum over space."""

    def write(self, x: Value, y: Value) -> Expr:
        return self.over_space(x, ".amax")


@dataclass(frozen=True, kw_only=True)
class AdaptivePooling(Windowed):
    """Pooling to a size."""

    KIND: ClassVar[str]
    output_size: Any

    def windows(self, x: Tensor | Value) -> Sequence[Reading]:
        return [Adaptive(size) for size in each(self.output_size, len(x.shape) - 2)]

    def write(self, x: Value, y: Value) -> Expr:
        size = self.output_size if isinstance(self.output_size, int) else one(tuple(self.output_size))
        return call(f"F.adaptive_{self.KIND}_pool{x.rank - 2}d", x, size)


@layer(
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
    "keras.ops.AdaptiveAveragePool", linear=LINEAR,
)  # fmt: skip
class AdaptiveAveragePooling(AdaptivePooling):
    """F.adaptive_avg_pool2d."""

    KIND = "avg"


@layer(
    "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "keras.ops.AdaptiveMaxPool"
)  # fmt: skip
class AdaptiveMaxPooling(AdaptivePooling):
    """F.adaptive_max_pool2d."""

    KIND = "max"
