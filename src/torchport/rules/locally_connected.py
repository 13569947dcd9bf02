"""Convolutions with a kernel of their own at every place, which Keras 2 has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load
from torchport.rules.entry import Variable, Windowed, kernel_module, layer, variables
from torchport.rules.facts import KERNEL
from torchport.rules.image import each, image_shape, one, windows
from torchport.rules.table import Value
from torchport.rules.window import Window


@layer(
    "LocallyConnected1D", "LocallyConnected2D", activation=True,
    only={"implementation": (1,), "padding": ("valid",), "data_format": ("channels_last", None)},
    ignores="implementation padding", linear=KERNEL,
)  # fmt: skip
class LocallyConnected(Windowed):
    """A module of a few lines: what stands at each place (Tensor.unfold) times its kernel (torch.einsum).

    Source: tf_keras/src/backend.py, local_conv.
    """

    filters: int
    kernel_size: Any
    strides: Any = 1
    use_bias: bool = True

    def windows(self, x: Tensor | Value) -> list[Window]:
        return windows(x, self.kernel_size, self.strides)

    def features(self, x: Tensor | Value) -> int:
        return self.filters

    def places(self, x: Tensor | Value) -> tuple[int, ...]:
        """How many places there are along each spatial axis."""
        counts = [it.length(n) for it, n in zip(self.windows(x), self.spatial(x), strict=True)]
        if None in counts:
            raise Unsupported("images whose size is not known", "give the model's input its size")
        return tuple(count or 0 for count in counts)

    def shape(self, x: Tensor) -> Shape:
        return image_shape(x.shape, self.places(x), self.filters, self.data_format)

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        """A kernel for each place `p`, over all that it reads, `k`."""
        counts = self.places(x)
        size = math.prod(each(self.kernel_size, len(counts))) * self.channels(x)
        axes = dict(zip("pq", counts, strict=False)) | {"o": self.filters}
        return variables(
            kernel=("p k o", {"p": math.prod(counts), "k": size, "o": self.filters}),
            bias=(" ".join(axes), axes) if self.use_bias else None,
        )

    def products(self, *args: Any, y: Any) -> int | None:
        """A kernel of its own for each place."""
        return math.prod(self.sizes(args[0], y)["kernel"])  # type: ignore[arg-type]

    def write(self, x: Value, y: Value, kernel: Variable, bias: Variable | None = None) -> Expr:
        rank, counts, count = x.rank - 2, self.places(x), self.channels(x)
        sizes = each(self.kernel_size, rank)
        at, inside = ("p", "k") if rank == 1 else ("p q", "k l")
        merged = dict(zip([*at.split(), *inside.split()], [*counts, *sizes], strict=True))
        pattern = f"{f'({at})' if rank == 2 else at} ({inside} i) o -> {at} o i {inside}"
        return kernel_module(
            f"LocallyConnected{rank}d", count, self.filters,
            *((counts[0], sizes[0]) if rank == 1 else (counts, sizes)),
            stride=one(each(self.strides, rank), 1),
            weight=Load.of(kernel.name, pattern, i=count, **merged), bias=bias(f"o {at}") if bias else None,
        )(x)  # fmt: skip
