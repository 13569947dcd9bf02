"""Convolutions: plain, depthwise, separable, transposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torchport.axes import Order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load, module
from torchport.rules.broadcast import check_bias
from torchport.rules.image import channels, each, one, slide, window_shape, windows
from torchport.rules.table import FOLLOWS, Value, Wants, image, rule
from torchport.rules.window import Transposed

#: Kernel axes by number of spatial axes: the source's, and PyTorch's.
SPACE = {1: "t", 2: "h w", 3: "d h w"}


def conv_shape(
    x: Tensor, *, filters: int, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any,
    data_format: str | None,
) -> Shape:  # fmt: skip
    over = windows(x, kernel_size, strides, dilation_rate, padding)
    return window_shape(x, over, filters, data_format)


def conv_weights(
    x: Tensor, *, filters: int, kernel_size: Any, groups: int, use_bias: bool,
    data_format: str | None,
) -> Mapping[str, Shape]:  # fmt: skip
    count = channels(x.shape, data_format) // groups
    kernel = (*each(kernel_size, len(x.shape) - 2), count, filters)
    return {"kernel": kernel, **({"bias": (filters,)} if use_bias else {})}


def bias(use_bias: bool, out: Value, data_format: str | None, dialect: str) -> dict[str, Load]:
    """The bias as it is, if there is one."""
    if use_bias and data_format == "channels_first":
        check_bias(out.shape, (1, out.shape[1], *[1] * (out.rank - 2)), dialect)
    return {"bias": Load.of("bias", "o -> o")} if use_bias else {}


def is_pointwise(x: Tensor | Value, kernel_size: Any, strides: Any, groups: int) -> bool:
    """Whether a convolution over time is a matrix product at each step."""
    return len(x.shape) == 3 and groups == 1 and each(kernel_size, 1) == each(strides, 1) == (1,)


def conv_wants(x: Tensor, *, kernel_size: Any, strides: Any, groups: int, data_format: str | None) -> Wants:
    """Channels first; a pointwise one over time, as in a transformer, is no reason for two permutes."""
    if data_format != "channels_first" and is_pointwise(x, kernel_size, strides, groups):
        return replace(FOLLOWS, cost=-0.5)
    return image(x, data_format=data_format)


@rule(
    "Conv1D", "Conv2D", "Conv3D", wants=conv_wants, shape=conv_shape, weights=conv_weights,
    activation=True, noun="conv",
)  # fmt: skip
def conv(
    x: Value, *, out: Value, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    dilation_rate: Any = 1, groups: int = 1, use_bias: bool = True, data_format: str | None = None,
    dialect: str = "",
) -> Expr:  # fmt: skip
    """nn.Conv2d. An uneven 'same' is padded first: torch pads both sides alike. nn.Linear for Conv1D of one
    step among layers that want features last.
    """
    count, has_bias = channels(x.shape, data_format), None if use_bias else False
    own_bias = bias(use_bias, out, data_format, dialect)
    if x.order is Order.SOURCE and data_format != "channels_first":
        loads = {"weight": Load.of("kernel", "1 i o -> o i"), **own_bias}
        return module("nn.Linear", count, filters, bias=has_bias, loads=loads)(x)
    before, options = slide(x, windows(x, kernel_size, strides, dilation_rate, padding), data_format)
    space, size = SPACE[x.rank - 2], one(each(kernel_size, x.rank - 2))
    return module(
        f"nn.Conv{x.rank - 2}d", count, filters, size, **options, groups=groups if groups != 1 else None,
        bias=has_bias,
        loads={"weight": Load.of("kernel", f"{space} i o -> o i {space}"), **own_bias},
    )(before)  # fmt: skip


def depthwise_shape(
    x: Tensor, *, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any,
    depth_multiplier: int, data_format: str | None,
) -> Shape:  # fmt: skip
    return conv_shape(
        x, filters=channels(x.shape, data_format) * depth_multiplier, kernel_size=kernel_size,
        strides=strides, padding=padding, dilation_rate=dilation_rate, data_format=data_format,
    )  # fmt: skip


def depthwise_weights(
    x: Tensor, *, kernel_size: Any, depth_multiplier: int, use_bias: bool, data_format: str | None
) -> Mapping[str, Shape]:
    count = channels(x.shape, data_format)
    kernel = (*each(kernel_size, len(x.shape) - 2), count, depth_multiplier)
    return {"kernel": kernel, **({"bias": (count * depth_multiplier,)} if use_bias else {})}


def _depthwise(
    x: Value, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any, multiplier: int,
    data_format: str | None, weight: str, role: str, biased: Mapping[str, Load],
) -> Expr:  # fmt: skip
    before, options = slide(x, windows(x, kernel_size, strides, dilation_rate, padding), data_format)
    count, space = channels(x.shape, data_format), SPACE[x.rank - 2]
    load = Load.of(weight, f"{space} i m -> (i m) 1 {space}", m=multiplier)
    return module(
        f"nn.Conv{x.rank - 2}d", count, count * multiplier, one(each(kernel_size, x.rank - 2)), **options,
        groups=count, bias=None if biased else False, role=role, loads={"weight": load, **biased},
    )(before)  # fmt: skip


@rule(
    "DepthwiseConv1D", "DepthwiseConv2D", wants=image, shape=depthwise_shape,
    weights=depthwise_weights, activation=True, noun="depthwise",
)  # fmt: skip
def depthwise_conv(
    x: Value, *, out: Value, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    depth_multiplier: int = 1, dilation_rate: Any = 1, use_bias: bool = True,
    data_format: str | None = None, dialect: str = "",
) -> Expr:  # fmt: skip
    """nn.Conv2d with a group for each channel; output i·M + m comes from input channel i."""
    return _depthwise(
        x, kernel_size, strides, padding, dilation_rate, depth_multiplier, data_format,
        "kernel", "", bias(use_bias, out, data_format, dialect),
    )  # fmt: skip


def separable_weights(
    x: Tensor, *, filters: int, kernel_size: Any, depth_multiplier: int, use_bias: bool,
    data_format: str | None,
) -> Mapping[str, Shape]:  # fmt: skip
    rank, count = len(x.shape) - 2, channels(x.shape, data_format)
    return {
        "depthwise_kernel": (*each(kernel_size, rank), count, depth_multiplier),
        "pointwise_kernel": (*each(1, rank), count * depth_multiplier, filters),
        **({"bias": (filters,)} if use_bias else {}),
    }


@rule(
    "SeparableConv1D", "SeparableConv2D", wants=image, shape=conv_shape, weights=separable_weights,
    activation=True, noun="sepconv",
)  # fmt: skip
def separable_conv(
    x: Value, *, out: Value, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    dilation_rate: Any = 1, depth_multiplier: int = 1, use_bias: bool = True,
    data_format: str | None = None, dialect: str = "",
) -> Expr:  # fmt: skip
    """A depthwise nn.Conv2d without bias, then a pointwise one."""
    count, space = channels(x.shape, data_format) * depth_multiplier, SPACE[x.rank - 2]
    depthwise = _depthwise(
        x, kernel_size, strides, padding, dilation_rate, depth_multiplier, data_format,
        "depthwise_kernel", "depthwise", {},
    )  # fmt: skip
    load = Load.of("pointwise_kernel", f"{space} i o -> o i {space}")
    return module(
        f"nn.Conv{x.rank - 2}d", count, filters, 1, bias=None if use_bias else False,
        role="pointwise", loads={"weight": load, **bias(use_bias, out, data_format, dialect)},
    )(depthwise)  # fmt: skip


def transposed(
    x: Tensor | Value, kernel_size: Any, strides: Any, dilation_rate: Any, padding: str, output_padding: Any
) -> list[Transposed]:
    """What is laid down along each spatial axis."""
    options = (each(it, len(x.shape) - 2) for it in (kernel_size, strides, dilation_rate, output_padding))
    return [Transposed(k, s, d, padding, o) for k, s, d, o in zip(*options, strict=True)]


def transposed_shape(
    x: Tensor, *, filters: int, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any,
    output_padding: Any, data_format: str | None,
) -> Shape:  # fmt: skip
    over = transposed(x, kernel_size, strides, dilation_rate, padding, output_padding)
    return window_shape(x, over, filters, data_format)


def transposed_weights(
    x: Tensor, *, filters: int, kernel_size: Any, use_bias: bool, data_format: str | None
) -> Mapping[str, Shape]:
    kernel = (*each(kernel_size, len(x.shape) - 2), filters, channels(x.shape, data_format))
    return {"kernel": kernel, **({"bias": (filters,)} if use_bias else {})}


@rule(
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", wants=image, shape=transposed_shape,
    weights=transposed_weights, activation=True, noun="up",
)  # fmt: skip
def conv_transpose(
    x: Value, *, out: Value, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    output_padding: Any = None, dilation_rate: Any = 1, use_bias: bool = True,
    data_format: str | None = None, dialect: str = "",
) -> Expr:  # fmt: skip
    """nn.ConvTranspose2d; what TensorFlow crops more at the end than at the start is sliced off.

    torch's `padding` crops both sides alike, and `output_padding` gives some back at the end.
    """
    over = transposed(x, kernel_size, strides, dilation_rate, padding, output_padding)
    crops, extras = zip(*(it.cuts() for it in over), strict=True)
    for it, extra in zip(over, extras, strict=True):
        if extra >= max(it.s, it.d):
            raise Unsupported(f"output_padding={it.extra} gives more than a stride of {it.s} can fill")
    space = SPACE[x.rank - 2]
    full_size = module(
        f"nn.ConvTranspose{x.rank - 2}d", channels(x.shape, data_format), filters, one([it.k for it in over]),
        stride=one([it.s for it in over], 1), padding=one(crops, 0),
        output_padding=one([max(extra, 0) for extra in extras], 0), dilation=one([it.d for it in over], 1),
        bias=None if use_bias else False,
        loads={
            "weight": Load.of("kernel", f"{space} o i -> i o {space}"),
            **bias(use_bias, out, data_format, dialect),
        },
    )(x)  # fmt: skip
    if min(extras) >= 0:
        return full_size
    return full_size[(slice(None), slice(None), *(slice(None, min(extra, 0) or None) for extra in extras))]
