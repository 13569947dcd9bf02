"""Convolutions whose kernels are tensors of the graph, or constants: functions in the place of modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torchport.axes import Turn, permutation
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.bound import positions, size
from torchport.rules.constants import fixed, numbers, shape_of
from torchport.rules.entry import SPACE
from torchport.rules.image import (
    channels,
    each,
    image_shape,
    one,
    slide,
    spatial,
    spatial_axes,
    window_shape,
    windows,
)
from torchport.rules.sizes import product
from torchport.rules.table import Value, image, rule
from torchport.rules.window import Among, Groups, Onto, Reading, Transposed, Whole, Window


def kernel_of(kernel: Any, rank: int, pattern: str, role: str = "kernel") -> Expr:
    """A kernel as torch has it: `{space} i o -> o i {space}`."""
    import numpy as np

    text = pattern.format(space=SPACE[rank - 2])
    if not isinstance(kernel, Value):
        return fixed(role, Turn(text).apply(np.asarray(numbers(kernel), "float32")))
    left, right = (side.split() for side in text.split("->"))
    return call(".permute", kernel, *(kernel.dim(at) for at in permutation(left, right)))


def kernel_size(x: Tensor | Value, kernel: Any) -> tuple[int, ...]:
    """How many taps a kernel has along each spatial axis."""
    shape = shape_of(kernel)
    if len(shape) != len(x.shape) or None in shape:
        raise Unsupported(f"with a kernel of shape {list(shape)}")
    return tuple(size or 0 for size in shape[:-2])


def conv_reads(
    x: Tensor, *kernels: Any, strides: Any, padding: str, dilation_rate: Any, data_format: str | None
) -> list[dict[int, Reading]]:
    """The windows and all channels; of a kernel that is a tensor all but the output's own channel."""
    over = windows(x, kernel_size(x, kernels[0]), strides, dilation_rate, padding)
    axis = 1 if data_format == "channels_first" else len(x.shape) - 1
    found: dict[int, Reading] = dict(zip(spatial_axes(len(x.shape), data_format), over, strict=True))
    tensors = [it for it in kernels if isinstance(it, Tensor)]
    each: list[dict[int, Reading]] = [{**found, axis: Whole()}]
    for it in tensors:
        taps: dict[int, Reading] = dict.fromkeys(range(len(it.shape) - 1), Whole())
        each.append({**taps, len(it.shape) - 1: Onto(axis)})
    return each


def depthwise_reads(
    x: Tensor, kernel: Any, *, strides: Any, padding: str, dilation_rate: Any, data_format: str | None
) -> list[dict[int, Reading]]:
    """As a convolution's; of channels its own."""
    reads, *_ = conv_reads(
        x, kernel, strides=strides, padding=padding, dilation_rate=dilation_rate, data_format=data_format
    )
    axis = 1 if data_format == "channels_first" else len(x.shape) - 1
    count, each = (it or 1 for it in shape_of(kernel)[-2:])
    own = Onto(axis, Groups(count, count * each) if each > 1 else Window(1))
    rank = len(x.shape)
    taps: dict[int, Reading] = dict.fromkeys(range(rank - 2), Whole())
    taps |= dict.fromkeys((rank - 2, rank - 1), Among("that {0} of the output's channel"))
    return [{**reads, axis: own}, taps if isinstance(kernel, Tensor) else {}]


def shape_by(filters: Callable[..., int | None]) -> Callable[..., Shape]:
    """The shape of a convolution whose number of filters stands in its kernels' shapes."""

    def shape(
        x: Tensor, *kernels: Any, strides: Any, padding: str, dilation_rate: Any, data_format: str | None
    ) -> Shape:
        over = windows(x, kernel_size(x, kernels[0]), strides, dilation_rate, padding)
        return window_shape(x, over, filters(*map(shape_of, kernels)) or 0, data_format)

    return shape


def conv_products(x: Tensor, *kernels: Any, out: Tensor, data_format: str | None) -> int:
    """Those of every number of its kernels at each step of the output."""
    steps = positions(out.shape, data_format == "channels_first")
    return steps * sum(size(shape_of(it)) for it in kernels)


def spread_products(x: Tensor, kernel: Any, *, data_format: str | None) -> int:
    """Those of every number of its kernel at each step of the input."""
    return positions(x.shape, data_format == "channels_first") * size(shape_of(kernel))


def wants_image(x: Tensor, *kernels: Any, data_format: str | None) -> Any:
    return image(x, data_format=data_format)


def convolved(
    x: Value, kernel: Any, weight: Expr, groups: int, strides: Any, padding: str, dilation_rate: Any,
    data_format: str | None,
) -> Expr:  # fmt: skip
    over = windows(x, kernel_size(x, kernel), strides, dilation_rate, padding)
    before, options = slide(x, over, data_format)
    return call(f"F.conv{x.rank - 2}d", before, weight, **options, groups=groups if groups != 1 else None)


