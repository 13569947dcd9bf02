"""Convolutions with a kernel of their own at every place, which Keras 2 has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load, module
from torchport.rules.image import channels, each, image_shape, one, spatial, windows
from torchport.rules.table import Value, image, rule


def places(x: Tensor | Value, kernel_size: Any, strides: Any, data_format: str | None) -> tuple[int, ...]:
    """How many places there are along each spatial axis."""
    over = zip(windows(x, kernel_size, strides), spatial(x.shape, data_format), strict=True)
    counts = tuple(it.length(n) for it, n in over)
    if None in counts:
        raise Unsupported("images whose size is not known", "give the model's input its size")
    return tuple(count or 0 for count in counts)


def local_shape(x: Tensor, *, filters: int, kernel_size: Any, strides: Any, data_format: str | None) -> Shape:
    return image_shape(x.shape, places(x, kernel_size, strides, data_format), filters, data_format)


def local_weights(
    x: Tensor, *, filters: int, kernel_size: Any, strides: Any, use_bias: bool, data_format: str | None
) -> Mapping[str, Shape]:
    counts = places(x, kernel_size, strides, data_format)
    size = math.prod(each(kernel_size, len(counts))) * channels(x.shape, data_format)
    kernel = (math.prod(counts), size, filters)
    return {"kernel": kernel, **({"bias": (*counts, filters)} if use_bias else {})}


@rule(
    "LocallyConnected1D", "LocallyConnected2D", wants=image, shape=local_shape, weights=local_weights,
    activation=True,
    only={"implementation": (1,), "padding": ("valid",), "data_format": ("channels_last", None)},
    ignores="implementation padding",
)  # fmt: skip
def locally_connected(
    x: Value, *, filters: int, kernel_size: Any, strides: Any = 1, use_bias: bool = True,
    data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of a few lines: what stands at each place (Tensor.unfold) times its kernel (torch.einsum).

    Source: tf_keras/src/backend.py, local_conv.
    """
    rank = x.rank - 2
    counts = places(x, kernel_size, strides, data_format)
    kernel, count = each(kernel_size, rank), channels(x.shape, data_format)
    at, inside = ("p", "k") if rank == 1 else ("p q", "k l")
    merged = dict(zip([*at.split(), *inside.split()], [*counts, *kernel], strict=True))
    grouped = f"({at})" if rank == 2 else at
    loads = {"weight": Load.of("kernel", f"{grouped} ({inside} i) o -> {at} o i {inside}", i=count, **merged)}
    if use_bias:
        loads["bias"] = Load.of("bias", f"{at} o -> o {at}")
    sizes = (counts[0], kernel[0]) if rank == 1 else (counts, kernel)
    return module(
        f"LocallyConnected{rank}d", count, filters, *sizes, stride=one(each(strides, rank), 1),
        bias=None if use_bias else False, loads=loads,
    )(x)  # fmt: skip
