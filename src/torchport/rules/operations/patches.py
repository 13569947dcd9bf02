"""Operations that move values between space and channels, and cut images into patches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.named import is_named
from torchport.program import Expr, call
from torchport.rules.entry import Windowed, layer
from torchport.rules.image import channels, each, image_shape, one, spatial, spatial_axes, windows
from torchport.rules.sizes import product, size_of
from torchport.rules.table import SOURCE, Value, image, rule
from torchport.rules.window import Among, Onto, Reading, Window, lookup


def blocks_shape(x: Tensor, *, block_size: int, data_format: str | None) -> Shape:
    height, width = spatial(x.shape, data_format)
    sizes = (None if n is None else n * block_size for n in (height, width))
    return image_shape(x.shape, list(sizes), channels(x.shape, data_format) // block_size**2, data_format)


def blocks_reads(x: Tensor, *, block_size: int, data_format: str | None) -> dict[int, Reading]:
    """Rows and columns are stretched; which channel, is in what their number leaves over."""
    b, axes = block_size, spatial_axes(len(x.shape), data_format)
    found: dict[int, Reading] = {
        at: Onto(at, lookup((it // b for it in range(size_of(x, at) * b)), f"its {{0}} // {b}"))
        for at in axes
    }
    left = channels(x.shape, data_format) // b**2
    features = 1 if data_format == "channels_first" else len(x.shape) - 1
    return {**found, features: Among(f"one {{0}}: ((row mod {b})·{b} + column mod {b})·{left} + its own")}


@rule("keras.ops.DepthToSpace", wants=image, shape=blocks_shape, reads=blocks_reads)
def depth_to_space(x: Value, *, block_size: int, data_format: str | None = "channels_last") -> Expr:
    """F.pixel_shuffle to one channel; to more, a helper: TensorFlow has the channels innermost."""
    count = channels(x.shape, data_format)
    # a number that has a text may be another in another run
    alone = count == block_size**2 and (not is_named(count) or str(count) == str(block_size**2))
    return call("F.pixel_shuffle" if alone else "depth_to_space", x, block_size)


def unblocked_shape(x: Tensor, *, block_size: int, data_format: str | None) -> Shape:
    sizes = [None if n is None else n // block_size for n in spatial(x.shape, data_format)]
    return image_shape(x.shape, sizes, channels(x.shape, data_format) * block_size**2, data_format)


def unblocked_reads(x: Tensor, *, block_size: int, data_format: str | None) -> dict[int, Reading]:
    """A block of rows and columns each; which of these, is in the number of the channel."""
    b, count = block_size, channels(x.shape, data_format)
    row, column = spatial_axes(len(x.shape), data_format)
    return {
        row: Among(f"one {{0}}: its {{0}}·{b} + channel // {b * count}", Window(b, b)),
        column: Among(f"one {{0}}: its {{0}}·{b} + channel // {count} mod {b}", Window(b, b)),
        1 if data_format == "channels_first" else len(x.shape) - 1: Among(f"its {{0}} mod {count}"),
    }


@rule("keras.ops.SpaceToDepth", wants=image, shape=unblocked_shape, reads=unblocked_reads)
def space_to_depth(x: Value, *, block_size: int, data_format: str | None = "channels_last") -> Expr:
    """F.pixel_unshuffle of one channel; of more, a helper: TensorFlow has the channels innermost."""
    alone = channels(x.shape, data_format) == 1
    return call("F.pixel_unshuffle" if alone else "space_to_depth", x, block_size)


def unfolded_shape(x: Tensor, *, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Shape:
    options = zip(*(each(it, 2) for it in (kernel_size, stride, dilation, padding)), strict=True)
    over = [Window(k, s, d, (p, p)) for k, s, d, p in options]
    counts = [it.length(n) for it, n in zip(over, x.shape[2:], strict=True)]
    return (x.shape[0], size_of(x, 1) * math.prod(it.k for it in over), product(counts))


def unfolded_reads(x: Tensor) -> dict[int, Reading]:
    """A value each: the row of the output says of which channel and tap, the column of which window."""
    return {at: Among("one {0}: its channel, tap and window are numbered in a row") for at in (1, 2, 3)}


@rule("keras.ops.Unfold", wants=SOURCE, shape=unfolded_shape, reads=unfolded_reads)
def unfold(x: Value, *, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Expr:
    """F.unfold."""
    options = {"dilation": plain(dilation, 1), "padding": plain(padding, 0), "stride": plain(stride, 1)}
    return call("F.unfold", x, one(each(kernel_size, 2)), **options)


def folded_shape(x: Tensor, *, output_size: Any, kernel_size: Any) -> Shape:
    return (x.shape[0], size_of(x, 1) // math.prod(each(kernel_size, 2)), *each(output_size, 2))


def folded_reads(x: Tensor) -> dict[int, Reading]:
    """Those of all windows that meet there."""
    return {at: Among("one {0} for each window that lies there") for at in (1, 2)}


@rule("keras.ops.Fold", wants=SOURCE, shape=folded_shape, reads=folded_reads)
def fold(
    x: Value, *, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Expr:
    """F.fold."""
    options = {"dilation": plain(dilation, 1), "padding": plain(padding, 0), "stride": plain(stride, 1)}
    return call("F.fold", x, each(output_size, 2), one(each(kernel_size, 2)), **options)


def plain(value: Any, usual: int) -> Any:
    return one(each(value, 2), usual)


@layer("keras.ops.ExtractPatches")
class ExtractPatches(Windowed):
    """F.unfold, with the channels innermost."""

    size: Any
    strides: Any = None
    dilation_rate: Any = 1
    padding: str = "valid"

    def windows(self, x: Tensor | Value) -> list[Window]:
        if len(x.shape) != 4:
            raise Unsupported(f"of a tensor with {len(x.shape)} axes: images are ported")
        return windows(x, self.size, self.strides or self.size, self.dilation_rate, self.padding)

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        """One value of a window: which, is in the number of the channel."""
        found: dict[int, Reading] = {}
        for at, it in zip(spatial_axes(len(x.shape), self.data_format), self.windows(x), strict=True):
            says = f"one {{0}} of {it.k} in a window, by its channel" if it.k > 1 else "its window's {0}"
            found[at] = Among(says, it)
        axis = 1 if self.is_first else len(x.shape) - 1
        return {**found, axis: Among(f"its {{0}} mod {self.channels(x)}")}

    def features(self, x: Tensor | Value) -> int:
        return math.prod(it.k for it in self.windows(x)) * self.channels(x)

    def write(self, x: Value, y: Value) -> Expr:
        over = self.windows(x)
        sizes, strides, rates = (tuple(getattr(it, name) for it in over) for name in "ksd")
        given = [] if set(rates) == {1} else [rates]
        return call("extract_patches", self.padded(x, over), sizes, strides, *given)