@rule(
    "keras.ops.Conv",
    wants=wants_image,
    shape=shape_by(lambda kernel: kernel[-1]),
    constants=True,
    reads=conv_reads,
    products=conv_products,
)
def conv(
    x: Value, kernel: Any, *, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Expr:  # fmt: skip
    """F.conv2d."""
    weight = kernel_of(kernel, x.rank, "{space} i o -> o i {space}")
    groups = channels(x.shape, data_format) // (shape_of(kernel)[-2] or 1)
    return convolved(x, kernel, weight, groups, strides, padding, dilation_rate, data_format)


def depthwise_kernel(kernel: Any, rank: int, role: str = "kernel") -> Expr:
    if not isinstance(kernel, Value):
        return kernel_of(kernel, rank, "{space} i m -> (i m) 1 {space}", role)
    return call(
        ".unsqueeze", call(".flatten", kernel_of(kernel, rank, "{space} i m -> i m {space}"), 0, 1), 1
    )


@rule(
    "keras.ops.DepthwiseConv",
    wants=wants_image,
    shape=shape_by(lambda kernel: product(kernel[-2:])),
    constants=True,
    reads=depthwise_reads,
    products=conv_products,
)
def depthwise_conv(
    x: Value, kernel: Any, *, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Expr:  # fmt: skip
    """F.conv2d with a group for each channel."""
    weight, count = depthwise_kernel(kernel, x.rank), channels(x.shape, data_format)
    return convolved(x, kernel, weight, count, strides, padding, dilation_rate, data_format)


@rule(
    "keras.ops.SeparableConv",
    wants=wants_image,
    shape=shape_by(lambda kernel, pointwise: pointwise[-1]),
    constants=True,
    reads=conv_reads,
    products=conv_products,
)
def separable_conv(
    x: Value, kernel: Any, pointwise: Any, *, strides: Any = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = 1,
) -> Expr:  # fmt: skip
    """F.conv2d with a group for each channel, then a pointwise one."""
    weight, count = depthwise_kernel(kernel, x.rank, "depthwise"), channels(x.shape, data_format)
    apart = convolved(x, kernel, weight, count, strides, padding, dilation_rate, data_format)
    together = kernel_of(pointwise, x.rank, "{space} i o -> o i {space}", "pointwise")
    return call(f"F.conv{x.rank - 2}d", apart, together)


def spread_sizes(x: Tensor | Value, output_shape: Any, data_format: str | None) -> list[int]:
    """The sizes of space that a transposed convolution is told to give."""
    given = list(numbers(output_shape))
    if len(given) == len(x.shape):
        given = given[2:] if data_format == "channels_first" else given[1:-1]
    if not all(isinstance(it, int) for it in given):
        raise Unsupported("to a size that only the run time knows", "give output_shape as numbers")
    return given


def spread(
    x: Tensor | Value, kernel: Any, output_shape: Any, strides: Any, dilation_rate: Any,
    data_format: str | None,
) -> list[Transposed]:  # fmt: skip
    """What is laid down along each spatial axis."""
    rank, sizes = len(x.shape) - 2, spread_sizes(x, output_shape, data_format)
    options = zip(kernel_size(x, kernel), each(strides, rank), each(dilation_rate, rank), sizes, strict=True)
    return [Transposed(k, s, d, size=size) for k, s, d, size in options]


def spread_reads(
    x: Tensor, kernel: Any, *, output_shape: Any, strides: Any, dilation_rate: Any, data_format: str | None
) -> Mapping[int, Reading]:
    over = spread(x, kernel, output_shape, strides, dilation_rate, data_format)
    return dict(zip(spatial_axes(len(x.shape), data_format), over, strict=True))


def spread_shape(x: Tensor, kernel: Any, *, output_shape: Any, data_format: str | None) -> Shape:
    sizes = spread_sizes(x, output_shape, data_format)
    return image_shape(x.shape, sizes, shape_of(kernel)[-2] or 0, data_format)


def spread_wants(x: Tensor, kernel: Any, *, data_format: str | None) -> Any:
    return image(x, data_format=data_format)


@rule(
    "tf.nn.conv_transpose", wants=spread_wants, shape=spread_shape, constants=True, ignores="padding",
    reads=spread_reads, products=spread_products,
)  # fmt: skip
def conv_transpose(
    x: Value, kernel: Any, *, output_shape: Any, strides: Any = 1, data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Expr:  # fmt: skip
    """F.conv_transpose2d, cropped to the size that it is told."""
    weight = kernel_of(kernel, x.rank, "{space} o i -> i o {space}")
    over = spread(x, kernel, output_shape, strides, dilation_rate, data_format)
    befores, afters = [], []
    for n, it in zip(spatial(x.shape, data_format), over, strict=True):
        if n is None:
            raise Unsupported("of a size that is not known", "give the model's input its size")
        before, after = it.cuts(n)
        befores.append(before)
        afters.append(after)
    stride, dilation = ([getattr(it, name) for it in over] for name in "sd")
    kept = all(0 <= more < s or more == 0 for more, s in zip(afters, stride, strict=True))
    made = call(
        f"F.conv_transpose{x.rank - 2}d", x, weight, stride=one(stride, 1),
        padding=one(befores, 0) if kept else None, output_padding=one(afters, 0) if kept else None,
        dilation=one(dilation, 1),
    )  # fmt: skip
    if kept:
        return made
    pairs = [(-before, more - before) for before, more in zip(befores, afters, strict=True)]
    return call("F.pad", made, tuple(n for pair in reversed(pairs) for n in pair))
