"""Convolutions: plain, depthwise, separable, transposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchport.axes import Order
from torchport.errors import Unsupported
from torchport.graph import Tensor
from torchport.program import Expr, Load
from torchport.rules.bound import kernels, positions
from torchport.rules.entry import SPACE, Variable, Windowed, kernel_module, layer, variables
from torchport.rules.facts import KERNEL, Linear
from torchport.rules.image import each, one, windows
from torchport.rules.table import FOLLOWS, Value, Wants
from torchport.rules.window import Groups, Reading, Transposed, Window

#: The names of a weight's axes, with their sizes.
Axes = tuple[str, Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class Convolution(Windowed):
    """What all of them have: a kernel, and how it moves."""

    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    dilation_rate: Any = 1
    use_bias: bool = True

    def windows(self, x: Tensor | Value) -> Sequence[Reading]:
        return self.taken(x)

    def taken(self, x: Tensor | Value) -> list[Window]:
        """The windows that torch's module takes."""
        return windows(x, self.kernel_size, self.strides, self.dilation_rate, self.padding)

    def kernel(self, x: Tensor | Value, **channels: int) -> Axes:
        """The axes of the kernel: those of space, then these."""
        rank = len(x.shape) - 2
        sizes = dict(zip(SPACE[rank].split(), each(self.kernel_size, rank), strict=True)) | channels
        return " ".join(sizes), sizes

    def bias(self, count: int) -> Axes | None:
        return ("o", {"o": count}) if self.use_bias else None


@layer("Conv1D", "Conv2D", "Conv3D", activation=True, noun="conv", linear=KERNEL)
class Conv(Convolution):
    """nn.Conv2d. An uneven 'same' is padded first: torch pads both sides alike. nn.Linear for Conv1D of one
    step among layers that want features last.
    """

    filters: int
    groups: int = 1

    def features(self, x: Tensor | Value) -> int:
        return self.filters

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        count = self.channels(x) // self.groups
        return variables(kernel=self.kernel(x, i=count, o=self.filters), bias=self.bias(self.filters))

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        found = dict(super().reads(x))
        if self.groups > 1:
            found[1 if self.is_first else len(x.shape) - 1] = Groups(self.groups, self.filters)
        return found

    def is_pointwise(self, x: Tensor) -> bool:
        """Whether a convolution over time is a matrix product at each step."""
        taps = each(self.kernel_size, 1) == each(self.strides, 1) == (1,) if len(x.shape) == 3 else False
        return taps and self.groups == 1 and not self.is_first

    def wants(self, x: Tensor, y: Any) -> Wants:
        """Channels first; a pointwise one over time, as in a transformer, is no reason for two permutes."""
        return replace(FOLLOWS, cost=-0.5) if self.is_pointwise(x) else super().wants(x, y)

    def write(self, x: Value, y: Value, kernel: Variable, bias: Variable | None = None) -> Expr:
        sizes, own_bias = (self.channels(x), self.filters), self.biased(y, bias)
        if x.order is Order.SOURCE and not self.is_first:
            return kernel_module("nn.Linear", *sizes, weight=kernel("o i"), bias=own_bias)(x)
        before, size, options = self.slid(x, self.taken(x))
        weight, groups = kernel(f"o i {SPACE[x.rank - 2]}"), self.groups if self.groups != 1 else None
        made = kernel_module(
            f"nn.Conv{x.rank - 2}d", *sizes, size, **options, groups=groups, weight=weight, bias=own_bias
        )
        return made(before)


@dataclass(frozen=True, kw_only=True)
class Depthwise(Convolution):
    """What slides a kernel over each channel alone."""

    depth_multiplier: int = 1

    def depthwise(self, x: Value, kernel: Variable, bias: Load | None, role: str = "") -> Expr:
        """A convolution with a group for each channel; output i·M + m comes from input channel i."""
        before, size, options = self.slid(x, self.taken(x))
        count, weight = self.channels(x), kernel(f"(i m) 1 {SPACE[x.rank - 2]}")
        return kernel_module(
            f"nn.Conv{x.rank - 2}d", count, count * self.depth_multiplier, size, **options, groups=count,
            role=role, weight=weight, bias=bias,
        )(before)  # fmt: skip


