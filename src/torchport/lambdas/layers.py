"""Layers of packages that have no weights, as functions of TensorFlow: what their `call` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.errors import Unsupported

if TYPE_CHECKING:
    from torchport.lambdas.symbols import Symbols


def maxout(world: Symbols, x: Any, *, num_units: int, axis: int = -1) -> Any:
    """The largest of groups of features. Source: tensorflow_addons/layers/maxout.py, call."""
    sizes = list(world.shape(x))
    axis %= len(sizes)
    count = sizes[axis]
    if not isinstance(count, int) or count % num_units or sizes[1:].count(None):
        raise Unsupported("of sizes that are not known", "give the model's input its shape")
    parts = [-1, *sizes[1:axis], count // num_units, num_units, *sizes[axis + 1 :]]
    return world.tensorflow("reduce_max", world.tensorflow("reshape", x, parts), axis=axis)


def adaptive(function: str, rank: int) -> Callable[..., Any]:
    """Pooling to a number of results. Source: tensorflow_addons/layers/adaptive_pooling.py, call."""

    def pool(world: Symbols, x: Any, *, output_size: Any, data_format: str = "channels_last") -> Any:
        counts = list(output_size) if isinstance(output_size, (list, tuple)) else [output_size] * rank
        sizes, first = world.shape(x), 2 if data_format == "channels_first" else 1
        for axis, count in enumerate(counts, first):
            if sizes[axis] is None:
                raise Unsupported("of a size that is not known", "give the model's input its shape")
            step = np.float32(sizes[axis] / count)
            places = np.arange(count, dtype="float32")
            starts, ends = (places * step).astype(int), np.ceil((places + 1) * step).astype(int)
            pieces = []
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                key = tuple(slice(start, end) if at == axis else slice(None) for at in range(rank + 2))
                pieces.append(world.tensorflow(function, world.index(x, key), axis=axis, keepdims=True))
            x = world.tensorflow("concat", pieces, axis=axis) if count > 1 else pieces[0]
        return x

    return pool


#: Kind -> the function.
LAYERS: Mapping[str, Callable[..., Any]] = {
    "Addons>Maxout": maxout,
    **{f"Addons>Adaptive{name}Pooling{rank}D": adaptive(f"reduce_{function}", rank)
       for name, function in (("Average", "mean"), ("Max", "max")) for rank in (1, 2, 3)},
}  # fmt: skip