@layer("DepthwiseConv1D", "DepthwiseConv2D", activation=True, noun="depthwise", linear=KERNEL)
class DepthwiseConv(Depthwise):
    """nn.Conv2d with a group for each channel; output i·M + m comes from input channel i."""

    def features(self, x: Tensor | Value) -> int:
        return self.channels(x) * self.depth_multiplier

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        own = Groups(self.channels(x), self.features(x)) if self.depth_multiplier > 1 else Window(1)
        return {**super().reads(x), 1 if self.is_first else len(x.shape) - 1: own}

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        kernel = self.kernel(x, i=self.channels(x), m=self.depth_multiplier)
        return variables(kernel=kernel, bias=self.bias(self.features(x)))

    def write(self, x: Value, y: Value, kernel: Variable, bias: Variable | None = None) -> Expr:
        return self.depthwise(x, kernel, self.biased(y, bias))


@layer(
    "SeparableConv1D", "SeparableConv2D", activation=True, noun="sepconv",
    linear=Linear(("depthwise_kernel", "pointwise_kernel"), ("bias",)),
)  # fmt: skip
class SeparableConv(Depthwise):
    """A depthwise nn.Conv2d without bias, then a pointwise one."""

    filters: int

    def features(self, x: Tensor | Value) -> int:
        return self.filters

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        count = self.channels(x)
        pointwise = replace(self, kernel_size=1).kernel(x, i=count * self.depth_multiplier, o=self.filters)
        return variables(
            depthwise_kernel=self.kernel(x, i=count, m=self.depth_multiplier), pointwise_kernel=pointwise,
            bias=self.bias(self.filters),
        )  # fmt: skip

    def write(
        self, x: Value, y: Value, depthwise_kernel: Variable, pointwise_kernel: Variable,
        bias: Variable | None = None,
    ) -> Expr:  # fmt: skip
        count, weight = self.channels(x) * self.depth_multiplier, pointwise_kernel(f"o i {SPACE[x.rank - 2]}")
        return kernel_module(
            f"nn.Conv{x.rank - 2}d", count, self.filters, 1, role="pointwise", weight=weight,
            bias=self.biased(y, bias),
        )(self.depthwise(x, depthwise_kernel, None, "depthwise"))  # fmt: skip


@layer("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", activation=True, noun="up", linear=KERNEL)
class ConvTranspose(Convolution):
    """nn.ConvTranspose2d; what TensorFlow crops more at the end than at the start is sliced off.

    torch's `padding` crops both sides alike, and `output_padding` gives some back at the end.
    """

    filters: int
    output_padding: Any = None

    def windows(self, x: Tensor | Value) -> Sequence[Transposed]:
        extras = each(self.output_padding, len(x.shape) - 2)
        pairs = zip(self.taken(x), extras, strict=True)
        return [Transposed(it.k, it.s, it.d, self.padding, extra) for it, extra in pairs]

    def features(self, x: Tensor | Value) -> int:
        return self.filters

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        kernel = self.kernel(x, o=self.filters, i=self.channels(x))
        return variables(kernel=kernel, bias=self.bias(self.filters))

    def products(self, *args: Any, y: Any) -> int | None:
        """Its kernel is laid down at each step of the input."""
        return kernels(self.sizes(args[0], y)) * positions(args[0].shape, self.is_first)

    def write(self, x: Value, y: Value, kernel: Variable, bias: Variable | None = None) -> Expr:
        over = self.windows(x)
        crops, extras = zip(*(it.cuts() for it in over), strict=True)
        for it, extra in zip(over, extras, strict=True):
            if extra >= max(it.s, it.d):
                raise Unsupported(f"output_padding={it.extra} gives more than a stride of {it.s} can fill")
        made = kernel_module(
            f"nn.ConvTranspose{x.rank - 2}d", self.channels(x), self.filters, one([it.k for it in over]),
            stride=one([it.s for it in over], 1), padding=one(crops, 0),
            output_padding=one([max(extra, 0) for extra in extras], 0),
            dilation=one([it.d for it in over], 1),
            weight=kernel(f"i o {SPACE[x.rank - 2]}"), bias=self.biased(y, bias),
        )(x)  # fmt: skip
        if min(extras) >= 0:
            return made
        return made[(slice(None), slice(None), *(slice(None, min(extra, 0) or None) for extra in extras))]
